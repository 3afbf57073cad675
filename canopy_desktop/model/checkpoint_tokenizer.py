"""A checkpoint's tokenizer in GGUF's words, so that it becomes the one that a GGUF of the model has.

What tokenizer.json does beside byte-level BPE with a known way of cutting is refused. Two things are left out, as
llama.cpp leaves them out: composing accents (the normalizer NFC), and lengths that texts are cut or filled to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from canopy_desktop.errors import SourceError
from canopy_desktop.model.byte_alphabet import byte_alphabet
from canopy_desktop.model.checkpoint_json import Values, read_text, read_values
from canopy_desktop.model.pre_tokenizers import BYTES, DIGITS, WORDS, PreTokenizer, find_published
from canopy_desktop.model.tokenizer_build import (
    BYTE_LEVEL,
    CONTROL,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    GgufTokenizerFields,
    check_fields,
)
from canopy_desktop.model.tokenizer_check import MAX_TOKENIZER_BYTES

TOKENIZER, TOKENIZER_CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_FILES = (TOKENIZER, TOKENIZER_CONFIG, TEMPLATE, GENERATION_CONFIG)
MAX_TEMPLATE = 1_000_000  # characters
_ALONE = {"single_word": False, "lstrip": False, "rstrip": False}


def read_tokenizer(folder: Path, config: Values, vocabulary: int) -> GgufTokenizerFields:
    """The tokenizer of a checkpoint whose embedding has `vocabulary` rows.

    Raises `SourceError` for one that this program would get wrong.
    """
    said = read_values(folder, TOKENIZER, largest=MAX_TOKENIZER_BYTES)
    if not said.all():
        raise SourceError(folder, f"it has no {TOKENIZER}, by which this program reads text")
    words = read_values(folder, TOKENIZER_CONFIG)
    ends = {*read_values(folder, GENERATION_CONFIG).ids("eos_token_id"), *config.ids("eos_token_id")}
    try:
        fields = _fields(said, words, tuple(sorted(ends)), _template(folder, words), vocabulary)
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError) as error:
        raise said.refuse("does not fit together") from error
    check_fields(fields, folder)
    return fields


def _fields(
    said: Values, words: Values, ends: tuple[int, ...], template: str | None, vocabulary: int
) -> GgufTokenizerFields:
    """Everything in GGUF's words. Raises `SourceError`, or what a file that does not fit together leads to."""
    _check_kind(said)
    ids, types = _tokens(said, words, vocabulary)
    tokens = [f"[PAD{row}]" for row in range(vocabulary)]  # as GGUF calls rows of the embedding without a token
    kinds = [UNUSED] * vocabulary
    for text, token_id in ids.items():
        tokens[token_id], kinds[token_id] = text, types.get(text, NORMAL)
    begin, bos = _begin(said, words, ids), _named(words, "bos_token", ids)
    if begin is not None and bos not in (None, begin):
        raise said.refuse("begins every text with another token than the one that is called the begin token")
    merges = said.part("model").items("merges")
    return GgufTokenizerFields(
        model=BYTE_LEVEL,
        pre=_pre_tokenizer(said, ids).names[0],
        tokens=tuple(tokens),
        merges=tuple(merge if isinstance(merge, str) else _pair(merge) for merge in merges),
        token_types=tuple(kinds),
        bos_id=bos if begin is None else begin,
        eos_id=_named(words, "eos_token", ids),
        eot_id=None,
        chat_template=template,
        adds_begin=begin is not None,
        more_end_ids=ends,
    )


def _tokens(said: Values, words: Values, vocabulary: int) -> tuple[dict[str, int], dict[str, int]]:
    """Every token's id by its text, and the types of those that were added."""
    ids: dict[str, int] = dict(said.part("model").part("vocab").all())
    types: dict[str, int] = {}
    for token in said.items("added_tokens"):
        text, token_id = token["content"], token["id"]
        if not isinstance(text, str) or {**token, **_ALONE} != token:
            raise said.refuse(f"has the added token {str(text)[:100]!r}, which takes in what stands around it")
        if ids.setdefault(text, token_id) != token_id:
            raise said.refuse(f"gives the token {text[:100]!r} two ids")
        types[text] = CONTROL if token["special"] else USER_DEFINED
    for token in words.part("added_tokens_decoder").all().values():
        if token["content"] not in types:
            raise words.refuse(f"adds the token {token['content'][:100]!r}, which {TOKENIZER} does not have")
    if not all(type(token_id) is int and 0 <= token_id < vocabulary for token_id in ids.values()):
        raise said.refuse(f"has ids that are none of the {vocabulary} rows of the embedding")
    if len(set(ids.values())) != len(ids):
        raise said.refuse("gives two tokens the same id")
    return ids, types


def _pair(merge: Sequence[str]) -> str:
    left, right = merge
    return f"{left} {right}"


def _check_kind(said: Values) -> None:
    """A byte-level BPE that reads texts as they are."""
    model, decoder = said.part("model"), said.part("decoder").get("type")
    kind = model.get("type")
    if kind != "BPE" or model.flag("byte_fallback") or decoder != "ByteLevel":
        found = " / ".join(str(part)[:50] for part in (kind, decoder))
        raise said.refuse(f"is of the kind {found}, and only byte-level BPE is supported")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise said.refuse(f"has a {key}, which is not supported")
    normalizer = said.part("normalizer")
    steps = normalizer.items("normalizers") if normalizer.get("type") == "Sequence" else [normalizer.all()]
    for step in steps:
        if step and step["type"] != "NFC":
            raise said.refuse(f"changes texts by {step['type'][:50]!r} before it cuts them, which is not supported")


def _pre_tokenizer(said: Values, ids: Mapping[str, int]) -> PreTokenizer:
    """The way of cutting, if it is a known one."""
    model = said.part("model")
    if model.get("unk_token") and not byte_alphabet().keys() <= ids.keys():
        raise said.refuse("writes a token of its own for bytes that have none, which is not supported")
    steps = list(_steps(said, said.part("pre_tokenizer").all()))
    known = find_published(steps, whole_words=bool(model.flag("ignore_merges")))
    if known is None:
        raise said.refuse("cuts texts in a way that is not known")
    return known


def _steps(said: Values, step: Mapping[str, Any]) -> Iterator[str]:
    """What a pre-tokenizer does, one after another, as `PreTokenizer.published` writes it."""
    match step:
        case {"type": "Sequence", "pretokenizers": list(steps)}:
            for inner in steps:
                yield from _steps(said, inner)
        case {"type": "Digits", "individual_digits": True}:
            yield DIGITS
        case {"type": "Split", "pattern": {"Regex": str(pattern)}, "behavior": "Isolated", "invert": False}:
            yield pattern
        case {"type": "ByteLevel", "add_prefix_space": False}:
            yield WORDS if step.get("use_regex", True) else BYTES
        case _:
            raise said.refuse(f"cuts texts by {str(step.get('type'))[:50]!r} in a way that is not known")


def _begin(said: Values, words: Values, ids: Mapping[str, int]) -> int | None:
    """The token that stands before every text, if one does."""
    begin: int | None = None
    for step in _processors(said.part("post_processor").all()):
        match step:
            case {"type": "ByteLevel"}:
                pass  # moves offsets alone
            case {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}:
                pass
            case {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": str(text)}}, {"Sequence": {"id": "A"}}],
                "special_tokens": dict(special),
            } if special[text]["ids"] == [ids[text]]:
                begin = ids[text]
            case _:
                raise said.refuse("puts more around a text than one token before it, which is not supported")
    if words.flag("add_bos_token") not in (None, begin is not None) or words.flag("add_eos_token"):
        raise words.refuse(f"and {TOKENIZER} differ in what they put around a text")
    if words.flag("add_prefix_space"):
        raise words.refuse("puts a space before every text, which is not supported")
    return begin


def _processors(processor: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if processor.get("type") == "Sequence":
        return list(processor["processors"])
    return [processor] if processor else []


def _named(words: Values, name: str, ids: Mapping[str, int]) -> int | None:
    """The id of the token that has this part, if one has."""
    token = words.get(name)
    text = token["content"] if isinstance(token, dict) else token
    if text is not None and text not in ids:
        raise words.refuse(f"has a {name} that {TOKENIZER} does not have")
    return None if text is None else ids[text]


def _template(folder: Path, words: Values) -> str | None:
    """The chat template: of a file of its own, else the default one among the tokenizer's words."""
    template = read_text(folder, TEMPLATE) or words.get("chat_template")
    if isinstance(template, list):
        template = next((entry["template"] for entry in template if entry["name"] == "default"), None)
    if template is not None and not (isinstance(template, str) and len(template) <= MAX_TEMPLATE):
        raise words.refuse(f"has a chat_template that is no text of up to {MAX_TEMPLATE} characters")
    return template

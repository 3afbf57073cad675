"""A checkpoint's tokenizer in GGUF's words, so that it becomes the one that a GGUF of the model has.

Two kinds are known, as in `tokenizer_build.py`: byte-level BPE with a known way of cutting, and pieces with a token for
every byte. What tokenizer.json does beside is refused. Three things are left out, as llama.cpp leaves them out:
composing accents (the normalizer NFC), lengths that texts are cut or filled to, and added tokens beyond the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import accumulate
from pathlib import Path
from typing import Any

from canopy_desktop.errors import SourceError
from canopy_desktop.model.byte_alphabet import byte_alphabet
from canopy_desktop.model.checkpoint_json import Values, read_text, read_values
from canopy_desktop.model.pre_tokenizers import BYTES, DIGITS, WORDS, PreTokenizer, find_published
from canopy_desktop.model.sentencepiece import BYTE_TOKENS, SPACE
from canopy_desktop.model.tokenizer_build import (
    BYTE,
    BYTE_LEVEL,
    CONTROL,
    NORMAL,
    SENTENCEPIECE,
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
MAX_COMPARED = 20_000_000  # characters of all ends of added tokens; a thousand of 20 have a fiftieth
# Classes of transformers that put the begin token before every text unless they are told otherwise.
_BEGINNING = {"LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast"}
_PIECE_DECODERS = ["Replace", "ByteFallback", "Fuse"]
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
    model = said.part("model")
    pieces = bool(model.flag("byte_fallback"))
    _check_model(said, pieces)
    if not pieces:
        _check_normalizer(said)
    space_prefix = pieces and _space_prefix(said)
    added = _added(said, words, vocabulary)
    ids = _ids(said, added, vocabulary)
    types = _piece_types(said, ids, added, space_prefix) if pieces else _types(added)
    merges = [merge if isinstance(merge, str) else _pair(merge) for merge in model.items("merges")]
    names = dict(zip(ids, ids, strict=True))
    if pieces:  # spaces of added tokens, which are found before all else, are written as they are
        names |= {text: text.replace(SPACE, " ") for text, kind in types.items() if kind == USER_DEFINED}
        merges = [merge for merge in merges if not _is_found_whole(merge, names)]
    tokens = [f"[PAD{row}]" for row in range(vocabulary)]  # as GGUF calls rows of the embedding without a token
    kinds = [UNUSED] * vocabulary
    for text, token_id in ids.items():
        tokens[token_id], kinds[token_id] = names[text], types.get(text, NORMAL)
    begin, bos = _begin(said, words, ids, space_prefix), _named(words, "bos_token", ids)
    if begin is not None and bos not in (None, begin):
        raise said.refuse("begins every text with another token than the one that is called the begin token")
    return GgufTokenizerFields(
        model=SENTENCEPIECE if pieces else BYTE_LEVEL,
        pre="" if pieces else _pre_tokenizer(said, ids).names[0],
        tokens=tuple(tokens),
        merges=tuple(merges),
        token_types=tuple(kinds),
        bos_id=bos if begin is None else begin,
        eos_id=_named(words, "eos_token", ids),
        eot_id=None,
        chat_template=template,
        adds_begin=begin is not None,
        more_end_ids=ends,
        space_prefix=space_prefix,
    )


def _added(said: Values, words: Values, vocabulary: int) -> dict[str, Mapping[str, Any]]:
    """The tokens that were added, by their texts; none whose row the embedding lacks."""
    tokens = [token for token in said.items("added_tokens") if token["id"] < vocabulary]
    for token in tokens:
        if not isinstance(token["content"], str) or {**token, **_ALONE} != token:
            raise said.refuse(f"has the added token {_short(token['content'])}, which takes in what stands around it")
    added = {token["content"]: token for token in tokens}
    whole = {text for text, token in added.items() if not token["normalized"]}
    if _can_overlap(said, whole, added.keys() - whole):
        raise said.refuse("finds added tokens one after the other that can overlap, which is not supported")
    for token_id, token in words.part("added_tokens_decoder").all().items():
        if int(token_id) < vocabulary and token["content"] not in added:
            raise words.refuse(f"adds the token {_short(token['content'])}, which {TOKENIZER} does not have")
    return added


def _can_overlap(said: Values, first: Set[str], second: Set[str]) -> bool:
    """Whether a token of one set can begin inside a token of the other."""
    if not first or not second:
        return False
    if sum(len(text) ** 2 for text in first | second) > MAX_COMPARED:
        raise said.refuse("has added tokens that are too long to be compared")
    for one, other in ((first, second), (second, first)):
        starts = {text[:end] for text in other for end in range(1, len(text) + 1)}
        rests = {text[begin:] for text in one for begin in range(len(text))}
        if not starts.isdisjoint(rests) or any(not other.isdisjoint(accumulate(rest)) for rest in rests):
            return True
    return False


def _ids(said: Values, added: Mapping[str, Mapping[str, Any]], vocabulary: int) -> dict[str, int]:
    """Every token's id by its text."""
    ids: dict[str, int] = dict(said.part("model").part("vocab").all())
    for text, token in added.items():
        if ids.setdefault(text, token["id"]) != token["id"]:
            raise said.refuse(f"gives the token {_short(text)} two ids")
    if not all(type(token_id) is int and 0 <= token_id < vocabulary for token_id in ids.values()):
        raise said.refuse(f"has ids that are none of the {vocabulary} rows of the embedding")
    if len(set(ids.values())) != len(ids):
        raise said.refuse("gives two tokens the same id")
    return ids


def _types(added: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The types of added tokens."""
    return {text: CONTROL if token["special"] else USER_DEFINED for text, token in added.items()}


def _piece_types(
    said: Values, ids: Mapping[str, int], added: Mapping[str, Mapping[str, Any]], space_prefix: bool
) -> dict[str, int]:
    """The types of tokens that are no ordinary pieces.

    An added token is found in a text before or after its spaces are written as ▁. One with a ▁ that is found before
    is found in no text that a person writes, so it is an ordinary piece.
    """
    types = {text: BYTE for text in BYTE_TOKENS if text in ids}
    for text, kind in _types(added).items():
        if (space_prefix and added[text]["normalized"]) or (kind == CONTROL and SPACE in text):
            raise said.refuse(f"finds the token {_short(text)} after it wrote spaces as {SPACE}, as it cannot here")
        if kind == CONTROL or added[text]["normalized"] or SPACE not in text:
            types[text] = kind
    return types


def _is_found_whole(merge: str, names: Mapping[str, str]) -> bool:
    """Whether a merge takes or makes an added token with spaces, which is found before anything merges."""
    left, _, right = merge.partition(" ")
    return any(names.get(text, text) != text for text in (left, right, left + right))


def _pair(merge: Sequence[str]) -> str:
    left, right = merge
    return f"{left} {right}"


def _check_model(said: Values, pieces: bool) -> None:
    """Pieces, or a byte-level BPE, that merge as the `tokenizers` package does by itself."""
    model = said.part("model")
    decoders = [step["type"] for step in _sequence(said.part("decoder").all(), "decoders")]
    if model.get("type") != "BPE" or decoders[:3] != (_PIECE_DECODERS if pieces else ["ByteLevel"]):
        found = " / ".join(str(part)[:50] for part in (model.get("type"), *decoders[:3]))
        raise said.refuse(f"is of the kind {found}, and only byte-level BPE and byte_fallback are supported")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", *(("ignore_merges",) if pieces else ())):
        if model.get(key):
            raise said.refuse(f"says {key}, which is not supported")


def _check_normalizer(said: Values) -> None:
    """Texts of bytes are read as they are."""
    for step in _sequence(said.part("normalizer").all(), "normalizers"):
        if step["type"] != "NFC":
            raise said.refuse(f"changes texts by {_short(step['type'])} before it cuts them, which is not supported")


def _space_prefix(said: Values) -> bool:
    """Whether pieces are read as if a space stood before each text; spaces are written as ▁."""
    match _sequence(said.part("normalizer").all(), "normalizers"):
        case [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]:
            prefix = True
        case [{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]:
            prefix = False
        case _:
            raise said.refuse("writes the spaces of a text in a way that is not known")
    for step in _sequence(said.part("pre_tokenizer").all(), "pretokenizers"):
        if step["type"] != "Split" or step["pattern"] != {"String": " "}:  # of which none is left
            raise said.refuse(f"cuts texts by {_short(step['type'])} in a way that is not known")
    return prefix


def _sequence(step: Mapping[str, Any], steps: str) -> list[Mapping[str, Any]]:
    """The steps of a part that may be one, several or none."""
    if step.get("type") == "Sequence":
        return list(step[steps])
    return [step] if step else []


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
            raise said.refuse(f"cuts texts by {_short(step.get('type'))} in a way that is not known")


def _begin(said: Values, words: Values, ids: Mapping[str, int], space_prefix: bool) -> int | None:
    """The token that stands before every text, if one does."""
    begin: int | None = None
    for step in _sequence(said.part("post_processor").all(), "processors"):
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
    puts_begin = words.flag("add_bos_token")
    if puts_begin is None and words.get("tokenizer_class") in _BEGINNING:
        puts_begin = True
    if puts_begin not in (None, begin is not None) or words.flag("add_eos_token"):
        raise words.refuse(f"and {TOKENIZER} differ in what they put around a text")
    if words.flag("add_prefix_space") not in (None, space_prefix):
        raise words.refuse(f"and {TOKENIZER} differ in whether a space is put before a text")
    return begin


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


def _short(value: object) -> str:
    return repr(value)[:100]

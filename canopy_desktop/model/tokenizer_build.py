"""A tokenizer.json from a GGUF's own fields, equal to llama.cpp's tokenizer on any text.

Two kinds are known: byte-level BPE with the pre-tokenizers of `pre_tokenizers.py`, where nothing is merged across a
byte without a token, and sentencepiece (`sentencepiece.py`). Where the file wants a token before every text,
tokenizer.json says so as the `tokenizers` package does.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from canopy_desktop.errors import SourceError
from canopy_desktop.model.byte_alphabet import byte_alphabet
from canopy_desktop.model.pre_tokenizers import PreTokenizer, find_pre_tokenizer
from canopy_desktop.model.sentencepiece import BYTE_TOKENS, SPACE, normalizer, ranked_merges

if TYPE_CHECKING:  # opening a bundle needs no GGUF
    from gguf import GGUFReader

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPECIAL = (CONTROL, UNKNOWN)
BYTE_LEVEL, SENTENCEPIECE = "gpt2", "llama"  # what GGUF calls them
SENTENCEPIECE_IDS = {"bos": 1, "eos": 2}  # where a file of that kind does not say them, as in llama.cpp
_T = TypeVar("_T")
# as llama.cpp ends a generation at them (src/llama-vocab.cpp, `special_eog_ids`)
_END_TEXTS = frozenset(
    {"<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>", "</s>"}
)


@dataclass(frozen=True, slots=True)
class GgufTokenizerFields:
    """What a GGUF says about its tokenizer; a token's id is its place in `tokens`."""

    model: str
    pre: str
    tokens: tuple[str, ...]
    merges: tuple[str, ...]  # for sentencepiece, in place of scores
    token_types: tuple[int, ...]
    bos_id: int | None
    eos_id: int | None
    eot_id: int | None
    chat_template: str | None
    adds_begin: bool | None = None  # None: the file leaves it to the kind
    more_end_ids: tuple[int, ...] = ()  # beside those that have a name
    scores: tuple[float, ...] = ()  # of each token; sentencepiece without merges alone
    space_prefix: bool = False  # a text is read as if a space stood before it; sentencepiece alone

    @property
    def begins(self) -> bool:
        """Whether a token stands before every text."""
        if self.adds_begin is not None:
            return self.adds_begin
        pre = find_pre_tokenizer(self.pre)
        return self.model == SENTENCEPIECE or (pre is not None and pre.begins)

    @property
    def begin_id(self) -> int | None:
        """The token that stands before every text, if one does."""
        return self.bos_id if self.begins else None

    @property
    def template_variables(self) -> tuple[tuple[str, str], ...]:
        """What the chat template calls tokens, and their text; nothing that it does not name."""
        named = {"bos_token": self.bos_id, "eos_token": self.eos_id}
        return tuple(
            (name, self.tokens[token_id])
            for name, token_id in named.items()
            if token_id is not None and name in (self.chat_template or "")
        )

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Tokens that end a generation: the ones named so, and the control tokens that are always used so."""
        named = {token_id for token_id in (self.eos_id, self.eot_id) if token_id is not None}
        usual = {
            token_id
            for token_id, (text, kind) in enumerate(zip(self.tokens, self.token_types, strict=True))
            if kind == CONTROL and text in _END_TEXTS
        }
        return tuple(sorted(named | usual | set(self.more_end_ids)))


def read_tokenizer_fields(reader: GGUFReader) -> GgufTokenizerFields:
    """Read and check a GGUF's tokenizer. Raises `SourceError` for one that this program would get wrong."""
    source = _Source(reader)
    kind = source.text("tokenizer.ggml.model")
    if kind not in (BYTE_LEVEL, SENTENCEPIECE):  # others lack most of what follows
        known = f"only byte-level BPE ({BYTE_LEVEL!r}) and sentencepiece ({SENTENCEPIECE!r}) are supported"
        raise SourceError(source.path, f"its tokenizer is of the kind {kind[:100]!r}, and {known}")
    pieces = kind == SENTENCEPIECE
    usual = SENTENCEPIECE_IDS if pieces else {}
    fields = GgufTokenizerFields(
        model=kind,
        pre="" if pieces else source.text("tokenizer.ggml.pre"),
        tokens=tuple(source.strings("tokenizer.ggml.tokens")),
        merges=() if pieces else tuple(source.strings("tokenizer.ggml.merges")),
        token_types=tuple(source.integers("tokenizer.ggml.token_type")),
        bos_id=source.optional_integer("tokenizer.ggml.bos_token_id", usual.get("bos")),
        eos_id=source.optional_integer("tokenizer.ggml.eos_token_id", usual.get("eos")),
        eot_id=source.optional_integer("tokenizer.ggml.eot_token_id"),
        chat_template=source.optional_text("tokenizer.chat_template"),
        adds_begin=source.optional_flag("tokenizer.ggml.add_bos_token"),
        scores=tuple(source.numbers("tokenizer.ggml.scores")) if pieces else (),
        space_prefix=pieces and source.optional_flag("tokenizer.ggml.add_space_prefix") is not False,
    )
    check_fields(fields, source.path)
    if source.optional_flag("tokenizer.ggml.add_eos_token"):
        raise SourceError(source.path, "its tokenizer ends every text with a token of its own, which is not supported")
    return fields


def check_fields(fields: GgufTokenizerFields, path: Path) -> None:
    """Raise `SourceError` for a tokenizer that this program would get wrong."""
    reason = _fault(fields)
    if reason is not None:
        raise SourceError(path, reason)


def build_tokenizer_json(fields: GgufTokenizerFields) -> str:
    """The text of tokenizer.json: the same for the same fields. The pre-tokenizer must be a known one."""
    vocabulary = {text: token_id for token_id, text in enumerate(fields.tokens)}
    begin = None if fields.begin_id is None else (fields.tokens[fields.begin_id], fields.begin_id)
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in fields.merges)]
    if fields.model == SENTENCEPIECE:
        tokenizer = piece_surroundings(fields.space_prefix, begin)
        merges = merges or ranked_merges(fields.tokens, fields.scores)
        tokenizer.model = models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True)
    else:
        pre = find_pre_tokenizer(fields.pre)
        if pre is None:
            raise ValueError(f"the pre-tokenizer {fields.pre!r} is not known")
        tokenizer = surroundings(vocabulary.keys(), pre, begin)
        tokenizer.model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre.whole_words)
    kinds = tuple(zip(fields.tokens, fields.token_types, strict=True))
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text, k in kinds if k in SPECIAL]
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text, k in kinds if k == USER_DEFINED])
    return tokenizer.to_str()


def surroundings(known: Collection[str], pre: PreTokenizer, begin: tuple[str, int] | None) -> Tokenizer:
    """A byte-level tokenizer but for its vocabulary and merges.

    `known`: its tokens, or of them those that stand for one byte; `begin`: the token before every text, and its id.
    """
    tokenizer = Tokenizer(models.BPE(ignore_merges=pre.whole_words))
    missing = "".join(rf"\x{{{ord(char):X}}}" for char in byte_alphabet() if char not in known)
    steps = [
        *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in pre.patterns),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        *([pre_tokenizers.Split(Regex(f"[{missing}]"), "isolated")] if missing else []),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    _begin_with(tokenizer, begin)
    return tokenizer


def piece_surroundings(space_prefix: bool, begin: tuple[str, int] | None) -> Tokenizer:
    """A sentencepiece tokenizer but for its vocabulary and merges."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    tokenizer.normalizer = normalizer(space_prefix=space_prefix)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    _begin_with(tokenizer, begin)
    return tokenizer


def _begin_with(tokenizer: Tokenizer, begin: tuple[str, int] | None) -> None:
    if begin is not None:
        text, _ = begin
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[text, "$A"], pair=[text, "$A", "$B"], special_tokens=[begin]
        )


def _fault(fields: GgufTokenizerFields) -> str | None:
    """Why this tokenizer cannot be built, or None."""
    if len(fields.tokens) != len(fields.token_types):
        return f"it has {len(fields.tokens)} tokens but {len(fields.token_types)} token types"
    if len(set(fields.tokens)) != len(fields.tokens) or "" in fields.tokens:
        return "it has a token twice, or an empty one"
    named = (("begin", fields.bos_id), ("end", fields.eos_id), ("end-of-turn", fields.eot_id))
    for name, token_id in (*named, *(("end", token_id) for token_id in fields.more_end_ids)):
        if token_id is not None and not 0 <= token_id < len(fields.tokens):
            return f"its {name} token is {token_id}, and it has {len(fields.tokens)} tokens"
    if fields.begins and (fields.bos_id is None or fields.token_types[fields.bos_id] != CONTROL):
        return "its tokenizer begins every text with a token, and names none that is a control token"
    return _piece_fault(fields) if fields.model == SENTENCEPIECE else _byte_level_fault(fields)


def _byte_level_fault(fields: GgufTokenizerFields) -> str | None:
    if find_pre_tokenizer(fields.pre) is None:
        return f"its pre-tokenizer {fields.pre[:100]!r} is not known"
    alphabet = byte_alphabet().keys()
    for token_id, (text, kind) in enumerate(zip(fields.tokens, fields.token_types, strict=True)):
        if kind not in (NORMAL, CONTROL, USER_DEFINED, UNUSED):
            return f"token {token_id} has the unknown type {kind}"
        if kind in (NORMAL, UNUSED) and not alphabet >= set(text):
            return f"token {token_id} is not written in the byte alphabet"
    return _merge_fault(fields)


def _merge_fault(fields: GgufTokenizerFields) -> str | None:
    if len(set(fields.merges)) != len(fields.merges):
        return "it has a merge twice"
    known = set(fields.tokens)
    for rank, merge in enumerate(fields.merges):
        left, _, right = merge.partition(" ")
        if left not in known or right not in known or left + right not in known:
            return f"merge {rank} is not of two tokens into a third"
    return None


def _piece_fault(fields: GgufTokenizerFields) -> str | None:
    kinds = dict(zip(fields.tokens, fields.token_types, strict=True))
    if not {NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE}.issuperset(kinds.values()):
        return "it has a token of an unknown type"
    if sorted(text for text, kind in kinds.items() if kind == BYTE) != sorted(BYTE_TOKENS):
        return "it does not have exactly one token for every byte"
    return _merge_fault(fields) if fields.merges else _score_fault(fields)


def _score_fault(fields: GgufTokenizerFields) -> str | None:
    if len(fields.scores) != len(fields.tokens) or not all(map(math.isfinite, fields.scores)):
        return "it does not have a score for every token"
    kinds = dict(zip(fields.tokens, fields.token_types, strict=True))
    made = {text: score for text, score in zip(kinds, fields.scores, strict=True) if kinds[text] == NORMAL and text[1:]}
    if len(set(made.values())) != len(made):
        return "it has tokens of equal scores, so that their merges have no order"
    if not kinds.keys() >= set("".join(made)):
        return "it has a token of a character that is no token itself"
    return None


class _Source:
    """Typed access to the fields of an open GGUF."""

    def __init__(self, reader: GGUFReader) -> None:
        self.path = Path(str(getattr(reader.data, "filename", None) or "the GGUF"))
        self._reader = reader

    def value(self, key: str) -> object:
        field = self._reader.get_field(key)
        try:
            return None if field is None else field.contents()
        except (ValueError, IndexError) as error:
            raise SourceError(self.path, f"the field {key} cannot be read") from error

    def text(self, key: str) -> str:
        return self._of_type(key, self.value(key), str)

    def optional_text(self, key: str) -> str | None:
        value = self.value(key)
        return None if value is None else self._of_type(key, value, str)

    def optional_integer(self, key: str, default: int | None = None) -> int | None:
        value = self.value(key)
        return default if value is None else self._of_type(key, value, int)

    def optional_flag(self, key: str) -> bool | None:
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            raise SourceError(self.path, f"the field {key} is neither true nor false")
        return value

    def strings(self, key: str) -> list[str]:
        return [self._of_type(key, item, str) for item in self._of_type(key, self.value(key), list)]

    def integers(self, key: str) -> list[int]:
        return [self._of_type(key, item, int) for item in self._of_type(key, self.value(key), list)]

    def numbers(self, key: str) -> list[float]:
        return [float(self._of_type(key, item, float)) for item in self._of_type(key, self.value(key), list)]

    def _of_type(self, key: str, value: object, kind: type[_T]) -> _T:
        if value is None:
            raise SourceError(self.path, f"it has no field {key}")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise SourceError(self.path, f"the field {key} is not of the type {kind.__name__}")
        return value

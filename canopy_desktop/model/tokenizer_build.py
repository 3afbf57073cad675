"""A tokenizer.json from a GGUF's own fields, equal to llama.cpp's tokenizer on any text.

Only byte-level BPE with llama.cpp's "smollm" pre-tokenizer is known: digits one by one, then GPT-2's words. Two things
are said explicitly so that no text differs, whatever Unicode version the `tokenizers` package brings: which characters
are letters and numbers (llama.cpp's tables are those of Unicode 15.1), and that nothing is merged across a byte without
a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from canopy_desktop.errors import SourceError
from canopy_desktop.model.byte_alphabet import byte_alphabet

if TYPE_CHECKING:  # opening a bundle needs no GGUF
    from gguf import GGUFReader

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
_PRE_TOKENIZERS = frozenset({"smollm"})
_T = TypeVar("_T")
_END_TEXTS = frozenset({"<|endoftext|>", "<|im_end|>"})

# Letters and numbers of Unicode 16 and 17, which llama.cpp takes for other characters.
_NEWER_LETTERS = (
    "1C89-1C8A A7CB-A7CD A7DA-A7DC 105C0-105F3 10D4A-10D65 10D6F-10D85 10EC2-10EC4 11380-11389 1138B 1138E "
    "11390-113B5 113B7 113D1 113D3 11BC0-11BE0 13460-143FA 16100-1611D 16D40-16D6C 18CFF 1E5D0-1E5ED 1E5F0"
)
_NEWER_NUMBERS = (
    "10D40-10D49 116D0-116E3 11BF0-11BF9 11DE0-11DE9 16130-16139 16D70-16D79 16FF4-16FF6 1CCF0-1CCF9 1E5F1-1E5FA"
)


@dataclass(frozen=True, slots=True)
class GgufTokenizerFields:
    """What a GGUF says about its tokenizer; a token's id is its place in `tokens`."""

    model: str
    pre: str
    tokens: tuple[str, ...]
    merges: tuple[str, ...]
    token_types: tuple[int, ...]
    bos_id: int | None
    eos_id: int | None
    eot_id: int | None
    chat_template: str | None

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Tokens that end a generation: the ones named so, and the control tokens that are always used so."""
        named = {token_id for token_id in (self.eos_id, self.eot_id) if token_id is not None}
        usual = {
            token_id
            for token_id, (text, kind) in enumerate(zip(self.tokens, self.token_types, strict=True))
            if kind == CONTROL and text in _END_TEXTS
        }
        return tuple(sorted(named | usual))


def read_tokenizer_fields(reader: GGUFReader) -> GgufTokenizerFields:
    """Read and check a GGUF's tokenizer. Raises `SourceError` for one that this program would get wrong."""
    source = _Source(reader)
    fields = GgufTokenizerFields(
        model=source.text("tokenizer.ggml.model"),
        pre=source.text("tokenizer.ggml.pre"),
        tokens=tuple(source.strings("tokenizer.ggml.tokens")),
        merges=tuple(source.strings("tokenizer.ggml.merges")),
        token_types=tuple(source.integers("tokenizer.ggml.token_type")),
        bos_id=source.optional_integer("tokenizer.ggml.bos_token_id"),
        eos_id=source.optional_integer("tokenizer.ggml.eos_token_id"),
        eot_id=source.optional_integer("tokenizer.ggml.eot_token_id"),
        chat_template=source.optional_text("tokenizer.chat_template"),
    )
    reason = _fault(fields)
    if reason is None and source.value("tokenizer.ggml.add_bos_token") is True:
        reason = "its tokenizer begins every text with a token of its own, which is not supported"
    if reason is not None:
        raise SourceError(source.path, reason)
    return fields


def build_tokenizer_json(fields: GgufTokenizerFields) -> str:
    """The text of tokenizer.json: the same for the same fields."""
    vocabulary = {text: token_id for token_id, text in enumerate(fields.tokens)}
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in fields.merges)]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(_pre_tokenizers(fields))
    tokenizer.decoder = decoders.ByteLevel()
    for text, kind in zip(fields.tokens, fields.token_types, strict=True):
        if kind == CONTROL:
            tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True)])
        elif kind == USER_DEFINED:
            tokenizer.add_tokens([AddedToken(text, normalized=False, special=False)])
    return tokenizer.to_str()


def _pre_tokenizers(fields: GgufTokenizerFields) -> list[pre_tokenizers.PreTokenizer]:
    letter = rf"[\p{{L}}&&[^{_ranges(_NEWER_LETTERS)}]]"
    number = rf"[\p{{N}}&&[^{_ranges(_NEWER_NUMBERS)}]]"
    words = rf"'s|'t|'re|'ve|'m|'ll|'d| ?{letter}+| ?{number}+| ?[^\s{letter}{number}]+|\s+(?!\S)|\s+"
    known = set(fields.tokens)
    missing = "".join(rf"\x{{{ord(char):X}}}" for char in byte_alphabet() if char not in known)
    steps = [
        pre_tokenizers.Split(Regex(number), "isolated"),
        pre_tokenizers.Split(Regex(words), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    if missing:
        steps.append(pre_tokenizers.Split(Regex(f"[{missing}]"), "isolated"))
    return steps


def _ranges(text: str) -> str:
    """Code points as a character class of Oniguruma: "41-43 61" becomes `\\x{41}-\\x{43}\\x{61}`."""
    return "".join("-".join(rf"\x{{{end}}}" for end in item.split("-")) for item in text.split())


def _fault(fields: GgufTokenizerFields) -> str | None:
    """Why this tokenizer cannot be built, or None."""
    if fields.model != "gpt2":
        return f"its tokenizer is of the kind {fields.model!r}, and only byte-level BPE ('gpt2') is known"
    if fields.pre not in _PRE_TOKENIZERS:
        return f"its pre-tokenizer is {fields.pre!r}, and only {', '.join(sorted(_PRE_TOKENIZERS))} is known"
    if len(fields.tokens) != len(fields.token_types):
        return f"it has {len(fields.tokens)} tokens but {len(fields.token_types)} token types"
    if len(set(fields.tokens)) != len(fields.tokens) or "" in fields.tokens:
        return "it has a token twice, or an empty one"
    for name, token_id in (("begin", fields.bos_id), ("end", fields.eos_id), ("end-of-turn", fields.eot_id)):
        if token_id is not None and not 0 <= token_id < len(fields.tokens):
            return f"its {name} token is {token_id}, and it has {len(fields.tokens)} tokens"
    return _token_fault(fields) or _merge_fault(fields)


def _token_fault(fields: GgufTokenizerFields) -> str | None:
    alphabet = byte_alphabet().keys()
    for token_id, (text, kind) in enumerate(zip(fields.tokens, fields.token_types, strict=True)):
        if kind not in (NORMAL, CONTROL, USER_DEFINED):
            return f"token {token_id} has the unknown type {kind}"
        if kind == NORMAL and not alphabet >= set(text):
            return f"token {token_id} is not written in the byte alphabet"
    return None


def _merge_fault(fields: GgufTokenizerFields) -> str | None:
    if len(set(fields.merges)) != len(fields.merges):
        return "it has a merge twice"
    known = set(fields.tokens)
    for rank, merge in enumerate(fields.merges):
        left, _, right = merge.partition(" ")
        if left not in known or right not in known or left + right not in known:
            return f"merge {rank} is not of two tokens into a third"
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

    def optional_integer(self, key: str) -> int | None:
        value = self.value(key)
        return None if value is None else self._of_type(key, value, int)

    def strings(self, key: str) -> list[str]:
        return [self._of_type(key, item, str) for item in self._of_type(key, self.value(key), list)]

    def integers(self, key: str) -> list[int]:
        return [self._of_type(key, item, int) for item in self._of_type(key, self.value(key), list)]

    def _of_type(self, key: str, value: object, kind: type[_T]) -> _T:
        if value is None:
            raise SourceError(self.path, f"it has no field {key}")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise SourceError(self.path, f"the field {key} is not of the type {kind.__name__}")
        return value

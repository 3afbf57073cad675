"""Text to tokens and back, byte for byte.

A `Tokenizer` is never changed after it was opened, so the window and the inference thread may use one at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from canopy_desktop.errors import BundleError, UsageError
from canopy_desktop.model.byte_alphabet import byte_alphabet
from canopy_desktop.model.sentencepiece import normalizer, token_bytes

if TYPE_CHECKING:  # the window's types need no tokenizer, and it shall not wait for one
    import tokenizers
    from tokenizers.normalizers import Normalizer

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Token:
    """One entry of the vocabulary."""

    id: int
    text: str  # for display: bytes of a split character are shown as U+FFFD
    data: bytes
    special: bool


class TokenTable(Protocol):
    """Knows tokens by their ids."""

    def token(self, token_id: int) -> Token:
        """The token with this id."""

    def tokens(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens with these ids."""


@dataclass(frozen=True, slots=True)
class LostByte:
    """A byte of the text for which the vocabulary has no token."""

    offset: int  # in the text's UTF-8
    byte: int


@dataclass(frozen=True, slots=True)
class Encoding:
    """A text's tokens, and the bytes that none of them stands for."""

    ids: tuple[int, ...]
    lost: tuple[LostByte, ...]


class Tokenizer:
    """Byte-level BPE, or sentencepiece."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        """`inner` is owned from now on, and must not be changed."""
        added = inner.get_added_tokens_decoder()
        plain = [token for token in added.values() if not token.special]
        self._with_special = inner
        self._plain = _variant(inner, inner.normalizer, plain)
        self._added = {token_id: token.content for token_id, token in added.items()}
        self._special = frozenset(token_id for token_id, token in added.items() if token.special)
        self._size = inner.get_vocab_size()
        self._has_pieces: bool = inner.model.byte_fallback  # sentencepiece
        # whether a text is read as if a space stood before it, and what reads one where none does
        self._pads = inner.normalizer is not None and inner.normalizer.normalize_str("x") != "x"
        self._inside = _variant(inner, normalizer(space_prefix=False), added.values()) if self._pads else inner
        self._byte_of = str.maketrans({char: chr(byte) for char, byte in byte_alphabet().items()})
        self._known: dict[int, Token] = {}
        needed = {} if self._has_pieces else byte_alphabet()
        missing = bytes(byte for char, byte in needed.items() if inner.token_to_id(char) is None)
        self._missing = re.compile(b"[" + re.escape(missing) + b"]") if missing else None
        before = inner.encode("", add_special_tokens=True).ids
        self._begin = before[0] if before else None

    @classmethod
    def open(cls, path: Path) -> Tokenizer:
        """Open a tokenizer.json. Raises `BundleError`."""
        import tokenizers

        try:
            return cls(tokenizers.Tokenizer.from_str(path.read_text("utf-8")))
        except OSError as error:
            raise BundleError(path, f"it cannot be read ({error.strerror})") from error
        except Exception as error:  # the package raises a bare Exception for a broken file
            raise BundleError(path, "it is not a tokenizer") from error

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, special ones included."""
        return self._size

    @property
    def special_tokens(self) -> dict[str, int]:
        """Text and id of each special token."""
        return {self._added[token_id]: token_id for token_id in sorted(self._special)}

    @property
    def begin(self) -> Token | None:
        """The special token that stands before every prompt, if the model wants one."""
        return None if self._begin is None else self.token(self._begin)

    def with_begin(self, text: str) -> str:
        """A prompt's text with the begin token's before it, unless it is there already; the empty text stays empty."""
        begin = self.begin
        return text if begin is None or not text or text.startswith(begin.text) else begin.text + text

    def encode(self, text: str, *, special: bool = True, inside: bool = False) -> Encoding:
        """The tokens of `text` alone; without `special`, the text of a special token is text like any other.

        Some models read a text as if a space stood before it, and after each special token: then the tokens' bytes are
        more than the text's (`lengths`). With `inside` the text is one that goes on, or a token by itself, and has no
        such space. Half a surrogate pair, which UTF-8 cannot express, is read as U+FFFD.
        """
        text = without_surrogates(text)
        inner = self._inside if inside else self._with_special if special else self._plain
        return Encoding(tuple(inner.encode(text, add_special_tokens=False).ids), self._lost(text.encode()))

    def token(self, token_id: int) -> Token:
        """The token with this id. Raises `UsageError` for an id outside the vocabulary."""
        known = self._known.get(token_id)
        if known is None:
            known = self._known[token_id] = self._make_token(token_id)
        return known

    def tokens(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens with these ids."""
        return tuple(self.token(token_id) for token_id in ids)

    def lengths(self, ids: Sequence[int]) -> list[int]:
        """How many bytes of a text each of its tokens stands for, of `encode` without `inside`."""
        begins = (self._pads and (not place or ids[place - 1] in self._added) for place in range(len(ids)))
        return [
            len(self.token(token_id).data) - (begun and token_id not in self._added)
            for token_id, begun in zip(ids, begins, strict=True)
        ]

    def data(self, ids: Sequence[int]) -> bytes:
        """The exact bytes that these tokens stand for."""
        return b"".join(self.token(token_id).data for token_id in ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these tokens, special ones included; bytes that are no UTF-8 become U+FFFD."""
        return self.data(ids).decode("utf-8", "replace")

    def _make_token(self, token_id: int) -> Token:
        if not 0 <= token_id < self._size:
            raise UsageError(f"There is no token {token_id}: ids go from 0 to {self._size - 1}.")
        added = self._added.get(token_id)
        text = self._with_special.id_to_token(token_id) or ""
        if added is not None:
            data = added.encode()
        elif self._has_pieces:
            data = token_bytes(text)
        else:
            data = text.translate(self._byte_of).encode("latin-1")
        return Token(token_id, data.decode("utf-8", "replace"), data, token_id in self._special)

    def _lost(self, data: bytes) -> tuple[LostByte, ...]:
        if self._missing is None:
            return ()
        return tuple(LostByte(match.start(), data[match.start()]) for match in self._missing.finditer(data))


def _variant(
    inner: tokenizers.Tokenizer, normalizer: Normalizer | None, added: Iterable[tokenizers.AddedToken]
) -> tokenizers.Tokenizer:
    """Another on the same model, which costs no memory."""
    made = type(inner)(inner.model)
    if normalizer is not None:
        made.normalizer = normalizer
    if inner.pre_tokenizer is not None:
        made.pre_tokenizer = inner.pre_tokenizer
    made.add_tokens(list(added))
    return made


def without_surrogates(text: str) -> str:
    """`text` with each lone surrogate replaced by U+FFFD, so that it has an UTF-8 form."""
    return _SURROGATE.sub("\ufffd", text)

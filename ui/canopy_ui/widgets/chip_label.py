"""What is written on a token's chip: its text with marks for what cannot be seen."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import groupby

from canopy_desktop.model.tokenizer import Token
from canopy_ui.widgets.numbers import hexadecimal

SPACE, NEWLINE, TAB, RETURN = "·", "↵", "→", "␍"
_MARKS = {" ": SPACE, "\n": NEWLINE, "\t": TAB, "\r": RETURN}
_LOST_CHARACTER = "\ufffd"
_DOTTED_CIRCLE = "◌"
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


class LabelKind(Enum):
    """How a chip is written."""

    TEXT = "text"
    SPECIAL = "special"  # a token with a meaning of its own, such as the end of the text
    BYTES = "bytes"  # a piece of a character


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text in one colour."""

    text: str
    mark: bool


@dataclass(frozen=True, slots=True)
class ChipLabel:
    """A chip's writing."""

    kind: LabelKind
    pieces: tuple[Piece, ...]
    ends_line: bool

    @property
    def text(self) -> str:
        """The writing in one string."""
        return "".join(piece.text for piece in self.pieces)


@lru_cache(maxsize=16_384)
def label_of(token: Token) -> ChipLabel:
    """The writing of a token."""
    if token.special:
        return ChipLabel(LabelKind.SPECIAL, (Piece(token.text, False),), False)
    if is_part_of_character(token):
        return ChipLabel(LabelKind.BYTES, (Piece(hexadecimal(token.data), False),), False)
    return ChipLabel(LabelKind.TEXT, _pieces(token.text), "\n" in token.text)


def is_part_of_character(token: Token) -> bool:
    """Whether its bytes are no whole characters."""
    return _LOST_CHARACTER in token.text and _LOST_CHARACTER.encode() not in token.data


def marked(token: Token) -> str:
    """A token in one line of text, with marks for whitespace."""
    return label_of(token).text


def marked_text(text: str) -> str:
    """The same for a text that has lost its token."""
    return "".join(piece.text for piece in _pieces(text))


def _pieces(text: str) -> tuple[Piece, ...]:
    shown = [_shown(character) for character in text]
    if text and unicodedata.category(text[0]).startswith("M"):
        shown.insert(0, (_DOTTED_CIRCLE, False))
    return tuple(
        Piece("".join(part for part, _ in run), mark) for mark, run in groupby(shown, key=lambda pair: pair[1])
    )


def _shown(character: str) -> tuple[str, bool]:
    if character in _MARKS:
        return _MARKS[character], True
    if unicodedata.category(character) in _INVISIBLE:
        return f"U+{ord(character):04X}", True
    return character, False

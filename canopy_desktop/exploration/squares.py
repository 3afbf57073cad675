"""The part of an attention picture that is looked at: from the whole context to one cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Square:
    """`span` places of the window on both sides, from row `top` and column `left` on."""

    top: int
    left: int
    span: int

    @property
    def rows(self) -> tuple[int, int]:
        """The first row, and the one after the last."""
        return self.top, self.top + self.span

    @property
    def columns(self) -> tuple[int, int]:
        """The first column, and the one after the last."""
        return self.left, self.left + self.span


def clamped(square: Square, length: int) -> Square:
    """The nearest square within a window of `length` places, no larger than it."""
    span = max(1, min(square.span, length))
    return Square(min(max(square.top, 0), length - span), min(max(square.left, 0), length - span), span)


def zoomed(square: Square, factor: float, row: float, column: float, length: int) -> Square:
    """Nearer by `factor`, which below 1 is further; the point at `row` and `column` stays where it was on the screen.

    A point is counted in places: 2.5 is the middle of place 2. Whatever the factor, the span changes by one or more.
    """
    span = round(square.span / factor)
    span = min(span, square.span - 1) if factor > 1 else max(span, square.span + 1)
    span = max(1, min(span, length))
    share = span / square.span
    top, left = row - (row - square.top) * share, column - (column - square.left) * share
    return clamped(Square(round(top), round(left), span), length)


def moved(square: Square, rows: int, columns: int, length: int) -> Square:
    """So many places further down and to the right, as far as the window goes."""
    return clamped(Square(square.top + rows, square.left + columns, square.span), length)


def containing(square: Square, row: int, column: int, length: int) -> Square:
    """Moved no further than it must, so that a cell is in it."""
    top = min(max(square.top, row - square.span + 1), row)
    left = min(max(square.left, column - square.span + 1), column)
    return clamped(Square(top, left, square.span), length)


def brightest(values: FloatArray, factor: int) -> FloatArray:
    """The maximum of each `factor` by `factor` cells, so that bright ones survive where cells outnumber pixels.

    NaN only where all of them are.
    """
    if factor <= 1:
        return values
    rows, columns = values.shape
    padded = np.full((-(-rows // factor) * factor, -(-columns // factor) * factor), np.nan, np.float32)
    padded[:rows, :columns] = values
    lines: FloatArray = np.fmax.reduce(padded.reshape(-1, factor, padded.shape[1]), axis=1)
    found = lines[:, ::factor].copy()
    for offset in range(1, factor):  # whole rows at once: a reduction along them is thirty times as slow
        np.fmax(found, lines[:, offset::factor], out=found)
    return found

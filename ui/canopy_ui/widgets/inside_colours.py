"""Colours of what flows inside a step, and vectors as images.

A vector is drawn in the hue of its kind where it is above zero and in grey where it is below, the stronger the further
from zero. The hues differ in lightness from the grey, and from each other along blue and yellow, so that people who see
no red or green tell them apart too (held by a test).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtGui import QColor, QImage

from canopy_desktop.arrays import ByteArray, FloatArray, IntArray
from canopy_ui.theme import Theme, mixed
from canopy_ui.widgets.inside_layout import Hue

_HUES = {
    "light": {Hue.QUERY: "#1F5FBF", Hue.KEY: "#B85400", Hue.VALUE: "#8E2C6A", "below": "#9AA5B1"},
    "dark": {Hue.QUERY: "#6FA8FF", Hue.KEY: "#FFA94D", Hue.VALUE: "#F5A3D0", "below": "#66727F"},
    "contrast": {Hue.QUERY: "#79B8FF", Hue.KEY: "#FF9A3D", Hue.VALUE: "#FFB3E0", "below": "#7D7D7D"},
}
_LEVELS = 128
FULL_SHARE = 98.0  # percent of a kind's numbers that have less than the full colour


@dataclass(frozen=True, slots=True)
class InsideColours:
    """The colours of a theme."""

    hues: dict[Hue, str]
    below: str
    ground: str

    @classmethod
    def of(cls, theme: Theme) -> InsideColours:
        """Those of this theme."""
        found = _HUES.get(theme.name, _HUES["light"])
        hues = {hue: found[hue] for hue in (Hue.QUERY, Hue.KEY, Hue.VALUE)}
        return cls({**hues, Hue.STREAM: theme.accent, Hue.REST: theme.hatch_line}, found["below"], theme.panel)

    def hue(self, hue: Hue) -> QColor:
        """A hue."""
        return QColor(self.hues[hue])

    def soft(self, hue: Hue, share: float) -> QColor:
        """A hue on the ground; `share` of the way from the ground."""
        return mixed(self.ground, self.hues[hue], share)

    def table(self, hue: Hue) -> ByteArray:
        """Red, green, blue and opacity from −1 to 1 in even steps, (2 · levels + 1, 4)."""
        steps = np.abs(np.arange(-_LEVELS, _LEVELS + 1))[:, None] / _LEVELS
        ends = np.where(np.arange(-_LEVELS, _LEVELS + 1)[:, None] > 0, _channels(self.hues[hue]), _channels(self.below))
        table: ByteArray = np.rint(_channels(self.ground) * (1 - steps) + ends * steps).astype(np.uint8)
        return table


def _channels(colour: str) -> IntArray:
    found = QColor(colour)
    return np.array([found.red(), found.green(), found.blue(), 255])


def full_of(vectors: Sequence[FloatArray]) -> float:
    """The magnitude that has the full colour: all but the largest 2 % of the numbers are below it."""
    found = float(np.percentile(np.abs(np.concatenate([np.ravel(vector) for vector in vectors])), FULL_SHARE))
    return found or 1.0


def strip_image(values: FloatArray, rows: int, full: float, table: ByteArray) -> QImage:
    """A vector as cells in `rows` lines, read like text; the colour grows with the root, so small ones are seen too."""
    columns = -(-values.size // rows)
    shares = np.zeros(rows * columns, np.float32)
    shares[: values.size] = np.sign(values) * np.sqrt(np.minimum(np.abs(values) / full, 1.0))
    levels = np.rint(shares * _LEVELS).astype(np.int64) + _LEVELS
    pixels = table[levels.reshape(rows, columns)]
    return QImage(pixels.tobytes(), columns, rows, 4 * columns, QImage.Format.Format_RGBA8888).copy()


def square_rows(size: int, width: float, height: float) -> int:
    """Lines in which cells of a vector are about as high as wide."""
    return max(1, round(math.sqrt(size * height / max(width, 1.0))))

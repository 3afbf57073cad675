"""Attention as an image: magnitudes in one hue, unknown cells left open."""

from __future__ import annotations

from functools import cache

import numpy as np
from PySide6.QtGui import QImage

from canopy_desktop.arrays import ByteArray, FloatArray
from canopy_ui.theme import Theme

LEVELS = 256


@cache
def colour_table(theme: Theme) -> ByteArray:
    """Red, green, blue and opacity of shares from 0 to 1 in even steps; read-only."""
    table = np.empty((LEVELS, 4), np.uint8)
    for level in range(LEVELS):
        colour = theme.attention_colour(level / (LEVELS - 1))
        table[level] = colour.red(), colour.green(), colour.blue(), 255
    table.setflags(write=False)
    return table


def image_of(values: FloatArray, table: ByteArray) -> QImage:
    """One pixel a cell; transparent where the value is NaN.

    values: (query, key), 0 to 1 of the full colour.
    """
    unknown = np.isnan(values)
    levels = np.clip(np.nan_to_num(values) * (LEVELS - 1) + 0.5, 0, LEVELS - 1).astype(np.uint8)
    pixels = table[levels]  # (query, key, 4)
    pixels[unknown, 3] = 0
    height, width = values.shape
    return QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


def by_row(values: FloatArray) -> FloatArray:
    """Each row as shares of its largest value; a row of zeros stays 0."""
    largest = np.fmax.reduce(values, axis=1, initial=0.0, keepdims=True)
    return np.divide(values, largest, out=values.copy(), where=largest > 0)

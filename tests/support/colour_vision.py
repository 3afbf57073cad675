"""Colours as people see them who lack the receptor for green, and how far apart two of them are."""

import numpy as np
from PySide6.QtGui import QColor

from canopy_desktop.arrays import FloatArray

_DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # of linear sRGB
_WHITE = np.array([0.9505, 1.0, 1.089])  # D65


def difference(one: QColor | str, other: QColor | str, *, deuteranopia: bool) -> float:
    """ΔE of CIE 1976: about 2 can just be told apart side by side.

    Deuteranopia is simulated on linear sRGB with severity 1.0, by the matrix in table 1 of Machado, Oliveira and
    Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE Transactions on
    Visualization and Computer Graphics 15 (6), 2009.
    """
    return float(np.linalg.norm(_lab(one, deuteranopia) - _lab(other, deuteranopia)))


def _lab(colour: QColor | str, deuteranopia: bool) -> FloatArray:
    found = QColor(colour)
    encoded = np.array([found.redF(), found.greenF(), found.blueF()])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    if deuteranopia:
        linear = np.clip(_DEUTERANOPIA @ linear, 0, 1)
    share = _XYZ @ linear / _WHITE
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])

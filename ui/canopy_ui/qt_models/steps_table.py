"""The time of each step as a table, below what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QObject

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.view import FIRST_TIMED
from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.numbers import grouped


class StepsTable(RowTable[int]):
    """Steps that came last are appended, so that a view stays where it was."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._columns = Columns((self.tr("step"), self.tr("ms")))
        self._levels: tuple[tuple[str, float], ...] = ()
        self._ms: FloatArray = np.empty(0, np.float32)
        self._nodes: tuple[int, ...] = ()

    def set_steps(self, levels: Sequence[tuple[str, float]], step_ms: FloatArray, nodes: tuple[int, ...]) -> None:
        """Show these times. levels: name and milliseconds; step_ms: (steps,); nodes: (steps,) what they chose"""
        same = len(levels) == len(self._levels)
        self._levels, self._ms, self._nodes = tuple(levels), step_ms, nodes
        self._show(range(len(levels) + step_ms.size), same=same)

    def _text(self, row: int, column: int) -> str:
        step = row - len(self._levels)
        name, ms = self._levels[row] if step < 0 else (grouped(FIRST_TIMED + step), float(self._ms[step]))
        return f"{ms:.1f}" if column else name

    def _light(self, row: int) -> Light:
        step = row - len(self._levels)
        return DARK if step < 0 else Light(node=self._nodes[step])

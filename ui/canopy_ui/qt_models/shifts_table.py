"""The likeliest next tokens before and after a block, as a table."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QObject

from canopy_desktop.exploration.blocking import ShiftBar
from canopy_ui.light import Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import percent


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    BEFORE = 1
    AFTER = 2


class ShiftsTable(RowTable[ShiftBar]):
    """One row a token."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._columns = Columns((self.tr("token"), self.tr("before"), self.tr("after")))

    def set_bars(self, bars: tuple[ShiftBar, ...]) -> None:
        """Show these tokens."""
        self._show(bars)

    def _text(self, row: ShiftBar, column: int) -> str:
        match Column(column):
            case Column.TOKEN:
                return marked(row.token)
            case Column.BEFORE:
                return percent(row.before)
            case Column.AFTER:
                return percent(row.after)

    def _light(self, row: ShiftBar) -> Light:
        return Light(token_id=row.token.id)

"""The numbers of an operation as rows."""

from __future__ import annotations

from PySide6.QtCore import QObject

from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.inside_sheets import Sheet


class SheetTable(RowTable[int]):
    """A row is made when it is asked for, and kept while it is the newest."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sheet: Sheet | None = None
        self._made: tuple[int, tuple[str, ...]] = (-1, ())

    def set_sheet(self, sheet: Sheet | None) -> None:
        """Show these numbers."""
        self._sheet = sheet
        self._made = (-1, ())
        self._show(range(sheet.count) if sheet else (), Columns(sheet.header if sheet else ()))

    def _text(self, row: int, column: int) -> str:
        if self._made[0] != row:
            self._made = row, () if self._sheet is None else self._sheet.row(row)
        return self._made[1][column]

    def _light(self, row: int) -> Light:
        return DARK if self._sheet is None else self._sheet.light(row)

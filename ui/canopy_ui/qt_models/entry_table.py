"""The entries of the command palette as rows."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

from canopy_ui.qt_models.row_table import Columns, Index, RowTable

if TYPE_CHECKING:
    from canopy_ui.entries import Entry


class Column(IntEnum):
    """The columns, in order."""

    NAME = 0
    KIND = 1
    KEYS = 2


class EntryTable(RowTable["Entry"]):
    """Name, kind and first key of each entry; what is impossible now is not enabled."""

    def __init__(self) -> None:
        super().__init__()
        self._columns = Columns(("",) * len(Column), frozenset({Column.NAME, Column.KIND}))

    def set_entries(self, entries: tuple[Entry, ...]) -> None:
        """Show these."""
        self._show(entries)

    def entry(self, row: int) -> Entry:
        """What stands in a row."""
        return self._rows[row]

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or not self._rows[index.row()].action.isEnabled():
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def _text(self, row: Entry, column: int) -> str:
        return (row.text, row.kind, row.keys[0] if row.keys else "")[column]

    def _tip(self, row: Entry, column: int) -> str:
        return row.action.whatsThis()

"""The cache map as a table: one token a row, and whether its key and value are there, in all layers alike."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QObject

from canopy_desktop.exploration.cache_view import CacheView
from canopy_desktop.exploration.view import Chip
from canopy_ui.light import Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import grouped


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    POSITION = 1
    STATE = 2


class CachedTable(RowTable[Chip]):
    """Tokens that came last are appended, so that a view stays where it was."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        titles = self.tr("token"), self.tr("position"), self.tr("cached")
        self._columns = Columns(titles, frozenset({Column.TOKEN, Column.STATE}))
        self._view: CacheView | None = None

    def set_view(self, view: CacheView | None) -> None:
        """Show this."""
        same = view is not None and self._view is not None
        self._view = view
        self._show(() if view is None else view.chips, same=same)

    def _text(self, row: Chip, column: int) -> str:
        match Column(column):
            case Column.TOKEN:
                return marked(row.token)
            case Column.POSITION:
                return grouped(row.position)
            case Column.STATE:
                return "" if self._view is None else self._state(self._view, row.position)

    def _light(self, row: Chip) -> Light:
        return Light(position=row.position)

    def _state(self, view: CacheView, position: int) -> str:
        if position in view.dropped:
            return self.tr("no longer")
        if position >= view.read:
            return self.tr("not yet")
        return self.tr("newest") if position == view.read - 1 else self.tr("yes")

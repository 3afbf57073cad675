"""The strongest links of one token, largest first: the attention panel's picture as a table."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QObject

from canopy_desktop.exploration.attention_view import LinkView, RowView
from canopy_ui.light import Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.chip_label import marked_text
from canopy_ui.widgets.numbers import grouped, percent


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    POSITION = 1
    SHARE = 2


class LinksTable(RowTable[LinkView]):
    """One row a token that is looked at."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._row: RowView | None = None
        self._columns = self._columns_of(None)

    def set_row(self, row: RowView | None) -> None:
        """Show where this token looks."""
        if row is not self._row:
            self._row = row
            self._show(() if row is None else row.links, self._columns_of(row))

    def _text(self, row: LinkView, column: int) -> str:
        match Column(column):
            case Column.TOKEN:
                return marked_text(row.text)
            case Column.POSITION:
                return grouped(row.position)
            case Column.SHARE:
                return percent(row.share)

    def _light(self, row: LinkView) -> Light:
        return Light(position=row.position)

    def _columns_of(self, row: RowView | None) -> Columns:
        share = self.tr("of the rest") if row is not None and row.look.hide_first else self.tr("share")
        return Columns((self.tr("looks at"), self.tr("position"), share))

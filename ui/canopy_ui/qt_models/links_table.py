"""The strongest links of one token, largest first: the attention panel's picture as a table."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.exploration.attention_view import LinkView, RowView
from canopy_ui.widgets.chip_label import marked_text
from canopy_ui.widgets.numbers import grouped, percent

LinkRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    POSITION = 1
    SHARE = 2


class LinksTable(QAbstractTableModel):
    """One row a token that is looked at."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._row: RowView | None = None

    def set_row(self, row: RowView | None) -> None:
        """Show where this token looks."""
        if row is not self._row:
            self.beginResetModel()
            self._row = row
            self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or self._row is None else len(self._row.links)

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        of_rest = self._row is not None and self._row.look.hide_first
        return {
            Column.TOKEN: self.tr("looks at"),
            Column.POSITION: self.tr("position"),
            Column.SHARE: self.tr("of the rest") if of_rest else self.tr("share"),
        }[Column(section)]

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if self._row is None or not index.isValid():
            return None
        link = self._row.links[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(link, Column(index.column()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return link if role == LinkRole else None


def _text(link: LinkView, column: Column) -> str:
    match column:
        case Column.TOKEN:
            return marked_text(link.text)
        case Column.POSITION:
            return grouped(link.position)
        case Column.SHARE:
            return percent(link.share)


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == Column.TOKEN else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

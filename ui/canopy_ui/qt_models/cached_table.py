"""The cache map as a table: one token a row, and whether its key and value are there, in all layers alike."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.exploration.cache_view import CacheView
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import grouped

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    POSITION = 1
    STATE = 2


class CachedTable(QAbstractTableModel):
    """Makes a cell when it is looked at; tokens that came last are appended, so that a view stays where it was."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view: CacheView | None = None

    def set_view(self, view: CacheView | None) -> None:
        """Show this."""
        before = self._view
        old, new = (0 if one is None else len(one.chips) for one in (before, view))
        if before is not None and view is not None and new > old:
            self.beginInsertRows(_NO_PARENT, old, new - 1)
            self._view = view
            self.endInsertRows()
            self.dataChanged.emit(self.index(0, 0), self.index(old - 1, len(Column) - 1))
        elif view is not None and new == old:
            self._view = view
            self.dataChanged.emit(self.index(0, 0), self.index(new - 1, len(Column) - 1))
        else:
            self.beginResetModel()
            self._view = view
            self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or self._view is None else len(self._view.chips)

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return {
            Column.TOKEN: self.tr("token"),
            Column.POSITION: self.tr("position"),
            Column.STATE: self.tr("cached"),
        }[Column(section)]

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if self._view is None or not index.isValid():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        match Column(index.column()):
            case Column.TOKEN:
                return marked(self._view.chips[index.row()].token)
            case Column.POSITION:
                return grouped(index.row())
            case Column.STATE:
                return self._state(self._view, index.row())

    def _state(self, view: CacheView, position: int) -> str:
        if position in view.dropped:
            return self.tr("no longer")
        if position >= view.read:
            return self.tr("not yet")
        return self.tr("newest") if position == view.read - 1 else self.tr("yes")


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column == Column.POSITION else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter

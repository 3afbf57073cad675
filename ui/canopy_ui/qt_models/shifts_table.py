"""The likeliest next tokens before and after a block, as a table."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.exploration.blocking import ShiftBar
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import percent

ShiftRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    BEFORE = 1
    AFTER = 2


class ShiftsTable(QAbstractTableModel):
    """One row a token."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bars: tuple[ShiftBar, ...] = ()

    def set_bars(self, bars: tuple[ShiftBar, ...]) -> None:
        """Show these tokens."""
        self.beginResetModel()
        self._bars = bars
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self._bars)

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
            Column.BEFORE: self.tr("before"),
            Column.AFTER: self.tr("after"),
        }[Column(section)]

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        bar = self._bars[index.row()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return {
                Column.TOKEN: marked(bar.token),
                Column.BEFORE: percent(bar.before),
                Column.AFTER: percent(bar.after),
            }[Column(index.column())]
        return bar if role == ShiftRole else None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == Column.TOKEN else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

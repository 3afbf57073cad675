"""The probability chart as a table, for keyboards, screen readers and copying."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.exploration.view import Bar, DistributionView
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import percent

BarRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    ID = 1
    LOGIT = 2
    PROBABILITY = 3
    KEPT = 4


class DistributionTable(QAbstractTableModel):
    """One row a bar, and a last one for all other tokens."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view: DistributionView | None = None

    def set_distribution(self, view: DistributionView | None) -> None:
        """Show this distribution."""
        self.beginResetModel()
        self._view = view
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or self._view is None else len(self._view.bars) + 1

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
            Column.ID: self.tr("id"),
            Column.LOGIT: self.tr("logit"),
            Column.PROBABILITY: self.tr("probability"),
            Column.KEPT: self.tr("settings"),
        }[Column(section)]

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        view = self._view
        if view is None or not index.isValid():
            return None
        bar = view.bars[index.row()] if index.row() < len(view.bars) else None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._of_bar(bar, Column(index.column())) if bar else self._of_others(view, Column(index.column()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return bar if role == BarRole else None

    def _of_bar(self, bar: Bar, column: Column) -> str:
        match column:
            case Column.TOKEN:
                return f"{marked(bar.token)} ✓" if bar.chosen else marked(bar.token)
            case Column.ID:
                return str(bar.token.id)
            case Column.LOGIT:
                return f"{bar.logit:.2f}"
            case Column.PROBABILITY:
                return percent(bar.probability)
            case Column.KEPT:
                return percent(bar.kept_probability) if bar.kept_probability > 0 else self.tr("removed")

    def _of_others(self, view: DistributionView, column: Column) -> str:
        match column:
            case Column.TOKEN:
                return self.tr("{count} others").format(count=f"{view.others:,}")
            case Column.PROBABILITY:
                return percent(view.others_probability)
            case Column.KEPT:
                return percent(view.others_kept_probability)
            case _:
                return ""


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == Column.TOKEN else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

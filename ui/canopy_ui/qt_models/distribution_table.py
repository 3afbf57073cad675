"""The probability chart as a table, for keyboards, screen readers and copying."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.decoding.frequencies import Frequency
from canopy_desktop.exploration.decision_view import Bar, DistributionView
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import UNKNOWN, grouped, percent
from canopy_ui.widgets.stage_words import column_title

BarRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


TOKEN, ID, LOGIT, RANK, FIRST_STAGE = range(5)  # columns; from the last on one for each stage, then that of draws


class DistributionTable(QAbstractTableModel):
    """One row a bar, and a last one for all other tokens; a column for each stage."""

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
        if parent.isValid():
            return 0
        view = self._view
        return FIRST_STAGE + (1 if view is None else len(view.columns) + (view.draws is not None))

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < self.columnCount():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if section < FIRST_STAGE:
            return (self.tr("token"), self.tr("id"), self.tr("logit"), self.tr("rank"))[section]
        view, place = self._view, section - FIRST_STAGE
        if view is None:
            return self.tr("model")
        return column_title(view.columns[place], view.settings) if place < len(view.columns) else self.tr("drawn")

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        view = self._view
        if view is None or not index.isValid():
            return None
        bar = view.bars[index.row()] if index.row() < len(view.bars) else None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._of_bar(view, bar, index.column()) if bar else self._of_others(view, index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return bar if role == BarRole else None

    def _of_bar(self, view: DistributionView, bar: Bar, column: int) -> str:
        match column:
            case 0:
                return f"{marked(bar.token)} ✓" if bar.chosen else marked(bar.token)
            case 1:
                return str(bar.token.id)
            case 2:
                return f"{bar.logit:.2f}"
            case 3:
                return grouped(bar.rank)
        place = column - FIRST_STAGE
        if place < len(view.columns):
            probability = bar.probabilities[place]
            return percent(probability) if probability > 0 or place == 0 else self._removed(bar, place)
        return "" if bar.drawn is None else _counted(bar.drawn)

    def _removed(self, bar: Bar, place: int) -> str:
        """Said once, in the first column that lacks it."""
        if place > 1 and bar.probabilities[place - 1] <= 0:
            return UNKNOWN
        return self.tr("removed")

    def _of_others(self, view: DistributionView, column: int) -> str:
        if column == TOKEN:
            return self.tr("{count} others").format(count=grouped(view.columns[0].others))
        place = column - FIRST_STAGE
        return percent(view.columns[place].others_probability) if 0 <= place < len(view.columns) else ""


def _counted(drawn: Frequency) -> str:
    low, high = drawn.interval
    return f"{drawn.count} ({percent(low)} – {percent(high)})"


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == TOKEN else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

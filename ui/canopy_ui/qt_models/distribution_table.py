"""The probability chart as a table, for keyboards, screen readers and copying."""

from __future__ import annotations

from PySide6.QtCore import QObject

from canopy_desktop.decoding.frequencies import Frequency
from canopy_desktop.exploration.decision_view import Bar, DistributionView
from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import UNKNOWN, grouped, percent
from canopy_ui.widgets.stage_words import column_title

TOKEN, ID, LOGIT, RANK, FIRST_STAGE = range(5)  # columns; from the last on one for each stage, then that of draws


class DistributionTable(RowTable[Bar | None]):
    """One row a bar, and a last one, None, for all other tokens; a column for each stage."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view: DistributionView | None = None
        self._columns = self._columns_of(None)

    def set_distribution(self, view: DistributionView | None) -> None:
        """Show this distribution."""
        self._view = view
        self._show(() if view is None else (*view.bars, None), self._columns_of(view))

    def _columns_of(self, view: DistributionView | None) -> Columns:
        stages = [self.tr("model")]
        if view is not None:
            stages = [column_title(column, view.settings) for column in view.columns]
            stages += [self.tr("drawn")] if view.draws is not None else []
        return Columns((self.tr("token"), self.tr("id"), self.tr("logit"), self.tr("rank"), *stages))

    def _text(self, row: Bar | None, column: int) -> str:
        if self._view is None:
            return ""
        return self._of_others(self._view, column) if row is None else self._of_bar(self._view, row, column)

    def _light(self, row: Bar | None) -> Light:
        return DARK if row is None else Light(token_id=row.token.id)

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

"""Where the parts of a row of the probability chart stand."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.exploration.decision_view import ChartColumn
from canopy_ui.theme import Theme

_KINDS = {
    StageName.PENALTIES: 1,
    StageName.BIAS: 1,
    StageName.MIN_TOKENS: 1,
    StageName.TEMPERATURE: 2,
    StageName.TOP_K: 3,
    StageName.TOP_P: 3,
    StageName.MIN_P: 3,
    StageName.TYPICAL_P: 3,
    None: 3,
}


class BarColumns:
    """A token, and for each group of columns a bar and a figure."""

    def __init__(self, width: int, theme: Theme, columns: Sequence[ChartColumn], *, drawn: bool = False) -> None:
        """Where there is no room for each of the `columns`, several stand for one; `drawn`: one more for many draws."""
        self._margin = theme.px(12)
        self._gap = theme.px(10)
        self._figure = theme.px(58)
        inner = max(1, width - 2 * self._margin)
        self._label = min(theme.px(140), max(round(inner * 0.26), min(theme.px(96), inner // 3)))
        room = inner - self._label
        fitting = room // (self._figure + self._gap + theme.px(30))
        wide = room // (self._figure + self._gap + theme.px(56))
        self.groups = grouped_columns(columns, max(1, fitting - drawn), max(1, wide - drawn))
        if drawn:
            self.groups = (*self.groups, ())
        self._width = room / max(1, len(self.groups))
        self._bar = max(1.0, self._width - self._gap - self._figure)

    def label(self, row: QRectF) -> QRectF:
        """Room for the token."""
        return self._line(self._margin, self._label, row)

    def bar(self, number: int, row: QRectF, share: float) -> QRectF:
        """The bar of a visible column, `share` of full width; as wide as a line where it is nearly nothing."""
        width = max(1.0, min(1.0, share) * self._bar)
        return QRectF(self.bar_left(number), row.top() + row.height() * 0.22, width, row.height() * 0.56)

    def bar_left(self, number: int) -> float:
        """Where a visible column's bars begin."""
        return self._margin + self._label + number * self._width + self._gap

    def at_share(self, number: int, share: float) -> float:
        """The place of a share of full width on a visible column's scale."""
        return self.bar_left(number) + min(1.0, max(0.0, share)) * self._bar

    def figure(self, number: int, row: QRectF) -> QRectF:
        """Room for a visible column's figure."""
        right = self._margin + self._label + (number + 1) * self._width
        return self._line(right - self._figure, self._figure, row)

    def head(self, number: int, row: QRectF) -> QRectF:
        """Room for a visible column's heading."""
        return QRectF(self.bar_left(number), row.top(), self._width - self._gap, row.height())

    def _line(self, left: float, width: float, row: QRectF) -> QRectF:
        """Higher than a low row: a line of text is higher than its letters, and would be clipped."""
        return QRectF(left, row.top() - 3, width, row.height() + 6)


def grouped_columns(columns: Sequence[ChartColumn], fitting: int, wide: int) -> tuple[tuple[int, ...], ...]:
    """The places of the columns that stand for each visible one, which shows what the last of them left.

    Each for itself where all are `wide`; else penalties, temperature and cuts; else all settings together; where one
    is `fitting`, only what is left in the end.
    """
    places = range(len(columns))
    if len(columns) <= wide:
        return tuple((place,) for place in places)
    kinds = [_KINDS.get(column.stage, 0) for column in columns]
    by_kind = tuple(tuple(place for place in places if kinds[place] == kind) for kind in sorted(set(kinds)))
    if len(by_kind) <= fitting:
        return by_kind
    return ((0,), tuple(places[1:])) if fitting > 1 else (tuple(places),)

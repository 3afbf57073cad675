"""Where the parts of a row of the probability chart stand."""

from __future__ import annotations

from PySide6.QtCore import QRectF

from canopy_ui.theme import Theme


class BarColumns:
    """A token, and for each column that there is room for a bar and a figure."""

    def __init__(self, width: int, theme: Theme, *, count: int, needed: int = 1) -> None:
        """`count` columns; where they do not fit the `needed` last ones go before the first, and that before others."""
        self._margin = theme.px(12)
        self._gap = theme.px(10)
        self._figure = theme.px(60)
        inner = max(1, width - 2 * self._margin)
        self._label = min(theme.px(150), max(round(inner * 0.26), min(theme.px(96), inner // 3)))
        room = inner - self._label
        fitting = max(needed, room // (self._figure + self._gap + theme.px(34)))
        self.places = tuple(range(count)) if count <= fitting else _most_telling(count, fitting, needed)
        self._width = room / max(1, len(self.places))
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

    def number_at(self, x: float) -> int | None:
        """The visible column at a place; None left of them all."""
        number = int((x - self._margin - self._label) // self._width)
        return number if 0 <= number < len(self.places) else None

    def _line(self, left: float, width: float, row: QRectF) -> QRectF:
        """Higher than a low row: a line of text is higher than its letters, and would be clipped."""
        return QRectF(left, row.top() - 3, width, row.height() + 6)


def _most_telling(count: int, fitting: int, needed: int) -> tuple[int, ...]:
    """The first column, and as many of the last ones as there is room for."""
    if fitting <= needed:
        return tuple(range(count - needed, count))
    return (0, *range(count - fitting + 1, count))

"""Where the parts of a row of the probability chart stand."""

from __future__ import annotations

from PySide6.QtCore import QRectF

from canopy_ui.theme import Theme


class BarColumns:
    """Token, bar, the model's figure and, with sampling, the figure after the settings."""

    def __init__(self, width: int, theme: Theme, *, sampling: bool) -> None:
        self.sampling = sampling
        self._margin = theme.px(12)
        self._gap = theme.px(8)
        self._figure = theme.px(60)
        figures = self._figure * (2 if sampling else 1)
        inner = max(1, width - 2 * self._margin - figures)
        self._label = min(theme.px(150), max(round(inner * 0.4), min(theme.px(96), inner // 2)))
        self._bar_left = self._margin + self._label + self._gap
        self._bar = max(1, width - self._margin - figures - self._gap - self._bar_left)
        self._right = width - self._margin

    def label(self, row: QRectF) -> QRectF:
        """Room for the token."""
        return self._line(self._margin, self._label, row)

    def raw_bar(self, row: QRectF, share: float) -> QRectF:
        """The bar of the model's own probability, `share` of full width."""
        height, top = (0.36, 0.18) if self.sampling else (0.56, 0.22)
        return self._bar_rect(row, share, top, height)

    def kept_bar(self, row: QRectF, share: float) -> QRectF:
        """The thinner bar of what the settings made of it."""
        return self._bar_rect(row, share, 0.6, 0.2)

    def raw_figure(self, row: QRectF) -> QRectF:
        """Room for the model's own figure."""
        right = self._right - (self._figure if self.sampling else 0)
        return self._line(right - self._figure, self._figure, row)

    def kept_figure(self, row: QRectF) -> QRectF:
        """Room for the figure after the settings."""
        return self._line(self._right - self._figure, self._figure, row)

    def _line(self, left: float, width: float, row: QRectF) -> QRectF:
        """Higher than a low row: a line of text is higher than its letters, and would be clipped."""
        return QRectF(left, row.top() - 3, width, row.height() + 6)

    def _bar_rect(self, row: QRectF, share: float, top: float, height: float) -> QRectF:
        width = max(1.0, min(1.0, share) * self._bar)
        return QRectF(self._bar_left, row.top() + row.height() * top, width, row.height() * height)

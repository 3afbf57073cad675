"""Pairs of bars: what the model assigned to a token before a change, and after it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.exploration.blocking import ShiftBar
from canopy_ui.theme import Theme
from canopy_ui.widgets.candidate_rows import CandidateRows
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import percent

_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_ROW, _TOP = 36, 20
_LEAST_ROW = 25


class ShiftChart(CandidateRows):
    """A quiet bar for before, one in the accent for after; all on one scale."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._bars: tuple[ShiftBar, ...] = ()
        self.setAccessibleName(self.tr("Next-token probabilities before and after"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.updateGeometry()
        self.update()

    def set_bars(self, bars: tuple[ShiftBar, ...]) -> None:
        """Show these tokens."""
        self._bars = bars
        told = self.tr("“{token}” before {before}, after {after}")
        self.setAccessibleDescription(
            "; ".join(
                told.format(token=marked(bar.token), before=percent(bar.before), after=percent(bar.after))
                for bar in bars
            )
        )
        self.updateGeometry()
        self.update()

    def scale_maximum(self) -> float:
        """The probability that a bar of full width has."""
        return max((max(bar.before, bar.after) for bar in self._bars), default=1.0) or 1.0

    def bars_of(self, row: int) -> tuple[QRectF, QRectF]:
        """Where the bars before and after of a token stand."""
        theme, bar = self._theme, self._bars[row]
        left, right = self._columns()
        height = self._row_height()
        top = theme.px(_TOP) + row * height
        thick = max(6.0, height * 0.34)
        room, scale = right - left, self.scale_maximum()
        before = QRectF(left, top + height * 0.12, max(1.0, room * bar.before / scale), thick)
        after = QRectF(left, before.bottom() + 1, max(1.0, room * bar.after / scale), thick)
        return before, after

    def token_ids(self) -> tuple[int, ...]:
        return tuple(bar.token.id for bar in self._bars)

    def row_rect(self, row: int) -> QRectF:
        height = self._row_height()
        return QRectF(0, self._theme.px(_TOP) + row * height, self.width(), height)

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(280), self._theme.px(_TOP + _ROW * max(1, len(self._bars))))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(180), self._theme.px(_TOP + _LEAST_ROW * max(1, len(self._bars))))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_lit(painter)
        self._paint_header(painter)
        left, right = self._columns()
        height = self._row_height()
        for row, bar in enumerate(self._bars):
            line = self.row_rect(row)
            painter.setFont(theme.token_font(15))
            painter.setPen(QColor(theme.text))
            room = left - theme.px(8)
            name = painter.fontMetrics().elidedText(marked(bar.token), Qt.TextElideMode.ElideRight, round(room))
            painter.drawText(QRectF(0, line.top(), room, height), _LEFT, name)
            before, after = self.bars_of(row)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.bar))
            painter.drawRoundedRect(before, 2, 2)
            painter.setBrush(QColor(theme.accent))
            painter.drawRoundedRect(after, 2, 2)
            painter.setFont(theme.font(15))
            painter.setPen(QColor(theme.text))
            figures = QRectF(right, line.top(), self.width() - right, height)
            half = figures.width() / 2
            painter.drawText(figures.adjusted(0, 0, -half, 0), _RIGHT, percent(bar.before))
            painter.drawText(figures.adjusted(half, 0, 0, 0), _RIGHT, percent(bar.after))
        painter.end()

    def _paint_header(self, painter: QPainter) -> None:
        theme = self._theme
        _, right = self._columns()
        painter.setFont(theme.font(13))
        figures = QRectF(right, 0, self.width() - right, theme.px(_TOP))
        half = figures.width() / 2
        painter.setPen(QColor(theme.secondary))
        painter.drawText(figures.adjusted(0, 0, -half, 0), _RIGHT, self.tr("before"))
        painter.setPen(QPen(QColor(theme.accent)))
        painter.drawText(figures.adjusted(half, 0, 0, 0), _RIGHT, self.tr("after"))

    def _columns(self) -> tuple[float, float]:
        """Where the bars begin, and where their room ends."""
        theme = self._theme
        left = min(theme.px(110), self.width() * 0.3)
        return left, max(left + 10, self.width() - theme.px(124))

    def _row_height(self) -> float:
        room = (self.height() - self._theme.px(_TOP)) / max(1, len(self._bars))
        return min(self._theme.px(_ROW), room)

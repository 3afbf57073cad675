"""The time of each step, as a small plot."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.arrays import FloatArray
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped, milliseconds

_NICE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)


class TimePlot(QWidget):
    """A line from the first step to the newest; the axis begins at 0 and says where it ends."""

    step_hovered = Signal(object)  # the place of a step, of several at one point the slowest; or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._step_ms: FloatArray = np.empty(0, np.float32)
        self._top_ms = 1
        self._hovered: int | None = None
        self._lit: int | None = None  # a step whose token is under the mouse, here or elsewhere
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Time per token"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.setMaximumWidth(theme.px(420))
        self.updateGeometry()
        self.update()

    def set_times(self, step_ms: FloatArray) -> None:
        """Show these steps. step_ms: (steps,)"""
        if step_ms.shape == self._step_ms.shape and np.array_equal(step_ms, self._step_ms):
            return
        self._step_ms = step_ms
        self.setAccessibleDescription(self._words())
        self._top_ms = axis_maximum(float(np.nanmax(step_ms)) if step_ms.size else 0.0)
        self.update()

    def set_lit(self, step: int | None) -> None:
        """Mark the step whose token is under the mouse."""
        if step != self._lit:
            for each in (self._lit, step):
                if each is not None and each < self._step_ms.size:
                    self.update(self.mark_of(each).toAlignedRect())
            self._lit = step

    def mark_of(self, step: int) -> QRectF:
        """Where the mark of a step stands."""
        area, thick = self._area(), self._theme.px(1.5)
        return QRectF(
            area.left() + step // self._factor() * self._pitch() - thick / 2, area.top(), thick, area.height()
        )

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._step_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def _set_hovered(self, step: int | None) -> None:
        if step != self._hovered:
            self._hovered = step
            self.step_hovered.emit(step)

    def _step_at(self, point: QPointF) -> int | None:
        area, factor = self._area(), self._factor()
        at = round((point.x() - area.left()) / self._pitch()) * factor
        if point.y() < area.top() or not 0 <= at < self._step_ms.size:
            return None
        return at + int(np.nan_to_num(self._step_ms[at : at + factor]).argmax())

    def _factor(self) -> int:
        """Steps at one point of the line."""
        return max(1, -(-self._step_ms.size // max(2, round(self._area().width()))))

    def _pitch(self) -> float:
        """From one point of the line to the next."""
        points = -(-self._step_ms.size // self._factor())
        return self._area().width() / max(1, points - 1)

    def _area(self) -> QRectF:
        theme = self._theme
        widest = self.tr("{maximum} ms").format(maximum="1,000")
        left = QFontMetrics(theme.font(12)).horizontalAdvance(widest) + theme.px(6)
        head = theme.px(17)
        return QRectF(left, head + theme.px(5), self.width() - left - 2, self.height() - head - theme.px(9))

    def _words(self) -> str:
        times = self._step_ms[~np.isnan(self._step_ms)]
        if not times.size:
            return ""
        return self.tr("{count} steps from {least} to {most}, the newest {newest}").format(
            count=grouped(self._step_ms.size),
            least=milliseconds(float(times.min())),
            most=milliseconds(float(times.max())),
            newest=milliseconds(float(times[-1])),
        )

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(100), self._theme.px(42))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(100), self._theme.px(42))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(12))
        painter.setPen(QColor(theme.secondary))
        metrics = painter.fontMetrics()
        label = self.tr("{maximum} ms").format(maximum=f"{self._top_ms:,}")
        plot = self._area()
        align = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, self.width(), theme.px(17)), align, self.tr("time per token"))
        right = align | Qt.AlignmentFlag.AlignRight
        line_height = metrics.height()
        if not self._step_ms.size:
            painter.end()
            return
        box = QRectF(0, plot.top() - line_height / 2 + 1, plot.left() - theme.px(6), line_height)
        painter.drawText(box, right, label)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(plot.topLeft(), plot.topRight())
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        self._paint_line(painter, plot)
        if self._lit is not None and self._lit < self._step_ms.size:
            painter.fillRect(self.mark_of(self._lit), QColor(theme.text))
        painter.end()

    def _paint_line(self, painter: QPainter, plot: QRectF) -> None:
        times = _slowest(self._step_ms, self._factor())
        if times.size == 0:
            return
        x = plot.left() + np.arange(times.size) * self._pitch()
        y = plot.bottom() - np.clip(np.nan_to_num(times) / self._top_ms, 0, 1) * plot.height()
        colour = QColor(self._theme.accent)
        if times.size == 1:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawEllipse(QPointF(float(x[0]), float(y[0])), 2.5, 2.5)
            return
        painter.setPen(QPen(colour, 1.8))
        painter.drawPolyline(QPolygonF([QPointF(float(a), float(b)) for a, b in zip(x, y, strict=True)]))


def axis_maximum(value: float) -> int:
    """The end of an axis that holds `value`: 1, 2 or 5 times a power of ten."""
    return next((nice for nice in _NICE if nice >= value), round(value))


def _slowest(step_ms: FloatArray, factor: int) -> FloatArray:
    """Of every so many neighbours the slowest."""
    if factor <= 1:
        return step_ms
    padded = np.full(-(-step_ms.size // factor) * factor, -np.inf, np.float32)
    padded[: step_ms.size] = step_ms
    slowest: FloatArray = padded.reshape(-1, factor).max(axis=1)
    return slowest

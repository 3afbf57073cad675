"""The time of each step, as a small plot."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.arrays import FloatArray
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped, milliseconds

_NICE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)


class TimePlot(QWidget):
    """A line from the first step to the newest; the axis begins at 0 and says where it ends."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._step_ms: FloatArray = np.empty(0, np.float32)
        self._top_ms = 1
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
        left = metrics.horizontalAdvance(self.tr("{maximum} ms").format(maximum="1,000")) + theme.px(6)
        head = theme.px(17)
        align = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, self.width(), head), align, self.tr("time per token"))
        plot = QRectF(left, head + theme.px(5), self.width() - left - 2, self.height() - head - theme.px(9))
        right = align | Qt.AlignmentFlag.AlignRight
        line_height = metrics.height()
        if not self._step_ms.size:
            painter.end()
            return
        painter.drawText(QRectF(0, plot.top() - line_height / 2 + 1, left - theme.px(6), line_height), right, label)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(plot.topLeft(), plot.topRight())
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        self._paint_line(painter, plot)
        painter.end()

    def _paint_line(self, painter: QPainter, plot: QRectF) -> None:
        times = _slowest(self._step_ms, max(2, round(plot.width())))
        if times.size == 0:
            return
        x = plot.left() + np.arange(times.size) * (plot.width() / max(1, times.size - 1))
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


def _slowest(step_ms: FloatArray, points: int) -> FloatArray:
    """At most so many points, each the slowest of its neighbours."""
    factor = -(-step_ms.size // points)
    if factor <= 1:
        return step_ms
    padded = np.full(-(-step_ms.size // factor) * factor, -np.inf, np.float32)
    padded[: step_ms.size] = step_ms
    slowest: FloatArray = padded.reshape(-1, factor).max(axis=1)
    return slowest

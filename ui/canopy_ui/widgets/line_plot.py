"""Lines over an axis that begins at 0, each named where it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.arrays import DoubleArray
from canopy_ui.theme import Theme

_TICKS = 5  # at most so many steps on an axis
_PITCH = 1.5  # of a line's height: labels stand this far apart or more
_POINTS = 24  # up to so many, each is marked


class Stroke(Enum):
    """How a line is drawn: told apart by more than its colour."""

    ACCENT = "accent"
    TEXT = "text"
    DASHED = "dashed"
    DOTTED = "dotted"


@dataclass(frozen=True, slots=True, eq=False)
class PlotLine:
    """Points from left to right; a single one is a dot."""

    name: str
    x: DoubleArray = field(repr=False)  # (points,)
    y: DoubleArray = field(repr=False)  # (points,), finite
    stroke: Stroke = Stroke.ACCENT


@dataclass(frozen=True, slots=True)
class PlotLevel:
    """A height across the whole plot."""

    name: str
    y: float
    stroke: Stroke = Stroke.DASHED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plot:
    """What is drawn, and what its axes are called, with units."""

    x_name: str
    y_name: str
    lines: tuple[PlotLine, ...] = ()
    levels: tuple[PlotLevel, ...] = ()
    x_from_zero: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is no point."""
        return not any(line.x.size for line in self.lines)


class LinePlot(QWidget):
    """Says nothing but what it is given; the table beside it has the same figures."""

    point_hovered = Signal(
        object
    )  # the place of a point of the first line, of several at one pixel the highest; or None

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plot: Plot | None = None
        self._hovered: int | None = None
        self._lit: int | None = None  # a point of the first line that is under the mouse, here or elsewhere
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(name)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._font, self._strong = theme.font(15), theme.font(15, strong=True)
        self._metrics = QFontMetricsF(self._strong)
        self.updateGeometry()
        self.update()

    def set_plot(self, plot: Plot | None, described: str = "") -> None:
        """Show this; `described` says the same in words."""
        self._plot = plot
        self.setAccessibleDescription(" ".join(part for part in (described, _ends_of(plot)) if part))
        self.update()

    def plot(self) -> Plot | None:
        """What is shown."""
        return self._plot

    def set_lit(self, point: int | None) -> None:
        """Mark a point of the first line."""
        if point != self._lit:
            was, self._lit = self._lit, point
            for each in (was, point):
                mark = self.mark_of(each)
                if mark is not None:
                    self.update(mark.toAlignedRect())

    def mark_of(self, point: int | None) -> QRectF | None:
        """Where the mark of a point of the first line stands; None where there is none."""
        plot = self._plot
        if plot is None or point is None or not plot.lines or point >= plot.lines[0].x.size:
            return None
        area, across, _ = self._frame(plot)
        thick = self._theme.px(1.5)
        x = area.left() + across.share(float(plot.lines[0].x[point])) * area.width()
        return QRectF(x - thick / 2, area.top(), thick, area.height())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._point_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def _set_hovered(self, point: int | None) -> None:
        if point != self._hovered:
            self._hovered = point
            self.point_hovered.emit(point)

    def _point_at(self, place: QPointF) -> int | None:
        plot = self._plot
        if plot is None or plot.empty or not plot.lines[0].x.size:
            return None
        area, across, _ = self._frame(plot)
        if not area.adjusted(-2, 0, 2, 0).contains(place):
            return None
        x, y = plot.lines[0].x, plot.lines[0].y
        per_pixel = (across.last - across.first) / area.width()
        meant = across.first + (place.x() - area.left()) * per_pixel
        first, end = np.searchsorted(x, (meant - per_pixel / 2, meant + per_pixel / 2))
        if end > first:
            return int(first) + int(y[first:end].argmax())
        return int(np.abs(x - meant).argmin())

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(420), self._theme.px(220))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(260), self._theme.px(130))

    def paintEvent(self, event: QPaintEvent) -> None:
        plot = self._plot
        if plot is None or plot.empty:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area, across, up = self._frame(plot)
        self._paint_axes(painter, plot, area, across, up)
        ends: list[tuple[float, str, Stroke]] = []
        for level in plot.levels:
            y = area.bottom() - level.y / up.last * area.height()
            painter.setPen(self._pen(level.stroke, 1.5))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            ends.append((y, level.name, level.stroke))
        for line in plot.lines:
            if line.x.size:
                y = self._paint_line(painter, line, area, across, up, event.rect())
                ends.append((y, line.name, line.stroke))
        self._paint_names(painter, area, ends)
        mark = self.mark_of(self._lit)
        if mark is not None:
            painter.fillRect(mark, QColor(self._theme.text))
        painter.end()

    def _frame(self, plot: Plot) -> tuple[QRectF, Axis, Axis]:
        """Where the lines stand, and the axes across and up."""
        room = self.height() - 3 * self._metrics.height()
        across, up = _range_of(plot, int(room / (_PITCH * self._metrics.height())))
        return self._area(plot, up), across, up

    def _area(self, plot: Plot, up: Axis) -> QRectF:
        px, line = self._theme.px, self._metrics.height()
        left = max(self._metrics.horizontalAdvance(up.label(tick)) for tick in up.ticks()) + px(8)
        names = [line.name for line in plot.lines] + [level.name for level in plot.levels]
        right = max((self._metrics.horizontalAdvance(name) for name in names), default=0.0) + px(12)
        top = line + px(6)
        return QRectF(left, top, max(px(40), self.width() - left - right), self.height() - top - 2 * line - px(6))

    def _paint_axes(self, painter: QPainter, plot: Plot, area: QRectF, across: Axis, up: Axis) -> None:
        theme, line = self._theme, self._metrics.height()
        painter.setFont(self._font)
        for tick in up.ticks():
            y = area.bottom() - tick / up.last * area.height()
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(theme.secondary))
            box = QRectF(0, y - line / 2, area.left() - theme.px(6), line)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, up.label(tick))
        for tick in across.ticks():
            x = area.left() + across.share(tick) * area.width()
            box = QRectF(x - theme.px(60), area.bottom() + theme.px(2), theme.px(120), line)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, across.label(tick))
        head = QRectF(0, 0, self.width(), line)
        painter.drawText(head, Qt.AlignmentFlag.AlignLeft, plot.y_name)
        foot = QRectF(area.left(), area.bottom() + line + theme.px(2), area.width(), line)
        painter.drawText(foot, Qt.AlignmentFlag.AlignHCenter, plot.x_name)

    def _paint_line(
        self, painter: QPainter, line: PlotLine, area: QRectF, across: Axis, up: Axis, seen: QRect
    ) -> float:
        """Paint what is seen of it. Returns the height at which it ends."""
        xs = area.left() + (line.x - across.first) / max(across.last - across.first, 1e-9) * area.width()
        ys = area.bottom() - line.y / up.last * area.height()
        xs, ys = _thinned(xs, ys, area.width())
        last = float(ys[-1])
        if line.stroke not in (Stroke.DASHED, Stroke.DOTTED):  # whose pattern counts from the first point
            reach = self._theme.px(4)
            first, end = np.searchsorted(xs, (seen.left() - reach, seen.right() + reach))
            xs, ys = xs[max(0, first - 1) : end + 1], ys[max(0, first - 1) : end + 1]
        points = [QPointF(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(self._pen(line.stroke, 2.2))
        painter.drawPolyline(QPolygonF(points))
        if line.x.size <= _POINTS:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._colour(line.stroke))
            for point in points:
                painter.drawEllipse(point, self._theme.px(3), self._theme.px(3))
        return last

    def _paint_names(self, painter: QPainter, area: QRectF, ends: Sequence[tuple[float, str, Stroke]]) -> None:
        line = self._metrics.height()
        painter.setFont(self._strong)
        heights = spread([end[0] for end in ends], line, area.top() - line / 2, area.bottom() + line / 2)
        for (_, name, stroke), y in zip(ends, heights, strict=True):
            painter.setPen(self._colour(stroke))
            box = QRectF(area.right() + self._theme.px(8), y - line / 2, self.width(), line)
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)

    def _colour(self, stroke: Stroke) -> QColor:
        theme = self._theme
        return QColor(
            {
                Stroke.ACCENT: theme.accent,
                Stroke.TEXT: theme.text,
                Stroke.DASHED: theme.secondary,
                Stroke.DOTTED: theme.secondary,
            }[stroke]
        )

    def _pen(self, stroke: Stroke, width: float) -> QPen:
        pen = QPen(self._colour(stroke), width * self._theme.zoom)
        if stroke is Stroke.DASHED:
            pen.setStyle(Qt.PenStyle.DashLine)
        elif stroke is Stroke.DOTTED:
            pen.setStyle(Qt.PenStyle.DotLine)
        return pen


@dataclass(frozen=True, slots=True)
class Axis:
    """From `first` to `last`, with a tick at every multiple of `step`."""

    first: float
    last: float
    step: float

    @classmethod
    def of(cls, first: float, last: float, *, whole: bool = False, steps: int = _TICKS) -> Axis:
        """An axis of at most so many steps that holds both, up to a round number.

        `whole`: of whole numbers, from the first to the last.
        """
        span = max(last - first, 1e-9)
        step = 10.0 ** math.floor(math.log10(span / steps))
        step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= steps)
        if whole:
            return cls(first, max(last, first + 1), max(1.0, step))
        return cls(first, step * math.ceil(last / step - 1e-9), step)

    def ticks(self) -> list[float]:
        """Where labels stand."""
        lowest, highest = math.ceil(self.first / self.step - 1e-9), math.floor(self.last / self.step + 1e-9)
        return [number * self.step for number in range(lowest, highest + 1)]

    def share(self, value: float) -> float:
        """Of the way from the first to the last."""
        return (value - self.first) / max(self.last - self.first, 1e-9)

    def label(self, tick: float) -> str:
        """With no more decimals than the step has."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        return f"{tick:,.{decimals}f}"


def spread(heights: Sequence[float], pitch: float, top: float, bottom: float) -> list[float]:
    """The same heights moved apart by at least `pitch`, in their order, from `top` to `bottom` where they have room."""
    order = sorted(range(len(heights)), key=lambda at: heights[at])
    placed = [0.0] * len(heights)
    least = top + pitch / 2
    for at in order:
        placed[at] = max(heights[at], least)
        least = placed[at] + pitch
    most = bottom - pitch / 2
    for at in reversed(order):
        placed[at] = min(placed[at], most)
        most = placed[at] - pitch
    return placed


def _range_of(plot: Plot, steps_up: int) -> tuple[Axis, Axis]:
    xs = np.concatenate([line.x for line in plot.lines])
    ys = np.concatenate([line.y for line in plot.lines])
    top = max(float(ys.max()), *(level.y for level in plot.levels), 1e-9)
    across = Axis.of(0.0 if plot.x_from_zero else float(xs.min()), float(xs.max()), whole=True)
    return across, Axis.of(0.0, top, steps=min(max(steps_up, 1), _TICKS))


def _thinned(xs: DoubleArray, ys: DoubleArray, width: float) -> tuple[DoubleArray, DoubleArray]:
    """At most two points a pixel: the highest and the lowest of their neighbours, so that no peak is lost."""
    factor = int(xs.size // max(1.0, width))
    if factor < 2:
        return xs, ys
    starts = np.arange(0, xs.size, factor)
    low, high = np.minimum.reduceat(ys, starts), np.maximum.reduceat(ys, starts)
    return np.repeat(xs[starts], 2), np.stack([high, low], axis=1).reshape(-1)


def _ends_of(plot: Plot | None) -> str:
    """Where each line begins and ends."""
    if plot is None:
        return ""
    told = QCoreApplication.translate("LinePlot", "{name}: {y} {first:.4g} at {x} {from_x:g}, {last:.4g} at {to_x:g}.")
    return " ".join(
        told.format(
            name=line.name or plot.y_name, y=plot.y_name, x=plot.x_name,
            first=line.y[0], last=line.y[-1], from_x=line.x[0], to_x=line.x[-1],
        )
        for line in plot.lines
        if line.x.size
    )  # fmt: skip

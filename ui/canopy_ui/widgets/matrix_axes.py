"""The labels of the attention matrix: tokens where they fit, positions elsewhere."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from canopy_desktop.arrays import IntArray
from canopy_desktop.exploration.attention_view import AttentionView
from canopy_ui.theme import Theme
from canopy_ui.widgets.look_words import short_text
from canopy_ui.widgets.matrix_geometry import MatrixGeometry

_TURN = -58.0  # degrees, of the labels at the top
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_BELOW = Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignHCenter
_ELIDE = Qt.TextElideMode.ElideRight


class MatrixAxes:
    """Paints both axes; the rows and columns that are looked at, in the accent."""

    def __init__(
        self,
        view: AttentionView,
        geometry: MatrixGeometry,
        theme: Theme,
        *,
        rows: Collection[int],
        columns: Collection[int],
    ) -> None:
        self._view, self._geometry, self._theme = view, geometry, theme
        self._rows, self._columns = rows, columns
        self._plain, self._strong = theme.font(15), theme.font(15, strong=True)

    def paint(self, painter: QPainter) -> None:
        """Paint beside the rows, and above the columns."""
        if self._geometry.row_tokens:
            self._paint_row_tokens(painter)
        else:
            self._paint_row_positions(painter)
        if self._geometry.column_tokens:
            self._paint_column_tokens(painter)
        else:
            self._paint_column_positions(painter)

    def _paint_row_tokens(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        width = geometry.left - theme.px(8)
        for row in self._known(geometry.square.rows):
            self._use(painter, row in self._rows)
            text = painter.fontMetrics().elidedText(axis_text(self._view, row), _ELIDE, round(width))
            middle = geometry.cell(row, geometry.square.left).center().y()
            painter.drawText(QRectF(theme.px(2), middle - theme.px(12), width, theme.px(24)), _RIGHT, text)

    def _paint_column_tokens(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        room = round(geometry.top * 1.2)
        for column in self._known(geometry.square.columns):
            self._use(painter, column in self._columns)
            metrics = painter.fontMetrics()
            painter.save()
            painter.translate(geometry.cell(geometry.square.top, column).center().x(), geometry.top - theme.px(3))
            painter.rotate(_TURN)
            text = metrics.elidedText(axis_text(self._view, column), _ELIDE, room)
            painter.drawText(QPointF(0, metrics.ascent() * 0.35), text)
            painter.restore()

    def _paint_row_positions(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        self._use_quiet(painter)
        half = theme.px(12)
        for row in self._ticks(geometry.square.rows, theme.px(20)):
            middle = geometry.cell(row, geometry.square.left).center().y()
            box = QRectF(0, middle - half, geometry.left - theme.px(5), 2 * half)
            painter.drawText(box, _RIGHT, position_text(self._view, row))

    def _paint_column_positions(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        self._use_quiet(painter)
        last = position_text(self._view, self._view.positions.size - 1)
        widest = painter.fontMetrics().horizontalAdvance(last) + theme.px(12)
        for column in self._ticks(geometry.square.columns, widest):
            middle = geometry.cell(geometry.square.top, column).center().x()
            box = QRectF(middle - widest, 0, 2 * widest, geometry.top - theme.px(2))
            painter.drawText(box, _BELOW, position_text(self._view, column))

    def _known(self, places: tuple[int, int]) -> range:
        return range(places[0], min(places[1], len(self._view.tokens)))

    def _ticks(self, places: tuple[int, int], least: float) -> list[int]:
        step = tick_step(places[1] - places[0], self._geometry.pitch, least)
        return [row + places[0] for row in ticks(self._view.positions[slice(*places)], step)]

    def _use(self, painter: QPainter, strong: bool) -> None:
        painter.setFont(self._strong if strong else self._plain)
        painter.setPen(QColor(self._theme.accent if strong else self._theme.text))

    def _use_quiet(self, painter: QPainter) -> None:
        painter.setFont(self._plain)
        painter.setPen(QColor(self._theme.secondary))


def axis_text(view: AttentionView, row: int) -> str:
    """A token at an axis: without its leading space, which would only take room; its position if it has no text."""
    return short_text(view.tokens[row], int(view.positions[row]))


def position_text(view: AttentionView, row: int) -> str:
    """Where in the text a row's token stands."""
    return f"{int(view.positions[row]):,}"


def ticks(positions: IntArray, step: int) -> list[int]:
    """The rows at multiples of `step`, not closer to one another than that where tokens between were dropped."""
    found: list[int] = []
    for row in np.flatnonzero(positions % step == 0).tolist():
        if not found or row - found[-1] >= step:
            found.append(row)
    return found


def tick_step(length: int, pitch: float, least: float) -> int:
    """Positions between two figures that stand `least` pixels apart or more: 1, 2 or 5 times a power of ten."""
    scale = 1
    while scale <= length:
        for step in (scale, 2 * scale, 5 * scale):
            if step * pitch >= least:
                return step
        scale *= 10
    return scale

"""The labels of the attention matrix: tokens where they fit, positions elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from canopy_desktop.exploration.view import AttentionView
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked_text
from canopy_ui.widgets.matrix_geometry import MatrixGeometry

_TURN = -52.0  # degrees, of the labels at the top
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
        selected: int | None,
        hovered: tuple[int, int] | None,
    ) -> None:
        self._view, self._geometry, self._theme = view, geometry, theme
        self._rows = {selected, hovered[0] if hovered else None}
        self._columns = {hovered[1]} if hovered else set()
        self._plain, self._strong = theme.font(12), theme.font(12, strong=True)

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
        for row in range(geometry.cells):
            self._use(painter, row in self._rows)
            text = painter.fontMetrics().elidedText(axis_text(self._view, row), _ELIDE, round(width))
            box = QRectF(theme.px(2), geometry.top + row * geometry.pitch - 4, width, geometry.pitch + 8)
            painter.drawText(box, _RIGHT, text)

    def _paint_column_tokens(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        room = round(geometry.top * 1.2)
        for column in range(geometry.cells):
            self._use(painter, column in self._columns)
            metrics = painter.fontMetrics()
            painter.save()
            painter.translate(geometry.left + (column + 0.5) * geometry.pitch, geometry.top - theme.px(3))
            painter.rotate(_TURN)
            text = metrics.elidedText(axis_text(self._view, column), _ELIDE, room)
            painter.drawText(QPointF(0, metrics.ascent() * 0.35), text)
            painter.restore()

    def _paint_row_positions(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        self._use_quiet(painter)
        for position in self._ticks(theme.px(18)):
            middle = geometry.top + (position // self._view.reading.cell + 0.5) * geometry.pitch
            painter.drawText(QRectF(0, middle - 12, geometry.left - theme.px(5), 24), _RIGHT, f"{position:,}")

    def _paint_column_positions(self, painter: QPainter) -> None:
        geometry, theme = self._geometry, self._theme
        self._use_quiet(painter)
        widest = painter.fontMetrics().horizontalAdvance(f"{self._view.reading.length:,}") + theme.px(12)
        for position in self._ticks(widest):
            middle = geometry.left + (position // self._view.reading.cell + 0.5) * geometry.pitch
            painter.drawText(
                QRectF(middle - widest, 0, 2 * widest, geometry.top - theme.px(3)), _BELOW, f"{position:,}"
            )

    def _ticks(self, least: float) -> range:
        reading = self._view.reading
        return range(0, reading.length, tick_step(reading.length, self._geometry.pitch / reading.cell, least))

    def _use(self, painter: QPainter, strong: bool) -> None:
        painter.setFont(self._strong if strong else self._plain)
        painter.setPen(QColor(self._theme.accent if strong else self._theme.text))

    def _use_quiet(self, painter: QPainter) -> None:
        painter.setFont(self._theme.font(12.5))
        painter.setPen(QColor(self._theme.secondary))


def axis_text(view: AttentionView, position: int) -> str:
    """A token at an axis: without its leading space, which would only take room; its position if it has no text."""
    text = view.tokens[position] if position < len(view.tokens) else ""
    if not text or "\ufffd" in text:
        return f"[{position:,}]"
    bare = text.removeprefix(" ")
    return marked_text(bare if bare.strip() else text)


def tick_step(length: int, pitch: float, least: float) -> int:
    """Positions between two figures that stand `least` pixels apart or more: 1, 2 or 5 times a power of ten."""
    scale = 1
    while scale <= length:
        for step in (scale, 2 * scale, 5 * scale):
            if step * pitch >= least:
                return step
        scale *= 10
    return scale

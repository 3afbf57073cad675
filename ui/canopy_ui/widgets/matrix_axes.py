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


def paint_axes(
    painter: QPainter,
    view: AttentionView,
    geometry: MatrixGeometry,
    theme: Theme,
    *,
    selected: int | None,
    hovered: tuple[int, int] | None,
) -> None:
    """Paint both axes; the selected row, and row and column under the mouse, in the accent."""
    rows = {selected, hovered[0] if hovered else None}
    columns = {hovered[1]} if hovered else set()
    if geometry.labelled:
        _paint_tokens(painter, view, geometry, theme, rows, columns)
    else:
        _paint_positions(painter, view, geometry, theme)


def axis_text(view: AttentionView, position: int) -> str:
    """A token at an axis: without its leading space, which would only take room."""
    if position >= len(view.tokens):
        return ""
    text = view.tokens[position]
    bare = text.removeprefix(" ")
    return marked_text(bare if bare.strip() else text)


def tick_step(cells: int, cell: int, pitch: float, least: float) -> int:
    """Positions between two figures at an axis: 1, 2 or 5 times a power of ten."""
    scale = 1
    while True:
        for base in (1, 2, 5):
            if base * scale * pitch / cell >= least:
                return base * scale
        scale *= 10
        if scale > cells * cell * 10:
            return scale


def _paint_tokens(
    painter: QPainter,
    view: AttentionView,
    geometry: MatrixGeometry,
    theme: Theme,
    rows: set[int | None],
    columns: set[int],
) -> None:
    plain, strong = theme.font(12.5), theme.font(12.5, strong=True)
    for index in range(geometry.cells):
        text = axis_text(view, index)
        painter.setFont(strong if index in rows else plain)
        painter.setPen(QColor(theme.accent if index in rows else theme.text))
        width = geometry.left - theme.px(8)
        box = QRectF(theme.px(2), geometry.top + index * geometry.pitch, width, geometry.pitch)
        painter.drawText(
            box.adjusted(0, -4, 0, 4),
            _RIGHT,
            painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(width)),
        )
        painter.setFont(strong if index in columns else plain)
        painter.setPen(QColor(theme.accent if index in columns else theme.text))
        painter.save()
        painter.translate(geometry.left + (index + 0.5) * geometry.pitch, geometry.top - theme.px(3))
        painter.rotate(_TURN)
        room = round(theme.px(54) / 0.8)
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QPointF(0, painter.fontMetrics().ascent() * 0.35), text)
        painter.restore()


def _paint_positions(painter: QPainter, view: AttentionView, geometry: MatrixGeometry, theme: Theme) -> None:
    cell = view.reading.cell
    painter.setFont(theme.font(12))
    painter.setPen(QColor(theme.secondary))
    metrics = painter.fontMetrics()
    widest = metrics.horizontalAdvance(f"{view.reading.length:,}") + theme.px(12)
    for position in range(0, view.reading.length, tick_step(geometry.cells, cell, geometry.pitch, theme.px(18))):
        middle = geometry.top + (position // cell + 0.5) * geometry.pitch
        box = QRectF(0, middle - 10, geometry.left - theme.px(5), 20)
        painter.drawText(box, _RIGHT, f"{position:,}")
    for position in range(0, view.reading.length, tick_step(geometry.cells, cell, geometry.pitch, widest)):
        middle = geometry.left + (position // cell + 0.5) * geometry.pitch
        box = QRectF(middle - widest, 0, 2 * widest, geometry.top - theme.px(3))
        painter.drawText(box, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignHCenter, f"{position:,}")

"""Paints the cells of the attention matrix, from whatever pictures of it are known."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPen, QPixmap

from canopy_desktop.exploration.attention_view import AttentionReading
from canopy_desktop.exploration.squares import brightest
from canopy_ui.theme import Theme
from canopy_ui.widgets.matrix_geometry import MatrixGeometry
from canopy_ui.widgets.matrix_image import by_row, colour_table, image_of

_GRID_PITCH = 8  # lines between the cells from this size on
_TILE = QSize(512, 64)  # of the hatched ground, multiples of the pattern's 8
_KEPT = 2  # images: the whole window's, and a part's


class MatrixPainter:
    """Remembers the images of the last readings."""

    def __init__(self, theme: Theme) -> None:
        self._images: list[tuple[AttentionReading, int, bool, QImage]] = []
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours."""
        self._theme = theme
        self._table = colour_table(theme)
        self._ground = _hatched(theme)
        self._images.clear()

    def paint(
        self,
        painter: QPainter,
        geometry: MatrixGeometry,
        readings: Sequence[AttentionReading],
        *,
        scaled_by_row: bool,
        ratio: float,
    ) -> None:
        """Paint readings, later ones over earlier; what they do not cover is hatched. `ratio`: device pixels to one."""
        painter.save()
        area = geometry.area()
        painter.setClipRect(area)
        places = [geometry.rect(reading.square.rows, reading.square.columns) for reading in readings]
        hidden = max((number for number, place in enumerate(places) if place.contains(area)), default=0)
        self._paint_ground(painter, area)
        for reading, place in list(zip(readings, places, strict=True))[hidden:]:
            per_cell = geometry.pitch * reading.cell * ratio
            factor = max(1, ceil(1.0 / per_cell - 1e-6))
            image = self._image_of(reading, factor, scaled_by_row)
            square, drawn = reading.square, factor * reading.cell
            rows = square.top, square.top + image.height() * drawn
            columns = square.left, square.left + image.width() * drawn
            if reading is not readings[hidden]:
                self._paint_ground(painter, place & area)  # what lies below shows nowhere through
            if reading.hide_first:
                self._paint_hidden(painter, geometry.rect(reading.square.rows, (0, 1)))
            painter.drawImage(geometry.rect(rows, columns), image)
        if geometry.pitch >= _GRID_PITCH:
            self._paint_grid(painter, geometry)
        painter.restore()

    def _image_of(self, reading: AttentionReading, factor: int, scaled: bool) -> QImage:
        for known, known_factor, known_scaled, image in self._images:
            if known is reading and (known_factor, known_scaled) == (factor, scaled):
                return image
        values = brightest(by_row(reading.values) if scaled else reading.values, factor)
        image = image_of(values, self._table)
        self._images = [*self._images[-_KEPT + 1 :], (reading, factor, scaled, image)]
        return image

    def _paint_ground(self, painter: QPainter, place: QRectF) -> None:
        """Hatch what has no value, piece by piece: Qt fills a large area by threads, and waits for them."""
        tile = QRectF(self._ground.rect())
        for row in range(int(place.top() // tile.height()), ceil(place.bottom() / tile.height())):
            for column in range(int(place.left() // tile.width()), ceil(place.right() / tile.width())):
                whole = tile.translated(column * tile.width(), row * tile.height())
                piece = whole & place
                painter.drawPixmap(piece, self._ground, piece.translated(-whole.topLeft()))

    def _paint_hidden(self, painter: QPainter, column: QRectF) -> None:
        painter.fillRect(column, QColor(self._theme.hatch))
        painter.fillRect(column, QBrush(QColor(self._theme.control_border), Qt.BrushStyle.Dense6Pattern))

    def _paint_grid(self, painter: QPainter, geometry: MatrixGeometry) -> None:
        painter.setPen(QPen(QColor(self._theme.panel), 1))
        area = geometry.area()
        for line in range(1, geometry.square.span):
            offset = line * geometry.pitch
            painter.drawLine(QPointF(area.left(), area.top() + offset), QPointF(area.right(), area.top() + offset))
            painter.drawLine(QPointF(area.left() + offset, area.top()), QPointF(area.left() + offset, area.bottom()))


def _hatched(theme: Theme) -> QPixmap:
    tile = QPixmap(_TILE)
    tile.fill(QColor(theme.hatch))
    painter = QPainter(tile)
    painter.fillRect(tile.rect(), QBrush(QColor(theme.hatch_line), Qt.BrushStyle.BDiagPattern))
    painter.end()
    return tile

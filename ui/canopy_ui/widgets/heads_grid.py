"""Every head at a glance: a strip each, from the first token at its left to the one that looks at its right."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.attention_view import Look, RowView
from canopy_ui.theme import Theme
from canopy_ui.widgets.matrix_image import by_row, colour_table, image_of
from canopy_ui.widgets.matrix_words import head_sentence

_LABEL_PITCH = 15  # figures stand this far apart or more
_LEFT, _TOP = 24, 21
_GAP = 3
_BORDER = 0.6  # opacity, for 270 of them


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """Rows of layers, columns of heads."""

    left: float
    top: float
    width: float  # of a head's strip with the gap behind it
    height: float
    gap: float
    layers: int
    heads: int

    def strip(self, layer: int, head: int) -> QRectF:
        """Where a head's strip stands."""
        gap = min(self.gap, self.height / 3)
        return QRectF(
            self.left + head * self.width, self.top + layer * self.height, self.width - self.gap, self.height - gap
        )

    def head_at(self, point: QPointF) -> tuple[int, int] | None:
        """Layer and head under a point."""
        layer, head = (point.y() - self.top) // self.height, (point.x() - self.left) // self.width
        inside = 0 <= layer < self.layers and 0 <= head < self.heads
        return (int(layer), int(head)) if inside else None

    def tick(self, layer: int, head: int, share: float, thick: float) -> QRectF:
        """Below a strip, the mark of a place in it: `share` of its width from its left."""
        strip = self.strip(layer, head)
        left, below = strip.left() + share * strip.width() - thick / 2, self.height - strip.height()
        return QRectF(round(left), round(strip.bottom()), thick, max(1, round(below)))


def strongest_at(weights: FloatArray, share: float, bins: int) -> int:
    """The key whose colour stands in a strip of `bins`, at this share of its width: of several the one with most.

    `weights` (keys,), those of one head.
    """
    keys, place = weights.size, min(int(share * bins), bins - 1)
    first, end = place * keys // bins, (place + 1) * keys // bins
    return first + int(weights[first : max(end, first + 1)].argmax())


def strips(heads: FloatArray, bins: int) -> FloatArray:
    """Each head's row in `bins` equal parts of the text, the largest value in each: (layers, heads, bins).

    `heads` (layers, heads, keys); with fewer keys than bins each key takes several of them.
    """
    keys = heads.shape[2]
    if keys <= bins:
        return heads[:, :, np.arange(bins) * keys // bins]
    found: FloatArray = np.maximum.reduceat(heads, np.arange(bins) * keys // bins, axis=2)
    return found


class HeadsGrid(QWidget):
    """A click, or an arrow key, chooses layer and head. A lit token has a tick below its place in every strip."""

    head_picked = Signal(int, int)
    place_hovered = Signal(object)  # (layer, head, key), or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row: RowView | None = None
        self._look: Look | None = None
        self._scaled_by_row = False
        self._hovered: tuple[int, int, int] | None = None
        self._lit: int | None = None  # the position of a token that is under the mouse, here or elsewhere
        self._drawn: tuple[RowView, bool, int, list[QImage]] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("All heads"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._table = colour_table(theme)
        self._drawn = None
        self.update()

    def set_row(self, row: RowView | None, look: Look) -> None:
        """Show where a token looks; `look` is marked."""
        if row is not self._row or look != self._look:
            self._row, self._look = row, look
            self.setAccessibleDescription(self._words())
            self.update()

    def _words(self) -> str:
        """Where the chosen head looks most; of several heads, how many there are."""
        row, look = self._row, self._look
        if row is None or look is None:
            return ""
        layers, heads, _ = row.heads.shape
        if look.layer is not None and look.head is not None and look.layer < layers and look.head < heads:
            return head_sentence(row, look.layer, look.head)
        return self.tr("{layers} layers of {heads} heads").format(layers=layers, heads=heads)

    def set_scaled_by_row(self, scaled: bool) -> None:
        """Give the full colour to the largest value of each strip, or to 100 %."""
        self._scaled_by_row = scaled
        self.update()

    def set_lit(self, position: int | None) -> None:
        """Mark the place of a token in every strip."""
        if position != self._lit:
            was, self._lit = self._ticks(), position
            for column in (*was, *self._ticks()):
                self.update(column[0].united(column[-1]).toAlignedRect())

    def geometry_of_grid(self) -> GridGeometry | None:
        """Where the strips stand now."""
        if self._row is None:
            return None
        layers, heads, _ = self._row.heads.shape
        left, top = float(self._theme.px(_LEFT)), float(self._theme.px(_TOP))
        return GridGeometry(
            left,
            top,
            max(2.0, (self.width() - left) / heads),
            max(1.0, (self.height() - top) / layers),
            self._theme.px(_GAP),
            layers,
            heads,
        )

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(300), self._theme.px(240))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(140), self._theme.px(110))

    def paintEvent(self, event: QPaintEvent) -> None:
        row, geometry = self._row, self.geometry_of_grid()
        if row is None or geometry is None:
            return
        painter = QPainter(self)
        self._paint_labels(painter, geometry)
        bins = self._bins(geometry)
        painter.setPen(Qt.PenStyle.NoPen)
        for layer, image in enumerate(self._images_of(row, bins)):
            for head in range(geometry.heads):
                painter.drawImage(geometry.strip(layer, head), image, QRectF(0, head, image.width(), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setOpacity(_BORDER)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        for layer in range(geometry.layers):
            for head in range(geometry.heads):
                painter.drawRect(geometry.strip(layer, head))
        painter.setOpacity(1.0)
        self._paint_marks(painter, geometry)
        for tick in chain(*self._ticks()):
            painter.fillRect(tick, QColor(self._theme.text))
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._place_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._head_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and found is not None:
            self.head_picked.emit(*found)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        geometry, look = self.geometry_of_grid(), self._look
        way = {
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
        }.get(Qt.Key(event.key()))
        if geometry is None or look is None or way is None:
            super().keyPressEvent(event)
            return
        layer = min(max((look.layer or 0) + way[0], 0), geometry.layers - 1)
        head = min(max((look.head or 0) + way[1], 0), geometry.heads - 1)
        self.head_picked.emit(layer, head)

    def _images_of(self, row: RowView, bins: int) -> list[QImage]:
        """One image a layer, a line for each head."""
        if self._drawn is None or self._drawn[0] is not row or self._drawn[1:3] != (self._scaled_by_row, bins):
            values = strips(row.heads, bins)
            images = [image_of(by_row(layer) if self._scaled_by_row else layer, self._table) for layer in values]
            self._drawn = row, self._scaled_by_row, bins, images
        return self._drawn[3]

    def _paint_labels(self, painter: QPainter, geometry: GridGeometry) -> None:
        theme = self._theme
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        least = theme.px(_LABEL_PITCH)
        step = next(step for step in (1, 5, 10, 50, 1000) if step * geometry.height >= least)
        for layer in range(0, geometry.layers, step):
            self._use(painter, self._look is not None and layer == self._look.layer)
            middle = geometry.strip(layer, 0).center().y()
            box = QRectF(0, middle - least, geometry.left - theme.px(5), 2 * least)
            painter.drawText(box, right, str(layer))
        for head in range(geometry.heads):
            self._use(painter, self._look is not None and head == self._look.head)
            strip = geometry.strip(0, head)
            box = QRectF(strip.left() - least, 0, strip.width() + 2 * least, geometry.top - theme.px(2))
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom, str(head))

    def _paint_marks(self, painter: QPainter, geometry: GridGeometry) -> None:
        theme, look = self._theme, self._look
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if look is not None and look.layer is not None and look.layer < geometry.layers:
            last = geometry.heads - 1
            chosen = (look.head, look.head) if look.head is not None else (0, last)
            if chosen[1] <= last:
                place = geometry.strip(look.layer, chosen[0]).united(geometry.strip(look.layer, chosen[1]))
                painter.setPen(QPen(QColor(theme.accent), theme.px(2.5)))
                painter.drawRoundedRect(place.adjusted(-1.5, -1.5, 1.5, 1.5), 2, 2)
        if self._hovered is not None:
            painter.setPen(QPen(QColor(theme.text), 1.5))
            painter.drawRect(geometry.strip(*self._hovered[:2]))

    def _use(self, painter: QPainter, strong: bool) -> None:
        painter.setFont(self._theme.font(15, strong=strong))
        painter.setPen(QColor(self._theme.accent if strong else self._theme.secondary))

    def _head_at(self, point: QPointF) -> tuple[int, int] | None:
        geometry = self.geometry_of_grid()
        return geometry.head_at(point) if geometry else None

    def _place_at(self, point: QPointF) -> tuple[int, int, int] | None:
        """Layer, head and key under a point."""
        geometry, found = self.geometry_of_grid(), self._head_at(point)
        if self._row is None or geometry is None or found is None:
            return None
        strip = geometry.strip(*found)
        share = min((point.x() - strip.left()) / strip.width(), 1.0)
        return *found, strongest_at(self._row.heads[found], share, self._bins(geometry))

    def _ticks(self) -> list[list[QRectF]]:
        """The marks of the lit token, if the row's token can look at it: of each head those in all layers."""
        row, geometry = self._row, self.geometry_of_grid()
        if row is None or geometry is None or self._lit is None:
            return []
        key = int(row.positions.searchsorted(self._lit))
        if key >= row.positions.size or row.positions[key] != self._lit:
            return []
        share, thick = (key + 0.5) / row.positions.size, float(self._theme.px(3))
        layers = range(geometry.layers)
        return [[geometry.tick(layer, head, share, thick) for layer in layers] for head in range(geometry.heads)]

    def _bins(self, geometry: GridGeometry) -> int:
        """Parts of a strip that differ in colour: its pixels."""
        return max(1, round(geometry.strip(0, 0).width() * self.devicePixelRatioF()))

    def _set_hovered(self, place: tuple[int, int, int] | None) -> None:
        was = self._hovered
        if place != was:
            self._hovered = place
            self.place_hovered.emit(place)
            if (place and place[:2]) != (was and was[:2]):
                self.update()

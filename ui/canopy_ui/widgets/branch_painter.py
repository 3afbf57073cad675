"""Paints the tree: lines with probabilities, texts with their tokens, and figures where a text ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.exploration.branch_picture import (
    EDGE,
    ELIDED,
    NAME,
    PLACE,
    TAIL,
    BranchPicture,
    Cell,
    Twig,
    mark_width,
)
from canopy_desktop.exploration.branches import BranchKind, BranchNode
from canopy_desktop.exploration.view import NATS_TO_BITS
from canopy_ui.theme import Theme
from canopy_ui.widgets.branch_geometry import BranchGeometry
from canopy_ui.widgets.branch_words import PRUNED, chance_text, tail_text, total_text
from canopy_ui.widgets.numbers import grouped

LEAST_PX = 12  # smaller writing is left out
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


class _Places:
    """Where texts and lines are, so that what is out of sight costs nothing."""

    def __init__(self, picture: BranchPicture, geometry: BranchGeometry) -> None:
        unit = (geometry.character, geometry.line)
        left, middle, right, top, bottom = (
            np.array(values)
            for values in zip(*((t.x, t.middle, t.x + t.width, t.y, t.y + t.lines) for t in picture.twigs), strict=True)
        )
        parents = np.array([max(0, twig.parent) for twig in picture.twigs])
        self._texts = _scaled(unit, left - 1, top - NAME, right + TAIL + PLACE, bottom)
        low, high = np.minimum(middle, middle[parents]) - 1, np.maximum(middle, middle[parents]) + 1
        self._edges = _scaled(unit, right[parents], low, left, high)

    def texts_in(self, sight: QRectF) -> list[int]:
        """The numbers of texts that are in sight."""
        return _in(self._texts, sight)

    def edges_in(self, sight: QRectF) -> list[int]:
        """The numbers of texts whose lines from their parents are in sight."""
        return [number for number in _in(self._edges, sight) if number]


class BranchPainter:
    """Holds the fonts of a theme, and where the parts of the last picture are; everything else comes with each call."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._token, self._strong = theme.token_font(15), theme.token_font(15, strong=True)
        self._small, self._small_strong = theme.font(13), theme.font(13, strong=True)
        self._written = True  # texts are large enough to be read
        self._places: tuple[BranchPicture, float, _Places] | None = None

    def paint(
        self,
        painter: QPainter,
        picture: BranchPicture,
        geometry: BranchGeometry,
        room: QRectF,
        *,
        current: int,
        hovered: int | None,
        lit: int | None = None,
        focused: bool,
        prompt: str,
    ) -> None:
        """What of the picture is in the room; `current` is the node that the keyboard means."""
        painter.save()
        painter.translate(geometry.origin)
        painter.scale(geometry.scale, geometry.scale)
        self._choose_fonts(geometry.scale)
        sight = QRectF(geometry.point(room.topLeft()), geometry.point(room.bottomRight()))
        places = self._places_of(picture, geometry)
        self._paint_edges(painter, picture, geometry, places.edges_in(sight))
        for number in places.texts_in(sight):
            self._paint_twig(painter, picture, geometry, picture.twigs[number], prompt)
        if lit is not None:
            self._paint_frame(painter, geometry.cell(*picture.cell_of(lit)), 1.5)
        for node, weight in ((hovered, 1.5), (current, 2.5 if focused else 1.5)):
            if node is not None:
                self._paint_outline(painter, picture, geometry, node, weight)
        painter.restore()

    def _choose_fonts(self, scale: float) -> None:
        """Small writing never shrinks below what can be read; where the texts cannot be, nothing is written."""
        self._written = self._token.pixelSize() * scale >= LEAST_PX - 0.01
        size = max(self._theme.font(13).pixelSize(), math.ceil(LEAST_PX / scale)) if self._written else LEAST_PX
        for font in (self._small, self._small_strong):
            font.setPixelSize(size)

    def _places_of(self, picture: BranchPicture, geometry: BranchGeometry) -> _Places:
        known = self._places
        if known is None or known[0] is not picture or known[1] != geometry.character:
            known = self._places = picture, geometry.character, _Places(picture, geometry)
        return known[2]

    def _paint_edges(
        self, painter: QPainter, picture: BranchPicture, geometry: BranchGeometry, twigs: Sequence[int]
    ) -> None:
        """Lines of one look in one go; the way to where we stand comes last, over the others."""
        theme, nodes = self._theme, picture.tree.nodes
        paths = {(False, True): QPainterPath(), (False, False): QPainterPath(), (True, False): QPainterPath()}
        for number in twigs:
            first = nodes[picture.twigs[number].cells[0].node]
            self._add_edge(paths[first.on_way, first.pruned], picture, geometry, picture.twigs[number])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for (on_way, pruned), path in paths.items():
            pen = QPen(QColor(theme.accent if on_way else theme.control_border), theme.px(2.5) if on_way else 1.2)
            pen.setStyle(Qt.PenStyle.DashLine if pruned else Qt.PenStyle.SolidLine)
            painter.setPen(pen)
            painter.drawPath(path)
        if not self._written:
            return
        for number in twigs:
            twig = picture.twigs[number]
            first = nodes[twig.cells[0].node]
            end = QPointF(twig.x * geometry.character, twig.middle * geometry.line)
            width, height = EDGE * geometry.character, theme.px(18)
            painter.setFont(self._small_strong if first.on_way else self._small)
            painter.setPen(QColor(theme.secondary if first.pruned else theme.text))
            room = QRectF(end.x() - width, end.y() - height, width - theme.px(4), height)
            painter.drawText(room, _RIGHT, chance_text(first))

    def _add_edge(self, path: QPainterPath, picture: BranchPicture, geometry: BranchGeometry, twig: Twig) -> None:
        parent = picture.twigs[twig.parent]
        tail = parent.tail if self._written else 0.0
        start = QPointF((parent.x + parent.width + tail) * geometry.character, parent.middle * geometry.line)
        end = QPointF(twig.x * geometry.character, twig.middle * geometry.line)
        width = EDGE * geometry.character
        left = end.x() - width
        path.moveTo(start)
        path.lineTo(left, start.y())
        path.cubicTo(left + 0.17 * width, start.y(), left + 0.17 * width, end.y(), left + 0.34 * width, end.y())
        path.lineTo(end)

    def _paint_twig(
        self, painter: QPainter, picture: BranchPicture, geometry: BranchGeometry, twig: Twig, prompt: str
    ) -> None:
        theme, nodes = self._theme, picture.tree.nodes
        first, last = nodes[twig.cells[0].node], nodes[twig.cells[-1].node]
        box, radius = geometry.box(twig), theme.px(4)
        if first.kind is BranchKind.PROMPT:
            self._paint_prompt(painter, box, prompt, stands=picture.tree.cursor == 0)
            return
        for cell in twig.cells:
            if cell.node == ELIDED:
                self._paint_gap(painter, geometry.cell(twig, cell), cell)
            else:
                stands = cell.node == picture.tree.cursor
                self._paint_cell(painter, geometry, geometry.cell(twig, cell), nodes[cell.node], stands=stands)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(self._frame(first))
        painter.drawRoundedRect(box, radius, radius)
        self._paint_tail(painter, geometry, box, last)
        if twig.named and self._written:
            painter.setFont(self._small_strong)
            painter.setPen(QColor(theme.accent))
            above = QRectF(box.left(), box.top() - geometry.line, max(box.width(), 160.0), geometry.line)
            painter.drawText(above, _LEFT, first.name)

    def _frame(self, node: BranchNode) -> QPen:
        theme = self._theme
        if node.on_way:
            return QPen(QColor(theme.accent), theme.px(2))
        pen = QPen(QColor(theme.control_border), 1.2)
        if node.kind is not BranchKind.RECORDED:
            pen.setStyle(Qt.PenStyle.DotLine if node.pruned else Qt.PenStyle.DashLine)
        return pen

    def _paint_prompt(self, painter: QPainter, box: QRectF, text: str, *, stands: bool) -> None:
        theme = self._theme
        painter.setBrush(QColor(theme.accent if stands else theme.accent_soft))
        painter.setPen(QPen(QColor(theme.accent), theme.px(2)))
        painter.drawRoundedRect(box, theme.px(4), theme.px(4))
        if self._written:
            painter.setFont(self._small_strong)
            painter.setPen(QColor(theme.on_accent if stands else theme.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_cell(
        self, painter: QPainter, geometry: BranchGeometry, rect: QRectF, node: BranchNode, *, stands: bool
    ) -> None:
        theme = self._theme
        inner = rect.adjusted(1, 1.5, -1, -1.5)
        if stands:
            painter.fillRect(inner, QColor(theme.accent))
        elif not node.pruned:
            painter.fillRect(inner, theme.surprisal_colour(-node.logprob * NATS_TO_BITS))
        font = self._strong if node.on_way else self._token
        if not self._written:
            return
        width = rect.width() - mark_width(node) * geometry.character
        painter.setFont(font)
        painter.setPen(QColor(theme.on_accent if stands else theme.secondary if node.pruned else theme.text))
        painter.drawText(QRectF(rect.left(), rect.top(), width, rect.height()), Qt.AlignmentFlag.AlignCenter, node.text)
        if node.marked and self._written:
            painter.setFont(self._small)
            painter.setPen(QColor(theme.on_accent if stands else theme.mark))
            text = f"+{grouped(node.folded)}" if node.folded else f"{PRUNED}{node.cut}"
            room = QRectF(rect.left() + width - 2, rect.top(), rect.width() - width + 1, rect.height())
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_gap(self, painter: QPainter, rect: QRectF, cell: Cell) -> None:
        theme = self._theme
        painter.fillRect(rect.adjusted(1, 1.5, -1, -1.5), QColor(theme.hatch))
        if self._written:
            painter.setFont(self._small)
            painter.setPen(QColor(theme.text))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, f"… {grouped(cell.tokens)} …")

    def _paint_tail(self, painter: QPainter, geometry: BranchGeometry, box: QRectF, node: BranchNode) -> None:
        """The cumulative log-probability where a text ends, its place, and how often it was drawn."""
        theme = self._theme
        if not self._written:
            return
        x = box.right() + theme.px(6)
        row = QRectF(x, box.bottom() - geometry.line, TAIL * geometry.character, geometry.line)
        painter.setPen(QColor(theme.secondary))
        painter.setFont(self._small)
        if node.pruned:
            if not node.children:
                painter.drawText(row, _LEFT, PRUNED)
            return
        if not node.children or node.place is not None:
            painter.drawText(row, _LEFT, total_text(node.total))
            row.moveLeft(x + (TAIL - 1.0) * geometry.character)
        text = tail_text(node)
        if text:
            painter.setFont(self._small_strong)
            painter.setPen(QColor(theme.accent if node.place == 1 else theme.text))
            painter.drawText(row, _LEFT, text)

    def _paint_outline(
        self,
        painter: QPainter,
        picture: BranchPicture,
        geometry: BranchGeometry,
        number: int,
        weight: float,
    ) -> None:
        """Around one node, with its cumulative log-probability below or above it, where it hides no other text."""
        theme, node = self._theme, picture.tree.nodes[number]
        twig, cell = picture.cell_of(number)
        rect = self._paint_frame(painter, geometry.cell(twig, cell), weight)
        shown_already = not node.children and not node.pruned and cell is twig.cells[-1]
        if node.kind is BranchKind.PROMPT or shown_already or not self._written:
            return
        painter.setFont(self._small)
        text = total_text(node.total)
        width = painter.fontMetrics().horizontalAdvance(text) + theme.px(10)
        below = QRectF(rect.left(), rect.bottom() + 2, width, theme.px(19))
        above = below.translated(0, rect.top() - 4 - below.bottom() + 2)
        places = self._places_of(picture, geometry)
        free = (one for one in (below, above) if all(picture.twigs[at] is twig for at in places.texts_in(one)))
        label = next(free, None)
        if label is None:
            return
        painter.setPen(QPen(QColor(theme.text), 1))
        painter.setBrush(QColor(theme.panel))
        painter.drawRoundedRect(label, theme.px(3), theme.px(3))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_frame(self, painter: QPainter, cell: QRectF, weight: float) -> QRectF:
        """Around a token's box; returns where."""
        rect, radius = cell.adjusted(-1, -1, 1, 1), self._theme.px(3)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self._theme.text), self._theme.px(weight)))
        painter.drawRoundedRect(rect, radius, radius)
        return rect


def _scaled(unit: tuple[float, float], *edges: DoubleArray) -> DoubleArray:
    """Left, top, right and bottom in pixels, (4, texts)."""
    return np.array([edge * unit[place % 2] for place, edge in enumerate(edges)])


def _in(boxes: DoubleArray, sight: QRectF) -> list[int]:
    left, top, right, bottom = boxes
    seen = (left <= sight.right()) & (right >= sight.left()) & (top <= sight.bottom()) & (bottom >= sight.top())
    found: list[int] = np.flatnonzero(seen).tolist()
    return found

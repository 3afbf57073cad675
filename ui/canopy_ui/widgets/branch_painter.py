"""Paints the tree: lines with probabilities, texts with their tokens, and figures where a text ends."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen

from canopy_desktop.exploration.branch_picture import EDGE, ELIDED, TAIL, BranchPicture, Cell, Twig, mark_width
from canopy_desktop.exploration.branches import BranchKind, BranchNode
from canopy_desktop.exploration.view import NATS_TO_BITS
from canopy_ui.theme import Theme
from canopy_ui.widgets.branch_geometry import BranchGeometry
from canopy_ui.widgets.branch_words import PRUNED, chance_text, tail_text, total_text
from canopy_ui.widgets.numbers import grouped

LEAST_PX = 12  # smaller writing is left out
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


class BranchPainter:
    """Holds the fonts of a theme; everything else comes with each call."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._token, self._strong = theme.token_font(15), theme.token_font(15, strong=True)
        self._small, self._small_strong = theme.font(13), theme.font(13, strong=True)

    def paint(
        self,
        painter: QPainter,
        picture: BranchPicture,
        geometry: BranchGeometry,
        room: QRectF,
        *,
        current: int,
        hovered: int | None,
        focused: bool,
        prompt: str,
    ) -> None:
        """What of the picture is in the room; `current` is the node that the keyboard means."""
        painter.save()
        painter.translate(geometry.origin)
        painter.scale(geometry.scale, geometry.scale)
        sight = QRectF(geometry.point(room.topLeft()), geometry.point(room.bottomRight()))
        nodes = picture.tree.nodes
        drawn = [twig for twig in picture.twigs if geometry.box(twig).adjusted(-200, -40, 200, 40).intersects(sight)]
        # lines may come from texts that are out of sight
        late: list[Twig] = []
        for twig in picture.twigs[1:]:
            if nodes[twig.cells[0].node].on_way:
                late.append(twig)
            else:
                self._paint_edge(painter, picture, geometry, twig, sight)
        for twig in late:
            self._paint_edge(painter, picture, geometry, twig, sight)
        for twig in drawn:
            self._paint_twig(painter, picture, geometry, twig, prompt)
        for node, weight in ((hovered, 1.5), (current, 2.5 if focused else 1.5)):
            if node is not None:
                self._paint_outline(painter, picture, geometry, node, weight, focused=focused and node == current)
        painter.restore()

    def _legible(self, painter: QPainter, font: QFont) -> bool:
        return font.pixelSize() * painter.transform().m11() >= LEAST_PX * painter.device().devicePixelRatioF() - 0.01

    def _paint_edge(
        self, painter: QPainter, picture: BranchPicture, geometry: BranchGeometry, twig: Twig, sight: QRectF
    ) -> None:
        theme, nodes = self._theme, picture.tree.nodes
        parent, first = picture.twigs[twig.parent], nodes[twig.cells[0].node]
        tail = parent.tail if self._legible(painter, self._small) else 0.0
        start = QPointF((parent.x + parent.width + tail) * geometry.character, parent.middle * geometry.line)
        end = QPointF(twig.x * geometry.character, twig.middle * geometry.line)
        if not QRectF(start, end).normalized().adjusted(-2, -20, 2, 20).intersects(sight):
            return
        bend = QPointF(end.x() - EDGE * geometry.character, start.y())
        path = QPainterPath(start)
        path.lineTo(bend)
        width = end.x() - bend.x()
        middle = bend.x() + 0.17 * width
        path.cubicTo(QPointF(middle, start.y()), QPointF(middle, end.y()), QPointF(bend.x() + 0.34 * width, end.y()))
        path.lineTo(end)
        colour = theme.accent if first.on_way else theme.control_border
        pen = QPen(QColor(colour), theme.px(2.5) if first.on_way else 1.2)
        if first.pruned:
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)
        font = self._small_strong if first.on_way else self._small
        if self._legible(painter, font):
            height = theme.px(17)
            room = QRectF(bend.x(), end.y() - height, end.x() - bend.x() - theme.px(4), height)
            painter.setFont(font)
            painter.setPen(QColor(theme.text if not first.pruned else theme.secondary))
            painter.drawText(room, _RIGHT, chance_text(first))

    def _paint_twig(
        self, painter: QPainter, picture: BranchPicture, geometry: BranchGeometry, twig: Twig, prompt: str
    ) -> None:
        theme, nodes = self._theme, picture.tree.nodes
        first, last = nodes[twig.cells[0].node], nodes[twig.cells[-1].node]
        box, radius = geometry.box(twig), theme.px(4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.panel))
        painter.drawRoundedRect(box, radius, radius)
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
        if twig.named and self._legible(painter, self._small_strong):
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
        if self._legible(painter, self._small_strong):
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
        if not self._legible(painter, font):
            return
        width = rect.width() - mark_width(node) * geometry.character
        painter.setFont(font)
        painter.setPen(QColor(theme.on_accent if stands else theme.secondary if node.pruned else theme.text))
        painter.drawText(QRectF(rect.left(), rect.top(), width, rect.height()), Qt.AlignmentFlag.AlignCenter, node.text)
        if node.marked and self._legible(painter, self._small):
            painter.setFont(self._small)
            painter.setPen(QColor(theme.on_accent if stands else theme.mark))
            text = f"+{grouped(node.folded)}" if node.folded else f"{PRUNED}{node.cut}"
            room = QRectF(rect.left() + width - 2, rect.top(), rect.width() - width + 1, rect.height())
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_gap(self, painter: QPainter, rect: QRectF, cell: Cell) -> None:
        theme = self._theme
        painter.fillRect(rect.adjusted(1, 1.5, -1, -1.5), QColor(theme.hatch))
        if self._legible(painter, self._small):
            painter.setFont(self._small)
            painter.setPen(QColor(theme.text))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, f"… {grouped(cell.tokens)} …")

    def _paint_tail(self, painter: QPainter, geometry: BranchGeometry, box: QRectF, node: BranchNode) -> None:
        """The cumulative log-probability where a text ends, its place, and how often it was drawn."""
        theme = self._theme
        if not self._legible(painter, self._small):
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
        *,
        focused: bool,
    ) -> None:
        """Around one node, with its cumulative log-probability below it."""
        theme, node = self._theme, picture.tree.nodes[number]
        twig, cell = picture.cell_of(number)
        rect = geometry.cell(twig, cell).adjusted(-1, -1, 1, 1)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.text), theme.px(weight)))
        painter.drawRoundedRect(rect, theme.px(3), theme.px(3))
        shown_already = not node.children and not node.pruned and cell is twig.cells[-1]
        if node.kind is BranchKind.PROMPT or shown_already or not self._legible(painter, self._small):
            return
        painter.setFont(self._small)
        text = total_text(node.total)
        width = painter.fontMetrics().horizontalAdvance(text) + theme.px(10)
        label = QRectF(rect.left(), rect.bottom() + 2, width, theme.px(19))
        painter.setPen(QPen(QColor(theme.text), 1))
        painter.setBrush(QColor(theme.panel))
        painter.drawRoundedRect(label, theme.px(3), theme.px(3))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)

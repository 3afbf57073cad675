"""The tree of branches as a picture to walk in: zoomed, pushed, clicked, and gone through with the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from canopy_desktop.exploration.branch_picture import ELIDED, BranchPicture
from canopy_desktop.exploration.branch_walk import Way, neighbour
from canopy_desktop.exploration.branches import ROOT, BranchNode, Ref
from canopy_ui.theme import Theme
from canopy_ui.widgets.branch_geometry import LEAST, MARGIN, MOST, BranchGeometry
from canopy_ui.widgets.branch_painter import BranchPainter
from canopy_ui.widgets.branch_words import node_text
from canopy_ui.widgets.zoom_buttons import ZoomButtons

_ZOOM = 1.25  # of a key, a button, or a notch of the wheel
_NOTCH = 120.0  # Qt's eighths of a degree
_ROOM_STEP = 5  # characters
_LABEL = (110, 26)  # at most, of the figure below a node
_PUSH = 0.2  # of the widget, by a key
_WAYS = {
    Qt.Key.Key_Left: Way.BACK,
    Qt.Key.Key_Right: Way.FORWARD,
    Qt.Key.Key_Up: Way.UP,
    Qt.Key.Key_Down: Way.DOWN,
}
_PUSHES = {
    Qt.Key.Key_Left: QPointF(1, 0),
    Qt.Key.Key_Right: QPointF(-1, 0),
    Qt.Key.Key_Up: QPointF(0, 1),
    Qt.Key.Key_Down: QPointF(0, -1),
}


class BranchCanvas(QWidget):
    """One node is the current one: what the keyboard means. It stays where it is on the screen while the tree grows."""

    node_picked = Signal(int)  # to go there; its number in the tree
    current_changed = Signal(int)
    current_moved = Signal(int)  # by the person
    hovered = Signal(object)  # int, or None
    fold_wished = Signal(int)
    open_wished = Signal(int)  # the first node of a long text
    menu_requested = Signal(object)  # QPoint on the screen, for the current node
    room_changed = Signal(int)  # characters that are side by side
    rename_wished = Signal()
    delete_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: BranchPicture | None = None
        self._current = 0
        self._picked: tuple[Ref, ...] | None = None  # the node that the person wants to go to
        self._hovered: int | None = None
        self._lit: int | None = None  # the number of the node that is under the mouse elsewhere
        self._grip: QPointF | None = None
        self._dragged = False
        self._placed = False  # the picture was put in its place once
        self._buttons = ZoomButtons(theme, self)
        self._buttons.set_words(whole=self.tr("The whole tree (0)"))
        self._buttons.nearer.connect(self._on_nearer)
        self._buttons.further.connect(self._on_further)
        self._buttons.all_wanted.connect(self.show_all)
        self._geometry = BranchGeometry(9.0, 22.0)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Tree of branches"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._painter = BranchPainter(theme)
        self._buttons.set_theme(theme)
        character = QFontMetricsF(theme.token_font(15, strong=True)).horizontalAdvance("0")
        origin, scale = self._geometry.origin, self._geometry.scale
        self._geometry = BranchGeometry(character, float(theme.px(22)), origin, scale)
        self._place_buttons()
        self._tell_room()
        self.update()

    def set_picture(self, picture: BranchPicture | None) -> None:
        """Show another tree, or the same one grown."""
        before, current = self._picture, self.current_node()
        self._picture = picture
        self._hovered = self._lit = None
        if picture is None:
            self._current, self._placed = 0, False
            self.update()
            return
        if before is None or current is None:
            self._current = picture.tree.cursor
        else:
            self._stay(before, picture, current)
        if not self._placed:
            self._place()
        self.update(self._buttons.beside(self.rect()))
        self._tell()

    def picture(self) -> BranchPicture | None:
        """What is shown."""
        return self._picture

    def current(self) -> int:
        """The number of the current node."""
        return self._current

    def current_node(self) -> BranchNode | None:
        """The current node."""
        if self._picture is None:
            return None
        nodes = self._picture.tree.nodes
        return nodes[min(self._current, len(nodes) - 1)]

    def set_current(self, number: int) -> None:
        """Mean another node, and bring it into sight."""
        if self._picture is not None and number != self._current:
            self._current = number
            self._show_node(number)
            self._tell()

    def set_lit(self, number: int | None) -> None:
        """Mark the node that is under the mouse elsewhere."""
        if number != self._lit:
            was, self._lit = self._lit, number
            self._update_nodes(was, number)

    def move_to(self, number: int) -> None:
        """The person means another node."""
        if number != self._current:
            self.set_current(number)
            self.current_moved.emit(number)

    def show_all(self) -> None:
        """The whole tree, as large as it fits."""
        if self._picture is not None:
            self._geometry = self._geometry.fitted(self._picture, QRectF(self.rect()))
            self._show_scale()

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(500), self._theme.px(300))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(160), self._theme.px(90))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_buttons()
        self._tell_room()
        if self._picture is not None and event.oldSize().height() > 0:
            self._geometry = self._geometry.moved(QPointF(0, (event.size().height() - event.oldSize().height()) / 2))
            self._show_node(self._current)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._picture is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._painter.paint(
            painter,
            self._picture,
            self._geometry,
            QRectF(event.rect()),
            current=self._current,
            hovered=self._hovered,
            lit=self._lit,
            focused=self.hasFocus(),
            prompt=self.tr("prompt"),
        )
        painter.end()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y() or event.angleDelta().x()
        self._zoom(_ZOOM ** (turned / _NOTCH), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._grip, self._dragged = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grip is None:
            self._set_hovered(self._node_at(event.position()))
            return
        if not self._dragged:
            away = (event.position() - self._grip).manhattanLength()
            self._dragged = away >= QApplication.startDragDistance()
        if self._dragged:
            self._geometry = self._geometry.moved(event.position() - self._grip)
            self._grip = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._grip is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._grip = None
        self.unsetCursor()
        if self._dragged or self._picture is None:
            return
        found = self._geometry.hit(self._picture, event.position())
        if found is None:
            return
        twig, cell = found
        if cell.node == ELIDED:
            self.open_wished.emit(twig.cells[0].node)
            return
        self.move_to(cell.node)
        self._pick()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self._picture is None:
            return
        if event.reason() is QContextMenuEvent.Reason.Mouse:
            node = self._node_at(QPointF(event.pos()))
            if node is None:
                return
            self.move_to(node)
            self.menu_requested.emit(event.globalPos())
        else:
            twig, cell = self._picture.cell_of(self._current)
            below = self._geometry.on_screen(self._geometry.cell(twig, cell)).bottomLeft().toPoint()
            self.menu_requested.emit(self.mapToGlobal(below))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._picture is None or not self._act_on(event):
            super().keyPressEvent(event)

    def _act_on(self, event: QKeyEvent) -> bool:
        """Do what a key means here. Returns whether it means anything."""
        key = Qt.Key(event.key())
        if key in _WAYS:
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                push = _PUSHES[key]
                by = QPointF(push.x() * self.width() * _PUSH, push.y() * self.height() * _PUSH)
                self._geometry = self._geometry.moved(by)
                self.update()
            else:
                self._walk(_WAYS[key])
            return True
        match key:
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._pick()
            case Qt.Key.Key_Space:
                self._fold_or_open()
            case Qt.Key.Key_Home:
                self.move_to(0)
            case Qt.Key.Key_End:
                self._go_to_cursor()
            case Qt.Key.Key_F2:
                self.rename_wished.emit()
            case Qt.Key.Key_Delete:
                self.delete_wished.emit()
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self._on_nearer()
            case Qt.Key.Key_Minus:
                self._on_further()
            case Qt.Key.Key_0:
                self.show_all()
            case _:
                return False
        return True

    def _walk(self, way: Way) -> None:
        if self._picture is not None:
            self.move_to(neighbour(self._picture, self._current, way))

    def _pick(self) -> None:
        node = self.current_node()
        self._picked = node.refs if node is not None else None
        self.node_picked.emit(self._current)

    def _go_to_cursor(self) -> None:
        if self._picture is not None:
            self.move_to(self._picture.tree.cursor)

    def _fold_or_open(self) -> None:
        """A long text is shown whole, or not; else what follows is folded away, or shown again."""
        if self._picture is None:
            return
        twig = self._picture.twigs[self._picture.twig_of[self._current]]
        first = twig.cells[0].node
        if self._picture.tree.nodes[first].long_open or any(cell.node == ELIDED for cell in twig.cells):
            self.open_wished.emit(first)
        else:
            self.fold_wished.emit(self._current)

    def _stay(self, before: BranchPicture, after: BranchPicture, current: BranchNode) -> None:
        """The current node, or the nearest above it that is still there, stays where it was on the screen."""
        number = self._current
        followed = number == before.tree.cursor
        while (found := _found(after, before.tree.nodes[number])) is None:
            number = before.tree.nodes[number].parent
        was, now = before.cell_of(number), after.cell_of(found)
        moved = self._geometry.cell(*was).topLeft() - self._geometry.cell(*now).topLeft()
        self._geometry = self._geometry.moved(moved * self._geometry.scale)
        self._current = found
        self._geometry = self._geometry.filling(after, QRectF(self.rect()))
        stands = after.tree.nodes[after.tree.cursor].refs
        went = stands != before.tree.nodes[before.tree.cursor].refs
        arrived = went and stands == self._picked  # where it was wished to, and whoever wished may be further by now
        if went:
            self._picked = None
        if (followed or went) and not arrived:
            self._current = after.tree.cursor
            self._show_node(self._current)

    def _place(self) -> None:
        """The first time: at its normal size, the prompt in the middle of the left edge, the current node in sight."""
        if self._picture is None or not self.isVisible():
            return
        self._placed = True
        whole = self._geometry.fitted(self._picture, QRectF(self.rect()))
        around = QPointF(whole.origin.x(), self.height() / 2)
        self._geometry = whole.zoomed(1.0 / whole.scale, around)
        self._geometry = self._geometry.filling(self._picture, QRectF(self.rect()))
        self._show_node(self._current)
        self._show_scale()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._placed:
            self._place()

    def _show_node(self, number: int) -> None:
        if self._picture is not None and self._placed:
            cell = self._geometry.cell(*self._picture.cell_of(number))
            self._geometry = self._geometry.showing(cell.adjusted(-24, -30, 90, 30), QRectF(self.rect()))
            self.update()

    def _zoom(self, factor: float, around: QPointF) -> None:
        self._geometry = self._geometry.zoomed(factor, around)
        self._show_scale()

    def _on_nearer(self) -> None:
        self._zoom(_ZOOM, self._anchor())

    def _on_further(self) -> None:
        self._zoom(1 / _ZOOM, self._anchor())

    def _anchor(self) -> QPointF:
        """What stays in its place when a key zooms: the current node where it is in sight."""
        if self._picture is not None:
            shown = self._geometry.on_screen(self._geometry.cell(*self._picture.cell_of(self._current))).center()
            if QRectF(self.rect()).contains(shown):
                return shown
        return QRectF(self.rect()).center()

    def _show_scale(self) -> None:
        scale = self._geometry.scale
        self._buttons.set_possible(nearer=scale < MOST, further=scale > LEAST)
        self.update()

    def _place_buttons(self) -> None:
        gap = self._theme.px(8)
        self._buttons.move(self.width() - self._buttons.width() - gap, gap)

    def _node_at(self, point: QPointF) -> int | None:
        found = None if self._picture is None else self._geometry.hit(self._picture, point)
        return None if found is None or found[1].node == ELIDED else found[1].node

    def _set_hovered(self, number: int | None) -> None:
        if number != self._hovered:
            was, self._hovered = self._hovered, number
            self._update_nodes(was, number)
            self.hovered.emit(number)

    def _update_nodes(self, *numbers: int | None) -> None:
        """Paint these anew, with the figure below them, and nothing else."""
        for number in numbers:
            if number is not None and self._picture is not None:
                cell = self._geometry.cell(*self._picture.cell_of(number))
                below = cell.adjusted(-4, -4, 4 + self._theme.px(_LABEL[0]), 4 + self._theme.px(_LABEL[1]))
                self.update(self._geometry.on_screen(below).toAlignedRect())

    def _tell_room(self) -> None:
        """In steps, so that not every pixel lays the tree out anew."""
        characters = (self.width() - 2 * MARGIN) / self._geometry.character
        self.room_changed.emit(max(0, _ROOM_STEP * int(characters / _ROOM_STEP)))

    def _tell(self) -> None:
        node = self.current_node()
        if node is not None:
            self.setAccessibleDescription(node_text(node))
            self.current_changed.emit(self._current)


def _found(picture: BranchPicture, node: BranchNode) -> int | None:
    refs: tuple[Ref, ...] = node.refs
    return next((picture.tree.at[ref] for ref in refs if ref in picture.tree.at), 0 if ROOT in refs else None)

"""Attention as a picture: a row for each token that looks, a column for each that is looked at."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from canopy_desktop.exploration.attention_view import AttentionReading, AttentionView, Look
from canopy_desktop.exploration.squares import Square, clamped, containing, moved, zoomed
from canopy_ui.theme import Theme
from canopy_ui.widgets.matrix_axes import MatrixAxes
from canopy_ui.widgets.matrix_geometry import MatrixGeometry, fitted, room_for
from canopy_ui.widgets.matrix_painter import MatrixPainter
from canopy_ui.widgets.zoom_buttons import ZoomButtons

_ZOOM = 1.5  # of a key or a button
_WHEEL_ZOOM = 1.25  # of a notch
_NOTCH = 120.0  # Qt's eighths of a degree
_DIM = 0.4

Cell = tuple[int, int]  # query and key, as places in the window


class AttentionMatrix(QWidget):
    """Scales the last picture at once and says so until the exact one is there; cells are addressed by their places."""

    cell_hovered = Signal(object)  # Cell, or None
    cell_picked = Signal(object)  # Cell
    query_picked = Signal(object)  # int, a position in the text
    menu_requested = Signal(object)  # QPoint on the screen; the cell there was picked
    part_changed = Signal(object)  # Square in sight; None: the whole window

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: AttentionView | None = None
        self._look: Look | None = None
        self._scaled_by_row = False
        self._part: Square | None = None
        self._hovered: Cell | None = None
        self._picked: Cell | None = None
        self._lit: int | None = None  # a place that is under the mouse elsewhere
        self._grip: tuple[QPointF, Square] | None = None  # where the mouse went down, and what was in sight
        self._dragged = False
        self._painter = MatrixPainter(theme)
        self._buttons = ZoomButtons(theme, self)
        self._buttons.nearer.connect(self._on_nearer)
        self._buttons.further.connect(self._on_further)
        self._buttons.all_wanted.connect(self.show_all)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Attention matrix"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._painter.set_theme(theme)
        self._buttons.set_theme(theme)
        self._place_buttons()
        self.update()

    def set_view(self, view: AttentionView, look: Look) -> None:
        """Show what is known of `look`; another look's picture is pale."""
        self._view, self._look = view, look
        length = view.reading.length
        if self._part is not None and clamped(self._part, length) != self._part:
            self._set_part(clamped(self._part, length))
        for cell in (self._hovered, self._picked):
            if cell is not None and max(cell) >= length:
                self._set_hovered(None)
                self._picked = None
        self._show_possible()
        self.update(self._buttons.beside(self.rect()))

    def set_scaled_by_row(self, scaled: bool) -> None:
        """Give the full colour to the largest value of each row, or to 100 %."""
        self._scaled_by_row = scaled
        self.update()

    def set_lit(self, position: int | None) -> None:
        """Mark the token of the text that is under the mouse elsewhere."""
        lit = None
        if position is not None and self._view is not None and position in self._view.positions:
            lit = int(self._view.positions.searchsorted(position))
        if lit != self._lit:
            was, self._lit = self._lit, lit
            self._update_places(was, lit)

    def show_all(self) -> None:
        """Show the whole window."""
        self._set_part(None)

    def exact(self) -> bool:
        """Whether the picture on the screen is the one that is asked for, and not an older one, scaled."""
        if self._view is None or self._look is None:
            return False
        reading = self._view.reading
        return reading.look == self._look and reading.part == self._part

    def shown(self, cell: Cell) -> AttentionReading | None:
        """The reading that the cell's colour is taken from."""
        known = [reading for reading in self._readings() if _covers(reading, cell)]
        return known[-1] if known else None

    def geometry_of_matrix(self) -> MatrixGeometry | None:
        """Where the cells stand now."""
        if self._view is None:
            return None
        reading = self._view.reading
        square = self._part or Square(0, 0, reading.length)
        cell = 1 if self._part is not None else (self._view.whole or reading).cell
        room = square.span if self._part is not None else room_for(-(-square.span // cell)) * cell
        return fitted(self.width(), self.height(), square, room=room, zoom=self._theme.zoom)

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(320), self._theme.px(240))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(140), self._theme.px(110))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_buttons()

    def paintEvent(self, event: QPaintEvent) -> None:
        view, geometry = self._view, self.geometry_of_matrix()
        if view is None or geometry is None or view.reading.values.size == 0:
            return
        painter = QPainter(self)
        if view.reading.look != self._look:
            painter.setOpacity(_DIM)
        self._painter.paint(
            painter,
            geometry,
            self._readings(),
            scaled_by_row=self._scaled_by_row,
            ratio=self.devicePixelRatioF(),
        )
        painter.setOpacity(1.0)
        rows = self._selected_rows()
        marked = [place for cell in (self._hovered, self._picked) if cell is not None for place in cell]
        lit = [] if self._lit is None else [self._lit]
        axes = MatrixAxes(view, geometry, self._theme, rows={*rows, *marked[::2], *lit}, columns={*marked[1::2], *lit})
        axes.paint(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_marks(painter, geometry, rows)
        if not self.exact():
            self._paint_waiting(painter, geometry)
        painter.end()

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y() or event.angleDelta().x()
        self._zoom(_WHEEL_ZOOM ** (turned / _NOTCH), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        square = self._square()
        if event.button() == Qt.MouseButton.LeftButton and square is not None:
            self._grip, self._dragged = (event.position(), square), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grip is None or not self._drag(event.position()):
            self._set_hovered(self._known_cell(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._grip is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._grip = None
        geometry = self.geometry_of_matrix()
        if geometry is None or self._dragged:
            return
        if (cell := self._known_cell(event.position())) is not None:
            self._pick(cell)
        self._select(geometry.query_at(event.position()))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_mouse = event.reason() is QContextMenuEvent.Reason.Mouse
        cell = self._known_cell(QPointF(event.pos())) if by_mouse else self._picked
        if cell is not None:
            self._pick(cell)
            self.menu_requested.emit(event.globalPos())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._view is None or not self._act_on(event):
            super().keyPressEvent(event)

    def _act_on(self, event: QKeyEvent) -> bool:
        """Do what a key means here. Returns whether it means anything."""
        further = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        match event.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self._on_nearer()
            case Qt.Key.Key_Minus:
                self._on_further()
            case Qt.Key.Key_0:
                self.show_all()
            case Qt.Key.Key_Up:
                self._move(-1, 0, pan=further)
            case Qt.Key.Key_Down:
                self._move(1, 0, pan=further)
            case Qt.Key.Key_Left:
                self._move(0, -1, pan=further)
            case Qt.Key.Key_Right:
                self._move(0, 1, pan=further)
            case _:
                return False
        return True

    def _move(self, down: int, right: int, *, pan: bool) -> None:
        square, view = self._square(), self._view
        if square is None or view is None:
            return
        length = view.reading.length
        if pan:
            step = max(1, square.span // 8)
            self._set_part(moved(square, down * step, right * step, length))
            return
        rows = self._selected_rows()
        if not rows:
            return
        step = len(rows)
        query = min(max(rows.start + down * step, 0), length - 1)
        key = (self._hovered or self._picked or (0, rows.start))[1]
        key = min(max(key + right * step, 0), query)
        if self._part is not None:
            self._set_part(containing(self._part, query, key, length))
        if down:
            self._select(query)
        else:
            self._pick((query, key))
            self._set_hovered((query, key))

    def _drag(self, point: QPointF) -> bool:
        """Move what is in sight with the mouse. Returns whether it is held for that."""
        geometry, view = self.geometry_of_matrix(), self._view
        if self._grip is None or geometry is None or view is None:
            return False
        began, square = self._grip
        way = point - began
        if not self._dragged and way.manhattanLength() < QApplication.startDragDistance():
            return False
        self._dragged = True
        if self._part is not None:
            rows, columns = round(-way.y() / geometry.pitch), round(-way.x() / geometry.pitch)
            self._set_part(moved(square, rows, columns, view.reading.length))
        return True

    def _on_nearer(self) -> None:
        self._zoom(_ZOOM, self._anchor())

    def _on_further(self) -> None:
        self._zoom(1 / _ZOOM, self._anchor())

    def _anchor(self) -> QPointF:
        """What keys and buttons zoom at: the cell that is meant, the selected row's end, or the middle."""
        geometry, rows = self.geometry_of_matrix(), self._selected_rows()
        if geometry is None:
            return QPointF()
        cell = self._hovered or self._picked or ((rows.start, rows.start) if rows else None)
        place = geometry.area().center() if cell is None else geometry.cell(*cell).center()
        return place if geometry.area().contains(place) else geometry.area().center()

    def _zoom(self, factor: float, point: QPointF) -> None:
        square, geometry, view = self._square(), self.geometry_of_matrix(), self._view
        if square is None or geometry is None or view is None or factor == 1.0:
            return
        row, column = geometry.point_at(point)
        self._set_part(zoomed(square, factor, row, column, view.reading.length))

    def _set_part(self, part: Square | None) -> None:
        if part is not None and self._view is not None and part.span >= self._view.reading.length:
            part = None
        if part != self._part:
            self._part = part
            self._show_possible()
            self.part_changed.emit(part)
            self.update()

    def _show_possible(self) -> None:
        square = self._square()
        self._buttons.set_possible(nearer=square is not None and square.span > 1, further=self._part is not None)

    def _place_buttons(self) -> None:
        """In the corner below and right, where a square leaves room on one side or the other."""
        size = self._buttons.size()
        self._buttons.move(self.width() - size.width(), max(0, self.height() - size.height()))

    def _paint_marks(self, painter: QPainter, geometry: MatrixGeometry, rows: range) -> None:
        theme = self._theme
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if rows and not (row := geometry.row(rows)).isEmpty():
            painter.setPen(QPen(QColor(theme.accent), theme.px(2)))
            painter.drawRoundedRect(row.adjusted(-1, -1, 1, 1), 2, 2)
        painter.setClipRect(geometry.area().adjusted(-2, -2, 2, 2))
        if self._lit is not None:
            painter.setPen(QPen(QColor(theme.text), theme.px(1.5), Qt.PenStyle.DotLine))
            place = self._lit, self._lit + 1
            painter.drawRect(geometry.rect((place[0], geometry.square.rows[1]), place))
            painter.drawRect(geometry.rect(place, (0, place[1])))
        for cell, width in ((self._picked, theme.px(2)), (self._hovered, 1.5)):
            if cell is not None:
                painter.setPen(QPen(QColor(theme.accent if cell == self._picked else theme.text), width))
                painter.drawRect(self._rect_of(geometry, cell))
        painter.setClipping(False)

    def _update_places(self, *places: int | None) -> None:
        """Paint rows, columns and names of tokens anew, and nothing else."""
        geometry = self.geometry_of_matrix()
        if geometry is None:
            return
        for place in places:
            if place is not None:
                cell = geometry.cell(place, place).adjusted(-3, -3, 3, 3)
                half = max(0.0, self._theme.px(12) - cell.height() / 2)  # a name is higher than a narrow row
                self.update(QRectF(0, cell.top() - half, self.width(), cell.height() + 2 * half).toAlignedRect())
                self.update(QRectF(cell.left(), 0, cell.width(), self.height()).toAlignedRect())
                if geometry.column_tokens:  # the names above lean to the right
                    self.update(QRectF(cell.left(), 0, 2 * geometry.top, geometry.top).toAlignedRect())

    def _paint_waiting(self, painter: QPainter, geometry: MatrixGeometry) -> None:
        """Say that what is shown is scaled from an older picture, or is another one."""
        theme, text = self._theme, self.tr("computing …")
        painter.setFont(theme.font(13))
        width = painter.fontMetrics().horizontalAdvance(text) + theme.px(12)
        area = geometry.area()
        box = QRectF(area.right() - width, area.bottom() - theme.px(22), width, theme.px(22))
        painter.setPen(QPen(QColor(theme.control_border), 1))
        painter.setBrush(QColor(theme.panel))
        painter.drawRect(box)
        painter.setPen(QColor(theme.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _rect_of(self, geometry: MatrixGeometry, cell: Cell) -> QRectF:
        reading = self.shown(cell)
        if reading is None:
            return geometry.cell(*cell)
        rows, columns = reading.places(*cell)
        return geometry.rect((rows.start, rows.stop), (columns.start, columns.stop))

    def _readings(self) -> list[AttentionReading]:
        """From the lowest to the uppermost: all are of one look."""
        if self._view is None:
            return []
        newest, whole = self._view.reading, self._view.whole
        return [newest] if whole is None or whole is newest or whole.look != newest.look else [whole, newest]

    def _square(self) -> Square | None:
        if self._view is None or self._view.reading.length == 0:
            return None
        return self._part or Square(0, 0, self._view.reading.length)

    def _selected_rows(self) -> range:
        """The places in the cells of the selected token's row; none where it has no row."""
        if self._view is None or self._view.selected is None:
            return range(0)
        selected = self._view.selected
        reading = self.shown((selected, selected))
        return range(selected, selected + 1) if reading is None else reading.places(selected, selected)[0]

    def _known_cell(self, point: QPointF) -> Cell | None:
        geometry = self.geometry_of_matrix()
        return geometry.place_at(point) if geometry else None

    def _select(self, query: int | None) -> None:
        if query is None or self._view is None:
            return
        reading = self.shown((query, query))
        last = query if reading is None else reading.places(query, query)[0].stop - 1
        self.query_picked.emit(int(self._view.positions[min(last, self._view.positions.size - 1)]))

    def _pick(self, cell: Cell) -> None:
        """Mean this cell, until another is picked."""
        self._picked = cell
        self.cell_picked.emit(cell)
        self.update()

    def _set_hovered(self, cell: Cell | None) -> None:
        if cell != self._hovered:
            was, self._hovered = self._hovered, cell
            for changed in (was, cell):
                if changed is not None:
                    self._update_places(*changed)
                    if (geometry := self.geometry_of_matrix()) is not None:
                        self.update(self._rect_of(geometry, changed).adjusted(-3, -3, 3, 3).toAlignedRect())
            self.cell_hovered.emit(cell)


def _covers(reading: AttentionReading, cell: Cell) -> bool:
    (top, bottom), (left, right) = reading.square.rows, reading.square.columns
    return top <= cell[0] < bottom and left <= cell[1] < right

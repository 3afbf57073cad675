"""The picture of one step, painted once for each change; it names the operation under the mouse or the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPaintEngine,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from canopy_desktop.exploration.inside_view import InsideView, KeyRow
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.inside_hover import words_at
from canopy_ui.widgets.inside_layout import (
    LEAST_HEIGHT,
    LEAST_WIDTH,
    InsideLayout,
    Station,
    inside_layout,
    lanes_that_fit,
    outcomes_that_fit,
)
from canopy_ui.widgets.inside_painter import InsidePainter, Shown, shown_of
from canopy_ui.widgets.inside_sheets import sheet_of, stations_in
from canopy_ui.widgets.inside_words import station_name


class InsideFlow(QWidget):
    """A click, or Return, opens an operation; arrow keys change layer and head."""

    station_opened = Signal(object, object)  # Station, and the KeyRow that was meant, or None
    head_picked = Signal(int, int)  # layer, head
    position_picked = Signal(object)  # int
    position_hovered = Signal(object)  # int, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: InsideView | None = None
        self._kitchen: dict[Station, str] = {}
        self._shown: Shown | None = None
        self._at: InsideLayout | None = None
        self._picture: QPixmap | None = None
        self._marked: Station | None = None  # by the keyboard
        self._hovered: Station | None = None
        self._over: int | None = None  # the position of the lane under the mouse
        self._lit: int | None = None  # a position that is under the mouse, here or elsewhere
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("The way of a token through the model"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.setMinimumSize(theme.px(LEAST_WIDTH), theme.px(LEAST_HEIGHT))
        self._forget_picture()

    def set_view(self, view: InsideView | None) -> None:
        """Show this step."""
        if view is not self._view:
            self._view = view
            if view is not None:  # another model may not have what was meant
                there = stations_in(view)
                self._marked = self._marked if self._marked in there else None
                self._hovered = self._hovered if self._hovered in there else None
            self._forget_picture()
            self._tell()

    def set_kitchen_words(self, words: dict[Station, str]) -> None:
        """Write these below the operations' names."""
        if words != self._kitchen:
            self._kitchen = words
            self._forget_picture()

    def set_lit(self, position: int | None) -> None:
        """Mark the lane of the token that is under the mouse."""
        if position != self._lit:
            was, self._lit = self._lit, position
            for place in (was, position):
                if (lane := self._lane_of(place)) is not None:
                    self.update(lane.adjusted(-3, -3, 3, 3).toAlignedRect())

    def layout_of_picture(self) -> InsideLayout | None:
        """Where things stand now."""
        self._lay_out()
        return self._at

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(LEAST_WIDTH), self._theme.px(LEAST_HEIGHT))

    def paintEvent(self, event: QPaintEvent) -> None:
        self._lay_out()
        if self._at is None or self._shown is None:
            return
        painter = QPainter(self)
        if self._is_exported(painter):
            self._paint(painter, self._at, self._shown)
            painter.end()
            return
        painter.drawPixmap(0, 0, self._painted(self._at, self._shown))
        for station, colour in ((self._hovered, self._theme.secondary), (self._marked, self._theme.accent)):
            if station is not None:
                box = self._at.frame_of(station)
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(QPen(QColor(colour), self._theme.px(2)))
                painter.drawRoundedRect(QRectF(box.x, box.y + 1, box.width, box.height), 4, 4)
        if (lane := self._lane_of(self._lit)) is not None:
            painter.setPen(QPen(QColor(self._theme.text), self._theme.px(1.5)))
            painter.drawRoundedRect(lane, 4, 4)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._forget_picture()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._station_at(event.position()))
        row = self._row_at(event.position().y())
        self._set_over(None if row is None else row.position)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.words_at(event.pos()), self)
            return True
        return super().event(event)

    def words_at(self, point: QPoint) -> str:
        """What the tool tip says."""
        if self._at is None or self._shown is None:
            return ""
        return words_at(self._at, self._shown, point.x(), point.y())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)
        self._set_over(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at, shown = self._at, self._shown
        if event.button() != Qt.MouseButton.LeftButton or at is None or shown is None:
            super().mousePressEvent(event)
            return
        x, y = event.position().x(), event.position().y()
        step = shown.view.step
        if (lane := at.lane_at(x, y)) is not None:
            self.position_picked.emit(shown.rows[lane].position)
        elif (head := at.head_at(x, y)) is not None:
            self.head_picked.emit(step.layer, head)
            self._mark(Station.HEADS)
        elif (layer := at.block_at(x, y)) is not None:
            self.head_picked.emit(layer, step.head)
        elif (station := at.station_at(x, y)) is not None:
            self._mark(station)
            self.station_opened.emit(station, self._row_at(y))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        view, key = self._view, Qt.Key(event.key())
        if view is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().keyPressEvent(event)
            return
        step = view.step
        match key:
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                layer = step.layer + (1 if key == Qt.Key.Key_Down else -1)
                self.head_picked.emit(min(max(layer, 0), len(view.layers) - 1), step.head)
            case Qt.Key.Key_Left | Qt.Key.Key_Right:
                head = step.head + (1 if key == Qt.Key.Key_Right else -1)
                self.head_picked.emit(step.layer, min(max(head, 0), len(view.heads) - 1))
            case Qt.Key.Key_PageDown | Qt.Key.Key_PageUp:
                order = stations_in(view)
                place = -1 if self._marked is None else order.index(self._marked)
                way = 1 if key == Qt.Key.Key_PageDown else -1
                self._mark(order[min(max(place + way, 0), len(order) - 1)])
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if self._marked is not None:
                self.station_opened.emit(self._marked, None)
            case _:
                super().keyPressEvent(event)

    def _mark(self, station: Station) -> None:
        self._marked = station
        self._tell()
        self.update()

    def _tell(self) -> None:
        """The token, and the operation that the keyboard means, or what comes out at the end."""
        view, station = self._view, self._marked or Station.PROBABILITIES
        if view is None:
            self.setAccessibleDescription("")
        else:
            sentence = sheet_of(view, station).sentence
            self.setAccessibleDescription(f"“{marked(view.token)}”. {station_name(station)}: {sentence}")

    def _set_hovered(self, station: Station | None) -> None:
        if station is not self._hovered:
            self._hovered = station
            self.setCursor(Qt.CursorShape.ArrowCursor if station is None else Qt.CursorShape.PointingHandCursor)
            self.update()

    def _set_over(self, position: int | None) -> None:
        if position != self._over:
            self._over = position
            self.position_hovered.emit(position)

    def _lane_of(self, position: int | None) -> QRectF | None:
        """Where a token's lane stands."""
        if self._at is None or self._shown is None or position is None:
            return None
        for row, lane in zip(self._shown.rows, self._at.lanes, strict=True):
            if row.position == position:
                return QRectF(*lane.whole).adjusted(0, 1, 0, -1)
        return None

    def _station_at(self, point: QPointF) -> Station | None:
        return self._at.station_at(point.x(), point.y()) if self._at is not None else None

    def _row_at(self, y: float) -> KeyRow | None:
        at, shown = self._at, self._shown
        if at is None or shown is None:
            return None
        return next(
            (row for row, lane in zip(shown.rows, at.lanes, strict=True) if 0 <= y - lane.whole.y < lane.whole.height),
            None,
        )

    def _lay_out(self) -> None:
        view = self._view
        if view is None or self._at is not None:
            return
        unit, kitchen = self._theme.zoom, bool(self._kitchen)
        height = float(self.height())
        self._shown = shown_of(
            view, lanes_that_fit(height, unit, kitchen=kitchen), outcomes_that_fit(height, unit, kitchen=kitchen)
        )
        self._at = inside_layout(float(self.width()), height, unit, self._shown.contents(), kitchen=kitchen)

    def _painted(self, at: InsideLayout, shown: Shown) -> QPixmap:
        ratio = self.devicePixelRatioF()
        if self._picture is None or self._picture.devicePixelRatio() != ratio:
            picture = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
            picture.setDevicePixelRatio(ratio)
            picture.fill(QColor(self._theme.panel))
            painter = QPainter(picture)
            self._paint(painter, at, shown)
            painter.end()
            self._picture = picture
        return self._picture

    def _paint(self, painter: QPainter, at: InsideLayout, shown: Shown) -> None:
        InsidePainter(painter, self._theme, self._kitchen).paint(at, shown)

    def _is_exported(self, painter: QPainter) -> bool:
        """Whether it is painted into something finer than the screen, where the kept picture would be coarse."""
        engine = painter.paintEngine()
        finer = engine.paintDevice().devicePixelRatioF() != self.devicePixelRatioF()
        return engine.type() is QPaintEngine.Type.SVG or finer

    def _forget_picture(self) -> None:
        self._at = self._shown = self._picture = None
        self.update()

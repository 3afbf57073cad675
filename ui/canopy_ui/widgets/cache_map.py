"""The cache as blocks: a row for each layer, a column for each token, all layers filled alike."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.exploration.cache_view import CacheView
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped

_WIDEST, _NARROWEST = 22, 4  # of a column
_RULER = 12
_SEPARATE = 4  # height from which on layers are told apart by whole lines


class CacheMap(QWidget):
    """A click, or an arrow key, selects a token. Below it, how much of the context it fills."""

    position_picked = Signal(object)  # int, or None: the newest
    cell_hovered = Signal(object)  # (layer, position), or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: CacheView | None = None
        self._hovered: tuple[int, int] | None = None
        self._lit: int | None = None  # a position that is under the mouse, here or elsewhere
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Blocks of the cache"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._font = theme.font(15)
        self._metrics = QFontMetricsF(self._font)
        names = (self.tr("layer"), "000")
        self._left = max(self._metrics.horizontalAdvance(name) for name in names) + theme.px(6)
        self.updateGeometry()
        self.update()

    def set_view(self, view: CacheView | None, described: str = "") -> None:
        """Show this; `described` says the same in words."""
        self._view = view
        self.setAccessibleDescription(described)
        self.update()

    def set_lit(self, position: int | None) -> None:
        """Mark the column of the token that is under the mouse."""
        if position != self._lit:
            for place in (self._lit, position):
                if place is not None:
                    self.update(self.column_rect(place).adjusted(-3, -3, 3, 3).toAlignedRect())
            self._lit = position

    def tokens_per_column(self) -> int:
        """More than one where they would be too narrow to be told apart."""
        view = self._view
        if view is None:
            return 1
        most = max(1, int(self._area().width() // self._theme.px(_NARROWEST)))
        return -(-len(view.chips) // most)

    def column_rect(self, position: int) -> QRectF:
        """Where a token's column stands."""
        view, area, bin_ = self._view, self._area(), self.tokens_per_column()
        columns = -(-len(view.chips) // bin_) if view is not None else 1
        width = min(self._theme.px(_WIDEST), area.width() / columns)
        return QRectF(area.left() + position // bin_ * width, area.top(), width, area.height())

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(420), self._theme.px(230))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(240), self._theme.px(140))

    def paintEvent(self, event: QPaintEvent) -> None:
        view = self._view
        if view is None:
            return
        painter = QPainter(self)
        painter.setFont(self._font)
        self._paint_layers(painter, view)
        self._paint_columns(painter, view)
        self._paint_ruler(painter, view)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            self.position_picked.emit(cell[1])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        view = self._view
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        key = Qt.Key(event.key())
        if view is None or view.selected is None or key not in (*steps, Qt.Key.Key_Home, Qt.Key.Key_End):
            super().keyPressEvent(event)
        elif key in steps:
            bin_ = self.tokens_per_column()
            self.position_picked.emit(min(max(view.selected + steps[key] * bin_, 0), len(view.chips) - 1))
        else:
            self.position_picked.emit(0 if key == Qt.Key.Key_Home else None)

    def _area(self) -> QRectF:
        line, px = self._metrics.height(), self._theme.px
        bottom, top = 2 * line + px(_RULER + 14), line / 2
        return QRectF(self._left, top, self.width() - self._left - 1, max(px(20), self.height() - top - bottom))

    def _paint_layers(self, painter: QPainter, view: CacheView) -> None:
        area, line = self._area(), self._metrics.height()
        height = area.height() / view.layers
        step = next(step for step in (1, 5, 10, 50, 1000) if step * height >= line)
        painter.setPen(QColor(self._theme.secondary))
        for layer in range(0, view.layers, step):
            middle = area.bottom() - (layer + 0.5) * height
            box = QRectF(0, middle - line / 2, area.left() - self._theme.px(6), line)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, str(layer))
        foot = QRectF(0, area.bottom() + self._theme.px(2), area.left() - self._theme.px(6), line)
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight, self.tr("layer"))

    def _paint_columns(self, painter: QPainter, view: CacheView) -> None:
        """A column a token; its gaps between layers are drawn over all of them at once."""
        theme, area, bin_ = self._theme, self._area(), self.tokens_per_column()
        width = self.column_rect(0).width()
        gap = 1 if width < theme.px(8) else theme.px(2)
        last = QRectF()
        for first in range(0, len(view.chips), bin_):
            box = last = QRectF(area.left() + first // bin_ * width, area.top(), width, area.height())
            positions = range(first, min(first + bin_, len(view.chips)))
            painter.fillRect(box.adjusted(0, 0, -gap, 0), self._ground(view, positions))
            if positions[-1] in view.dropped:
                gone = QBrush(QColor(theme.control_border), Qt.BrushStyle.BDiagPattern)
                painter.fillRect(box.adjusted(0, 0, -gap, 0), gone)
            if positions[-1] >= view.prompt:
                line = QRectF(box.left(), area.bottom() + theme.px(2), box.width() - gap, theme.px(3))
                painter.fillRect(line, QColor(theme.accent))
        height = area.height() / view.layers
        strong, pale = QColor(theme.panel), QColor(theme.panel)
        pale.setAlphaF(0.5)
        for layer in range(1, view.layers):
            box = QRectF(area.left(), round(area.bottom() - layer * height), last.right() - area.left(), 1)
            painter.fillRect(box, strong if height >= _SEPARATE or layer % 5 == 0 else pale)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if view.read < len(view.chips):
            first_box, end = self.column_rect(view.read), self.column_rect(len(view.chips) - 1)
            painter.setPen(QPen(QColor(theme.control_border), 1, Qt.PenStyle.DotLine))
            painter.drawRect(first_box.united(end).adjusted(0.5, 0.5, -gap - 0.5, -0.5))
        if view.selected is not None:
            painter.setPen(QPen(QColor(theme.text), theme.px(2)))
            painter.drawRect(self.column_rect(view.selected).adjusted(-1, -2, 1 - gap, 2))
        if self._lit is not None and self._lit < len(view.chips):
            painter.setPen(QPen(QColor(theme.text), theme.px(1.5), Qt.PenStyle.DashLine))
            painter.drawRect(self.column_rect(self._lit).adjusted(-1, -1, 1 - gap, 1))
        self._paint_ends(painter, view, last.right())

    def _ground(self, view: CacheView, positions: range) -> QColor:
        """Of a column, by its last token."""
        theme, last = self._theme, positions[-1]
        if last in view.dropped:
            return QColor(theme.hatch)
        if positions[0] >= view.read:
            return QColor(theme.panel)
        return QColor(theme.accent if view.read - 1 in positions else theme.bar)

    def _paint_ends(self, painter: QPainter, view: CacheView, right: float) -> None:
        area, line, px = self._area(), self._metrics.height(), self._theme.px
        painter.setPen(QColor(self._theme.secondary))
        box = QRectF(area.left(), area.bottom() + px(6), max(right - area.left(), px(80)), line)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, "0")
        text = grouped(len(view.chips) - 1)
        if box.width() > 3 * self._metrics.horizontalAdvance(text):
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, text)
        bin_ = self.tokens_per_column()
        if bin_ > 1 and box.width() > px(300):
            note = self.tr("a column is {count} tokens").format(count=grouped(bin_))
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, note)

    def _paint_ruler(self, painter: QPainter, view: CacheView) -> None:
        """The whole context: what the text fills of it."""
        theme, area, line = self._theme, self._area(), self._metrics.height()
        top = area.bottom() + theme.px(10) + line
        bar = QRectF(area.left(), top, area.width(), theme.px(_RULER))
        painter.fillRect(bar, QColor(theme.hatch))
        share = min(1.0, view.used / max(1, view.context))
        painter.fillRect(
            QRectF(bar.left(), top, max(theme.px(2), bar.width() * share), bar.height()), QColor(theme.bar)
        )
        painter.setPen(QPen(QColor(theme.control_border), 1))
        painter.drawRect(bar)
        painter.setPen(QColor(theme.text))
        foot = QRectF(bar.left(), bar.bottom() + theme.px(1), bar.width(), line)
        text = self.tr("{used} of {context} tokens of the context").format(
            used=grouped(view.used), context=grouped(view.context)
        )
        shown = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, foot.width())
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _cell_at(self, point: QPointF) -> tuple[int, int] | None:
        view, area = self._view, self._area()
        if view is None or not area.contains(point):
            return None
        place = int((point.x() - area.left()) // self.column_rect(0).width())
        bin_ = self.tokens_per_column()
        position = min(place * bin_ + bin_ - 1, len(view.chips) - 1)
        if place * bin_ >= len(view.chips):
            return None
        return int((area.bottom() - point.y()) // (area.height() / view.layers)), position

    def _hover(self, cell: tuple[int, int] | None) -> None:
        if cell != self._hovered:
            self._hovered = cell
            self.cell_hovered.emit(cell)

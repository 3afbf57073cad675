"""The strip that a draw falls on: all probabilities side by side, and a needle."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.exploration.decision_view import Stretch, Strip
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import percent


class DrawStrip(QWidget):
    """From 0 to 1: the likeliest tokens by name, all others hatched, and where the number fell."""

    token_hovered = Signal(object)  # a token's id, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._strip: Strip | None = None
        self._sentence = ""
        self._over: int | None = None  # the token under the mouse
        self._lit: int | None = None  # a token that is under the mouse, here or elsewhere
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("The draw"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._font, self._small = theme.token_font(13), theme.font(13)
        self.updateGeometry()
        self.update()

    def set_strip(self, strip: Strip | None, *, greedy: bool, what_if: bool) -> None:
        """Show this draw; `what_if`: it is what other settings would draw."""
        self._strip = strip
        self._sentence = "" if strip is None else self._told(strip, greedy=greedy, what_if=what_if)
        self.setAccessibleDescription(self._sentence)
        self.setToolTip(self._sentence)
        self.update()

    def set_lit(self, token_id: int | None) -> None:
        """Mark the stretch of the token that is under the mouse."""
        if token_id != self._lit:
            for stretch in self._stretches():
                if stretch.token.id in (self._lit, token_id):
                    self.update(self._rect_of(stretch).adjusted(-3, -3, 3, 3).toAlignedRect())
            self._lit = token_id

    def sentence(self) -> str:
        """What the needle says."""
        return self._sentence

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(300), self._theme.px(54))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(120), self._theme.px(54))

    def paintEvent(self, event: QPaintEvent) -> None:
        strip = self._strip
        if strip is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = self._theme
        whole = self._whole()
        self._paint_rest(painter, whole)
        for number, stretch in enumerate(self._stretches()):
            self._paint_stretch(painter, stretch, number, chosen=stretch.token == strip.taken.token)
        if strip.uniform is not None:
            x = whole.left() + strip.uniform * whole.width()
            top, bottom = QPointF(x, whole.top() - theme.px(5)), QPointF(x, whole.bottom() + theme.px(5))
            for colour, width in ((theme.panel, 7), (theme.text, 3)):  # to be seen on every ground
                painter.setPen(QPen(QColor(colour), theme.px(width)))
                painter.drawLine(top, bottom)
        painter.setFont(self._small)
        painter.setPen(QColor(theme.secondary))
        below = QRectF(whole.left(), whole.bottom() + theme.px(5), whole.width(), theme.px(18))
        text = painter.fontMetrics().elidedText(self._sentence, Qt.TextElideMode.ElideRight, round(below.width()))
        painter.drawText(below, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = [stretch for stretch in self._stretches() if self._rect_of(stretch).contains(event.position())]
        self._set_over(found[-1].token.id if found else None)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_over(None)

    def _set_over(self, token_id: int | None) -> None:
        if token_id != self._over:
            self._over = token_id
            self.token_hovered.emit(token_id)

    def _whole(self) -> QRectF:
        theme = self._theme
        return QRectF(theme.px(12), theme.px(7), self.width() - 2 * theme.px(12), theme.px(22))

    def _stretches(self) -> tuple[Stretch, ...]:
        """Those with names; what was taken is one of them."""
        strip = self._strip
        if strip is None:
            return ()
        named = any(stretch.token == strip.taken.token for stretch in strip.stretches)
        return strip.stretches if named else (*strip.stretches, strip.taken)

    def _rect_of(self, stretch: Stretch) -> QRectF:
        whole = self._whole()
        left, right = (whole.left() + edge * whole.width() for edge in (stretch.low, stretch.high))
        return QRectF(left, whole.top(), max(1.0, right - left), whole.height())

    def _paint_rest(self, painter: QPainter, whole: QRectF) -> None:
        theme = self._theme
        painter.fillRect(whole, QColor(theme.hatch))
        painter.fillRect(whole, QBrush(QColor(theme.hatch_line), Qt.BrushStyle.BDiagPattern))

    def _paint_stretch(self, painter: QPainter, stretch: Stretch, number: int, *, chosen: bool) -> None:
        theme, rect = self._theme, self._rect_of(stretch)
        ground = QColor(theme.accent if chosen else theme.bar)
        if not chosen and number % 2:
            ground = ground.lighter(112) if ground.lightness() > 127 else ground.darker(118)
        painter.fillRect(rect, ground)
        painter.setFont(self._font)
        text = marked(stretch.token)
        if painter.fontMetrics().horizontalAdvance(text) + theme.px(6) <= rect.width():
            painter.setPen(QColor(theme.on_accent if chosen else _on(ground)))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
        if stretch.token.id == self._lit:
            painter.setPen(QPen(QColor(theme.text), theme.px(2)))
            painter.drawLine(rect.topLeft() - QPointF(0, theme.px(3)), rect.topRight() - QPointF(0, theme.px(3)))
            painter.drawLine(rect.bottomLeft() + QPointF(0, theme.px(2)), rect.bottomRight() + QPointF(0, theme.px(2)))

    def _told(self, strip: Strip, *, greedy: bool, what_if: bool) -> str:
        taken = marked(strip.taken.token)
        if strip.uniform is None:
            if not greedy:
                return self.tr("Nothing was drawn: {token} was chosen by you").format(token=taken)
            if what_if:
                return self.tr("Nothing would be drawn: greedy takes {token}, the likeliest").format(token=taken)
            return self.tr("Nothing was drawn: greedy took {token}, the likeliest").format(token=taken)
        told = self.tr("u = {number:.4f} falls on {token}: {low} to {high}")
        if what_if:
            told = self.tr("u = {number:.4f} would fall on {token}: {low} to {high}")
        return told.format(
            number=strip.uniform, token=taken, low=percent(strip.taken.low), high=percent(strip.taken.high)
        )


def _on(ground: QColor) -> QColor:
    """Black or white, whichever can be read on a ground."""
    return QColor("#000000" if ground.lightness() > 110 else "#FFFFFF")

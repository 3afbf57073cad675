"""What the colours and lines of the text mean."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_ui.theme import DROPPED_OPACITY, SURPRISAL_BITS, Theme
from canopy_ui.widgets.numbers import grouped


class Legend(QWidget):
    """The scale of the colours, the line under generated tokens, and the one through those that left the window."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._generated = self.tr("generated")
        self._dropped = ""
        self._surprisal = self.tr("0 – {bits} bits").format(bits=round(SURPRISAL_BITS))
        self._attention = ""
        self._range = ""
        self.setAccessibleName(self.tr("Legend"))
        self._describe()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_theme(theme)

    def set_dropped(self, dropped: int) -> None:
        """How many tokens are no longer in the window."""
        text = self.tr("{count} dropped").format(count=grouped(dropped)) if dropped else ""
        if text != self._dropped:
            self._dropped = text
            self._describe()
            self.updateGeometry()
            self.update()

    def set_attention(self, look: str, scale: str = "") -> None:
        """Explain the colours of attention by what is meant and by their scale; none: those of surprisal."""
        if (look, scale) != (self._attention, self._range):
            self._attention, self._range = look, scale
            self._describe()
            self.updateGeometry()
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._font = theme.font(13)
        self._metrics = QFontMetricsF(self._font)
        self.updateGeometry()
        self.update()

    def least_width(self) -> int:
        """Room for the colours and their scale."""
        return round(self._metrics.horizontalAdvance(self._range or self._scale)) + self._theme.px(80)

    def sizeHint(self) -> QSize:
        px = self._theme.px
        width = self._metrics.horizontalAdvance(self._scale) + px(80)
        width += sum(self._metrics.horizontalAdvance(text) + px(20 + 30) for text in self._lines())
        return QSize(round(width), max(px(20), round(self._metrics.height())))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font)
        middle, right = self.height() / 2, float(self.width())
        scale = self._scale
        if self._range and self._metrics.horizontalAdvance(scale) + theme.px(80) > right:
            scale = self._range  # what is meant stands in the panel's title too
        scale_width = self._metrics.horizontalAdvance(scale)
        painter.setPen(QColor(theme.secondary))
        text = QRectF(right - scale_width, 0, scale_width + 1, self.height())
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, scale)
        ramp = QRectF(text.left() - theme.px(78), middle - theme.px(5), theme.px(72), theme.px(10))
        gradient = QLinearGradient(ramp.topLeft(), ramp.topRight())
        gradient.setColorAt(0, theme.link_colour(0) if self._attention else QColor(theme.surprisal_low))
        gradient.setColorAt(1, theme.link_colour(1) if self._attention else QColor(theme.surprisal_high))
        painter.setBrush(gradient)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawRoundedRect(ramp, 2, 2)
        self._paint_lines(painter, ramp.left())
        painter.end()

    def _paint_lines(self, painter: QPainter, right: float) -> None:
        """What is marked by a line, from the right, as far as there is room: what changes goes first."""
        theme, middle = self._theme, self.height() / 2
        for name in self._lines():
            width = self._metrics.horizontalAdvance(name)
            left = right - theme.px(20) - width
            line = QRectF(left - theme.px(30), middle + theme.px(2), theme.px(24), theme.px(3))
            if line.left() < 0:
                return
            painter.setPen(QColor(theme.secondary))
            painter.drawText(QRectF(left, 0, width + 1, self.height()), Qt.AlignmentFlag.AlignVCenter, name)
            if name == self._generated:
                painter.fillRect(line, QColor(theme.accent))
            else:
                self._paint_struck(painter, line, middle)
            right = line.left()

    def _paint_struck(self, painter: QPainter, box: QRectF, middle: float) -> None:
        theme = self._theme
        painter.setOpacity(DROPPED_OPACITY)
        painter.setPen(QColor(theme.text))
        painter.drawText(QRectF(box.left(), 0, box.width(), self.height()), Qt.AlignmentFlag.AlignCenter, "abc")
        painter.setOpacity(1.0)
        painter.setPen(QPen(QColor(theme.secondary), theme.px(1)))
        painter.drawLine(QPointF(box.left(), middle), QPointF(box.right(), middle))

    def _lines(self) -> tuple[str, ...]:
        return (self._dropped, self._generated) if self._dropped else (self._generated,)

    @property
    def _scale(self) -> str:
        if not self._attention:
            return self._surprisal
        return f"{self._attention}: {self._range}" if self._range else self._attention

    def _describe(self) -> None:
        self.setAccessibleDescription("; ".join((self._scale, *self._lines())))

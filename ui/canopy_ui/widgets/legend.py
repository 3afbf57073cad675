"""What the colours and lines of the text mean."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_ui.theme import SURPRISAL_BITS, Theme


class Legend(QWidget):
    """The scale of surprisal, and the line under generated tokens."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._generated = self.tr("generated")
        self._scale = self.tr("surprisal 0 – {bits} bits").format(bits=round(SURPRISAL_BITS))
        self.setAccessibleName(self.tr("Legend"))
        self.setAccessibleDescription(f"{self._scale}; {self._generated}")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._font = theme.font(13)
        self._metrics = QFontMetricsF(self._font)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        px = self._theme.px
        texts = self._metrics.horizontalAdvance(self._scale) + self._metrics.horizontalAdvance(self._generated)
        return QSize(round(texts) + px(72 + 6 + 20 + 24 + 6), max(px(20), round(self._metrics.height())))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font)
        middle, right = self.height() / 2, float(self.width())
        scale_width = self._metrics.horizontalAdvance(self._scale)
        painter.setPen(QColor(theme.secondary))
        text = QRectF(right - scale_width, 0, scale_width + 1, self.height())
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, self._scale)
        ramp = QRectF(text.left() - theme.px(78), middle - theme.px(5), theme.px(72), theme.px(10))
        gradient = QLinearGradient(ramp.topLeft(), ramp.topRight())
        gradient.setColorAt(0, QColor(theme.surprisal_low))
        gradient.setColorAt(1, QColor(theme.surprisal_high))
        painter.setBrush(gradient)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawRoundedRect(ramp, 2, 2)
        generated_width = self._metrics.horizontalAdvance(self._generated)
        left = ramp.left() - theme.px(20) - generated_width
        if left - theme.px(30) >= 0:
            painter.setPen(QColor(theme.secondary))
            box = QRectF(left, 0, generated_width + 1, self.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, self._generated)
            line = QRectF(left - theme.px(30), middle + theme.px(2), theme.px(24), theme.px(3))
            painter.fillRect(line, QColor(theme.accent))
        painter.end()

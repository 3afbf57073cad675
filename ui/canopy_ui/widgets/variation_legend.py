"""What the colours of compared steps mean."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_ui.theme import Theme

_RAMP = 60


class VariationLegend(QWidget):
    """The scale, from equal to nothing in common."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Scale of the colours"))
        self.setAccessibleDescription(self.tr("From equal distributions to such that have nothing in common"))
        self.setToolTip(
            self.tr("Total variation: the share of all draws that would have to fall otherwise to turn A into B.")
        )
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
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
        texts = sum(self._metrics.horizontalAdvance(text) for text in self._texts())
        return QSize(round(texts) + px(_RAMP + 16), max(px(20), round(self._metrics.height())))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        low, high = self._texts()
        painter = QPainter(self)
        painter.setFont(self._font)
        painter.setPen(QColor(theme.secondary))
        left = self._metrics.horizontalAdvance(low)
        side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(QRectF(0, 0, left + 2, self.height()), side, low)
        ramp = QRectF(left + theme.px(8) + 0.5, self.height() / 2 - theme.px(6), theme.px(_RAMP), theme.px(12))
        painter.drawText(QRectF(ramp.right() + theme.px(8), 0, self.width(), self.height()), side, high)
        gradient = QLinearGradient(ramp.topLeft(), ramp.topRight())
        gradient.setColorAt(0, QColor(theme.surprisal_low))
        gradient.setColorAt(1, QColor(theme.surprisal_high))
        painter.setPen(QPen(QColor(theme.control_border), 1.0))
        painter.setBrush(gradient)
        painter.drawRect(ramp)
        painter.end()

    def _texts(self) -> tuple[str, str]:
        return self.tr("distributions equal"), self.tr("nothing in common")

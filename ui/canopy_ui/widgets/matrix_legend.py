"""What the full colour of attention stands for."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_ui.theme import Theme

_RAMP = 40
_STEPS = 20  # of the gradient, even in what the colours stand for


class MatrixLegend(QWidget):
    """The scale, and where it ends."""

    def __init__(self, theme: Theme, colour: Callable[[Theme, float], QColor], parent: QWidget | None = None) -> None:
        """`colour` is that of a share, 0 to 1."""
        super().__init__(parent)
        self._colour = colour
        self._by_row = False
        self.setAccessibleName(self.tr("Scale of the colours"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.set_theme(theme)
        self.set_scaled_by_row(False)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._font = theme.font(13)
        self.updateGeometry()
        self.update()

    def set_scaled_by_row(self, scaled: bool) -> None:
        """Whether the largest value of each row has the full colour."""
        self._by_row = scaled
        self.setAccessibleDescription(self.text())
        self.setToolTip(
            self.tr("Evenly along the bar, up to the largest value of each row in this picture.")
            if scaled
            else self.tr("Evenly along the bar, up to 100 % in every picture.")
        )
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """What stands beside the colours."""
        return self.tr("row's largest") if self._by_row else self.tr("100 %")

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self._font)
        width = metrics.horizontalAdvance(self.text()) + self._theme.px(_RAMP + 8)
        return QSize(round(width), max(self._theme.px(18), round(metrics.height())))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        ramp = QRectF(0.5, self.height() / 2 - theme.px(5), theme.px(_RAMP), theme.px(10))
        gradient = QLinearGradient(ramp.topLeft(), ramp.topRight())
        for step in range(_STEPS + 1):
            gradient.setColorAt(step / _STEPS, self._colour(theme, step / _STEPS))
        painter.setBrush(gradient)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawRect(ramp)
        painter.setFont(self._font)
        painter.setPen(QColor(theme.secondary))
        place = QRectF(ramp.right() + theme.px(6), 0, self.width(), self.height())
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())
        painter.end()

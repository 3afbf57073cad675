"""What the colours of the strips and ribbons mean."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_ui.theme import Theme
from canopy_ui.widgets.inside_colours import InsideColours
from canopy_ui.widgets.inside_layout import Hue

_PX, _BAR = 13, 34


class InsideLegend(QWidget):
    """For each kind of vector a bar from below zero to above, and its name, as many as there is room for."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Legend"))
        self.setAccessibleDescription(
            self.tr("Cells are grey below zero and coloured above; a ribbon is as wide as its share.")
        )
        self.setToolTip(
            self.tr(
                "Each cell is one number: grey below zero, in the vector's colour above; the colour grows with its "
                "root, and the largest 2 % have the full colour. A ribbon of values is as wide as its share."
            )
        )
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.setFixedHeight(self.sizeHint().height())
        self.setMinimumWidth(1)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        measure = QFontMetricsF(self._theme.font(_PX))
        names = sum(measure.horizontalAdvance(name) for _, name in self._entries())
        gaps = len(self._entries()) * self._theme.px(_BAR + 18)
        sign = measure.horizontalAdvance(self._sign())
        return QSize(round(names + gaps + sign + self._theme.px(8)), self._theme.px(20))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, colours = self._theme, InsideColours.of(self._theme)
        painter = QPainter(self)
        painter.setFont(theme.font(_PX))
        measure, x = QFontMetricsF(theme.font(_PX)), 0.0
        painter.setPen(QColor(theme.secondary))
        width = measure.horizontalAdvance(self._sign()) + theme.px(8)
        painter.drawText(QRectF(x, 0, width, self.height()), Qt.AlignmentFlag.AlignVCenter, self._sign())
        x += width
        for hue, name in self._entries():
            if x + theme.px(_BAR + 5) + measure.horizontalAdvance(name) > self.width():
                break
            bar = QRectF(x, theme.px(4), theme.px(_BAR), self.height() - theme.px(8))
            blend = QLinearGradient(bar.topLeft(), bar.topRight())
            for place, colour in ((0.0, colours.below), (0.5, colours.ground), (1.0, colours.hues[hue])):
                blend.setColorAt(place, QColor(colour))
            painter.fillRect(bar, blend)
            x = bar.right() + theme.px(5)
            width = measure.horizontalAdvance(name) + theme.px(13)
            painter.drawText(QRectF(x, 0, width, self.height()), Qt.AlignmentFlag.AlignVCenter, name)
            x += width
        painter.end()

    def _sign(self) -> str:
        return self.tr("below zero … above:")

    def _entries(self) -> tuple[tuple[Hue, str], ...]:
        return (
            (Hue.STREAM, self.tr("stream")),
            (Hue.QUERY, self.tr("query")),
            (Hue.KEY, self.tr("key")),
            (Hue.VALUE, self.tr("value")),
        )

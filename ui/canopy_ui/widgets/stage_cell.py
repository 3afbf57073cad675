"""One stage on the strip: its name over its figure."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from canopy_ui.theme import Theme


class StageCell(QAbstractButton):
    """Checked: one stands there. The arrow keys ask for its neighbours."""

    neighbour_wanted = Signal(int)  # the next one: 1, the one before: -1

    def __init__(self, name: str, theme: Theme, *, last: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._last = last
        self._figure = ""
        self._theme = theme
        self.setText(name)
        self.setAccessibleName(name)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._name_font, self._figure_font = theme.font(14, strong=True), theme.font(13)
        self.updateGeometry()
        self.update()

    def set_figure(self, figure: str, line: str) -> None:
        """The figure below the name, and the line that a screen reader and the tool tip say."""
        if figure != self._figure:
            self._figure = figure
            self.update()
        if line != self.toolTip():
            self.setAccessibleName(f"{self.text()}: {line}" if line else self.text())
            self.setToolTip(line)

    def figure(self) -> str:
        """What stands below the name."""
        return self._figure

    def sizeHint(self) -> QSize:
        height = QFontMetrics(self._name_font).height() + QFontMetrics(self._figure_font).height()
        return QSize(self._theme.px(120), height + self._theme.px(8))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(24), self.sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.neighbour_wanted.emit(1 if event.key() == Qt.Key.Key_Right else -1)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, painter = self._theme, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        here = self.isChecked()
        room = QRectF(self.rect()).adjusted(theme.px(2), 0, -theme.px(10), 0)
        if self.underMouse() and self.isEnabled():
            painter.fillRect(room, QColor(theme.accent_soft))
        if here:
            painter.fillRect(QRectF(room.left(), room.bottom() - theme.px(3), room.width(), theme.px(3)), theme.accent)
        self._write(painter, room.adjusted(theme.px(4), theme.px(2), -theme.px(2), -theme.px(4)), here)
        if not self._last:
            self._point_on(painter)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.accent), theme.px(2)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(room.adjusted(1, 1, -1, -1), theme.px(4), theme.px(4))
        painter.end()

    def _write(self, painter: QPainter, room: QRectF, here: bool) -> None:
        theme = self._theme
        names, figures = QFontMetrics(self._name_font), QFontMetrics(self._figure_font)
        width = round(room.width())
        painter.setFont(self._name_font)
        painter.setPen(QColor(theme.accent if here else theme.text))
        upper = QRectF(room.left(), room.top(), room.width(), names.height())
        painter.drawText(upper, names.elidedText(self.text(), Qt.TextElideMode.ElideRight, width))
        painter.setFont(self._figure_font)
        painter.setPen(QColor(theme.accent if here else theme.secondary))
        lower = QRectF(room.left(), upper.bottom(), room.width(), figures.height())
        painter.drawText(lower, figures.elidedText(self._figure, Qt.TextElideMode.ElideRight, width))

    def _point_on(self, painter: QPainter) -> None:
        """The angle that points to the next cell."""
        theme = self._theme
        painter.setPen(QPen(QColor(theme.control_border), theme.px(1.4)))
        right, middle, half = self.width() - theme.px(3), self.height() / 2, theme.px(4)
        painter.drawPolyline(
            [QPointF(right - half, middle - half), QPointF(right, middle), QPointF(right - half, middle + half)]
        )

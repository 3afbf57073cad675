"""One head's attention: a row for each token that looks, a column for each that is looked at."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.exploration.attention_view import AttentionView
from canopy_ui.theme import Theme
from canopy_ui.widgets.matrix_axes import MatrixAxes
from canopy_ui.widgets.matrix_geometry import MatrixGeometry, fitted
from canopy_ui.widgets.matrix_image import brightest, colour_table, image_of

_GRID_PITCH = 8  # lines between the cells from this size on


class AttentionMatrix(QWidget):
    """Paints the newest reading; cells are addressed as (query cell, key cell)."""

    cell_hovered = Signal(object)  # (query cell, key cell), or None
    query_picked = Signal(object)  # int, a position in the text

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: AttentionView | None = None
        self._dimmed = False
        self._hovered: tuple[int, int] | None = None
        self._image: QImage | None = None
        self._image_factor = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Attention matrix"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._table = colour_table(theme.attention_low, theme.attention_high)
        self._image = None
        self.update()

    def set_view(self, view: AttentionView, *, dimmed: bool) -> None:
        """Show this reading; `dimmed` says that it is not the one that was asked for."""
        if self._view is None or view.reading is not self._view.reading:
            self._image = None
        self._view, self._dimmed = view, dimmed
        if self._hovered is not None and max(self._hovered) >= view.reading.values.shape[0]:
            self._set_hovered(None)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(320), self._theme.px(240))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(140), self._theme.px(110))

    def geometry_of_matrix(self) -> MatrixGeometry | None:
        """Where the cells stand now."""
        if self._view is None:
            return None
        reading = self._view.reading
        cells = reading.values.shape[0]
        return fitted(self.width(), self.height(), cells, tokens=reading.cell == 1, zoom=self._theme.zoom)

    def paintEvent(self, event: QPaintEvent) -> None:
        view, geometry = self._view, self.geometry_of_matrix()
        if view is None or geometry is None or geometry.cells == 0:
            return
        painter = QPainter(self)
        if self._dimmed:
            painter.setOpacity(0.4)
        self._paint_ground(painter, geometry, hidden=view.reading.hide_first)
        painter.drawImage(geometry.square(), self._image_for(geometry))
        if geometry.pitch >= _GRID_PITCH:
            self._paint_grid(painter, geometry)
        painter.setOpacity(1.0)
        axes = MatrixAxes(view, geometry, self._theme, selected=self._selected_row(), hovered=self._hovered)
        axes.paint(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if (row := self._selected_row()) is not None:
            painter.setPen(QPen(QColor(self._theme.accent), self._theme.px(2)))
            painter.drawRoundedRect(geometry.row(row).adjusted(-1, -1, 1, 1), 2, 2)
        if self._hovered is not None:
            painter.setPen(QPen(QColor(self._theme.text), 1.5))
            painter.drawRect(geometry.cell(*self._hovered))
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._known_cell(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        geometry = self.geometry_of_matrix()
        if geometry is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pick(geometry.query_at(event.position()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        geometry = self.geometry_of_matrix()
        row = self._selected_row()
        if geometry is None or row is None:
            super().keyPressEvent(event)
            return
        key = self._hovered[1] if self._hovered else row
        match event.key():
            case Qt.Key.Key_Up:
                self._pick(max(0, row - 1))
            case Qt.Key.Key_Down:
                self._pick(min(geometry.cells - 1, row + 1))
            case Qt.Key.Key_Left:
                self._set_hovered((row, max(0, min(key, row) - 1)))
            case Qt.Key.Key_Right:
                self._set_hovered((row, min(row, key + 1)))
            case _:
                super().keyPressEvent(event)

    def _paint_ground(self, painter: QPainter, geometry: MatrixGeometry, *, hidden: bool) -> None:
        """Hatch all that has no value; the image covers the rest."""
        theme, square = self._theme, geometry.square()
        painter.fillRect(square, QColor(theme.hatch))
        painter.fillRect(square, QBrush(QColor(theme.hatch_line), Qt.BrushStyle.BDiagPattern))
        if hidden:
            column = QRectF(square.left(), square.top(), geometry.pitch, square.height())
            painter.fillRect(column, QColor(theme.hatch))
            painter.fillRect(column, QBrush(QColor(theme.control_border), Qt.BrushStyle.Dense6Pattern))

    def _paint_grid(self, painter: QPainter, geometry: MatrixGeometry) -> None:
        painter.setPen(QPen(QColor(self._theme.panel), 1))
        square = geometry.square()
        for line in range(1, geometry.cells):
            offset = line * geometry.pitch
            painter.drawLine(
                QPointF(square.left(), square.top() + offset), QPointF(square.right(), square.top() + offset)
            )
            painter.drawLine(
                QPointF(square.left() + offset, square.top()), QPointF(square.left() + offset, square.bottom())
            )

    def _image_for(self, geometry: MatrixGeometry) -> QImage:
        assert self._view is not None
        factor = max(1, ceil(1.0 / (geometry.pitch * self.devicePixelRatioF()) - 1e-6))
        if self._image is None or factor != self._image_factor:
            self._image = image_of(brightest(self._view.reading.values, factor), self._table)
            self._image_factor = factor
        return self._image

    def _selected_row(self) -> int | None:
        if self._view is None or self._view.selected is None:
            return None
        reading = self._view.reading
        return self._view.selected // reading.cell

    def _known_cell(self, point: QPointF) -> tuple[int, int] | None:
        geometry = self.geometry_of_matrix()
        return geometry.cell_at(point) if geometry else None

    def _pick(self, row: int | None) -> None:
        if row is not None and self._view is not None:
            reading = self._view.reading
            self.query_picked.emit(int(self._view.positions[min((row + 1) * reading.cell, reading.length) - 1]))

    def _set_hovered(self, cell: tuple[int, int] | None) -> None:
        if cell != self._hovered:
            self._hovered = cell
            self.cell_hovered.emit(cell)
            self.update()

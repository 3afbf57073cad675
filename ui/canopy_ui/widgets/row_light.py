"""Light on the rows of a table: a row lights its token in all panels, and the rows of a lit token are framed."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, QRect, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import Index, LitRows
from canopy_ui.theme import Theme


class RowLight(QStyledItemDelegate):
    """The delegate of a view, which tells it when its current row changes. Rows are those of a `LitRows`."""

    wished = Signal(object)  # Light of the row under the mouse, or of the current one while the view has the keyboard

    def __init__(self, view: QAbstractItemView, theme: Theme) -> None:
        super().__init__(view)
        self._view = view
        self._theme = theme
        self._lit = DARK
        self._wished = DARK
        view.setItemDelegate(self)
        view.viewport().setMouseTracking(True)
        for widget in (view, view.viewport()):
            widget.installEventFilter(self)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme

    def set_lit(self, light: Light) -> None:
        """Frame the rows of this token; what is not in sight is not looked at."""
        was, self._lit = self._lit, light
        if light == DARK:
            self._wished = DARK  # whoever put it out: the next move lights it again
        viewport, rows = self._view.viewport(), self._view.model()
        if light == was or not isinstance(rows, LitRows) or not self._view.isVisible():
            return
        for index in self._in_sight():
            if rows.is_lit(index, was) != rows.is_lit(index, light):
                place = self._view.visualRect(index)
                viewport.update(0, place.top(), viewport.width(), place.height())

    def take_current(self, index: Index) -> None:
        """The view's current row is this one."""
        if self._view.hasFocus():
            self._wish(index)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        match event.type():
            case QEvent.Type.MouseMove if isinstance(event, QMouseEvent):
                self._wish(self._view.indexAt(event.position().toPoint()))
            case QEvent.Type.FocusIn:
                self._wish(self._view.currentIndex())
            case QEvent.Type.Leave | QEvent.Type.FocusOut | QEvent.Type.Hide:
                self._wish(QModelIndex())
            case _:
                pass
        return False

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        rows = index.model()
        if self._lit != DARK and isinstance(rows, LitRows) and rows.is_lit(index, self._lit):
            chosen = bool(option.state & QStyle.StateFlag.State_Selected)
            self._paint_frame(painter, option.rect, index.column(), rows.columnCount() - 1, chosen=chosen)

    def _paint_frame(self, painter: QPainter, cell: QRect, column: int, last: int, *, chosen: bool) -> None:
        """The part of a row's frame that is in a cell; on the ground of a chosen row it stands within it."""
        thin, ink = self._theme.px(1.5), QColor(self._theme.on_accent if chosen else self._theme.text)
        inset = thin if chosen else 0
        box = cell.adjusted(inset * (column == 0), inset, -inset * (column == last), -inset)
        painter.fillRect(box.left(), box.top(), box.width(), thin, ink)
        painter.fillRect(box.left(), box.bottom() + 1 - thin, box.width(), thin, ink)
        if column == 0:
            painter.fillRect(box.left(), box.top(), thin, box.height(), ink)
        if column == last:
            painter.fillRect(box.right() + 1 - thin, box.top(), thin, box.height(), ink)

    def _wish(self, index: Index) -> None:
        light = self._light_of(index) if index.isValid() else DARK  # a view that goes has no model any more
        if light != self._wished:
            self._wished = light
            self.wished.emit(light)

    def _light_of(self, index: Index) -> Light:
        rows = index.model()
        return rows.light_of(index) if isinstance(rows, LitRows) else DARK

    def _in_sight(self) -> Iterator[QModelIndex]:
        """The first cells of the rows that can be seen."""
        top, bottom = 0, self._view.viewport().height()
        while top < bottom and (index := self._view.indexAt(QPoint(0, top))).isValid():
            yield index
            top = self._view.visualRect(index).bottom() + 1

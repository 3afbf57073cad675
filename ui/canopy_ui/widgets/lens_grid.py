"""The lens as a grid that can be walked through: each cell is a token, the stronger the colour the more probable."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPen, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from canopy_desktop.exploration.lens_view import LensView
from canopy_desktop.model.tokenizer import Token
from canopy_ui.qt_models.lens_table import CellRole, LensTable, LensTop
from canopy_ui.theme import Theme, ink_on
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.copyable_table import CopyableTable

_COLUMN, _ROW, _TALLEST = 86, 19, 28
_LEVELS = 255  # of colour
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_MARGIN = 4  # columns beside those in sight that are computed too

_Index = QModelIndex | QPersistentModelIndex


class LensGrid(CopyableTable):
    """A click, or the keyboard, chooses row and position; both are those of the window."""

    cell_picked = Signal(int, object)  # row of the lens, position of the text or None: the newest
    position_hovered = Signal(object)  # int: the token that came after the column's; or None
    sight_changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        self._cells = _CellDelegate(theme)
        self._heads = LensHeader(theme)
        super().__init__(theme, parent)
        self._table = LensTable(self)
        self._view: LensView | None = None
        self._place: tuple[int, int] | None = None  # row and column that are selected in the window
        self._sight = range(0)
        self._hovered: int | None = None  # column
        self._lit: int | None = None  # position
        self.setMouseTracking(True)
        self.setHorizontalHeader(self._heads)
        self.setItemDelegate(self._cells)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setWordWrap(False)
        self.verticalHeader().show()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setSectionsClickable(False)
        self.setCornerButtonEnabled(False)
        self.setAccessibleName(self.tr("What the model would say after each layer"))
        self.setModel(self._table)
        self._heads.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.clicked.connect(self._on_clicked)
        self.horizontalScrollBar().valueChanged.connect(self._tell_sight)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        super().set_theme(theme)
        self._theme = theme
        self._cells.set_theme(theme)
        self._heads.set_theme(theme)
        self.setStyleSheet(
            f"QTableCornerButton::section {{ background: {theme.panel}; border: none; }}"
            "QHeaderView::section:vertical { border: none; }"
        )
        self.verticalHeader().setFont(theme.font(15))
        self.verticalHeader().setMinimumSectionSize(theme.px(12))
        self._fit_cells()
        self.viewport().update()

    def set_model(self, layers: int, token_of: Callable[[int], Token]) -> None:
        """The network whose layers these are."""
        self._table.set_model(layers, token_of)
        self._place = None

    def set_view(self, view: LensView | None) -> None:
        """Show this, and what is selected in it."""
        if view is self._view:
            return
        self._view = view
        self._table.set_view(view)
        self._heads.set_view(view)
        place = None
        if view is not None and view.selected is not None and self._table.rowCount():
            place = (self._table.rowCount() - 1 - view.row, view.selected)
        if place != self._place:
            self._place = place
            self._show_place()
        self._light_column(self._column_of(self._lit))
        self._tell_sight()

    def set_lit(self, position: int | None) -> None:
        """Mark the column of the token that is under the mouse."""
        self._lit = position
        self._light_column(self._column_of(position))

    def sight(self) -> range:
        """Positions of the columns that can be seen, or almost."""
        return self._sight

    def row_name(self, row: int) -> str:
        """What a row of the lens is called."""
        return self._table.row_name(row)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tell_sight()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_cells()
        super().resizeEvent(event)  # how far one can scroll depends on the cells
        self.verticalScrollBar().setValue(0)  # the model's own answer stays in sight where there is room
        self._show_place()
        self._tell_sight()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._set_hovered(self.columnAt(round(event.position().x())))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        view, place = self._view, self._place
        if view is None or place is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().keyPressEvent(event)
            return
        row, column = place
        match Qt.Key(event.key()):
            case Qt.Key.Key_Up:
                row -= 1
            case Qt.Key.Key_Down:
                row += 1
            case Qt.Key.Key_Left:
                column -= 1
            case Qt.Key.Key_Right:
                column += 1
            case Qt.Key.Key_PageUp:
                row = 0
            case Qt.Key.Key_PageDown:
                row = self._table.rowCount() - 1
            case Qt.Key.Key_Home:
                column = 0
            case Qt.Key.Key_End:
                self.cell_picked.emit(view.row, None)
                return
            case _:
                super().keyPressEvent(event)
                return
        row = min(max(row, 0), self._table.rowCount() - 1)
        self._pick(row, min(max(column, 0), self._table.columnCount() - 1))

    def copied_text(self) -> str:
        """Every column that was computed, with the tokens that were read and that came next, cells between tabs."""
        table, view = self._table, self._view
        if view is None:
            return ""
        across = Qt.Orientation.Horizontal
        columns = [place for place, column in enumerate(view.columns) if column is not None]
        rows = [["", *(str(table.headerData(place, across)) for place in columns)]]
        for row in range(table.rowCount()):
            cells = (str(table.index(row, place).data()).replace("\t", " ") for place in columns)
            rows.append([self.row_name(table.lens_row(row)), *cells])
        return "\n".join("\t".join(cells) for cells in rows) + "\n"

    def _set_hovered(self, column: int | None) -> None:
        view = self._view
        if column == self._hovered:
            return
        self._hovered = column
        known = view is not None and column is not None and 0 <= column < len(view.came) and view.came[column]
        self.position_hovered.emit(int(view.positions[column]) + 1 if view is not None and known else None)

    def _column_of(self, position: int | None) -> int | None:
        """The column whose next token stands there."""
        view = self._view
        if view is None or position is None:
            return None
        column = int(view.positions.searchsorted(position - 1))
        known = column < len(view.came) and view.positions[column] == position - 1 and view.came[column] is not None
        return column if known else None

    def _light_column(self, column: int | None) -> None:
        """Paint one column anew, and the one that was lit."""
        was = self._cells.lit
        if column == was:
            return
        self._cells.lit = self._heads.lit = column
        for place in (was, column):
            if place is not None:
                left, width = self.columnViewportPosition(place), self.columnWidth(place)
                self.viewport().update(left, 0, width, self.viewport().height())
                self._heads.viewport().update(left, 0, width, self._heads.height())

    def _fit_cells(self) -> None:
        """As tall as lets all rows be seen, within bounds; as wide as leaves no column cut off."""
        px, room = self._theme.px, self.viewport().size()
        rows = max(1, self.verticalHeader().count())
        self.verticalHeader().setDefaultSectionSize(min(max(px(_ROW), room.height() // rows), px(_TALLEST)))
        self._heads.setDefaultSectionSize(room.width() // max(1, room.width() // px(_COLUMN)))

    def _show_place(self) -> None:
        self._cells.place = self._place
        if self._place is not None:
            index = self._table.index(*self._place)
            self.selectionModel().setCurrentIndex(index, self.selectionModel().SelectionFlag.NoUpdate)
            self.scrollTo(index)
        self.viewport().update()

    @Slot()
    def _tell_sight(self) -> None:
        """Find out which positions can be seen, or almost."""
        sight, view = range(0), self._view
        if self.isVisible() and view is not None and view.read:
            last = len(view.read) - 1
            left, right = self.columnAt(0), self.columnAt(self.viewport().width() - 1)
            left = max(0, (0 if left < 0 else left) - _MARGIN)
            right = min(last, (last if right < 0 else right) + _MARGIN)
            sight = range(int(view.positions[left]), int(view.positions[right]) + 1)
        if sight != self._sight:
            self._sight = sight
            self.sight_changed.emit()

    @Slot(QModelIndex)
    def _on_clicked(self, index: QModelIndex) -> None:
        self._pick(index.row(), index.column())

    def _pick(self, row: int, column: int) -> None:
        """A column belongs to the token that came next; where none has come yet, to the newest."""
        view = self._view
        if view is not None:
            position = int(view.positions[column]) + 1 if view.came[column] is not None else None
            self.cell_picked.emit(self._table.lens_row(row), position)


class _CellDelegate(QStyledItemDelegate):
    """Paints a token on the colour of its probability."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.place: tuple[int, int] | None = None
        self.lit: int | None = None  # column
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._plain, self._strong = theme.token_font(15), theme.token_font(15, strong=True)
        self._metrics = QFontMetrics(self._strong)
        grounds = [theme.probability_colour(level / _LEVELS) for level in range(_LEVELS + 1)]
        self._colours = [(ground, ink_on(ground)) for ground in grounds]

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(self._theme.px(_COLUMN), self._theme.px(_ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme, top = self._theme, index.data(CellRole)
        rect: QRect = option.rect
        box = QRectF(rect).adjusted(1, 1, -1, -1)
        painter.save()
        if isinstance(top, LensTop):
            self._paint_top(painter, box, top)
        else:
            painter.fillRect(box, QColor(theme.hatch))
        if index.column() == self.lit:
            painter.setPen(QPen(QColor(theme.text), theme.px(1.5)))
            edges = QRectF(rect).adjusted(1, 0, -1, 0)
            painter.drawLine(edges.topLeft(), edges.bottomLeft())
            painter.drawLine(edges.topRight(), edges.bottomRight())
        if (index.row(), index.column()) == self.place:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for colour, width, inset in ((theme.panel, 5, 1.5), (theme.accent, 3, 0.5)):
                painter.setPen(QPen(QColor(colour), theme.px(width)))
                painter.drawRect(box.adjusted(inset, inset, -inset, -inset))
        painter.restore()

    def _paint_top(self, painter: QPainter, box: QRectF, top: LensTop) -> None:
        theme = self._theme
        ground, ink = self._colours[round(top.probability * _LEVELS)]
        painter.fillRect(box, ground)
        if top.came:
            bar = QRectF(box.left() + theme.px(2), box.top() + theme.px(2), theme.px(4), box.height() - 2 * theme.px(2))
            painter.fillRect(bar, ink)
        painter.setFont(self._strong if top.came else self._plain)
        painter.setPen(ink)
        inner = box.adjusted(theme.px(9), 0, -theme.px(4), 0)
        text = self._metrics.elidedText(top.text, Qt.TextElideMode.ElideRight, int(inner.width()))
        painter.drawText(inner, _LEFT, text)


class LensHeader(QHeaderView):
    """Above each column the token that came next, and below it the one that was read."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._view: LensView | None = None
        self.lit: int | None = None  # section
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._metrics = QFontMetrics(theme.token_font(15, strong=True))
        self.updateGeometry()
        self.viewport().update()

    def set_view(self, view: LensView | None) -> None:
        """Name the columns of this."""
        self._view = view
        self.viewport().update()

    def sizeHint(self) -> QSize:
        """Of the height alone: Qt's own would ask for the words of every section."""
        return QSize(0, 2 * max(self._theme.px(20), self._metrics.height()) + self._theme.px(3))

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        view, theme = self._view, self._theme
        if view is None or section >= len(view.read):
            return
        came, chosen = view.came[section], section == view.selected
        half = rect.height() // 2
        upper = QRect(rect.left(), rect.top(), rect.width(), half).adjusted(theme.px(5), 0, -theme.px(3), 0)
        lower = upper.translated(0, half)
        painter.save()
        painter.fillRect(rect, QColor(theme.accent_soft if chosen or section == self.lit else theme.panel))
        painter.setFont(theme.token_font(15, strong=True))
        painter.setPen(QColor(theme.accent if chosen else theme.text))
        self._write(painter, upper, "…" if came is None else "→ " + marked(came))
        painter.setFont(theme.token_font(15))
        painter.setPen(QColor(theme.secondary))
        self._write(painter, lower, marked(view.read[section]))
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.restore()

    def _write(self, painter: QPainter, box: QRect, text: str) -> None:
        shown = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, _LEFT, shown)

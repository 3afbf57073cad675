"""The tree of branches as an outline, for the keyboard, for screen readers, and for copying."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStyleOptionViewItem, QTreeView, QWidget

from canopy_desktop.exploration.branch_picture import BranchPicture
from canopy_ui.qt_models.branch_rows import BranchRows, Column, NodeRole
from canopy_ui.theme import Theme
from canopy_ui.widgets.row_light import RowLight

_Index = QModelIndex | QPersistentModelIndex


class BranchTable(QTreeView):
    """Rows are unfolded; Ctrl+C copies them as an indented text."""

    node_picked = Signal(int)  # to go there
    current_moved = Signal(int)  # by the person
    about_to_be_read = Signal()  # for owners that fill it only while it is shown

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row_light = _TallRows(self, theme)
        self._rows = BranchRows(self)
        self._filling = False
        self.setModel(self._rows)
        self.setAccessibleName(self.tr("Tree of branches as a table"))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setUniformRowHeights(True)
        self.setFrameShape(QTreeView.Shape.NoFrame)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.TEXT, QHeaderView.ResizeMode.Stretch)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.activated.connect(self._on_activated)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._row_light.set_theme(theme)
        self.setFont(theme.font(14))
        self.header().setFont(theme.font(13))
        self.setIndentation(theme.px(16))

    def set_picture(self, picture: BranchPicture | None, current: int) -> None:
        """Show this tree, with a node's row chosen."""
        self._filling = True
        self._rows.set_picture(picture)
        if picture is not None:
            self.expandAll()
            index = self._rows.index_of(current)
            self.setCurrentIndex(index)
            self.scrollTo(index)
        self._filling = False

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        super().currentChanged(current, previous)
        if not self._filling:
            self._row_light.take_current(current)
        if current.isValid() and not self._filling:
            self.current_moved.emit(current.data(NodeRole))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.copied_text())
        else:
            super().keyPressEvent(event)

    def copied_text(self) -> str:
        """All rows, cells between tabs, the text indented by its depth."""
        titles = [str(self._rows.headerData(column, Qt.Orientation.Horizontal)) for column in Column]
        lines = ["\t".join(titles)]
        waiting = [(self._rows.index(0, 0), 0)] if self._rows.rowCount() else []
        while waiting:
            index, depth = waiting.pop()
            cells = [str(index.siblingAtColumn(column).data()).replace("\t", " ") for column in Column]
            lines.append("\t".join(["  " * depth + cells[0], *cells[1:]]))
            rows = range(self._rows.rowCount(index))
            waiting += [(self._rows.index(row, 0, index), depth + 1) for row in reversed(rows)]
        return "\n".join(lines) + "\n"

    def _on_activated(self, index: QModelIndex) -> None:
        self.node_picked.emit(index.data(NodeRole))


class _TallRows(RowLight):
    """Rows as tall as those of other tables: a tree asks its delegate for their height."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return super().sizeHint(option, index).expandedTo(QSize(0, self._theme.px(24)))

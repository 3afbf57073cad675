"""A table whose selected cells are copied as text between tabs."""

from __future__ import annotations

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from canopy_ui.theme import Theme
from canopy_ui.widgets.row_light import RowLight

_Index = QModelIndex | QPersistentModelIndex


class CopyableTable(QTableView):
    """Rows are selected whole; Ctrl+C copies them, or all where none is selected."""

    about_to_be_read = Signal()  # for owners that fill it only while it is shown

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row_light = RowLight(self, theme)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setHighlightSections(False)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._row_light.set_theme(theme)
        self.setFont(theme.font(14))
        self.horizontalHeader().setFont(theme.font(13))
        self.verticalHeader().setDefaultSectionSize(theme.px(24))
        self.verticalHeader().setMinimumSectionSize(theme.px(20))

    def setModel(self, model: QAbstractItemModel | None) -> None:
        super().setModel(model)
        if model is not None and model.columnCount():
            self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        super().currentChanged(current, previous)
        self._row_light.take_current(current)

    def rowsInserted(self, parent: _Index, start: int, end: int) -> None:
        super().rowsInserted(parent, start, end)
        if self.isVisible():
            self.horizontalHeader().resizeSections()  # Qt makes columns wider for cells that change, not for new ones

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.copied_text())
        else:
            super().keyPressEvent(event)

    def copied_text(self) -> str:
        """The header and the selected rows, cells between tabs."""
        model = self.model()
        chosen = sorted(index.row() for index in self.selectionModel().selectedRows())
        columns = range(model.columnCount())
        header = [str(model.headerData(column, self.horizontalHeader().orientation())) for column in columns]
        rows = [
            [str(model.index(row, column).data()).replace("\t", " ") for column in columns]
            for row in (chosen or range(model.rowCount()))
        ]
        return "\n".join("\t".join(cells) for cells in (header, *rows)) + "\n"

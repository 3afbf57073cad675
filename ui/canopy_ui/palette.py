"""The command palette: everything that can be done, found by a few letters."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QEvent, QModelIndex, QObject, QPoint, QSize, Qt, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QLineEdit, QTableView, QVBoxLayout, QWidget

from canopy_ui.entries import Entry, found
from canopy_ui.popover import Popover
from canopy_ui.qt_models.entry_table import Column, EntryTable
from canopy_ui.theme import Theme

WIDTH, MOST_ROWS = 560, 12  # pixels at 100 %; rows that are seen at once
_TO_TABLE = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


class CommandPalette(Popover):
    """A field to type in, and below it what fits; the keyboard stays in the field."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Commands"))
        self._entries: tuple[Entry, ...] = ()
        self._rows = EntryTable()
        self._field = QLineEdit()
        self._field.setPlaceholderText(self.tr("Type what you want to do"))
        self._field.setAccessibleName(self.tr("Search for commands, workspaces, panels and help"))
        self._field.installEventFilter(self)
        self._table = QTableView()
        self._table.setModel(self._rows)
        self._table.setAccessibleName(self.tr("What fits"))
        self._table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._table.setShowGrid(False)
        self._table.verticalHeader().hide()
        header = self._table.horizontalHeader()
        header.hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)
        self._nothing = QLabel(self.tr("Nothing fits."))
        self._nothing.setProperty("look", "secondary")
        self._layout = QVBoxLayout(self)
        for widget in (self._field, self._table, self._nothing):
            self._layout.addWidget(widget)
        self._size = QSize()
        self._field.textChanged.connect(self._on_text_changed)
        self._field.returnPressed.connect(self._on_return_pressed)
        self._table.clicked.connect(self._on_row_clicked)
        self._table.selectionModel().currentRowChanged.connect(self._on_row_changed)

    def ask(self, entries: Sequence[Entry], theme: Theme) -> None:
        """Show what there is to do, at the top of the window."""
        self._entries = tuple(entries)
        window, margin = self._window, theme.px(10)
        self._layout.setContentsMargins(margin, margin, margin, margin)
        self._layout.setSpacing(theme.px(8))
        row = theme.px(30)
        self._table.verticalHeader().setDefaultSectionSize(row)
        self._size = QSize(
            min(theme.px(WIDTH), window.width() - 2 * margin), min(row * (MOST_ROWS + 2), window.height() - 2 * margin)
        )
        self._field.clear()
        self._on_text_changed()
        self.show_at(window.mapToGlobal(QPoint((window.width() - self._size.width()) // 2, theme.px(40))))
        self._field.setFocus()

    def sizeHint(self) -> QSize:
        return self._size

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress and event.key() in _TO_TABLE:
            QCoreApplication.sendEvent(self._table, event)
            return True
        return super().eventFilter(watched, event)

    @Slot()
    def _on_text_changed(self) -> None:
        shown = found(self._field.text(), self._entries)
        self._rows.set_entries(shown)
        self._table.setVisible(bool(shown))
        self._nothing.setVisible(not shown)
        if shown:
            self._table.selectRow(0)

    @Slot()
    def _on_return_pressed(self) -> None:
        self._choose(self._table.currentIndex())

    @Slot(QModelIndex)
    def _on_row_clicked(self, index: QModelIndex) -> None:
        self._choose(index)

    @Slot(QModelIndex)
    def _on_row_changed(self, index: QModelIndex) -> None:
        """Where the keyboard stays in the field, a screen reader would not say what is chosen."""
        entry = self._rows.entry(index.row()) if index.isValid() else None
        self._field.setAccessibleDescription("" if entry is None else ", ".join((entry.text, entry.kind, *entry.keys)))

    def _choose(self, index: QModelIndex) -> None:
        if not index.isValid() or not index.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        action = self._rows.entry(index.row()).action
        self.accept()
        action.trigger()

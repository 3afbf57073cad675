"""The list of keyboard shortcuts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from canopy_ui.docks import DOCKS, translated
from canopy_ui.entries import Entry
from canopy_ui.theme import Theme

WIDTH = 760  # pixels at 100 %


class ShortcutsDialog(QDialog):
    """A window beside the main one; nothing waits for it. The arrow keys scroll it."""

    def __init__(self, entries: Sequence[Entry], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        self._list = QWidget()
        self._rows = QGridLayout(self._list)
        self._rows.setColumnStretch(0, 3)
        self._rows.setColumnStretch(1, 2)
        for kind, group in groupby((entry for entry in entries if entry.keys), key=lambda entry: entry.kind):
            self._add_heading(kind)
            for entry in group:
                self._add_row(entry.action.whatsThis(), self.tr(" or ").join(entry.keys))
        for spec in DOCKS:
            if spec.keys:
                self._add_heading(self.tr("In the panel “{name}”").format(name=translated(spec.title)))
            for keys, what in spec.keys:
                self._add_row(translated(what), translated(keys))
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setAccessibleName(self.windowTitle())
        self._area.setWidgetResizable(True)
        self._area.setWidget(self._list)
        self._area.setFocus()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._area)

    def show_with(self, theme: Theme) -> None:
        """Come to the front, as large as the list, or as the screen."""
        self._rows.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(20))
        self._rows.setHorizontalSpacing(theme.px(32))
        self._rows.setVerticalSpacing(theme.px(6))
        width, screen = theme.px(WIDTH), self.screen().availableGeometry().size()
        self.ensurePolished()  # text of another size changes the height
        self.resize(QSize(width, self._rows.totalHeightForWidth(width)).boundedTo(screen * 0.9))
        self.show()
        self.raise_()
        self.activateWindow()

    def _add_heading(self, text: str) -> None:
        heading = QLabel(text)
        heading.setProperty("look", "name")
        heading.setContentsMargins(0, 12, 0, 0)
        self._rows.addWidget(heading, self._rows.rowCount(), 0, 1, 2)

    def _add_row(self, what: str, keys: str) -> None:
        row = self._rows.rowCount()
        shown = QLabel(keys)
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        told = QLabel(what)
        for column, label in enumerate((told, shown)):
            label.setWordWrap(True)
            self._rows.addWidget(label, row, column)

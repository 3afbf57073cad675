"""The menu in a dock's title: its panel as text, table or picture."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from canopy_ui.panel_content import table_of
from canopy_ui.widgets.panel import Panel


class Export(Enum):
    """One way to take a panel along."""

    COPY_TEXT = "copy_text"
    COPY_TABLE = "copy_table"
    COPY_PICTURE = "copy_picture"
    SAVE_PICTURE = "save_picture"
    SAVE_TABLE = "save_table"


class ExportMenu(QMenu):
    """Says which way was chosen."""

    chosen = Signal(object)  # Export

    def __init__(self, panel: Panel, parent: QWidget) -> None:
        super().__init__(parent)
        self._panel = panel
        self._actions = {export: self._action(export, *words) for export, words in self._words().items()}
        self.insertSeparator(self._actions[Export.SAVE_PICTURE])
        self.triggered.connect(self._on_triggered)
        self.aboutToShow.connect(self.refresh)

    @Slot()
    def refresh(self) -> None:
        """Offer a table where there is one."""
        there = table_of(self._panel) is not None
        for export in (Export.COPY_TABLE, Export.SAVE_TABLE):
            self._actions[export].setEnabled(there)

    def entries(self) -> tuple[QAction, ...]:
        """Every way, for those who list them."""
        return tuple(self._actions.values())

    def _words(self) -> dict[Export, tuple[str, str]]:
        return {
            Export.COPY_TEXT: (self.tr("Copy as text"), self.tr("What this panel says, to be pasted as text")),
            Export.COPY_TABLE: (self.tr("Copy table"), self.tr("The figures with commas between them (CSV)")),
            Export.COPY_PICTURE: (self.tr("Copy picture"), self.tr("A picture with a caption, to be pasted")),
            Export.SAVE_PICTURE: (self.tr("Save picture …"), self.tr("A picture with a caption, as PNG or SVG")),
            Export.SAVE_TABLE: (self.tr("Save table as CSV …"), self.tr("The figures, for a spreadsheet")),
        }

    def _action(self, export: Export, text: str, explanation: str) -> QAction:
        action = self.addAction(text)
        action.setData(export)
        action.setWhatsThis(explanation)
        return action

    @Slot(QAction)
    def _on_triggered(self, action: QAction) -> None:
        self.chosen.emit(action.data())

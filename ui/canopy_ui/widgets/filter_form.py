"""The output filter: a list from a file, and what a hit does."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from canopy_desktop.decoding.output_filter import FilterAction, FilterList, OutputFilter
from canopy_desktop.errors import CanopyError
from canopy_desktop.paths import resources
from canopy_ui.filter_choice import FilterChoice
from canopy_ui.theme import Theme
from canopy_ui.widgets.segmented import Segmented

_ACTIONS = (FilterAction.STOP, FilterAction.MASK, FilterAction.REDRAW)


class FilterForm(QWidget):
    """Reads the list itself; what cannot be read leaves the filter as it is."""

    filter_chosen = Signal(object)  # FilterChoice
    refused = Signal(object)  # CanopyError, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choice = FilterChoice()
        self._list: FilterList | None = None
        self._told = QLabel()
        self._told.setProperty("look", "secondary")
        self._told.setWordWrap(True)
        self._open = QPushButton(self.tr("List …"))
        self._open.setToolTip(self.tr("A text file with a word, phrase or /pattern/ a line"))
        self._example = QPushButton(self.tr("Example"))
        self._example.setToolTip(self.tr("A short list that comes with the program"))
        self._off = QPushButton(self.tr("Off"))
        self._buttons = QHBoxLayout()
        for button in (self._open, self._example, self._off):
            self._buttons.addWidget(button)
        self._action = Segmented((self.tr("stop"), self.tr("mask"), self.tr("re-draw")), self.tr("What a hit does"))
        self._action.setToolTip(
            self.tr("Stop the run, show blocks instead, or draw another token in place of the one that completes a hit")
        )
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(self._buttons)
        self._layout.addWidget(self._action)
        self._layout.addWidget(self._told)
        self._open.clicked.connect(self._on_open_clicked)
        self._example.clicked.connect(self._on_example_clicked)
        self._off.clicked.connect(self._on_off_clicked)
        self._action.chosen.connect(self._on_action_chosen)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for widget in (self._open, self._example, self._off, self._action):
            widget.setFont(theme.font(13))
        self._buttons.setSpacing(theme.px(6))
        self._layout.setSpacing(theme.px(4))

    def choice(self) -> FilterChoice:
        """What is chosen."""
        return self._choice

    def take(self, choice: FilterChoice) -> None:
        """Show a filter, or take up the file that was remembered; one that is gone is told, and the filter is off."""
        known = choice.output_filter
        self._choice = FilterChoice(action=choice.action) if known is None else choice
        self._list = None if known is None else known.entries
        if known is None and choice.file:
            self.read(Path(choice.file))
        self._show()

    def read(self, path: Path) -> None:
        """Filter by the list in this file."""
        try:
            found = FilterList.read(path)
        except CanopyError as error:
            self.refused.emit(error)
            return
        self.refused.emit(None)
        self._list = found
        self._tell(FilterChoice(str(path), self._choice.action, OutputFilter(found, self._choice.action)))

    def _tell(self, choice: FilterChoice) -> None:
        self._choice = choice
        self._show()
        self.filter_chosen.emit(choice)

    def _show(self) -> None:
        self._action.choose(_ACTIONS.index(self._choice.action))
        self._off.setEnabled(self._list is not None)
        if self._list is None:
            self._told.setText(self.tr("No filter: the text is shown as it is written."))
            return
        patterns = sum(entry.pattern is not None for entry in self._list.entries)
        self._told.setText(
            self.tr("{name} – words and phrases: {words}, patterns: {patterns}").format(
                name=self._list.name, words=len(self._list.entries) - patterns, patterns=patterns
            )
        )

    @Slot()
    def _on_open_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("A list for the output filter"))
        if path:
            self.read(Path(path))

    @Slot()
    def _on_example_clicked(self) -> None:
        self.read(resources() / "filters" / "example.txt")

    @Slot()
    def _on_off_clicked(self) -> None:
        self._list = None
        self._tell(FilterChoice(action=self._choice.action))

    @Slot(int)
    def _on_action_chosen(self, number: int) -> None:
        action = _ACTIONS[number]
        output_filter = None if self._list is None else OutputFilter(self._list, action)
        self._tell(FilterChoice(self._choice.file, action, output_filter))

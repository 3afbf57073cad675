"""A button with the example prompts, by topic."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from canopy_ui.widgets.chip_label import SPACE
from canopy_ui.widgets.examples import Example


class ExamplesButton(QPushButton):
    """Offers examples; whoever takes one is told."""

    example_chosen = Signal(object)  # Example

    def __init__(self, examples: Sequence[Example], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(self.tr("Examples ▾"))
        self.setAccessibleName(self.tr("Example prompts"))
        self.setProperty("look", "quiet")
        self._menu = QMenu(self)
        self._topics: dict[str, QMenu] = {}
        for example in examples:
            self._offer(example)
        self._menu.triggered.connect(self._on_menu_triggered)
        self.setMenu(self._menu)
        self.setEnabled(bool(examples))

    def _offer(self, example: Example) -> None:
        topic = self._topics.get(example.topic)
        if topic is None:
            topic = self._topics[example.topic] = self._menu.addMenu(example.topic)
            topic.setToolTipsVisible(True)
        space = SPACE if example.prompt.startswith(" ") else ""
        action = QAction(space + example.prompt.removeprefix(" ").replace("&", "&&"), topic)
        action.setToolTip(example.hint)
        action.setData(example)
        topic.addAction(action)

    def _on_menu_triggered(self, action: QAction) -> None:
        example = action.data()
        if isinstance(example, Example):
            self.example_chosen.emit(example)

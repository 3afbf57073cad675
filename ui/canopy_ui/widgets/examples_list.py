"""A few examples in sight, for a field that is still empty."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from canopy_ui.widgets.examples import Example


class ExamplesList(QWidget):
    """One line an example; whoever takes one is told."""

    example_chosen = Signal(object)  # Example

    def __init__(self, examples: Sequence[Example], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        title = QLabel(self.tr("Try one of these"))
        title.setProperty("look", "secondary")
        title.setVisible(bool(examples))
        layout.addWidget(title)
        self._buttons: dict[QPushButton, Example] = {}
        for example in examples:
            button = QPushButton(example.prompt.replace("&", "&&"))
            button.setProperty("look", "quiet")
            button.setToolTip(example.hint)
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            button.clicked.connect(self._on_button_clicked)
            self._buttons[button] = example
            layout.addWidget(button)
        layout.addStretch(1)

    def _on_button_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, QPushButton):
            self.example_chosen.emit(self._buttons[button])

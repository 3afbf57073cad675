"""A part of a form that can be folded away under its name."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from canopy_ui.theme import Theme


class Fold(QWidget):
    """A button that names what is below it, and shows or hides that."""

    def __init__(self, name: str, content: QWidget, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._summary = ""
        self._content = content
        self._button = QPushButton()
        self._button.setProperty("look", "quiet")
        self._button.setCheckable(True)
        self._button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._button.toggled.connect(self._show)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._button)
        self._layout.addWidget(content)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self._button.setFont(theme.font(13))
        self._layout.setSpacing(theme.px(3))

    def set_summary(self, summary: str) -> None:
        """What is in it, in a few words."""
        self._summary = summary
        self._show()

    def open(self) -> None:
        """Show what is below."""
        self._button.setChecked(True)

    @Slot()
    def _show(self) -> None:
        arrow = "▾" if self._button.isChecked() else "▸"
        self._button.setText(f"{arrow} {self._name}: {self._summary}" if self._summary else f"{arrow} {self._name}")
        self._button.setToolTip(self._summary)
        self._content.setVisible(self._button.isChecked())

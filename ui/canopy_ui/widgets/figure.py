"""One figure with its name above it."""

from __future__ import annotations

from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from canopy_ui.theme import Theme
from canopy_ui.widgets.elided_label import LineLabel
from canopy_ui.widgets.numbers import UNKNOWN


class Figure(QWidget):
    """A name, and a value that only ever makes it wider, so that its neighbours stay where they are."""

    def __init__(self, name: str, hint: str = "", widest: str = "", parent: QWidget | None = None) -> None:
        """`widest`: a value that there is room for from the start."""
        super().__init__(parent)
        self._name = QLabel(name)
        self._name.setProperty("look", "secondary")
        self._value = LineLabel(UNKNOWN)
        self._value.setProperty("look", "figure")
        self._value.setAccessibleName(name)
        self._widest = widest
        self.setToolTip(hint)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._name)
        layout.addWidget(self._value)

    def set_value(self, text: str) -> None:
        """Show another value."""
        if text != self._value.text():
            self._value.set_text(text)
            self._value.setMinimumWidth(max(self._value.minimumWidth(), self._value.sizeHint().width()))

    def value(self) -> str:
        """The text that is shown."""
        return self._value.text()

    def said(self) -> str:
        """The name, and the value."""
        return f"{self._name.text()}: {self._value.text()}"

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        width = QFontMetrics(theme.font(18, strong=True)).horizontalAdvance(self._widest)
        self._value.setMinimumWidth(width)

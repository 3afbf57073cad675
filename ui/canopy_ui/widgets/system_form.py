"""The system message of a chat: the template's own, one's own, or none at all."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from canopy_desktop.model.chat import SystemChoice
from canopy_ui.theme import Theme
from canopy_ui.widgets.prompt_edit import PromptEdit


class SystemForm(QWidget):
    """An empty field means the template's own message, which it shows."""

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._has_template = True
        self._choice = QComboBox()
        self._choice.addItem(self.tr("the template's, or your own"))
        self._choice.addItem(self.tr("no system message at all"))
        self._choice.setAccessibleName(self.tr("System message: with or without"))
        self._choice.setMinimumContentsLength(10)
        self._choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._text = PromptEdit(theme, 3)
        self._text.setAccessibleName(self.tr("System message"))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._choice, self._text):
            self._layout.addWidget(widget)
        self._choice.currentIndexChanged.connect(self._on_choice_changed)
        self._text.textChanged.connect(self.changed)
        self.set_default(None)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self._text.set_theme(theme)
        self._text.setFont(theme.font(14))
        self._choice.setFont(theme.font(14))
        self._layout.setSpacing(theme.px(4))

    def set_has_template(self, has_template: bool) -> None:
        """Whether there is a template that could add a message."""
        self._has_template = has_template
        self._choice.setItemText(0, self.tr("the template's, or your own") if has_template else self.tr("your own"))

    def set_default(self, text: str | None) -> None:
        """What the template says by itself."""
        shown = self.tr("none of the template's") if self._has_template else self.tr("none")
        self._text.setPlaceholderText(self.tr("{text}  (the template's own)").format(text=text) if text else shown)

    def summary(self) -> str:
        """Where the message comes from, in a few words."""
        return {
            SystemChoice.DEFAULT: self.tr("the template's") if self._has_template else self.tr("none"),
            SystemChoice.CUSTOM: self.tr("your own"),
            SystemChoice.NONE: self.tr("none"),
        }[self.choice()]

    def choice(self) -> SystemChoice:
        """Where the system message comes from."""
        if self._choice.currentIndex() == 1:
            return SystemChoice.NONE
        return SystemChoice.CUSTOM if self._text.text() else SystemChoice.DEFAULT

    def text(self) -> str:
        """One's own message."""
        return self._text.text()

    def set_message(self, choice: SystemChoice, text: str) -> None:
        """Show this choice and text."""
        self._choice.setCurrentIndex(1 if choice is SystemChoice.NONE else 0)
        self._text.set_text("" if choice is SystemChoice.DEFAULT else text)

    def _on_choice_changed(self, index: int) -> None:
        self._text.setEnabled(index == 0)
        self.changed.emit()

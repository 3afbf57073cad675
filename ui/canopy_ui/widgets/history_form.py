"""What was said before in a chat, and whether the model sees it."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from canopy_desktop.exploration.prompt import Turn
from canopy_ui.theme import Theme

LINES = 4  # of the turns that are seen at once


class HistoryForm(QWidget):
    """The turns, oldest first. The newest can be forgotten, or all of them."""

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._turns: tuple[Turn, ...] = ()
        self._seen = QCheckBox(self.tr("The model sees it"))
        self._seen.setToolTip(self.tr("Without its history, every message is the first one for the model"))
        self._seen.setChecked(True)
        self._text = QPlainTextEdit()
        self._text.setReadOnly(True)
        self._text.setTabChangesFocus(True)
        self._text.setProperty("look", "editor")
        self._text.setAccessibleName(self.tr("What was said before"))
        self._forget_last = QPushButton(self.tr("Forget the last"))
        self._forget_all = QPushButton(self.tr("Forget all"))
        buttons = QHBoxLayout()
        buttons.addWidget(self._forget_last)
        buttons.addWidget(self._forget_all)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._seen)
        self._layout.addWidget(self._text)
        self._layout.addLayout(buttons)
        self._seen.toggled.connect(self.changed)
        self._forget_last.clicked.connect(self._on_forget_last_clicked)
        self._forget_all.clicked.connect(self._on_forget_all_clicked)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for widget in (self._seen, self._text, self._forget_last, self._forget_all):
            widget.setFont(theme.font(13))
        self._text.setFixedHeight(self._text.fontMetrics().lineSpacing() * LINES + theme.px(16))
        self._layout.setSpacing(theme.px(4))

    def turns(self) -> tuple[Turn, ...]:
        """What was said before, oldest first."""
        return self._turns

    def seen(self) -> bool:
        """Whether the model sees it."""
        return self._seen.isChecked()

    def set_history(self, turns: tuple[Turn, ...], seen: bool) -> None:
        """Show these turns, and whether the model sees them; says `changed` where that is another."""
        self._seen.setChecked(seen)
        self._take(turns)

    def summary(self) -> str:
        """The history in a few words."""
        count = len(self._turns)
        if not count:
            return self.tr("nothing was said before")
        turns = self.tr("1 turn") if count == 1 else self.tr("{count} turns").format(count=count)
        return turns if self.seen() else self.tr("{turns}, not shown to the model").format(turns=turns)

    def _take(self, turns: tuple[Turn, ...]) -> None:
        if turns != self._turns:
            self._turns = turns
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        you, model = self.tr("You"), self.tr("Model")
        self._text.setPlainText("\n".join(f"{you}: {turn.user}\n{model}: {turn.assistant}" for turn in self._turns))
        bar = self._text.verticalScrollBar()
        bar.setValue(bar.maximum())
        for button in (self._forget_last, self._forget_all):
            button.setEnabled(bool(self._turns))

    @Slot()
    def _on_forget_last_clicked(self) -> None:
        self._take(self._turns[:-1])

    @Slot()
    def _on_forget_all_clicked(self) -> None:
        self._take(())

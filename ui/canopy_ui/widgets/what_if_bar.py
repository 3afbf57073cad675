"""Says that what is shown did not happen, and leads on from it or back."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QPushButton, QWidget

from canopy_ui.theme import Theme
from canopy_ui.widgets.elided_label import ElidedLabel


class WhatIfBar(QFrame):
    """A sentence and two buttons; hidden while what is shown is what happened."""

    from_here_clicked = Signal()
    as_used_clicked = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("look", "what-if")
        self._sentence = ElidedLabel()
        self._from_here = QPushButton(self.tr("From here on"))
        self._from_here.setToolTip(self.tr("Generates a new branch from this step with these settings"))
        self._from_here.clicked.connect(self.from_here_clicked)
        self._as_used = QPushButton(self.tr("What it used"))
        self._as_used.setToolTip(self.tr("Puts the settings back to those that this step really used"))
        self._as_used.clicked.connect(self.as_used_clicked)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._row.addWidget(self._sentence, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self._from_here)
        buttons.addWidget(self._as_used)
        self._row.addLayout(buttons)
        self.set_theme(theme)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._row.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self._row.setSpacing(theme.px(6))
        for widget in (self._sentence, self._from_here, self._as_used):
            widget.setFont(theme.font(13))

    def set_narrow(self, narrow: bool) -> None:
        """The buttons below the sentence."""
        ways = QBoxLayout.Direction
        self._row.setDirection(ways.TopToBottom if narrow else ways.LeftToRight)

    def set_text(self, text: str) -> None:
        """Say this; nothing hides the bar."""
        self._sentence.set_text(text)
        self.setVisible(bool(text))

    def text(self) -> str:
        """What it says."""
        return self._sentence.whole_text()

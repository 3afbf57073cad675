"""Nearer, further, and all of it."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QRegion
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from canopy_ui.theme import Theme


class ZoomButtons(QWidget):
    """Three small buttons in the corner of a picture."""

    nearer = Signal()
    further = Signal()
    all_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._nearer = self._button("+", self.tr("Zoom in (+, or the mouse wheel)"))
        self._nearer.clicked.connect(self.nearer)
        self._further = self._button("−", self.tr("Zoom out (−)"))
        self._further.clicked.connect(self.further)
        self._all = self._button("↔", self.tr("The whole context (0)"))
        self._all.clicked.connect(self.all_wanted)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for button in (self._further, self._nearer, self._all):
            button.setFont(theme.font(15))
            button.setFixedSize(theme.px(26), theme.px(24))
        self.setFixedSize(theme.px(26), 3 * theme.px(24))

    def beside(self, picture: QRect) -> QRegion:
        """What is to be painted of a picture below that changes often: not what stands under the buttons too."""
        return QRegion(picture) - QRegion(self.geometry())

    def set_words(self, *, whole: str) -> None:
        """What the last button shows."""
        self._all.setToolTip(whole)
        self._all.setAccessibleName(whole)

    def set_possible(self, *, nearer: bool, further: bool) -> None:
        """Which of them do something."""
        self._nearer.setEnabled(nearer)
        self._further.setEnabled(further)
        self._all.setEnabled(further)

    def _button(self, sign: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setText(sign)
        button.setProperty("look", "small")
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys do the same
        self._column.addWidget(button)
        return button

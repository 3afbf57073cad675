"""What a panel shows, in three sentences."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from canopy_ui.popover import Popover
from canopy_ui.theme import Theme

WIDTH = 380  # pixels at 100 %


class HelpCard(Popover):
    """The sentences can be selected with the keyboard, so a screen reader comes to each of them."""

    def __init__(self, title: str, sentences: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(" ".join(sentences))
        heading = QLabel(title)
        heading.setProperty("look", "name")
        self._sentences = [self._label(sentence) for sentence in sentences]
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading)
        for label in self._sentences:
            self._layout.addWidget(label)

    def show_below(self, corner: QPoint, theme: Theme) -> None:
        """Show it with its upper right corner there, in global coordinates."""
        width, margin = min(theme.px(WIDTH), self.screen().availableGeometry().width()), theme.px(16)
        self._layout.setContentsMargins(margin, theme.px(12), margin, margin)
        self._layout.setSpacing(theme.px(8))
        for label in self._sentences:
            label.setFixedWidth(width - 2 * margin)
            label.setFixedHeight(label.heightForWidth(width - 2 * margin))
        self.show_at(corner - QPoint(width, 0))
        self._sentences[0].setFocus()

    @staticmethod
    def _label(sentence: str) -> QLabel:
        label = QLabel(sentence)
        label.setWordWrap(True)
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        label.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return label

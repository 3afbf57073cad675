"""What all panels have in common."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from canopy_ui.theme import Theme


class Shrinkable(QWidget):
    """Asks for its least height only: a scroll area around it scrolls no sooner than it must."""

    def heightForWidth(self, width: int) -> int:
        layout = self.layout()
        return layout.minimumHeightForWidth(width) if layout is not None else -1


class Panel(Shrinkable):
    """Says what it shows, for the title of its dock."""

    title_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = ""

    def title(self) -> str:
        """What the dock says beside its name."""
        return self._title

    def copied_text(self) -> str:
        """What it paints and no label in it says."""
        return ""

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        raise NotImplementedError

    def _set_title(self, title: str) -> None:
        if title != self._title:
            self._title = title
            self.title_changed.emit(title)

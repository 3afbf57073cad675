"""One line of text that ends in an ellipsis where it has no room."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

SEPARATOR = " · "


class ElidedLabel(QLabel):
    """Never asks for width; the whole text is its tool tip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_text(self, text: str) -> None:
        """Show this text, or as much of it as fits."""
        if text != self._whole:
            self._whole = text
            self.setToolTip(text)
            self._elide()

    def whole_text(self) -> str:
        """The text, however much of it is shown."""
        return self._whole

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._elide()

    def _elide(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width()))


class PartsLabel(ElidedLabel):
    """Leaves out whole parts at the end, or words of the first: half a number would be another one."""

    def _elide(self) -> None:
        self.setText(next((text for text in _shorter(self.whole_text()) if self._fits(text)), ""))

    def _fits(self, text: str) -> bool:
        return self.fontMetrics().horizontalAdvance(text) <= self.width()


def _shorter(text: str) -> Iterator[str]:
    """The text, then ever less of it."""
    parts = text.split(SEPARATOR)
    yield from (SEPARATOR.join(parts[:count]) for count in range(len(parts), 0, -1))
    words = parts[0].split()
    yield from (f"{' '.join(words[:count])} …" for count in range(len(words) - 1, 0, -1))

"""One line of text that leaves its layout alone, and ends in an ellipsis where it has no room."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

SEPARATOR = " · "


class LineLabel(QLabel):
    """Paints its text itself: Qt's own label has the whole window laid out anew whenever its text changes."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = self._shown = text

    def set_text(self, text: str) -> None:
        """Show this text. Where the label has no name of its own, a screen reader says the text instead."""
        if text == self._whole:
            return
        before = self._room()
        if self.accessibleName() in {"", self._whole}:
            self.setAccessibleName(text)
        else:
            self.setAccessibleDescription(text)
        self._whole = text
        self._fit()
        if self._room() != before:
            self.updateGeometry()

    def whole_text(self) -> str:
        """The text, however much of it is shown."""
        return self._whole

    def text(self) -> str:
        """As much of the text as is shown."""
        return self._shown

    def sizeHint(self) -> QSize:
        metrics, margins = self.fontMetrics(), self.contentsMargins()
        size = QSize(metrics.horizontalAdvance(self._whole) + 1, metrics.height())
        return size.grownBy(margins)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter, palette = QPainter(self), self.palette()
        flags = self.alignment().value | Qt.TextFlag.TextSingleLine.value
        self.style().drawItemText(
            painter, self.contentsRect(), flags, palette, self.isEnabled(), self._shown, self.foregroundRole()
        )
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        """Find out what is shown."""
        self._shown = self._whole
        self.update()

    def _room(self) -> QSize:
        return self.sizeHint().expandedTo(self.minimumSize())


class ElidedLabel(LineLabel):
    """Never asks for width; the whole text is its tool tip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_text(self, text: str) -> None:
        """Show this text, or as much of it as fits."""
        if text != self.whole_text():
            self.setToolTip(text)
        super().set_text(text)

    def sizeHint(self) -> QSize:
        return QSize(0, super().sizeHint().height())

    def _fit(self) -> None:
        self._shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width())
        self.update()


class PartsLabel(ElidedLabel):
    """Leaves out whole parts at the end, or words of the first: half a number would be another one."""

    def _fit(self) -> None:
        self._shown = next((text for text in _shorter(self._whole) if self._fits(text)), "")
        self.update()

    def _fits(self, text: str) -> bool:
        return self.fontMetrics().horizontalAdvance(text) <= self.width()


def _shorter(text: str) -> Iterator[str]:
    """The text, then ever less of it."""
    parts = text.split(SEPARATOR)
    yield from (SEPARATOR.join(parts[:count]) for count in range(len(parts), 0, -1))
    words = parts[0].split()
    yield from (f"{' '.join(words[:count])} …" for count in range(len(words) - 1, 0, -1))

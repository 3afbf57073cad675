"""How far the prompt, or the window after a slide, has been read."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped


class ProgressLine(QWidget):
    """A thin bar with a sentence; keeps its room while it is hidden, so that nothing moves."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._done = self._total = 0
        self._sliding = False
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.setAccessibleName(self.tr("Progress of the prefill"))
        self.set_theme(theme)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.updateGeometry()
        self.update()

    def set_progress(self, done: int, total: int, *, sliding: bool = False) -> None:
        """Show it while something is left to do; `sliding`: of the window, not of the prompt."""
        self._done, self._total, self._sliding = done, total, sliding
        self.setAccessibleDescription(self._sentence())
        self.setVisible(0 <= done < total)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(240), self._theme.px(22))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height = theme.px(4)
        line = QRectF(0, self.height() - height, self.width(), height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.border))
        painter.drawRoundedRect(line, height / 2, height / 2)
        painter.setBrush(QColor(theme.accent))
        line.setWidth(self.width() * self._done / max(1, self._total))
        painter.drawRoundedRect(line, height / 2, height / 2)
        painter.setFont(theme.font(13))
        painter.setPen(QColor(theme.secondary))
        painter.drawText(
            QRectF(0, 0, self.width(), self.height() - height), Qt.AlignmentFlag.AlignVCenter, self._sentence()
        )
        painter.end()

    def _sentence(self) -> str:
        sentence = self.tr("Reading the prompt: {done} of {total} tokens")
        if self._sliding:
            sentence = self.tr("The window slides: {done} of {total} tokens read again")
        return sentence.format(done=grouped(self._done), total=grouped(self._total))

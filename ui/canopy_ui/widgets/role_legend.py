"""The sources of a prompt with their colours, and how many tokens each takes."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from canopy_desktop.exploration.ruler import ContextRuler, Share
from canopy_desktop.exploration.view import TokenRole
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped
from canopy_ui.widgets.role_colours import role_ground, role_name


class RoleLegend(QWidget):
    """Hidden where there is but one source. Its height follows its width at once: no layout has to ask for it."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shares: tuple[Share, ...] = ()
        self._labels: list[QLabel] = []
        self.setAccessibleName(self.tr("Where the tokens come from"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._show()

    def set_ruler(self, ruler: ContextRuler | None) -> None:
        """Name the sources of this prompt."""
        shares = ruler.shares if ruler is not None else ()
        if shares != self._shares:
            self._shares = shares
            self._show()

    def text(self) -> str:
        """What it says."""
        return ", ".join(_words(share) for share in self._shares) if len(self._shares) > 1 else ""

    def _show(self) -> None:
        shares = self._shares if len(self._shares) > 1 else ()
        while len(self._labels) < len(shares):
            self._labels.append(QLabel(self))
        for number, label in enumerate(self._labels):
            label.setVisible(number < len(shares))
        for share, label in zip(shares, self._labels, strict=False):
            ground = role_ground(self._theme, TokenRole(share.role)).name()
            label.setText(_words(share))
            label.setFont(self._theme.font(13))
            label.setStyleSheet(
                f"background: {ground}; color: {self._theme.text}; border-radius: {self._theme.px(3)}px;"
                f" padding: 0 {self._theme.px(4)}px"
            )
        self.setVisible(bool(shares))
        self._place()
        self.setAccessibleDescription(self.text())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        """Put the labels in rows."""
        gap = self._theme.px(4)
        left = top = height = 0
        for label in self._labels[: len(self._shares)]:
            size = label.sizeHint()
            if left and left + size.width() > self.width():
                left, top = 0, top + height + gap
            label.setGeometry(left, top, min(size.width(), self.width()), size.height())
            left, height = left + size.width() + gap, size.height()
        self.setFixedHeight(top + height)


def _words(share: Share) -> str:
    return f"{role_name(TokenRole(share.role), earlier=share.earlier)} {grouped(share.tokens)}"

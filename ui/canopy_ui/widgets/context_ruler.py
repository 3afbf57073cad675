"""The prompt laid along the context window, with its limit and what would leave."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.exploration.ruler import ContextRuler
from canopy_desktop.exploration.view import TokenRole
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped, percent
from canopy_ui.widgets.role_colours import role_ground, role_name

Row = tuple[str, str, str]  # of the ruler as a table: what, how many tokens, their share of the window

LEAST = 2.0  # pixels of a stretch, so that a short prompt in a large window can be seen


class ContextRulerBar(QWidget):
    """A bar as long as the window, or as the prompt where that is longer; its words are its tool tip."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ruler: ContextRuler | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Room in the context window"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.updateGeometry()
        self.update()

    def set_ruler(self, ruler: ContextRuler | None) -> None:
        """Show this prompt in its window; None: not known."""
        self._ruler = ruler
        words = self._words(ruler) if ruler is not None else ""
        self.setAccessibleDescription(words)
        self.setToolTip(words)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(120), self._theme.px(14))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(40), self._theme.px(14))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, ruler, painter = self._theme, self._ruler, QPainter(self)
        whole = QRectF(self.rect()).adjusted(1, theme.px(2), -1, -theme.px(2))
        painter.fillRect(whole, QColor(theme.hatch))
        if ruler is not None:
            scale = whole.width() / max(1, ruler.size, ruler.used)
            left = whole.left()
            for stretch in ruler.stretches:
                width = max(LEAST, stretch.tokens * scale)
                ground = role_ground(theme, TokenRole(stretch.role), strong=True)
                painter.fillRect(QRectF(left, whole.top(), width, whole.height()), ground)
                left += width
            if ruler.leaves_first:
                first = whole.left() + ruler.leaves_first.start * scale
                leaving = QRectF(first, whole.top(), len(ruler.leaves_first) * scale, whole.height())
                painter.fillRect(leaving, QBrush(QColor(theme.text), Qt.BrushStyle.BDiagPattern))
            if ruler.over:
                limit = whole.left() + ruler.size * scale
                painter.fillRect(QRectF(limit, whole.top(), whole.right() - limit, whole.height()), theme.warning)
        painter.setPen(QPen(QColor(theme.control_border), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(whole)
        painter.end()

    def _words(self, ruler: ContextRuler) -> str:
        lines = [
            self.tr("{used} of {size} positions are taken, {room} are free").format(
                used=grouped(ruler.used), size=grouped(ruler.size), room=grouped(ruler.room)
            )
        ]
        if ruler.over:
            lines = [
                self.tr("{over} tokens beyond the limit of {size}: the model cannot be given this prompt").format(
                    over=grouped(ruler.over), size=grouped(ruler.size)
                )
            ]
        lines += [
            f"{role_name(TokenRole(share.role), earlier=share.earlier)}: {grouped(share.tokens)}"
            for share in ruler.shares
        ]
        if ruler.leaves_first is None:
            lines.append(self.tr("Where the window is full, the run ends"))
        elif ruler.leaves_first:
            lines.append(
                self.tr("Where the window is full, positions {first} to {last} leave it first").format(
                    first=grouped(ruler.leaves_first.start), last=grouped(ruler.leaves_first.stop - 1)
                )
            )
        return "\n".join(lines)


def ruler_rows(ruler: ContextRuler) -> list[Row]:
    """The same as the bar: what each source takes, what is free or too much, and what leaves first."""
    rows = [
        _row(ruler, role_name(TokenRole(share.role), earlier=share.earlier), share.tokens) for share in ruler.shares
    ]
    if ruler.over:
        rows.append(_row(ruler, _tr("beyond the limit"), ruler.over))
    else:
        rows.append(_row(ruler, _tr("free"), ruler.room))
    rows.append(_row(ruler, _tr("the whole window"), ruler.size))
    if ruler.leaves_first:
        first, last = grouped(ruler.leaves_first.start), grouped(ruler.leaves_first.stop - 1)
        name = _tr("leaves first: positions {first} to {last}").format(first=first, last=last)
        rows.append(_row(ruler, name, len(ruler.leaves_first)))
    return rows


def _row(ruler: ContextRuler, name: str, tokens: int) -> Row:
    share = tokens / max(1, ruler.size)
    return name, grouped(tokens), percent(share) if share <= 1 else f"{100 * share:.1f} %"


def _tr(text: str) -> str:
    return QCoreApplication.translate("ContextRulerBar", text)

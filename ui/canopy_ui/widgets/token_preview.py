"""The prompt's tokens with their ids, while it is being typed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from canopy_desktop.exploration.view import Chip, TokenRole
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import LostByte, Token
from canopy_ui.theme import Theme, mixed
from canopy_ui.widgets.chip_area import ChipArea
from canopy_ui.widgets.chip_label import label_of, marked
from canopy_ui.widgets.role_colours import role_ground

_TOLD = 50  # tokens that are told in words


class TokenPreview(ChipArea):
    """Small chips over their ids; bytes without a token are marked."""

    hovered = Signal(object)  # int, or None

    text_px = 15.0
    row_px = 42.0
    chip_px = 38.0
    margin_px = 6.0
    gap_px = 3.0

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        self._hovered: int | None = None
        self._lit: int | None = None  # under the mouse, here or elsewhere
        super().__init__(theme, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Tokens of the prompt"))

    def set_prompt(self, prompt: TemplatedPrompt | None, tokens: tuple[Token, ...]) -> None:
        """Show these tokens."""
        self.set_chips(preview_chips(prompt, tokens) if prompt else ())
        told = ", ".join(f"“{marked(token)}” {token.id}" for token in tokens[:_TOLD]) if prompt else ""
        self.setAccessibleDescription(told + (" …" if len(tokens) > _TOLD else ""))

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse."""
        if position != self._lit:
            for chip in (self._lit, position):
                if chip is not None and chip < len(self._chips):
                    self.viewport().update(self.rect_of(chip).adjusted(-3, -3, 3, 3).toAlignedRect())
            self._lit = position

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self.chip_at(event.position().x(), event.position().y()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def _set_hovered(self, chip: int | None) -> None:
        if chip != self._hovered:
            self._hovered = chip
            self.hovered.emit(chip)

    def sizeHint(self) -> QSize:
        return QSize(120, self._theme.px(104))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self._theme.px(72))

    def _apply_theme(self) -> None:
        super()._apply_theme()
        self._id_font = self._theme.font(12)
        self._id_metrics = QFontMetricsF(self._id_font)

    def _width_of(self, token: Token) -> float:
        number = self._id_metrics.horizontalAdvance(str(token.id)) + 2 * self._padding
        return max(super()._width_of(token), number)

    def _paint_chip(self, painter: QPainter, index: int, rect: QRectF) -> None:
        theme, chip = self._theme, self._chips[index]
        upper = QRectF(rect.left(), rect.top(), rect.width(), rect.height() * 0.58)
        lower = QRectF(rect.left(), upper.bottom(), rect.width(), rect.height() * 0.42)
        upper = self._paint_lost(painter, chip, upper)
        lower.setLeft(upper.left())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._ground(index))
        painter.drawRoundedRect(upper, theme.px(3), theme.px(3))
        self._paint_label(painter, label_of(chip.token), upper)
        painter.setFont(self._id_font)
        painter.setPen(QColor(theme.secondary))
        painter.drawText(lower, Qt.AlignmentFlag.AlignCenter, str(chip.token.id))
        if index == self._lit:
            painter.setPen(QPen(QColor(theme.text), theme.px(1.5)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(upper.adjusted(0.5, 0.5, -0.5, -0.5), theme.px(3), theme.px(3))

    def _ground(self, index: int) -> QColor:
        """The colour of where the token comes from; of two neighbours the second is a little paler."""
        theme, role = self._theme, self._chips[index].role
        ground = role_ground(theme, role)
        return ground if index % 2 else mixed(theme.panel, ground.name(), 0.6)


def preview_chips(prompt: TemplatedPrompt, tokens: tuple[Token, ...]) -> tuple[Chip, ...]:
    """A prompt's tokens as chips, each with the lost bytes that stand before it."""
    roles = [TokenRole(part.role) for part in prompt.parts for _ in part.ids]
    roles += [TokenRole.COMPLETION] * (len(tokens) - len(roles))
    before = _lost_before(tokens, prompt.lost)
    return tuple(
        Chip(position, token, role, None, before.get(position, b""))
        for position, (token, role) in enumerate(zip(tokens, roles, strict=False))
    )


def lost_at_end(prompt: TemplatedPrompt, tokens: tuple[Token, ...]) -> bytes:
    """The lost bytes that no token follows."""
    return _lost_before(tokens, prompt.lost).get(len(tokens), b"")


def _lost_before(tokens: tuple[Token, ...], lost: tuple[LostByte, ...]) -> dict[int, bytes]:
    before: dict[int, bytes] = {}
    offset = position = 0
    for byte in lost:
        while position < len(tokens) and offset + len(tokens[position].data) <= byte.offset:
            offset += len(tokens[position].data)
            position += 1
        before[position] = before.get(position, b"") + bytes([byte.byte])
        offset += 1
    return before

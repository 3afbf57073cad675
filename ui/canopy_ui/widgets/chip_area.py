"""A scroll area of wrapping chips that paints only the lines that can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QWidget

from canopy_desktop.exploration.view import Chip
from canopy_desktop.model.tokenizer import Token
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import ChipLabel, LabelKind, label_of
from canopy_ui.widgets.chip_layout import ChipLayout
from canopy_ui.widgets.numbers import hexadecimal


class ChipArea(QAbstractScrollArea):
    """Base of the token view and of the prompt's preview. Follows the end unless the person scrolled up."""

    text_px = 23.0
    row_px = 48.0
    chip_px = 40.0
    margin_px = 14.0
    gap_px = 2.0
    padding_px = 3.0

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self._theme = theme
        self._chips: tuple[Chip, ...] = ()
        self._layout_of_chips = ChipLayout(1.0, 1.0)
        self._laid_out_width = 1.0
        self._following = True
        self._placing = False
        self._apply_theme()
        self.verticalScrollBar().valueChanged.connect(self._on_scrolled)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._apply_theme()
        self._lay_out_again()

    def set_chips(self, chips: tuple[Chip, ...]) -> int:
        """Show these chips; lays out only those from the first that differs on, and returns its number."""
        same = _common_length(self._chips, chips)
        if same < len(self._chips):
            self._layout_of_chips.truncate(same)
        grown_from = self._layout_of_chips.lines - 1
        self._append(chips[same:])
        changed = same < len(chips) or same < len(self._chips)
        self._chips = chips
        if changed:
            self._place(from_line=grown_from)
        return same

    @property
    def following(self) -> bool:
        """Whether the newest chip stays in sight."""
        return self._following

    def follow_newest(self) -> None:
        """Scroll to the end and stay there."""
        self._following = True
        self._scroll_to(self.verticalScrollBar().maximum())

    def rect_of(self, chip: int) -> QRectF:
        """Where a chip stands in the viewport."""
        left, width = self._layout_of_chips.span(chip)
        top = self._layout_of_chips.line_of(chip) * self._row - self.verticalScrollBar().value()
        return QRectF(self._margin + left, self._margin + top, width, self._theme.px(self.chip_px))

    def chip_at(self, x: float, y: float) -> int | None:
        """The chip under a point of the viewport."""
        line = int((y - self._margin + self.verticalScrollBar().value()) // self._row)
        return self._layout_of_chips.chip_at(x - self._margin, line)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._line_width() != self._laid_out_width:
            self._lay_out_again()
        else:
            self._place(from_line=0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for line in self._lines_in(event.rect()):
            for chip in self._layout_of_chips.chips_on(line):
                self._paint_chip(painter, chip, self.rect_of(chip))
        painter.end()

    def _paint_chip(self, painter: QPainter, index: int, rect: QRectF) -> None:
        """Paint one chip; subclasses add their grounds and lines."""
        rect = self._paint_lead(painter, self._chips[index], rect)
        self._paint_label(painter, label_of(self._chips[index].shown), rect)

    def _paint_lead(self, painter: QPainter, chip: Chip, rect: QRectF) -> QRectF:
        """Paint what stands before the token, and return what is left for it."""
        return self._paint_lost(painter, chip, rect)

    def _paint_lost(self, painter: QPainter, chip: Chip, rect: QRectF) -> QRectF:
        """Paint the bytes that have no token, and return what is left for the token."""
        if not chip.lost:
            return rect
        width = min(self._lost_width(chip), rect.width())
        mini = QRectF(rect.left(), rect.top() + rect.height() * 0.2, width - self._gap, rect.height() * 0.6)
        painter.fillRect(mini, QColor(self._theme.hatch))
        painter.fillRect(mini, QBrush(QColor(self._theme.hatch_line), Qt.BrushStyle.BDiagPattern))
        text = hexadecimal(chip.lost)
        painter.setFont(self._small_font)
        inner = QRectF(0, 0, self._small_metrics.horizontalAdvance(text) + 4, self._small_metrics.height())
        inner.moveCenter(mini.center())
        painter.fillRect(inner, QColor(self._theme.panel))
        painter.setPen(QColor(self._theme.warning))
        painter.drawText(mini, Qt.AlignmentFlag.AlignCenter, text)
        return rect.adjusted(width, 0, 0, 0)

    def _paint_label(self, painter: QPainter, label: ChipLabel, rect: QRectF, mark: str = "") -> None:
        """Write a token; `mark`: the colour of its whitespace marks, where the theme's cannot be read."""
        theme = self._theme
        mark = mark or theme.mark
        if label.kind is not LabelKind.TEXT:
            painter.setPen(QPen(QColor(theme.control_border), 1.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            inset = rect.adjusted(0.5, rect.height() * 0.12, -0.5, -rect.height() * 0.12)
            painter.drawRoundedRect(inset, theme.px(4), theme.px(4))
            painter.setFont(self._code_font)
            painter.setPen(QColor(mark))
            text = self._code_metrics.elidedText(label.text, Qt.TextElideMode.ElideRight, rect.width() - 2)
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
            return
        painter.setFont(self._text_font)
        x, right = rect.left() + self._padding, rect.right()
        for piece in label.pieces:
            painter.setPen(QColor(mark if piece.mark else theme.text))
            width = self._text_width(piece.text)
            text = piece.text
            if x + width > right + 0.5:
                text = self._text_metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0.0, right - x))
            box = QRectF(x, rect.top(), max(width, 1.0) + 2, rect.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
            x += width
            if x >= right:
                break

    def _width_of(self, token: Token) -> float:
        """Room for a token, without the lost bytes before it."""
        label = label_of(token)
        if label.kind is LabelKind.TEXT:
            written = sum(self._text_width(piece.text) for piece in label.pieces)
        else:
            written = self._code_metrics.horizontalAdvance(label.text) + 2 * self._padding
        return written + 2 * self._padding

    def _lead_width(self, chip: Chip) -> float:
        """Room for what stands before the token."""
        return self._lost_width(chip)

    def _lost_width(self, chip: Chip) -> float:
        if not chip.lost:
            return 0.0
        return self._small_metrics.horizontalAdvance(hexadecimal(chip.lost)) + 4 * self._padding + self._gap

    def _text_width(self, text: str) -> float:
        width = self._known_widths.get(text)
        if width is None:
            width = self._known_widths[text] = self._text_metrics.horizontalAdvance(text)
        return width

    def _apply_theme(self) -> None:
        theme = self._theme
        self._text_font = theme.font(self.text_px)
        self._text_metrics = QFontMetricsF(self._text_font)
        self._code_font = theme.token_font(self.text_px * 0.68)
        self._code_metrics = QFontMetricsF(self._code_font)
        self._small_font = theme.token_font(12)
        self._small_metrics = QFontMetricsF(self._small_font)
        self._known_widths: dict[str, float] = {}
        self._known_tokens: dict[int, tuple[Token, float, bool]] = {}  # by id: width of the token alone, ends a line
        self._row = float(theme.px(self.row_px))
        self._margin = float(theme.px(self.margin_px))
        self._gap = float(theme.px(self.gap_px))
        self._padding = float(theme.px(self.padding_px))
        palette = self.palette()
        palette.setColor(self.viewport().backgroundRole(), QColor(theme.panel))
        self.viewport().setPalette(palette)

    def _lay_out_again(self) -> None:
        self._laid_out_width = self._line_width()
        self._layout_of_chips = ChipLayout(self._laid_out_width, self._gap)
        self._append(self._chips)
        self._place(from_line=0)

    def _append(self, chips: Sequence[Chip]) -> None:
        append, known = self._layout_of_chips.append, self._known_tokens
        for chip in chips:
            token = chip.shown
            measured = known.get(token.id)
            if measured is None or measured[0] is not token:
                measured = known[token.id] = token, self._width_of(token), label_of(token).ends_line
            append(measured[1] + self._lead_width(chip), measured[2])

    def _line_width(self) -> float:
        """Room for a line, the same with and without a scroll bar, so that nothing wraps anew when it appears."""
        return self.width() - self.verticalScrollBar().sizeHint().width() - 2 * self._margin

    def _place(self, *, from_line: int) -> None:
        """Set the scroll bar's range for what is laid out, and repaint from a line on."""
        bar = self.verticalScrollBar()
        height = 2 * self._margin - self._row + self._theme.px(self.chip_px) + self._layout_of_chips.lines * self._row
        before = bar.value()
        self._placing = True
        beyond = height - self.viewport().height()
        bar.setRange(0, max(0, round(self._below_a_line(beyond))))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(round(self._row))
        if self._following:
            bar.setValue(bar.maximum())
        self._placing = False
        if bar.value() != before or from_line <= 0:
            self.viewport().update()
        else:
            top = round(from_line * self._row - bar.value())
            self.viewport().update(QRect(0, top, self.viewport().width(), self.viewport().height() - top))

    def _below_a_line(self, beyond: float) -> float:
        """How far one can scroll: until the last line is whole, and a little farther, lest one above be cut off."""
        margin = self._margin - (self._row - self._theme.px(self.chip_px)) / 2  # but for half the room between lines
        lines = math.ceil((beyond - 2 * margin) / self._row)
        return 0.0 if beyond <= margin else margin + max(0, lines) * self._row

    def _scroll_to(self, value: int) -> None:
        self._placing = True
        self.verticalScrollBar().setValue(value)
        self._placing = False
        self.viewport().update()

    def _on_scrolled(self, value: int) -> None:
        if not self._placing:
            self._following = value >= self.verticalScrollBar().maximum()
        self.viewport().update()

    def _lines_in(self, rect: QRect) -> range:
        offset = self.verticalScrollBar().value() - self._margin
        first = int((rect.top() + offset) // self._row)
        last = int((rect.bottom() + offset) // self._row)
        return range(max(0, first), min(self._layout_of_chips.lines, last + 1))


def _common_length(old: Sequence[Chip], new: Sequence[Chip]) -> int:
    """How many chips both begin with; quick where they are the same objects."""
    shorter = min(len(old), len(new))
    if old[:shorter] == new[:shorter]:
        return shorter
    return next(index for index in range(shorter) if old[index] != new[index])

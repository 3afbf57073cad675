"""Two texts one above the other, token for token, with a line where they part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from canopy_desktop.exploration.compare_view import PairedToken
from canopy_desktop.model.tokenizer import Token
from canopy_ui.theme import Theme, mixed
from canopy_ui.widgets.chip_label import LabelKind, label_of
from canopy_ui.widgets.numbers import token_count

_TEXT, _CHIP, _BETWEEN, _LINE_GAP, _HEADING = 20.0, 33.0, 3.0, 15.0, 24.0
_GUTTER, _MARGIN, _GAP, _PADDING = 24.0, 12.0, 3.0, 4.0
_NARROWEST = 16.0


@dataclass(frozen=True, slots=True)
class _Part:
    """A run of pairs under a heading; `parted` is the place from which they differ, None: they do not."""

    heading: str
    pairs: tuple[PairedToken, ...]
    parted: int | None


class PairedText(QAbstractScrollArea):
    """Steps are selected in both texts at once, by click and by arrow keys."""

    step_selected = Signal(object)  # int, from 0; None: nobody chose one
    token_hovered = Signal(object)  # the id of A's token, or None

    def __init__(self, theme: Theme, tip_of: Callable[[int], str], parent: QWidget | None = None) -> None:
        """`tip_of` says in words what is known of a step."""
        super().__init__(parent)
        self._tip_of = tip_of
        self._parts: tuple[_Part, ...] = ()
        self._shares: Mapping[int, float] = {}  # step → how far the distributions are apart, 0 to 1
        self._selected: int | None = None
        self._hovered: int | None = None
        self._lit: int | None = None  # a token's id in A's vocabulary: it is under the mouse, here or elsewhere
        self._places: list[tuple[int, int, QRectF]] = []  # part, number in it, where: A's chip, from the top
        self._headings: list[tuple[int, float]] = []
        self._height = 0.0
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Both texts, step by step"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._fonts = {
            LabelKind.TEXT: theme.font(_TEXT),
            LabelKind.SPECIAL: theme.token_font(_TEXT * 0.75),
            LabelKind.BYTES: theme.token_font(_TEXT * 0.75),
        }
        self._metrics = {kind: QFontMetricsF(font) for kind, font in self._fonts.items()}
        self._widths: dict[Token, float] = {}
        self._small = theme.font(13)
        self._small_metrics = QFontMetricsF(self._small)
        palette = self.palette()
        palette.setColor(self.viewport().backgroundRole(), QColor(theme.panel))
        self.viewport().setPalette(palette)
        self._lay_out()

    def set_texts(
        self,
        prompt: tuple[PairedToken, ...],
        prompt_parted: int | None,
        steps: tuple[PairedToken, ...],
        parted: int | None,
    ) -> None:
        """Show where the prompts differ, and what was generated; from `parted` on the texts are not the same."""
        parts = []
        if prompt:
            parts.append(_Part(self.tr("where the prompts differ"), prompt, prompt_parted))
        if steps:
            parts.append(_Part(self.tr("generated"), steps, parted))
        if tuple(parts) != self._parts:
            self._parts = tuple(parts)
            self._lay_out()

    def set_steps(self, shares: Mapping[int, float], selected: int | None) -> None:
        """Colour steps by how far they are apart, and frame the selected one."""
        if selected != self._selected:
            self._selected = selected
            self._bring_into_view()
        self._shares = shares
        self.setAccessibleDescription("" if selected is None else self._tip_of(selected))
        self.viewport().update()

    def set_lit(self, token_id: int | None) -> None:
        """Mark where A has the token that is under the mouse."""
        if token_id != self._lit:
            was, self._lit = self._lit, token_id
            for part, at, rect in self._places:
                a = self._parts[part].pairs[at].a
                if a is not None and a.id in (was, token_id):
                    both = self._both(rect).translated(0, -self.verticalScrollBar().value())
                    self.viewport().update(both.toAlignedRect())

    def content_height(self) -> int:
        """What all lines together need."""
        return math.ceil(self._height)

    def rect_of(self, step: int) -> QRectF | None:
        """Where both chips of a step stand in the viewport."""
        found = next((rect for part, at, rect in self._places if self._parts[part].pairs[at].step == step), None)
        return None if found is None else self._both(found).translated(0, -self.verticalScrollBar().value())

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(200), self._theme.px(2 * _CHIP + _HEADING + 2 * _MARGIN))

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(600), self._theme.px(260))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()
        self._bring_into_view()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        step = self._step_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and step is not None:
            self.step_selected.emit(step)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        pair = self._pair_at(event.position())
        self._set_hovered(None if pair is None or pair.a is None else pair.a.id)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        count = len(self._parts[-1].pairs) if self._parts and self._parts[-1].pairs[-1].step is not None else 0
        now = self._selected or 0
        target = {
            Qt.Key.Key_Left: now - 1,
            Qt.Key.Key_Right: now + 1,
            Qt.Key.Key_Up: self._in_next_line(now, -1),
            Qt.Key.Key_Down: self._in_next_line(now, 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: count - 1,
        }.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape and count:
            self.step_selected.emit(None)
        elif target is None or not count:
            super().keyPressEvent(event)
        else:
            self.step_selected.emit(min(max(target, 0), count - 1))

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            step = self._step_at(QPointF(event.pos()))
            if step is not None:
                QToolTip.showText(event.globalPos(), self._tip_of(step), self.viewport())
            else:
                QToolTip.hideText()
            return True
        return super().viewportEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        offset = -self.verticalScrollBar().value()
        sight = QRectF(event.rect())
        for part, top in self._headings:
            self._paint_heading(painter, self._parts[part].heading, top + offset)
        lines = set()
        for part, at, rect in self._places:
            both = self._both(rect).translated(0, offset)
            if not both.intersects(sight):
                continue
            if both.top() not in lines:
                lines.add(both.top())
                self._paint_sides(painter, both)
            self._paint_pair(painter, self._parts[part], at, rect.translated(0, offset))
        painter.end()

    def _paint_heading(self, painter: QPainter, text: str, top: float) -> None:
        theme = self._theme
        painter.setFont(self._small)
        painter.setPen(QColor(theme.secondary))
        room = QRectF(theme.px(_MARGIN), top, self.viewport().width(), theme.px(_HEADING))
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, text)

    def _paint_sides(self, painter: QPainter, both: QRectF) -> None:
        """The names of the sides before a line."""
        theme = self._theme
        painter.setFont(theme.font(15, strong=True))
        painter.setPen(QColor(theme.secondary))
        left, height = theme.px(_MARGIN), theme.px(_CHIP)
        for name, top in (("A", both.top()), ("B", both.bottom() - height)):
            painter.drawText(QRectF(left, top, theme.px(_GUTTER), height), Qt.AlignmentFlag.AlignVCenter, name)

    def _paint_pair(self, painter: QPainter, part: _Part, at: int, above: QRectF) -> None:
        theme, pair, both = self._theme, part.pairs[at], self._both(above)
        below = QRectF(above.left(), both.bottom() - above.height(), above.width(), above.height())
        if pair.gap:
            painter.setFont(self._small)
            painter.setPen(QColor(theme.secondary))
            painter.drawText(both, Qt.AlignmentFlag.AlignCenter, self._gap_text(pair.gap))
            return
        parted = part.parted is not None and at >= part.parted
        share = None if pair.step is None else self._shares.get(pair.step)
        radius = theme.px(4)
        if share is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(mixed(theme.surprisal_low, theme.surprisal_high, share))
            painter.drawRoundedRect(both, radius, radius)
        for token, rect in ((pair.a, above), (pair.b, below)):
            if token is None:
                self._paint_missing(painter, rect)
                continue
            self._paint_token(painter, token, rect)
            if not pair.same:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(theme.control_border))
                thick = theme.px(2)
                painter.drawRect(QRectF(rect.left(), rect.bottom() - thick, rect.width(), thick))
        if parted and at == part.parted:
            left = both.left() - theme.px(_GAP) / 2 - theme.px(1)
            line = QRectF(left, both.top() - theme.px(5), theme.px(3), both.height() + theme.px(10))
            painter.fillRect(line, QColor(theme.text))
        if pair.a is not None and pair.a.id == self._lit:
            painter.setPen(QPen(QColor(theme.text), theme.px(1.5)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(above.adjusted(1, 1, -1, -1), radius, radius)
        if pair.step is not None and pair.step == self._selected:
            painter.setPen(QPen(QColor(theme.accent), theme.px(2.5)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(both.adjusted(0.5, -1.5, -0.5, 1.5), radius, radius)

    def _paint_missing(self, painter: QPainter, rect: QRectF) -> None:
        """The text has ended before."""
        inner = rect.adjusted(0, rect.height() * 0.25, 0, -rect.height() * 0.25)
        painter.fillRect(inner, QColor(self._theme.hatch))
        painter.fillRect(inner, QBrush(QColor(self._theme.hatch_line), Qt.BrushStyle.BDiagPattern))

    def _paint_token(self, painter: QPainter, token: Token, rect: QRectF) -> None:
        theme, label = self._theme, label_of(token)
        painter.setFont(self._fonts[label.kind])
        metrics, x = self._metrics[label.kind], rect.left() + theme.px(_PADDING)
        right = rect.right() - theme.px(_PADDING)
        for piece in label.pieces:
            painter.setPen(QColor(theme.mark if piece.mark or label.kind is not LabelKind.TEXT else theme.text))
            text = metrics.elidedText(piece.text, Qt.TextElideMode.ElideRight, right - x + 1)
            box = QRectF(x, rect.top(), right - x + 2, rect.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
            x += metrics.horizontalAdvance(piece.text)
            if x >= right:
                break

    def _gap_text(self, gap: int) -> str:
        return f"… {token_count(gap)} …"

    def _width_of(self, pair: PairedToken) -> float:
        padding = 2 * self._theme.px(_PADDING)
        if pair.gap:
            return self._small_metrics.horizontalAdvance(self._gap_text(pair.gap)) + padding
        widths = [self._token_width(token) for token in (pair.a, pair.b) if token is not None]
        return max(*widths, float(self._theme.px(_NARROWEST))) + padding

    def _token_width(self, token: Token) -> float:
        width = self._widths.get(token)
        if width is None:
            label = label_of(token)
            metrics = self._metrics[label.kind]
            width = self._widths[token] = sum(metrics.horizontalAdvance(piece.text) for piece in label.pieces)
        return width

    def _both(self, above: QRectF) -> QRectF:
        return above.adjusted(0, 0, 0, above.height() + self._theme.px(_BETWEEN))

    def _lay_out(self) -> None:
        theme = self._theme
        first = float(theme.px(_MARGIN) + theme.px(_GUTTER))
        right = self.width() - self.verticalScrollBar().sizeHint().width() - theme.px(_MARGIN)
        chip = float(theme.px(_CHIP))
        pitch = 2 * chip + theme.px(_BETWEEN) + theme.px(_LINE_GAP)
        self._places, self._headings = [], []
        top = float(theme.px(_MARGIN)) / 2
        for number, part in enumerate(self._parts):
            self._headings.append((number, top))
            top += theme.px(_HEADING)
            x = first
            for at, pair in enumerate(part.pairs):
                width = min(self._width_of(pair), max(1.0, right - first))
                if x + width > right and x > first:
                    x, top = first, top + pitch
                self._places.append((number, at, QRectF(x, top, width, chip)))
                x += width + theme.px(_GAP)
            top += pitch
        self._height = top
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, round(top - self.viewport().height())))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(round(pitch))
        self.viewport().update()

    def _bring_into_view(self) -> None:
        rect = None if self._selected is None else self.rect_of(self._selected)
        if rect is None:
            return
        margin, height = self._theme.px(_MARGIN), self.viewport().height()
        beyond = max(0.0, rect.bottom() + margin - height)
        beyond = min(beyond, rect.top() - margin) if rect.top() - margin >= 0 else rect.top() - margin
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + round(beyond))

    def _in_next_line(self, step: int, direction: int) -> int:
        """The step above or below, or the same where there is none."""
        steps = [(self._parts[part].pairs[at].step, rect) for part, at, rect in self._places]
        here = next((rect for number, rect in steps if number == step), None)
        if here is None:
            return step
        tops = sorted({rect.top() for number, rect in steps if number is not None})
        line = tops.index(here.top()) + direction
        if not 0 <= line < len(tops):
            return step
        others: Sequence[tuple[int, float]] = [
            (number, abs(rect.center().x() - here.center().x()))
            for number, rect in steps
            if number is not None and rect.top() == tops[line]
        ]
        return min(others, key=lambda pair: pair[1])[0]

    def _step_at(self, point: QPointF) -> int | None:
        pair = self._pair_at(point)
        return None if pair is None else pair.step

    def _pair_at(self, point: QPointF) -> PairedToken | None:
        point = QPointF(point.x(), point.y() + self.verticalScrollBar().value())
        places = ((self._parts[part].pairs[at], rect) for part, at, rect in self._places)
        return next((pair for pair, rect in places if self._both(rect).contains(point)), None)

    def _set_hovered(self, token_id: int | None) -> None:
        if token_id != self._hovered:
            self._hovered = token_id
            self.token_hovered.emit(token_id)

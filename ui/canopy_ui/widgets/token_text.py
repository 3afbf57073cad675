"""The text as chips, coloured by surprisal or attention: the heart of the token view."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import QPushButton, QToolTip, QWidget

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.output_filter import FilterAction
from canopy_desktop.exploration.attention_view import RowView
from canopy_desktop.exploration.filter_marks import FilterMark
from canopy_desktop.exploration.records import WindowSlid
from canopy_desktop.exploration.view import Chip, Colouring, TokenFacts, TokenRole, WindowView
from canopy_ui.theme import DROPPED_OPACITY, Theme
from canopy_ui.widgets.chip_area import ChipArea
from canopy_ui.widgets.chip_label import label_of, marked
from canopy_ui.widgets.look_words import share_text, short_text
from canopy_ui.widgets.numbers import grouped, hexadecimal, milliseconds, percent, token_count


class TokenText(ChipArea):
    """Chips that are selected by click and by arrow keys."""

    position_selected = Signal(object)  # int, or None: follow the newest
    hovered = Signal(object)  # int, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        self._surprisal: FloatArray = np.empty(0, np.float32)  # (chips,) bits, NaN unknown
        self._gaze: RowView | None = None
        self._shares: FloatArray | None = None  # (chips,) of what the row's token looks at, NaN unknown
        self._selected: int | None = None
        self._facts: TokenFacts | None = None
        self._hovered: int | None = None
        self._lit: int | None = None  # under the mouse elsewhere
        self._dropped = range(0)  # chips that are no longer in the window
        super().__init__(theme, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Text as tokens"))
        self._newest = QPushButton(self.tr("↓ newest"), self.viewport())
        self._newest.setAccessibleName(self.tr("Scroll to the newest token"))
        self._newest.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._newest.clicked.connect(self._on_newest_clicked)
        self._newest.hide()

    def set_view(self, view: WindowView) -> None:
        """Show this text and selection."""
        old_surprisal, old_selected, old_dropped = self._surprisal, self._selected, self._dropped
        came_back = old_selected is not None and old_selected < len(self._chips) - 1
        self._surprisal, self._selected, self._facts = view.surprisal, view.selected, view.facts
        self._dropped = view.dropped
        same = self.set_chips(view.chips)
        recoloured = self._take_row(view)
        if recoloured or old_dropped != view.dropped or not _equal(old_surprisal[:same], view.surprisal[:same]):
            self.viewport().update()
        elif old_selected != view.selected:
            self._update_chip(old_selected)
            self._update_chip(view.selected)
        if self._hovered is not None and self._hovered >= len(view.chips):
            self._set_hovered(None)
        if view.selected is not None and view.selected not in (old_selected, len(view.chips) - 1):
            self._bring_into_view(view.selected)
        elif came_back and view.selected == len(view.chips) - 1:
            self.follow_newest()
        self._show_newest_button()
        self._tell()

    def set_lit(self, position: int | None) -> None:
        """Mark a chip as if the mouse were over it."""
        if position != self._lit:
            self._update_chip(self._lit)
            self._lit = position
            self._update_chip(position)

    def _take_row(self, view: WindowView) -> bool:
        """Note what the colours tell. Returns whether they changed."""
        by_attention = view.colouring is Colouring.ATTENTION
        row = view.row if by_attention else None
        was, count = self._shares, len(view.chips)
        if row is None:
            self._shares = np.full(count, np.nan, np.float32) if by_attention else None
        elif row is not self._gaze or was is None or was.size != count:
            self._shares = np.full(count, np.nan, np.float32)
            self._shares[row.positions] = row.weights
        changed = row is not self._gaze or (was is None) != (self._shares is None)
        self._gaze = row
        return changed

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(200), self._theme.px(self.row_px * 2))

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(600), self._theme.px(self.row_px * 7))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_newest_button()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._chip_under(event.position())
        if event.button() == Qt.MouseButton.LeftButton and index is not None:
            self.position_selected.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._chip_under(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        target = self._target_of(event.key())
        if target is None or not self._chips:
            super().keyPressEvent(event)
            return
        newest = len(self._chips) - 1
        if target >= newest:
            self.follow_newest()
            self.position_selected.emit(None)
        else:
            self._bring_into_view(max(0, target))
            self.position_selected.emit(max(0, target))

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            index = self._chip_under(QPointF(event.pos()))
            if index is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.description_of(index), self.viewport())
            return True
        return super().viewportEvent(event)

    def description_of(self, index: int) -> str:
        """What the tool tip says about a chip."""
        chip = self._chips[index]
        lines = [
            self.tr("{text}   token {id}").format(text=marked(chip.token), id=grouped(chip.token.id)),
            self.tr("position {position}, {role}").format(position=grouped(chip.position), role=self._role_name(chip)),
            self.tr("bytes {bytes}").format(bytes=hexadecimal(chip.token.data) or "–"),
        ]
        bits = float(self._surprisal[index]) if index < self._surprisal.size else float("nan")
        if not np.isnan(bits):
            lines.append(self.tr("assigned {probability}").format(probability=percent(2.0**-bits)))
        if self._gaze is not None and self._shares is not None and not np.isnan(self._shares[index]):
            share = share_text(float(self._shares[index]), self._gaze.look)
            name = short_text(self._gaze.text, self._gaze.position)
            lines.append(self.tr("“{token}” looks at it: {share}").format(token=name, share=share))
        if self._facts is not None and self._facts.chip == chip and self._facts.rank is not None:
            lines.append(self.tr("rank {rank}").format(rank=grouped(self._facts.rank)))
        if index in self._dropped:
            lines.append(self.tr("no longer in the window: the model does not see it any more"))
        if chip.slide is not None:
            lines.append(self._slide_told(chip.slide))
        if chip.mark is not None:
            lines.append(self._mark_told(chip.mark))
        if chip.lost:
            lines.append(self.tr("before it, without a token: {bytes}").format(bytes=hexadecimal(chip.lost)))
        return "\n".join(lines)

    def _tell(self) -> None:
        """The selected token, and how many there are."""
        chips, selected = self._chips, self._selected
        if selected is None or selected >= len(chips):
            self.setAccessibleDescription("")
            return
        said = self.description_of(selected).replace("\n", "; "), token_count(len(chips))
        self.setAccessibleDescription("; ".join(said))

    def _role_name(self, chip: Chip) -> str:
        return {
            TokenRole.TEMPLATE: self.tr("from the chat template"),
            TokenRole.SYSTEM: self.tr("system message"),
            TokenRole.USER: self.tr("user message"),
            TokenRole.ASSISTANT: self.tr("earlier answer"),
            TokenRole.FACTS: self.tr("facts that were put in"),
            TokenRole.COMPLETION: self.tr("prompt"),
            TokenRole.GENERATED: self.tr("generated"),
        }[chip.role]

    def _slide_told(self, slide: WindowSlid) -> str:
        told = self.tr(
            "before it the window slid: positions {first} to {last} dropped, {read} tokens read again in {ms}"
        )
        told = told.format(
            first=grouped(slide.first),
            last=grouped(slide.last),
            read=grouped(slide.prefilled),
            ms=milliseconds(slide.ms),
        )
        return told + (self.tr(", {kept} kept at the beginning").format(kept=grouped(slide.kept)) if slide.kept else "")

    def _mark_told(self, mark: FilterMark) -> str:
        match mark.action:
            case FilterAction.STOP:
                told = self.tr("the output filter stopped the run here: “{entry}”")
            case FilterAction.MASK:
                told = self.tr("the output filter masks it for “{entry}”; the model still sees it")
            case FilterAction.REDRAW:
                told = self.tr("the output filter found “{entry}” here, and let it stand")
        return told.format(entry=mark.entry)

    def _slide_label(self, slide: WindowSlid) -> str:
        label = self.tr("Window slid: {dropped} tokens dropped, {ms}")
        if slide.dropped == 1:
            label = self.tr("Window slid: 1 token dropped, {ms}")
        return label.format(dropped=grouped(slide.dropped), ms=milliseconds(slide.ms))

    def _lead_width(self, chip: Chip) -> float:
        return self._slide_width(chip) + super()._lead_width(chip)

    def _slide_width(self, chip: Chip) -> float:
        if chip.slide is None:
            return 0.0
        written = self._mark_metrics.horizontalAdvance(self._slide_label(chip.slide))
        return written + 8 * self._padding + self._gap

    def _paint_lead(self, painter: QPainter, chip: Chip, rect: QRectF) -> QRectF:
        if chip.slide is None:
            return super()._paint_lead(painter, chip, rect)
        token = min(self._width_of(chip.shown), rect.width() * 0.3)  # of a chip that is cut to its line
        width = min(self._slide_width(chip), rect.width() - token)
        self._paint_slide(painter, chip.slide, QRectF(rect.left(), rect.top(), width - self._gap, rect.height()))
        return super()._paint_lead(painter, chip, rect.adjusted(width, 0, 0, 0))

    def _paint_slide(self, painter: QPainter, slide: WindowSlid, rect: QRectF) -> None:
        """A line down the row where the window slid, and a flag at it that says so."""
        theme, thickness = self._theme, float(self._theme.px(2))
        painter.fillRect(QRectF(rect.left(), rect.top(), thickness, rect.height()), QColor(theme.secondary))
        flag = rect.adjusted(thickness, rect.height() * 0.22, -2 * self._padding, -rect.height() * 0.22)
        painter.setPen(QPen(QColor(theme.control_border), 1.0))
        painter.setBrush(QColor(theme.panel))
        painter.drawRect(flag)
        painter.setFont(self._mark_font)
        painter.setPen(QColor(theme.secondary))
        room = flag.width() - 2 * self._padding
        text = self._mark_metrics.elidedText(self._slide_label(slide), Qt.TextElideMode.ElideRight, room)
        painter.drawText(flag, Qt.AlignmentFlag.AlignCenter, text)

    def _apply_theme(self) -> None:
        self._mark_font = self._theme.font(13)
        self._mark_metrics = QFontMetricsF(self._mark_font)
        super()._apply_theme()

    def _paint_chip(self, painter: QPainter, index: int, rect: QRectF) -> None:
        chip = self._chips[index]
        rect = self._paint_lead(painter, chip, rect)
        if index in self._dropped:
            self._paint_dropped(painter, chip, rect)
        else:
            self._paint_seen(painter, index, rect)
        if index in (self._selected, self._hovered, self._lit):
            theme, selected = self._theme, index == self._selected
            pen = QPen(QColor(theme.accent if selected else theme.text), theme.px(2.5 if selected else 1.5))
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), theme.px(4), theme.px(4))

    def _paint_seen(self, painter: QPainter, index: int, rect: QRectF) -> None:
        """A token in the window: on the ground of what the colours tell, underlined if it was generated."""
        theme, chip = self._theme, self._chips[index]
        radius = theme.px(4)
        painter.setPen(Qt.PenStyle.NoPen)
        if (ground := self._ground_of(index)) is not None:
            painter.setBrush(ground)
            painter.drawRoundedRect(rect, radius, radius)
        if chip.role is TokenRole.GENERATED:
            painter.setBrush(QColor(theme.accent))
            thickness = float(theme.px(3))
            painter.drawRoundedRect(
                QRectF(rect.left(), rect.bottom() - thickness, rect.width(), thickness), thickness / 2, thickness / 2
            )
        if chip.mark is not None:
            self._paint_mark(painter, rect)
        self._paint_label(painter, label_of(chip.shown), rect, mark="" if self._shares is None else theme.text)

    def _paint_mark(self, painter: QPainter, rect: QRectF) -> None:
        """A line through the upper edge of what the output filter hit."""
        painter.setBrush(QColor(self._theme.warning))
        painter.drawRect(QRectF(rect.left(), rect.top(), rect.width(), float(self._theme.px(3))))

    def _ground_of(self, index: int) -> QColor | None:
        """The colour behind a token; None where nothing is known."""
        if self._shares is None:
            bits = float(self._surprisal[index]) if index < self._surprisal.size else float("nan")
            return None if np.isnan(bits) else self._theme.surprisal_colour(bits)
        share = float(self._shares[index])
        if np.isnan(share) or self._gaze is None or self._gaze.largest <= 0:
            return None
        return self._theme.link_colour(share / self._gaze.largest)

    def _paint_dropped(self, painter: QPainter, chip: Chip, rect: QRectF) -> None:
        """A token that has left the window: pale, without a ground, and struck through."""
        painter.setOpacity(DROPPED_OPACITY)
        self._paint_label(painter, label_of(chip.shown), rect)
        painter.setOpacity(1.0)
        middle = rect.center().y()
        painter.setPen(QPen(QColor(self._theme.secondary), self._theme.px(1)))
        painter.drawLine(QPointF(rect.left(), middle), QPointF(rect.right(), middle))

    def _target_of(self, key: int) -> int | None:
        """Where a key moves the selection; None: it is not one of those keys."""
        newest = len(self._chips) - 1
        now = newest if self._selected is None else min(self._selected, newest)
        match key:
            case Qt.Key.Key_Left:
                return now - 1
            case Qt.Key.Key_Right:
                return now + 1
            case Qt.Key.Key_Home:
                return 0
            case Qt.Key.Key_End | Qt.Key.Key_Escape:
                return newest
            case Qt.Key.Key_Up | Qt.Key.Key_Down if self._chips:
                return self._in_next_line(now, -1 if key == Qt.Key.Key_Up else 1)
        return None

    def _in_next_line(self, chip: int, direction: int) -> int:
        left, width = self._layout_of_chips.span(chip)
        other = self._layout_of_chips.nearest(left + width / 2, self._layout_of_chips.line_of(chip) + direction)
        return chip if other is None else other

    def _bring_into_view(self, chip: int) -> None:
        rect, height = self.rect_of(chip), self.viewport().height()
        beyond = min(0.0, rect.top() - self._margin) + max(0.0, rect.bottom() + self._margin - height)
        if beyond:
            self._following = False
            self._scroll_to(self.verticalScrollBar().value() + round(beyond))
            self._show_newest_button()

    def _chip_under(self, point: QPointF) -> int | None:
        return self.chip_at(point.x(), point.y())

    def _set_hovered(self, index: int | None) -> None:
        if index != self._hovered:
            self._update_chip(self._hovered)
            self._hovered = index
            self._update_chip(index)
            self.hovered.emit(index)

    def _update_chip(self, index: int | None) -> None:
        if index is not None and index < len(self._chips):
            self.viewport().update(self.rect_of(index).adjusted(-3, -3, 3, 3).toAlignedRect())

    def _on_scrolled(self, value: int) -> None:
        super()._on_scrolled(value)
        self._show_newest_button()

    def _on_newest_clicked(self) -> None:
        self.follow_newest()
        self._show_newest_button()

    def _show_newest_button(self) -> None:
        wanted = not self.following and self.verticalScrollBar().maximum() > 0
        self._newest.setVisible(wanted)
        if wanted:
            self._newest.adjustSize()
            area = self.viewport().rect()
            self._newest.move(
                area.right() - self._newest.width() - self._theme.px(10),
                area.bottom() - self._newest.height() - self._theme.px(8),
            )


def _equal(old: FloatArray, new: FloatArray) -> bool:
    """Whether two arrays are the same, unknown values included."""
    return old.shape == new.shape and bool(np.array_equal(old, new, equal_nan=True))

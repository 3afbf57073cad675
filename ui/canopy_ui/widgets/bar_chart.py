"""The likeliest tokens as bars, and below them, always, everything that is not drawn."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from canopy_desktop.decoding.frequencies import Frequency
from canopy_desktop.exploration.decision_view import Bar, DistributionView
from canopy_ui.theme import Theme
from canopy_ui.widgets.bar_columns import BarColumns
from canopy_ui.widgets.bar_scale import BarScale, ScaleKind
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import grouped, percent
from canopy_ui.widgets.stage_words import column_count, column_title, short_title, stage_name

_TOLD = 5  # tokens that are told in words where none is meant
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


class BarChart(QAbstractScrollArea):
    """Rows of a token with a bar and a figure for each stage; with many draws also what they gave."""

    token_picked = Signal(int)  # another token than the chosen one
    token_hovered = Signal(object)  # a token's id, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Next-token probabilities"))
        self.viewport().setMouseTracking(True)
        self._view: DistributionView | None = None
        self._kind = ScaleKind.LINEAR
        self._scale = BarScale.of(None, self._kind)
        self._row: int | None = None  # under the mouse, or chosen by the keyboard
        self._over: int | None = None  # the token under the mouse
        self._lit: int | None = None  # a token that is under the mouse elsewhere
        self.set_theme(theme)
        self.verticalScrollBar().valueChanged.connect(self._on_scrolled)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._label_font, self._chosen_font = theme.token_font(15), theme.token_font(15, strong=True)
        self._figure_font, self._small_font = theme.font(15), theme.font(13)
        palette = self.viewport().palette()
        palette.setColor(self.viewport().backgroundRole(), QColor(theme.panel))
        self.viewport().setPalette(palette)
        self._place()

    def set_distribution(self, view: DistributionView | None) -> None:
        """Show this distribution."""
        self._view = view
        self._scale = BarScale.of(view, self._kind)
        if self._row is not None and (view is None or self._row >= len(view.bars)):
            self._row = None
        self._tell()
        self._place()

    def set_scale(self, kind: ScaleKind) -> None:
        """What the bars stand for."""
        self._kind = kind
        self._scale = BarScale.of(self._view, kind)
        self._place()

    def scale(self) -> BarScale:
        """How long a bar is."""
        return self._scale

    def set_lit(self, token_id: int | None) -> None:
        """Mark the token that is under the mouse elsewhere."""
        if token_id != self._lit:
            for row, bar in enumerate(self._view.bars if self._view else ()):
                if bar.token.id in (self._lit, token_id):
                    self._update_row(row)
            self._lit = token_id

    def show_token(self, token_id: int) -> None:
        """Bring a token's row into sight, if it has one."""
        for row, bar in enumerate(self._view.bars if self._view else ()):
            if bar.token.id == token_id:
                self._move_to(row)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(220), self._theme.px(90))

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(340), self._theme.px(270))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()
        if self._view is not None and self._row is not None and self._view.bars[self._row].found:
            self._move_to(self._row)

    def paintEvent(self, event: QPaintEvent) -> None:
        view = self._view
        if view is None:
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        columns, width = self._columns, self.viewport().width()
        self._paint_header(painter, columns, view)
        painter.save()
        painter.setClipRect(QRectF(0, self._top, width, self._rows_height()))
        for row, bar in enumerate(view.bars):
            rect = self._rect_of(row)
            if rect.bottom() > self._top and rect.top() < self._top + self._rows_height():
                self._paint_row(painter, columns, view, bar, rect, row == self._row or bar.token.id == self._lit)
        painter.restore()
        bottom = QRectF(0, self._top + self._rows_height(), width, self._row_height)
        self._paint_others(painter, columns, view, bottom)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        row = self._row_at(event.position())
        self._set_row(row)
        self._set_over(None if row is None or self._view is None else self._view.bars[row].token.id)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_row(None)
        self._set_over(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pick(self._row_at(event.position()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        count = len(self._view.bars) if self._view else 0
        match event.key():
            case Qt.Key.Key_Up if count:
                self._move_to(max(0, (self._row or 0) - 1))
            case Qt.Key.Key_Down if count:
                self._move_to(0 if self._row is None else min(count - 1, self._row + 1))
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._pick(self._row)
            case _:
                super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.description_at(QPointF(event.pos()))
            if text:
                QToolTip.showText(event.globalPos(), text, self.viewport())
            else:
                QToolTip.hideText()
            return True
        return super().viewportEvent(event)

    def description_at(self, point: QPointF) -> str:
        """What the tool tip says there."""
        row = self._row_at(point)
        return "" if row is None else self._description_of(row)

    def _tell(self) -> None:
        """The row that is meant, or the likeliest tokens."""
        bars = self._view.bars[:_TOLD] if self._view is not None else ()
        told = ", ".join(f"“{marked(bar.token)}” {percent(bar.probability)}" for bar in bars)
        self.setAccessibleDescription(told if self._row is None else self._description_of(self._row))

    def _description_of(self, row: int) -> str:
        view = self._view
        if view is None:
            return ""
        bar = view.bars[row]
        lines = [
            self.tr("{token}   token {id}, logit {logit:.2f}, rank {rank}").format(
                token=marked(bar.token), id=grouped(bar.token.id), logit=bar.logit, rank=grouped(bar.rank)
            ),
            self.tr("assigned {probability}").format(probability=percent(bar.probability)),
        ]
        for column, probability in list(zip(view.columns, bar.probabilities, strict=True))[1:]:
            if probability > 0:
                after = self.tr("after {stage}: {probability}")
                lines.append(after.format(stage=column_title(column, view.settings), probability=percent(probability)))
        if bar.removed_by is not None:
            lines.append(self.tr("removed by {stage}").format(stage=stage_name(bar.removed_by)))
        elif bar.kept_probability <= 0:
            lines.append(self.tr("removed by the settings"))
        if bar.drawn is not None:
            lines.append(self._drawn_told(bar.drawn))
        if bar.rejected:
            lines.append(self.tr("× the output filter rejected it"))
        if bar.taken and not bar.chosen:
            lines.append(self.tr("← these settings would take it"))
        if self._can_branch(row):
            lines.append(self.tr("Click: the text goes on from here with this token"))
        return "\n".join(lines)

    def _drawn_told(self, drawn: Frequency) -> str:
        low, high = drawn.interval
        return self.tr("drawn {count} times of {draws}: {share}, 95 % interval {low} to {high}").format(
            count=drawn.count, draws=drawn.draws, share=percent(drawn.share), low=percent(low), high=percent(high)
        )

    def _paint_header(self, painter: QPainter, columns: BarColumns, view: DistributionView) -> None:
        if len(columns.groups) == 1 and self._kind is not ScaleKind.LOGITS:
            return
        line = self._theme.px(18)
        for number, group in enumerate(columns.groups):
            first, second = self._headings(view, group)
            room = columns.head(number, QRectF(0, 0, 1, line)).width()
            if group and group[0] and QFontMetrics(self._small_font).horizontalAdvance(first) > room:
                first = short_title([view.columns[place] for place in group], view.settings)
            for text, font, colour, top in (
                (first, self._small_font, self._theme.text, 0),
                (second, self._small_font, self._theme.secondary, line),
            ):
                if top and not self._tall_head:
                    continue
                painter.setFont(font)
                painter.setPen(QColor(colour))
                elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(room))
                painter.drawText(columns.head(number, QRectF(0, top, 1, line)), _RIGHT, elided)

    def _headings(self, view: DistributionView, group: tuple[int, ...]) -> tuple[str, str]:
        if not group:
            drawn = next((bar.drawn.draws for bar in view.bars if bar.drawn is not None), 0)
            return self.tr("{count} draws").format(count=grouped(drawn)), self.tr("with 95 % intervals")
        columns = [view.columns[place] for place in group]
        if len(group) > 1 and len(group) == len(view.columns) - 1:
            return self.tr("settings"), column_count(columns)
        if group[-1] == 0 and self._kind is ScaleKind.LOGITS:
            return self.tr("logit"), column_count(columns)
        return ", ".join(column_title(column, view.settings) for column in columns), column_count(columns)

    def _paint_row(
        self, painter: QPainter, columns: BarColumns, view: DistributionView, bar: Bar, rect: QRectF, current: bool
    ) -> None:
        theme = self._theme
        if current or bar.found:
            painter.fillRect(rect, QColor(theme.accent_soft))
        removed = bar.kept_probability <= 0
        font = QFont(self._chosen_font if bar.chosen else self._label_font)
        font.setStrikeOut(removed)
        painter.setFont(font)
        painter.setPen(QColor(theme.accent if bar.chosen else theme.secondary if removed else theme.text))
        label = columns.label(rect)
        sign = " ×" if bar.rejected else " ←" if bar.taken and not bar.chosen else ""
        text = marked(bar.token) + sign
        elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(label.width()))
        painter.drawText(label, _LEFT, elided)
        told = False
        for number, group in enumerate(columns.groups):
            if not group:
                self._paint_drawn(painter, columns, number, bar, rect)
            elif bar.probabilities[group[-1]] > 0 or group[-1] == 0:
                self._paint_cell(painter, columns, number, group[-1], bar, rect)
            elif not told:
                painter.setFont(self._small_font)
                painter.setPen(QColor(theme.secondary))
                painter.drawText(columns.figure(number, rect), _RIGHT, self.tr("removed"))
                told = True

    def _paint_cell(
        self, painter: QPainter, columns: BarColumns, number: int, place: int, bar: Bar, rect: QRectF
    ) -> None:
        theme = self._theme
        logits = place == 0 and self._kind is ScaleKind.LOGITS
        probability = bar.probabilities[place]
        share = self._scale.logit_share(bar.logit) if logits else self._scale.share(probability)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent if bar.chosen else theme.bar))
        painter.drawRoundedRect(columns.bar(number, rect, share), 2, 2)
        painter.setFont(self._figure_font)
        painter.setPen(QColor(theme.text))
        painter.drawText(columns.figure(number, rect), _RIGHT, f"{bar.logit:.2f}" if logits else percent(probability))

    def _paint_drawn(self, painter: QPainter, columns: BarColumns, number: int, bar: Bar, rect: QRectF) -> None:
        """A bar as long as the share of the draws, its interval as a line, and the prediction as a stroke."""
        theme, drawn = self._theme, bar.drawn
        if drawn is None or (drawn.count == 0 and drawn.predicted <= 0):
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.bar))
        painter.drawRoundedRect(columns.bar(number, rect, self._scale.share(drawn.share)), 2, 2)
        low, high = (columns.at_share(number, self._scale.share(edge)) for edge in drawn.interval)
        middle, height = rect.center().y(), rect.height() * 0.34
        painter.setPen(QPen(QColor(theme.text), max(1, theme.px(1))))
        painter.drawLine(QPointF(low, middle), QPointF(high, middle))
        for edge in (low, high):
            painter.drawLine(QPointF(edge, middle - height / 2), QPointF(edge, middle + height / 2))
        predicted = columns.at_share(number, self._scale.share(drawn.predicted))
        painter.setPen(QPen(QColor(theme.accent if drawn.agrees else theme.warning), theme.px(2)))
        painter.drawLine(QPointF(predicted, middle - height), QPointF(predicted, middle + height))
        painter.setFont(self._figure_font)
        painter.setPen(QColor(theme.text))
        painter.drawText(columns.figure(number, rect), _RIGHT, grouped(drawn.count))

    def _paint_others(self, painter: QPainter, columns: BarColumns, view: DistributionView, rect: QRectF) -> None:
        theme = self._theme
        painter.fillRect(rect, QColor(theme.panel))
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(rect.topLeft(), rect.topRight())
        painter.setFont(self._small_font)
        painter.setPen(QColor(theme.secondary))
        label = columns.label(rect)
        others = self.tr("{count} others").format(count=grouped(view.columns[0].others))
        if painter.fontMetrics().horizontalAdvance(others) > label.width():
            others = self.tr("{count} more").format(count=grouped(view.columns[0].others))
        painter.drawText(
            label, _LEFT, painter.fontMetrics().elidedText(others, Qt.TextElideMode.ElideRight, round(label.width()))
        )
        for number, group in enumerate(columns.groups):
            if not group:
                drawn = sum(bar.drawn.count for bar in view.bars if bar.drawn is not None)
                count = next((bar.drawn.draws for bar in view.bars if bar.drawn is not None), 0) - drawn
                figure, share = grouped(count), 0.0
            else:
                column = view.columns[group[-1]]
                figure, share = percent(column.others_probability), self._scale.share(column.others_probability)
                if group[-1] == 0 and self._kind is ScaleKind.LOGITS:
                    figure, share = "", 0.0
            if share > 0:
                self._paint_hatched(painter, columns.bar(number, rect, share))
            painter.setFont(self._figure_font)
            painter.setPen(QColor(theme.text))
            painter.drawText(columns.figure(number, rect), _RIGHT, figure)

    def _paint_hatched(self, painter: QPainter, bar: QRectF) -> None:
        painter.setPen(QPen(QColor(self._theme.hatch_line), 1))
        painter.setBrush(QColor(self._theme.hatch))
        painter.drawRect(bar)
        painter.setBrush(QBrush(QColor(self._theme.hatch_line), Qt.BrushStyle.BDiagPattern))
        painter.drawRect(bar)

    def _rows_height(self) -> int:
        room = max(0, self.viewport().height() - self._top - self._row_height)
        needed = self._row_height * (len(self._view.bars) if self._view else 0)
        return needed if needed <= room else room - room % self._row_height  # never half a row

    def _rect_of(self, row: int) -> QRectF:
        top = self._top + row * self._row_height - self.verticalScrollBar().value()
        return QRectF(0, top, self.viewport().width(), self._row_height)

    def _row_at(self, point: QPointF) -> int | None:
        if self._view is None or not self._top <= point.y() < self._top + self._rows_height():
            return None
        row = int((point.y() - self._top + self.verticalScrollBar().value()) // self._row_height)
        return row if row < len(self._view.bars) else None

    def _can_branch(self, row: int | None) -> bool:
        view = self._view
        return view is not None and view.parent is not None and row is not None and not view.bars[row].chosen

    def _pick(self, row: int | None) -> None:
        if self._view is not None and row is not None and self._can_branch(row):
            self.token_picked.emit(self._view.bars[row].token.id)

    def _move_to(self, row: int) -> None:
        self._set_row(row)
        rect, bar = self._rect_of(row), self.verticalScrollBar()
        if rect.top() < self._top:
            bar.setValue(bar.value() - round(self._top - rect.top()))
        elif rect.bottom() > self._top + self._rows_height():
            bar.setValue(bar.value() + round(rect.bottom() - self._top - self._rows_height()))

    def _set_row(self, row: int | None) -> None:
        if row != self._row:
            was, self._row = self._row, row
            self._tell()
            shape = Qt.CursorShape.PointingHandCursor if self._can_branch(row) else Qt.CursorShape.ArrowCursor
            self.viewport().setCursor(shape)
            for changed in (was, row):
                if changed is not None:
                    self._update_row(changed)

    def _set_over(self, token_id: int | None) -> None:
        if token_id != self._over:
            self._over = token_id
            self.token_hovered.emit(token_id)

    def _update_row(self, row: int) -> None:
        self.viewport().update(self._rect_of(row).adjusted(0, -1, 0, 1).toAlignedRect())

    def _on_scrolled(self) -> None:
        self.viewport().update()

    def _place(self) -> None:
        """Choose the columns, the height of head and rows, and the scroll bar's range."""
        view, theme = self._view, self._theme
        rows = len(view.bars) if view else 0
        width, height = self.viewport().width(), self.viewport().height()
        columns = view.columns if view is not None else ()
        self._columns = BarColumns(width, theme, columns, drawn=view is not None and view.draws is not None)
        headed = len(self._columns.groups) > 1 or self._kind is ScaleKind.LOGITS
        self._tall_head = headed and height >= theme.px(40) + (min(10, rows) + 1) * theme.px(20)
        self._top = theme.px(38 if self._tall_head else 18 if headed and view is not None else 2)
        room = height - self._top
        least, most = theme.px(17), theme.px(27)
        in_sight = min(max(room // least, 2), rows + 1)  # the others included
        self._row_height = min(max(room // in_sight, least), most)
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, rows * self._row_height - self._rows_height()))
        bar.setPageStep(max(1, self._rows_height()))
        bar.setSingleStep(self._row_height)
        self.viewport().update()

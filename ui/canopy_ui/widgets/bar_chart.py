"""The likeliest tokens as bars, and below them, always, everything that is not drawn."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from canopy_desktop.exploration.view import Bar, DistributionView
from canopy_ui.theme import Theme
from canopy_ui.widgets.bar_columns import BarColumns
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import grouped, percent

_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


class BarChart(QAbstractScrollArea):
    """Rows of token, bar and figures; with sampling a second, thinner bar for what the settings made of it."""

    token_picked = Signal(int)  # another token than the chosen one

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Next-token probabilities"))
        self.viewport().setMouseTracking(True)
        self._view: DistributionView | None = None
        self._row: int | None = None  # under the mouse, or chosen by the keyboard
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
        if self._row is not None and (view is None or self._row >= len(view.bars)):
            self._row = None
        self._place()

    def scale_maximum(self) -> float:
        """The probability that a bar of full width has."""
        view = self._view
        if view is None:
            return 1.0
        drawn = [bar.probability for bar in view.bars] + [view.others_probability]
        if not view.greedy:
            drawn += [bar.kept_probability for bar in view.bars] + [view.others_kept_probability]
        return max(drawn) or 1.0

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(220), self._theme.px(90))

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(340), self._theme.px(270))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def paintEvent(self, event: QPaintEvent) -> None:
        view = self._view
        if view is None:
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        columns, width = self._columns(), self.viewport().width()
        if not view.greedy:
            self._paint_header(painter, columns)
        painter.save()
        painter.setClipRect(QRectF(0, self._top(), width, self._rows_height()))
        for row, bar in enumerate(view.bars):
            rect = self._rect_of(row)
            if rect.bottom() > self._top() and rect.top() < self._top() + self._rows_height():
                self._paint_row(painter, columns, bar, rect, row == self._row)
        painter.restore()
        bottom = QRectF(0, self._top() + self._rows_height(), width, self._row_height)
        self._paint_others(painter, columns, view, bottom)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_row(self._row_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_row(None)

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
        row, view = self._row_at(point), self._view
        if row is None or view is None:
            return ""
        bar = view.bars[row]
        lines = [
            self.tr("{token}   token {id}, logit {logit:.2f}").format(
                token=marked(bar.token), id=grouped(bar.token.id), logit=bar.logit
            ),
            self.tr("assigned {probability}").format(probability=percent(bar.probability)),
        ]
        if not view.greedy:
            kept = percent(bar.kept_probability) if bar.kept_probability > 0 else self.tr("removed")
            lines.append(self.tr("after the settings: {kept}").format(kept=kept))
        if self._can_branch(row):
            lines.append(self.tr("Click: the text goes on from here with this token"))
        return "\n".join(lines)

    def _paint_header(self, painter: QPainter, columns: BarColumns) -> None:
        painter.setFont(self._small_font)
        painter.setPen(QColor(self._theme.secondary))
        rect = QRectF(0, 0, self.viewport().width(), self._top())
        painter.drawText(columns.raw_figure(rect), _RIGHT, self.tr("model"))
        painter.drawText(columns.kept_figure(rect), _RIGHT, self.tr("settings"))

    def _paint_row(self, painter: QPainter, columns: BarColumns, bar: Bar, rect: QRectF, current: bool) -> None:
        theme, sampling = self._theme, columns.sampling
        if current:
            painter.fillRect(rect, QColor(theme.accent_soft))
        removed = sampling and bar.kept_probability <= 0
        font = QFont(self._chosen_font if bar.chosen else self._label_font)
        font.setStrikeOut(removed)
        painter.setFont(font)
        painter.setPen(QColor(theme.accent if bar.chosen else theme.secondary if removed else theme.text))
        label = columns.label(rect)
        text = painter.fontMetrics().elidedText(marked(bar.token), Qt.TextElideMode.ElideRight, round(label.width()))
        painter.drawText(label, _LEFT, text)
        painter.setPen(Qt.PenStyle.NoPen)
        scale = self.scale_maximum()
        painter.setBrush(QColor(theme.accent if bar.chosen else theme.bar))
        painter.drawRoundedRect(columns.raw_bar(rect, bar.probability / scale), 2, 2)
        if sampling and not removed:
            painter.setBrush(QColor(theme.accent if bar.chosen else theme.secondary))
            painter.drawRoundedRect(columns.kept_bar(rect, bar.kept_probability / scale), 1, 1)
        painter.setFont(self._figure_font)
        painter.setPen(QColor(theme.text))
        painter.drawText(columns.raw_figure(rect), _RIGHT, percent(bar.probability))
        if sampling:
            if removed:
                painter.setFont(self._small_font)
                painter.setPen(QColor(theme.secondary))
            text = self.tr("removed") if removed else percent(bar.kept_probability)
            painter.drawText(columns.kept_figure(rect), _RIGHT, text)

    def _paint_others(self, painter: QPainter, columns: BarColumns, view: DistributionView, rect: QRectF) -> None:
        theme, scale = self._theme, self.scale_maximum()
        painter.fillRect(rect, QColor(theme.panel))
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(rect.topLeft(), rect.topRight())
        painter.setFont(self._small_font)
        painter.setPen(QColor(theme.secondary))
        label = columns.label(rect)
        others = self.tr("{count} others").format(count=grouped(view.others))
        painter.drawText(
            label, _LEFT, painter.fontMetrics().elidedText(others, Qt.TextElideMode.ElideRight, round(label.width()))
        )
        self._paint_hatched(painter, columns.raw_bar(rect, view.others_probability / scale))
        if columns.sampling and view.others_kept_probability > 0:
            self._paint_hatched(painter, columns.kept_bar(rect, view.others_kept_probability / scale))
        painter.setFont(self._figure_font)
        painter.setPen(QColor(theme.text))
        painter.drawText(columns.raw_figure(rect), _RIGHT, percent(view.others_probability))
        if columns.sampling:
            painter.drawText(columns.kept_figure(rect), _RIGHT, percent(view.others_kept_probability))

    def _paint_hatched(self, painter: QPainter, bar: QRectF) -> None:
        painter.setPen(QPen(QColor(self._theme.hatch_line), 1))
        painter.setBrush(QColor(self._theme.hatch))
        painter.drawRect(bar)
        painter.setBrush(QBrush(QColor(self._theme.hatch_line), Qt.BrushStyle.BDiagPattern))
        painter.drawRect(bar)

    def _columns(self) -> BarColumns:
        sampling = self._view is not None and not self._view.greedy
        return BarColumns(self.viewport().width(), self._theme, sampling=sampling)

    def _top(self) -> int:
        """Where the rows begin."""
        return self._theme.px(18 if self._view is not None and not self._view.greedy else 2)

    def _rows_height(self) -> int:
        room = max(0, self.viewport().height() - self._top() - self._row_height)
        needed = self._row_height * (len(self._view.bars) if self._view else 0)
        return needed if needed <= room else room - room % self._row_height  # never half a row

    def _rect_of(self, row: int) -> QRectF:
        top = self._top() + row * self._row_height - self.verticalScrollBar().value()
        return QRectF(0, top, self.viewport().width(), self._row_height)

    def _row_at(self, point: QPointF) -> int | None:
        if self._view is None or not self._top() <= point.y() < self._top() + self._rows_height():
            return None
        row = int((point.y() - self._top() + self.verticalScrollBar().value()) // self._row_height)
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
        if rect.top() < self._top():
            bar.setValue(bar.value() - round(self._top() - rect.top()))
        elif rect.bottom() > self._top() + self._rows_height():
            bar.setValue(bar.value() + round(rect.bottom() - self._top() - self._rows_height()))

    def _set_row(self, row: int | None) -> None:
        if row != self._row:
            self._row = row
            shape = Qt.CursorShape.PointingHandCursor if self._can_branch(row) else Qt.CursorShape.ArrowCursor
            self.viewport().setCursor(shape)
            self.viewport().update()

    def _on_scrolled(self) -> None:
        self.viewport().update()

    def _place(self) -> None:
        """Choose the rows' height, and the scroll bar's range."""
        rows = len(self._view.bars) if self._view else 0
        room = self.viewport().height() - self._top()
        least, most = self._theme.px(17), self._theme.px(27)
        in_sight = min(max(room // least, 2), rows + 1)  # the others included
        self._row_height = min(max(room // in_sight, least), most)
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, rows * self._row_height - self._rows_height()))
        bar.setPageStep(max(1, self._rows_height()))
        bar.setSingleStep(self._row_height)
        self.viewport().update()

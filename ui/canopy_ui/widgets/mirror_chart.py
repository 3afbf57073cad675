"""Two distributions back to back: A's bars to the left, B's to the right, on one scale."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from canopy_desktop.exploration.compare_view import Rest, Share, Side, StepPicture
from canopy_ui.theme import Theme
from canopy_ui.widgets.candidate_rows import CandidateRows
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import UNKNOWN, grouped, percent

_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_CENTRE = Qt.AlignmentFlag.AlignCenter
_ROW, _LEAST_ROW, _TOP = 44, 21, 22
_NAME, _FIGURE = 132, 64
_TOLD = 5  # tokens that are told in words


class MirrorChart(CandidateRows):
    """The chosen tokens have the accent; what is not drawn is one hatched bar on each side."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._picture: StepPicture | None = None
        self._chosen: tuple[int | None, int | None] = (None, None)
        self._final = True
        self.setAccessibleName(self.tr("Next-token probabilities of A and B"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.updateGeometry()
        self.update()

    def set_picture(self, picture: StepPicture | None, chosen: tuple[int | None, int | None], *, final: bool) -> None:
        """Show a step; `chosen`: ids that A and B took; `final`: after the settings, else the model's own."""
        if (picture, chosen, final) != (self._picture, self._chosen, self._final):
            self._picture, self._chosen, self._final = picture, chosen, final
            self.setAccessibleDescription(self._words())
            self.updateGeometry()
            self.update()

    def _words(self) -> str:
        bars = () if self._picture is None else self._picture.bars[:_TOLD]
        told = self.tr("“{token}” A {a}, B {b}")
        return "; ".join(
            told.format(token=marked(bar.token), a=self._percent(bar.a), b=self._percent(bar.b)) for bar in bars
        )

    def _percent(self, share: Share | None) -> str:
        return UNKNOWN if share is None else percent(self._of(share))

    def scale_maximum(self) -> float:
        """The probability that a token's bar of full width has, on both sides; everything else may have more."""
        picture = self._picture
        if picture is None:
            return 1.0
        shares = [share for bar in picture.bars for share in (bar.a, bar.b)]
        return max((self._of(share) for share in shares if share is not None), default=1.0) or 1.0

    def bar_of(self, row: int, side: Side, share: Share) -> QRectF:
        """Where a side's bar of a row stands; the row after the tokens is that of everything else."""
        name, figure = self._name_width(), self._theme.px(_FIGURE)
        room = max(1.0, self.width() / 2 - name / 2 - figure)
        height = self._row_height()
        top = self._theme.px(_TOP) + row * height + height * 0.16
        length = max(1.0, room * min(1.0, self._of(share) / self.scale_maximum()))
        left = self.width() / 2 - name / 2 - length if side is Side.A else self.width() / 2 + name / 2
        return QRectF(left, top, length, height * 0.68)

    def token_ids(self) -> tuple[int | None, ...]:
        return () if self._picture is None else tuple(bar.a_id for bar in self._picture.bars)

    def row_rect(self, row: int) -> QRectF:
        height = self._row_height()
        return QRectF(0, self._theme.px(_TOP) + row * height, self.width(), height)

    def sizeHint(self) -> QSize:
        return QSize(self._theme.px(460), self._theme.px(_TOP + _ROW * self._rows()))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(300), self._theme.px(_TOP + _LEAST_ROW * self._rows()))

    def paintEvent(self, event: QPaintEvent) -> None:
        picture = self._picture
        if picture is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_lit(painter)
        self._paint_header(painter)
        for row, bar in enumerate(picture.bars):
            self._paint_name(painter, row, marked(bar.token), token=True)
            for side, share in ((Side.A, bar.a), (Side.B, bar.b)):
                chosen = self._chosen[0 if side is Side.A else 1] == row
                self._paint_share(painter, row, side, share, chosen=chosen)
        self._paint_rest(painter, picture.a_rest, picture.b_rest)
        painter.end()

    def _paint_header(self, painter: QPainter) -> None:
        theme, top = self._theme, self._theme.px(_TOP)
        painter.setFont(theme.font(15, strong=True))
        painter.setPen(QColor(theme.secondary))
        half, name = self.width() / 2, self._name_width() / 2
        painter.drawText(QRectF(0, 0, half - name - theme.px(4), top), _RIGHT, "A")
        painter.drawText(QRectF(half + name + theme.px(4), 0, half - name, top), _LEFT, "B")

    def _paint_name(self, painter: QPainter, row: int, text: str, *, token: bool) -> None:
        theme, name = self._theme, self._name_width()
        painter.setFont(theme.token_font(15) if token else theme.font(15))
        painter.setPen(QColor(theme.text))
        room = QRectF(self.width() / 2 - name / 2, theme.px(_TOP) + row * self._row_height(), name, self._row_height())
        room.adjust(theme.px(6), 0, -theme.px(6), 0)
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(room.width()))
        painter.drawText(room, _CENTRE, text)

    def _paint_share(
        self, painter: QPainter, row: int, side: Side, share: Share | None, *, chosen: bool = False, rest: bool = False
    ) -> None:
        theme, height = self._theme, self._row_height()
        top = theme.px(_TOP) + row * height
        bar = self.bar_of(row, side, share or Share(0.0, 0.0))
        if share is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.hatch if rest else theme.accent if chosen else theme.bar))
            painter.drawRoundedRect(bar, 2, 2)
            if rest:
                painter.setBrush(QBrush(QColor(theme.hatch_line), Qt.BrushStyle.BDiagPattern))
                painter.drawRoundedRect(bar, 2, 2)
                if self._of(share) > self.scale_maximum():
                    self._paint_break(painter, bar)
        painter.setFont(theme.font(15, strong=chosen))
        painter.setPen(QColor(theme.text))
        figure, gap = theme.px(_FIGURE), theme.px(6)
        text = UNKNOWN if share is None else percent(self._of(share))
        if side is Side.A:
            painter.drawText(QRectF(bar.left() - figure, top, figure - gap, height), _RIGHT, text)
        else:
            painter.drawText(QRectF(bar.right() + gap, top, figure, height), _LEFT, text)

    def _paint_break(self, painter: QPainter, bar: QRectF) -> None:
        """The bar is longer than its room."""
        painter.setPen(QPen(QColor(self._theme.panel), self._theme.px(3)))
        lean = bar.height() * 0.3
        for middle in (bar.center().x() - lean, bar.center().x() + lean):
            painter.drawLine(QPointF(middle - lean, bar.bottom() + 1), QPointF(middle + lean, bar.top() - 1))

    def _paint_rest(self, painter: QPainter, a: Rest | None, b: Rest | None) -> None:
        row = self._rows() - 1
        counts = {rest.tokens for rest in (a, b) if rest is not None}
        name = self.tr("{count} others").format(count=" / ".join(grouped(count) for count in sorted(counts)))
        self._paint_name(painter, row, name, token=False)
        for side, rest in ((Side.A, a), (Side.B, b)):
            self._paint_share(painter, row, side, None if rest is None else rest.share, rest=True)

    def _of(self, share: Share) -> float:
        return share.final if self._final else share.raw

    def _rows(self) -> int:
        return len(self._picture.bars) + 1 if self._picture is not None else 1

    def _name_width(self) -> float:
        return min(float(self._theme.px(_NAME)), self.width() * 0.3)

    def _row_height(self) -> float:
        room = (self.height() - self._theme.px(_TOP)) / self._rows()
        return min(float(self._theme.px(_ROW)), room)

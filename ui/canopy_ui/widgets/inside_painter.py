"""Paints the picture of one step: ribbons, vectors as strips, numbers and names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QCoreApplication, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen

from canopy_desktop.arrays import ByteArray, FloatArray
from canopy_desktop.exploration.inside_view import InsideView, KeyRow, rest_of
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.inside_colours import InsideColours, full_of, square_rows, strip_image
from canopy_ui.widgets.inside_layout import Box, Contents, Hue, InsideLayout, Lane, Ribbon, Station
from canopy_ui.widgets.inside_sheets import stations_in
from canopy_ui.widgets.inside_words import short_number, station_head
from canopy_ui.widgets.numbers import grouped, percent

_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_CENTRE = Qt.AlignmentFlag.AlignCenter
_BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
_RIBBON = {Hue.STREAM: 0.35, Hue.QUERY: 0.55, Hue.KEY: 0.45, Hue.VALUE: 0.45, Hue.REST: 0.55}
_KITCHEN_PX = 13


@dataclass(frozen=True, slots=True)
class Shown:
    """A view with the lanes that there is room for, in the order of the text."""

    view: InsideView
    rows: tuple[KeyRow, ...]
    others: int  # tokens without a lane of their own
    outcomes: int

    @property
    def rest(self) -> float | None:
        """What the others get together."""
        if not self.others:
            return None
        return max(0.0, 1.0 - sum(row.weight for row in self.rows))

    def contents(self) -> Contents:
        """What the layout has to place."""
        view = self.view
        listed = view.outcomes[: self.outcomes]
        return Contents(
            stations=stations_in(view),
            weights=tuple(row.weight for row in self.rows),
            rest=self.rest,
            later=view.later > 0,
            blocks=tuple(row.part.norm for row in view.layers),
            heads=tuple(part.norm for part in view.heads),
            outcomes=tuple(one.probability for one in listed),
            outcome_rest=rest_of(listed),
        )


def shown_of(view: InsideView, lanes: int, outcomes: int) -> Shown:
    """What is shown where there is room for so many lanes and next tokens."""
    room = max(2, lanes - (view.later > 0))
    if view.seen > min(room, len(view.rows)):
        room = max(2, room - 1)  # one lane is that of all others
    rows = tuple(sorted(view.rows[:room], key=lambda row: row.place))
    return Shown(view, rows, view.seen - len(rows), min(outcomes, len(view.outcomes)))


class InsidePainter:
    """Paints one picture with one painter."""

    def __init__(self, painter: QPainter, theme: Theme, kitchen: dict[Station, str]) -> None:
        """`kitchen`: words to stand below the stations' names."""
        self._painter = painter
        self._theme = theme
        self._colours = InsideColours.of(theme)
        self._kitchen = kitchen
        self._tables: dict[Hue, ByteArray] = {}

    def paint(self, at: InsideLayout, shown: Shown) -> None:
        """Everything."""
        self._painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._columns(at)
        self._rail(at)
        for ribbon in at.ribbons:
            self._ribbon(ribbon)
        self._lanes(at, shown)
        self._stream(at, shown.view)
        self._heads(at, shown.view)
        self._outcomes(at, shown)
        self._blocks(at, shown.view)

    def _columns(self, at: InsideLayout) -> None:
        painter, theme = self._painter, self._theme
        for station, box in at.columns.items():
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.setBrush(QColor(theme.window))
            painter.drawRoundedRect(_rect(at.headers[station]), theme.px(5), theme.px(5))
            kitchen = self._kitchen.get(station, "")
            head = at.headers[station]
            lines = theme.px(40)
            self._text(
                Box(head.x, head.y, head.width, lines), station_head(station), self._font(15), theme.text, _CENTRE
            )
            if kitchen:
                below = Box(box.x - 4, head.y + lines, box.width + 8, head.height - lines)
                self._text(below, kitchen, self._font(_KITCHEN_PX), theme.secondary, _CENTRE)

    def _rail(self, at: InsideLayout) -> None:
        self._painter.setPen(Qt.PenStyle.NoPen)
        self._painter.setBrush(self._colours.soft(Hue.STREAM, 0.22))
        self._painter.drawRoundedRect(_rect(at.rail), at.rail.height / 2, at.rail.height / 2)
        for part, total in ((at.attention, at.first_sum), (at.feed_forward, at.second_sum)):
            self._down(at, part, total)

    def _down(self, at: InsideLayout, part: Box, total: tuple[float, float]) -> None:
        """From a part that is added down into the stream."""
        width, unit = 12 * at.unit, at.unit
        path = QPainterPath(QPointF(part.centre - width / 2, part.bottom))
        top, bottom = part.bottom, total[1]
        path.cubicTo(
            part.centre - width / 2, bottom, total[0] - width / 2, top + 6 * unit, total[0] - width / 2, bottom
        )
        path.lineTo(total[0] + width / 2, bottom)
        path.cubicTo(
            total[0] + width / 2, top + 6 * unit, part.centre + width / 2, bottom, part.centre + width / 2, top
        )
        path.closeSubpath()
        self._painter.fillPath(path, self._colours.soft(Hue.STREAM, 0.35))

    def _ribbon(self, ribbon: Ribbon) -> None:
        if max(ribbon.width, ribbon.to_width) < 0.3:
            return
        half, to_half = max(ribbon.width, 0.8) / 2, max(ribbon.to_width, 0.8) / 2
        bend = (ribbon.x + ribbon.to_x) / 2
        path = QPainterPath(QPointF(ribbon.x, ribbon.y - half))
        path.cubicTo(bend, ribbon.y - half, bend, ribbon.to_y - to_half, ribbon.to_x, ribbon.to_y - to_half)
        path.lineTo(ribbon.to_x, ribbon.to_y + to_half)
        path.cubicTo(bend, ribbon.to_y + to_half, bend, ribbon.y + half, ribbon.x, ribbon.y + half)
        path.closeSubpath()
        colour = self._colours.hue(ribbon.hue)
        colour.setAlphaF(_RIBBON[ribbon.hue])
        self._painter.fillPath(path, colour)

    def _lanes(self, at: InsideLayout, shown: Shown) -> None:
        view, step = shown.view, shown.view.step
        full = {
            Hue.STREAM: full_of([step.before, step.middle, step.after]),
            Hue.QUERY: full_of([step.query]),
            Hue.KEY: full_of([row.key for row in shown.rows]),
            Hue.VALUE: full_of([row.value for row in shown.rows]),
        }
        weighted = full_of([row.weighted for row in shown.rows])
        for lane, row in zip(at.lanes, shown.rows, strict=True):
            own = row.place == view.wish.place
            self._label(lane.label, marked(row.token), strong=own)
            if row.stream is None and not own:
                self._hatch(lane.stream)
            elif row.stream is not None and not own:
                self._strip(lane.stream, row.stream, Hue.STREAM, full[Hue.STREAM])
            self._strip(lane.key, row.key, Hue.KEY, full[Hue.KEY], rows=2)
            self._strip(lane.value, row.value, Hue.VALUE, full[Hue.VALUE], rows=2)
            if lane.key_rotated is not None:
                self._strip(lane.key_rotated, row.key_rotated, Hue.KEY, full[Hue.KEY], rows=2)
            self._strip(lane.weighted, row.weighted, Hue.VALUE, weighted, rows=2)
            self._number(lane.product, short_number(row.product))
            self._number(lane.scaled, short_number(row.scaled))
            self._number(lane.masked, "✓" if np.isfinite(row.masked) else "−∞")
            self._share(lane.weight, row.weight)
        if at.rest is not None and shown.rest is not None:
            words = self.tr("… {count} more").format(count=grouped(shown.others))
            self._text(at.rest.label, words, self._font(15), self._theme.secondary, _RIGHT)
            self._share(at.rest.weight, shown.rest)
        if at.later is not None:
            self._later(at.later, view.later)
        last = at.lanes[-1]
        for box, words, hue in (
            (last.key, self.tr("key"), Hue.KEY),
            (last.value, self.tr("value"), Hue.VALUE),
            (at.query, self.tr("query"), Hue.QUERY),
        ):
            beside = Box(last.stream.x, box.middle - 10 * at.unit, last.stream.width + 10 * at.unit, 20 * at.unit)
            self._text(beside, words, self._font(13), self._colours.hues[hue], _RIGHT)
        self._strip(at.query, step.query, Hue.QUERY, full[Hue.QUERY], rows=2)
        if at.query_rotated is not None:
            self._strip(at.query_rotated, step.query_rotated, Hue.QUERY, full[Hue.QUERY], rows=2)

    def _later(self, lane: Lane, count: int) -> None:
        words = self.tr("{count} later").format(count=grouped(count))
        self._text(lane.label, words, self._font(15), self._theme.secondary, _RIGHT)
        self._hatch(Box(lane.key.x, lane.whole.y + 3, lane.masked.x - lane.key.x - 4, lane.whole.height - 6))
        self._number(lane.masked, "−∞")
        self._share(lane.weight, 0.0)

    def _hatch(self, box: Box) -> None:
        self._painter.fillRect(_rect(box), QBrush(QColor(self._theme.hatch_line), Qt.BrushStyle.BDiagPattern))

    def _stream(self, at: InsideLayout, view: InsideView) -> None:
        step = view.step
        full = full_of([step.before, step.middle, step.after])
        patches = [
            (at.embedding, view.embedding), (at.before, step.before), (at.attention, step.attention),
            (at.middle, step.middle), (at.feed_forward, step.feed_forward), (at.after, step.after),
        ]  # fmt: skip
        if at.position is not None and step.place_row is not None:
            patches.append((at.position, step.place_row))
        for box, values in patches:
            self._strip(box, values, Hue.STREAM, full, rows=square_rows(values.size, box.width, box.height))
            under = Box(box.x - 10 * at.unit, box.bottom + at.unit, box.width + 20 * at.unit, 20 * at.unit)
            flags = _CENTRE
            if box is at.feed_forward:
                under = under._replace(y=box.y - 21 * at.unit)
            elif box is at.attention:
                under, flags = Box(box.x - 64 * at.unit, box.y, 58 * at.unit, box.height), _RIGHT
            self._text(under, short_number(float(np.linalg.norm(values))), self._font(15), self._theme.text, flags)
        beside = Box(at.token.x, at.embedding.bottom + at.unit, at.token.width, 20 * at.unit)
        self._text(beside, self.tr("length"), self._font(15), self._theme.secondary, _RIGHT)
        for total in (at.position_sum, at.first_sum, at.second_sum):
            if total is not None:
                self._plus(*total, 9 * at.unit)
        left = (at.position or at.embedding).right
        between = Box(left, at.rail.y, at.before.x - left, at.rail.height)
        if step.layer:
            self._text(between, f"+{step.layer}", self._font(15), self._theme.text, _CENTRE)
        self._label(Box(at.token.x, at.token.y, at.token.width, at.token.height), marked(view.token), strong=True)

    def _plus(self, x: float, y: float, radius: float) -> None:
        painter, theme = self._painter, self._theme
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.setBrush(QColor(theme.panel))
        painter.drawEllipse(QPointF(x, y), radius, radius)
        painter.drawLine(QPointF(x - radius / 2, y), QPointF(x + radius / 2, y))
        painter.drawLine(QPointF(x, y - radius / 2), QPointF(x, y + radius / 2))

    def _heads(self, at: InsideLayout, view: InsideView) -> None:
        painter, frame, unit = self._painter, at.heads_frame, at.unit
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colours.soft(Hue.VALUE, 0.45))
        path_x, path_width = frame.centre - 6 * unit, 12 * unit
        painter.drawRect(QRectF(path_x, frame.bottom, path_width, at.attention.y - frame.bottom))
        painter.setBrush(QColor(self._theme.window))
        painter.drawRoundedRect(_rect(frame).adjusted(-4, -4, 4, 2), 4, 4)
        for head, box in enumerate(at.heads):
            own = head == view.step.head
            painter.setBrush(self._colours.hue(Hue.VALUE) if own else self._colours.soft(Hue.VALUE, 0.35))
            painter.drawRect(_rect(box))
        words = self.tr("{count} heads").format(count=len(view.heads))
        self._text(
            Box(frame.x - 6, frame.y - 24 * unit, frame.width + 12, 20 * unit),
            words, self._font(15), self._theme.secondary, _CENTRE,
        )  # fmt: skip
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colours.hue(Hue.VALUE))
        painter.drawRect(_rect(at.attended))

    def _outcomes(self, at: InsideLayout, shown: Shown) -> None:
        view, theme = shown.view, self._theme
        split = at.columns[Station.PROBABILITIES].x
        for box, one in zip(at.outcomes, view.outcomes, strict=False):
            chosen = one.token.id == view.chosen.id
            self._chance(Box(split, box.y, box.right - split, box.height), one.probability)
            text = theme.accent if chosen and view.came else theme.text
            self._text(
                Box(box.x, box.y, (split - box.x) * 0.6, box.height), marked(one.token),
                theme.token_font(15, strong=chosen and view.came), text, _LEFT,
            )  # fmt: skip
            self._text(
                Box(box.x, box.y, split - box.x - 4 * at.unit, box.height), short_number(one.logit),
                self._font(15), theme.secondary, _RIGHT,
            )  # fmt: skip
        box = at.outcome_rest
        words = self.tr("{count} others").format(count=grouped(view.vocabulary - shown.outcomes))
        self._text(Box(box.x, box.y, split - box.x, box.height), words, self._font(15), theme.secondary, _LEFT)
        rest = rest_of(view.outcomes[: shown.outcomes])
        self._chance(Box(split, box.y, box.right - split, box.height), rest, hatched=True)

    def _chance(self, box: Box, share: float, *, hatched: bool = False) -> None:
        theme = self._theme
        bar = QRectF(box.x, box.y + 3, max(1.0, box.width * share), box.height - 6)
        if hatched:
            self._painter.fillRect(bar, QColor(theme.hatch))
            self._painter.fillRect(bar, QBrush(QColor(theme.hatch_line), Qt.BrushStyle.BDiagPattern))
        else:
            self._painter.fillRect(bar, self._colours.soft(Hue.STREAM, 0.3))
        self._text(box, percent(share), self._font(15), theme.text, _RIGHT)

    def _blocks(self, at: InsideLayout, view: InsideView) -> None:
        painter, theme, strip = self._painter, self._theme, at.blocks_strip
        each = strip.width / len(at.blocks)
        step = next(step for step in (1, 5, 10, 50, 1000) if step * each >= 24 * at.unit)
        for layer, box in enumerate(at.blocks):
            own = layer == view.step.layer
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent if own else theme.bar))
            painter.drawRect(_rect(box))
            if own or layer % step == 0:
                axis = Box(strip.x + layer * each, at.blocks_frame.bottom, each, strip.bottom - at.blocks_frame.bottom)
                colour = theme.accent if own else theme.secondary
                self._text(axis, str(layer), self._font(15, strong=own), colour, _CENTRE)
        row = view.layers[view.step.layer]
        words = self.tr(
            "Block {layer} is open, {count} more like this. It adds {norm}; after it “{token}” is likeliest, {share}."
        )
        self._text(
            at.blocks_words,
            words.format(
                layer=row.layer, count=len(view.layers) - 1, norm=short_number(row.part.norm),
                token=marked(row.token), share=percent(row.probability),
            ),
            self._font(15), theme.text, _LEFT,
        )  # fmt: skip

    def _strip(self, box: Box, values: FloatArray, hue: Hue, full: float, rows: int | None = None) -> None:
        if hue not in self._tables:
            self._tables[hue] = self._colours.table(hue)
        lines = rows or square_rows(values.size, box.width, box.height)
        self._painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        image = strip_image(values, lines, full, self._tables[hue])
        self._painter.drawImage(_rect(box), image, QRectF(0, 0, image.width(), image.height()))
        self._painter.setPen(QPen(self._colours.hue(hue), 1))
        self._painter.setBrush(Qt.BrushStyle.NoBrush)
        self._painter.drawRect(_rect(box))

    def _label(self, box: Box, text: str, *, strong: bool) -> None:
        self._text(box, text, self._theme.token_font(15, strong=strong), self._theme.text, _RIGHT)

    def _number(self, box: Box, text: str) -> None:
        self._text(Box(box.x, box.y - 2, box.width, box.height), text, self._font(15), self._theme.text, _CENTRE)

    def _share(self, box: Box, share: float) -> None:
        room = _rect(Box(box.x, box.y + 3, box.width, box.height - 9))
        self._painter.fillRect(room, QColor(self._theme.window))
        filled = QRectF(room.x(), room.y(), room.width() * share, room.height())
        self._painter.fillRect(filled, self._theme.link_colour(1.0))
        self._number(box, percent(share))

    def _text(self, box: Box, text: str, font: QFont, colour: str, flags: Qt.AlignmentFlag) -> None:
        self._painter.setFont(font)
        self._painter.setPen(QColor(colour))
        if "\n" not in text:
            text = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, box.width)
        self._painter.drawText(_rect(box), int(flags), text)

    def _font(self, size: float, *, strong: bool = False) -> QFont:
        return self._theme.font(size, strong=strong)

    def tr(self, text: str) -> str:
        return QCoreApplication.translate("Inside", text)


def _rect(box: Box) -> QRectF:
    return QRectF(box.x, box.y, box.width, box.height)

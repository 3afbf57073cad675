"""Where everything stands in the picture of one step: a pure function of sizes and shares, without Qt.

Lengths are in pixels, x to the right and y down. From left to right come the stations, from above the tokens that are
looked at, the query, the stream of the token itself, and the strip of all blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple


class Station(Enum):
    """The operations, in the order in which a token passes them."""

    EMBEDDING = "embedding"
    POSITION = "position"  # where its row is added to the embedding
    PROJECTION = "projection"  # query, key and value
    ROTATION = "rotation"
    PRODUCT = "product"
    SCALE = "scale"
    MASK = "mask"
    SOFTMAX = "softmax"
    WEIGHTED = "weighted"
    ATTENTION = "attention"  # what all heads add
    FEED_FORWARD = "feed_forward"
    AFTER = "after"
    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    HEADS = "heads"  # all of the open block
    BLOCKS = "blocks"  # all layers


def stations_of(*, rotates: bool, adds_position: bool) -> tuple[Station, ...]:
    """The operations of a layer that rotates or not, in a model that adds a row for each position or not."""
    lacking = {Station.ROTATION: not rotates, Station.POSITION: not adds_position}
    return tuple(station for station in Station if not lacking.get(station))


class Hue(Enum):
    """What flows in a ribbon."""

    STREAM = "stream"
    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    REST = "rest"  # of what is not shown one by one


class Box(NamedTuple):
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Halfway down."""
        return self.y + self.height / 2

    @property
    def centre(self) -> float:
        """Halfway across."""
        return self.x + self.width / 2

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies in it."""
        return self.x <= x < self.right and self.y <= y < self.bottom


class Ribbon(NamedTuple):
    """A band from a vertical edge to another, each given by its middle and its width."""

    hue: Hue
    x: float
    y: float
    width: float
    to_x: float
    to_y: float
    to_width: float


class Lane(NamedTuple):
    """The boxes of one token that is looked at, or of several together."""

    whole: Box
    label: Box
    stream: Box
    key: Box
    value: Box
    key_rotated: Box | None  # where nothing is rotated there is none
    product: Box
    scaled: Box
    masked: Box
    weight: Box
    weighted: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What has to find its place."""

    stations: tuple[Station, ...]
    weights: tuple[float, ...]  # of the tokens shown one by one, in the order of the text; the last is the token itself
    rest: float | None  # of all others together; None: there are none
    later: bool  # whether tokens come after it
    blocks: tuple[float, ...]  # what each adds: the norms
    heads: tuple[float, ...]
    outcomes: tuple[float, ...]  # probabilities, likeliest first
    outcome_rest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideLayout:
    """The picture. Lanes stand in the order of the text; before them the rest, behind them what comes later."""

    width: float
    height: float
    unit: float
    headers: dict[Station, Box]
    columns: dict[Station, Box]  # all of a station's room, its header included
    lanes: tuple[Lane, ...]
    rest: Lane | None
    later: Lane | None
    query: Box
    query_rotated: Box | None
    rail: Box  # the stream of the token
    token: Box
    embedding: Box
    position: Box | None  # what is added to it for the token's place, and where
    position_sum: tuple[float, float] | None
    before: Box
    attention: Box
    first_sum: tuple[float, float]
    middle: Box
    feed_forward: Box
    second_sum: tuple[float, float]
    after: Box
    attended: Box  # the sum of the weighted values
    heads: tuple[Box, ...]  # bars that stand on `heads_frame`'s lower edge
    heads_frame: Box
    outcomes: tuple[Box, ...]
    outcome_rest: Box
    blocks: tuple[Box, ...]  # bars that stand on the strip's lower edge
    blocks_frame: Box
    ribbons: tuple[Ribbon, ...]

    @property
    def blocks_strip(self) -> Box:
        """The bars of all blocks with their numbers."""
        return self.blocks_frame._replace(height=self.blocks_frame.height + _AXIS * self.unit)

    @property
    def blocks_words(self) -> Box:
        """The line above them."""
        frame = self.blocks_frame
        return Box(frame.x, frame.y - _SENTENCE * self.unit, frame.width, (_SENTENCE - 3) * self.unit)

    def frame_of(self, station: Station) -> Box:
        """What is marked where a station is meant."""
        if station is Station.BLOCKS:
            return self.blocks_strip
        return self.heads_frame if station is Station.HEADS else self.headers[station]

    def station_at(self, x: float, y: float) -> Station | None:
        """The station at a point."""
        if y >= self.blocks_frame.y - _SENTENCE * self.unit:
            return Station.BLOCKS
        if self.heads_frame.holds(x, y):
            return Station.HEADS
        return next((station for station, box in self.columns.items() if box.holds(x, y)), None)

    def block_at(self, x: float, y: float) -> int | None:
        """The layer whose part of the strip holds a point."""
        return _part(self.blocks_strip, len(self.blocks), x, y)

    def head_at(self, x: float, y: float) -> int | None:
        """The head whose part of the frame holds a point."""
        return _part(self.heads_frame, len(self.heads), x, y)

    def lane_at(self, x: float, y: float) -> int | None:
        """The lane whose label holds a point."""
        return next((number for number, lane in enumerate(self.lanes) if lane.label.holds(x, y)), None)


LEAST_WIDTH, LEAST_HEIGHT = 1240.0, 352.0  # in units
_MARGIN = 8.0
_HEADER, _KITCHEN, _QUERY, _RAIL, _STRIP, _GAP = 43.0, 20.0, 30.0, 72.0, 74.0, 5.0
_LANE, _TALLEST_LANE, _MOST_LANES = 26.0, 44.0, 12
_OUTCOME, _TALLEST_OUTCOME = 31.0, 44.0
_AXIS, _SENTENCE = 20.0, 22.0  # below and above the bars of the blocks
_FLOW, _WIDEST_FLOW = 0.36, 110.0  # the width of all that a head attends to: a share of the lanes', and at most
_TALL, _TALLEST = 520.0, 1.5  # in pictures higher than the first the stream grows, up to so many times

# each station's column: the room before it, and its width, in units at the least width
_COLUMNS: tuple[tuple[Station | None, float, float], ...] = (
    (None, 0.0, 86.0),  # the tokens
    (Station.EMBEDDING, 8.0, 112.0),
    (Station.POSITION, 4.0, 130.0),
    (Station.PROJECTION, 24.0, 74.0),
    (Station.ROTATION, 12.0, 68.0),
    (Station.PRODUCT, 34.0, 54.0),
    (Station.SCALE, 3.0, 52.0),
    (Station.MASK, 3.0, 40.0),
    (Station.SOFTMAX, 3.0, 68.0),
    (Station.WEIGHTED, 8.0, 66.0),
    (Station.ATTENTION, 46.0, 86.0),
    (Station.FEED_FORWARD, 8.0, 70.0),
    (Station.AFTER, 8.0, 66.0),
    (Station.LOGITS, 36.0, 110.0),
    (Station.PROBABILITIES, 2.0, 74.0),
)
# other rooms and widths where a column shows positions, and with them what a block begins with
_BESIDE_POSITION: dict[Station | None, tuple[float, float]] = {
    Station.EMBEDDING: (8.0, 86.0),
    Station.PRODUCT: (26.0, 54.0),
    Station.LOGITS: (28.0, 110.0),
}


def _part(frame: Box, count: int, x: float, y: float) -> int | None:
    return int((x - frame.x) * count / frame.width) if frame.holds(x, y) else None


def lanes_that_fit(height: float, unit: float, *, kitchen: bool = False) -> int:
    """How many lanes there is room for in a picture of this height, from 3 to 12: more could not be followed."""
    return min(_MOST_LANES, max(3, int(_lanes_height(height, unit, kitchen) / (_LANE * unit))))


def outcomes_that_fit(height: float, unit: float, *, kitchen: bool = False) -> int:
    """How many next tokens there is room for beside the rest, at least 3."""
    return max(
        3,
        int((_lanes_height(height, unit, kitchen) + (_QUERY + _RAIL) * _tall(height, unit) * unit) / (_OUTCOME * unit))
        - 1,
    )


def inside_layout(
    width: float, height: float, unit: float, contents: Contents, *, kitchen: bool = False
) -> InsideLayout:
    """Place everything; `unit` is the size of one pixel at 100 %, `kitchen` leaves room for a second name.

    Takes no less room than the least.
    """
    width, height = max(width, LEAST_WIDTH * unit), max(height, LEAST_HEIGHT * unit)
    tokens, columns = _columns(width, height, unit, contents.stations)
    lanes_top = _header(kitchen) * unit
    lanes_height = _lanes_height(height, unit, kitchen)
    places = _lanes(lanes_top, lanes_height, width, unit, tokens, columns, contents)
    rest = places[0] if contents.rest is not None else None
    later = places[-1] if contents.later else None
    lanes = places[rest is not None : len(places) - (later is not None)]

    query_top, tall = lanes_top + lanes_height, unit * _tall(height, unit)
    strip = 12.0 * tall
    query_y = query_top + _QUERY * tall / 2
    projection, rotation = columns[Station.PROJECTION], columns.get(Station.ROTATION)
    query = Box(projection.x, query_y - strip / 2, projection.width, strip)
    query_rotated = None if rotation is None else query._replace(x=rotation.x, width=rotation.width)

    rail_top = query_top + _QUERY * tall
    patch = 46.0 * tall
    rail_y = rail_top + 4 * unit + patch / 2
    embed, adds, forward, end = (
        columns[station] for station in (Station.EMBEDDING, Station.ATTENTION, Station.FEED_FORWARD, Station.AFTER)
    )
    rail = Box(tokens.x, rail_y - 9 * tall, end.right - tokens.x, 18 * tall)
    row = rail_y - patch / 2
    embedding, place = Box(embed.x, row, patch, patch), columns.get(Station.POSITION)
    position = None if place is None else embedding._replace(x=place.x)
    position_sum = None if position is None else ((embedding.right + position.x) / 2, rail_y)
    before = embedding._replace(x=(embed if place is None else place).right - patch)
    middle, after = Box(adds.right - patch, row, patch, patch), Box(end.right - patch, row, patch, patch)
    first_sum = (adds.x + (adds.width - patch) / 2 - 2 * unit, rail_y)
    second_sum = (end.x + 4 * unit, rail_y)
    above = rail_top - patch - 26 * unit
    attention = Box(adds.centre - patch / 2, above, patch, patch)
    feed_forward = Box(forward.centre - patch / 2, above, patch, patch)

    bars = min(120 * unit, 0.5 * (above - lanes_top))
    heads_frame = Box(adds.x, above - 20 * unit - bars, adds.width, bars)
    flow = min(_WIDEST_FLOW * unit, _FLOW * lanes_height)
    flow_y = (lanes_top + lanes_height / 2 + heads_frame.middle) / 2
    attended = Box(columns[Station.WEIGHTED].right + 32 * unit, flow_y - flow / 2, 9 * unit, flow)

    outcome_boxes = _outcomes(lanes_top, rail_top + _RAIL * tall - lanes_top, unit, columns, len(contents.outcomes))
    blocks_frame = Box(
        _MARGIN * unit,
        height - (_STRIP - _SENTENCE) * unit,
        width - 2 * _MARGIN * unit,
        (_STRIP - _SENTENCE - _AXIS) * unit,
    )
    placed = InsideLayout(
        width=width, height=height, unit=unit,
        headers={station: Box(box.x, box.y, box.width, lanes_top - 4 * unit) for station, box in columns.items()},
        columns=columns, lanes=lanes, rest=rest, later=later, query=query, query_rotated=query_rotated,
        rail=rail, token=Box(tokens.x, row, tokens.width, patch), embedding=embedding, position=position,
        position_sum=position_sum, before=before,
        attention=attention, first_sum=first_sum, middle=middle, feed_forward=feed_forward, second_sum=second_sum,
        after=after, attended=attended, heads=_bars(heads_frame, contents.heads, 2 * unit), heads_frame=heads_frame,
        outcomes=outcome_boxes[:-1], outcome_rest=outcome_boxes[-1],
        blocks=_bars(blocks_frame, [norm**0.5 for norm in contents.blocks], 3 * unit), blocks_frame=blocks_frame,
        ribbons=(),
    )  # fmt: skip
    return _with_ribbons(placed, contents)


def _with_ribbons(at: InsideLayout, contents: Contents) -> InsideLayout:
    ribbons = (*_looking(at), *_flowing(at, contents), *_adding(at), *_ending(at, contents))
    return replace(at, ribbons=ribbons)


def _columns(width: float, height: float, unit: float, stations: Sequence[Station]) -> tuple[Box, dict[Station, Box]]:
    others = _BESIDE_POSITION if Station.POSITION in stations else {}
    table = [
        (station, *others.get(station, (gap, room)))
        for station, gap, room in _COLUMNS
        if station is None or station in stations
    ]
    least = sum(gap + room for _, gap, room in table)
    stretch = (width - 2 * _MARGIN * unit) / least
    bottom = height - (_STRIP + _GAP) * unit
    x, tokens, columns = _MARGIN * unit, Box(0, 0, 0, 0), {}
    for station, gap, room in table:
        x += gap * stretch
        box = Box(x, 0.0, room * stretch, bottom)
        x = box.right
        if station is None:
            tokens = box
        else:
            columns[station] = box
    return tokens, columns


def _lanes_height(height: float, unit: float, kitchen: bool) -> float:
    return (
        max(height, LEAST_HEIGHT * unit)
        - (_header(kitchen) + (_QUERY + _RAIL) * _tall(height, unit) + _STRIP + _GAP) * unit
    )


def _tall(height: float, unit: float) -> float:
    return min(_TALLEST, max(1.0, height / (_TALL * unit)))


def _header(kitchen: bool) -> float:
    return _HEADER + (_KITCHEN if kitchen else 0.0)


def _lanes(
    top: float, height: float, width: float, unit: float, tokens: Box, columns: dict[Station, Box], contents: Contents
) -> tuple[Lane, ...]:
    count = len(contents.weights) + (contents.rest is not None) + contents.later
    each = min(height / count, _TALLEST_LANE * unit)
    first = top + height - count * each  # near the query
    return tuple(_lane(first + number * each, each, unit, tokens, columns) for number in range(count))


def _lane(top: float, height: float, unit: float, tokens: Box, columns: dict[Station, Box]) -> Lane:
    strip, embedding = min(14 * unit, height * 0.34), columns[Station.EMBEDDING]
    stream = Box(
        embedding.x, top + (height - strip) / 2, columns.get(Station.POSITION, embedding).right - embedding.x, strip
    )
    upper, lower = top + height * 0.28 - strip / 2, top + height * 0.74 - strip / 2

    def cell(station: Station) -> Box:
        return Box(columns[station].x, top, columns[station].width, height)

    def thin(station: Station, y: float) -> Box:
        return Box(columns[station].x, y, columns[station].width, strip)

    return Lane(
        whole=Box(tokens.x, top, columns[Station.WEIGHTED].right - tokens.x, height),
        label=Box(tokens.x, top, tokens.width, height),
        stream=stream,
        key=thin(Station.PROJECTION, upper),
        value=thin(Station.PROJECTION, lower),
        key_rotated=thin(Station.ROTATION, upper) if Station.ROTATION in columns else None,
        product=cell(Station.PRODUCT),
        scaled=cell(Station.SCALE),
        masked=cell(Station.MASK),
        weight=cell(Station.SOFTMAX),
        weighted=thin(Station.WEIGHTED, top + (height - strip) / 2),
    )


def _outcomes(top: float, height: float, unit: float, columns: dict[Station, Box], count: int) -> tuple[Box, ...]:
    logits, shares = columns[Station.LOGITS], columns[Station.PROBABILITIES]
    each = min(height / (count + 1), _TALLEST_OUTCOME * unit)
    first = top + (height - (count + 1) * each) / 2
    return tuple(Box(logits.x, first + number * each, shares.right - logits.x, each) for number in range(count + 1))


def _bars(frame: Box, sizes: Sequence[float], gap: float) -> tuple[Box, ...]:
    """Bars of these sizes side by side, the largest as high as the frame."""
    largest = max((*sizes, 1e-9))
    each = frame.width / max(1, len(sizes))
    gap = min(gap, each / 3)
    heights = [max(1.0, frame.height * size / largest) for size in sizes]
    return tuple(
        Box(frame.x + number * each + gap / 2, frame.bottom - height, each - gap, height)
        for number, height in enumerate(heights)
    )


def _looking(at: InsideLayout) -> list[Ribbon]:
    """From the tokens to their keys and values, and to the products with the query."""
    found = []
    for lane in (*at.lanes[:-1], at.lanes[-1]._replace(stream=at.before)):
        low = lane.whole.bottom - 4 * at.unit
        found += [
            _thread(at, Hue.KEY, lane.stream, lane.key),
            _thread(at, Hue.VALUE, lane.stream, lane.value),
            *_through(at, Hue.KEY, lane.key, lane.key_rotated, lane.product),
            _thread(at, Hue.QUERY, at.query_rotated or at.query, lane.product),
            _thread(at, Hue.VALUE, lane.value, Box(lane.product.x, low, lane.weight.right - lane.product.x, 0.0)),
            _thread(at, Hue.VALUE, Box(lane.product.x, low, 0.0, 0.0), Box(lane.weight.right, low, 0.0, 0.0)),
            _thread(at, Hue.VALUE, Box(lane.weight.x, low, lane.weight.width, 0.0), lane.weighted),
        ]
    found.append(_thread(at, Hue.QUERY, at.before, at.query))
    if at.query_rotated is not None:
        found.append(_thread(at, Hue.QUERY, at.query, at.query_rotated))
    return found


def _through(at: InsideLayout, hue: Hue, start: Box, between: Box | None, end: Box) -> list[Ribbon]:
    """From a box to another, over what is between them."""
    if between is None:
        return [_thread(at, hue, start, end)]
    return [_thread(at, hue, start, between), _thread(at, hue, between, end)]


def _thread(at: InsideLayout, hue: Hue, start: Box, end: Box) -> Ribbon:
    width = 3.0 * at.unit
    return Ribbon(hue, start.right, start.middle, width, end.x, end.middle, width)


def _flowing(at: InsideLayout, contents: Contents) -> list[Ribbon]:
    """Weighted values into their sum: each as wide as its weight."""
    flow, y = at.attended, at.attended.y
    lanes = [(Hue.REST, at.rest, contents.rest or 0.0)] if at.rest is not None else []
    shares = [*lanes, *((Hue.VALUE, lane, share) for lane, share in zip(at.lanes, contents.weights, strict=True))]
    found = []
    for hue, lane, share in shares:
        width = share * flow.height
        start = min(width, lane.whole.height * 0.86)
        found.append(Ribbon(hue, lane.weighted.right, lane.weighted.middle, start, flow.x, y + width / 2, width))
        y += width
    return found


def _adding(at: InsideLayout) -> list[Ribbon]:
    """The head among the heads; each part into the stream."""
    flow, frame, broad = at.attended, at.heads_frame, 12.0 * at.unit
    middle, forward = at.middle, at.feed_forward
    return [
        Ribbon(Hue.VALUE, flow.right, flow.middle, min(flow.height, 24 * at.unit), frame.x, frame.middle, broad),
        Ribbon(Hue.STREAM, middle.right, middle.middle, broad, forward.x, forward.middle, broad),
    ]


def _ending(at: InsideLayout, contents: Contents) -> list[Ribbon]:
    """From the end of the stream to the next tokens: each as wide as its probability."""
    room, y = at.rail.height * 2.2, at.after.middle - at.rail.height * 1.1
    ends = [*zip(at.outcomes, contents.outcomes, strict=True), (at.outcome_rest, contents.outcome_rest)]
    found = []
    for number, (box, share) in enumerate(ends):
        width = share * room
        hue = Hue.REST if number == len(ends) - 1 else Hue.STREAM
        end = min(width, box.height * 0.8)
        found.append(Ribbon(hue, at.after.right, y + width / 2, width, box.x - 2 * at.unit, box.middle, end))
        y += width
    return found

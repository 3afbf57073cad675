"""Where everything stands in the picture of one step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from canopy_ui.widgets.inside_layout import (
    LEAST_HEIGHT,
    LEAST_WIDTH,
    Box,
    Contents,
    Hue,
    InsideLayout,
    Station,
    inside_layout,
    lanes_that_fit,
    outcomes_that_fit,
    stations_of,
)

ROTATING = stations_of(rotates=True, adds_position=False)
ADDING = stations_of(rotates=False, adds_position=True)
SIZES = [(1180.0, 352.0, 1.0), (1256.0, 384.0, 1.0), (1890.0, 790.0, 1.0), (1890.0, 640.0, 1.5), (900.0, 200.0, 2.5)]


def contents(
    lanes: int,
    outcomes: int,
    *,
    rest: float | None = 0.2,
    later: bool = True,
    stations: tuple[Station, ...] = ROTATING,
) -> Contents:
    left = 1.0 - (rest or 0.0)
    return Contents(
        stations=stations,
        weights=tuple([left / lanes] * lanes),
        rest=rest,
        later=later,
        blocks=tuple(float(layer + 1) for layer in range(30)),
        heads=tuple(float(head + 1) for head in range(9)),
        outcomes=tuple([0.5 / outcomes] * outcomes),
        outcome_rest=0.5,
    )


def placed(
    size: tuple[float, float, float], *, kitchen: bool = False, stations: tuple[Station, ...] = ROTATING
) -> InsideLayout:
    width, height, unit = size
    lanes = lanes_that_fit(height, unit, kitchen=kitchen) - 2
    outcomes = outcomes_that_fit(height, unit, kitchen=kitchen)
    return inside_layout(width, height, unit, contents(lanes, outcomes, stations=stations), kitchen=kitchen)


def apart(first: Box, second: Box) -> bool:
    near = 0.01
    return (
        first.right <= second.x + near
        or second.right <= first.x + near
        or first.bottom <= second.y + near
        or second.bottom <= first.y + near
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kitchen", [False, True])
@pytest.mark.parametrize("stations", [ROTATING, ADDING], ids=["rotating", "adding"])
def test_stations_come_from_left_to_right_and_do_not_overlap(
    size: tuple[float, float, float], kitchen: bool, stations: tuple[Station, ...]
) -> None:
    at = placed(size, kitchen=kitchen, stations=stations)
    boxes = list(at.columns.values())
    assert list(at.columns) == [station for station in stations if station not in (Station.HEADS, Station.BLOCKS)]
    for before, after in pairwise(boxes):
        assert before.right <= after.x
    assert boxes[-1].right <= at.width
    assert at.blocks_strip.bottom <= at.height + 0.01


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kitchen", [False, True])
@pytest.mark.parametrize("stations", [ROTATING, ADDING], ids=["rotating", "adding"])
def test_nothing_covers_anything_else(
    size: tuple[float, float, float], kitchen: bool, stations: tuple[Station, ...]
) -> None:
    at = placed(size, kitchen=kitchen, stations=stations)
    lanes = [*at.lanes, *(lane for lane in (at.rest, at.later) if lane is not None)]
    boxes = [box for box in (at.query_rotated, at.position) if box is not None]
    boxes += [at.query, at.embedding, at.before, at.middle, at.after, at.attention, at.feed_forward]
    boxes += [at.heads_frame, at.blocks_words, at.blocks_strip, *at.headers.values(), *(lane.whole for lane in lanes)]
    for number, first in enumerate(boxes):
        for second in boxes[number + 1 :]:
            assert apart(first, second), (first, second)


@pytest.mark.parametrize("size", SIZES)
def test_a_lane_has_room_for_a_line_of_text(size: tuple[float, float, float]) -> None:
    at = placed(size)
    for lane in at.lanes:
        assert lane.whole.height >= 20 * at.unit
        assert lane.key.bottom <= lane.value.y
        assert lane.whole.y <= lane.key.y
        assert lane.value.bottom <= lane.whole.bottom
    for box in at.outcomes:
        assert box.height >= 20 * at.unit


def test_values_flow_into_their_sum_without_a_gap_each_as_wide_as_its_share() -> None:
    at = placed((1256.0, 420.0, 1.0))
    into = [ribbon for ribbon in at.ribbons if ribbon.to_x == at.attended.x]
    assert [ribbon.hue for ribbon in into] == [Hue.REST] + [Hue.VALUE] * len(at.lanes)
    assert into[0].to_width == pytest.approx(0.2 * at.attended.height)
    edge = at.attended.y
    for ribbon in into:
        assert ribbon.to_y - ribbon.to_width / 2 == pytest.approx(edge)
        edge += ribbon.to_width
    assert edge == pytest.approx(at.attended.bottom)


def test_probabilities_leave_the_stream_each_as_wide_as_its_share() -> None:
    at = placed((1256.0, 420.0, 1.0))
    out = [ribbon for ribbon in at.ribbons if ribbon.x == at.after.right]
    assert len(out) == len(at.outcomes) + 1
    assert out[-1].hue is Hue.REST
    assert out[-1].width == pytest.approx(sum(ribbon.width for ribbon in out[:-1]))


def test_the_query_reaches_every_token_that_is_looked_at() -> None:
    at = placed((1256.0, 420.0, 1.0))
    ends = {ribbon.to_y for ribbon in at.ribbons if ribbon.hue is Hue.QUERY and ribbon.to_x == at.lanes[0].product.x}
    assert ends == {lane.product.middle for lane in at.lanes}


def test_a_model_whose_positions_are_added_has_a_place_for_them_and_none_for_a_rotation() -> None:
    at, rotating = (placed((1256.0, 420.0, 1.0), stations=stations) for stations in (ADDING, ROTATING))
    assert (rotating.position, rotating.position_sum) == (None, None)
    assert rotating.query_rotated is not None
    assert at.position is not None
    assert at.position_sum is not None
    assert at.embedding.right < at.position_sum[0] < at.position.x < at.before.x
    assert at.query_rotated is None
    assert all(lane.key_rotated is None for lane in at.lanes)
    lane = at.lanes[0]
    reaching = [ribbon for ribbon in at.ribbons if ribbon.to_x == lane.product.x and ribbon.hue is Hue.KEY]
    assert reaching[0].x == lane.key.right
    assert {ribbon.x for ribbon in at.ribbons if ribbon.hue is Hue.QUERY and ribbon.to_x == lane.product.x} == {
        at.query.right
    }


def test_bars_stand_on_one_line_and_grow_with_what_a_block_adds() -> None:
    at = placed((1256.0, 420.0, 1.0))
    assert {round(box.bottom, 6) for box in at.blocks} == {round(at.blocks_frame.bottom, 6)}
    heights = [box.height for box in at.blocks]
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(at.blocks_frame.height)
    assert heights[0] / heights[-1] == pytest.approx((1 / 30) ** 0.5)


def test_what_is_clicked_is_what_stands_there() -> None:
    at = placed((1256.0, 420.0, 1.0))
    for station, box in at.columns.items():
        assert at.station_at(box.x + 1, box.y + 1) is station
    bar = at.blocks[12]
    assert at.block_at(bar.centre, bar.bottom + 3) == 12
    assert at.station_at(bar.centre, bar.bottom + 3) is Station.BLOCKS
    head = at.heads[7]
    assert at.head_at(head.centre, head.middle) == 7
    assert at.station_at(head.centre, head.middle) is Station.HEADS
    label = at.lanes[1].label
    assert at.lane_at(label.centre, label.middle) == 1
    assert at.lane_at(label.right + 1, label.middle) is None


def test_more_room_shows_more_tokens_but_never_more_than_can_be_followed() -> None:
    counts = [lanes_that_fit(height, 1.0) for height in (100.0, 400.0, 600.0, 4000.0)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (4, 12)
    assert lanes_that_fit(400.0, 1.0, kitchen=True) <= lanes_that_fit(400.0, 1.0)


def test_a_picture_without_rest_and_later_tokens_has_lanes_alone() -> None:
    alone = replace(contents(1, 3, rest=None, later=False), weights=(1.0,))
    at = inside_layout(LEAST_WIDTH, LEAST_HEIGHT, 1.0, alone)
    assert (at.rest, at.later, len(at.lanes)) == (None, None, 1)

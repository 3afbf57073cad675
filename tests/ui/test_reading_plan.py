"""What is asked of the reader, and when."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import NothingLeftError
from canopy_desktop.exploration.attention_view import AttentionReading, GoneColumns, Look, Looking, RowReading
from canopy_desktop.exploration.decision import decide
from canopy_desktop.exploration.decision_view import DrawsReading
from canopy_desktop.exploration.draws import first_draws
from canopy_desktop.exploration.records import PROMPT_NODE, Kept, StepRecord, WindowSlid
from canopy_desktop.exploration.squares import Square
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.view import Colouring, Selection
from canopy_desktop.model.chat import PromptPart, TemplatedPrompt
from canopy_ui.pace import REST_FACTOR
from canopy_ui.reader import (
    AttentionRequest,
    DecisionRequest,
    DrawsRequest,
    ReadingRequest,
    ReadingResult,
    RowRequest,
    SurprisalRequest,
)
from canopy_ui.reading_plan import SURPRISAL_CHUNK, ReadingPlan, place_of
from tests.support.records import step_record

T = TypeVar("T", AttentionRequest, RowRequest, DecisionRequest, DrawsRequest, SurprisalRequest)
LOOK = Selection(layer=1, head=2)


def exploration(length: int) -> Exploration:
    ids = tuple(range(length))
    made = Exploration(TemplatedPrompt("x" * length, ids, (PromptPart("completion", "x" * length, ids),), ()))
    made.prompt_slots.extend(range(length))
    return made


def step(node: int, parent: int, source: int) -> StepRecord:
    return step_record(node=node, parent=parent, position=3 + node, source=source)


def one(plan: Sequence[ReadingRequest], kind: type[T]) -> T | None:
    found = [wish for wish in plan if isinstance(wish, kind)]
    return found[0] if found else None


def answer(request: AttentionRequest) -> ReadingResult:
    length = request.slots.size
    values = np.tril(np.ones((length, length), np.float32))
    return ReadingResult(
        request=request,
        value=AttentionReading(
            layer=request.look.layer,
            head=request.look.head,
            hide_first=False,
            length=length,
            cell=1,
            values=values,
            part=request.part,
        ),
    )


def test_the_same_attention_is_not_asked_for_twice() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    assert (wish.look, wish.slots.tolist()) == (Look(1, 2, False), [0, 1, 2])
    assert one(plan.wishes(made, LOOK, 0.1, busy=False), AttentionRequest) is None
    assert plan.take(answer(wish), 0.2)
    assert one(plan.wishes(made, LOOK, 0.3, busy=False), AttentionRequest) is None


def test_while_one_attention_is_read_only_the_newest_wish_waits() -> None:
    plan, made = ReadingPlan(), exploration(3)
    first = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert first is not None
    for head in (0, 1, 3):
        assert one(plan.wishes(made, Selection(layer=1, head=head), 0.0, busy=False), AttentionRequest) is None
    plan.take(answer(first), 0.1)
    second = one(plan.wishes(made, Selection(layer=1, head=3), 0.1, busy=False), AttentionRequest)
    assert second is not None
    assert second.look.head == 3


def test_columns_that_changed_are_read_again() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    assert not plan.take(ReadingResult(request=wish, value=None), 0.1)
    assert one(plan.wishes(made, LOOK, 0.2, busy=False), AttentionRequest) is not None


def test_a_reader_that_failed_is_not_asked_again_until_the_next_text() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    plan.take(ReadingResult(request=wish, value=None, failed=True), 0.1)
    assert one(plan.wishes(made, Selection(layer=0, head=0), 0.2, busy=False), AttentionRequest) is None
    plan.clear()
    assert one(plan.wishes(made, LOOK, 0.3, busy=False), AttentionRequest) is not None


def test_results_for_an_older_text_are_dropped() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    plan.clear()
    assert not plan.take(answer(wish), 0.1)
    assert plan.readings.attention is None


def test_a_slow_attention_leaves_the_model_time_while_it_generates() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, LOOK, 10.0, busy=True), AttentionRequest)
    assert wish is not None
    plan.take(answer(wish), 10.1)
    rested = 10.1 + REST_FACTOR * 0.1
    made.add(step(0, PROMPT_NODE, 2))
    made.add(step(1, 0, 3))
    assert one(plan.wishes(made, LOOK, rested - 0.01, busy=True), AttentionRequest) is None
    assert one(plan.wishes(made, LOOK, rested + 0.01, busy=True), AttentionRequest) is not None


def test_surprisal_is_read_in_chunks_until_the_prompt_is_covered() -> None:
    plan, made = ReadingPlan(), exploration(2 * SURPRISAL_CHUNK + 5)
    spans = []
    while (wish := one(plan.wishes(made, LOOK, 0.0, busy=False), SurprisalRequest)) is not None:
        spans.append((wish.first, wish.last))
        plan.take(ReadingResult(request=wish, value=np.zeros(wish.last - wish.first, np.float32)), 0.0)
    assert spans == [(0, 64), (64, 128), (128, 133)]
    assert plan.readings.prompt_surprisal.size == 133


def test_surprisal_leaves_the_model_time_while_it_generates() -> None:
    plan, made = ReadingPlan(), exploration(2 * SURPRISAL_CHUNK)
    wish = one(plan.wishes(made, LOOK, 10.0, busy=True), SurprisalRequest)
    assert wish is not None
    plan.take(ReadingResult(request=wish, value=np.zeros(SURPRISAL_CHUNK, np.float32)), 10.1)
    assert one(plan.wishes(made, LOOK, 10.2, busy=True), SurprisalRequest) is None
    assert one(plan.wishes(made, LOOK, 10.2, busy=False), SurprisalRequest) is not None


def test_surprisal_waits_for_the_whole_prompt() -> None:
    plan, made = ReadingPlan(), exploration(3)
    made.prompt_slots.pop()
    assert one(plan.wishes(made, LOOK, 0.0, busy=False), SurprisalRequest) is None


@pytest.mark.parametrize(("length", "left"), [(2, 2), (3, 3), (5, 3), (0, None)])
def test_going_back_keeps_the_corner_of_the_matrix(length: int, left: int | None) -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    plan.take(answer(wish), 0.0)
    plan.rewind(np.arange(length))
    reading = plan.readings.attention
    assert (None if reading is None else reading.values.shape[0]) == left
    assert plan.readings.attention_positions.tolist() == list(range(left or 0))


def slid(tree: Exploration) -> Exploration:
    """The same after the window has slid at the prompt's end: the first stays, the next two are dropped."""
    slots = tuple(range(100, 100 + len(tree.prompt.ids) - 3))
    tree.add_slide(WindowSlid(run_id=1, node=PROMPT_NODE, kept=1, first=1, last=2, slots=slots, ms=1.0))
    return tree


def test_after_a_slide_the_attention_is_of_the_windows_columns_and_knows_their_positions() -> None:
    plan, made = ReadingPlan(), slid(exploration(6))
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish.slots.tolist() == [0, 100, 101, 102]
    plan.take(answer(wish), 0.0)
    assert plan.readings.attention_positions.tolist() == [0, 3, 4, 5]


def test_a_slide_leaves_the_older_reading_with_its_own_positions_until_the_next_is_there() -> None:
    plan, made = ReadingPlan(), exploration(6)
    plan.take(answer(one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)), 0.0)
    wish = one(plan.wishes(slid(made), LOOK, 1.0, busy=False), AttentionRequest)
    assert plan.readings.attention_positions.tolist() == [0, 1, 2, 3, 4, 5]
    plan.take(answer(wish), 1.0)
    assert plan.readings.attention_positions.tolist() == [0, 3, 4, 5]


def test_going_back_over_a_slide_keeps_what_was_kept() -> None:
    plan, made = ReadingPlan(), slid(exploration(6))
    plan.take(answer(one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)), 0.0)
    plan.rewind(np.arange(6))
    assert plan.readings.attention.length == 1
    assert plan.readings.attention_positions.tolist() == [0]


def test_back_at_the_prompt_its_last_token_is_looked_at() -> None:
    plan, made = ReadingPlan(), exploration(3)
    assert one(plan.wishes(made, LOOK, 0.0, busy=True), DecisionRequest) is None
    request = one(plan.wishes(made, LOOK, 0.0, busy=False), DecisionRequest)
    assert request is not None
    assert (request.wish.slot, request.wish.position, request.wish.also) == (1, 2, (2,))


def decided(request: DecisionRequest) -> ReadingResult:
    wish, logits = request.wish, np.arange(9, dtype=np.float32)
    decision = decide(
        logits, wish.settings, wish.history, slot=wish.slot, position=wish.position, shown=10, also=wish.also
    )
    return ReadingResult(request=request, value=decision)


def test_other_settings_are_asked_for_when_the_answer_before_is_there() -> None:
    plan, made = ReadingPlan(), exploration(3)
    first = plan.decision_wish(made, LOOK, busy=False)
    assert first is not None
    for temperature in (0.5, 0.6, 0.7):
        changed = replace(LOOK, settings=DecodingSettings(temperature=temperature))
        assert plan.decision_wish(made, changed, busy=False) is None
    assert plan.take(decided(first), 0.1)
    second = plan.decision_wish(made, changed, busy=False)
    assert second is not None
    assert second.wish.settings.temperature == 0.7
    plan.take(decided(second), 0.2)
    assert plan.decision_wish(made, changed, busy=False) is None
    assert plan.readings.decision.settings.temperature == 0.7


def test_settings_that_leave_nothing_are_told_and_others_take_the_complaint_away() -> None:
    plan, made = ReadingPlan(), exploration(3)
    first = plan.decision_wish(made, LOOK, busy=False)
    assert first is not None
    error = NothingLeftError("the bans")
    assert plan.take(ReadingResult(request=first, value=None, refused=error), 0.1)
    assert (plan.readings.decision, plan.readings.refused) == (None, error)
    assert plan.decision_wish(made, LOOK, busy=False) is None
    second = plan.decision_wish(made, replace(LOOK, settings=DecodingSettings(temperature=1.0)), busy=False)
    assert second is not None
    assert plan.take(decided(second), 0.2)
    assert plan.readings.refused is None


def test_while_the_model_is_at_work_only_a_chosen_step_is_decided_again() -> None:
    plan, made = ReadingPlan(), exploration(3)
    made.add(step(0, -1, 2))
    assert plan.decision_wish(made, LOOK, busy=True) is None
    request = plan.decision_wish(made, replace(LOOK, position=3), busy=True)
    assert request is not None
    assert request.wish.slot == 2


def test_many_draws_are_asked_for_after_the_decision_that_they_are_drawn_from() -> None:
    plan, made, drawing = ReadingPlan(), exploration(3), replace(LOOK, draws=100)
    wishes = plan.wishes(made, drawing, 0.0, busy=False)
    assert one(wishes, DrawsRequest) is None
    decision = one(wishes, DecisionRequest)
    assert decision is not None
    plan.take(decided(decision), 0.1)
    draws = one(plan.wishes(made, drawing, 0.2, busy=False), DrawsRequest)
    assert draws is not None
    assert (draws.wish, draws.count) == (decision.wish, 100)
    drawn = first_draws(np.arange(9, dtype=np.float32), draws.wish.history, draws.wish.settings, 100)
    reading = DrawsReading(1, draws.wish.settings, drawn.token_ids, drawn.frequencies(10))
    plan.take(ReadingResult(request=draws, value=reading), 0.3)
    assert plan.readings.draws is reading
    assert one(plan.wishes(made, drawing, 0.4, busy=False), DrawsRequest) is None


def test_what_is_gone_is_said_and_asked_for_again_only_when_it_may_be_there() -> None:
    plan, made, gone = ReadingPlan(), exploration(3), GoneColumns(kind=Kept.QUERIES, tokens=2)
    wish = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    assert plan.take(ReadingResult(request=wish, value=None, gone=gone), 0.1)
    assert (plan.readings.attention, plan.readings.attention_gone) == (None, gone)
    assert one(plan.wishes(made, LOOK, 0.2, busy=False), AttentionRequest) is None
    plan.ask_again()
    wish = one(plan.wishes(made, LOOK, 0.3, busy=False), AttentionRequest)
    assert wish is not None
    assert plan.take(answer(wish), 0.4)
    assert plan.readings.attention is not None
    assert plan.readings.attention_gone is None


ROW = Selection(layer=1, head=2, row=True)


def row_answer(request: RowRequest) -> ReadingResult:
    query = request.slots.size - 1
    return ReadingResult(request=request, value=RowReading(query=query, weights=np.ones((3, 4, query + 1), np.float32)))


def test_a_row_is_asked_for_only_where_something_shows_it() -> None:
    plan, made = ReadingPlan(), exploration(3)
    assert one(plan.wishes(made, LOOK, 0.0, busy=False), RowRequest) is None
    assert one(plan.wishes(made, ROW, 0.0, busy=False), RowRequest) is not None
    coloured = ReadingPlan().wishes(made, Selection(colouring=Colouring.ATTENTION), 0.0, busy=False)
    assert one(coloured, RowRequest) is not None


def test_one_row_is_enough_for_all_heads() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, ROW, 0.0, busy=False), RowRequest)
    assert wish is not None
    plan.take(row_answer(wish), 0.0)
    assert plan.readings.row is not None
    assert one(plan.wishes(made, Selection(layer=0, head=0, row=True), 0.1, busy=False), RowRequest) is None


@pytest.mark.parametrize(("position", "place"), [(None, 3), (0, 0), (4, 2), (9, 3), (2, None)])
def test_a_token_that_is_not_read_yet_gives_way_to_the_last_that_is_and_a_dropped_one_to_none(
    position: int | None, place: int | None
) -> None:
    assert place_of(np.array([0, 3, 4, 5]), position) == place


def test_another_token_has_another_row() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, ROW, 0.0, busy=False), RowRequest)
    assert wish is not None
    plan.take(row_answer(wish), 0.0)
    other = one(plan.wishes(made, Selection(position=1, row=True), 0.1, busy=False), RowRequest)
    assert other is not None
    assert other.slots.tolist() == [0, 1]


def test_going_back_asks_again_for_a_row_that_was_under_way_and_forgets_one_of_a_longer_text() -> None:
    plan, made = ReadingPlan(), exploration(3)
    assert one(plan.wishes(made, ROW, 0.0, busy=False), RowRequest) is not None
    plan.rewind(np.arange(3))
    wish = one(plan.wishes(made, ROW, 0.1, busy=False), RowRequest)
    assert wish is not None
    plan.take(row_answer(wish), 0.1)
    plan.rewind(np.arange(3))
    assert plan.readings.row is not None
    plan.rewind(np.arange(2))
    assert plan.readings.row is None


def test_a_row_whose_columns_are_gone_is_asked_for_again_only_when_they_may_be_there() -> None:
    plan, made, gone = ReadingPlan(), exploration(3), GoneColumns(kind=Kept.QUERIES, tokens=2)
    for wish in plan.wishes(made, ROW, 0.0, busy=False):
        plan.take(ReadingResult(request=wish, value=None, gone=gone), 0.0)
    assert one(plan.wishes(made, ROW, 0.1, busy=False), RowRequest) is None
    plan.ask_again()
    assert one(plan.wishes(made, ROW, 0.2, busy=False), RowRequest) is not None


def test_a_part_is_asked_for_once_and_again_only_when_its_own_columns_change() -> None:
    plan, made = ReadingPlan(), exploration(3)
    look = Selection(layer=1, head=2, part=Square(0, 0, 2))
    wish = one(plan.wishes(made, look, 0.0, busy=False), AttentionRequest)
    assert wish is not None
    assert wish.part == Square(0, 0, 2)
    plan.take(answer(wish), 0.0)
    made.add(step(0, PROMPT_NODE, 3))
    assert one(plan.wishes(made, look, 0.1, busy=False), AttentionRequest) is None
    nearer = one(plan.wishes(made, Selection(layer=1, head=2, part=Square(1, 1, 1)), 0.2, busy=False), AttentionRequest)
    assert nearer is not None
    assert nearer.part == Square(1, 1, 1)


def test_the_whole_picture_stays_below_a_part_of_the_same_head_and_goes_with_another() -> None:
    plan, made = ReadingPlan(), exploration(3)
    whole = one(plan.wishes(made, LOOK, 0.0, busy=False), AttentionRequest)
    assert whole is not None
    plan.take(answer(whole), 0.0)
    part = one(plan.wishes(made, Selection(layer=1, head=2, part=Square(1, 0, 2)), 0.1, busy=False), AttentionRequest)
    assert part is not None
    plan.take(answer(part), 0.1)
    assert plan.readings.attention is not None
    assert plan.readings.attention.part == Square(1, 0, 2)
    assert plan.readings.attention_whole is not None
    assert plan.readings.attention_whole.part is None
    other = one(plan.wishes(made, Selection(layer=0, head=2, part=Square(1, 0, 2)), 0.2, busy=False), AttentionRequest)
    assert other is not None
    plan.take(answer(other), 0.2)
    assert plan.readings.attention_whole is None


def test_a_part_beyond_the_text_is_asked_for_within_it() -> None:
    wish = one(ReadingPlan().wishes(exploration(3), Selection(part=Square(7, 5, 2)), 0.0, busy=False), AttentionRequest)
    assert wish is not None
    assert wish.part == Square(1, 1, 2)


def test_the_mean_is_not_asked_for_again_with_another_head_and_rollout_asks_for_its_row() -> None:
    plan, made = ReadingPlan(), exploration(3)
    wish = one(plan.wishes(made, Selection(head=1, looking=Looking.MEAN), 0.0, busy=False), AttentionRequest)
    assert wish is not None
    plan.take(answer(wish), 0.0)
    same = plan.wishes(made, Selection(head=2, looking=Looking.MEAN), 0.1, busy=False)
    assert one(same, AttentionRequest) is None
    rows = one(plan.wishes(made, ROW, 0.2, busy=False), RowRequest)
    assert rows is not None
    plan.take(row_answer(rows), 0.2)
    rolled = one(plan.wishes(made, replace(ROW, looking=Looking.ROLLOUT), 0.3, busy=False), RowRequest)
    assert rolled is not None
    assert rolled.rollout

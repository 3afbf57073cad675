"""What the probability chart shows of a decision, from a few logits."""

from dataclasses import replace

import numpy as np
import pytest

from canopy_desktop.decoding.output_filter import FilterAction, FilterHit, FilterList, OutputFilter
from canopy_desktop.decoding.pipeline import History, StageName, choose, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.decision import Decision, decide
from canopy_desktop.exploration.decision_view import DrawsReading, view_of_decision, view_of_record
from canopy_desktop.exploration.draws import first_draws
from canopy_desktop.exploration.records import Candidate, ChosenBy, Guarding, Rejection, StepRecord
from canopy_desktop.model.tokenizer import Token
from tests.support.records import step_record

LOGITS = np.array([3.0, 2.5, 2.0, 1.0, 0.5, 0.0, -1.0], np.float32)
SAMPLING = DecodingSettings(temperature=0.7, top_k=4, min_p=0.02, seed=3)
BEFORE = History(prompt=(5, 6), generated=())


def token_of(token_id: int) -> Token:
    return Token(token_id, chr(97 + token_id), bytes([97 + token_id]), False)


def decided(settings: DecodingSettings, also: tuple[int, ...] = ()) -> Decision:
    return decide(LOGITS, settings, BEFORE, slot=9, position=2, shown=10, also=also)


def step_of(settings: DecodingSettings, rejected: tuple[int, ...] = ()) -> StepRecord:
    """The step that really follows, after the output filter rejected some tokens."""
    found = pipeline(LOGITS, settings, BEFORE)
    choice = choose(found, settings, 2, rejected=rejected)
    hit = FilterHit("x", 1, 0, 1, "x", FilterAction.REDRAW)
    guarding = Guarding(
        OutputFilter(FilterList.parse("x\n"), FilterAction.REDRAW),
        rejected=tuple(Rejection(token_id, 0.5, (hit,)) for token_id in rejected),
    )
    return step_record(
        source=9,
        chosen=Candidate(choice.token_id, float(LOGITS[choice.token_id]), found.raw_logprob(choice.token_id), 0.5),
        chosen_by=ChosenBy.GREEDY if settings.greedy else ChosenBy.SAMPLED,
        uniform=choice.uniform,
        low=choice.low,
        high=choice.high,
        settings=settings,
        guarding=guarding if rejected else None,
    )


def test_only_stages_that_the_settings_ask_for_have_a_column() -> None:
    view = view_of_decision(decided(SAMPLING), 0, token_of, step=None)
    assert [column.stage for column in view.columns] == [
        StageName.RAW, StageName.TEMPERATURE, StageName.TOP_K, StageName.MIN_P
    ]  # fmt: skip
    greedy = view_of_decision(decided(DecodingSettings()), 0, token_of, step=None)
    assert [column.stage for column in greedy.columns] == [StageName.RAW]


def test_every_column_accounts_for_the_whole_vocabulary() -> None:
    found = decide(LOGITS, SAMPLING, BEFORE, slot=9, position=2, shown=2)
    view = view_of_decision(found, 0, token_of, step=None)
    for place, column in enumerate(view.columns):
        listed = [bar.probabilities[place] for bar in view.bars]
        assert sum(listed) + column.others_probability == pytest.approx(1.0)
        assert sum(share > 0 for share in listed) + column.others == column.kept


@pytest.mark.parametrize("temperature", [0.1, 0.3, 0.6, 0.7, 0.8, 0.9, 1.2, 1.7])
def test_where_every_token_that_is_left_has_a_row_the_others_have_exactly_nothing(temperature: float) -> None:
    # One minus the sum of the shares is not 0: their rounding is left, and would be written as "< 0.1 %".
    for kept in range(1, len(LOGITS) + 1):
        view = view_of_decision(decided(DecodingSettings(temperature=temperature, top_k=kept)), 0, token_of, step=None)
        assert view.columns[-1].others == 0
        assert view.columns[-1].others_probability == 0.0


def test_settings_that_decide_the_same_are_what_happened() -> None:
    step = step_of(SAMPLING)
    same = view_of_decision(decided(replace(SAMPLING, max_tokens=99)), step.chosen.token_id, token_of, step=step)
    assert not same.what_if
    other = view_of_decision(decided(replace(SAMPLING, seed=4)), step.chosen.token_id, token_of, step=step)
    assert other.what_if
    assert other.used == SAMPLING


@pytest.mark.parametrize("settings", [SAMPLING, replace(SAMPLING, seed=8), DecodingSettings(temperature=1.5)])
def test_the_needle_falls_on_the_stretch_of_the_token_that_was_taken(settings: DecodingSettings) -> None:
    step = step_of(settings)
    view = view_of_decision(decided(settings), step.chosen.token_id, token_of, step=step)
    assert view.strip.uniform is not None
    (under,) = [one for one in view.strip.stretches if one.low <= view.strip.uniform < one.high]
    assert under.token.id == view.strip.taken.token.id == step.chosen.token_id
    assert (view.strip.taken.low, view.strip.taken.high) == pytest.approx((under.low, under.high))


def test_tokens_that_the_filter_rejected_are_not_on_the_strip() -> None:
    step = step_of(SAMPLING, rejected=(0, 2))
    view = view_of_decision(decided(SAMPLING), step.chosen.token_id, token_of, step=step)
    assert {bar.token.id for bar in view.bars if bar.rejected} == {0, 2}
    assert [bar.token.id for bar in view.bars if bar.taken] == [step.chosen.token_id]
    assert not {0, 2} & {one.token.id for one in view.strip.stretches}
    assert view.strip.stretches[-1].high == pytest.approx(1.0)
    (under,) = [one for one in view.strip.stretches if one.token.id == step.chosen.token_id]
    assert (step.low, step.high) == pytest.approx((under.low, under.high))


def test_for_a_token_that_a_person_chose_the_strip_says_what_would_have_been_drawn() -> None:
    step = replace(step_of(SAMPLING), chosen_by=ChosenBy.PERSON, uniform=None, low=1.0, high=1.0)
    found = decided(SAMPLING)
    view = view_of_decision(found, step.chosen.token_id, token_of, step=step)
    assert view.strip.uniform == found.choice.uniform


def test_a_token_that_is_looked_for_has_a_row() -> None:
    found = decide(LOGITS, SAMPLING, BEFORE, slot=9, position=2, shown=1, also=(6,))
    view = view_of_decision(found, 0, token_of, step=None, found=6)
    (bar,) = [bar for bar in view.bars if bar.found]
    assert (bar.token.id, bar.rank, bar.removed_by) == (6, 7, StageName.TOP_K)


def test_draws_are_counted_against_the_chance_that_a_draw_gives() -> None:
    for settings, expected in ((SAMPLING, None), (DecodingSettings(), 50)):
        drawn = first_draws(LOGITS, BEFORE, settings, 50)
        reading = DrawsReading(9, settings, drawn.token_ids, drawn.frequencies(10))
        view = view_of_decision(decided(settings), 0, token_of, step=None, draws=reading)
        counts = {bar.token.id: bar.drawn for bar in view.bars if bar.drawn is not None}
        assert sum(one.count for one in counts.values()) == 50
        for token_id, one in counts.items():
            assert one.predicted == pytest.approx(drawn.chances[token_id])
        if expected is not None:
            assert counts[0].count == expected


def test_draws_of_other_settings_are_not_shown() -> None:
    drawn = first_draws(LOGITS, BEFORE, SAMPLING, 50)
    reading = DrawsReading(9, SAMPLING, drawn.token_ids, drawn.frequencies(10))
    other = view_of_decision(decided(DecodingSettings()), 0, token_of, step=None, draws=reading)
    assert other.draws is None
    assert all(bar.drawn is None for bar in other.bars)


def test_a_record_alone_has_the_raw_distribution_and_nothing_that_did_not_happen() -> None:
    view = view_of_record(step_record(), token_of, shown=10)
    assert [column.stage for column in view.columns] == [StageName.RAW]
    assert not view.what_if
    assert view.entropy_after_bits is None

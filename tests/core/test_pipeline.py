"""From logits to a token, over whole vocabularies: what holds for all settings, and what each edge gives."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from canopy_desktop.decoding.pipeline import (
    BINS,
    KEPT,
    Choice,
    Distribution,
    History,
    StageName,
    choose,
    chosen,
    pipeline,
    top_ids,
    uniform,
)
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import NothingLeftError, ProviderError, SettingsError
from canopy_desktop.exploration.deciding import LISTED, end_figures
from canopy_desktop.exploration.records import PrefillProgress, StageSummary, StepRecord
from canopy_desktop.model.chat import encode_completion
from tests.core.engine import session_of

SAMPLED = DecodingSettings(temperature=1.0)
LOGIT = st.floats(-30, 30, width=32)
LOGITS = arrays(np.float32, st.integers(1, 60), elements=LOGIT | st.just(-math.inf)).filter(
    lambda logits: bool(np.isfinite(logits).any())
)
PROBABILITY = st.floats(0.001, 1)
CUTS = {
    "top_k": st.integers(0, 70),
    "top_p": PROBABILITY,
    "min_p": st.floats(0, 1),
    "typical_p": PROBABILITY,
}


@st.composite
def decisions(draw: st.DrawFn) -> tuple[Any, DecodingSettings, History]:
    """Logits, settings that leave a token, and what stands before it."""
    logits = draw(LOGITS)
    ids = st.integers(0, logits.size - 1)
    history = History(
        prompt=draw(st.lists(ids, max_size=8).map(tuple)),
        generated=draw(st.lists(ids, max_size=8).map(tuple)),
        end_ids=draw(st.sets(ids, max_size=2).map(tuple)),
    )
    min_tokens = draw(st.integers(0, 10))
    barred = set(history.end_ids) if len(history.generated) < min_tokens else set()
    banned = draw(st.sets(ids, max_size=4))
    biased = draw(st.dictionaries(ids.filter(lambda i: i not in banned), st.floats(-1000, 1000), max_size=4))
    assume(set(np.flatnonzero(np.isfinite(logits)).tolist()) - barred - banned)
    settings = DecodingSettings(
        temperature=draw(st.just(0.0) | st.floats(0.001, 100) | st.just(1.0)),
        **{name: draw(values) for name, values in CUTS.items()},
        repetition_penalty=draw(st.floats(0.01, 100)),
        presence_penalty=draw(st.floats(-1000, 1000)),
        frequency_penalty=draw(st.floats(-1000, 1000)),
        logit_bias=tuple(sorted(biased.items())),
        banned_tokens=tuple(sorted(banned)),
        min_tokens=min_tokens,
        seed=draw(st.integers(0, 2**63 - 1)),
    )
    return logits, settings, history


def kept_ids(found: Distribution) -> set[int]:
    return set(np.flatnonzero(found.removed_by == KEPT).tolist())


# what holds for all settings


@given(decisions())
def test_probabilities_sum_to_one_and_every_removed_token_has_a_stage(decision) -> None:
    logits, settings, history = decision
    found = pipeline(logits, settings, history)
    assert math.isclose(found.probabilities.sum(), 1.0, abs_tol=1e-12)
    assert np.isfinite(found.probabilities).all()
    assert found.kept == len(kept_ids(found)) >= 1
    assert not found.probabilities[found.removed_by != KEPT].any()
    assert [stage.name for stage in found.stages] == list(StageName)
    left = logits.size
    for place, stage in enumerate(found.stages):
        assert stage.removed == np.count_nonzero(found.removed_by == place)
        left -= stage.removed
        assert stage.kept == left
        assert stage.active or not (stage.removed or stage.changed)
        after = found.probability_after(place, range(logits.size))
        assert math.isclose(after.sum(), 1.0, abs_tol=1e-9)
        assert np.count_nonzero(after) <= stage.kept
    assert np.allclose(found.probability_after(8, range(logits.size)), found.probabilities, atol=1e-12)


@given(decisions())
def test_stages_one_at_a_time_give_what_they_give_together(decision) -> None:
    logits, settings, history = decision
    off = replace(DecodingSettings(max_tokens=settings.max_tokens), temperature=0.0 if settings.greedy else 1.0)
    alone: tuple[dict[str, Any], ...] = (
        {name: getattr(settings, name) for name in ("repetition_penalty", "presence_penalty", "frequency_penalty")},
        {name: getattr(settings, name) for name in ("logit_bias", "banned_tokens")},
        *({name: getattr(settings, name)} for name in ("min_tokens", "temperature", *CUTS)),
    )
    scores: Any = logits
    for changes in alone:
        found = pipeline(scores, replace(off, **changes), history)
        scores = np.where(found.removed_by == KEPT, found.stages[-1].scores, -np.inf)
    together = pipeline(logits, settings, history)
    assert np.array_equal(np.isfinite(scores), np.isfinite(scores) & (together.removed_by == KEPT))
    assert np.array_equal(found.probabilities, together.probabilities)


@given(LOGITS, st.floats(0.01, 100))
def test_temperature_keeps_ranks(logits, temperature) -> None:
    found = pipeline(logits, DecodingSettings(temperature=temperature))
    scores = found.stages[4].scores
    assert (np.diff(scores[np.argsort(-logits, kind="stable")][: found.kept]) <= 0).all()
    assert found.kept == np.count_nonzero(np.isfinite(logits))


@given(LOGITS, st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_higher_temperature_never_makes_the_likeliest_likelier(logits, one, other) -> None:
    cool, hot = (pipeline(logits, DecodingSettings(temperature=t)).probabilities.max() for t in sorted((one, other)))
    assert hot <= cool + 1e-12


@pytest.mark.parametrize("name", CUTS)
@given(logits=LOGITS, data=st.data())
def test_a_wider_cut_keeps_all_that_a_narrower_one_does(name: str, logits, data: st.DataObject) -> None:
    values = sorted(data.draw(st.tuples(CUTS[name].filter(bool), CUTS[name].filter(bool))), reverse=name == "min_p")
    narrow, wide = (kept_ids(pipeline(logits, replace(SAMPLED, **{name: value}))) for value in values)
    assert narrow <= wide


@given(LOGITS, st.sampled_from(["top_k", "top_p", "min_p"]), st.data())
def test_what_is_cut_is_no_likelier_than_what_stays_and_of_equals_the_lowest_ids_stay(logits, name, data) -> None:
    found = pipeline(logits, replace(SAMPLED, **{name: data.draw(CUTS[name])}))
    ranked = top_ids(logits, logits.size).tolist()
    assert kept_ids(found) == set(ranked[: found.kept])


@given(LOGITS, PROBABILITY)
def test_top_p_keeps_the_fewest_that_reach_its_mass(logits, top_p) -> None:
    found = pipeline(logits, replace(SAMPLED, top_p=top_p))
    raw = np.exp(logits.astype(np.float64) - found.log_sum_exp)
    masses = raw[sorted(kept_ids(found), key=lambda i: (-raw[i], i))]
    assert masses.sum() >= top_p - 1e-9
    assert masses[:-1].sum() < top_p + 1e-9


@given(decisions(), st.integers(0, 9000), st.integers(0, 99))
def test_a_chosen_token_was_kept_and_its_stretch_holds_the_number(decision, position, draw) -> None:
    logits, settings, history = decision
    found = pipeline(logits, settings, history)
    choice = choose(found, settings, position, draw)
    assert choice == choose(found, settings, position, draw)
    assert found.probabilities[choice.token_id] > 0
    assert choice.high - choice.low == pytest.approx(found.probabilities[choice.token_id], abs=1e-12)
    if settings.greedy:
        assert (choice.uniform, choice.low, found.rank_after(choice.token_id)) == (None, 0.0, 1)
    else:
        assert choice.uniform == uniform(settings.seed, position, draw)
        assert choice.low - 1e-12 <= choice.uniform <= choice.high + 1e-12
    at = chosen(found, choice.token_id)
    assert (at.low, at.high) == pytest.approx((choice.low, choice.high), abs=1e-12)


@given(decisions())
def test_stretches_of_all_tokens_lie_side_by_side_in_order_of_rank(decision) -> None:
    logits, settings, history = decision
    found = pipeline(logits, settings, history)
    end = 0.0
    for token_id in sorted(kept_ids(found), key=found.rank_after):
        choice = chosen(found, token_id)
        assert choice.low == pytest.approx(end, abs=1e-12)
        end = choice.high
    assert end == pytest.approx(1.0, abs=1e-12)


@given(LOGITS, st.integers(1, 70))
def test_the_highest_logits_come_in_order_of_rank(logits, count) -> None:
    ids = top_ids(logits, count)
    found = pipeline(logits, DecodingSettings())
    assert [found.rank(int(i)) for i in ids] == list(range(1, min(count, logits.size) + 1))


@given(LOGITS)
def test_greedy_takes_the_lowest_id_of_the_highest_logits_and_cuts_nothing(logits) -> None:
    greedy = DecodingSettings(top_k=1, top_p=0.1, min_p=1.0, typical_p=0.1)
    found = pipeline(logits, greedy)
    token_id = choose(found, greedy, 0).token_id
    assert token_id == int(np.flatnonzero(logits == logits.max())[0])
    assert found.kept == np.count_nonzero(np.isfinite(logits))
    assert found.rank(token_id) == found.rank_after(token_id) == 1
    assert math.isclose(found.probabilities[token_id], math.exp(found.raw_logprob(token_id)), rel_tol=1e-9)


@given(arrays(np.float32, BINS + 500, elements=st.sampled_from([0.0, 0.25, 0.5])), PROBABILITY, st.integers(0, 99))
def test_flat_distributions_over_many_tokens_are_cut_and_drawn_from_exactly(logits, mass, position) -> None:
    raw = np.exp(logits.astype(np.float64))
    raw /= raw.sum()
    ranked = np.argsort(-logits, kind="stable")
    for name in ("top_p", "typical_p"):
        found = pipeline(logits, replace(SAMPLED, **{name: mass}))
        kept = sorted(kept_ids(found))
        assert raw[kept].sum() == pytest.approx(mass, abs=2 * raw.max())
    choice = choose(pipeline(logits, SAMPLED), SAMPLED, position)
    before = np.concatenate([[0.0], np.cumsum(raw[ranked])])
    place = int(np.flatnonzero(ranked == choice.token_id)[0])
    assert before[place] - 1e-9 <= choice.uniform <= before[place + 1] + 1e-9


# what each stage is


def probabilities(*shares: float) -> Any:
    return np.log(np.array(shares)).astype(np.float32)


def test_top_p_keeps_the_smallest_set_that_reaches_the_mass() -> None:
    for top_p, kept in ((0.49, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.99, 4)):
        assert pipeline(probabilities(0.5, 0.3, 0.15, 0.05), replace(SAMPLED, top_p=top_p)).kept == kept


def test_top_k_comes_before_top_p_and_temperature_before_both() -> None:
    logits = probabilities(0.4, 0.3, 0.2, 0.1)
    found = pipeline(logits, replace(SAMPLED, top_k=2, top_p=0.5))
    assert found.kept == 1  # of the two that top-k leaves, 0.57 and 0.43, the first reaches a half
    hot = pipeline(logits, DecodingSettings(temperature=2.0, top_k=2))
    assert hot.probabilities[0] / hot.probabilities[1] == pytest.approx(math.sqrt(0.4 / 0.3))


def test_min_p_is_a_share_of_the_likeliest() -> None:
    logits = probabilities(0.5, 0.3, 0.15, 0.05)
    for min_p, kept in ((0.05, 4), (0.2, 3), (0.5, 2), (0.7, 1), (1.0, 1)):
        assert pipeline(logits, replace(SAMPLED, min_p=min_p)).kept == kept


def test_typical_p_may_remove_the_likeliest() -> None:
    found = pipeline(probabilities(0.4, 0.15, 0.15, 0.15, 0.15), replace(SAMPLED, typical_p=0.5))
    assert kept_ids(found) == {1, 2, 3, 4}  # their surprisal is 1.90, the entropy 1.50, the likeliest's surprisal 0.92
    assert found.rank_after(0) is None
    assert found.rank(0) == 1


def test_repetition_counts_prompt_and_generated_and_the_others_generated_alone() -> None:
    logits = np.array([2.0, -2.0, 2.0, 2.0, 2.0], np.float32)
    settings = DecodingSettings(repetition_penalty=2.0, presence_penalty=0.25, frequency_penalty=0.5)
    found = pipeline(logits, settings, History(prompt=(0, 0, 1), generated=(2, 2, 3)))
    stage = found.stages[1]
    assert stage.scores.tolist() == [1.0, -4.0, 1.0 - 0.25 - 1.0, 1.0 - 0.25 - 0.5, 2.0]
    assert (stage.name, stage.active, stage.changed, stage.removed) == (StageName.PENALTIES, True, 4, 0)


def test_a_penalty_without_a_history_is_active_and_changes_nothing() -> None:
    stage = pipeline(np.zeros(3, np.float32), DecodingSettings(presence_penalty=1.0)).stages[1]
    assert (stage.active, stage.changed, stage.removed) == (True, 0, 0)


def test_a_bias_is_added_after_the_penalties_and_a_ban_removes() -> None:
    settings = DecodingSettings(repetition_penalty=2.0, logit_bias=((0, 3.0),), banned_tokens=(1,))
    found = pipeline(np.array([2.0, 9.0, 1.0], np.float32), settings, History(prompt=(0,)))
    assert found.stages[2].scores[0] == 4.0
    assert (found.stages[2].removed, found.stages[2].changed) == (1, 1)
    assert found.removed_by.tolist() == [KEPT, 2, KEPT]
    assert choose(found, settings, 0).token_id == 0


def test_end_tokens_are_barred_until_the_minimum_is_reached() -> None:
    settings = DecodingSettings(min_tokens=2)
    for generated, barred in (((), True), ((1,), True), ((1, 1), False)):
        found = pipeline(np.array([5.0, 0.0], np.float32), settings, History(generated=generated, end_ids=(0,)))
        assert found.removed_by[0] == (3 if barred else KEPT)
        assert found.stages[3].removed == int(barred)


# edges


def test_a_vocabulary_of_one_token_has_one_answer() -> None:
    for settings in (
        DecodingSettings(),
        DecodingSettings(temperature=2.0, top_k=1, top_p=0.1, min_p=1.0, typical_p=0.1),
    ):
        found = pipeline(np.array([-3.0], np.float32), settings)
        choice = choose(found, settings, 0)
        assert (found.kept, found.probabilities.tolist(), found.entropy_bits()) == (1, [1.0], 0.0)
        assert (choice.token_id, choice.low, choice.high) == (0, 0.0, 1.0)


@pytest.mark.parametrize("name", CUTS)
def test_the_narrowest_cut_keeps_one_of_equal_tokens_the_lowest_id(name: str) -> None:
    narrowest: dict[str, float] = {"top_k": 1, "top_p": 1e-300, "min_p": 1.0, "typical_p": 1e-300}
    found = pipeline(np.zeros(5, np.float32), replace(SAMPLED, **{name: narrowest[name]}))
    assert kept_ids(found) == ({0, 1, 2, 3, 4} if name == "min_p" else {0})  # all are as likely as the likeliest


def test_equal_logits_are_cut_and_taken_by_lowest_id() -> None:
    logits = np.array([1.0, 2.0, 2.0, 2.0], np.float32)
    assert kept_ids(pipeline(logits, replace(SAMPLED, top_k=2))) == {1, 2}
    assert kept_ids(pipeline(logits, replace(SAMPLED, top_p=0.5))) == {1, 2}
    assert choose(pipeline(logits, DecodingSettings()), DecodingSettings(), 0).token_id == 1


@pytest.mark.parametrize(
    "settings",
    [
        DecodingSettings(banned_tokens=(0, 2)),
        DecodingSettings(min_tokens=1),
        DecodingSettings(banned_tokens=(0,), min_tokens=1),
    ],
)
def test_settings_that_leave_no_token_are_refused_in_a_sentence(settings) -> None:
    logits = np.array([0.0, -np.inf, 1.0], np.float32)
    with pytest.raises(NothingLeftError) as caught:
        pipeline(logits, settings, History(end_ids=(0, 2)))
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("settings", [DecodingSettings(banned_tokens=(3,)), DecodingSettings(logit_bias=((7, 1.0),))])
def test_a_token_outside_the_vocabulary_cannot_be_named(settings) -> None:
    with pytest.raises(SettingsError, match=r"\b[37]\b"):
        pipeline(np.zeros(3, np.float32), settings)


@pytest.mark.parametrize("logits", [[np.nan, 1.0], [-np.inf, -np.inf], [np.inf, 0.0]])
def test_logits_that_are_no_numbers_are_an_error(logits) -> None:
    with pytest.raises(ProviderError):
        pipeline(np.array(logits, np.float32), DecodingSettings())


def test_minus_infinity_is_a_token_that_cannot_come_whatever_is_added() -> None:
    logits = np.array([0.0, -np.inf, 0.0], np.float32)
    settings = replace(SAMPLED, logit_bias=((1, 1000.0),), presence_penalty=-9.0, repetition_penalty=0.1)
    found = pipeline(logits, settings, History(prompt=(1,), generated=(1,)))
    assert found.probabilities.tolist() == [0.5, 0.0, 0.5]
    assert found.entropy_bits() == pytest.approx(1.0)
    assert (found.stages[0].removed, found.removed_by[1], found.rank_after(1)) == (1, 0, None)


def test_a_removed_token_far_above_the_others_moves_nothing() -> None:
    settings = DecodingSettings(temperature=0.01, banned_tokens=(0,))
    found = pipeline(np.array([3000.0, 1.0, 1.0], np.float32), settings)
    assert found.probabilities.tolist() == [0.0, 0.5, 0.5]
    assert [found.probability_after(place, [0])[0] for place in range(9)] == [1.0, 1.0, *[0.0] * 7]
    assert choose(found, settings, 0).token_id in {1, 2}


def test_a_temperature_next_to_zero_takes_the_likeliest() -> None:
    found = pipeline(np.array([1.0, 3.0, 2.0], np.float32), DecodingSettings(temperature=5e-324))
    assert found.probabilities.tolist() == [0.0, 1.0, 0.0]


# drawing


def test_a_draw_depends_on_seed_position_number_and_attempt_alone() -> None:
    numbers = {uniform(*four) for four in np.ndindex(4, 4, 4, 4)}
    assert len(numbers) == 256
    assert all(0 <= number < 1 for number in numbers)
    assert uniform(7, 13, 0) == uniform(7, 13, 0, 0)


def test_draws_follow_the_probabilities() -> None:
    found = pipeline(probabilities(0.3, 0.6, 0.1), settings := DecodingSettings(temperature=1.0, seed=3))
    counts = np.bincount([choose(found, settings, position).token_id for position in range(4000)], minlength=3)
    assert np.abs(counts / 4000 - [0.3, 0.6, 0.1]).max() < 0.025


def test_rejected_tokens_are_not_chosen_again_and_the_next_number_is_drawn() -> None:
    settings = DecodingSettings(temperature=1.0, seed=3)
    found = pipeline(probabilities(0.3, 0.6, 0.1), settings)
    rejected: list[int] = []
    for attempt in range(3):
        choice = choose(found, settings, 5, rejected=rejected)
        assert choice.uniform == uniform(3, 5, 0, attempt)
        assert choice.token_id not in rejected
        rejected.append(choice.token_id)
    with pytest.raises(NothingLeftError):
        choose(found, settings, 5, rejected=rejected)


def test_a_removed_token_that_a_person_takes_has_no_stretch() -> None:
    found = pipeline(probabilities(0.3, 0.6, 0.1), replace(SAMPLED, banned_tokens=(1,)))
    assert chosen(found, 1) == Choice(1, None, 1.0, 1.0)
    assert chosen(found, 2).high == 1.0


# what a run records


@pytest.mark.parametrize(
    "settings",
    [
        DecodingSettings(max_tokens=8),
        DecodingSettings(max_tokens=8, repetition_penalty=1.3, banned_tokens=(60,), min_tokens=4),
        DecodingSettings(
            temperature=0.9, top_k=60, top_p=0.95, min_p=0.001, typical_p=0.9, repetition_penalty=1.2,
            presence_penalty=0.4, frequency_penalty=0.3, logit_bias=((70, 4.0),), banned_tokens=(40, 50), min_tokens=8,
            max_tokens=8, seed=11,
        ),
    ],
)  # fmt: skip
def test_the_logits_of_a_recorded_step_give_its_record_again(model: Path, settings: DecodingSettings) -> None:
    session = session_of(model)
    generation = session.new_generation()
    prompt = encode_completion(session.tokenizer, "the cat")
    generation.begin(1, prompt, settings)
    steps: list[StepRecord] = []
    while not steps or steps[-1].check.reason is None:
        match event := generation.advance():
            case StepRecord():
                steps.append(event)
            case PrefillProgress():
                pass
            case _:
                pytest.fail(f"{event} instead of a step")
    end_ids = session.card.end_ids
    for step in steps:
        logits = session.head.logits(session.sequence.columns.residuals(np.array([step.source]), -1))[0]
        generated = tuple(before.chosen.token_id for before in steps[: step.index - 1])
        found = pipeline(logits, settings, History(prompt=prompt.ids, generated=generated, end_ids=end_ids))
        choice = choose(found, settings, step.position)
        assert (choice.token_id, choice.uniform, choice.low, choice.high) == (
            step.chosen.token_id, step.uniform, step.low, step.high,
        )  # fmt: skip
        assert step.chosen.probability == found.probabilities[choice.token_id]
        assert (step.rank, step.rank_after) == (found.rank(choice.token_id), found.rank_after(choice.token_id))
        assert [candidate.token_id for candidate in step.candidates] == found.top(LISTED).tolist()
        assert [candidate.probability for candidate in step.candidates] == [
            found.probabilities[candidate.token_id] for candidate in step.candidates
        ]
        assert step.stages == tuple(
            StageSummary(stage.name, stage.kept, stage.removed, stage.changed, stage.active) for stage in found.stages
        )
        assert step.end == end_figures(found, end_ids)
        assert (step.kept, step.entropy_bits) == (found.kept, found.entropy_bits())


# settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 1.1},
        {"typical_p": 0.0},
        {"repetition_penalty": 0.0},
        {"presence_penalty": math.inf},
        {"frequency_penalty": 1001.0},
        {"logit_bias": ((5, 1.0), (3, 1.0))},
        {"logit_bias": ((5, math.nan),)},
        {"banned_tokens": (-1,)},
        {"banned_tokens": (5,), "logit_bias": ((5, 1.0),)},
        {"min_tokens": 33},
        {"seed": -1},
        {"seed": 2**63},
        {"max_tokens": 0},
        {"stop": ("",)},
    ],
)
def test_settings_out_of_range_are_refused_in_one_sentence(wrong) -> None:
    with pytest.raises(SettingsError) as caught:
        DecodingSettings(**wrong)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "\n" not in sentence
    assert caught.value.name in sentence

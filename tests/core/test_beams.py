"""Beam search on made-up languages: against all sequences there are, and rule by rule."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.arrays import DoubleArray, FloatArray
from canopy_desktop.decoding.beams import (
    Beam,
    BeamSettings,
    BeamState,
    BeamStep,
    EarlyStopping,
    Endings,
    Fate,
    advance,
    begin,
    gumbel,
    token_scores,
)
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import NothingLeftError, ProviderError, SettingsError
from tests.core.engine import log_softmax

END = 0
Language = Callable[[tuple[int, ...]], DoubleArray]
SEEDS = st.integers(0, 10_000)
PENALTIES = st.floats(-2, 2)
STOPPING = st.sampled_from(EarlyStopping)


def random_language(seed: int, vocabulary: int) -> Language:
    """Other random probabilities after every text."""
    return lambda ids: log_softmax(np.random.default_rng([seed, *ids]).normal(size=vocabulary) * 2)


def search(
    language: Language, settings: BeamSettings, endings: Endings, *, seed: int | None = None
) -> tuple[list[BeamStep], list[BeamState]]:
    """All steps, and the states before and after them; with a seed candidates are drawn."""
    states, steps = [begin(settings)], []
    while states[-1].running:
        running = states[-1].running
        scores = np.stack([language(beam.ids) for beam in running])
        noise = None
        if seed is not None:
            noise = np.stack([gumbel(seed, len(steps), beam, scores.shape[1]) for beam in range(len(running))])
        step, state = advance(states[-1], scores, settings, endings, noise)
        steps.append(step)
        states.append(state)
    return steps, states


def total(language: Language, ids: tuple[int, ...]) -> float:
    return sum(float(language(ids[:place])[token_id]) for place, token_id in enumerate(ids))


def every_text(vocabulary: int, limit: int) -> list[tuple[int, ...]]:
    """All that end with the end token, or at the limit."""
    texts = (ids for length in range(1, limit + 1) for ids in itertools.product(range(vocabulary), repeat=length))
    return [ids for ids in texts if END not in ids[:-1] and (ids[-1] == END or len(ids) == limit)]


@given(SEEDS, PENALTIES)
def test_as_many_beams_as_texts_find_the_best_of_all_texts(seed: int, penalty: float) -> None:
    language = random_language(seed, 3)
    settings = BeamSettings(beams=9, length_penalty=penalty, early_stopping=EarlyStopping.NEVER)
    _, states = search(language, settings, Endings(3, (END,)))
    found = states[-1].best(settings)
    scores = {ids: total(language, ids) / len(ids) ** penalty for ids in every_text(3, 3)}
    best = sorted(scores, key=lambda ids: -scores[ids])[:9]
    assert [one.ids for one in found] == best
    assert [one.score for one in found] == pytest.approx([scores[ids] for ids in best])
    assert [one.finished for one in found] == [ids[-1] == END for ids in best]


@given(SEEDS, PENALTIES, st.integers(1, 8))
def test_no_narrower_beam_finds_a_better_text_than_one_that_prunes_nothing(
    seed: int, penalty: float, beams: int
) -> None:
    language, endings = random_language(seed, 3), Endings(3, (END,))
    widest, narrow = (
        BeamSettings(beams=count, length_penalty=penalty, early_stopping=EarlyStopping.NEVER) for count in (9, beams)
    )
    best, other = (search(language, settings, endings)[1][-1].best(settings)[0] for settings in (widest, narrow))
    assert best.score >= other.score


@given(SEEDS, st.sampled_from([EarlyStopping.AT_ONCE, EarlyStopping.UNLIKELY]))
def test_one_beam_is_greedy(seed: int, early_stopping: EarlyStopping) -> None:
    language = random_language(seed, 4)
    settings = BeamSettings(beams=1, early_stopping=early_stopping)
    greedy: tuple[int, ...] = ()
    while len(greedy) < 8 and END not in greedy:
        greedy += (int(language(greedy).argmax()),)
    (found,) = search(language, settings, Endings(8, (END,)))[1][-1].best(settings)
    assert found.ids == greedy
    assert found.cumulative == pytest.approx(total(language, greedy))
    assert found.finished == (END in greedy)


@given(SEEDS, st.integers(1, 6), PENALTIES, STOPPING, st.none() | SEEDS)
def test_every_candidate_is_its_parents_text_and_one_token(
    seed: int, beams: int, penalty: float, early_stopping: EarlyStopping, drawn: int | None
) -> None:
    language = random_language(seed, 5)
    settings = BeamSettings(beams=beams, length_penalty=penalty, early_stopping=early_stopping)
    steps, states = search(language, settings, Endings(6, (END,)), seed=drawn)
    for step, before, after in zip(steps, states, states[1:], strict=False):
        assert step.length == before.length + 1 == after.length
        assert 1 <= len(step.candidates) <= 2 * beams
        for candidate in step.candidates:
            parent = before.running[candidate.parent]
            assert candidate.logprob == language(parent.ids)[candidate.token_id]
            assert candidate.cumulative == parent.cumulative + candidate.logprob <= parent.cumulative
            assert (candidate.fate is Fate.FINISHED) <= (candidate.token_id == END)
            assert (candidate.fate is Fate.KEPT) <= (candidate.token_id != END)
        going = sorted((c for c in step.candidates if c.beam is not None), key=lambda c: c.beam or 0)
        assert step.parents == tuple(candidate.parent for candidate in going)
        assert after.running == tuple(Beam((*before.running[c.parent].ids, c.token_id), c.cumulative, 0) for c in going)
        assert all(candidate.fate is Fate.KEPT for candidate in going)
        assert [beam.cumulative for beam in after.running] == sorted(
            (b.cumulative for b in after.running), reverse=True
        )
        assert len({beam.ids for beam in after.running}) == len(after.running)


@given(SEEDS, st.integers(1, 6), st.floats(-2, 2))
def test_the_patient_stop_no_earlier_than_the_impatient(seed: int, beams: int, penalty: float) -> None:
    language = random_language(seed, 4)
    lengths = [
        len(
            search(language, BeamSettings(beams=beams, length_penalty=penalty, early_stopping=how), Endings(8, (END,)))[
                0
            ]
        )
        for how in (EarlyStopping.AT_ONCE, EarlyStopping.UNLIKELY, EarlyStopping.NEVER)
    ]
    assert lengths == sorted(lengths)
    assert penalty > 0 or lengths[1] == lengths[2]


def test_early_stopping_decides_when_one_text_has_ended_and_a_longer_one_may_be_better() -> None:
    def language(ids: tuple[int, ...]) -> DoubleArray:
        """Ending is likely at first; after 1 everything is nearly sure."""
        return np.log([0.6, 0.4, 1e-9] if not ids else [1e-9, 0.9, 0.1 - 1e-9] if len(ids) < 5 else [0.9, 0.05, 0.05])

    found = {}
    for how in EarlyStopping:
        settings = BeamSettings(beams=1, early_stopping=how)
        _, states = search(language, settings, Endings(8, (END,)))
        found[how] = states[-1].best(settings)[0].ids
    assert found[EarlyStopping.AT_ONCE] == found[EarlyStopping.UNLIKELY] == (END,)
    assert found[EarlyStopping.NEVER] == (1, 1, 1, 1, 1, END)


def test_a_vocabulary_smaller_than_the_beams_fills_them_with_real_texts_alone() -> None:
    settings = BeamSettings(beams=10)
    steps, states = search(random_language(1, 2), settings, Endings(5))
    assert [len(state.running) for state in states] == [1, 2, 4, 8, 10, 0]
    assert [len(step.candidates) for step in steps] == [2, 4, 8, 16, 20]
    assert len({one.ids for one in states[-1].best(settings)}) == 10


def test_what_is_impossible_is_no_candidate() -> None:
    def language(ids: tuple[int, ...]) -> DoubleArray:
        return np.array([-np.inf, -1.0, -np.inf, -2.0])

    steps, states = search(language, BeamSettings(beams=3), Endings(3, (END,)))
    assert {candidate.token_id for step in steps for candidate in step.candidates} == {1, 3}
    assert [len(state.running) for state in states] == [1, 2, 3, 0]


def test_a_search_without_any_possible_token_ends_with_what_has_ended() -> None:
    def language(ids: tuple[int, ...]) -> DoubleArray:
        return np.log([0.5, 0.3, 0.2]) if not ids else np.full(3, -np.inf)

    settings = BeamSettings(beams=2)
    steps, states = search(language, settings, Endings(5, (END,)))
    assert [one.ids for one in states[-1].best(settings)] == [(END,)]
    assert steps[1].candidates == ()
    assert not states[-1].cut


def test_an_end_token_below_the_best_beams_is_pruned_and_a_spare_candidate_moves_up_for_one_above() -> None:
    scores = np.log([[0.1, 0.4, 0.3, 0.2]])
    step, state = advance(begin(BeamSettings(beams=2)), scores, BeamSettings(beams=2), Endings(5, (END,)))
    fates = [(c.token_id, c.fate) for c in step.candidates]
    assert fates == [(1, Fate.KEPT), (2, Fate.KEPT), (3, Fate.PRUNED), (0, Fate.PRUNED)]
    scores = np.log([[0.4, 0.3, 0.2, 0.1]])
    step, state = advance(begin(BeamSettings(beams=2)), scores, BeamSettings(beams=2), Endings(5, (END,)))
    fates = [(c.token_id, c.fate) for c in step.candidates]
    assert fates == [(0, Fate.FINISHED), (1, Fate.KEPT), (2, Fate.KEPT), (3, Fate.PRUNED)]
    assert [beam.ids for beam in state.running] == [(1,), (2,)]
    assert state.found[0][0].finished


def test_at_the_limit_no_spare_candidate_moves_up() -> None:
    settings = BeamSettings(beams=2)
    step, state = advance(begin(settings), np.log([[0.4, 0.3, 0.2, 0.1]]), settings, Endings(1, (END,)))
    fates = [(c.token_id, c.fate, c.beam) for c in step.candidates]
    assert fates[:3] == [(0, Fate.FINISHED, None), (1, Fate.KEPT, None), (2, Fate.PRUNED, None)]
    assert state.cut
    assert [(one.ids, one.finished) for one in state.best(settings)] == [((0,), True), ((1,), False)]


def test_two_end_tokens_leave_enough_candidates_to_go_on() -> None:
    scores = np.log([[0.3, 0.25, 0.2, 0.1, 0.09, 0.06], [0.3, 0.25, 0.2, 0.1, 0.09, 0.06]])
    settings = BeamSettings(beams=2, early_stopping=EarlyStopping.NEVER)
    state = BeamState((Beam((5,), -1.0, 0), Beam((4,), -1.0, 0)), ((),), 1)
    _, after = advance(state, scores, settings, Endings(5, (0, 1)))
    assert [beam.ids for beam in after.running] == [(5, 2), (4, 2)]


def test_a_token_that_completes_a_stop_text_finishes_a_beam() -> None:
    settings = BeamSettings(beams=1)
    endings = Endings(9, (), lambda beam, token_id: (*beam.ids, token_id)[-2:] == (1, 1))
    _, states = search(lambda ids: np.log([0.1, 0.9]), settings, endings)
    assert states[-1].best(settings)[0].ids == (1, 1)
    assert states[-1].best(settings)[0].finished


def test_equal_sums_are_ordered_by_beam_and_id() -> None:
    state = BeamState((Beam((1,), -1.0, 0), Beam((2,), -1.0, 0)), ((),), 1)
    step, _ = advance(state, np.log(np.full((2, 3), 1 / 3)), BeamSettings(beams=2), Endings(5))
    assert [(c.parent, c.token_id) for c in step.candidates] == [(0, 0), (0, 1), (0, 2), (1, 0)]


@given(SEEDS, st.integers(1, 3))
def test_the_first_group_is_an_ordinary_search(seed: int, size: int) -> None:
    language, endings = random_language(seed, 5), Endings(5, (END,))
    settings = BeamSettings(beams=3 * size, groups=3, diversity=0.7)
    alone = search(language, BeamSettings(beams=size), endings)[1][-1].found[0]
    assert search(language, settings, endings)[1][-1].found[0] == alone


@given(SEEDS)
def test_groups_that_must_differ_never_take_a_token_twice_in_a_step(seed: int) -> None:
    settings = BeamSettings(beams=4, groups=4, diversity=1000)
    steps, _ = search(random_language(seed, 6), settings, Endings(4))
    for step in steps:
        kept = [candidate.token_id for candidate in step.candidates if candidate.fate is Fate.KEPT]
        assert len(kept) == len(set(kept)) == 4


def test_a_groups_penalty_stays_in_its_sums_as_in_transformers() -> None:
    settings = BeamSettings(beams=2, groups=2, diversity=0.5)
    _, states = search(lambda ids: np.log([0.8, 0.2]), settings, Endings(2))
    first, second = (found[0] for found in states[-1].found)
    assert (first.ids, second.ids) == ((0, 0), (0, 0))
    assert second.cumulative == pytest.approx(first.cumulative - 2 * 0.5)


@given(SEEDS)
def test_noise_depends_on_seed_position_and_beam_alone(seed: int) -> None:
    draws = gumbel(seed, 3, 1, 50)
    assert np.array_equal(gumbel(seed, 3, 1, 50), draws)
    assert np.array_equal(gumbel(seed, 3, 1, 20), draws[:20])
    assert np.isfinite(draws).all()
    for other in (gumbel(seed + 1, 3, 1, 50), gumbel(seed, 4, 1, 50), gumbel(seed, 3, 2, 50)):
        assert not np.intersect1d(draws, other).size


def test_candidates_are_drawn_one_after_another_without_replacement() -> None:
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    settings, count = BeamSettings(beams=1), 4000
    pairs = np.zeros((4, 4))
    for seed in range(count):
        noise = gumbel(seed, 0, 0, 4)[None]
        step, _ = advance(begin(settings), np.log(probabilities)[None], settings, Endings(5), noise)
        pairs[step.candidates[0].token_id, step.candidates[1].token_id] += 1
    expected = probabilities[:, None] * probabilities / (1 - probabilities[:, None])
    np.fill_diagonal(expected, 0)
    assert not pairs.diagonal().any()
    deviation = np.sqrt(count * expected * (1 - expected))
    assert (np.abs(pairs - count * expected) <= 4 * deviation).all()


def test_without_settings_a_token_is_worth_its_log_probability() -> None:
    logits = np.random.default_rng(1).normal(size=50).astype(np.float32) * 4
    np.testing.assert_allclose(token_scores(logits, DecodingSettings(), History()), log_softmax(logits), atol=1e-5)


def test_penalties_and_temperature_act_on_log_probabilities_and_nothing_is_rescaled() -> None:
    logits: FloatArray = np.random.default_rng(2).normal(size=50).astype(np.float32) * 4
    logprobs = log_softmax(logits)
    history = History((3,), (7,), (END,))
    penalised = logprobs.copy()
    penalised[[3, 7]] *= 1.5
    penalised[7] -= 0.25
    settings = DecodingSettings(repetition_penalty=1.5, presence_penalty=0.25)
    np.testing.assert_allclose(token_scores(logits, settings, history), penalised, atol=1e-5)
    settings = replace(settings, temperature=0.5)
    np.testing.assert_allclose(token_scores(logits, settings, history), penalised / 0.5, atol=1e-5)
    found = token_scores(logits, replace(settings, top_k=4), history)
    kept = np.argsort(-penalised)[:4]
    np.testing.assert_allclose(found[kept], penalised[kept] / 0.5, atol=1e-5)
    assert np.isneginf(found).sum() == 46


def test_bans_and_the_minimum_of_tokens_make_impossible() -> None:
    logits = np.zeros(4, np.float32)
    found = token_scores(logits, DecodingSettings(banned_tokens=(2,), min_tokens=1), History(end_ids=(END,)))
    assert np.isneginf(found).tolist() == [True, False, True, False]
    with pytest.raises(NothingLeftError):
        token_scores(logits, DecodingSettings(banned_tokens=(0, 1, 2, 3)), History())


def test_impossible_tokens_stay_so_and_logits_that_are_no_numbers_are_refused() -> None:
    found = token_scores(np.array([0, -np.inf, 0], np.float32), DecodingSettings(), History())
    np.testing.assert_allclose(found, np.log([0.5, 0, 0.5], where=[True, False, True], out=np.full(3, -np.inf)))
    for broken in ([np.nan, 0], [-np.inf, -np.inf], [np.inf, 0]):
        with pytest.raises(ProviderError):
            token_scores(np.array(broken, np.float32), DecodingSettings(), History())


@pytest.mark.parametrize(
    "wrong",
    [
        {"beams": 0},
        {"beams": 11},
        {"length_penalty": float("nan")},
        {"length_penalty": 10.5},
        {"beams": 3, "returned": 4},
        {"returned": 0},
        {"groups": 0},
        {"beams": 4, "groups": 3, "diversity": 1.0},
        {"beams": 4, "groups": 2},
        {"diversity": 0.5},
        {"diversity": -1.0},
        {"diversity": float("inf")},
    ],
)
def test_settings_out_of_range_or_in_contradiction_are_refused(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        BeamSettings(**wrong)


def test_n_best_is_the_beginning_of_all() -> None:
    language, endings = random_language(4, 5), Endings(4, (END,))
    every, some = BeamSettings(beams=5), BeamSettings(beams=5, returned=2)
    found = search(language, every, endings)[1][-1].best(every)
    assert len(found) == 5
    assert search(language, some, endings)[1][-1].best(some) == found[:2]

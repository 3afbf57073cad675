"""Beam search on the decoder: the texts and scores of transformers, and every beam's bits as if it were alone."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.beams import (
    BeamSettings,
    BeamStep,
    EarlyStopping,
    Endings,
    Fate,
    advance,
    begin,
    token_scores,
)
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import EmptyPromptError, InterruptedStepError, NothingLeftError, PromptTooLongError
from canopy_desktop.exploration.beam_search import BeamEvent, BeamPrefill, BeamSearch, BeamsFinished, SearchEnd
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import one_by_one, prefill, session_of
from tests.reference import fixtures

SCORE = 1e-3
SEARCHES = fixtures.beam_searches()
FRANCE = fixtures.prompt_logits("france").ids
PROSE = fixtures.prompt_logits("prose").ids
TEXT = History((10, 11, 12, 13))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def steps_of(events: Sequence[BeamEvent]) -> list[BeamStep]:
    return [event for event in events if isinstance(event, BeamStep)]


def finished(events: Sequence[BeamEvent]) -> BeamsFinished:
    assert isinstance(events[-1], BeamsFinished)
    return events[-1]


def test_there_are_reference_searches_enough_and_some_texts_end_and_some_are_cut() -> None:
    assert len(SEARCHES) >= 20
    assert sum("num_beam_groups" in search.settings for search in SEARCHES) >= 5
    ends = {search.end_id in found.ids for search in SEARCHES for found in search.sequences}
    assert ends == {True, False}


@pytest.mark.parametrize("reference", SEARCHES, ids=lambda reference: reference.name)
def test_fp32_finds_the_texts_and_scores_of_transformers(
    built_fp32_model: Path, reference: fixtures.BeamSearch
) -> None:
    given = dict(reference.settings)
    beams = BeamSettings(
        beams=given.pop("num_beams"),
        length_penalty=given.pop("length_penalty", 1.0),
        early_stopping=EarlyStopping(str(given.pop("early_stopping", False)).lower()),
        groups=given.pop("num_beam_groups", 1),
        diversity=given.pop("diversity_penalty", 0.0),
    )
    settings = DecodingSettings(
        max_tokens=given.pop("max_new_tokens"),
        min_tokens=given.pop("min_new_tokens", 0),
        repetition_penalty=given.pop("repetition_penalty", 1.0),
        banned_tokens=tuple(given.pop("suppress_tokens", ())),
    )
    assert not given
    text = History(reference.ids, end_ids=(reference.end_id,))
    found = finished(list(BeamSearch(session_of(built_fp32_model)).run(text, settings, beams))).sequences
    assert [one.ids for one in found] == [one.ids for one in reference.sequences]
    assert [one.score for one in found] == pytest.approx([one.score for one in reference.sequences], abs=SCORE)
    assert [one.finished for one in found] == [reference.end_id in one.ids for one in found]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_search_has_the_bits_of_beams_that_are_decoded_alone(built_model: Path, groups: int) -> None:
    session = session_of(built_model)
    text, settings = History(FRANCE, end_ids=session.card.end_ids), DecodingSettings(max_tokens=5)
    beams = BeamSettings(beams=4, groups=groups, diversity=0.5 * (groups - 1))
    state, endings = begin(beams), Endings(5, session.card.end_ids)
    for step in steps_of(list(BeamSearch(session).run(text, settings, beams))):
        scores = []
        for beam in state.running:
            logits = prefill(session, FRANCE)
            if beam.ids:
                logits = one_by_one(session, beam.ids)[-1]
            scores.append(token_scores(logits, settings, replace(text, generated=beam.ids)))
        expected, state = advance(state, np.stack(scores), beams, endings)
        assert step == expected
    assert not state.running


def test_one_beam_writes_what_greedy_decoding_writes(small: ModelSession) -> None:
    found = finished(list(BeamSearch(small).run(TEXT, DecodingSettings(max_tokens=6), BeamSettings(beams=1))))
    logits, greedy = prefill(small, TEXT.prompt), []
    for _ in range(6):
        greedy.append(int(logits.argmax()))
        logits = one_by_one(small, greedy[-1:])[0]
    assert found.sequences[0].ids == tuple(greedy)
    assert found.reason is SearchEnd.MAX_TOKENS


def test_a_prompt_of_one_token_is_enough(small: ModelSession) -> None:
    events = list(BeamSearch(small).run(History((10,)), DecodingSettings(max_tokens=3), BeamSettings(beams=3)))
    assert events[0] == BeamPrefill(1, 1)
    assert [step.length for step in steps_of(events)] == [1, 2, 3]
    assert len(finished(events).sequences) == 3


def test_prompts_that_cannot_be_run_are_refused_before_the_search(small: ModelSession) -> None:
    search = BeamSearch(small)
    with pytest.raises(EmptyPromptError):
        search.run(History(), DecodingSettings(), BeamSettings())
    with pytest.raises(PromptTooLongError):
        search.run(History((10,) * (tiny.CONTEXT + 1)), DecodingSettings(), BeamSettings())


def test_a_search_that_fills_the_context_ends_with_what_is_there_and_says_so(small: ModelSession) -> None:
    text = History(tuple(range(10, 10 + tiny.CONTEXT - 2)))
    events = list(BeamSearch(small).run(text, DecodingSettings(max_tokens=9), BeamSettings(beams=3)))
    assert len(steps_of(events)) == 2
    assert finished(events).reason is SearchEnd.CONTEXT_FULL
    assert [(len(one.ids), one.finished) for one in finished(events).sequences] == [(2, False)] * 3
    exact = list(BeamSearch(small).run(text, DecodingSettings(max_tokens=2), BeamSettings(beams=3)))
    assert finished(exact) == BeamsFinished(finished(events).sequences, SearchEnd.MAX_TOKENS)


def test_a_text_that_fills_the_context_gives_nothing_and_runs_nothing(small: ModelSession) -> None:
    text = History((10,) * tiny.CONTEXT)
    events = list(BeamSearch(small).run(text, DecodingSettings(), BeamSettings()))
    assert events == [BeamsFinished((), SearchEnd.CONTEXT_FULL)]


def test_an_end_token_at_the_first_step_is_a_whole_text(small: ModelSession) -> None:
    end = int(prefill(small, TEXT.prompt).argmax())
    text = replace(TEXT, end_ids=(end,))
    search = BeamSearch(small)
    events = list(search.run(text, DecodingSettings(), BeamSettings(beams=1)))
    (found,) = finished(events).sequences
    assert (found.ids, found.finished, finished(events).reason) == ((end,), True, SearchEnd.FINISHED)
    assert search.answer(found, text, DecodingSettings()) == ""
    assert steps_of(events)[0].candidates[0].fate is Fate.FINISHED


@pytest.mark.parametrize("keep", [False, True])
def test_a_stop_text_finishes_a_beam_and_is_left_out_unless_it_is_kept(small: ModelSession, keep: bool) -> None:
    search, decode = BeamSearch(small), small.tokenizer.decode
    (plain,) = finished(list(search.run(TEXT, DecodingSettings(max_tokens=6), BeamSettings(beams=1)))).sequences
    stop = decode(plain.ids[2:4])
    assert stop not in decode(plain.ids[:3])
    settings = DecodingSettings(max_tokens=6, stop=(stop,), keep_stop=keep)
    (found,) = finished(list(search.run(TEXT, settings, BeamSettings(beams=1)))).sequences
    assert (found.ids, found.finished) == (plain.ids[:4], True)
    assert search.answer(found, TEXT, settings) == decode(plain.ids[: 4 if keep else 2])


def test_generated_text_before_the_search_counts_for_penalties_but_is_no_part_of_the_answer(
    small: ModelSession,
) -> None:
    text = History(TEXT.prompt[:2], TEXT.prompt[2:])
    search, settings = BeamSearch(small), DecodingSettings(max_tokens=4)
    plain = finished(list(search.run(text, settings, BeamSettings())))
    assert plain == finished(list(search.run(TEXT, settings, BeamSettings())))
    best = plain.sequences[0]
    assert search.answer(best, text, settings) == small.tokenizer.decode(best.ids)
    penalised = replace(settings, presence_penalty=3.0)
    step = steps_of(list(search.run(text, penalised, BeamSettings(beams=10))))[0]
    logprobs = {
        c.token_id: c.logprob for c in steps_of(list(search.run(TEXT, penalised, BeamSettings(beams=10))))[0].candidates
    }
    shared = [c for c in step.candidates if c.token_id in logprobs]
    assert shared
    for candidate in shared:
        lowered = 3.0 if candidate.token_id in text.generated else 0.0
        assert candidate.logprob == pytest.approx(logprobs[candidate.token_id] - lowered, abs=1e-5)


def test_drawn_beams_repeat_with_their_seed_and_differ_with_another(small: ModelSession) -> None:
    search = BeamSearch(small)

    def draw(seed: int) -> list[BeamEvent]:
        return list(search.run(TEXT, DecodingSettings(temperature=1.0, seed=seed, max_tokens=5), BeamSettings()))

    assert draw(1) == draw(1)
    assert finished(draw(1)) != finished(draw(2))


def test_a_cut_that_leaves_one_token_leaves_one_beam(small: ModelSession) -> None:
    settings = DecodingSettings(temperature=1.0, top_k=1, max_tokens=4)
    events = list(BeamSearch(small).run(TEXT, settings, BeamSettings(beams=3)))
    assert [len(step.candidates) for step in steps_of(events)] == [1] * 4
    greedy = finished(list(BeamSearch(small).run(TEXT, DecodingSettings(max_tokens=4), BeamSettings(beams=1))))
    assert [one.ids for one in finished(events).sequences] == [one.ids for one in greedy.sequences]


def test_bans_that_leave_no_token_end_the_search_with_their_error(small: ModelSession) -> None:
    settings = DecodingSettings(banned_tokens=tuple(range(small.card.architecture.vocabulary)))
    with pytest.raises(NothingLeftError):
        list(BeamSearch(small).run(TEXT, settings, BeamSettings()))


def test_a_search_leaves_the_sessions_own_cache_alone(small: ModelSession) -> None:
    prefill(small, range(10, 16))
    undisturbed = one_by_one(small, [20, 21])
    prefill(small, range(10, 16))
    one = small.sequence.feed([20])[1]
    list(BeamSearch(small).run(TEXT, DecodingSettings(max_tokens=4), BeamSettings()))
    assert np.array_equal(np.stack([one, small.sequence.feed([21])[1]]), undisturbed)


def test_a_search_shows_the_prompts_progress_and_can_be_left_and_begun_again(built_model: Path) -> None:
    search = BeamSearch(session_of(built_model))
    events = iter(search.run(History(PROSE[:300]), DecodingSettings(max_tokens=3), BeamSettings()))
    assert next(events) == BeamPrefill(256, 300)
    events.close()
    again = list(search.run(History(FRANCE), DecodingSettings(max_tokens=1), BeamSettings(beams=2)))
    assert session_of(built_model).tokenizer.decode(finished(again).sequences[0].ids) == " Paris"


def test_an_interrupt_of_the_sessions_decoder_ends_a_search_and_the_next_one_is_whole(built_model: Path) -> None:
    session = session_of(built_model)
    search, done = BeamSearch(session), threading.Event()
    settings, beams = DecodingSettings(max_tokens=6), BeamSettings(beams=3)
    undisturbed = list(search.run(History(FRANCE), settings, beams))

    def interrupt() -> None:
        while not done.is_set():
            session.sequence.decoder.interrupt()
            time.sleep(0.001)

    events = search.run(History(FRANCE), settings, beams)
    seen = [next(events), next(events)]
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(InterruptedStepError):
        seen += events
    done.set()
    thread.join()
    assert seen == undisturbed[: len(seen)]
    assert list(search.run(History(FRANCE), settings, beams)) == undisturbed

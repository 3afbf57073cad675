"""Many draws: each is an ordinary run of its number, whatever is beside it, and counts follow the prediction."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.pipeline import History, choose, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import InterruptedStepError
from canopy_desktop.exploration.draws import Continuation, continuations, first_draws
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.records import RunFinished, StepRecord
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import one_by_one, plain_prompt, prefill, session_of
from tests.reference import fixtures

FRANCE = fixtures.prompt_logits("france")
IDS = (40, 41, 42, 43, 44)
WARM = DecodingSettings(temperature=1.0, seed=7, max_tokens=10)
PENALISED = replace(WARM, repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty=0.7, top_k=40, min_tokens=2)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def drawn(
    session: ModelSession, ids: Sequence[int], settings: DecodingSettings, count: int, **options: int
) -> list[Continuation]:
    """All continuations of a prompt, by their numbers."""
    logits = prefill(session, ids)
    first = first_draws(logits, History(tuple(ids), end_ids=session.card.end_ids), settings, count)
    events = list(continuations(first, session.sequence.decoder, session.tokenizer, **options))
    found = sorted((one for event in events for one in event.finished), key=lambda one: one.draw)
    assert [one.draw for one in found] == list(range(count))
    assert tuple(one.token_ids[0] for one in found) == first.token_ids
    assert events[-1].tokens == sum(len(one.token_ids) for one in found)
    return found


def ordinary_run(session: ModelSession, ids: Sequence[int], settings: DecodingSettings) -> list[StepRecord]:
    generation = session.new_generation()
    generation.begin(1, plain_prompt(ids), settings)
    return steps_of(generation)


def steps_of(generation: Generation) -> list[StepRecord]:
    """The steps of a run to its end."""
    events = []
    while not isinstance(event := generation.advance(), RunFinished):
        events.append(event)
    return [event for event in events if isinstance(event, StepRecord)]


@pytest.mark.parametrize("settings", [WARM, PENALISED, DecodingSettings(max_tokens=10)], ids=["warm", "all", "greedy"])
def test_draw_0_is_the_ordinary_run_with_this_seed(built_model: Path, settings: DecodingSettings) -> None:
    session = session_of(built_model)
    steps = ordinary_run(session, FRANCE.ids, settings)
    found = drawn(session, FRANCE.ids, settings, 3)[0]
    assert found.token_ids == tuple(step.chosen.token_id for step in steps)
    assert found.total_logprob == pytest.approx(steps[-1].total_logprob, abs=1e-12)
    assert steps[-1].check.reason is found.reason


@pytest.mark.parametrize("settings", [WARM, PENALISED], ids=["warm", "all"])
def test_every_draw_is_the_run_that_draws_its_number_alone(small: ModelSession, settings: DecodingSettings) -> None:
    for one in drawn(small, IDS, settings, 4):
        logits, text = prefill(small, IDS), list[int]()
        for _ in one.token_ids:
            history = History(IDS, tuple(text), small.card.end_ids)
            found = pipeline(logits, settings, history)
            text.append(choose(found, settings, len(IDS) + len(text), one.draw).token_id)
            logits = one_by_one(small, text[-1:])[0]
        assert one.token_ids == tuple(text)


def test_a_draw_depends_neither_on_their_number_nor_on_the_batches(small: ModelSession) -> None:
    settings = replace(WARM, temperature=2.0, max_tokens=12)
    whole = drawn(small, IDS, settings, 11)
    for count, rows in ((11, 1), (11, 3), (5, 8), (11, 11)):
        assert drawn(small, IDS, settings, count, rows=rows) == whole[:count]
    assert len({one.token_ids for one in whole}) > 5


def test_batches_of_the_real_model_give_each_draw_its_own_bits(built_model: Path) -> None:
    session = session_of(built_model)
    settings = replace(WARM, max_tokens=6)
    assert drawn(session, FRANCE.ids, settings, 5, rows=5) == drawn(session, FRANCE.ids, settings, 5, rows=2)


def test_draws_from_a_later_step_go_on_as_the_run_went_on_there(small: ModelSession) -> None:
    steps = ordinary_run(small, IDS, PENALISED)
    text = tuple(step.chosen.token_id for step in steps)
    small.sequence.go_to(small.sequence.slots[: len(IDS) + 3])
    logits = small.head.logits(small.sequence.columns.residuals(small.sequence.slots[-1:], -1))[0]
    first = first_draws(logits, History(IDS, text[:3], small.card.end_ids), replace(PENALISED, max_tokens=7), 4)
    events = list(continuations(first, small.sequence.decoder, small.tokenizer))
    (found,) = [one for event in events for one in event.finished if one.draw == 0]
    assert found.token_ids == text[3:]
    assert found.total_logprob == pytest.approx(sum(step.chosen.raw_logprob for step in steps[3:]))


def test_the_first_tokens_are_counted_against_the_probabilities_after_the_settings(built_model: Path) -> None:
    session = session_of(built_model)
    settings = replace(WARM, top_k=30)
    logits = prefill(session, FRANCE.ids)
    found = first_draws(logits, History(FRANCE.ids), settings, 200)
    counted = found.frequencies(5)
    assert [i for i, _ in counted.tokens] == pipeline(logits, settings).top(5).tolist()
    for token_id, frequency in counted.tokens:
        assert frequency.predicted == pipeline(logits, settings).probabilities[token_id]
        assert frequency.count == found.token_ids.count(token_id)
    assert counted.other_tokens == 25
    assert sum(frequency.agrees for _, frequency in counted.tokens) >= 3
    assert counted.chi_square.p_value is not None
    assert counted.chi_square.p_value > 1e-3


def test_greedy_draws_are_all_the_likeliest_token_and_certain(small: ModelSession) -> None:
    greedy = DecodingSettings(max_tokens=4)
    logits = prefill(small, IDS)
    first = first_draws(logits, History(IDS), greedy, 50)
    counted = first.frequencies(3)
    ((token_id, frequency),) = counted.tokens
    assert (token_id, frequency.predicted, frequency.count) == (int(logits.argmax()), 1.0, 50)
    assert (counted.other_tokens, counted.chi_square.degrees_of_freedom) == (0, 0)
    found = drawn(small, IDS, greedy, 20)
    assert len({one.token_ids for one in found}) == 1


def test_one_draw_of_one_token_costs_no_pass_and_has_an_interval(small: ModelSession) -> None:
    settings = replace(WARM, max_tokens=1)
    logits = prefill(small, IDS)
    small.sequence.decoder.hold()
    try:
        first = first_draws(logits, History(IDS), settings, 1)
        (event,) = continuations(first, small.sequence.decoder, small.tokenizer)
    finally:
        small.sequence.decoder.release()
    assert event.tokens == 1
    assert event.finished[0].token_ids == first.token_ids
    assert first.frequencies(1).tokens[0][1].interval[1] > 0.2


def test_draws_end_each_for_its_own_reason_and_the_others_go_on(small: ModelSession, tmp_path: Path) -> None:
    settings = replace(WARM, temperature=3.0, max_tokens=12)
    plain = drawn(small, IDS, settings, 8)
    end_id = plain[2].token_ids[4]
    stop = small.tokenizer.token(plain[5].token_ids[3]).text
    ending = ModelSession.open(
        Bundle.open(tiny.build(tmp_path, tokenizer__ggml__eos_token_id=end_id)), ProviderChoice.CPU
    )
    found = drawn(ending, IDS, replace(settings, stop=(stop,)), 8)
    assert {one.reason for one in found} > {StopReason.END_TOKEN, StopReason.STOP_SEQUENCE}
    for one, whole in zip(found, plain, strict=True):
        assert one.token_ids == whole.token_ids[: len(one.token_ids)]
        assert stop not in one.text
        match one.reason:
            case StopReason.END_TOKEN:
                assert one.token_ids[-1] == end_id
                assert one.text == ending.tokenizer.decode(one.token_ids[:-1])
            case StopReason.STOP_SEQUENCE:
                assert one.text == ending.tokenizer.decode(one.token_ids).split(stop)[0]
            case reason:
                assert reason is StopReason.MAX_TOKENS
                assert one == whole
    kept = drawn(ending, IDS, replace(settings, stop=(stop,), keep_stop=True), 8)
    assert [one.text for one in kept if one.reason is StopReason.STOP_SEQUENCE] == [
        one.text + stop for one in found if one.reason is StopReason.STOP_SEQUENCE
    ]


@pytest.mark.parametrize("window", [None, 20])
def test_a_draw_ends_where_the_window_does(small: ModelSession, window: int | None) -> None:
    size = window or tiny.CONTEXT
    ids = tuple(range(40, 40 + size - 3))
    logits = prefill(small, ids)
    first = first_draws(logits, History(ids), WARM, 3)
    events = list(continuations(first, small.sequence.decoder, small.tokenizer, window=window))
    found = [one for event in events for one in event.finished]
    assert [(len(one.token_ids), one.reason) for one in found] == [(3, StopReason.CONTEXT_FULL)] * 3


def test_draws_show_progress_and_leave_the_sessions_cache_alone(small: ModelSession) -> None:
    prefill(small, IDS)
    undisturbed = one_by_one(small, [60, 61])
    logits = prefill(small, IDS)
    first = first_draws(logits, History(IDS), replace(WARM, max_tokens=4), 5)
    events = continuations(first, small.sequence.decoder, small.tokenizer, rows=3)
    one = next(events)
    assert (one.tokens, one.finished) == (3, ())
    assert [drawn.token_id for drawn in one.drawn] == list(first.token_ids[:3])
    again = one_by_one(small, [60, 61])  # the session goes on, and changes its cache, between two items
    rest = list(events)
    assert np.array_equal(again, undisturbed)
    assert [event.tokens for event in rest] == [6, 9, 12, 14, 16, 18, 20]
    assert [one for event in rest for one in event.finished] == drawn(small, IDS, replace(WARM, max_tokens=4), 5)


def test_an_interrupt_ends_draws_and_they_can_be_begun_again(built_model: Path) -> None:
    session = session_of(built_model)
    logits = prefill(session, FRANCE.ids)
    first = first_draws(logits, History(FRANCE.ids), replace(WARM, max_tokens=200), 16)
    done = threading.Event()

    def interrupt() -> None:
        while not done.is_set():
            session.sequence.decoder.interrupt()
            time.sleep(0.001)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(InterruptedStepError):
        list(continuations(first, session.sequence.decoder, session.tokenizer))
    done.set()
    thread.join()
    again = continuations(first, session.sequence.decoder, session.tokenizer)
    assert [next(again).tokens for _ in range(2)] == [8, 16]

"""With the cache and without: the same bits where both round alike, and the cache's size is what its formula says."""

import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import EmptyPromptError, InterruptedStepError, PromptTooLongError
from canopy_desktop.exploration.cache_size import cache_size
from canopy_desktop.exploration.measurements import RaceEvent, RaceFinished, RaceProgress, RaceStep
from canopy_desktop.exploration.race import Race
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.throughput import branch_costs, throughput
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import one_by_one, prefill, session_of
from tests.reference import fixtures

FRANCE = fixtures.prompt_logits("france")
PROSE = fixtures.prompt_logits("prose").ids


@pytest.fixture(params=["int8", "fp32"])
def session(request: pytest.FixtureRequest, built_model: Path, built_fp32_model: Path) -> ModelSession:
    return session_of(built_model if request.param == "int8" else built_fp32_model)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def steps_of(events: list[RaceEvent]) -> list[RaceStep]:
    return [event for event in events if isinstance(event, RaceStep)]


@pytest.mark.parametrize("prompt", [FRANCE.ids, FRANCE.ids[:1], PROSE[:255]], ids=["short", "one token", "two chunks"])
def test_refeeding_two_tokens_gives_the_tokens_and_bits_of_no_cache(session: ModelSession, prompt) -> None:
    steps = steps_of(list(Race(session).run(prompt, 3)))
    assert len(steps) == 3
    for step in steps:
        assert step.refed.difference == 0.0
        assert step.refed.token_id == step.without_cache.token_id == step.token_id
        assert min(step.without_cache.ms, step.refed.ms, step.cached.ms) > 0


def test_the_cached_runner_is_ordinary_decoding_and_differs_by_rounding_alone(session: ModelSession) -> None:
    steps = steps_of(list(Race(session).run(FRANCE.ids, 4)))
    text = [step.token_id for step in steps]
    assert steps[0].cached.difference == 0.0
    prefill(session, FRANCE.ids)
    alone = one_by_one(session, text[:-1])
    for fed, (step, logits) in enumerate(zip(steps[1:], alone, strict=True), 1):
        whole = prefill(session, (*FRANCE.ids, *text[:fed]))
        assert step.cached.difference == float(np.abs(logits - whole).max())
        assert step.cached.token_id == int(logits.argmax())
        assert step.without_cache.token_id == int(whole.argmax())
    assert max(step.cached.difference for step in steps) < 2.0


def test_the_race_writes_the_reference_continuation(built_fp32_model: Path) -> None:
    steps = steps_of(list(Race(session_of(built_fp32_model)).run(FRANCE.ids, 8)))
    sure = FRANCE.greedy.surely(2e-3)[:8]
    assert sure
    assert tuple(step.token_id for step in steps)[: len(sure)] == sure
    assert [step.position for step in steps] == list(range(len(FRANCE.ids), len(FRANCE.ids) + 8))


def test_a_race_over_a_given_text_follows_it_to_its_end(small: ModelSession) -> None:
    events = list(Race(small).run([10, 11, 12], 9, given=[20, 0, 22]))
    assert [step.token_id for step in steps_of(events)] == [20, 0, 22]
    assert events[-1] == RaceFinished(StopReason.MAX_TOKENS)
    whole = prefill(small, [10, 11, 12, 20, 0])
    assert steps_of(events)[2].without_cache.token_id == int(whole.argmax())


def test_a_race_ends_where_the_context_does(small: ModelSession) -> None:
    events = list(Race(small).run(range(10, 10 + tiny.CONTEXT - 2), 9, given=[20] * 9))
    assert len(steps_of(events)) == 2
    assert events[-1] == RaceFinished(StopReason.CONTEXT_FULL)


def test_a_race_ends_at_an_end_token(small: ModelSession) -> None:
    race = Race(small)
    chosen = steps_of(list(race.run([10, 11], 1)))[0].token_id
    race._end_ids = (chosen,)
    assert list(race.run([10, 11], 5))[1:] == [RaceFinished(StopReason.END_TOKEN)]


def test_prompts_that_cannot_be_run_are_refused_before_the_race(small: ModelSession) -> None:
    with pytest.raises(EmptyPromptError):
        Race(small).run([], 4)
    with pytest.raises(PromptTooLongError):
        Race(small).run([10] * (tiny.CONTEXT + 1), 4)


def test_a_race_leaves_the_sessions_own_cache_alone(small: ModelSession) -> None:
    prefill(small, range(10, 16))
    undisturbed = one_by_one(small, [20, 21])
    prefill(small, range(10, 16))
    one = small.sequence.feed([20])[1]
    race = Race(small)
    assert len(steps_of(list(race.run([30, 31, 32], 5, given=[33] * 5)))) == 5
    assert [reading.requests for reading in throughput(small, (1, 3), steps=2)] == [1, 3]
    assert [cost.branches for cost in branch_costs(small, (1, 3), steps=2)] == [1, 3]
    assert np.array_equal(np.stack([one, small.sequence.feed([21])[1]]), undisturbed)


def test_a_race_shows_progress_between_chunks_and_can_be_left_and_begun_again(built_model: Path) -> None:
    session = session_of(built_model)
    race = Race(session)
    events = race.run(PROSE[:300], 3)
    assert next(events) == RaceProgress(256, 300)
    events.close()
    again = steps_of(list(race.run(FRANCE.ids, 2)))
    assert session.tokenizer.decode([again[0].token_id]) == " Paris"
    assert [step.refed.difference for step in again] == [0.0, 0.0]


def test_an_interrupt_of_the_sessions_decoder_ends_a_race(built_model: Path) -> None:
    session = session_of(built_model)
    race = Race(session)
    done = threading.Event()

    def interrupt() -> None:
        while not done.is_set():
            session.sequence.decoder.interrupt()
            time.sleep(0.001)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(InterruptedStepError):
        list(race.run(PROSE[:200], 20))
    done.set()
    thread.join()
    assert steps_of(list(race.run(FRANCE.ids, 2)))[1].refed.difference == 0.0


def test_the_caches_formula_is_what_is_measured(session: ModelSession) -> None:
    race = Race(session)
    steps = steps_of(list(race.run(FRANCE.ids, 3)))
    size = race.cache_size()
    a = session.card.architecture
    assert size.positions == len(FRANCE.ids) + len(steps) - 1
    assert size.used == size.predicted == size.positions * 2 * a.layers * a.kv_heads * a.head_size * 4
    assert size.allocated == size.capacity * a.kv_bytes_per_token >= size.used
    assert len(size.layers) == a.layers
    assert sum(layer.key_bytes + layer.value_bytes for layer in size.layers) == size.predicted_per_position
    assert all(one == other for one, other in pairwise(size.layers))


def test_an_empty_cache_has_no_bytes_in_use(small: ModelSession) -> None:
    small.sequence.forget()
    size = cache_size(small.sequence.decoder)
    assert (size.positions, size.used, size.predicted) == (0, 0, 0)

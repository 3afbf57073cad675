"""Times and sizes of a run, from its events."""

import numpy as np
import pytest

from canopy_desktop.exploration.metrics import Footprint, MetricsLog
from canopy_desktop.exploration.records import (
    ChosenBy,
    PrefillProgress,
    PromptAccepted,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.model.chat import TemplatedPrompt
from tests.support.records import step_record


def accepted() -> PromptAccepted:
    return PromptAccepted(run_id=1, prompt=TemplatedPrompt("ab", (1, 2), (), ()), context=100)


def prefill(done: int, ms: float) -> PrefillProgress:
    return PrefillProgress(run_id=1, done=done, total=20, ms=ms, slots=())


def step(ms: float, chosen_by: ChosenBy = ChosenBy.GREEDY) -> StepRecord:
    return step_record(chosen_by=chosen_by, ms=ms)


def slide(ms: float) -> WindowSlid:
    return WindowSlid(run_id=1, node=0, kept=0, first=0, last=3, slots=(9, 10), ms=ms)


def logged(*events: PromptAccepted | PrefillProgress | StepRecord | WindowSlid) -> MetricsLog:
    log = MetricsLog()
    for event in events:
        log.add(event)
    return log


def test_the_first_token_takes_the_prefill_and_the_first_step() -> None:
    view = logged(accepted(), prefill(10, 30.0), prefill(20, 50.0), step(8.0), step(4.0)).view(
        context_used=22, memory_bytes=0
    )
    assert view.ttft_ms == 58.0
    assert view.prefill_tokens_per_s == pytest.approx(400)


def test_time_per_token_leaves_the_first_token_out() -> None:
    log = logged(accepted(), prefill(20, 50.0), step(1000.0), *(step(float(ms)) for ms in range(1, 101)))
    view = log.view(context_used=0, memory_bytes=0)
    assert view.tpot_ms_median == pytest.approx(50.5)
    assert view.tpot_ms_p95 == pytest.approx(95.05)
    assert view.tokens_per_s == pytest.approx(100 * 1000 / 5050)
    np.testing.assert_array_equal(view.step_ms, np.arange(1, 101))


def test_slides_are_counted_apart_from_the_steps_but_one_before_the_first_token_delays_it() -> None:
    view = logged(accepted(), prefill(20, 50.0), slide(30.0), step(5.0), step(6.0), slide(40.0), step(6.0)).view(
        context_used=0, memory_bytes=0
    )
    assert view.slide_ms == (30.0, 40.0)
    assert view.ttft_ms == 85.0
    np.testing.assert_array_equal(view.step_ms, [6.0, 6.0])


def test_what_was_not_measured_is_none() -> None:
    view = MetricsLog().view(context_used=0, memory_bytes=5)
    assert (view.ttft_ms, view.tpot_ms_median, view.tpot_ms_p95) == (None, None, None)
    assert (view.tokens_per_s, view.prefill_tokens_per_s) == (None, None)
    assert view.memory_bytes == 5


def test_a_token_that_a_person_chose_is_no_measured_step() -> None:
    view = logged(accepted(), prefill(20, 50.0), step(5.0), step(1.0, ChosenBy.PERSON), step(7.0)).view(
        context_used=0, memory_bytes=0
    )
    assert view.tpot_ms_median == 7.0


def test_another_prompt_starts_the_figures_anew() -> None:
    view = logged(accepted(), prefill(20, 50.0), step(5.0), slide(9.0), accepted()).view(context_used=0, memory_bytes=0)
    assert view.ttft_ms is None
    assert view.slide_ms == ()
    assert view.step_ms.size == 0
    assert view.context == 100


def test_a_cleared_log_keeps_no_footprint() -> None:
    log = logged(accepted(), prefill(20, 50.0))
    log.footprint = Footprint(cache_bytes=3, columns_bytes=4, budget_bytes=9)
    view = log.view(context_used=0, memory_bytes=0)
    assert (view.cache_bytes, view.columns_bytes, view.budget_bytes) == (3, 4, 9)
    log.clear()
    assert log.view(context_used=0, memory_bytes=0).cache_bytes == 0


def test_a_step_is_found_by_what_it_chose_if_its_time_was_measured() -> None:
    steps = [
        step_record(node=node, chosen_by=chosen_by, ms=5.0)
        for node, chosen_by in (
            (0, ChosenBy.GREEDY),
            (1, ChosenBy.GREEDY),
            (2, ChosenBy.PERSON),
            (4, ChosenBy.SAMPLED),
            (7, ChosenBy.GREEDY),
        )
    ]
    view = logged(accepted(), prefill(20, 50.0), *steps).view(context_used=0, memory_bytes=0)
    assert view.step_nodes == (1, 4, 7)
    found = [view.step_of(node) for node in (1, 4, 7)]
    assert found == [0, 1, 2]
    assert [view.step_of(node) for node in (None, 0, 2, 5, 8)] == [None] * 5

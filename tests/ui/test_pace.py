"""How often the window is painted, and who gives way to it."""

import os
import sys
import threading

import pytest

from canopy_ui.pace import FASTEST_MS, SLOWEST_MS, Pace
from canopy_ui.priority import NICENESS, step_behind_the_window


def pace_of(costs_s: list[float]) -> Pace:
    total = [sum(costs_s[:i]) for i in range(len(costs_s) + 1)]
    pace = Pace(iter(total).__next__)
    for _ in costs_s:
        pace.note_repaint()
    return pace


@pytest.mark.parametrize(("cost_ms", "interval_ms"), [(1, FASTEST_MS), (9, 60), (12, 80), (80, SLOWEST_MS)])
def test_a_dear_paint_is_followed_by_a_longer_wait(cost_ms: int, interval_ms: int) -> None:
    assert pace_of([cost_ms / 1000]).interval_ms(busy=True) == interval_ms


def test_one_dear_paint_slows_only_the_next() -> None:
    assert pace_of([0.080, 0.001]).interval_ms(busy=True) == FASTEST_MS


def test_nothing_waits_while_the_model_rests() -> None:
    assert pace_of([0.080]).interval_ms(busy=False) == FASTEST_MS


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of single threads is Linux's")
def test_a_thread_that_steps_back_takes_those_it_starts_with_it_and_nobody_else() -> None:
    found: list[int] = []

    def niceness() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def run() -> None:
        step_behind_the_window()
        niceness()
        inner = threading.Thread(target=niceness)
        inner.start()
        inner.join()

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [max(before, NICENESS)] * 2 or found == [NICENESS] * 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before

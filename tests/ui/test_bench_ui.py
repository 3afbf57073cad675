"""`bench --ui` listens to the event loop of the real window."""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from canopy_desktop import cli
from canopy_desktop.errors import EngineError
from canopy_ui import app
from canopy_ui.bench_ui import Bench, NotMeasuredError, text_of_length
from tests.support import scripted
from tests.support.scripted import ScriptedSession

TOKENS = 12
BLOCKED_MS = 120


@pytest.fixture(scope="module")
def bench(qapp: QApplication) -> Iterator[Bench]:
    made = Bench(scripted.opener_of(ScriptedSession()))
    made.controller.set_interval(20)
    yield made
    made.close()
    made.controller.shutdown()


def test_every_token_is_timed_and_the_gaps_are_those_of_the_run(bench: Bench) -> None:
    for context in (3, 30):  # the second run begins where the first one ended
        seen = bench.full_speed(context, TOKENS)
        assert seen.context == context
        assert seen.step_ms.shape == (TOKENS - 1,)
        assert len(seen.gaps_ms) > TOKENS


def test_no_prompt_is_longer_than_the_models_context_allows(bench: Bench) -> None:
    assert bench.possible((3, 30, 4_000), TOKENS) == (3, 30, 300 - TOKENS)
    assert bench.possible((16, 4_000), 1_000) == (1,)
    seen = bench.full_speed(300 - TOKENS, TOKENS)
    assert seen.step_ms.shape == (TOKENS - 1,)


def test_whatever_blocks_the_event_loop_is_a_gap(bench: Bench) -> None:
    assert float(np.median(bench.full_speed(5, TOKENS).gaps_ms)) < BLOCKED_MS
    blocking = bench.controller.state_changed.connect(lambda: time.sleep(BLOCKED_MS / 1000))
    assert bench.full_speed(6, TOKENS).gaps_ms.max() > BLOCKED_MS - 10
    bench.controller.disconnect(blocking)


def test_a_run_that_fails_is_told_and_not_measured(bench: Bench) -> None:
    QTimer.singleShot(60, lambda: bench.controller.failed.emit(EngineError("The decoder has gone.")))
    with pytest.raises(EngineError, match="The decoder has gone"):
        bench.full_speed(7, TOKENS)


def test_without_a_model_there_is_nothing_to_measure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.controller, "session", None)
    with pytest.raises(NotMeasuredError):
        bench.start(3, TOKENS)


@pytest.mark.parametrize("tokens", [1, 16, 4_000])
def test_the_text_has_as_many_tokens_as_asked_for(tokens: int) -> None:
    tokenizer = ScriptedSession().tokenizer
    assert len(tokenizer.encode(text_of_length(tokenizer, tokens)).ids) == tokens


def test_the_core_alone_says_that_it_has_no_window(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--ui"]) == 2
    assert "canopy-desktop bench --ui" in capsys.readouterr().err


def test_wrong_use_is_found_before_the_window_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["bench", "--ui", "--contexts", "none"]) == 2
    assert "--contexts takes whole numbers" in capsys.readouterr().err


def test_the_windows_figures_come_last_and_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"event_loop_gap_ms_p99": 12.3, "event_loop_gap_ms_max": 45.6}
    measured = {"model": "m", "contexts": [], "memory_mb": 1.0, "load_ms": 1.0, "kept_bytes": 1, "ui": figures}

    def bench_and_window(arguments: argparse.Namespace) -> cli.JsonObject:
        assert arguments.ui
        return measured

    assert cli.main(["bench", "--ui"], {"bench": bench_and_window}) == 0
    assert "p99 12 ms, longest 46 ms" in capsys.readouterr().out

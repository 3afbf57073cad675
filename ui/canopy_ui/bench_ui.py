"""`bench --ui`: the gaps of the window's event loop while the model generates at full speed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.view import MetricsView
from canopy_desktop.model.tokenizer import Tokenizer
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.display import display_is_reachable
from canopy_ui.garbage import settle_garbage
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.program import make_application, write_log
from canopy_ui.state import RunPhase, RunState
from canopy_ui.worker import Opener

CONTEXTS = (16, 4_000)  # tokens of the prompt
TOKENS = 112  # generated after each
SIZE = (1280, 720)
TICK_MS = 5
PATIENCE_MS = 600_000  # a busy machine takes many times as long as a quiet one
_WORDS = " The student wrote the exam and then walked home through the old town while it was raining."


class NotMeasuredError(CanopyError):
    """The window did not get as far as it had to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FullSpeed:
    """What was seen while one text grew. Times in milliseconds."""

    context: int  # tokens of the prompt
    gaps_ms: FloatArray  # (ticks,) how late a precise timer was, while the model generated
    step_ms: FloatArray  # (tokens - 1,) of each token but the first


def event_loop(model: str | None, provider: str, contexts: Sequence[int] = CONTEXTS) -> dict[str, Any]:
    """What `bench --ui` adds: the worst of all contexts, in workspace Generate at 1280x720. Raises `CanopyError`."""
    if not display_is_reachable():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    write_log()
    with_window = Bench(opener_of(model, provider))
    with_window.controller.model_opened.connect(settle_garbage)
    try:
        gaps = [with_window.full_speed(context).gaps_ms for context in with_window.possible(contexts)]
    finally:
        with_window.close()
    return {
        "event_loop_gap_ms_p99": max(float(np.percentile(found, 99)) for found in gaps),
        "event_loop_gap_ms_max": max(float(found.max()) for found in gaps),
    }


class Bench(QObject):
    """The real window, and somebody who drives it and listens to its event loop."""

    def __init__(self, opener: Opener, size: tuple[int, int] = SIZE) -> None:
        """Open the window and load the model; returns at once. No window manager limits `size`."""
        make_application()
        super().__init__()
        preferences = replace(Preferences(), theme="light")
        self.controller = Controller(opener, preferences)
        self.window = MainWindow(self.controller, preferences, _forget)
        if QApplication.platformName() == "offscreen":
            self.window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
        self.window.resize(*size)
        self._error: Exception | None = None
        self._metrics: MetricsView | None = None
        self._gaps_ms: list[float] = []
        self._last = 0.0
        self._wanted: tuple[RunPhase, ...] = ()
        self._loop = QEventLoop()
        self._ticks = QTimer(self, interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._ticks.timeout.connect(self._on_tick)
        self._patience = QTimer(self, interval=PATIENCE_MS, singleShot=True)
        self._patience.timeout.connect(self._loop.quit)
        self.controller.state_changed.connect(self._on_state_changed)
        self.controller.metrics_changed.connect(self._on_metrics_changed)
        self.controller.failed.connect(self._on_failed)
        self.window.show()
        self.controller.open()

    def possible(self, contexts: Sequence[int], tokens: int = TOKENS) -> tuple[int, ...]:
        """The same prompts, none longer than what leaves the model's context room for the tokens."""
        self.wait_for(RunPhase.READY, RunPhase.FINISHED, RunPhase.PAUSED)
        session = self.controller.session
        size = 0 if session is None else session.card.architecture.context
        return tuple(sorted({max(1, min(context, size - tokens)) for context in contexts}))

    def full_speed(self, context: int, tokens: int = TOKENS) -> FullSpeed:
        """Generate after a prompt of so many tokens. Raises `NotMeasuredError`, or what kept the run from ending."""
        self.wait_for(RunPhase.READY, RunPhase.FINISHED, RunPhase.PAUSED)
        self._gaps_ms.clear()
        self._last = time.perf_counter()
        self._ticks.start()
        self.start(context, tokens)
        self.wait_for(RunPhase.FINISHED)
        self._ticks.stop()
        metrics = self._metrics_at_the_end()
        if metrics is None or not self._gaps_ms:
            raise NotMeasuredError("The window saw nothing of the run, so it was not measured: try again.")
        return FullSpeed(context=context, gaps_ms=np.array(self._gaps_ms), step_ms=metrics.step_ms)

    def start(self, context: int, tokens: int) -> None:
        """Begin a run that always gives the same text."""
        session = self.controller.session
        if session is None:
            raise NotMeasuredError("There is no model, so nothing was measured.")
        self.controller.wishes.set_decoding(full_speed_settings(tokens))
        self.controller.draft.edit(PromptRequest(text=text_of_length(session.tokenizer, context)))
        self.controller.run()

    def wait_for(self, *phases: RunPhase) -> None:
        """Return when the run is in one of these phases. Raises as `full_speed` does."""
        self._wanted = phases
        if self.controller.state.phase not in phases:
            self._patience.start()
            self._loop.exec()
            self._patience.stop()
        error, self._error = self._error, None
        if error is not None:
            raise error
        if self.controller.state.phase not in phases:
            raise NotMeasuredError("The window did not come to rest in time, so it was not measured: try again.")

    def close(self) -> None:
        """End the run, the window and its threads."""
        self.window.close()
        QApplication.processEvents()

    def _metrics_at_the_end(self) -> MetricsView | None:
        """Of the run that is over, as soon as that was painted."""
        self._loop.exec()
        return self._metrics

    @Slot()
    def _on_tick(self) -> None:
        now = time.perf_counter()
        if self.controller.state.phase is RunPhase.RUNNING:
            self._gaps_ms.append(1000 * (now - self._last) - TICK_MS)
        self._last = now

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        if state.phase in self._wanted:
            self._loop.quit()

    @Slot(object)
    def _on_metrics_changed(self, metrics: MetricsView) -> None:
        self._metrics = metrics
        if self.controller.state.phase is RunPhase.FINISHED:
            self._loop.quit()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._error = error
        self._loop.quit()


def full_speed_settings(tokens: int) -> DecodingSettings:
    """Sampled from the whole vocabulary, which is the dearest way, and never shorter than `tokens`."""
    return DecodingSettings(temperature=1.0, seed=1, min_tokens=tokens, max_tokens=tokens)


def text_of_length(tokenizer: Tokenizer, tokens: int) -> str:
    """A text that is encoded as so many tokens."""
    sentence = tokenizer.encode(_WORDS).ids
    return tokenizer.decode((sentence * (1 + tokens // len(sentence)))[:tokens])


def _forget(preferences: Preferences) -> None:
    """A measurement changes nothing that a person set."""

"""Measures what a person feels in the real window, and prints one JSON object.

    .venv/bin/python benchmarks/window.py [--contexts 16,380] [--tokens 112]

Run it on a quiet machine, with QT_QPA_PLATFORM=offscreen or on a display. Figures: from the start of the process to the
first paint of the window, from there to the first token of the default prompt, the gaps of the event loop and the time
per token while it generates at full speed with all docks open (lateness of a precise 5 ms timer), the time from a
press of Pause to the pause, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from PySide6.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.view import MetricsView
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.garbage import settle_garbage
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.program import make_application
from canopy_ui.state import RunPhase, RunState

TICK_MS = 5
PATIENCE_MS = 120_000
WORDS = "The student wrote the exam and then walked home through the old town while it was raining . "


class FirstPaint(QObject):
    """Notes when a widget is painted for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.at: float | None = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Watch for a paint."""
        if event.type() == QEvent.Type.Paint and self.at is None:
            self.at = time.time()
        return False


class Probe(QObject):
    """Drives the controller, and notes how late a precise timer is."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller
        self.first_token_at: float | None = None
        self.gaps_ms: list[float] = []
        self.metrics: MetricsView | None = None
        self._last = 0.0
        self._wanted: RunPhase | None = None
        self._loop = QEventLoop()
        self._ticks = QTimer(self, interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._ticks.timeout.connect(self._on_tick)
        controller.state_changed.connect(self._on_state_changed)
        controller.metrics_changed.connect(self._on_metrics_changed)

    def wait_for(self, phase: RunPhase) -> None:
        """Return when the controller enters a phase."""
        self._wanted = phase
        patience = QTimer(singleShot=True, interval=PATIENCE_MS)
        patience.timeout.connect(self._loop.quit)
        patience.start()
        if self.controller.state.phase is not phase:
            self._loop.exec()
        if self.controller.state.phase is not phase:
            raise SystemExit(f"The window did not come to {phase.value}; it is {self.controller.state.phase.value}.")

    def watch(self) -> None:
        """Begin to note gaps."""
        self.gaps_ms.clear()
        self._last = time.perf_counter()
        self._ticks.start()

    @Slot()
    def _on_tick(self) -> None:
        now = time.perf_counter()
        if self.controller.state.phase is RunPhase.RUNNING:
            self.gaps_ms.append(1000 * (now - self._last) - TICK_MS)
        self._last = now

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        if state.generated and self.first_token_at is None:
            self.first_token_at = time.time()
        if state.phase is self._wanted:
            self._loop.quit()

    @Slot(object)
    def _on_metrics_changed(self, metrics: MetricsView) -> None:
        self.metrics = metrics


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", default="16,380", help="prompt lengths, in tokens")
    parser.add_argument("--tokens", type=int, default=112, help="tokens generated after each")
    wanted = parser.parse_args()
    started = time.time() - _age_s()
    app = make_application()
    preferences = replace(Preferences(), decoding=DecodingSettings(max_tokens=24))
    controller = Controller(opener_of(None, "auto"), preferences)
    window = MainWindow(controller, preferences, lambda _: None)
    window.resize(1280, 720)
    controller.model_opened.connect(settle_garbage)
    first_paint, probe = FirstPaint(), Probe(controller)
    app.installEventFilter(first_paint)
    window.show()
    controller.open()
    probe.wait_for(RunPhase.READY)
    app.removeEventFilter(first_paint)
    controller.run()
    probe.wait_for(RunPhase.FINISHED)
    shown, token = first_paint.at or started, probe.first_token_at or started
    result: dict[str, object] = {
        "window_shown_s": round(shown - started, 3),
        "first_token_after_window_s": round(token - shown, 3),
    }
    for context in (int(part) for part in wanted.contexts.split(",")):
        result[f"at_{context}_tokens"] = _full_speed(probe, context, wanted.tokens)
    result["pause_ms"] = _pause(probe)
    from canopy_desktop.commands.measure import peak_memory_bytes  # not above: the window does not wait for the engine

    result["peak_memory_mb"] = round(peak_memory_bytes() / 1e6, 1)
    window.close()
    QApplication.processEvents()
    print(json.dumps(result, indent=1))


def _age_s() -> float:
    """Seconds since this process was started."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.time() - psutil.Process().create_time()  # off by up to a second on some systems


def _start(probe: Probe, context: int, tokens: int) -> None:
    controller = probe.controller
    text = " ".join((WORDS * (1 + context // 10)).split()[:context])
    controller.set_decoding(DecodingSettings(temperature=1.0, seed=1, max_tokens=tokens))
    controller.draft.edit(PromptRequest(text=text))
    controller.run()


def _full_speed(probe: Probe, context: int, tokens: int) -> dict[str, object]:
    probe.watch()
    _start(probe, context, tokens)
    probe.wait_for(RunPhase.FINISHED)
    gaps = np.array(probe.gaps_ms)
    metrics = probe.metrics
    return {
        "tokens": metrics.context_used if metrics else None,
        "tpot_ms_median": round(metrics.tpot_ms_median or 0.0, 2) if metrics else None,
        "event_loop_gap_ms_p99": round(float(np.percentile(gaps, 99)), 1),
        "event_loop_gap_ms_max": round(float(gaps.max()), 1),
    }


def _pause(probe: Probe) -> float:
    controller = probe.controller
    _start(probe, 17, 400)
    probe.wait_for(RunPhase.RUNNING)
    loop = QEventLoop()
    QTimer.singleShot(500, loop.quit)
    loop.exec()
    pressed = time.perf_counter()
    controller.pause()
    probe.wait_for(RunPhase.PAUSED)
    return round(1000 * (time.perf_counter() - pressed), 1)


if __name__ == "__main__":
    main()

"""Measures what a person feels in the real window, and prints one JSON object.

    .venv/bin/python benchmarks/window.py [--contexts 16,4000] [--tokens 112] [--runs 3]

Run it on a quiet machine, with QT_QPA_PLATFORM=offscreen or on a display. Figures: from the start of the process to the
first paint of the window, from there to the first token of the default prompt, and the process's peak memory after one
run of each context in workspace Generate; then, at each context, in Generate at 1280x720 and with every dock visible at
1920x1080, the time per token, the gaps of the event loop (lateness of a precise 5 ms timer), and what all that costs
against the same run without a window: both in turn, for the machine's speed changes by the minute. At last the time
from a press of Pause to the pause. `canopy-desktop bench --ui` measures the gaps alone.
"""

# ruff: noqa: E402  (the program's entry stops the search for garbage before it imports the rest, too)
from __future__ import annotations

import gc

import canopy_desktop  # noqa: F401  (before numpy: it keeps that to one thread)

gc.disable()

# isort: split

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication

from canopy_ui import layout
from canopy_ui.bench_ui import TOKENS, Bench, full_speed_settings, text_of_length
from canopy_ui.docks import DOCKS
from canopy_ui.garbage import settle_garbage
from canopy_ui.opening import opener_of
from canopy_ui.program import make_application
from canopy_ui.state import RunPhase, RunState
from canopy_ui.workspaces import Place, Workspace, column, row

if TYPE_CHECKING:
    from canopy_desktop.arrays import FloatArray
    from canopy_desktop.exploration.session import ModelSession

EVERYTHING = (1920, 1080)
RUN_ID = 1


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


class FirstToken(QObject):
    """Notes when the window tells of the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.at: float | None = None

    @Slot(object)
    def note(self, state: RunState) -> None:
        """Look at where the run stands."""
        if state.generated and self.at is None:
            self.at = time.time()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", default="16,4000", help="prompt lengths, in tokens")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="tokens generated after each")
    parser.add_argument("--runs", type=int, default=3, help="runs with and without a window, in turn")
    wanted = parser.parse_args()
    contexts = [int(part) for part in wanted.contexts.split(",")]
    started = time.time() - _age_s()
    first_paint, first_token = FirstPaint(), FirstToken()
    make_application().installEventFilter(first_paint)
    bench = Bench(opener_of(None, "auto"))
    bench.controller.state_changed.connect(first_token.note)
    bench.controller.model_opened.connect(settle_garbage)
    bench.wait_for(RunPhase.READY)
    QApplication.instance().removeEventFilter(first_paint)
    bench.controller.run()
    bench.wait_for(RunPhase.FINISHED)
    shown, token = first_paint.at or started, first_token.at or started
    result: dict[str, object] = {
        "window_shown_s": round(shown - started, 3),
        "first_token_after_window_s": round(token - shown, 3),
    }
    for context in contexts:
        bench.full_speed(context, wanted.tokens)
    from canopy_desktop.commands.measure import peak_memory_bytes  # not above: the window does not wait for the engine

    result["generate_peak_memory_mb"] = round(peak_memory_bytes() / 1e6, 1)
    alone = opener_of(None, "auto")(lambda share: None)
    result["generate"] = {context: _side_by_side(bench, alone, context, wanted) for context in contexts}
    _show_everything(bench)
    result["everything"] = {context: _side_by_side(bench, alone, context, wanted) for context in contexts}
    result["pause_ms"] = _pause(bench)
    bench.close()
    print(json.dumps(result, indent=1))


def _age_s() -> float:
    """Seconds since this process was started."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.time() - psutil.Process().create_time()  # off by up to a second on some systems


def _side_by_side(bench: Bench, session: ModelSession, context: int, wanted: argparse.Namespace) -> dict[str, float]:
    """Times per token of all tokens but the first of each run, and what the window costs."""
    shown, alone, gaps = [], [], []
    for _ in range(wanted.runs):
        seen = bench.full_speed(context, wanted.tokens)
        shown.append(seen.step_ms)
        gaps.append(seen.gaps_ms)
        alone.append(_alone(session, context, wanted.tokens))
    gaps_ms = np.concatenate(gaps)
    found = {"event_loop_gap_ms_p99": float(np.percentile(gaps_ms, 99)), "event_loop_gap_ms_max": float(gaps_ms.max())}
    for name, figure in (("median", np.median), ("mean", np.mean)):
        ours, bare = float(figure(np.concatenate(shown))), float(figure(np.concatenate(alone)))
        found |= {
            f"tpot_ms_{name}": ours,
            f"tpot_ms_{name}_alone": bare,
            f"cost_percent_{name}": 100 * (ours / bare - 1),
        }
    return {name: round(value, 2) for name, value in found.items()}


def _show_everything(bench: Bench) -> None:
    """Every dock side by side, none behind another."""
    bench.window.resize(*EVERYTHING)
    keys: list[Place] = [spec.key for spec in DOCKS]
    wide = math.ceil(math.sqrt(len(keys)))
    lines = [column(*((key, 1) for key in keys[at : at + wide])) for at in range(0, len(keys), wide)]
    everything = Workspace(name="everything", title="", tip="", body=row(*((line, 1) for line in lines)))
    layout.arrange(bench.window, bench.window.docks, {spec.key: spec.area for spec in DOCKS}, everything)
    for _ in range(3):  # layouts follow sizes, and panels follow layouts
        QApplication.processEvents()
    hidden = [key for key, dock in bench.window.docks.items() if dock.visibleRegion().isEmpty()]
    if hidden:
        raise SystemExit(f"These docks cannot be seen: {', '.join(hidden)}.")


def _alone(session: ModelSession, context: int, tokens: int) -> FloatArray:
    """The same run on this thread, with nobody looking: milliseconds of all tokens but the first."""
    from canopy_desktop.exploration.prompt import PromptRequest
    from canopy_desktop.exploration.records import RunFinished, StepRecord

    generation = session.new_generation()
    prompt = PromptRequest(text=text_of_length(session.tokenizer, context)).encoded(session.tokenizer, None)
    generation.begin(RUN_ID, prompt, full_speed_settings(tokens))
    step_ms = []
    while not isinstance(event := generation.advance(), RunFinished):
        if isinstance(event, StepRecord):
            step_ms.append(event.ms)
    return np.array(step_ms[1:])


def _pause(bench: Bench) -> float:
    bench.start(17, 400)
    bench.wait_for(RunPhase.RUNNING)
    loop = QEventLoop()
    QTimer.singleShot(500, loop.quit)
    loop.exec()
    pressed = time.perf_counter()
    bench.controller.pause()
    bench.wait_for(RunPhase.PAUSED)
    return round(1000 * (time.perf_counter() - pressed), 1)


if __name__ == "__main__":
    main()

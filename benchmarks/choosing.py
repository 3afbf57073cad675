"""Measures how long a moved setting takes to be seen, and prints one JSON object.

    .venv/bin/python benchmarks/choosing.py [--moves 200] [--gap-ms 60]

`data_ms`: from a change of settings to all that the chart shows of a past step (`ColumnReader.decision`, over the whole
vocabulary), for usual settings and with every stage at work. `painted_ms`: in the real window, from a move of the
temperature's slider to the end of the paint that shows it, `--gap-ms` from move to move, with every stage at work. Run
it on a quiet machine, with QT_QPA_PLATFORM=offscreen or on a display.

numpy must not be imported before the program, which keeps it to one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace

from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication

from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.view import WindowView
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.panels.sampling_panel import SamplingPanel
from canopy_ui.program import make_application
from canopy_ui.state import RunPhase, RunState
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.slider_field import TICKS

PATIENCE_MS = 120_000
USUAL = DecodingSettings(temperature=0.8, top_k=40, top_p=0.9, max_tokens=40, seed=1)
EVERY_STAGE = DecodingSettings(
    temperature=0.8, top_k=200, top_p=0.95, min_p=0.001, typical_p=0.99, repetition_penalty=1.1, presence_penalty=0.2,
    frequency_penalty=0.1, logit_bias=((50, 1.0),), banned_tokens=(60,), min_tokens=30, max_tokens=40, seed=1,
)  # fmt: skip


class Painted(QObject):
    """Notes when a chart has been painted with a temperature that is waited for."""

    def __init__(self, controller: Controller, chart: BarChart) -> None:
        super().__init__()
        self._chart = chart.viewport()
        self._chart.installEventFilter(self)
        self._shown: DecodingSettings | None = None
        self._wanted: DecodingSettings | None = None
        self._loop = QEventLoop()
        self._patience = QTimer(self, interval=PATIENCE_MS, singleShot=True)
        self._patience.timeout.connect(self._loop.quit)
        self.at: float | None = None
        controller.view_changed.connect(self._on_view_changed)

    def wait_for(self, settings: DecodingSettings) -> float:
        """The time, on the clock of `perf_counter`, at which they had been painted."""
        self._wanted, self.at = settings, None
        self._patience.start()
        self._loop.exec()
        if self.at is None:
            raise SystemExit("The chart was not painted in time.")
        return self.at

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the paint happen, then note the time."""
        if event.type() == QEvent.Type.Paint and self._wanted is not None and self._shown == self._wanted:
            self._wanted = None
            QTimer.singleShot(0, self, self._on_painted)  # comes after the paint that is under way
        return False

    @Slot()
    def _on_painted(self) -> None:
        self.at = time.perf_counter()
        self._loop.quit()

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._shown = view.distribution.settings if view.distribution is not None else None


def figures(times_ms: list[float]) -> dict[str, float]:
    """Median, 95th percentile and slowest."""
    return {
        "median": round(statistics.median(times_ms), 2),
        "p95": round(statistics.quantiles(times_ms, n=20, method="inclusive")[-1], 2),
        "max": round(max(times_ms), 2),
    }


def data_ms(session: ModelSession, slot: int, history: History, base: DecodingSettings, moves: int) -> list[float]:
    """One decision for each of so many temperatures."""
    reader, times = session.new_reader(), []
    position = len(history.prompt) + len(history.generated)
    for move in range(moves):
        settings = replace(base, temperature=0.3 + move / moves)
        began = time.perf_counter()
        decision = reader.decision(slot, settings, history, position, shown=10)
        times.append(1000 * (time.perf_counter() - began))
        if decision is None or decision.settings != settings:
            raise SystemExit("There was no decision.")
    return times


def painted_ms(controller: Controller, window: MainWindow, moves: int, gap_ms: int) -> list[float]:
    """One move of the temperature's slider after the other."""
    painted = Painted(controller, window.panel(ProbabilityPanel).findChildren(BarChart)[0])
    (slider,) = [
        slider
        for slider in window.panel(SamplingPanel).findChildren(QObject)
        if getattr(slider, "accessibleName", str)() == "Temperature, slider"
    ]
    times = []
    for move in range(moves):
        _rest(gap_ms)
        began = time.perf_counter()
        slider.setProperty("value", TICKS // 10 + move % 2 * 7 + move % (TICKS // 2))
        if controller.wishes.decoding == painted._shown:
            continue
        times.append(1000 * (painted.wait_for(controller.wishes.decoding) - began))
    return times


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--gap-ms", type=int, default=60)
    wanted = parser.parse_args()
    make_application()
    preferences = replace(Preferences(), decoding=EVERY_STAGE)
    controller = Controller(opener_of(None, "cpu"), preferences)
    window = MainWindow(controller, preferences, lambda _: None)
    window.resize(1280, 720)
    window.workspaces.show("choose")
    window.show()
    controller.open()
    _wait_for(controller, RunPhase.READY)
    controller.run()
    _wait_for(controller, RunPhase.FINISHED)
    controller.sight.select(24)
    _rest(500)
    painted = painted_ms(controller, window, wanted.moves, wanted.gap_ms)
    session = controller.session
    if session is None:
        raise SystemExit("There is no model.")
    ids = session.sequence.columns.token_ids(session.sequence.slots[:24]).tolist()
    history = History(tuple(ids[:14]), tuple(ids[14:]), tuple(session.card.end_ids))
    slot = int(session.sequence.slots[23])
    print(
        json.dumps(
            {
                "vocabulary": session.tokenizer.vocabulary_size,
                "moves": wanted.moves,
                "data_ms": figures(data_ms(session, slot, history, USUAL, wanted.moves)),
                "data_every_stage_ms": figures(data_ms(session, slot, history, EVERY_STAGE, wanted.moves)),
                "painted_ms": figures(painted),
            },
            indent=1,
        )
    )
    window.close()
    QApplication.processEvents()


def _rest(ms: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def _wait_for(controller: Controller, phase: RunPhase) -> None:
    loop = QEventLoop()
    patience = QTimer(singleShot=True, interval=PATIENCE_MS)
    patience.timeout.connect(loop.quit)
    patience.start()

    def look(state: RunState) -> None:
        if state.phase is phase:
            loop.quit()

    controller.state_changed.connect(look)
    if controller.state.phase is not phase:
        loop.exec()
    controller.state_changed.disconnect(look)
    if controller.state.phase is not phase:
        raise SystemExit(f"The window did not come to {phase.value}; it is {controller.state.phase.value}.")


if __name__ == "__main__":
    main()

"""Measures how long the token under the mouse takes to light up everywhere, and prints one JSON object.

    .venv/bin/python benchmarks/hovering.py [--tokens 500] [--moves 100]

In the real window, after a run to so many tokens: from the move of the mouse over a token of the text to the end of the
paint that lights it in every panel in sight, in each workspace that shows the text. The goal is 33 ms. Run it on a
quiet machine, with QT_QPA_PLATFORM=offscreen or on a display.

numpy must not be imported before the program, which keeps it to one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.program import make_application
from canopy_ui.state import RunPhase
from canopy_ui.widgets.token_text import TokenText
from canopy_ui.workspaces import TOKENS, WORKSPACES

PATIENCE_MS = 120_000
PAINT_MS = 5_000  # at most
BETWEEN_MS = 20  # moves
VIEWPORT = "qt_scrollarea_viewport"


class Painted(QObject):
    """Counts what is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.widgets: set[QWidget] = set()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Note who is painted, and let it happen."""
        if event.type() is QEvent.Type.Paint and isinstance(watched, QWidget):
            self.widgets.add(watched)
        return False


def lit_ms(text: TokenText, painted: Painted, position: int) -> float:
    """One move of the mouse over a token, until nothing is left to be painted."""
    viewport, none = text.viewport(), Qt.MouseButton.NoButton
    point = text.rect_of(position).center()
    where = QPointF(viewport.mapToGlobal(point.toPoint()))
    move = QMouseEvent(QEvent.Type.MouseMove, point, where, none, none, Qt.KeyboardModifier.NoModifier)
    painted.widgets.clear()
    began = time.perf_counter()
    QCoreApplication.sendEvent(viewport, move)
    while not painted.widgets:
        QCoreApplication.processEvents()
        if 1000 * (time.perf_counter() - began) > PAINT_MS:
            raise SystemExit(f"Token {position} was not lit.")
    return 1000 * (time.perf_counter() - began)


def measured(window: MainWindow, painted: Painted, tokens: int, moves: int) -> dict[str, object]:
    """So many moves from token to token of those in sight."""
    (text,) = window.docks[TOKENS].panel.findChildren(TokenText)
    area = text.viewport().rect().toRectF()
    seen = [chip for chip in range(tokens) if area.contains(text.rect_of(chip))]
    times, lit = [], set()
    for move in range(moves):
        _rest(BETWEEN_MS)
        times.append(lit_ms(text, painted, seen[move % len(seen)]))
        owners = (widget.parent() if widget.objectName() == VIEWPORT else widget for widget in painted.widgets)
        lit |= {type(owner).__name__ for owner in owners if type(owner).__module__.startswith("canopy_ui.widgets")}
    return {
        "median": round(statistics.median(times), 2),
        "p95": round(statistics.quantiles(times, n=20, method="inclusive")[-1], 2),
        "max": round(max(times), 2),
        "painted": sorted(lit),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--moves", type=int, default=100)
    wanted = parser.parse_args()
    make_application()
    preferences = replace(Preferences(), decoding=DecodingSettings(min_tokens=wanted.tokens, max_tokens=wanted.tokens))
    controller = Controller(opener_of(None, "cpu"), preferences)
    window = MainWindow(controller, preferences, lambda _: None)
    window.resize(1280, 720)
    window.show()
    controller.open()
    _wait_for(controller, RunPhase.READY)
    controller.run()
    _wait_for(controller, RunPhase.FINISHED)
    painted, found = Painted(), {}
    tokens = controller.state.prompt_tokens + controller.state.generated
    for workspace in WORKSPACES:
        if TOKENS in workspace.docks:
            window.workspaces.show(workspace.name)
            window.workspaces.reset()
            _settle(controller)
            QCoreApplication.instance().installEventFilter(painted)
            found[workspace.name] = measured(window, painted, tokens, wanted.moves)
            QCoreApplication.instance().removeEventFilter(painted)
    print(json.dumps({"tokens": tokens, "moves": wanted.moves, "lit_ms": found}, indent=1))
    window.close()
    QApplication.processEvents()


def _rest(ms: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def _settle(controller: Controller) -> None:
    """Until everything that is looked at is there, and painted."""
    loop = QEventLoop()
    controller.settled.connect(loop.quit)
    controller.touch()
    QTimer.singleShot(PATIENCE_MS, loop.quit)
    loop.exec()
    controller.settled.disconnect(loop.quit)
    _rest(500)


def _wait_for(controller: Controller, phase: RunPhase) -> None:
    end = time.perf_counter() + PATIENCE_MS / 1000
    while controller.state.phase is not phase:
        _rest(20)
        if time.perf_counter() > end or controller.state.phase is RunPhase.FAILED:
            raise SystemExit(f"The window did not come to {phase.value}; it is {controller.state.phase.value}.")


if __name__ == "__main__":
    main()

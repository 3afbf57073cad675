"""Measures how attention follows the wheel over a long text, and prints one JSON object.

    .venv/bin/python benchmarks/zooming.py [--tokens 8000] [--steps 40]

In the real window, workspace Attend at 1280x720: from a step of the wheel over the matrix to the paint of the last
picture, scaled, and until nothing is left to be read, the exact picture of the new part included. The goals are 50 and
150 ms. Run it on a quiet machine, with QT_QPA_PLATFORM=offscreen or on a display.
"""

from __future__ import annotations

import canopy_desktop  # noqa: F401  (first: it keeps numpy to one thread)

# isort: split

import argparse
import json
import statistics
import time
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent

from canopy_ui.bench_ui import Bench
from canopy_ui.controller import Controller
from canopy_ui.opening import opener_of
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.state import RunPhase
from canopy_ui.widgets.attention_matrix import AttentionMatrix

PATIENCE_MS = 60_000
NOTCH = 120  # of a wheel
DEEP = 6  # steps nearer, and as many back


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=8_000)
    parser.add_argument("--steps", type=int, default=40)
    wanted = parser.parse_args()
    bench = Bench(opener_of(None, "cpu"))
    bench.wait_for(RunPhase.READY)
    bench.window.workspaces.show("attend")
    bench.start(wanted.tokens, 2)
    bench.wait_for(RunPhase.FINISHED)
    settled_ms(bench.controller)
    (matrix,) = bench.window.panel(AttentionPanel).findChildren(AttentionMatrix)
    scaled, exact = [], []
    for step in range(wanted.steps):
        began = time.perf_counter()
        turn(matrix, 1 if step // DEEP % 2 == 0 else -1)
        matrix.repaint()
        scaled.append(1000 * (time.perf_counter() - began))
        exact.append(scaled[-1] + settled_ms(bench.controller))
    print(json.dumps({"tokens": wanted.tokens, "scaled_ms": figures(scaled), "exact_ms": figures(exact)}, indent=1))
    bench.close()


def turn(matrix: AttentionMatrix, notches: int) -> None:
    """The wheel over a place in the matrix's lower left."""
    place = QPointF(matrix.width() * 0.3, matrix.height() * 0.7)
    event = QWheelEvent(
        place, QPointF(matrix.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, notches * NOTCH),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QCoreApplication.sendEvent(matrix, event)


def settled_ms(controller: Controller) -> float:
    """Until everything that is looked at is there."""
    began, loop = time.perf_counter(), QEventLoop()
    controller.settled.connect(loop.quit)
    controller.touch()
    QTimer.singleShot(PATIENCE_MS, loop.quit)
    loop.exec()
    controller.settled.disconnect(loop.quit)
    return 1000 * (time.perf_counter() - began)


def figures(times: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    return {
        "median": round(statistics.median(times), 1),
        "p95": round(statistics.quantiles(times, n=20, method="inclusive")[-1], 1),
        "max": round(max(times), 1),
    }


if __name__ == "__main__":
    main()

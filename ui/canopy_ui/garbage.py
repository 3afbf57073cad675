"""Python's search for cyclic garbage, kept on the window's thread, and from stopping it."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer, Slot

SEARCH_MS = 500
FULL_SEARCHES = 200  # middle-aged collections before everything is searched; Python's own figure is 10


class GarbageSearch(QObject):
    """Searches on the thread that it was made on, instead of wherever Python happens to allocate.

    A widget that is part of a cycle would else be destroyed on the inference or the reader thread, which ends the
    program.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self, interval=SEARCH_MS)
        self._timer.timeout.connect(self._on_turn)
        self._timer.start()

    @Slot()
    def _on_turn(self) -> None:
        search_garbage()


def search_garbage() -> None:
    """Search the generations whose turn it is, by Python's own thresholds."""
    for generation in (2, 1, 0):
        count, threshold = gc.get_count()[generation], gc.get_threshold()[generation]
        if count > threshold > 0:
            gc.collect(generation)
            return


def settle_garbage(_session: object = None) -> None:
    """Let what the program is made of out of every later search, and have the long ones come seldom.

    To be called once, on the GUI thread, when the program is complete: the model is loaded. A full search of libraries,
    window and records takes 20 to 40 ms, in which no thread runs. What a run makes has no cycles, so it goes when
    nobody holds it any more.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_SEARCHES)

"""Python's search for cyclic garbage, kept from stopping the window."""

from __future__ import annotations

import gc

FULL_SEARCHES = 200  # middle-aged collections before everything is searched; Python's own figure is 10


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

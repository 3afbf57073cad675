"""Python's garbage search, kept on the window's thread, and from stopping it."""

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from canopy_ui.garbage import GarbageSearch

SETTLED = """
import gc
from canopy_ui.garbage import settle_garbage
held = [[] for _ in range(100_000)]
before = gc.get_threshold()
settle_garbage()
assert gc.get_freeze_count() > 100_000, gc.get_freeze_count()
assert len(gc.get_objects()) < 1_000, len(gc.get_objects())
assert gc.get_threshold()[:2] == before[:2]
assert gc.get_threshold()[2] > before[2]
"""


class Cycle:
    """Holds itself, so that only a search ends it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def searches(qtbot: QtBot) -> Iterator[GarbageSearch]:
    was_enabled = gc.isenabled()
    parent = QObject()
    yield GarbageSearch(parent)
    if was_enabled:
        gc.enable()


def test_what_is_there_when_the_program_is_complete_is_searched_no_more() -> None:
    finished = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_a_cycle_ends_on_the_windows_thread_however_much_another_one_allocates(
    searches: GarbageSearch, qtbot: QtBot
) -> None:
    ended_on: list[int] = []
    cycle = Cycle()
    weakref.finalize(cycle, lambda: ended_on.append(threading.get_ident()))
    del cycle
    kept: list[list[int]] = []
    other = threading.Thread(target=lambda: kept.extend([] for _ in range(200_000)))
    other.start()
    other.join()
    assert ended_on == []
    qtbot.waitUntil(lambda: bool(ended_on), timeout=5000)
    assert ended_on == [threading.get_ident()]

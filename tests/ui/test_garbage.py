"""Python's garbage search, kept from stopping the window."""

import subprocess
import sys

PROGRAM = """
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


def test_what_is_there_when_the_program_is_complete_is_searched_no_more() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr

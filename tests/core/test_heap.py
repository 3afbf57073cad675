"""Large blocks go back to the system when they are freed."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
import psutil
from canopy_desktop.heap import LARGE

resident = lambda: psutil.Process().memory_info().rss
np.ones(30 * LARGE, np.uint8)  # freeing one so large is what makes glibc keep the next ones
before = resident()
blocks = [np.ones(20 * LARGE, np.uint8) for _ in range(4)]
there = resident()
blocks.clear()
print((there - before) // LARGE, (resident() - before) // LARGE)
"""


GIVEN_BACK = """
import psutil
from canopy_desktop.heap import LARGE, give_back

resident = lambda: psutil.Process().memory_info().rss
blocks = [bytearray(2000) for _ in range(50_000)]
last = blocks.pop()  # at the heap's end, which so stays where it is
blocks.clear()
left = resident()
give_back()
print((left - resident()) // LARGE)
"""


FAULTS = """
import resource
import numpy as np
import canopy_desktop

faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
scores = np.ones(49152)
for _ in range(10):
    np.exp(scores)
before = faults()
for _ in range(100):
    np.exp(scores)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give back by themselves")
def test_freed_blocks_of_some_megabytes_do_not_stay_resident() -> None:
    """In a process of its own: what others did before to this one's memory changes what is seen."""
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    there, left = map(int, found.stdout.split())
    assert there > 70
    assert left < 10


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep it by themselves")
def test_arrays_over_a_vocabulary_are_not_taken_from_the_system_each_time() -> None:
    found = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 100  # of 96 pages each


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give back by themselves")
def test_small_blocks_below_one_that_stays_are_given_back_when_it_is_asked_for() -> None:
    found = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 50

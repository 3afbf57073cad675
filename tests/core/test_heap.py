"""Large blocks go back to the system when they are freed."""

import sys

import numpy as np
import psutil
import pytest

from canopy_desktop.heap import LARGE


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give back by themselves")
def test_freed_blocks_of_some_megabytes_do_not_stay_resident() -> None:
    process = psutil.Process()
    np.ones(30 * LARGE, np.uint8)  # freeing one so large is what makes glibc keep the next ones
    before = process.memory_info().rss
    blocks = [np.ones(20 * LARGE, np.uint8) for _ in range(4)]
    assert process.memory_info().rss > before + 70 * LARGE
    blocks.clear()
    assert process.memory_info().rss < before + 10 * LARGE

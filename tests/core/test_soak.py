"""Many runs and branches: memory does not grow."""

from pathlib import Path

import numpy as np
import psutil
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.records import RunFinished, StepRecord
from tests.core.engine import plain_prompt, session_of

RUNS, GROWTH_BYTES = 40, 40_000_000


@pytest.mark.slow
def test_many_runs_and_branches_leave_no_memory_behind(built_model: Path) -> None:
    session, process, random = session_of(built_model), psutil.Process(), np.random.default_rng(0)
    generation, sizes, tokens = session.new_generation(), [], 0
    for run in range(RUNS):
        ids = random.integers(100, 40_000, int(random.integers(1, 300))).tolist()
        generation.begin(run, plain_prompt(ids), DecodingSettings(temperature=1.0, seed=run, max_tokens=40))
        for branch in range(5):
            while not isinstance(event := generation.advance(), RunFinished):
                tokens += isinstance(event, StepRecord)
            path = generation.exploration.path(generation.exploration.cursor)
            if len(path) < 3:
                break
            fork = path[int(random.integers(1, len(path) - 1))]
            generation.choose(run, fork.node, fork.candidates[3].token_id)
            generation.resume(run, DecodingSettings(temperature=1.0, seed=run + branch, max_tokens=10))
        sizes.append(process.memory_info().rss)
    assert tokens > 2000
    assert max(sizes[RUNS // 2 :]) - max(sizes[: RUNS // 2]) < GROWTH_BYTES

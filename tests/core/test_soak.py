"""Many runs and branches: memory does not grow."""

import itertools
from pathlib import Path

import numpy as np
import psutil
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.records import RunFinished, StepRecord
from tests.core.engine import plain_prompt, session_of

TOKENS, GROWTH_BYTES = 20_000, 40_000_000


@pytest.mark.slow
def test_many_runs_and_branches_leave_no_memory_behind(built_model: Path) -> None:
    session, process, random = session_of(built_model), psutil.Process(), np.random.default_rng(0)
    generation, sizes, tokens = session.new_generation(), [], 0
    for run in itertools.count():
        if tokens >= TOKENS:
            break
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
    half = len(sizes) // 2
    assert max(sizes[half:]) - max(sizes[:half]) < GROWTH_BYTES

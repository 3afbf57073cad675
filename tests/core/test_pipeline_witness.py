"""The pipeline is transformers' processors, in their order, and vLLM's presence and frequency penalties."""

from collections import Counter

import numpy as np
import pytest

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.pipeline import Distribution, History, StageName, pipeline
from tests.reference import fixtures

CASES = fixtures.pipeline_cases()


def run(case: fixtures.PipelineCase) -> Distribution:
    history = History(prompt=case.prompt, generated=case.generated, end_ids=case.end_ids)
    return pipeline(case.logits, settings_json.completed(settings_json.checked(whole(case))), history)


def whole(case: fixtures.PipelineCase) -> dict[str, object]:
    """The settings with a maximum that their minimum allows."""
    return {"max_tokens": 100} | case.settings


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_same_tokens_are_kept_with_the_same_probabilities(case: fixtures.PipelineCase) -> None:
    found = run(case)
    kept = found.removed_by == 255
    assert np.array_equal(kept, case.kept)
    assert found.kept == kept.sum()
    assert np.abs(found.probabilities[case.ids] - case.probabilities).max() <= 1e-12
    assert float((found.probabilities**2).sum()) == pytest.approx(case.sum_of_squares, rel=1e-11)
    assert not found.probabilities[~kept].any()


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_every_stage_removes_as_many_tokens(case: fixtures.PipelineCase) -> None:
    stages = run(case).stages
    assert tuple(stage.name.value for stage in stages) == fixtures.PIPELINE_STAGES
    assert tuple(stage.kept for stage in stages) == case.counts
    assert [stage.removed for stage in stages] == [
        before - after for before, after in zip((case.logits.size, *case.counts), case.counts, strict=False)
    ]


def test_the_cases_use_every_setting_and_every_stage_that_can_remove_does() -> None:
    used = Counter(name for case in CASES for name in case.settings)
    assert all(used[name] >= 50 for name in settings_json.NAMES - {"max_tokens", "stop", "keep_stop", "seed"})
    removing = Counter(stage.name for case in CASES for stage in run(case).stages if stage.removed)
    assert all(removing[name] >= 20 for name in StageName if name.value.endswith(("_p", "_k")))
    assert all(removing[name] >= 20 for name in (StageName.RAW, StageName.BIAS, StageName.MIN_TOKENS))
    assert len(CASES) >= 240
    assert {case.logits.size for case in CASES} >= {1, 2000, 49152}

"""Records as a run makes them, for tests that need one and not a run."""

from dataclasses import replace
from typing import Any

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck
from canopy_desktop.exploration.records import Candidate, ChosenBy, StepRecord

GOES_ON = ContinuationCheck(
    end_token=False,
    stop=None,
    filtered=False,
    tokens=1,
    max_tokens=32,
    window_used=4,
    window=100,
    slides=False,
)
_ONLY = Candidate(1, 0.0, 0.0, 1.0)
_STEP = StepRecord(
    run_id=1,
    node=0,
    parent=-1,
    position=2,
    index=1,
    chosen=_ONLY,
    rank=1,
    rank_after=1,
    chosen_by=ChosenBy.GREEDY,
    candidates=(_ONLY,),
    vocabulary=9,
    kept=9,
    stages=(),
    entropy_bits=0.0,
    end=None,
    uniform=None,
    low=0.0,
    high=1.0,
    total_logprob=0.0,
    check=GOES_ON,
    guarding=None,
    settings=DecodingSettings(),
    source=0,
    ms=1.0,
)


def step_record(**changes: Any) -> StepRecord:
    """The first step after a prompt of two tokens, with one certain token, but for what is said."""
    return replace(_STEP, **changes)

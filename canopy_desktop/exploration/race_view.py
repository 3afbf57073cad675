"""What is shown of the race with and without the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.exploration.measurements import RaceStep

LATE = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RaceView:
    """The steps after the first, which is the same pass for all runners. Times in milliseconds."""

    lengths: DoubleArray = field(repr=False)  # (steps,) tokens of the text that a step follows
    without_cache: DoubleArray = field(repr=False)  # (steps,)
    refed: DoubleArray = field(repr=False)  # (steps,)
    cached: DoubleArray = field(repr=False)  # (steps,)
    refed_differences: DoubleArray = field(repr=False)  # (steps,) largest of any logit
    cached_differences: DoubleArray = field(repr=False)  # (steps,)
    same_choices: int  # steps at which the ordinary runner would choose the same token

    @property
    def steps(self) -> int:
        """How many there are."""
        return int(self.lengths.size)

    def late(self, times: DoubleArray) -> float:
        """What a runner takes at the end: the median of its last steps, up to five."""
        return float(np.median(times[-LATE:]))


def race_view(steps: Sequence[RaceStep]) -> RaceView:
    """Gather what the steps say."""
    later = steps[1:]
    return RaceView(
        lengths=np.array([step.position for step in later], np.float64),
        without_cache=np.array([step.without_cache.ms for step in later], np.float64),
        refed=np.array([step.refed.ms for step in later], np.float64),
        cached=np.array([step.cached.ms for step in later], np.float64),
        refed_differences=np.array([step.refed.difference for step in later], np.float64),
        cached_differences=np.array([step.cached.difference for step in later], np.float64),
        same_choices=sum(step.cached.token_id == step.without_cache.token_id for step in later),
    )

"""What measurements beside the text say, step by step: the race with and without cache, and requests at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from canopy_desktop.decoding.stopping import StopReason


@dataclass(frozen=True, slots=True)
class Lap:
    """One runner's part of a step."""

    token_id: int  # that it would choose
    ms: float
    difference: float  # its largest logit difference from the runner without the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStep:
    """One token of the text. At the first all three have the same pass, the prefill, which runs once."""

    position: int
    token_id: int  # the text's: given, or what the runner without the cache chose
    without_cache: Lap
    refed: Lap
    cached: Lap


@dataclass(frozen=True, slots=True)
class RaceProgress:
    """So many tokens of the text have been recomputed for the step under way."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RaceFinished:
    """Why no further step comes."""

    reason: StopReason


RaceEvent: TypeAlias = RaceProgress | RaceStep | RaceFinished


@dataclass(frozen=True, slots=True)
class Throughput:
    """So many requests decoded together."""

    requests: int
    tokens_per_s: float  # of all requests together, from the median step


@dataclass(frozen=True, slots=True)
class ThroughputProgress:
    """So many passes have been made for the reading under way."""

    requests: int
    done: int
    total: int

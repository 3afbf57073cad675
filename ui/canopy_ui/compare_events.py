"""What the window and the inference thread tell one another about a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from canopy_desktop.exploration.compare_view import Side, SideReading, SideWish
from canopy_desktop.exploration.records import StepRecord
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.tokenizer import Token, Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareCommand:
    """Run both; takes no run id, for nothing is recorded."""

    number: int  # of the comparison
    a: SideWish
    b: SideWish


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOpening:
    """So much of B's model is open."""

    number: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBegun:
    """A side's prompt was accepted."""

    number: int
    side: Side
    model: str
    weights: WeightForm
    prompt: tuple[Token, ...] = field(repr=False)
    text: str = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    same_vocabulary: bool  # as the other side


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRead:
    """So many of its prompt's tokens have passed through the model."""

    number: int
    side: Side
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SideStepped:
    """A side has another token."""

    number: int
    side: Side
    step: StepRecord


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompareOver:
    """Both sides ended, or were stopped; what they made can be read."""

    number: int
    a: SideReading
    b: SideReading


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareFailed:
    """It could not go on, or not begin."""

    number: int
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareLeft:
    """It was stopped before both sides had begun."""

    number: int


CompareEvent: TypeAlias = ModelOpening | SideBegun | SideRead | SideStepped | CompareOver | CompareFailed | CompareLeft

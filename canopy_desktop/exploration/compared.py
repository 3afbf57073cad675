"""What a comparison is about: runs that can be read again, what differs between them, and where texts part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.pipeline import Distribution, History, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.records import StepRecord
from canopy_desktop.model.chat import TemplatedPrompt

if TYPE_CHECKING:  # the window knows these facts before the engine's libraries are loaded
    from canopy_desktop.model.head import Head


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedRun:
    """A run from its prompt to its end."""

    model: str  # the bundle's id
    prompt: TemplatedPrompt
    settings: DecodingSettings
    end_ids: tuple[int, ...]
    steps: tuple[StepRecord, ...]
    residuals: FloatArray = field(repr=False)  # (steps, hidden): what each token was decided from, read-only
    reason: StopReason
    text: str  # what was answered

    def __post_init__(self) -> None:
        self.residuals.setflags(write=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """The generated tokens, an end token included."""
        return tuple(step.chosen.token_id for step in self.steps)


class Relation(Enum):
    """How two texts stand to one another."""

    EQUAL = "equal"
    A_BEGINS_B = "a_begins_b"  # B goes on where A ends
    B_BEGINS_A = "b_begins_a"
    PARTED = "parted"


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two texts part; by tokens, or by characters where the vocabularies are not the same."""

    relation: Relation
    tokens: int | None  # that both begin with: the place of the first one that differs
    tokens_at_end: int | None  # that both end with, after they parted
    characters: int  # that both begin with


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting that the two runs do not share."""

    name: str  # of the field
    a: Any
    b: Any


def differing_settings(a: DecodingSettings, b: DecodingSettings) -> tuple[SettingDifference, ...]:
    """The settings that are not the same, in the order of the fields."""
    values = [(entry.name, getattr(a, entry.name), getattr(b, entry.name)) for entry in fields(DecodingSettings)]
    return tuple(SettingDifference(name, one, other) for name, one, other in values if one != other)


def shared_beginning(a: Sequence[object], b: Sequence[object]) -> int:
    """With how many items both begin."""
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return place
    return min(len(a), len(b))


def parting(a: str, b: str, ids: tuple[Sequence[int], Sequence[int]] | None) -> Parting:
    """Where two texts part; `ids` are their tokens, None where the vocabularies are not the same."""
    characters = shared_beginning(a, b)
    if ids is None:
        return Parting(_relation(len(a), len(b), characters), None, None, characters)
    one, other = ids
    tokens = shared_beginning(one, other)
    at_end = shared_beginning(one[tokens:][::-1], other[tokens:][::-1])
    return Parting(_relation(len(one), len(other), tokens), tokens, at_end, characters)


def distribution_at(run: ComparedRun, place: int, head: Head) -> Distribution:
    """The distribution that a token was chosen from, made again, bit for bit."""
    logits = head.logits(run.residuals[place : place + 1])[0]
    return pipeline(logits, run.settings, History(run.prompt.ids, run.ids[:place], run.end_ids))


def _relation(a_length: int, b_length: int, shared: int) -> Relation:
    if shared == a_length == b_length:
        return Relation.EQUAL
    if shared == a_length:
        return Relation.A_BEGINS_B
    return Relation.B_BEGINS_A if shared == b_length else Relation.PARTED

"""What is shown of two runs beside one another: what each is asked for, their texts, and one step of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import zip_longest
from math import exp
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from canopy_desktop.decoding.divergence import Divergence, final_divergence, raw_divergence
from canopy_desktop.decoding.pipeline import KEPT, Distribution, rest, top_ids
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.settings_json import CUTS
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.compared import (
    ComparedRun,
    Parting,
    SettingDifference,
    distribution_at,
    shared_beginning,
)
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import StepRecord
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.tokenizer import Token, Tokenizer

if TYPE_CHECKING:
    from canopy_desktop.model.head import Head

BARS = 8  # tokens that are drawn, beside those that were chosen
AROUND = 3  # prompt tokens that are shown before and after where two prompts differ
TEMPLATE_TOKENS = 500  # that a chat template adds, at most by far
LONGEST = 120  # prompt tokens of a side that are shown


class Side(Enum):
    """Which of the two."""

    A = "a"
    B = "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideWish:
    """What one side runs."""

    request: PromptRequest
    settings: DecodingSettings
    window: ContextWindow = field(default_factory=ContextWindow)
    model: Path | None = None  # a bundle's folder; None: the model that is open

    @property
    def most_tokens(self) -> int:
        """How long its text can become, whatever the model's tokens are: none is shorter than a byte."""
        written = sum(len(message.text.encode("utf-8", "replace")) for message in self.request.messages())
        return written + TEMPLATE_TOKENS + self.settings.max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SideChoice:
    """What a side has otherwise than what it follows: A follows the window, B follows A."""

    text: str | None = None
    chat: bool | None = None
    history: bool = True
    facts: bool = True
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # of settings, by field
    model: Path | None = None

    def over(self, followed: SideWish) -> SideWish:
        """The side's wish. Raises `SettingsError` where the settings contradict one another."""
        request = followed.request if self.text is None else replace(followed.request, text=self.text)
        if self.chat is not None:
            request = replace(request, chat=self.chat)
        if not self.history:
            request = replace(request, with_history=False)
        if not self.facts:
            request = replace(request, facts=())
        settings = with_changes(followed.settings, self.changes)
        return replace(followed, request=request, settings=settings, model=self.model)


def with_changes(settings: DecodingSettings, changes: Mapping[str, Any]) -> DecodingSettings:
    """Other settings; a cut that is added to greedy ones samples at 1. Raises `SettingsError`."""
    assumed = {"temperature": 1.0} if settings.greedy and CUTS & changes.keys() else {}
    return replace(settings, **(assumed | dict(changes)))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides to begin with."""

    name: str
    a: SideChoice
    b: SideChoice


_GREEDY, _SAMPLED = {"temperature": 0.0}, {"temperature": 1.0}
PAIRS = (
    Pair("Temperature 0.1 and 1.2", SideChoice(changes={"temperature": 0.1}), SideChoice(changes={"temperature": 1.2})),
    Pair("The same seed twice", SideChoice(changes=_SAMPLED), SideChoice()),
    Pair("Another seed", SideChoice(changes=_SAMPLED | {"seed": 1}), SideChoice(changes={"seed": 2})),
    Pair(
        "A wide and a narrow task",
        SideChoice(changes=_GREEDY, text="Write a story", chat=True),
        SideChoice(text="Write a short story about a robot"),
    ),
    Pair(
        "Two ways to ask",
        SideChoice(changes=_GREEDY, text="What is AI?", chat=True),
        SideChoice(text="Explain artificial intelligence in simple terms"),
    ),
)


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """A model that is installed, and what it would take to open it."""

    id: str
    folder: Path
    weights: WeightForm
    bytes: int  # of its weights: it takes at least as much memory


@dataclass(frozen=True, slots=True, eq=False)
class SideReading:
    """A run that is over, and what its distributions are made again with."""

    run: ComparedRun
    head: Head
    tokenizer: Tokenizer


@dataclass(frozen=True, slots=True)
class Share:
    """What one side gave a token."""

    raw: float  # probability before any setting
    final: float  # and after all of them; 0 where it was removed


@dataclass(frozen=True, slots=True)
class MirrorBar:
    """A token on both sides; None: the side has no such step, or its vocabulary no such token."""

    token: Token
    a: Share | None
    b: Share | None
    a_id: int | None  # the token's number in A's vocabulary


@dataclass(frozen=True, slots=True)
class Rest:
    """All tokens of a side that have no bar."""

    tokens: int
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPicture:
    """One step of both runs."""

    place: int  # from 0
    bars: tuple[MirrorBar, ...] = field(repr=False)  # the most probable of both together first
    a_rest: Rest | None
    b_rest: Rest | None
    raw: Divergence | None  # None: one side has no such step, or the vocabularies differ
    final: Divergence | None


def step_picture(
    a: SideReading, b: SideReading, place: int, *, same_vocabulary: bool, listed: int = BARS
) -> StepPicture:
    """Both distributions of a step, made again, with the `listed` likeliest tokens of both together.

    The chosen ones are always among them. Costs a pass through each head, and both pipelines.
    """
    sides = (a, b)
    found = [distribution_at(side.run, place, side.head) if place < len(side.run.steps) else None for side in sides]
    pairs: dict[tuple[int | None, int | None], float] = {}
    always = set()
    for number, (side, distribution) in enumerate(zip(sides, found, strict=True)):
        if distribution is None:
            continue
        chosen = side.run.ids[place]
        for token_id in (chosen, *_likeliest(distribution, listed)):
            twin = token_id if same_vocabulary else _twin(side.tokenizer.token(token_id), sides[1 - number].tokenizer)
            pair = (token_id, twin) if number == 0 else (twin, token_id)
            pairs[pair] = sum(_weight(one, pair[at]) for at, one in enumerate(found))
            if token_id == chosen:
                always.add(pair)
    order = sorted(pairs, key=lambda pair: -pairs[pair])
    shown = [pair for at, pair in enumerate(order) if at < listed or pair in always]
    one, other = found
    both = (one, other) if one is not None and other is not None and same_vocabulary else None
    return StepPicture(
        place=place,
        bars=tuple(_bar(sides, pair, (one, other)) for pair in shown),
        a_rest=_rest(one, [pair[0] for pair in shown]),
        b_rest=_rest(other, [pair[1] for pair in shown]),
        raw=raw_divergence(*both) if both else None,
        final=final_divergence(*both) if both else None,
    )


class CompareStage(Enum):
    """How far a comparison is."""

    EMPTY = "empty"
    OPENING = "opening"  # B's model
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def busy(self) -> bool:
        """Whether the model is at work on it."""
        return self in (CompareStage.OPENING, CompareStage.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SideView:
    """What a side has done so far."""

    model: str  # the bundle's id
    weights: WeightForm
    prompt: tuple[Token, ...] = field(repr=False)
    steps: tuple[StepRecord, ...] = field(default=(), repr=False)
    tokens: tuple[Token, ...] = field(default=(), repr=False)  # of the steps
    read: int = 0  # tokens of the prompt that have passed through the model
    reason: StopReason | None = None  # None: it goes on


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompareView:
    """Two runs as far as they are; sides are None before they begin."""

    stage: CompareStage = CompareStage.EMPTY
    opened: float = 0.0  # share of B's model that is open
    a: SideView | None = None
    b: SideView | None = None
    same_vocabulary: bool = True
    settings: tuple[SettingDifference, ...] = ()
    prompt: Parting | None = None
    text: Parting | None = None
    shared: int = 0  # steps that both texts begin with, token by token
    pictures: Mapping[int, StepPicture] = field(default_factory=dict, repr=False)  # by place, as far as they are read
    selected: int | None = None  # a step's place

    @property
    def busy(self) -> bool:
        """Whether the model is at work on it."""
        return self.stage.busy

    @property
    def length(self) -> int:
        """Steps of the longer side."""
        return max(len(side.tokens) if side else 0 for side in (self.a, self.b))

    @property
    def picture(self) -> StepPicture | None:
        """That of the selected step."""
        return None if self.selected is None else self.pictures.get(self.selected)


@dataclass(frozen=True, slots=True)
class PairedToken:
    """What stands at one place of both texts; `step` is None in the prompt."""

    a: Token | None
    b: Token | None
    step: int | None = None
    gap: int = 0  # tokens that are left out here, and no token stands here

    @property
    def same(self) -> bool:
        """Whether both have the same token here."""
        return self.a is not None and self.b is not None and self.a.data == self.b.data


def paired_prompt(a: Sequence[Token], b: Sequence[Token]) -> tuple[PairedToken, ...]:
    """Where two prompts differ, with a few tokens around it; nothing where they are equal.

    What both end with is told as left out, but for its first tokens, which stand side by side again.
    """
    data = _data(a), _data(b)
    first = shared_beginning(*data)
    if first == len(a) == len(b):
        return ()
    at_end = shared_beginning(data[0][first:][::-1], data[1][first:][::-1])
    pairs = _with_gap([PairedToken(same, same) for same in a[:first]], newest=True)
    middles = [side[first : len(side) - at_end] for side in (a, b)]
    cut = [middle[:LONGEST] for middle in middles]
    pairs += [PairedToken(one, other) for one, other in zip_longest(*cut)]
    if (over := max(len(middle) for middle in middles) - LONGEST) > 0:
        pairs.append(PairedToken(None, None, gap=over))
    return (*pairs, *_with_gap([PairedToken(same, same) for same in a[len(a) - at_end :]], newest=False))


def paired_steps(a: Sequence[Token], b: Sequence[Token]) -> tuple[PairedToken, ...]:
    """Step by step what both generated."""
    return tuple(PairedToken(one, other, step) for step, (one, other) in enumerate(zip_longest(a, b)))


def raw_probability(step: StepRecord) -> float:
    """What the model assigned to the chosen token."""
    return exp(step.chosen.raw_logprob)


def _with_gap(same: list[PairedToken], *, newest: bool) -> list[PairedToken]:
    """The last or first `AROUND` of tokens that both have, and how many are left out."""
    left = len(same) - AROUND
    if left <= 1:  # a mark for one token would take its place
        return same
    gap = [PairedToken(None, None, gap=left)]
    return [*gap, *same[left:]] if newest else [*same[:AROUND], *gap]


def _data(tokens: Sequence[Token]) -> tuple[bytes, ...]:
    return tuple(token.data for token in tokens)


def _likeliest(found: Distribution, count: int) -> list[int]:
    """By what the model assigned, and by what the settings made of it."""
    return [*found.top(count).tolist(), *top_ids(found.probabilities, count).tolist()]


def _twin(token: Token, tokenizer: Tokenizer) -> int | None:
    """The token with the same bytes in another vocabulary."""
    ids = tokenizer.encode(token.text, inside=True).ids
    return ids[0] if len(ids) == 1 and tokenizer.token(ids[0]).data == token.data else None


def _weight(found: Distribution | None, token_id: int | None) -> float:
    share = _share(found, token_id)
    return 0.0 if share is None else share.raw + share.final


def _share(found: Distribution | None, token_id: int | None) -> Share | None:
    if found is None or token_id is None:
        return None
    return Share(float(np.exp(found.raw_logprob(token_id))), float(found.probabilities[token_id]))


def _rest(found: Distribution | None, shown: Sequence[int | None]) -> Rest | None:
    if found is None:
        return None
    ids = [token_id for token_id in shown if token_id is not None]
    others = found.logits.size - len(ids)
    left = found.kept - int(np.count_nonzero(found.removed_by[ids] == KEPT))
    raw = rest([found.raw_probability(ids)], others)
    return Rest(others, Share(raw, rest(found.probabilities[ids].tolist(), left)))


def _bar(
    sides: tuple[SideReading, SideReading],
    pair: tuple[int | None, int | None],
    found: tuple[Distribution | None, Distribution | None],
) -> MirrorBar:
    a, b = (_share(one, token_id) for one, token_id in zip(found, pair, strict=True))
    return MirrorBar(_token(sides, pair), a, b, pair[0])


def _token(sides: tuple[SideReading, SideReading], pair: tuple[int | None, int | None]) -> Token:
    if pair[0] is not None:
        return sides[0].tokenizer.token(pair[0])
    assert pair[1] is not None, "a bar is of a token on one side at least"
    return sides[1].tokenizer.token(pair[1])

"""An exploration as it is kept: everything that can be read without the model, and what makes the rest again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from canopy_desktop.decoding.output_filter import OutputFilter
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.kept_attention import KeptAttention
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import UNMADE, ChosenBy, StepRecord, WindowSlid
from canopy_desktop.exploration.searching import Searched
from canopy_desktop.exploration.tree import Exploration, Stand
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.card import Card, WeightForm
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import Token, TokenTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """The model that made an exploration."""

    id: str
    title: str
    weights: WeightForm
    card_sha256: str  # of the card as it was built, which has the sum of every file

    @classmethod
    def of(cls, card: Card) -> ModelIdentity:
        """The identity of the model with this card."""
        sha256 = hashlib.sha256(card.as_built.to_json().encode()).hexdigest()
        return cls(id=card.id, title=card.title, weights=card.weights, card_sha256=sha256)

    def is_of(self, card: Card) -> bool:
        """Whether this is the model with this card, whatever it is called now."""
        return self.card_sha256 == ModelIdentity.of(card).card_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What an exploration began with."""

    model: ModelIdentity
    request: PromptRequest
    prompt: TemplatedPrompt
    context: int  # tokens that the window holds
    window: ContextWindow
    kept: int  # tokens at the prompt's beginning that no slide drops
    settings: DecodingSettings
    output_filter: OutputFilter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMarks:
    """What a person made of the branches."""

    names: tuple[tuple[int, str], ...] = ()  # (node, name), by node
    hidden: tuple[int, ...] = ()  # deleted nodes, with all below them
    found_names: tuple[tuple[int, int, str], ...] = ()  # (search, number of its token, name)
    found_hidden: tuple[tuple[int, int], ...] = ()  # (search, number of its token)

    def of(self, searches: Iterable[Searched]) -> KeptMarks:
        """Without those on tokens that none of these searches found."""
        sizes = {one.wish.number: len(one.found) for one in searches}
        names = tuple(mark for mark in self.found_names if 0 <= mark[1] < sizes.get(mark[0], 0))
        hidden = tuple(mark for mark in self.found_hidden if 0 <= mark[1] < sizes.get(mark[0], 0))
        return replace(self, found_names=names, found_hidden=hidden)


class KeptTokens:
    """The tokens that an exploration names, without a tokenizer."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self.by_id: Mapping[int, Token] = {token.id: token for token in tokens}

    def token(self, token_id: int) -> Token:
        """The token with this id. Raises `LookupError` for one that the exploration does not name."""
        return self.by_id[token_id]

    def tokens(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens with these ids."""
        return tuple(self.by_id[token_id] for token_id in ids)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptExploration:
    """One exploration. Its steps and slides name no columns: those are made again."""

    beginning: Beginning
    prefill_ms: float | None  # None: the prompt had not passed through the model yet
    steps: tuple[StepRecord, ...] = field(repr=False)  # by node
    slides: tuple[WindowSlid, ...] = field(repr=False)
    stand: Stand
    marks: KeptMarks = field(default_factory=KeptMarks)
    searches: tuple[Searched, ...] = ()  # that have ended, by number
    tokens: TokenTable = field(repr=False)
    attention: KeptAttention | None = field(default=None, repr=False)  # of a text; no journal has it

    def tree(self) -> Exploration:
        """A tree of its own."""
        tree = Exploration(self.beginning.prompt)
        for event in in_order(self.steps, self.slides):
            if isinstance(event, WindowSlid):
                tree.add_slide(event)
            else:
                tree.add(event)
        tree.stand_on(self.stand)
        return tree

    def goes_on_from(self, other: KeptExploration) -> bool:
        """Whether all that happened in the other one happened here first."""
        ways = [
            [(step.parent, step.chosen.token_id) for step in one.steps[: len(other.steps)]] for one in (self, other)
        ]
        slid = [{(slide.node, slide.kept, slide.last) for slide in one.slides} for one in (self, other)]
        return self.beginning == other.beginning and ways[0] == ways[1] and slid[0] >= slid[1]

    def unmade(self) -> KeptExploration:
        """The same after its columns were let go."""
        steps = tuple(replace(step, source=UNMADE) for step in self.steps)
        slides = tuple(replace(slide, slots=(UNMADE,) * len(slide.slots)) for slide in self.slides)
        return replace(self, steps=steps, slides=slides)

    @property
    def last(self) -> StepRecord | None:
        """The step on which one stands; None on the prompt."""
        return self.steps[self.stand.cursor] if self.stand.cursor >= 0 else None

    @property
    def taken(self) -> int:
        """Tokens that the run on whose last token one stands has taken; 0 where another run begins there."""
        last = self.last
        if last is None or last.chosen_by is ChosenBy.PERSON or last.check.reason is not None:
            return 0
        return last.check.tokens

    @property
    def settings(self) -> DecodingSettings:
        """Those to go on with."""
        return self.beginning.settings if self.last is None else self.last.settings

    @property
    def output_filter(self) -> OutputFilter | None:
        """The one to go on with."""
        if self.last is None:
            return self.beginning.output_filter
        return self.last.guarding.output_filter if self.last.guarding else None


def in_order(steps: Sequence[StepRecord], slides: Sequence[WindowSlid]) -> Iterator[StepRecord | WindowSlid]:
    """Steps and slides so that each comes after what it needs."""
    waiting = {slide.node: slide for slide in slides}
    for step in steps:
        if (slide := waiting.pop(step.parent, None)) is not None:
            yield slide
        yield step
    yield from waiting.values()


def named_ids(step: StepRecord) -> Iterator[int]:
    """The tokens that a step names."""
    yield step.chosen.token_id
    yield from (one.token_id for one in step.candidates)
    if step.guarding is not None:
        yield from (one.token_id for one in step.guarding.rejected)

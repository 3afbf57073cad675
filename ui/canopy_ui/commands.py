"""Commands to the inference thread that change where we stand; each takes a new run id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from canopy_desktop.arrays import IntArray
from canopy_desktop.decoding.output_filter import OutputFilter
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.inside_view import InsideView, InsideWish
from canopy_desktop.exploration.intervention import Block, BlockedStep
from canopy_desktop.exploration.kept import Beginning, KeptExploration, ModelIdentity
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.card import Card
from canopy_desktop.model.chat import TemplatedPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCommand:
    """Begin a new exploration; `play` False stays on the first token."""

    run_id: int
    prompt: TemplatedPrompt
    settings: DecodingSettings
    play: bool
    window: ContextWindow = field(default_factory=ContextWindow)
    kept: int = 0  # tokens at the prompt's beginning that no slide drops
    request: PromptRequest = field(default_factory=lambda: PromptRequest(text=""))  # that the prompt was made from
    output_filter: OutputFilter | None = None

    def beginning(self, card: Card, context: int) -> Beginning:
        """What is kept of it, on this card's model with a window of `context` tokens."""
        return Beginning(
            model=ModelIdentity.of(card),
            request=self.request,
            prompt=self.prompt,
            context=context,
            window=self.window,
            kept=self.kept,
            settings=self.settings,
            output_filter=self.output_filter,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenCommand:
    """Take up a kept exploration: its columns are made again, then it waits; of another model, it is only kept."""

    run_id: int
    kept: KeptExploration
    journal: Path | None  # that it came from, and that is not needed any more
    number: int = 0  # by which it may have been set aside; 0: it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeCommand:
    """Go on as a new run; `play` False takes one step."""

    run_id: int
    settings: DecodingSettings
    play: bool
    output_filter: OutputFilter | None = None
    branch_at: int | None = None  # a node to stand on first, with no branch ahead; None: where we stand


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseCommand:
    """Branch to a token that a person chose, and go on from there if `play`."""

    run_id: int
    parent: int
    token_id: int
    settings: DecodingSettings
    play: bool
    output_filter: OutputFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoToCommand:
    """Stand on a node, and wait there."""

    run_id: int
    node: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkCommand:
    """Choose one token after another after `parent`, and wait there: a searched text becomes a branch."""

    run_id: int
    parent: int
    token_ids: tuple[int, ...] = field(repr=False)
    settings: DecodingSettings
    output_filter: OutputFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemakeCommand:
    """Make again what made room, of the columns of a text, and wait there."""

    run_id: int
    slots: IntArray = field(repr=False)  # (length,)
    kind: Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockCommand:
    """Run a text without and with a block, beside the recorded one; takes no run id, for nothing is recorded."""

    wish: BlockWish
    ids: tuple[int, ...] = field(repr=False)  # up to the token whose next one is asked for
    block: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockResult:
    """What came of a block; a step, or the error that kept it, or neither where it was interrupted."""

    command: BlockCommand
    step: BlockedStep | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InsideResult:
    """The inside of a step, or the error that kept it, or neither where it was interrupted or the text is gone."""

    wish: InsideWish
    view: InsideView | None = None
    error: Exception | None = None

"""The workspaces as data: which docks each shows and where they stand, and what a person made of them."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from canopy_desktop.exploration.stages import StepStage

logger = logging.getLogger(__name__)

PROMPT, TOKENS, PROBABILITIES, ATTENTION, METRICS = "prompt", "tokens", "probabilities", "attention", "metrics"
SAMPLING = "sampling"
LENS, CACHE = "lens", "cache"
INSIDE = "inside"
BRANCHES = "branches"
COMPARE = "compare"


class Direction(Enum):
    """How the parts of a split lie."""

    ROW = "row"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Split:
    """Parts side by side, or one below the other, each with its share of the room."""

    direction: Direction
    parts: tuple[tuple[Place, int], ...]


Place: TypeAlias = str | Split  # a dock's key, or several docks


def row(*parts: tuple[Place, int]) -> Split:
    """Parts side by side."""
    return Split(Direction.ROW, parts)


def column(*parts: tuple[Place, int]) -> Split:
    """Parts one below the other."""
    return Split(Direction.COLUMN, parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A set of docks that answers one question."""

    name: str  # on the command line and in the settings
    title: str
    tip: str
    body: Place
    strip: str | None = None  # a dock below the others, as low as it can be

    @property
    def docks(self) -> tuple[str, ...]:
        """The docks that it shows, from left to right and from above."""
        return (*leaves(self.body), *((self.strip,) if self.strip else ()))


# The texts are translated in the context "Workspaces". Their order is that of the keys Ctrl+1, Ctrl+2 …
WORKSPACES = (
    Workspace(
        name="generate",
        title="Generate",
        tip="The text as it grows, and all that belongs to its newest token",
        body=row((PROMPT, 272), (TOKENS, 604), (column((PROBABILITIES, 52), (ATTENTION, 48)), 380)),
        strip=METRICS,
    ),
    Workspace(
        name="choose",
        title="Choose",
        tip="How the next token is chosen from all tokens of the model",
        body=row((SAMPLING, 290), (column((TOKENS, 46), (PROBABILITIES, 54)), 966)),
    ),
    Workspace(
        name="attend",
        title="Attend",
        tip="Where each token of the text looks",
        body=row((TOKENS, 480), (ATTENTION, 776)),
    ),
    Workspace(
        name="cache",
        title="Cache",
        tip="What the model keeps of the tokens that it read, what that takes, and what it saves",
        body=row((CACHE, 680), (column((TOKENS, 28), (METRICS, 72)), 576)),
    ),
    Workspace(
        name="lens",
        title="Lens",
        tip="What the model would say after each of its layers",
        body=row((TOKENS, 340), (LENS, 916)),
    ),
    Workspace(
        name="search",
        title="Search",
        tip="Every branch, beam and draw as one tree, to walk in",
        body=row((column((TOKENS, 54), (PROBABILITIES, 46)), 360), (BRANCHES, 896)),
    ),
    Workspace(
        name="inside",
        title="Inside",
        tip="How a token passes through one block of the model, number by number",
        body=column((TOKENS, 100), (INSIDE, 500)),
    ),
    Workspace(
        name="compare",
        title="Compare",
        tip="Two prompts, settings or models side by side, step by step",
        body=row((COMPARE, 1256)),
    ),
)
NAMES = tuple(workspace.name for workspace in WORKSPACES)
# The docks that show what happens at a stage of a step; the first that is there comes forward.
PANELS_OF_STAGE = {
    StepStage.TOKENISE: (PROMPT, TOKENS),
    StepStage.EMBED: (TOKENS,),
    StepStage.LAYERS: (ATTENTION, LENS),
    StepStage.LOGITS: (PROBABILITIES,),
    StepStage.PENALTIES: (PROBABILITIES, SAMPLING),
    StepStage.TEMPERATURE: (PROBABILITIES, SAMPLING),
    StepStage.CUT: (PROBABILITIES, SAMPLING),
    StepStage.DRAW: (PROBABILITIES,),
    StepStage.CONTINUE: (TOKENS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The workspace that was open, and each one's layout as Qt's window gave it."""

    workspace: str = NAMES[0]
    layouts: Mapping[str, bytes] = field(default_factory=dict)


def leaves(place: Place) -> Iterator[str]:
    """The docks at a place, in reading order."""
    if isinstance(place, str):
        yield place
    else:
        for part, _ in place.parts:
            yield from leaves(part)


def workspace_named(name: str) -> Workspace:
    """The workspace of that name; the first where there is none."""
    return next((workspace for workspace in WORKSPACES if workspace.name == name), WORKSPACES[0])


def packed(remembered: Remembered) -> bytes:
    """What `unpacked` reads."""
    layouts = {name: base64.b64encode(layout).decode("ascii") for name, layout in remembered.layouts.items()}
    return json.dumps({"workspace": remembered.workspace, "layouts": layouts}).encode()


def unpacked(data: bytes) -> Remembered:
    """What was remembered; defaults for what cannot be read.

    Before there were workspaces, `data` was the layout itself: it becomes that of the first one.
    """
    if not data:
        return Remembered()
    if not data.startswith(b"{"):
        return Remembered(layouts={NAMES[0]: data})
    try:
        stored = json.loads(data)
        layouts = {name: base64.b64decode(stored["layouts"][name]) for name in NAMES if name in stored["layouts"]}
        return Remembered(workspace=workspace_named(stored["workspace"]).name, layouts=layouts)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning("The remembered workspaces cannot be read, so they stand as at the first start: %s", error)
        return Remembered()

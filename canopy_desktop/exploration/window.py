"""The context window: how many tokens the model sees at once, and what happens when it is full."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from canopy_desktop.errors import UsageError

SMALLEST = 16  # tokens of a window that is smaller than the model's
DROPPED_SHARE = 4  # a slide drops one token in so many
LEAST_PREFILLED = 2  # a single row would round otherwise than a prompt's (docs/architecture.md, "Rounding")


class WhenFull(Enum):
    """What happens when the next token does not fit."""

    STOP = "stop"  # the run ends
    SLIDE = "slide"  # the oldest tokens are dropped, and the others pass through the model again


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextWindow:
    """What a person asks of the window of one exploration. Raises `UsageError` for one that no model can have."""

    size: int | None = None  # tokens; None: the model's own context
    when_full: WhenFull = WhenFull.STOP
    keep_system: bool = False  # a slide keeps the system message

    def __post_init__(self) -> None:
        if self.size is not None and self.size < SMALLEST:
            raise UsageError(
                f"The context window must have at least {SMALLEST} tokens, and at most the model's, not {self.size}."
            )

    def tokens(self, context: int) -> int:
        """Tokens that the window holds on a model with `context` positions. Raises `UsageError`."""
        if self.size is not None and self.size > context:
            raise UsageError(f"The context window must have {SMALLEST} to {context} tokens, not {self.size}.")
        return context if self.size is None else self.size

    @property
    def keeps_system(self) -> bool:
        """Whether a slide has to leave the system message where it is."""
        return self.keep_system and self.when_full is WhenFull.SLIDE


def dropped_by_slide(length: int, size: int, kept: int) -> int:
    """How many tokens a slide drops from a window of `length`, right after the `kept` first: 0 where none can go.

    A quarter of the window's size, and fewer where less would be left than `LEAST_PREFILLED`.
    """
    return max(0, min(size // DROPPED_SHARE, length - kept - LEAST_PREFILLED))

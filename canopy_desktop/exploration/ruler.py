"""How a prompt lies in the context window: what takes its room, what is left, and what leaves it first."""

from __future__ import annotations

from dataclasses import dataclass

from canopy_desktop.exploration.window import ContextWindow, WhenFull, dropped_by_slide
from canopy_desktop.model.chat import TemplatedPrompt


@dataclass(frozen=True, slots=True)
class Share:
    """Tokens of one source, wherever they stand in the prompt."""

    role: str  # as a `PromptPart` has it
    earlier: bool
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRuler:
    """A prompt laid along a window of `size` tokens."""

    size: int
    used: int  # tokens of the prompt
    stretches: tuple[Share, ...]  # in the order of the text
    leaves_first: (
        range | None
    )  # positions that the first slide drops, none of what does not fit; None: there is no slide

    @property
    def over(self) -> int:
        """Tokens that do not fit."""
        return max(0, self.used - self.size)

    @property
    def room(self) -> int:
        """Tokens that can still come before the window is full."""
        return max(0, self.size - self.used)

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each source takes together, in the order in which they first appear."""
        found: dict[tuple[str, bool], int] = {}
        for stretch in self.stretches:
            found[stretch.role, stretch.earlier] = found.get((stretch.role, stretch.earlier), 0) + stretch.tokens
        return tuple(Share(role, earlier, tokens) for (role, earlier), tokens in found.items())


def ruler_of(prompt: TemplatedPrompt, window: ContextWindow, size: int, kept: int) -> ContextRuler:
    """A prompt in a window of `size` tokens; `kept` of its first ones never leave."""
    used = len(prompt.ids)
    leaves_first = None
    if window.when_full is WhenFull.SLIDE:
        leaves_first = range(kept, kept + dropped_by_slide(size, size, kept)) if used <= size else range(0)
    return ContextRuler(
        size=size,
        used=used,
        stretches=tuple(Share(part.role, part.earlier, len(part.ids)) for part in prompt.parts if part.ids),
        leaves_first=leaves_first,
    )

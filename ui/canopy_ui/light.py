"""What is lit: one token, by what is known of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Light:
    """A token of the text, or one among candidates; without anything known, none."""

    position: int | None = None  # its place in the text
    node: int | None = None  # the step that chose it
    token_id: int | None = None

    def shines_on(self, other: Light) -> bool:
        """Whether something is known of the other, and all of that is so here."""
        pairs = ((self.position, other.position), (self.node, other.node), (self.token_id, other.token_id))
        known = [mine == theirs for mine, theirs in pairs if theirs is not None]
        return bool(known) and all(known)


DARK = Light()

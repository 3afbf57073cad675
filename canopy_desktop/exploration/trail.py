"""Undo and redo: where a person stood before each deed, and what was named and hidden then.

An exploration only grows, so nothing that the model made has to be taken back: undoing goes back to where one stood,
and brings back names and what was deleted. A deed that only names something leaves the cursor where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from canopy_desktop.exploration.branches import RECORDED, Ref
from canopy_desktop.exploration.kept import KeptMarks

MOST = 200  # deeds that are remembered


class Deed(Enum):
    """What can be undone."""

    RUN = "run"
    GO = "go"
    CHOOSE = "choose"
    BRANCH = "branch"
    RENAME = "rename"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a person made of the tree."""

    names: Mapping[Ref, str] = field(default_factory=dict)
    hidden: frozenset[Ref] = frozenset()  # deleted, with all below them

    @classmethod
    def of(cls, kept: KeptMarks) -> Marks:
        """The marks of an exploration that was kept."""
        names = {Ref(RECORDED, node): name for node, name in kept.names}
        return cls(names, frozenset(Ref(RECORDED, node) for node in kept.hidden))

    def kept(self) -> KeptMarks:
        """Those on recorded nodes; searches are not kept."""
        names = [(ref.number, name) for ref, name in self.names.items() if ref.search == RECORDED]
        hidden = [ref.number for ref in self.hidden if ref.search == RECORDED]
        return KeptMarks(names=tuple(sorted(names)), hidden=tuple(sorted(hidden)))

    def named(self, refs: tuple[Ref, ...], name: str) -> Marks:
        """With another name for a node; none takes it away."""
        names = {ref: known for ref, known in self.names.items() if ref not in refs}
        return replace(self, names=names | ({refs[0]: name} if name else {}))

    def without(self, refs: tuple[Ref, ...]) -> Marks:
        """With a node hidden."""
        return replace(self, hidden=self.hidden.union(refs))

    def shown(self, refs: frozenset[Ref]) -> Marks:
        """With nodes shown again."""
        return replace(self, hidden=self.hidden - refs) if refs & self.hidden else self


@dataclass(frozen=True, slots=True)
class Standing:
    """What undoing brings back."""

    cursor: int | None  # None: wherever one stands
    marks: Marks


@dataclass(frozen=True, slots=True)
class Trail:
    """What was before each deed, and what undone deeds led to; the newest is the last of both."""

    past: tuple[tuple[Deed, Standing], ...] = ()
    future: tuple[tuple[Deed, Standing], ...] = ()

    def noted(self, deed: Deed, before: Standing) -> Trail:
        """Remember what was before a deed. What was undone cannot be redone any more."""
        if deed is Deed.RENAME:
            before = replace(before, cursor=None)
        return Trail((*self.past, (deed, before))[-MOST:], ())

    def undone(self, now: Standing) -> tuple[Trail, Standing] | None:
        """One deed back, and what to bring back; deeds that changed nothing are passed over. None: there is none."""
        past = self.past
        while past and _same(past[-1][1], now):
            past = past[:-1]
        if not past:
            return None
        deed, before = past[-1]
        return Trail(past[:-1], (*self.future, (deed, _as(now, before)))), before

    def redone(self, now: Standing) -> tuple[Trail, Standing] | None:
        """The deed that was undone last, and what it led to. None: there is none."""
        if not self.future:
            return None
        deed, after = self.future[-1]
        return Trail((*self.past, (deed, _as(now, after))), self.future[:-1]), after

    def can_undo(self, now: Standing) -> bool:
        """Whether there is a deed that changed something."""
        return any(not _same(before, now) for _, before in self.past)


def _same(before: Standing, now: Standing) -> bool:
    return before.marks == now.marks and before.cursor in (None, now.cursor)


def _as(now: Standing, other: Standing) -> Standing:
    """What is now, as far as the other says anything."""
    return replace(now, cursor=None) if other.cursor is None else now

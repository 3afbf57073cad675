"""Undo and redo: where a person stood before each deed, what was named and hidden then, and what had been chosen.

An exploration only grows, so nothing that the model made has to be taken back: undoing goes back to where one stood,
and brings back names and what was deleted. A deed that only names something leaves the cursor where it is, and one that
changes what comes next (settings, context window, output filter) or tries something brings back that alone. A text that
another one replaced, or a reset cleared, is shown again like one from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.branches import RECORDED, Ref
from canopy_desktop.exploration.kept import KeptExploration, KeptMarks
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.window import ContextWindow

MOST = 200  # deeds that are remembered
MOST_TEXTS = 3  # explorations that are remembered with them


class Deed(Enum):
    """What can be undone."""

    RUN = "run"
    GO = "go"
    CHOOSE = "choose"
    BRANCH = "branch"
    RENAME = "rename"
    DELETE = "delete"
    SETTINGS = "settings"
    WINDOW = "window"
    FILTER = "filter"
    BLOCK = "block"  # a look was forbidden, or allowed again
    BEGIN = "begin"  # another text took the place of one
    RESET = "reset"

    @property
    def needs_text(self) -> bool:
        """Whether it is taken back within the text that is shown."""
        return _CHANGED.get(self, _MOVED) in (_MOVED, ("marks",))


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
class ShownText:
    """The exploration that is shown, by number, and what it takes to show it again."""

    number: int  # 0: none is shown
    kept: KeptExploration | None = field(default=None, compare=False, repr=False)
    request: PromptRequest | None = field(default=None, compare=False, repr=False)  # what stood in the prompt's fields


@dataclass(frozen=True, slots=True)
class TriedBlock:
    """The look whose prohibition is being tried."""

    wish: BlockWish | None  # None: there is none


@dataclass(frozen=True, slots=True)
class Standing:
    """What undoing brings back; None: it stays as it is."""

    cursor: int | None = None
    marks: Marks | None = None
    settings: DecodingSettings | None = None
    window: ContextWindow | None = None  # of the next exploration
    filtered: object | None = None  # the window's choice of an output filter
    block: TriedBlock | None = None
    text: ShownText | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A deed that can be undone or redone, with the settings that it turned into others."""

    deed: Deed
    before: DecodingSettings | None = None
    after: DecodingSettings | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """What was before each deed, and what undone deeds led to; the newest is the last of both."""

    past: tuple[tuple[Deed, Standing], ...] = ()
    future: tuple[tuple[Deed, Standing], ...] = ()

    def noted(self, deed: Deed, before: Standing, *, joined: bool = False) -> Trail:
        """Remember what was before a deed. What was undone cannot be redone any more.

        `joined`: it goes on with the last one, as a slider does that is still being moved, and is undone with it.
        """
        if joined and self.past and self.past[-1][0] is deed:
            return Trail(self.past, ())
        past = (*self.past, (deed, _part(before, _CHANGED.get(deed, _MOVED))))[-MOST:]
        texts = [place for place, (_, standing) in enumerate(past) if standing.text is not None]
        return Trail(past[texts[-MOST_TEXTS] :] if len(texts) > MOST_TEXTS else past, ())

    def next_undone(self, now: Standing) -> tuple[Deed, Standing] | None:
        """The last deed that changed something, and what was before it. None: there is none."""
        return next((entry for entry in reversed(self.past) if not _same(entry[1], now)), None)

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
        return self.next_undone(now) is not None


_MOVED = ("cursor", "marks")
_BEGUN = ("text", "settings", "window", "filtered")
_CHANGED = {
    Deed.RENAME: ("marks",),
    Deed.SETTINGS: ("settings",),
    Deed.WINDOW: ("window",),
    Deed.FILTER: ("filtered",),
    Deed.BLOCK: ("block",),
    Deed.BEGIN: _BEGUN,
    Deed.RESET: _BEGUN,
}


def _part(standing: Standing, names: Iterable[str]) -> Standing:
    return Standing(**{name: getattr(standing, name) for name in names})


def _told(standing: Standing) -> list[str]:
    return [one.name for one in fields(standing) if getattr(standing, one.name) is not None]


def _same(before: Standing, now: Standing) -> bool:
    return all(getattr(before, name) == getattr(now, name) for name in _told(before))


def _as(now: Standing, other: Standing) -> Standing:
    """What is now, as far as the other says anything."""
    return _part(now, _told(other))

"""Undo and redo: where a person stood before each deed, what was named and hidden then, and what had been chosen.

An exploration only grows, so nothing that the model made has to be taken back: undoing goes back to where one stood,
and brings back names and what was deleted. A deed that only names, folds or searches leaves the cursor where it is, and
one that changes what comes next (prompt, settings, context window, output filter, facts) or tries something brings back
that alone. A text that another one replaced, or a reset cleared, is shown again like one from a file.

Whole texts are held as they are kept, without columns: about 9.5 KB a step, a twentieth of what its columns take, and
the attention that came in a file. So three of them, of at most 160 MB together, and always the last one; what was done
before is forgotten.
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
from canopy_desktop.exploration.searching import Searched
from canopy_desktop.exploration.window import ContextWindow

MOST = 200  # deeds that are remembered
MOST_TEXTS = 3  # explorations that are remembered with them,
MOST_BYTES = 160_000_000  # of these together
STEP_BYTES = 9_500  # of a step with its 50 candidates, measured


class Deed(Enum):
    """What can be undone."""

    RUN = "run"
    GO = "go"
    CHOOSE = "choose"
    BRANCH = "branch"
    RENAME = "rename"
    DELETE = "delete"
    FOLD = "fold"  # or show again what was folded
    SEARCH = "search"  # beams, or draws
    PROMPT = "prompt"  # but for what is typed, which a text field undoes itself
    SETTINGS = "settings"
    SEEDS = "seeds"  # whether every text has another one
    WINDOW = "window"
    FILTER = "filter"
    FACTS = "facts"
    BLOCK = "block"  # a look was forbidden, or allowed again
    BEGIN = "begin"  # another text took the place of one
    RESET = "reset"
    NEW = "new"  # a reset, of a file
    OPEN = "open"

    @property
    def needs_text(self) -> bool:
        """Whether it is taken back within the text that is shown."""
        return not _IN_TEXT.isdisjoint(_CHANGED.get(self, _MOVED))

    @property
    def whole(self) -> bool:
        """Whether it puts another text, or none, in the place of one."""
        return _CHANGED.get(self) is _BEGUN

    @property
    def of_files(self) -> bool:
        """Whether it is about files, so that a text which gives way and is not saved is found again after a crash."""
        return self in (Deed.NEW, Deed.OPEN)


@dataclass(frozen=True, slots=True)
class Marks:
    """What a person made of the tree."""

    names: Mapping[Ref, str] = field(default_factory=dict)
    hidden: frozenset[Ref] = frozenset()  # deleted, with all below them

    @classmethod
    def of(cls, kept: KeptMarks) -> Marks:
        """The marks of an exploration that was kept."""
        names = {Ref(RECORDED, node): name for node, name in kept.names}
        names |= {Ref(search, number): name for search, number, name in kept.found_names}
        hidden = (Ref(RECORDED, node) for node in kept.hidden)
        return cls(names, frozenset(hidden).union(Ref(*found) for found in kept.found_hidden))

    def kept(self) -> KeptMarks:
        """The same in numbers."""
        names, hidden = sorted(self.names.items()), sorted(self.hidden)
        return KeptMarks(
            names=tuple((ref.number, name) for ref, name in names if ref.search == RECORDED),
            hidden=tuple(ref.number for ref in hidden if ref.search == RECORDED),
            found_names=tuple((*ref, name) for ref, name in names if ref.search != RECORDED),
            found_hidden=tuple((*ref,) for ref in hidden if ref.search != RECORDED),
        )

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
class Searches:
    """The searches that lie over the tree."""

    numbers: tuple[int, ...] = ()
    found: tuple[Searched, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, found: Iterable[Searched]) -> Searches:
        """These, as far as they have come."""
        searched = tuple(found)
        return cls(tuple(one.wish.number for one in searched), searched)

    def as_known(self, known: Mapping[int, Searched]) -> dict[int, Searched]:
        """By number, as they are known by now; one that is not, and was at work, has been stopped."""
        return {number: known.get(number, one.stopped() if one.busy else one) for number, one in self._numbered()}

    def _numbered(self) -> Iterable[tuple[int, Searched]]:
        return zip(self.numbers, self.found, strict=True)


@dataclass(frozen=True, slots=True)
class Folding:
    """Nodes of the tree that hide what is below them, and long chains that are shown whole."""

    folded: frozenset[Ref] = frozenset()
    opened: frozenset[Ref] = frozenset()


@dataclass(frozen=True, slots=True)
class ShownText:
    """The exploration that is shown, by number, and what it takes to show it again."""

    number: int  # 0: none is shown
    kept: KeptExploration | None = field(default=None, compare=False, repr=False)
    request: PromptRequest | None = field(default=None, compare=False, repr=False)  # what stood in the prompt's fields
    marks: Marks = field(default_factory=Marks, compare=False, repr=False)
    searches: Searches = field(default_factory=Searches, compare=False, repr=False)
    folding: Folding = field(default_factory=Folding, compare=False, repr=False)
    position: int | None = field(default=None, compare=False)  # that was selected; None: the newest

    @property
    def bytes(self) -> int:
        """Of memory that are held with it."""
        if self.kept is None:
            return 0
        attention = self.kept.attention
        return STEP_BYTES * len(self.kept.steps) + (0 if attention is None else attention.bytes)


@dataclass(frozen=True, slots=True)
class TriedBlock:
    """The look whose prohibition is being tried."""

    wish: BlockWish | None  # None: there is none


@dataclass(frozen=True, slots=True)
class Standing:
    """What undoing brings back; None: it stays as it is."""

    cursor: int | None = None
    marks: Marks | None = None
    folding: Folding | None = None
    searches: Searches | None = None
    request: PromptRequest | None = None  # of the next exploration, without facts
    settings: DecodingSettings | None = None
    new_seeds: bool | None = None
    window: ContextWindow | None = None  # of the next exploration
    filtered: object | None = None  # the window's choice of an output filter
    facts: object | None = None  # and of a file of facts
    block: TriedBlock | None = None
    text: ShownText | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A deed that can be undone or redone, with the settings that it turned into others."""

    deed: Deed
    before: DecodingSettings | None = None
    after: DecodingSettings | None = None
    what: str = ""  # it was done to


@dataclass(frozen=True, slots=True)
class Done:
    """A deed, and what undoing or redoing it brings back."""

    deed: Deed
    standing: Standing
    what: str = ""  # it was done to


@dataclass(frozen=True, slots=True)
class Trail:
    """What was before each deed, and what undone deeds led to; the newest is the last of both."""

    past: tuple[Done, ...] = ()
    future: tuple[Done, ...] = ()

    def noted(self, deed: Deed, before: Standing, what: str = "", *, joined: bool = False) -> Trail:
        """Remember what was before a deed. What was undone cannot be redone any more.

        `joined`: it goes on with the last one, as a slider does that is still being moved, and is undone with it.
        """
        if joined and self.past and self.past[-1].deed is deed:
            return Trail(self.past, ())
        return Trail(_held((*self.past, Done(deed, _part(before, _CHANGED.get(deed, _MOVED)), what))[-MOST:]), ())

    def without(self, deed: Deed) -> Trail:
        """With nothing of one kind."""
        past, future = ([done for done in all_done if done.deed is not deed] for all_done in (self.past, self.future))
        return Trail(tuple(past), tuple(future))

    def next_undone(self, now: Standing) -> Done | None:
        """The last deed that changed something, and what was before it. None: there is none."""
        return next((done for done in reversed(self.past) if not _same(done.standing, now)), None)

    def undone(self, now: Standing) -> tuple[Trail, Standing] | None:
        """One deed back, and what to bring back; deeds that changed nothing are passed over. None: there is none."""
        past = self.past
        while past and _same(past[-1].standing, now):
            past = past[:-1]
        if not past:
            return None
        done = past[-1]
        return Trail(past[:-1], (*self.future, _led_to(done, now))), done.standing

    def redone(self, now: Standing) -> tuple[Trail, Standing] | None:
        """The deed that was undone last, and what it led to. None: there is none."""
        if not self.future:
            return None
        done = self.future[-1]
        return Trail((*self.past, _led_to(done, now)), self.future[:-1]), done.standing

    def can_undo(self, now: Standing) -> bool:
        """Whether there is a deed that changed something."""
        return self.next_undone(now) is not None


_MOVED = ("cursor", "marks")
_BEGUN = ("text", "settings", "window", "filtered")
_IN_TEXT = frozenset({"cursor", "marks", "folding", "searches"})
_CHANGED = {
    Deed.RENAME: ("marks",),
    Deed.FOLD: ("folding",),
    Deed.SEARCH: ("searches",),
    Deed.PROMPT: ("request",),
    Deed.SETTINGS: ("settings",),
    Deed.SEEDS: ("new_seeds", "settings"),
    Deed.WINDOW: ("window",),
    Deed.FILTER: ("filtered",),
    Deed.FACTS: ("facts",),
    Deed.BLOCK: ("block",),
    Deed.BEGIN: _BEGUN,
    Deed.RESET: _BEGUN,
    Deed.NEW: _BEGUN,
    Deed.OPEN: _BEGUN,
}


def _held(past: tuple[Done, ...]) -> tuple[Done, ...]:
    """As far back as whole texts may be held."""
    texts = held = 0
    for place in reversed(range(len(past))):
        text = past[place].standing.text
        if text is not None:
            texts, held = texts + (text.kept is not None), held + text.bytes
            if texts > 1 and (texts > MOST_TEXTS or held > MOST_BYTES):
                return past[place + 1 :]
    return past


def _led_to(done: Done, now: Standing) -> Done:
    return replace(done, standing=_as(now, done.standing))


def _part(standing: Standing, names: Iterable[str]) -> Standing:
    return Standing(**{name: getattr(standing, name) for name in names})


def _told(standing: Standing) -> list[str]:
    return [one.name for one in fields(standing) if getattr(standing, one.name) is not None]


def _same(before: Standing, now: Standing) -> bool:
    return all(getattr(before, name) == getattr(now, name) for name in _told(before))


def _as(now: Standing, other: Standing) -> Standing:
    """What is now, as far as the other says anything."""
    return _part(now, _told(other))

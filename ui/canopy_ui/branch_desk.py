"""The tree of branches for the window: what was searched, named, deleted and folded."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.branch_picture import BranchPicture
from canopy_desktop.exploration.branches import RECORDED, BranchWish, PrunedShown, Ref
from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_desktop.exploration.searching import SearchAsk, Searched, SearchWish, search_settings
from canopy_desktop.exploration.trail import Deed, Folding, Marks, Searches
from canopy_desktop.exploration.tree import Exploration
from canopy_ui.chronicle import Chronicle


class BranchDesk(QObject):
    """Lives on the GUI thread. One picture at a time is asked for, and none while no panel shows it."""

    picture_changed = Signal(object)  # BranchPicture; None: there is no text
    search_changed = Signal(object)  # Searched, the newest; None: nothing was searched
    changed = Signal()  # something that the picture follows from
    deed_coming = Signal(object)  # Deed, right before it is done
    go_wished = Signal(int)  # a node to stand on, without a deed of its own
    picture_requested = Signal(object)  # BranchWish
    search_requested = Signal(object)  # SearchWish
    search_stop_requested = Signal()

    def __init__(self, chronicle: Chronicle, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chronicle = chronicle
        self.folding = Folding()
        self._pruned = PrunedShown.ONCE_KEPT
        self._room = 150
        self._searches = 0  # begun so far
        self._shown = False
        self._pictured: tuple[object, ...] | None = None  # what the picture that was asked for last follows from
        self._under_way = False
        self._outdated = False  # what is under way is of a text that is gone

    @property
    def idle(self) -> bool:
        """Whether no picture is awaited, and nothing is searched."""
        newest = self.newest
        return not self._under_way and (newest is None or not newest.busy)

    @property
    def newest(self) -> Searched | None:
        """The search that was begun last."""
        searches = self._chronicle.searches
        return searches[max(searches)] if searches else None

    @property
    def searches(self) -> Searches:
        """Those that lie over the tree."""
        return Searches.of(self._chronicle.searches.values())

    def show(self, shown: bool) -> None:
        """Whether a panel shows the tree."""
        self._shown = shown
        self.changed.emit()

    def forget(self) -> None:
        """Another text begins, or comes back with its searches, or none is left."""
        self.search_stop_requested.emit()
        self._outdated = self._under_way
        self.folding = Folding()
        self._pictured = None
        self.picture_changed.emit(None)
        self.search_changed.emit(self.newest)

    def bring_back(
        self, marks: Marks | None = None, searches: Searches | None = None, folding: Folding | None = None
    ) -> None:
        """Have the tree as it was; None: that stays as it is. A search that is taken away stops."""
        if marks is not None:
            self._chronicle.marks = marks
        if folding is not None:
            self.folding = folding
        if searches is not None:
            newest = self.newest
            self._chronicle.searches = searches.as_known(self._chronicle.searches)
            if newest is not None and newest.wish.number not in self._chronicle.searches:
                self.search_stop_requested.emit()
            self.search_changed.emit(self.newest)
        self.changed.emit()

    def ask(self) -> None:
        """Ask for the picture, unless it is there or under way."""
        exploration = self._chronicle.exploration
        if exploration is None or not self._shown or self._under_way:
            return
        self._show_what_one_stands_on(exploration)
        marks, searches = self._chronicle.marks, tuple(self._chronicle.searches.values())
        shown = (self.folding, self._pruned, self._room)
        follows_from = (exploration, len(exploration), exploration.cursor, marks, *shown, *searches)
        if follows_from == self._pictured:
            return
        self._pictured = follows_from
        self._under_way = True
        self.picture_requested.emit(
            BranchWish(
                steps=exploration.steps,
                cursor=exploration.cursor,
                searches=searches,
                names=marks.names,
                hidden=marks.hidden,
                folded=self.folding.folded,
                opened=self.folding.opened,
                pruned=self._pruned,
                room=float(self._room),
            )
        )

    @Slot(object)
    def take_picture(self, picture: BranchPicture | None) -> None:
        """The picture is there."""
        outdated, self._under_way, self._outdated = self._outdated, False, False
        if picture is not None and not outdated:
            self.picture_changed.emit(picture)
        self.changed.emit()

    def search(self, ask: SearchAsk, decoding: DecodingSettings, end_ids: tuple[int, ...]) -> None:
        """Search after a node, beside the run in hand; what is searched now stops."""
        exploration = self._chronicle.exploration
        if exploration is None:
            return
        self.deed_coming.emit(Deed.SEARCH)
        self._searches = max(self._searches, *self._chronicle.searches, 0) + 1
        wish = SearchWish(
            number=self._searches,
            node=ask.node,
            text=exploration.window_history(ask.node, end_ids),
            kind=ask.kind,
            count=ask.count,
            settings=search_settings(ask.kind, decoding, ask.length),
            penalty=ask.penalty,
        )
        self._chronicle.searches[wish.number] = Searched(wish=wish)
        self.search_requested.emit(wish)
        self.search_changed.emit(self.newest)

    @Slot(object)
    def take_search(self, searched: Searched) -> None:
        """A search has come further, or has ended."""
        known = self._chronicle.searches.get(searched.wish.number)
        if known is not None and known.wish is searched.wish:  # else it is of a text that was here before
            self._chronicle.searches[searched.wish.number] = searched
            if searched is self.newest:
                self.search_changed.emit(searched)
            self.changed.emit()

    def rename(self, refs: tuple[Ref, ...], name: str) -> None:
        """Give a node a name; an empty one takes it away."""
        self._mark(Deed.RENAME, self._chronicle.marks.named(refs, name.strip()))

    def delete(self, refs: tuple[Ref, ...]) -> None:
        """Hide a node and all below it; whoever stands there stands before it then."""
        exploration = self._chronicle.exploration
        if exploration is None:
            return
        nodes = {ref.number for ref in refs if ref.search == RECORDED} - {PROMPT_NODE}
        parents = [step.parent for step in exploration.path(exploration.cursor) if step.node in nodes]
        self._mark(Deed.DELETE, self._chronicle.marks.without(refs))
        if parents:
            self.go_wished.emit(parents[0])

    def fold(self, refs: tuple[Ref, ...]) -> None:
        """Show a node without what is below it, or with it again."""
        self._fold(replace(self.folding, folded=_switched(self.folding.folded, refs)))

    def open(self, refs: tuple[Ref, ...]) -> None:
        """Show the long chain that begins with a node whole, or not."""
        self._fold(replace(self.folding, opened=_switched(self.folding.opened, refs)))

    def show_pruned(self, pruned: PrunedShown) -> None:
        """Which candidates that lead nowhere are shown."""
        self._pruned = pruned
        self.changed.emit()

    def set_room(self, characters: int) -> None:
        """How many characters are side by side on the screen."""
        if characters != self._room:
            self._room = characters
            self.changed.emit()

    def _fold(self, folding: Folding) -> None:
        self.deed_coming.emit(Deed.FOLD)
        self.folding = folding
        self.changed.emit()

    def _mark(self, deed: Deed, marks: Marks) -> None:
        if marks != self._chronicle.marks:
            self.deed_coming.emit(deed)
            self._chronicle.marks = marks
            self.changed.emit()

    def _show_what_one_stands_on(self, exploration: Exploration) -> None:
        """What is generated or gone to again is no longer deleted."""
        marks = self._chronicle.marks
        if marks.hidden:
            standing = frozenset(Ref(RECORDED, step.node) for step in exploration.path(exploration.cursor))
            self._chronicle.marks = marks.shown(standing)


def _switched(chosen: frozenset[Ref], refs: tuple[Ref, ...]) -> frozenset[Ref]:
    """Without a node, or with it, by the first of its references."""
    return chosen.difference(refs) if chosen.intersection(refs) else chosen.union(refs[:1])

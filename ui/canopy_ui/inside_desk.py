"""Asks the inference thread for the inside of the token that is looked at, one question at a time, newest wins."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.inside_view import InsideView, InsideWish
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.view import Selection
from canopy_ui.commands import InsideResult
from canopy_ui.reading_plan import place_of

SLOW_MS = 250  # from this time a token on, a run leaves room for a look between two of them


class InsideDesk(QObject):
    """Lives on the GUI thread. Nothing is asked while no panel shows it."""

    changed = Signal()  # what the properties say
    requested = Signal(object)  # InsideWish

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.view: InsideView | None = None
        self.error: Exception | None = None  # why there is none of what was asked for last
        self.left = False  # the token that is looked at has left the window
        self.kept_waiting = False  # the run is too fast for a look
        self._shown = False
        self._asked: InsideWish | None = None  # answered, or under way
        self._under_way = False
        self._told: tuple[object, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether no answer is awaited."""
        return not self._under_way

    @Slot(bool)
    def show(self, shown: bool) -> None:
        """Whether a panel shows it."""
        self._shown = shown
        self.changed.emit()

    def ask(self, exploration: Exploration | None, selection: Selection, *, busy: bool, interval_ms: int) -> None:
        """Ask for what is looked at, unless it is known, or the model has no time."""
        if exploration is None:
            self.forget()
            return
        if not self._shown:
            return
        wish = inside_wish(exploration, selection)
        self.left = wish is None and bool(exploration.prompt_slots)
        fresh = wish is not None and not wish.same_as(self._asked)
        self.kept_waiting = fresh and busy and interval_ms < SLOW_MS
        if fresh and not self._under_way and not self.kept_waiting:
            self._asked, self._under_way = wish, True
            self.requested.emit(wish)
        self._tell()

    @Slot(object)
    def take(self, result: InsideResult) -> None:
        """Note an answer."""
        if result.wish is not self._asked:
            return
        self._under_way = False
        if result.view is not None or result.error is not None:
            self.view, self.error = result.view, result.error
        else:
            self._asked = None  # interrupted, or the text is gone: ask again
        self._tell()

    def forget(self) -> None:
        """Another text begins."""
        self.view, self.error, self._asked = None, None, None
        self.left = self.kept_waiting = self._under_way = False
        self._tell()

    def _tell(self) -> None:
        told = (self.view, self.error, self.left, self.kept_waiting, self._under_way)
        if told != self._told:
            self._told = told
            self.changed.emit()


def inside_wish(exploration: Exploration, selection: Selection) -> InsideWish | None:
    """The selected token, or the last that was read where the model has not read it yet; None: it has left."""
    positions = exploration.positions(exploration.cursor)
    place = place_of(positions, selection.position)
    if place is None:
        return None
    ids = exploration.token_ids(exploration.cursor)
    after = int(positions[place]) + 1
    return InsideWish(
        slots=exploration.slots(exploration.cursor),
        positions=positions,
        ids=tuple(ids[at] for at in positions.tolist()),
        place=place,
        next_id=ids[after] if after < len(ids) else None,
        layer=selection.layer,
        head=selection.head,
    )

"""Undo and redo for the window: one trail for all that a person does to the exploration."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.trail import Change, Deed, Standing, Trail

TOGETHER_S = 1.0  # changes of the same thing that follow one another sooner are one deed


class TrailDesk(QObject):
    """Lives on the GUI thread. Knows what was before each deed; who asks brings it back."""

    def __init__(
        self,
        standing: Callable[[bool], Standing],
        parent: QObject | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`standing` tells how things stand now; True: with what it takes to show the text again."""
        super().__init__(parent)
        self._standing = standing
        self._clock = clock
        self._trail = Trail()
        self._changed: tuple[Deed, str] | None = None  # by the last deed
        self._changed_at = 0.0

    @Slot(object)
    def note(self, deed: Deed, what: str = "") -> None:
        """To be called before each deed. `what` it changes: a slider that is moved changes the same again and again."""
        now, changed = self._clock(), (deed, what)
        joined = bool(what) and changed == self._changed and now - self._changed_at < TOGETHER_S
        self._changed, self._changed_at = changed, now
        self._trail = self._trail.noted(deed, self._standing(deed in (Deed.BEGIN, Deed.RESET)), joined=joined)

    def forget(self) -> None:
        """Nothing can be undone any more."""
        self._trail, self._changed = Trail(), None

    def undoes(self) -> Change | None:
        """The deed that would be undone."""
        now = self._standing(False)
        found = self._trail.next_undone(now)
        return None if found is None else Change(found[0], found[1].settings, now.settings)

    def redoes(self) -> Change | None:
        """The deed that would be redone."""
        if not self._trail.future:
            return None
        deed, after = self._trail.future[-1]
        return Change(deed, self._standing(False).settings, after.settings)

    def undo(self) -> Standing | None:
        """What to bring back, to take back the last deed."""
        found = self._trail.next_undone(self._standing(False))
        return self._take(self._trail.undone(self._now_for(found)))

    def redo(self) -> Standing | None:
        """What to bring back, to do once more what was undone last."""
        found = self._trail.future[-1] if self._trail.future else None
        return self._take(self._trail.redone(self._now_for(found)))

    def _now_for(self, entry: tuple[Deed, Standing] | None) -> Standing:
        return self._standing(entry is not None and entry[1].text is not None)

    def _take(self, found: tuple[Trail, Standing] | None) -> Standing | None:
        if found is None:
            return None
        self._trail, standing = found
        self._changed = None
        return standing

"""Undo and redo for the window: one trail for all that a person does to the exploration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, Slot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.trail import Change, Deed, Done, Standing, Trail

TOGETHER_S = 1.0  # changes of the same thing that follow one another sooner are one deed
_GRADUAL = (Deed.SETTINGS, Deed.WINDOW)  # what sliders and number fields change


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
    def note(self, deed: Deed, what: str = "", *, settings: DecodingSettings | None = None) -> None:
        """To be called before each deed. `what` it changes: a slider that is moved changes the same again and again.

        `settings`: those from before, where others hold already.
        """
        now, changed = self._clock(), (deed, what)
        joined = deed in _GRADUAL and changed == self._changed and now - self._changed_at < TOGETHER_S
        self._changed, self._changed_at = changed, now
        before = self._standing(deed.whole)
        before = before if settings is None else replace(before, settings=settings)
        self._trail = self._trail.noted(deed, before, what, joined=joined)

    def forget(self) -> None:
        """Nothing can be undone any more."""
        self._trail, self._changed = Trail(), None

    def leave_out(self, deed: Deed) -> None:
        """Nothing of this kind can be undone any more."""
        self._trail, self._changed = self._trail.without(deed), None

    def undoes(self) -> Change | None:
        """The deed that would be undone."""
        now = self._standing(False)
        done = self._trail.next_undone(now)
        return None if done is None else Change(done.deed, done.standing.settings, now.settings, done.what)

    def redoes(self) -> Change | None:
        """The deed that would be redone."""
        done = self._next_redone
        if done is None:
            return None
        return Change(done.deed, self._standing(False).settings, done.standing.settings, done.what)

    def undo(self) -> Standing | None:
        """What to bring back, to take back the last deed."""
        return self._take(self._trail.undone(self._now_for(self._trail.next_undone(self._standing(False)))))

    def redo(self) -> Standing | None:
        """What to bring back, to do once more what was undone last."""
        return self._take(self._trail.redone(self._now_for(self._next_redone)))

    @property
    def _next_redone(self) -> Done | None:
        return self._trail.future[-1] if self._trail.future else None

    def _now_for(self, done: Done | None) -> Standing:
        return self._standing(done is not None and done.deed.whole)

    def _take(self, found: tuple[Trail, Standing] | None) -> Standing | None:
        if found is None:
            return None
        self._trail, standing = found
        self._changed = None
        return standing

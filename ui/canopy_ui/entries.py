"""Everything that can be done in the window, for those who list it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence

from canopy_ui.fuzzy import fit


@dataclass(frozen=True, slots=True)
class Entry:
    """An action, and what kind of thing it is."""

    kind: str
    action: QAction

    @property
    def text(self) -> str:
        """Its name."""
        return self.action.text()

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys, as they are called on this system."""
        return tuple(key.toString(QKeySequence.SequenceFormat.NativeText) for key in self.action.shortcuts())


def entries_of(kind: str, actions: Sequence[QAction]) -> tuple[Entry, ...]:
    """An entry for each action."""
    return tuple(Entry(kind, action) for action in actions)


def found(typed: str, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries that fit what is typed, the best first; what is impossible now comes last."""
    fitting = [(fit(typed, f"{entry.text} {entry.kind}"), entry) for entry in entries]
    known = [(score, entry) for score, entry in fitting if score is not None]
    known.sort(key=lambda pair: (not pair[1].action.isEnabled(), -pair[0], len(pair[1].text) if typed else 0))
    return tuple(entry for _, entry in known)

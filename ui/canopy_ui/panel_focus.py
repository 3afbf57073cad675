"""Where the keyboard is among the docks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDockWidget, QWidget

_Dock = TypeVar("_Dock", bound=QDockWidget)


def focused(docks: Sequence[_Dock]) -> _Dock | None:
    """The dock that has the keyboard."""
    widget = QApplication.focusWidget()
    return next((dock for dock in docks if widget is not None and dock.isAncestorOf(widget)), None)


def neighbour(docks: Sequence[_Dock], steps: int) -> _Dock | None:
    """The dock so many steps on from the one with the keyboard, among those that are seen, round and round."""
    seen = [dock for dock in docks if dock.isVisible()]
    if not seen:
        return None
    now = focused(seen)
    if now is None:
        return seen[0 if steps > 0 else -1]
    return seen[(seen.index(now) + steps) % len(seen)]


def first_control(panel: QWidget) -> QWidget | None:
    """What takes the keyboard in a panel: its own choice, or its first control in the order of the Tab key."""
    if panel.focusProxy() is not None:
        return panel.focusProxy()
    widget = panel.nextInFocusChain()
    while widget is not None and panel.isAncestorOf(widget):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            return widget
        widget = widget.nextInFocusChain()
    return None

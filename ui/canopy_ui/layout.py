"""Where the docks stand: the way a first start shows them, and what a person made of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from PySide6.QtCore import QByteArray, QRect, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDockWidget, QMainWindow

logger = logging.getLogger(__name__)

VERSION = 1  # of the set of docks; another version's layout is not restored
DEFAULT_SIZE = QSize(1280, 720)
PROMPT, TOKENS, PROBABILITIES, ATTENTION, METRICS = "prompt", "tokens", "probabilities", "attention", "metrics"

_SHARES = {PROMPT: 272, TOKENS: 604, PROBABILITIES: 380}  # of the width
_RIGHT_SHARES = {PROBABILITIES: 46, ATTENTION: 54}  # of the height
_METRICS_SHARES = (84, 16)


def arrange(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    """Put every dock in its place: prompt, text, and probabilities over attention; the metrics below all."""
    for dock in docks.values():
        window.removeDockWidget(dock)
        dock.setFloating(False)
    left, bottom = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
    window.setCorner(Qt.Corner.BottomLeftCorner, bottom)
    window.setCorner(Qt.Corner.BottomRightCorner, bottom)
    window.addDockWidget(left, docks[PROMPT])
    window.splitDockWidget(docks[PROMPT], docks[TOKENS], Qt.Orientation.Horizontal)
    window.splitDockWidget(docks[TOKENS], docks[PROBABILITIES], Qt.Orientation.Horizontal)
    window.splitDockWidget(docks[PROBABILITIES], docks[ATTENTION], Qt.Orientation.Vertical)
    window.addDockWidget(bottom, docks[METRICS])
    for dock in docks.values():
        dock.show()
    resize(window, docks)


def resize(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    """Share out the window's room as in `arrange`."""
    width, height = window.width(), window.height()
    total = sum(_SHARES.values())
    window.resizeDocks(
        [docks[key] for key in _SHARES],
        [width * share // total for share in _SHARES.values()],
        Qt.Orientation.Horizontal,
    )
    upper = height * _METRICS_SHARES[0] // sum(_METRICS_SHARES)
    window.resizeDocks(
        [docks[key] for key in _RIGHT_SHARES],
        [upper * share // sum(_RIGHT_SHARES.values()) for share in _RIGHT_SHARES.values()],
        Qt.Orientation.Vertical,
    )
    window.resizeDocks([docks[METRICS]], [1], Qt.Orientation.Vertical)  # as low as it can be


def lower_metrics(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    """Take from the strip of figures what it does not need: Qt gives room to a dock, and never takes it back."""
    dock, main_layout = docks[METRICS], window.layout()
    if dock.isFloating() or main_layout is None:
        return
    largest = dock.maximumHeight()
    dock.setMaximumHeight(dock.minimumSizeHint().height())
    main_layout.activate()
    dock.setMaximumHeight(largest)


def restore(window: QMainWindow, geometry: bytes, state: bytes) -> bool:
    """Bring back a remembered layout, on screens that are there. False where it cannot be used."""
    if geometry and not window.restoreGeometry(QByteArray(geometry)):
        logger.warning("The remembered size of the window cannot be used")
    restored = bool(state) and window.restoreState(QByteArray(state), VERSION)
    if state and not restored:
        logger.warning("The remembered layout cannot be used")
    bring_on_screen(window)
    return restored


def remembered(window: QMainWindow) -> tuple[bytes, bytes]:
    """The window's geometry and its docks' layout, for `restore`."""
    return bytes(window.saveGeometry().data()), bytes(window.saveState(VERSION).data())


def bring_on_screen(window: QMainWindow) -> None:
    """Move the window to where its title can be reached, and make it no larger than the screen."""
    screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
    if not screens:
        return
    place = on_screen(window.geometry(), screens)
    if place != window.geometry():
        window.setGeometry(place)


def on_screen(place: QRect, screens: list[QRect]) -> QRect:
    """`place`, or where it has to go to be seen: wholly on the first screen."""
    for screen in screens:
        overlap = screen.intersected(place)
        enough = overlap.width() >= min(200, place.width()) and overlap.height() >= min(120, place.height())
        if enough and place.top() >= screen.top():
            return place
    placed = QRect(place)
    placed.setSize(place.size().boundedTo(screens[0].size()))
    placed.moveCenter(screens[0].center())
    return placed

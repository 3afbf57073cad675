"""Where the docks stand: as a workspace has it, and on screens that are there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from PySide6.QtCore import QByteArray, QRect, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

from canopy_ui.workspaces import Direction, Place, Split, Workspace, leaves

logger = logging.getLogger(__name__)

VERSION = 1  # of the docks' names; another version's layout is not restored
DEFAULT_SIZE = QSize(1280, 720)

_ORIENTATIONS = {Direction.ROW: Qt.Orientation.Horizontal, Direction.COLUMN: Qt.Orientation.Vertical}


def arrange(
    window: QMainWindow,
    docks: Mapping[str, QDockWidget],
    areas: Mapping[str, Qt.DockWidgetArea],
    workspace: Workspace,
) -> None:
    """Put every dock of the workspace in its place, and the others, hidden, beside them in their `areas`."""
    for dock in docks.values():
        dock.setFloating(False)
        window.removeDockWidget(dock)
    bottom = Qt.DockWidgetArea.BottomDockWidgetArea
    window.setCorner(Qt.Corner.BottomLeftCorner, bottom)
    window.setCorner(Qt.Corner.BottomRightCorner, bottom)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, docks[_first(workspace.body)])
    _split(window, docks, workspace.body)
    if workspace.strip is not None:
        window.addDockWidget(bottom, docks[workspace.strip])
    guests = [key for key in docks if key not in workspace.docks]
    for area in dict.fromkeys(areas[key] for key in guests):
        _add_guests(window, area, [docks[key] for key in guests if areas[key] == area])
    for key, dock in docks.items():
        dock.setVisible(key in workspace.docks)
    share(window, docks, workspace)


def share(window: QMainWindow, docks: Mapping[str, QDockWidget], workspace: Workspace) -> None:
    """Share out the window's room as the workspace has it."""
    strip = docks.get(workspace.strip or "")
    height = window.height() - (strip.minimumSizeHint().height() if strip is not None else 0)
    _share(window, docks, workspace.body, QSize(window.width(), height))
    if strip is not None:
        window.resizeDocks([strip], [1], Qt.Orientation.Vertical)  # as low as it can be


def lower(window: QMainWindow, docks: Iterable[QDockWidget]) -> None:
    """Take from docks below the others what they do not need: Qt gives room to a dock, and never takes it back."""
    main_layout = window.layout()
    for dock in docks:
        below = window.dockWidgetArea(dock) is Qt.DockWidgetArea.BottomDockWidgetArea
        if main_layout is not None and below and not dock.isFloating() and not dock.isHidden():
            largest = dock.maximumHeight()
            dock.setMaximumHeight(dock.minimumSizeHint().height())
            main_layout.activate()
            dock.setMaximumHeight(largest)


def restore_docks(window: QMainWindow, state: bytes) -> bool:
    """Bring back a remembered layout, on screens that are there. False where it cannot be used."""
    restored = window.restoreState(QByteArray(state), VERSION)
    if not restored:
        logger.warning("The remembered layout cannot be used")
    bring_on_screen(window)
    return restored


def restore_geometry(window: QMainWindow, geometry: bytes) -> None:
    """Bring the window back to where it was, on screens that are there."""
    if geometry and not window.restoreGeometry(QByteArray(geometry)):
        logger.warning("The remembered size of the window cannot be used")
    bring_on_screen(window)


def remembered_docks(window: QMainWindow) -> bytes:
    """The docks' layout, for `restore_docks`."""
    return bytes(window.saveState(VERSION).data())


def remembered_geometry(window: QMainWindow) -> bytes:
    """The window's place and size, for `restore_geometry`."""
    return bytes(window.saveGeometry().data())


def bring_on_screen(window: QMainWindow) -> None:
    """Move the window and its floating docks to where their titles can be reached, no larger than the screen."""
    screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
    if not screens:
        return
    floating = [dock for dock in window.findChildren(QDockWidget) if dock.isFloating()]
    part: QWidget
    for part in (window, *floating):
        place = on_screen(part.geometry(), screens)
        if place != part.geometry():
            part.setGeometry(place)


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


def _add_guests(window: QMainWindow, area: Qt.DockWidgetArea, guests: Sequence[QDockWidget]) -> None:
    """Put docks at the outer side of an area: one below the other at the left and right, else side by side."""
    upright = area in (Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea)
    outwards, along = Qt.Orientation.Vertical, Qt.Orientation.Horizontal
    if upright:
        outwards, along = along, outwards
    window.addDockWidget(area, guests[0], outwards)
    for dock, following in pairwise(guests):
        window.splitDockWidget(dock, following, along)


def _split(window: QMainWindow, docks: Mapping[str, QDockWidget], place: Place) -> None:
    """Put the parts of a place beside its first dock, which stands already."""
    if isinstance(place, str):
        return
    parts = [part for part, _ in place.parts]
    for part, following in pairwise(parts):
        window.splitDockWidget(docks[_first(part)], docks[_first(following)], _ORIENTATIONS[place.direction])
    for part in parts:
        _split(window, docks, part)


def _share(window: QMainWindow, docks: Mapping[str, QDockWidget], place: Place, room: QSize) -> None:
    if isinstance(place, str):
        return
    in_row = place.direction is Direction.ROW
    whole = sum(share for _, share in place.parts)
    length = room.width() if in_row else room.height()
    standing = [(_standing_for(part, place.direction), length * share // whole) for part, share in place.parts]
    known = [(docks[key], size) for key, size in standing if key is not None]
    window.resizeDocks([dock for dock, _ in known], [size for _, size in known], _ORIENTATIONS[place.direction])
    for (part, _), (_, size) in zip(place.parts, standing, strict=True):
        _share(window, docks, part, QSize(size, room.height()) if in_row else QSize(room.width(), size))


def _standing_for(place: Place, direction: Direction) -> str | None:
    """A dock that is as long in this direction as its whole place; None where there is none."""
    if isinstance(place, Split):
        if place.direction is direction:
            return None
        return next((key for part, _ in place.parts if (key := _standing_for(part, direction))), None)
    return place


def _first(place: Place) -> str:
    return next(leaves(place))

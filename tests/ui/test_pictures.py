"""The main workspaces look as they did: small pictures of the window, compared square by square.

The model is scripted, so every number is fixed but for times, which are left out. What may differ is how letters are
drawn, by another version of FreeType say: squares of 40 by 40 pixels are compared by their mean colours. When the
window is meant to look otherwise, `CANOPY_NEW_PICTURES=1 pytest tests/ui/test_pictures.py` takes the pictures in
`pictures/` anew: look at them before they are committed.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

from canopy_desktop.arrays import ByteArray, FloatArray
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.photographer import Photographer
from canopy_ui.program import make_application
from canopy_ui.scene import Scene
from canopy_ui.snapshot import preferences_for
from tests.support import scripted
from tests.support.driving import PATIENCE_MS
from tests.support.scripted import ScriptedSession

PICTURES = Path(__file__).parent / "pictures"
SIZE = (1280, 720)
SQUARE = 40  # pixels of the window
COARSE = 8  # colours nearer than that are stored as one
SMALLER = 4  # a stored picture than the window
TOLERANCE = 8.0  # of 255, of a square's mean colour in a channel
WORKSPACES = ("generate", "choose", "attend", "search")
FEW = 6  # squares of 576 may differ: a label that is a little wider moves what stands beside it
MOVED = 24  # pixels
PANEL = QColor("#FFFFFF")
METRICS = "metrics"  # shows times
ANEW = os.environ.get("CANOPY_NEW_PICTURES") == "1"


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture of the window."""

    image: QImage
    panels: dict[str, QRect]  # by dock, where its panel is


Take = Callable[[str], Taken]


@pytest.fixture(scope="module")
def taken(qapp: QApplication) -> Iterator[Take]:
    """Takes a picture of a workspace, after a run with a branch, beams and a forbidden look."""
    make_application()
    preferences = preferences_for("light")
    preferences = replace(preferences, prompt=PromptRequest(text="When the sun had set, the"), layer=1, head=2)
    controller = Controller(scripted.opener_of(ScriptedSession()), preferences)
    window = MainWindow(controller, preferences, lambda preferences: None)
    window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    window.resize(*SIZE)
    photographer = Photographer(controller, PATIENCE_MS)
    window.show()
    controller.open()
    photographer.wait()
    scene = Scene(window, controller, photographer.wait)
    scene.explore()

    @cache
    def take(workspace: str) -> Taken:
        scene.turn_to(workspace)
        window.workspaces.reset()
        for _ in range(3):
            QApplication.processEvents()
        photographer.wait()
        if (focused := QApplication.focusWidget()) is not None:
            focused.clearFocus()
        bodies = {key: dock.widget() for key, dock in window.docks.items() if dock.isVisible()}
        panels = {key: QRect(body.mapTo(window, QPoint(0, 0)), body.size()) for key, body in bodies.items()}
        image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        if METRICS in panels:
            painter = QPainter(image)
            painter.fillRect(panels[METRICS], PANEL)
            painter.end()
        return Taken(image, panels)

    yield take
    window.close()
    controller.shutdown()


def small(image: QImage) -> QImage:
    """As it is stored."""
    return image.scaled(
        image.width() // SMALLER,
        image.height() // SMALLER,
        Qt.AspectRatioMode.IgnoreAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    ).convertToFormat(QImage.Format.Format_RGB888)


def in_few_colours(image: QImage) -> QImage:
    """With the commonest colours of a picture, at half the bytes."""
    colours, counts = np.unique(pixels_of(image).reshape(-1, 3) // COARSE, axis=0, return_counts=True)
    common = colours[np.argsort(-counts)[:256]].astype(int) * 255 // (255 // COARSE)
    return image.convertToFormat(QImage.Format.Format_Indexed8, [QColor(*rgb).rgb() for rgb in common.tolist()])


def pixels_of(image: QImage) -> ByteArray:
    """Red, green and blue, (height, width, 3)."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return lines[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def squares(image: QImage) -> FloatArray:
    """Mean colours of a small picture, (rows, columns, 3)."""
    pixels = pixels_of(image).astype(np.float64)
    side = SQUARE // SMALLER
    return pixels.reshape(image.height() // side, side, image.width() // side, side, 3).mean(axis=(1, 3))


def differing(one: QImage, other: QImage) -> list[tuple[int, int]]:
    """Where two small pictures differ: left and top of squares, in the window's pixels."""
    apart = np.abs(squares(one) - squares(other)).max(axis=2)
    return [(int(column) * SQUARE, int(row) * SQUARE) for row, column in np.argwhere(apart > TOLERANCE)]


def stored(workspace: str) -> QImage:
    image = QImage(str(PICTURES / f"{workspace}.png"))
    assert not image.isNull(), f"there is no picture of {workspace}"
    return image


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_a_workspace_looks_as_it_did(taken: Take, workspace: str, tmp_path: Path) -> None:
    whole = taken(workspace).image
    if ANEW:
        PICTURES.mkdir(exist_ok=True)
        in_few_colours(small(whole)).save(str(PICTURES / f"{workspace}.png"))
    whole.save(str(tmp_path / f"{workspace}.png"))
    places = differing(small(whole), stored(workspace))
    assert len(places) <= FEW, f"{workspace} looks otherwise at {places} (left, top): see {tmp_path}"


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_an_empty_panel_is_noticed(taken: Take, workspace: str) -> None:
    picture = taken(workspace)
    for key, place in picture.panels.items():
        if key != METRICS:
            assert is_noticed(picture, workspace, lambda painter, place=place: painter.fillRect(place, PANEL)), key


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_a_panel_that_moved_is_noticed(taken: Take, workspace: str) -> None:
    picture = taken(workspace)
    for key, place in picture.panels.items():
        if key != METRICS:
            part = picture.image.copy(place)
            moved = place.translated(MOVED, MOVED)
            assert is_noticed(
                picture, workspace, lambda painter, part=part, moved=moved: painter.drawImage(moved, part)
            ), key


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_other_colours_are_noticed(taken: Take, workspace: str) -> None:
    picture = taken(workspace)
    other = picture.image.rgbSwapped()
    assert is_noticed(picture, workspace, lambda painter: painter.drawImage(0, 0, other))


def is_noticed(picture: Taken, workspace: str, change: Callable[[QPainter], None]) -> bool:
    """Whether a picture that is changed is no longer like the stored one."""
    changed = picture.image.copy()
    painter = QPainter(changed)
    change(painter)
    painter.end()
    return len(differing(small(changed), stored(workspace))) > FEW

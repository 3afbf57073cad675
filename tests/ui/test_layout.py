"""Where a remembered window may stand."""

import pytest
from PySide6.QtCore import QRect

from canopy_ui.layout import on_screen
from canopy_ui.view_menu import ZOOM_STEPS, zoomed

LAPTOP = QRect(0, 0, 1366, 768)
PROJECTOR = QRect(1366, 0, 1280, 720)


@pytest.mark.parametrize(
    "place",
    [QRect(100, 50, 1000, 600), QRect(1400, 10, 900, 600), QRect(1000, 0, 1280, 720), QRect(-700, 0, 1000, 600)],
)
def test_a_window_that_can_be_reached_stays(place: QRect) -> None:
    assert on_screen(place, [LAPTOP, PROJECTOR]) == place


@pytest.mark.parametrize(
    "place", [QRect(5000, 100, 800, 600), QRect(0, -300, 800, 600), QRect(0, 760, 800, 600), QRect(-780, 0, 800, 600)]
)
def test_a_window_off_every_screen_comes_to_the_first(place: QRect) -> None:
    corrected = on_screen(place, [LAPTOP, PROJECTOR])
    assert LAPTOP.contains(corrected)
    assert corrected.size() == place.size()


def test_a_window_from_a_larger_screen_becomes_as_large_as_this_one() -> None:
    assert on_screen(QRect(4000, 3000, 3840, 2160), [LAPTOP]) == LAPTOP


def test_text_grows_and_shrinks_by_steps_within_its_range() -> None:
    assert zoomed(100, 1) == 110
    assert zoomed(100, -1) == 90
    assert zoomed(ZOOM_STEPS[-1], 1) == ZOOM_STEPS[-1]
    assert zoomed(ZOOM_STEPS[0], -1) == ZOOM_STEPS[0]
    assert zoomed(137, 1) in ZOOM_STEPS

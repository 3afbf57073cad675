"""Where a remembered window may stand, and that a run leaves its docks where they are."""

import pytest
from PySide6.QtCore import QEvent, QObject, QRect

from canopy_ui.layout import on_screen
from canopy_ui.view_menu import ZOOM_STEPS, zoomed
from tests.support.whole_window import whole_window

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


class Layouts(QObject):
    """Counts how often a widget was asked to lay out what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        self.count += event.type() is QEvent.Type.LayoutRequest
        return False


def test_another_token_does_not_have_the_window_laid_out_anew() -> None:
    counts = {}
    with whole_window() as whole:
        for workspace in ("generate", "attend", "cache", "lens", "search", "inside"):
            whole.show(workspace)
            whole.controller.step()
            whole.settle()
            layouts = Layouts()
            whole.window.installEventFilter(layouts)
            for _ in range(3):
                whole.controller.step()
                whole.settle()
            whole.window.removeEventFilter(layouts)
            counts[workspace] = layouts.count
    assert not any(counts.values()), counts

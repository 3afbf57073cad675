"""Everything that the window writes can be read: at least 12 pixels high, and against its background."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.compare_view import CompareStage
from canopy_desktop.settings import THEMES
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.cache_panel import CachePanel
from canopy_ui.photographer import Photographer
from canopy_ui.program import make_application
from canopy_ui.scene import BEAMS, Scene
from canopy_ui.snapshot import preferences_for
from canopy_ui.view_menu import ViewMenu
from canopy_ui.workspaces import NAMES
from tests.support.painted import PaintedText, painted_texts

SMALLEST_PIXELS = 12
LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3


def unreadable(found: list[PaintedText]) -> list[PaintedText]:
    return [text for text in found if text.pixels < SMALLEST_PIXELS or text.contrast < LEAST_CONTRAST]


@pytest.fixture(scope="module")
def window(qapp: QApplication, built_model: Path) -> Iterator[tuple[MainWindow, Photographer, Scene]]:
    """The real window after a real run, with all that can be made of it."""
    make_application()
    preferences = preferences_for("light")
    controller = Controller(opener_of(str(built_model), "cpu"), preferences)
    made = MainWindow(controller, preferences, lambda preferences: None)
    made.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    made.resize(1280, 720)
    photographer = Photographer(controller, patience_ms=60_000)
    made.show()
    controller.open()
    photographer.wait()
    scene = Scene(made, controller, photographer.wait)
    scene.play(NAMES)
    yield made, photographer, scene
    made.close()
    controller.shutdown()


@pytest.mark.parametrize("workspace", NAMES)
@pytest.mark.parametrize("theme", THEMES)
def test_every_text_can_be_read(window: tuple[MainWindow, Photographer, Scene], workspace: str, theme: str) -> None:
    shown, photographer, scene = window
    if shown._theme.name != theme:
        shown.findChild(ViewMenu).theme_chosen.emit(theme)
    scene.turn_to(workspace)
    shown.workspaces.reset()
    for _ in range(3):
        QApplication.processEvents()
    photographer.wait()
    found = painted_texts(shown)
    assert len(found) > 50
    assert unreadable(found) == []


@pytest.mark.parametrize(
    ("style", "readable"),
    [
        ("font-size: 12px; color: #000000", True),
        ("font-size: 11px; color: #000000", False),
        ("font-size: 20px; color: #767676", True),  # 4.54 against white
        ("font-size: 20px; color: #7a7a7a", False),  # 4.29
    ],
)
def test_what_is_small_or_pale_is_found(qtbot: QtBot, style: str, readable: bool) -> None:
    label = QLabel("Paris 77 %")
    label.setStyleSheet(f"background: #ffffff; {style}")
    qtbot.addWidget(label)
    label.resize(200, 60)
    found = painted_texts(label)
    assert [text.text for text in found] == ["Paris 77 %"]
    assert (unreadable(found) == []) is readable


def test_the_scene_has_all_that_its_pictures_are_to_show(window: tuple[MainWindow, Photographer, Scene]) -> None:
    shown = window[0]
    controller = shown._controller
    kept = controller.keeping.snapshot()
    assert kept is not None
    assert max(Counter(step.parent for step in kept.steps).values()) == 2, "one branch"
    search = controller.branches.newest
    assert search is not None
    assert len(search.results) == BEAMS
    assert shown.panel(AttentionPanel)._before_after.told().startswith("The distribution moves by")
    assert shown.panel(CachePanel).race.running() is False
    assert "times as fast" in shown.panel(CachePanel).race._words.text()
    compared = controller.comparison.view()
    assert compared.stage is CompareStage.DONE
    assert [difference.name for difference in compared.settings] == ["temperature"]
    assert 0 < compared.shared < compared.length

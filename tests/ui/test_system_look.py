"""The window looks as the desktop asks, unless the person chose otherwise, and keeps still where either wants it."""

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtDBus import QDBusVariant
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from canopy_desktop import settings
from canopy_desktop.settings import SYSTEM_THEME, THEMES, Preferences
from canopy_ui.controller import Controller
from canopy_ui.desktop_motion import asks_for_rest
from canopy_ui.main_window import MainWindow
from canopy_ui.program import make_application
from canopy_ui.system_look import SystemLook, motion_wanted, theme_asked_for
from canopy_ui.view_menu import ViewMenu
from tests.support import scripted
from tests.support.driving import PREFERENCES
from tests.support.scripted import ScriptedSession


@pytest.fixture
def window(qtbot: QtBot) -> MainWindow:
    make_application()
    made = MainWindow(
        Controller(scripted.opener_of(ScriptedSession()), PREFERENCES), PREFERENCES, lambda preferences: None
    )
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize(
    ("scheme", "contrast", "theme"),
    [
        (Qt.ColorScheme.Unknown, False, "light"),
        (Qt.ColorScheme.Light, False, "light"),
        (Qt.ColorScheme.Dark, False, "dark"),
        (Qt.ColorScheme.Light, True, "contrast"),
        (Qt.ColorScheme.Dark, True, "contrast"),
    ],
)
def test_a_desktop_gets_the_theme_that_it_asks_for(scheme: Qt.ColorScheme, contrast: bool, theme: str) -> None:
    assert theme_asked_for(scheme, contrast=contrast) == theme


def test_a_first_start_follows_the_system() -> None:
    assert Preferences().theme == SYSTEM_THEME


@pytest.mark.parametrize("choice", THEMES)
def test_a_theme_that_was_chosen_holds_on_every_desktop(qapp: QApplication, choice: str) -> None:
    assert SystemLook().theme_name(choice) == choice


def test_following_the_system_and_stillness_are_remembered(tmp_path: Path) -> None:
    kept = replace(Preferences(), theme=SYSTEM_THEME, still=True)
    settings.save(tmp_path / "settings.json", kept)
    assert settings.load(tmp_path / "settings.json") == kept


def test_a_change_of_the_desktop_reaches_the_window(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert window._theme.name == "light"
    monkeypatch.setattr(window._system, "theme_name", lambda choice: "dark" if choice == SYSTEM_THEME else choice)
    window._system.changed.emit()
    assert window._theme.name == "dark"
    window.findChild(ViewMenu).theme_chosen.emit("contrast")
    window._system.changed.emit()
    assert window._theme.name == "contrast"


def test_nothing_moves_where_the_person_wants_it_still(window: MainWindow) -> None:
    assert motion_wanted()
    assert window.isAnimated()
    window.findChild(ViewMenu).still.setChecked(True)
    assert not motion_wanted()
    assert not window.isAnimated()
    window.findChild(ViewMenu).still.setChecked(False)
    assert motion_wanted()


def test_nothing_moves_where_the_desktop_wants_it_still(window: MainWindow) -> None:
    window._system._motion.still = True
    window._system._motion.changed.emit()
    assert not motion_wanted()
    assert not window.isAnimated()


@pytest.mark.parametrize(
    ("namespace", "key", "answer", "still"),
    [
        ("org.gnome.desktop.interface", "enable-animations", [QDBusVariant(False)], True),
        ("org.gnome.desktop.interface", "enable-animations", [QDBusVariant(True)], False),
        ("org.gnome.desktop.interface", "enable-animations", [QDBusVariant(0)], False),
        ("org.freedesktop.appearance", "reduced-motion", [QDBusVariant(1)], True),
        ("org.freedesktop.appearance", "reduced-motion", [QDBusVariant(0)], False),
        ("org.freedesktop.appearance", "reduced-motion", ["Requested setting not found"], False),
        ("org.freedesktop.appearance", "reduced-motion", [], False),
    ],
)
def test_only_a_clear_answer_of_the_portal_keeps_things_still(
    namespace: str, key: str, answer: list[object], still: bool
) -> None:
    assert asks_for_rest(namespace, key, answer) is still

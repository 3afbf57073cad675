"""The command palette: what is found, and how the keyboard drives it."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QLineEdit, QMainWindow, QPlainTextEdit
from pytestqt.qtbot import QtBot

from canopy_ui.docks import DOCKS
from canopy_ui.entries import Entry, entries_of, found
from canopy_ui.fuzzy import fit
from canopy_ui.kept_keys import KeptKeys
from canopy_ui.palette import CommandPalette
from canopy_ui.shortcuts import ShortcutsDialog
from canopy_ui.theme import theme_named

THEME = theme_named("light")
Pressed = list[str]


@pytest.fixture
def pressed() -> Pressed:
    """The names of the actions that were triggered."""
    return []


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(1000, 600)
    window.show()
    return window


@pytest.fixture
def entries(window: QMainWindow, pressed: Pressed) -> tuple[Entry, ...]:
    actions = []
    for name in ("Run", "Reset", "Reset workspace", "Attention", "Light theme"):
        action = QAction(name, window)
        action.triggered.connect(lambda checked=False, name=name: pressed.append(name))
        actions.append(action)
    actions[0].setShortcuts(["Ctrl+Return", "Ctrl+Enter"])
    return entries_of("Command", actions)


@pytest.fixture
def palette(qtbot: QtBot, window: QMainWindow, entries: tuple[Entry, ...]) -> CommandPalette:
    palette = CommandPalette(window)
    palette.ask(entries, THEME)
    qtbot.waitUntil(palette.isActiveWindow)
    return palette


def names(typed: str, entries: tuple[Entry, ...]) -> list[str]:
    return [entry.text for entry in found(typed, entries)]


@pytest.mark.parametrize(("typed", "better", "worse"), [
    ("rw", "Reset workspace", "Drawn"),
    ("att", "Attention", "A fat text"),
    ("stop", "Stop", "Set options"),
])  # fmt: skip
def test_starts_of_words_and_letters_in_a_row_fit_better(typed: str, better: str, worse: str) -> None:
    best, other = fit(typed, better), fit(typed, worse)
    assert best is not None
    assert other is not None
    assert best > other


def test_letters_must_be_there_in_their_order() -> None:
    assert fit("nur", "Run") is None
    assert fit("runn", "Run") is None
    assert fit("", "Run") == 0
    assert fit("R U N", "run") == fit("run", "run")


def test_a_letter_far_behind_a_better_start_is_still_found() -> None:
    """The first t is the start of no word; a greedy search would stop there."""
    assert fit("te", "attention text") == fit("te", "x text")


def test_the_best_comes_first_and_what_is_impossible_last(entries: tuple[Entry, ...]) -> None:
    assert names("rese", entries) == ["Reset", "Reset workspace"]
    entries[1].action.setEnabled(False)
    assert names("rese", entries) == ["Reset workspace", "Reset"]
    assert names("zzz", entries) == []


def test_nothing_typed_shows_everything_in_its_order(entries: tuple[Entry, ...]) -> None:
    assert names("", entries) == [entry.text for entry in entries]


def test_a_kind_is_found_too(entries: tuple[Entry, ...]) -> None:
    assert sorted(names("command", entries)) == sorted(names("", entries))


def test_return_does_the_first(palette: CommandPalette, pressed: Pressed, qtbot: QtBot) -> None:
    qtbot.keyClicks(palette.focusWidget(), "work")
    qtbot.keyClick(palette.focusWidget(), Qt.Key.Key_Return)
    assert pressed == ["Reset workspace"]
    assert not palette.isVisible()


def test_arrows_choose_another(palette: CommandPalette, pressed: Pressed, qtbot: QtBot) -> None:
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up):
        qtbot.keyClick(palette.focusWidget(), key)
    assert palette.focusWidget().accessibleDescription() == "Reset, Command"
    qtbot.keyClick(palette.focusWidget(), Qt.Key.Key_Return)
    assert pressed == ["Reset"]


def test_escape_does_nothing(palette: CommandPalette, pressed: Pressed, qtbot: QtBot) -> None:
    qtbot.keyClick(palette.focusWidget(), Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert pressed == []


def test_what_is_impossible_is_shown_and_not_done(
    palette: CommandPalette, entries: tuple[Entry, ...], pressed: Pressed, qtbot: QtBot
) -> None:
    entries[0].action.setEnabled(False)
    qtbot.keyClicks(palette.focusWidget(), "run")
    qtbot.keyClick(palette.focusWidget(), Qt.Key.Key_Return)
    assert pressed == []
    assert palette.isVisible()


def test_it_begins_anew_every_time(palette: CommandPalette, entries: tuple[Entry, ...], qtbot: QtBot) -> None:
    qtbot.keyClicks(palette.focusWidget(), "zzz")
    palette.close()
    palette.ask(entries, THEME)
    assert palette._rows.rowCount() == len(entries)


def test_each_row_tells_its_key(palette: CommandPalette) -> None:
    rows = palette._rows
    assert [rows.index(0, column).data() for column in range(3)] == ["Run", "Command", "Ctrl+Return"]


def test_the_list_of_shortcuts_has_every_key(window: QMainWindow, entries: tuple[Entry, ...]) -> None:
    dialog = ShortcutsDialog(entries, window)
    dialog.show_with(THEME)
    texts = {label.text() for label in dialog.findChildren(QLabel)}
    assert "Ctrl+Return or Ctrl+Enter" in texts
    assert {keys for spec in DOCKS for keys, _ in spec.keys} <= texts


@pytest.mark.parametrize("kind", [QPlainTextEdit, QLineEdit])
def test_a_kept_key_reaches_the_window_from_a_text_field(
    window: QMainWindow, pressed: Pressed, kind: type[QPlainTextEdit | QLineEdit], qtbot: QtBot
) -> None:
    """Ctrl+A stands for a key that text fields take on every system."""
    field = kind("text")
    window.setCentralWidget(field)
    action = QAction("Find", window)
    action.setShortcut("Ctrl+A")
    action.triggered.connect(lambda: pressed.append("Find"))
    window.addAction(action)
    field.setFocus()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert pressed == []
    KeptKeys(action, window)
    qtbot.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert pressed == ["Find"]

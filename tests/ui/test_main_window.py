"""The whole window, with a scripted model on real threads."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QDockWidget, QLabel, QLineEdit, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from canopy_desktop import settings
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import PromptTooLongError
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.provider import ProviderReport
from canopy_desktop.settings import Preferences
from canopy_ui.actions import Command
from canopy_ui.controller import Controller
from canopy_ui.docks import DOCKS
from canopy_ui.help_card import HelpCard
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.palette import CommandPalette
from canopy_ui.panel_focus import focused
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.program import make_application
from canopy_ui.shortcuts import ShortcutsDialog
from canopy_ui.state import RunPhase
from canopy_ui.workspace_tabs import WorkspaceButton, WorkspaceTabs
from canopy_ui.workspaces import NAMES, WORKSPACES, Direction, Split, Workspace, leaves, workspace_named
from tests.support import scripted
from tests.support.driving import PATIENCE_MS, PREFERENCES
from tests.support.scripted import ScriptedSession

MakeWindow = Callable[..., MainWindow]

# What the window before there were workspaces kept: the metrics closed, the prompt made 364 px wide.
OLD_DOCKS = base64.b64decode(
    "AAAA/wAAAAH9AAAAAgAAAAAAAAUAAAACqfwCAAAAAfwAAAAnAAACqQAAAT0A/////AEAAAAD+wAAAAwAcAByAG8AbQBwAHQBAAAAAAAAAWwAAACp"
    "AP////sAAAAMAHQAbwBrAGUAbgBzAQAAAXIAAAIqAAAAzAD////8AAADogAAAV4AAADyAP////wCAAAAAvsAAAAaAHAAcgBvAGIAYQBiAGkAbABp"
    "AHQAaQBlAHMBAAAAJwAAATYAAACZAP////sAAAASAGEAdAB0AGUAbgB0AGkAbwBuAQAAAWMAAAFtAAAAngD///8AAAADAAAFAAAAAEL8AQAAAAH7"
    "AAAADgBtAGUAdAByAGkAYwBzCAAAAAAAAAUAAAAA0QD///8AAAAAAAACYQAAAAQAAAAEAAAACAAAAAj8AAAAAQAAAAIAAAABAAAAEgB0AHIAYQBu"
    "AHMAcABvAHIAdAEAAAAA/////wAAAAAAAAAA"
)


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def kept() -> list[Preferences]:
    """What windows asked to remember."""
    return []


@pytest.fixture
def make_window(qtbot: QtBot, session: ScriptedSession, kept: list[Preferences]) -> Iterator[MakeWindow]:
    make_application()
    windows: list[MainWindow] = []

    def make(preferences: Preferences = PREFERENCES) -> MainWindow:
        controller = Controller(scripted.opener_of(session), preferences)
        window = MainWindow(controller, preferences, kept.append)
        windows.append(window)
        window.show()
        with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
            controller.open()
        return window

    yield make
    session.sequence.gate.set()
    for window in windows:
        if window.isVisible():
            window.close()
        window.deleteLater()


@pytest.fixture
def window(make_window: MakeWindow) -> MainWindow:
    return make_window()


def title_becomes(qtbot: QtBot, window: MainWindow, title: str) -> None:
    qtbot.waitUntil(lambda: window.windowTitle() == title, timeout=PATIENCE_MS)


def test_a_first_start_shows_the_first_workspace_and_a_prompt_to_run(window: MainWindow) -> None:
    docks = window.findChildren(QDockWidget)
    assert {dock.objectName() for dock in docks} == {spec.key for spec in DOCKS}
    assert shown(window) == set(WORKSPACES[0].docks)
    assert window.centralWidget() is None
    assert window.commands[Command.RUN].isEnabled()
    assert not window.commands[Command.STOP].isEnabled()
    assert not window.commands[Command.BACK].isEnabled()


def shown(window: MainWindow) -> set[str]:
    return {key for key, dock in window.docks.items() if dock.isVisible()}


@pytest.mark.parametrize("workspace", WORKSPACES, ids=NAMES)
def test_a_workspace_shows_its_docks_and_no_others(window: MainWindow, workspace: Workspace) -> None:
    window.workspaces.show(workspace.name)
    assert shown(window) == set(workspace.docks)
    assert [action.data() for action in window.workspaces.actions.actions() if action.isChecked()] == [workspace.name]


def test_keys_go_from_workspace_to_workspace(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE_MS)
    for number, workspace in enumerate(WORKSPACES, 1):
        qtbot.keyClick(window, Qt.Key(Qt.Key.Key_0 + number), Qt.KeyboardModifier.ControlModifier)
        assert window.workspaces.workspace is workspace


def test_a_workspace_is_found_as_it_was_left(window: MainWindow) -> None:
    window.docks["metrics"].close()
    window.workspaces.show("attend")
    window.docks["metrics"].toggleViewAction().trigger()
    window.workspaces.show("generate")
    assert not window.docks["metrics"].isVisible()
    window.workspaces.show("attend")
    assert window.docks["metrics"].isVisible()


def test_a_panel_floats_only_in_the_workspace_in_which_it_was_taken_out(window: MainWindow) -> None:
    dock = window.docks["attention"]
    dock.setFloating(True)
    window.workspaces.show("attend")
    assert not dock.isFloating()
    window.workspaces.show("generate")
    assert dock.isFloating()
    window.workspaces.reset()
    assert not dock.isFloating()


def test_a_panel_from_another_workspace_comes_beside_the_others(window: MainWindow, qtbot: QtBot) -> None:
    window.workspaces.show("attend")
    for key in ("prompt", "probabilities", "metrics"):
        window.docks[key].toggleViewAction().trigger()
    place = {key: dock.geometry() for key, dock in window.docks.items()}
    assert place["prompt"].right() < place["tokens"].left() < place["attention"].left()
    assert place["probabilities"].left() > place["attention"].right()
    metrics = window.docks["metrics"]
    assert place["metrics"].top() > place["tokens"].bottom()
    qtbot.waitUntil(lambda: metrics.height() == metrics.minimumSizeHint().height(), timeout=PATIENCE_MS)


def test_resetting_a_workspace_leaves_the_others_as_they_are(window: MainWindow) -> None:
    window.docks["metrics"].close()
    window.workspaces.show("attend")
    window.docks["tokens"].close()
    window.commands[Command.RESET_WORKSPACE].trigger()
    assert shown(window) == {"tokens", "attention"}
    window.workspaces.show("generate")
    assert not window.docks["metrics"].isVisible()


def test_all_workspaces_are_reset_at_once(window: MainWindow) -> None:
    window.docks["metrics"].close()
    window.workspaces.show("attend")
    window.docks["tokens"].close()
    window.commands[Command.RESET_WORKSPACES].trigger()
    assert shown(window) == {"tokens", "attention"}
    window.workspaces.show("generate")
    assert window.docks["metrics"].isVisible()


@pytest.mark.parametrize("workspace", NAMES)
def test_the_shares_of_a_workspace_hold_after_it_was_opened(window: MainWindow, workspace: str, qtbot: QtBot) -> None:
    """Each part is as wide, or as high, as its share, within what separators take."""
    window.resize(1920, 1080)
    window.workspaces.show(workspace)
    window.workspaces.reset()
    body = workspace_named(workspace).body
    assert isinstance(body, Split)
    docks = [window.docks[next(leaves(part))] for part, _ in body.parts]
    along = QDockWidget.width if body.direction is Direction.ROW else QDockWidget.height

    def off() -> float:
        sizes, shares = [along(dock) for dock in docks], [share for _, share in body.parts]
        return max(abs(size - sum(sizes) * share / sum(shares)) for size, share in zip(sizes, shares, strict=True))

    qtbot.waitUntil(lambda: off() < 40, timeout=PATIENCE_MS)
    if body.direction is Direction.ROW:
        assert abs(sum(along(dock) for dock in docks) - 1920) < 40


def test_a_floating_dock_whose_screen_is_gone_comes_back(make_window: MakeWindow, kept: list[Preferences]) -> None:
    window = make_window()
    dock = window.docks["attention"]
    dock.setFloating(True)
    dock.setGeometry(9000, 9000, 500, 400)
    window.close()
    again = make_window(kept[0]).docks["attention"]
    assert again.isFloating()
    assert again.screen().availableGeometry().contains(again.geometry())


def test_docks_come_back_when_their_screen_is_taken_away(window: MainWindow, qtbot: QtBot) -> None:
    dock = window.docks["attention"]
    dock.setFloating(True)
    dock.setGeometry(9000, 9000, 500, 400)
    QGuiApplication.instance().screenRemoved.emit(dock.screen())
    qtbot.waitUntil(lambda: dock.screen().availableGeometry().contains(dock.geometry()), timeout=PATIENCE_MS)


def test_the_layout_of_the_version_without_workspaces_is_that_of_generate(make_window: MakeWindow) -> None:
    window = make_window(replace(PREFERENCES, docks=OLD_DOCKS))
    assert window.workspaces.workspace.name == "generate"
    assert shown(window) == {"prompt", "tokens", "probabilities", "attention"}
    assert abs(window.docks["prompt"].width() - 364) < 10


def test_run_generates_and_the_title_counts(window: MainWindow, qtbot: QtBot) -> None:
    window.commands[Command.RUN].trigger()
    title_becomes(qtbot, window, "Canopy – 3 + 4 tokens")
    window.commands[Command.BACK].trigger()
    title_becomes(qtbot, window, "Canopy – 3 + 3 tokens")
    window.commands[Command.STEP].trigger()
    title_becomes(qtbot, window, "Canopy – 3 + 4 tokens")
    window.commands[Command.RESET].trigger()
    title_becomes(qtbot, window, "Canopy")


def test_the_keyboard_drives_the_run(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE_MS)
    qtbot.keyClick(window, Qt.Key.Key_F10)
    title_becomes(qtbot, window, "Canopy – 3 + 1 tokens")
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    title_becomes(qtbot, window, "Canopy – 3 + 4 tokens")
    qtbot.keyClick(window.focusWidget() or window, Qt.Key.Key_F9)
    title_becomes(qtbot, window, "Canopy – 3 + 3 tokens")
    qtbot.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    title_becomes(qtbot, window, "Canopy")


def test_a_first_start_begins_with_typing(window: MainWindow, qtbot: QtBot) -> None:
    focused = window.focusWidget()
    assert focused is not None
    qtbot.keyClicks(focused, "!")
    assert "!" in window.panel(PromptPanel).request().text


def test_the_prompt_leaves_the_windows_keys_to_the_window(window: MainWindow, qtbot: QtBot) -> None:
    """Qt's text fields take some keys for themselves."""
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE_MS)
    before = window.panel(PromptPanel).request().text
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.findChild(CommandPalette)
    assert palette is not None
    assert palette.isVisible()
    assert window.panel(PromptPanel).request().text == before


def test_the_palette_opens_workspaces_shows_panels_and_tells_about_them(window: MainWindow, qtbot: QtBot) -> None:
    for typed, holds in (
        ("choose", lambda: window.workspaces.workspace.name == "choose"),
        ("metrics panel", lambda: window.docks["metrics"].isVisible()),
        ("attention help", lambda: any(card.isVisible() for card in window.findChildren(HelpCard))),
    ):
        assert not holds()
        window.commands[Command.PALETTE].trigger()
        palette = window.findChild(CommandPalette)
        qtbot.keyClicks(palette.focusWidget(), typed)
        qtbot.keyClick(palette.focusWidget(), Qt.Key.Key_Return)
        assert holds()


def test_f6_goes_round_the_panels_and_back(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE_MS)
    visited = []
    for _ in window.workspaces.workspace.docks:
        dock = focused(list(window.docks.values()))
        assert dock is not None
        visited.append(dock.objectName())
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_F6)
    assert visited == list(window.workspaces.workspace.docks)
    assert focused(list(window.docks.values())) is window.docks["prompt"]
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_F6, Qt.KeyboardModifier.ShiftModifier)
    assert focused(list(window.docks.values())) is window.docks["metrics"]


def test_help_on_the_panel_with_the_keyboard_is_a_key_away_and_escape_stops_no_run(
    window: MainWindow, session: ScriptedSession, qtbot: QtBot
) -> None:
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE_MS)
    session.sequence.gate.clear()
    window.commands[Command.RUN].trigger()
    window.docks["attention"].reveal()
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_F1, Qt.KeyboardModifier.ShiftModifier)
    card = window.findChild(HelpCard)
    assert card is not None
    assert card.accessibleName() == "Attention"
    qtbot.waitUntil(card.isActiveWindow, timeout=PATIENCE_MS)
    qtbot.keyClick(card.focusWidget(), Qt.Key.Key_Escape)
    assert not card.isVisible()
    assert window.commands[Command.STOP].isEnabled()


def test_every_action_of_the_window_is_in_the_palette_and_explained(window: MainWindow) -> None:
    entries = window.entries()
    assert {entry.action for entry in entries} >= set(window.actions())
    assert all(entry.text and entry.action.whatsThis() for entry in entries)


def test_the_list_of_shortcuts_opens_with_f1(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(window.isActiveWindow, timeout=PATIENCE_MS)
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_F1)
    dialog = window.findChild(ShortcutsDialog)
    assert dialog is not None
    texts = {label.text() for label in dialog.findChildren(QLabel)}
    assert {"F10 or Ctrl+Right", "Ctrl+2", "Ctrl+K or Ctrl+Shift+P"} <= texts


def test_run_becomes_pause_while_the_model_is_at_work(
    window: MainWindow, session: ScriptedSession, qtbot: QtBot
) -> None:
    run = window.commands[Command.RUN]
    session.sequence.gate.clear()
    run.trigger()
    assert run.text() == "Pause"
    window.commands[Command.STOP].trigger()
    qtbot.waitUntil(lambda: run.text() == "Run", timeout=PATIENCE_MS)


def test_typing_counts_the_tokens_at_once(window: MainWindow) -> None:
    window.panel(PromptPanel).set_prompt(PromptRequest(text="hello"))
    assert window.docks["prompt"].subtitle() == "5 tokens"


def test_a_prompt_that_is_too_long_is_told_in_the_window(window: MainWindow, qtbot: QtBot) -> None:
    window.report(PromptTooLongError(400, 300))
    assert any("400" in label.text() for label in window.panel(TokenPanel).findChildren(QLabel))


def test_a_smaller_window_counts_the_prompt_against_its_own_size(window: MainWindow) -> None:
    window.panel(PromptPanel)._window._size.setValue(16)
    window.panel(PromptPanel).set_prompt(PromptRequest(text="x" * 17))
    assert window.panel(PromptPanel)._count.text() == "17 tokens: 1 more than the context holds"
    window.panel(PromptPanel)._window._size.setValue(17)
    assert window.panel(PromptPanel)._count.text() == "17 of 17 positions"


def test_running_on_the_cpu_although_cuda_was_asked_for_is_told(session: ScriptedSession, qtbot: QtBot) -> None:
    make_application()
    session.provider = ProviderReport("cpu", "There is no card, so the CPU is used.")
    controller = Controller(scripted.opener_of(session), PREFERENCES)
    window = MainWindow(controller, PREFERENCES, lambda preferences: None, provider="cuda")
    with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
        controller.open()
    assert any(label.text() == session.provider.reason for label in window.panel(TokenPanel).findChildren(QLabel))
    window.close()
    controller.shutdown()


def test_closing_remembers_what_was_set(make_window: MakeWindow, kept: list[Preferences], qtbot: QtBot) -> None:
    window = make_window()
    window.panel(PromptPanel).set_prompt(PromptRequest(text="another"))
    window.commands[Command.ZOOM_IN].trigger()
    window.docks["metrics"].close()
    window.panel(PromptPanel)._window._size.setValue(64)
    window.workspaces.show("choose")
    window.close()
    assert kept[0].prompt.text == "another"
    assert kept[0].window == ContextWindow(size=64)
    assert kept[0].zoom == 110
    again = make_window(kept[0])
    assert again.workspaces.workspace.name == "choose"
    again.workspaces.show("generate")
    assert not again.docks["metrics"].isVisible()
    assert again.docks["tokens"].isVisible()
    again.commands[Command.RESET_WORKSPACE].trigger()
    assert again.docks["metrics"].isVisible()


@pytest.mark.parametrize("layout", [b"", b"broken", b"\x00" * 500])
def test_a_broken_layout_starts_with_the_default_one(make_window: MakeWindow, layout: bytes) -> None:
    window = make_window(replace(PREFERENCES, geometry=layout, docks=layout))
    assert shown(window) == set(WORKSPACES[0].docks)


def test_closing_in_the_middle_of_a_pass_ends_cleanly(
    window: MainWindow, session: ScriptedSession, qtbot: QtBot
) -> None:
    session.sequence.gate.clear()
    window.commands[Command.RUN].trigger()
    assert session.sequence.waiting.wait(5)
    window.close()
    assert not window.isVisible()


def test_every_panel_is_closed_and_shown_again_by_the_view_menu(window: MainWindow) -> None:
    for dock in window.docks.values():
        before = dock.isVisible()
        dock.toggleViewAction().trigger()
        assert dock.isVisible() is not before
        dock.toggleViewAction().trigger()
        assert dock.isVisible() is before


@pytest.mark.parametrize("theme", settings.THEMES)
@pytest.mark.parametrize("zoom", [80, 100, 250])
def test_every_look_paints_and_fits_a_projector(make_window: MakeWindow, theme: str, zoom: int, qtbot: QtBot) -> None:
    window = make_window(replace(PREFERENCES, theme=theme, zoom=zoom))
    window.commands[Command.RUN].trigger()
    title_becomes(qtbot, window, "Canopy – 3 + 4 tokens")
    image = window.grab().toImage()
    assert len({image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}) > 10
    least = window.minimumSizeHint()
    assert least.width() <= 1280
    assert least.height() <= 720


def test_a_look_that_is_changed_takes_the_room_that_it_takes_from_the_start(window: MainWindow, qtbot: QtBot) -> None:
    bars = (window.transport, window.stages)
    before = [bar.height() for bar in bars]
    window._view_menu.theme_chosen.emit("contrast")
    qtbot.wait(50)
    assert [bar.height() for bar in bars] == before
    window._zoom(250)
    qtbot.wait(50)
    assert window.minimumSizeHint().height() <= 720


def test_at_normal_size_the_window_fits_the_smallest_screens(window: MainWindow) -> None:
    least = window.minimumSizeHint()
    assert least.width() <= 1024
    assert least.height() <= 700


def test_the_model_is_named_in_the_strip_where_the_tool_bar_has_no_room_for_it(
    make_window: MakeWindow, qtbot: QtBot
) -> None:
    window = make_window(PREFERENCES)
    heights = [bar.height() for bar in (window.transport, window.stages)]
    for width in (1280, 1920, 1280):
        window.resize(width, 720)
        window.grab()  # lays it out
        narrow = width == 1280
        assert window.transport._model.isHidden() is narrow
        assert window.stages._model.isVisible() is narrow
        assert window.stages._model.text() == ("Scripted · fp32" if narrow else "")
    assert [bar.height() for bar in (window.transport, window.stages)] == heights


def test_where_tabs_have_no_room_a_menu_names_the_workspace(window: MainWindow, qtbot: QtBot) -> None:
    tabs, button = window.findChild(WorkspaceTabs), window.findChild(WorkspaceButton)
    assert tabs.isVisible()
    assert not button.isVisible()
    window.workspaces.show("attend")
    window._zoom(250)
    qtbot.waitUntil(button.isVisible, timeout=PATIENCE_MS)
    assert not tabs.isVisible()
    assert button.text() == "Attend ▾"
    button.menu().actions()[0].trigger()
    assert button.text() == "Generate ▾"
    assert tabs.currentIndex() == 0


def test_the_metrics_say_what_runs_where_the_tool_bar_has_no_room(window: MainWindow) -> None:
    assert window.docks["metrics"].subtitle() == "measured on this machine: Scripted · fp32, CPU"


def test_a_tab_opens_its_workspace(window: MainWindow, qtbot: QtBot) -> None:
    tabs = window.findChild(WorkspaceTabs)
    qtbot.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(1).center())
    assert window.workspaces.workspace.name == "choose"
    qtbot.keyClick(tabs, Qt.Key.Key_Right)
    assert window.workspaces.workspace.name == "attend"


def test_smaller_text_gives_the_room_back_that_larger_text_took(window: MainWindow, qtbot: QtBot) -> None:
    height = window.docks["metrics"].height()
    window._zoom(250)
    qtbot.waitUntil(lambda: window.docks["metrics"].height() > height, timeout=PATIENCE_MS)
    window._zoom(100)
    qtbot.waitUntil(lambda: window.docks["metrics"].height() == height, timeout=PATIENCE_MS)


def test_every_button_has_a_name_for_a_screen_reader(window: MainWindow) -> None:
    for button in window.findChildren(QAbstractButton):
        if button.objectName().startswith("qt_") or isinstance(button.parent(), QLineEdit):
            continue  # Qt's own
        assert button.accessibleName() or button.text(), button


@pytest.mark.parametrize("workspace", NAMES)
def test_every_control_has_a_name_for_a_screen_reader(window: MainWindow, workspace: str) -> None:
    """Containers that only scroll aside; the field of a spin box has the name of the box."""
    window.workspaces.show(workspace)
    reached = [
        control
        for control in window.findChildren(QWidget)
        if control.isVisible() and control.focusPolicy() & Qt.FocusPolicy.TabFocus and type(control) is not QLineEdit
    ]
    assert len(reached) > 15
    for control in reached:
        named = QAccessible.queryAccessibleInterface(control).text(QAccessible.Text.Name)
        assert named or isinstance(control, QScrollArea), control


def test_no_two_actions_share_a_key(window: MainWindow) -> None:
    keys = [key.toString() for action in window.actions() for key in action.shortcuts()]
    assert len(keys) == len(set(keys))
    assert {"F10", "Ctrl+1"} <= set(keys)


def test_the_real_model_generates_in_the_real_window(built_model: Path, qtbot: QtBot, kept: list[Preferences]) -> None:
    make_application()
    preferences = replace(Preferences(), decoding=DecodingSettings(max_tokens=8))
    controller = Controller(opener_of(str(built_model), "cpu"), preferences)
    window = MainWindow(controller, preferences, kept.append)
    window.show()
    with qtbot.waitSignal(controller.model_opened, timeout=60_000):
        controller.open()
    window.commands[Command.RUN].trigger()
    qtbot.waitUntil(lambda: controller.state.phase is RunPhase.FINISHED, timeout=60_000)
    assert window.windowTitle() == "Canopy – 14 + 8 tokens"
    with qtbot.waitSignal(controller.settled, timeout=60_000):
        controller.sight.select_head(3, 4)
    window.close()
    window.deleteLater()

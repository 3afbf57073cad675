"""Undo and redo of what is no walk in the tree: settings, output filter, context window, a forbidden look, a reset."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.output_filter import FilterAction
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration import journal
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.journal import Journal
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.trail import Change, Deed, Marks, ShownText, Standing, TriedBlock
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_ui.actions import Command
from canopy_ui.deed_words import deed_words, redo_words, undo_words
from canopy_ui.filter_choice import FilterChoice
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.sampling_panel import SamplingPanel
from canopy_ui.state import RunPhase
from canopy_ui.trail_desk import TOGETHER_S, TrailDesk
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.keeping import facts
from tests.support.scripted import ScriptedSession
from tests.support.whole_window import WholeWindow, whole_window

GREEDY = PREFERENCES.decoding
WARM = replace(GREEDY, temperature=0.8)
LOOK = BlockWish(query=5, key=2, column=False, layer=1, head=2)


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    yield driver
    driver.session.sequence.gate.set()
    driver.controller.shutdown()


@pytest.fixture(scope="module")
def whole(qapp: QApplication) -> Iterator[WholeWindow]:
    with whole_window() as whole:
        yield whole


def test_a_setting_is_undone_by_its_name_and_value(whole: WholeWindow) -> None:
    controller, commands = whole.controller, whole.window.commands
    controller.wishes.set_decoding(WARM)
    assert commands[Command.UNDO].text() == "Undo temperature 0.8"
    commands[Command.UNDO].trigger()
    assert controller.wishes.decoding == GREEDY
    assert whole.window.panel(SamplingPanel).settings() == GREEDY
    assert commands[Command.REDO].text() == "Redo temperature 0.8"
    commands[Command.REDO].trigger()
    assert controller.wishes.decoding == WARM
    commands[Command.UNDO].trigger()
    assert commands[Command.UNDO].text() == "Undo new text"


def test_the_context_window_is_undone_where_it_is_chosen(whole: WholeWindow) -> None:
    controller, panel = whole.controller, whole.window.panel(PromptPanel)
    before = controller.wishes.window
    panel.window_changed.emit(ContextWindow(size=64, when_full=WhenFull.SLIDE))
    assert controller.state.edited
    assert undo_words(controller.state.undoes) == "Undo context window"
    controller.undo()
    assert controller.wishes.window == panel._window._window == before
    assert not controller.state.edited


def test_an_output_filter_is_undone_where_it_is_chosen(whole: WholeWindow, tmp_path: Path) -> None:
    controller, form = whole.controller, whole.window.panel(SamplingPanel)._filter
    words = tmp_path / "words.txt"
    words.write_text("def\n")
    form.read(words)
    assert controller.wishes.filter.output_filter is not None
    assert undo_words(controller.state.undoes) == "Undo output filter"
    controller.undo()
    assert controller.wishes.filter == form.choice() == FilterChoice()
    assert "No filter" in form._told.text()
    controller.redo()
    assert controller.wishes.filter.output_filter is not None
    assert form.choice() == controller.wishes.filter
    controller.undo()


def test_a_filter_that_was_remembered_is_no_deed_when_it_is_read(whole: WholeWindow) -> None:
    controller = whole.controller
    before = controller.state.undoes
    controller.wishes.set_filter(replace(controller.wishes.filter, output_filter=None))
    assert controller.state.undoes == before
    controller.wishes.set_filter(FilterChoice(action=FilterAction.MASK))
    assert controller.state.undoes == Change(Deed.FILTER, None, controller.wishes.decoding)
    controller.undo()


def test_a_forbidden_look_is_undone_like_its_own_button_does_it(whole: WholeWindow) -> None:
    whole.show("attend")
    controller, panel = whole.controller, whole.window.panel(AttentionPanel)
    panel.try_block(LOOK)
    assert panel._side.currentWidget() is panel._before_after
    whole.wait_until(lambda: "bits" in panel._before_after.told())
    controller.undo()
    assert panel._side.currentWidget() is panel._table
    assert redo_words(controller.state.redoes) == "Redo forbidden look"
    controller.redo()
    whole.wait_until(lambda: "bits" in panel._before_after.told())
    panel._before_after._undo.click()
    assert panel._side.currentWidget() is panel._table
    controller.undo()  # the look is forbidden again
    whole.wait_until(lambda: "bits" in panel._before_after.told())
    controller.undo()
    assert panel._side.currentWidget() is panel._table
    assert undo_words(controller.state.undoes) == "Undo new text"


def test_a_reset_is_undone_and_the_text_goes_on(driver: Driver) -> None:
    controller = driver.controller
    controller.wishes.set_decoding(replace(GREEDY, max_tokens=2))
    controller.reset()
    driver.wait_painted()
    assert driver.text() == ""
    assert undo_words(controller.state.undoes) == "Undo reset"
    driver.type("typed since")
    controller.undo()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"
    assert controller.draft.request == PREFERENCES.prompt
    assert controller.wishes.decoding == replace(GREEDY, max_tokens=2)
    assert not controller.state.edited
    controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefghi"
    assert driver.errors == []


def test_a_text_that_came_back_after_a_reset_is_kept_again(qtbot: QtBot, tmp_path: Path) -> None:
    driver = Driver(qtbot, ScriptedSession(), journal=Journal(tmp_path))
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    kept = driver.controller.keeping.snapshot()
    driver.controller.reset()
    driver.wait_painted()
    driver.controller.undo()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.shutdown()
    (found,) = journal.find(tmp_path)
    assert kept is not None
    assert facts(journal.read(found.path)) == facts(kept)


def test_a_text_that_is_undone_while_it_is_read_gives_way(driver: Driver) -> None:
    controller = driver.controller
    driver.session.sequence.gate.clear()
    driver.type("xy")
    controller.run()
    driver.qtbot.waitUntil(lambda: controller.state.prompt_tokens == 2, timeout=PATIENCE_MS)
    controller.undo()
    driver.session.sequence.gate.set()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"
    assert controller.state.edited
    assert driver.errors == []


def test_a_reset_that_was_undone_can_be_redone(driver: Driver) -> None:
    controller = driver.controller
    controller.reset()
    driver.type("typed since")
    controller.undo()
    driver.wait_for(RunPhase.FINISHED)
    controller.redo()
    driver.wait_painted()
    assert driver.text() == ""
    assert controller.draft.request.text == "typed since"
    controller.undo()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"


def test_a_text_that_another_one_replaced_comes_back_with_its_deeds(driver: Driver) -> None:
    """The prompt that had been typed for the other one stays typed, so a run begins it anew."""
    controller = driver.controller
    controller.go_to(1)
    driver.settle_view()
    driver.type("xy")
    controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "xycdef"
    assert undo_words(controller.state.undoes) == "Undo new text"
    controller.undo()
    driver.qtbot.waitUntil(lambda: controller.state.phase is RunPhase.PAUSED, timeout=PATIENCE_MS)
    driver.wait_painted()
    assert driver.text() == "abcde"
    assert controller.draft.request.text == "xy"
    assert controller.state.edited
    assert undo_words(controller.state.undoes) == "Undo going to another token"
    controller.undo()
    driver.wait_painted()
    assert driver.text() == "abcdefg"
    controller.redo()
    controller.redo()
    driver.qtbot.waitUntil(lambda: controller.state.generated == 4, timeout=PATIENCE_MS)
    driver.wait_painted()
    assert driver.text() == "xycdef"


def test_what_the_last_window_showed_is_no_deed_when_it_is_shown_again(driver: Driver) -> None:
    controller = driver.controller
    controller.wishes.set_decoding(WARM)
    kept = controller.keeping.snapshot()
    assert kept is not None
    controller.reopen(replace(kept.unmade(), tokens=controller.keeping.token_table))
    assert not controller.state.can_undo


def test_a_new_seed_is_undone_with_the_text_that_it_was_drawn_for(driver: Driver) -> None:
    controller = driver.controller
    controller.wishes.draw_new_seeds(True)
    seed = controller.wishes.decoding.seed
    controller.reset()
    controller.run()
    driver.wait_for(RunPhase.FINISHED)
    controller.undo()
    assert driver.controller.state.prompt_tokens == 0
    assert controller.wishes.decoding.seed == seed


def desk_with_clock() -> tuple[TrailDesk, list[DecodingSettings], list[float]]:
    """A desk, what holds (the last of a list), and the time (likewise)."""
    settings, times = [GREEDY], [0.0]
    standing = Standing(0, Marks(), window=ContextWindow(), block=TriedBlock(None), text=ShownText(1))
    desk = TrailDesk(lambda whole: replace(standing, settings=settings[-1]), clock=lambda: times[-1])
    return desk, settings, times


def move(desk: TrailDesk, settings: list[DecodingSettings], value: float, what: str = "temperature") -> None:
    desk.note(Deed.SETTINGS, what)
    settings.append(replace(settings[-1], **{what: value}))


def test_a_slider_that_is_moved_on_is_one_deed(qapp: QApplication) -> None:
    desk, settings, times = desk_with_clock()
    for step in range(1, 6):
        times.append(step * TOGETHER_S / 2)
        move(desk, settings, step / 10)
    assert desk.undoes() == Change(Deed.SETTINGS, GREEDY, settings[-1], "temperature")
    times.append(times[-1] + TOGETHER_S)
    move(desk, settings, 0.9)
    undone = desk.undo()
    assert undone is not None
    assert undone.settings == replace(GREEDY, temperature=0.5)


def test_two_settings_are_two_deeds_however_fast(qapp: QApplication) -> None:
    desk, settings, _ = desk_with_clock()
    move(desk, settings, 0.7)
    move(desk, settings, 0.9, "top_p")
    undone = desk.undo()
    assert undone is not None
    assert undone.settings == replace(GREEDY, temperature=0.7)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (WARM, "temperature 0.8"),
        (replace(GREEDY, top_k=40), "top-k 40"),
        (replace(GREEDY, max_tokens=9), "at most 9 tokens"),
        (replace(GREEDY, stop=(".",)), "stop texts"),
        (replace(GREEDY, temperature=0.8, top_k=40), "settings"),
    ],
)
def test_a_change_of_settings_is_told(after: DecodingSettings, words: str) -> None:
    assert deed_words(Change(Deed.SETTINGS, GREEDY, after)) == words


def test_back_to_the_likeliest_token_is_told() -> None:
    assert deed_words(Change(Deed.SETTINGS, WARM, GREEDY)) == "greedy"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("waves.canopy", "opening waves.canopy"),
        ("R&D.canopy", "opening R&&D.canopy"),
        ("", "opening what was not saved"),
        ("a" * 60 + ".canopy", f"opening {'a' * 20}…{'a' * 13}.canopy"),
    ],
)
def test_what_was_opened_is_told_by_its_name(name: str, told: str) -> None:
    assert deed_words(Change(Deed.OPEN, what=name)) == told


@pytest.mark.parametrize("deed", Deed)
def test_every_deed_has_a_name(deed: Deed) -> None:
    assert len(deed_words(Change(deed))) > 2


def test_without_a_deed_the_commands_have_their_own_names() -> None:
    assert (undo_words(None), redo_words(None)) == ("Undo", "Redo")


def test_the_prompts_request_is_what_the_panel_shows_after_a_reset_is_undone(whole: WholeWindow) -> None:
    panel = whole.window.panel(PromptPanel)
    whole.controller.reset()
    panel.set_prompt(PromptRequest(text="other"))
    panel.changed.emit()
    whole.controller.undo()
    assert panel.request().text == "abc"
    whole.wait_until(lambda: whole.controller.state.phase is RunPhase.FINISHED)

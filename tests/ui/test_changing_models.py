"""Another model is opened while the program runs: the one before is freed first, and what is shown can be read."""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from canopy_desktop import paths, settings
from canopy_desktop.errors import BundleError
from canopy_desktop.exploration.compare_view import CompareStage, SideWish
from canopy_desktop.exploration.journal import Journal, find
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_desktop.exploration.searching import SearchAsk, SearchKind
from canopy_ui import program
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.state import RunPhase
from canopy_ui.workspaces import NAMES
from tests.core import tiny
from tests.support import scripted
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.scripted import ScriptedSession


@pytest.fixture
def drive(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[[], Driver]]:
    made: list[Driver] = []

    def make() -> Driver:
        made.append(Driver(qtbot, ScriptedSession(), journal=Journal(tmp_path / "journals")))
        made[-1].open()
        return made[-1]

    yield make
    for driver in made:
        driver.controller.shutdown()


def other() -> ScriptedSession:
    return ScriptedSession(script="zyxwvutsrqponmlkjihgfedcba", title="Other")


def change(driver: Driver, session: ScriptedSession) -> None:
    with driver.qtbot.waitSignal(driver.controller.model_opened, timeout=PATIENCE_MS):
        driver.controller.change_model(scripted.opener_of(session))


def run(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)


def test_the_model_before_is_freed_before_the_next_one_opens(drive: Callable[[], Driver]) -> None:
    driver = drive()
    run(driver)
    before = weakref.ref(driver.session)
    driver.session = other()
    seen: list[object] = []

    def opener(progress: Callable[[float], None]) -> ScriptedSession:
        seen.append(before())
        return driver.session

    with driver.qtbot.waitSignal(driver.controller.model_opened, timeout=PATIENCE_MS):
        driver.controller.change_model(opener)
    assert seen == [None]


def test_what_is_shown_can_be_read_and_walked_along_and_the_next_run_is_the_new_models(
    drive: Callable[[], Driver],
) -> None:
    driver = drive()
    run(driver)
    assert driver.text() == "abcdefg"
    change(driver, other())
    driver.wait_for(RunPhase.PAUSED)
    assert (driver.text(), driver.controller.state.alone) == ("abcdefg", True)
    assert driver.controller.keeping.lacking_model == "scripted"
    driver.controller.back()
    driver.controller.step()
    driver.wait_painted()
    assert driver.text() == "abcdefg"
    driver.type("abx")
    run(driver)
    assert driver.text() == "abxwvut"
    assert driver.errors == []


def test_at_the_end_of_another_models_text_run_begins_the_prompt_with_the_one_that_is_open(
    drive: Callable[[], Driver],
) -> None:
    driver = drive()
    run(driver)
    change(driver, other())
    driver.wait_for(RunPhase.PAUSED)
    driver.controller.back()
    driver.controller.run()  # along what is recorded
    driver.wait_for(RunPhase.PAUSED)
    assert (driver.text(), driver.controller.state.alone) == ("abcdefg", True)
    driver.controller.step()
    assert driver.controller.state.alone
    run(driver)
    assert (driver.text(), driver.controller.state.alone) == ("abcwvut", False)


def test_the_first_model_takes_its_text_up_again(drive: Callable[[], Driver]) -> None:
    driver = drive()
    run(driver)
    change(driver, other())
    change(driver, ScriptedSession())
    driver.wait_for(RunPhase.FINISHED)
    assert not driver.controller.state.alone
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefghijk"


def test_a_model_that_was_renamed_takes_its_text_up_too(drive: Callable[[], Driver]) -> None:
    driver = drive()
    run(driver)
    renamed = ScriptedSession()
    renamed.card = renamed.card.renamed("ours")
    change(driver, renamed)
    driver.wait_for(RunPhase.FINISHED)
    assert not driver.controller.state.alone


def test_a_comparison_under_way_is_left(drive: Callable[[], Driver]) -> None:
    driver = drive()
    driver.session.sequence.gate.clear()
    wish = SideWish(request=PromptRequest(text="abc"), settings=driver.controller.wishes.decoding)
    driver.controller.comparison.compare(wish, wish)
    assert driver.session.sequence.waiting.wait(PATIENCE_MS / 1000)
    driver.controller.change_model(scripted.opener_of(other()))
    driver.session.sequence.gate.set()
    driver.wait_for(RunPhase.READY)
    assert driver.controller.comparison.view().stage is CompareStage.EMPTY
    assert driver.errors == []


def test_a_text_that_was_running_stays_as_far_as_it_came(drive: Callable[[], Driver]) -> None:
    driver = drive()
    driver.controller.set_interval(1000)
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.controller.state.generated == 1, timeout=PATIENCE_MS)
    change(driver, other())
    driver.wait_for(RunPhase.PAUSED)
    assert driver.text() == "abcd"


def test_the_journal_keeps_what_is_shown_until_another_text_begins(drive: Callable[[], Driver], tmp_path: Path) -> None:
    driver = drive()
    run(driver)
    change(driver, other())
    driver.wait_for(RunPhase.PAUSED)
    driver.controller.shutdown()
    (journal,) = find(tmp_path / "journals")
    assert journal.closed


def test_a_model_that_cannot_be_opened_leaves_the_text_to_be_read(drive: Callable[[], Driver]) -> None:
    driver = drive()
    run(driver)

    def opener(progress: Callable[[float], None]) -> ScriptedSession:
        raise BundleError("model", "it was altered")

    driver.controller.change_model(opener)
    driver.wait_for(RunPhase.FAILED)
    assert (driver.text(), driver.controller.session) == ("abcdefg", None)
    assert [type(error) for error in driver.errors] == [BundleError]
    change(driver, ScriptedSession())
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"


def test_of_two_models_one_after_the_other_the_last_one_is_opened(drive: Callable[[], Driver]) -> None:
    driver = drive()
    opened: list[object] = []
    driver.controller.model_opened.connect(lambda session: opened.append(session.card.title))
    for title in ("One", "Two", "Three"):
        driver.controller.change_model(scripted.opener_of(ScriptedSession(title=title)))
    driver.wait_for(RunPhase.READY)
    assert opened == ["Three"]


@pytest.mark.parametrize(("chosen", "told"), [("gone", True), ("here", False), ("", False)])
def test_a_default_that_is_not_there_any_more_is_said(qtbot: QtBot, chosen: str, told: bool) -> None:
    session = ScriptedSession()
    session.bundle.folder = Path("models/here")
    preferences = replace(PREFERENCES, model=chosen)
    controller = Controller(scripted.opener_of(session), preferences)
    window = MainWindow(controller, preferences, lambda preferences: None)
    qtbot.addWidget(window)
    with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
        controller.open()
    said = " ".join(label.text() for label in window.panel(TokenPanel).findChildren(QLabel))
    assert ("The default model gone is not there any more" in said) is told
    window.close()


def test_a_window_that_closes_leaves_the_default_that_was_chosen_meanwhile() -> None:
    settings.save(paths.settings_file(), replace(PREFERENCES, model="mine"))
    program._remember(replace(PREFERENCES, zoom=150))
    kept = settings.load(paths.settings_file())
    assert (kept.model, kept.zoom) == ("mine", 150)


def test_nothing_of_a_real_model_is_left_when_the_next_one_opens(
    qtbot: QtBot, tmp_path: Path, qapp: QApplication
) -> None:
    """After a look at everything that holds the model: attention, the lens, the inside, a comparison, a search."""
    folder = tiny.build(tmp_path, llama__context_length=200)
    controller = Controller(opener_of(str(folder), "cpu"), replace(PREFERENCES, layer=0, head=0))
    window = MainWindow(controller, PREFERENCES, lambda preferences: None)
    qtbot.addWidget(window)
    window.show()

    def settle(workspace: str) -> None:
        window.workspaces.show(workspace)
        with qtbot.waitSignal(controller.settled, timeout=PATIENCE_MS):
            controller.touch()

    with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
        controller.open()
    controller.run()
    qtbot.waitUntil(lambda: controller.state.phase is RunPhase.FINISHED, timeout=PATIENCE_MS)
    for workspace in NAMES:
        settle(workspace)
    wish = SideWish(request=PromptRequest(text="abc"), settings=controller.wishes.decoding)
    controller.comparison.compare(wish, replace(wish, model=folder))
    qtbot.waitUntil(lambda: controller.comparison.idle, timeout=PATIENCE_MS)
    controller.search(SearchAsk(node=PROMPT_NODE, kind=SearchKind.BEAMS, count=2, length=2))
    settle("search")
    session = controller.session
    assert session is not None
    held = [weakref.ref(part) for part in (session, session.head, session.sequence, session.sequence.decoder)]
    del session
    left: list[object] = []

    def opener(progress: Callable[[float], None]) -> object:
        left.extend(part() for part in held)
        return opener_of(str(folder), "cpu")(progress)

    with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
        controller.change_model(opener)
    assert left == [None] * 4
    window.close()

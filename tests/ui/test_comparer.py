"""Two runs side by side: beside the recorded text, a pass of each in turn, and stopped when a person says so."""

import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import EmptyPromptError, ModelNotFoundError, SettingsError
from canopy_desktop.exploration.compare_view import CompareStage, CompareView, Side, SideWish
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_ui.compare_events import (
    CompareCommand,
    CompareEvent,
    CompareFailed,
    CompareLeft,
    CompareOver,
    ModelOpening,
    SideBegun,
    SideStepped,
)
from canopy_ui.comparer import Comparer
from canopy_ui.state import RunPhase
from tests.core import tiny
from tests.support.driving import PATIENCE_MS, Driver
from tests.support.scripted import ScriptedSession, byte_tokenizer

A = SideWish(request=PromptRequest(text="abc"), settings=DecodingSettings(max_tokens=5))
OTHER = Path("other")


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    driver.open()
    yield driver
    driver.controller.shutdown()


def without(driver: Driver, letter: str) -> SideWish:
    return replace(A, settings=replace(A.settings, banned_tokens=(driver.token(letter),)))


def compared(driver: Driver, b: SideWish, a: SideWish = A) -> CompareView:
    """Until both runs are over, and every step that can be compared was read."""
    desk = driver.controller.comparison
    desk.compare(a, b)
    driver.qtbot.waitUntil(lambda: not desk.view().busy and desk.idle, timeout=PATIENCE_MS)
    return desk.view()


def texts(view: CompareView) -> tuple[str, str]:
    assert view.a is not None
    assert view.b is not None
    return "".join(token.text for token in view.a.tokens), "".join(token.text for token in view.b.tokens)


def test_the_same_twice_is_equal_in_every_step(driver: Driver) -> None:
    view = compared(driver, A)
    assert texts(view) == ("defgh", "defgh")
    assert view.shared == 5
    assert sorted(view.pictures) == [0, 1, 2, 3, 4]
    finals = [picture.final for picture in view.pictures.values()]
    assert [final.total_variation for final in finals if final is not None] == 5 * [0.0]


def test_texts_part_where_the_settings_say_so_and_steps_are_read_until_there(driver: Driver) -> None:
    view = compared(driver, without(driver, "f"))
    assert texts(view) == ("defgh", "deggh")
    assert view.shared == 2
    assert sorted(view.pictures) == [0, 1, 2]
    assert view.selected == 2
    assert [one.name for one in view.settings] == ["banned_tokens"]
    final = view.pictures[2].final
    assert final is not None
    assert final.a_b_bits == float("inf")


def test_a_step_after_the_parting_is_read_when_it_is_selected(driver: Driver) -> None:
    compared(driver, without(driver, "f"))
    desk = driver.controller.comparison
    desk.select(4)
    driver.qtbot.waitUntil(lambda: 4 in desk.view().pictures, timeout=PATIENCE_MS)
    assert desk.view().picture is desk.view().pictures[4]
    assert 3 not in desk.view().pictures


def test_two_prompts_are_told_apart_by_their_tokens(driver: Driver) -> None:
    view = compared(driver, replace(A, request=PromptRequest(text="abx")))
    assert view.prompt is not None
    assert (view.prompt.tokens, view.prompt.characters) == (2, 2)


def test_nothing_of_it_is_recorded(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    passes, text = len(driver.session.sequence.fed), driver.text()
    compared(driver, without(driver, "f"))
    assert (len(driver.session.sequence.fed), driver.text()) == (passes, text)


def test_a_run_goes_on_while_two_are_compared(driver: Driver) -> None:
    driver.controller.run()
    view = compared(driver, A)
    driver.wait_for(RunPhase.FINISHED)
    assert (driver.generated(), texts(view)) == ("defg", ("defgh", "defgh"))


def test_stop_keeps_what_both_have_made(driver: Driver) -> None:
    desk, endless = driver.controller.comparison, replace(A, settings=DecodingSettings(max_tokens=250))
    desk.compare(endless, endless)
    driver.qtbot.waitUntil(lambda: desk.view().length > 2, timeout=PATIENCE_MS)
    desk.stop()
    driver.qtbot.waitUntil(lambda: desk.view().stage is CompareStage.DONE, timeout=PATIENCE_MS)
    view = desk.view()
    assert view.a is not None
    assert view.b is not None
    assert {view.a.reason, view.b.reason} == {StopReason.CANCELLED}
    assert 2 < view.length < 250
    assert abs(len(view.a.tokens) - len(view.b.tokens)) <= 1


def test_a_pass_that_is_interrupted_ends_both_where_they_are(driver: Driver) -> None:
    desk, sequence = driver.controller.comparison, driver.session.sequence
    driver.controller.step()
    driver.wait_for(RunPhase.PAUSED)
    sequence.gate.clear()
    desk.compare(A, A)
    driver.qtbot.waitUntil(sequence.waiting.is_set, timeout=PATIENCE_MS)
    driver.controller.stop()
    driver.qtbot.waitUntil(lambda: desk.view().stage is CompareStage.DONE, timeout=PATIENCE_MS)
    assert desk.view().length == 0
    assert driver.errors == []


def test_what_cannot_run_is_said_and_another_comparison_can_begin(driver: Driver) -> None:
    desk = driver.controller.comparison
    desk.compare(A, replace(A, request=PromptRequest(text="")))
    driver.qtbot.waitUntil(lambda: bool(driver.errors), timeout=PATIENCE_MS)
    assert isinstance(driver.errors[0], EmptyPromptError)
    assert desk.view().stage is CompareStage.FAILED
    assert texts(compared(driver, A)) == ("defgh", "defgh")


def test_a_ban_of_a_token_that_the_model_lacks_is_refused(driver: Driver) -> None:
    driver.controller.comparison.compare(A, replace(A, settings=DecodingSettings(banned_tokens=(9_999,))))
    driver.qtbot.waitUntil(lambda: bool(driver.errors), timeout=PATIENCE_MS)
    assert isinstance(driver.errors[0], SettingsError)


def test_the_newest_comparison_is_the_one_that_is_shown(driver: Driver) -> None:
    desk = driver.controller.comparison
    desk.compare(replace(A, settings=DecodingSettings(max_tokens=250)), A)
    view = compared(driver, replace(A, request=PromptRequest(text="abcd")))
    assert texts(view) == ("defgh", "efghi")


class Opened:
    """A comparer on this thread, and what it has said; other models are scripted ones."""

    def __init__(self, open_other: Callable[[Callable[[float], None]], ScriptedSession]) -> None:
        self.folders: list[Path] = []
        self.events: list[CompareEvent] = []

        def opener(folder: Path, provider: str, tokens: int, progress: Callable[[float], None]) -> ScriptedSession:
            assert provider == "cpu"
            assert tokens >= len("abc") + A.settings.max_tokens  # for which there has to be room
            self.folders.append(folder)
            return open_other(progress)

        self.comparer = Comparer(opener=opener)  # type: ignore[arg-type]
        self.comparer.event_ready.connect(self.events.append)
        self.comparer.open(ScriptedSession())  # type: ignore[arg-type]

    def compare(self, qtbot: QtBot, b: SideWish, number: int = 1) -> None:
        self.comparer.compare(CompareCommand(number=number, a=A, b=b))
        over = (CompareOver, CompareFailed, CompareLeft)
        qtbot.waitUntil(lambda: isinstance(self.events[-1], over), timeout=PATIENCE_MS)


def other_script(progress: Callable[[float], None]) -> ScriptedSession:
    progress(0.5)
    return ScriptedSession(script="abcdxyz")


def test_another_model_is_opened_once_and_closed_when_it_is_released(qtbot: QtBot) -> None:
    opened = Opened(other_script)
    opened.compare(qtbot, replace(A, model=OTHER))
    assert [event.share for event in opened.events if isinstance(event, ModelOpening)] == [0.5]
    ids = [
        event.step.chosen.token_id for event in opened.events if isinstance(event, SideStepped) and event.side is Side.B
    ]
    assert byte_tokenizer().decode(ids) == "dxyza"
    begun = [event for event in opened.events if isinstance(event, SideBegun)]
    assert [event.same_vocabulary for event in begun] == [True, True]
    opened.compare(qtbot, replace(A, model=OTHER), 2)
    assert opened.folders == [OTHER]
    opened.comparer.release()
    opened.compare(qtbot, replace(A, model=OTHER), 3)
    assert opened.folders == [OTHER, OTHER]


def test_a_turn_is_one_pass_of_one_side(qtbot: QtBot) -> None:
    opened = Opened(other_script)
    opened.compare(qtbot, A)
    sides = [event.side for event in opened.events if isinstance(event, SideStepped)]
    assert sides == 5 * [Side.A, Side.B]


def test_a_model_that_cannot_be_opened_is_said(qtbot: QtBot) -> None:
    def missing(progress: Callable[[float], None]) -> ScriptedSession:
        raise ModelNotFoundError("other", ())

    opened = Opened(missing)
    opened.compare(qtbot, replace(A, model=OTHER))
    failed = opened.events[-1]
    assert isinstance(failed, CompareFailed)
    assert isinstance(failed.error, ModelNotFoundError)


def test_opening_a_model_can_be_left(qtbot: QtBot) -> None:
    def endless(progress: Callable[[float], None]) -> ScriptedSession:
        threading.Thread(target=opened.comparer.abandon).start()
        while True:
            progress(0.1)

    opened = Opened(endless)
    opened.compare(qtbot, replace(A, model=OTHER))
    assert isinstance(opened.events[-1], CompareLeft)
    opened.comparer.stop()
    opened.compare(qtbot, A, 2)
    assert isinstance(opened.events[-1], CompareOver)


def test_a_hidden_panel_lets_go_of_the_other_model(driver: Driver) -> None:
    desk = driver.controller.comparison
    desk.show(True)
    desk.compare(A, replace(A, model=Path("nowhere at all")))
    with driver.qtbot.waitSignal(desk.release_requested, timeout=PATIENCE_MS):
        driver.qtbot.waitUntil(lambda: bool(driver.errors), timeout=PATIENCE_MS)
    desk._held = OTHER
    with driver.qtbot.waitSignal(desk.release_requested, timeout=PATIENCE_MS):
        desk.show(False)


def test_a_bundle_that_is_no_longer_compared_is_no_longer_in_memory(
    qtbot: QtBot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = [tiny.build(tmp_path_factory.mktemp("models")) for _ in range(2)]
    session = ModelSession.open(Bundle.open(folders[0]), ProviderChoice.CPU)
    comparer, events = Comparer(), []
    comparer.event_ready.connect(events.append)
    comparer.open(session)
    wish = SideWish(request=PromptRequest(text="the cat"), settings=DecodingSettings(max_tokens=3))
    comparer.compare(CompareCommand(number=1, a=wish, b=replace(wish, model=folders[1])))
    qtbot.waitUntil(lambda: isinstance(events[-1], CompareOver), timeout=PATIENCE_MS)
    assert events[-1].a.run.ids == events[-1].b.run.ids
    assert [event.share for event in events if isinstance(event, ModelOpening)][-1] == 1.0
    assert comparer._other is not None
    other = weakref.ref(comparer._other[1])
    events.clear()
    comparer.release()
    assert other() is None

"""The stage strip: what it says, and going through a step stage by stage."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopFound
from canopy_desktop.exploration.records import ChosenBy
from canopy_desktop.exploration.stages import (
    FIRST,
    LAST,
    Continued,
    Cut,
    Drawn,
    Embedded,
    Heated,
    Passed,
    Penalised,
    Scored,
    StageFacts,
    StepStage,
    StepStages,
    Tokenised,
    Trimmed,
)
from canopy_desktop.settings import Preferences
from canopy_ui.actions import make_actions
from canopy_ui.controller import Controller
from canopy_ui.docks import DOCKS
from canopy_ui.links.stage_link import StageLink
from canopy_ui.main_window import MainWindow
from canopy_ui.program import make_application
from canopy_ui.stage_strip import COMPACT_FROM, QUIET, StageStrip
from canopy_ui.stage_walk import StageWalk
from canopy_ui.state import RunPhase
from canopy_ui.theme import theme_named
from canopy_ui.widgets.strip_words import figure_of, line_of, stage_title
from canopy_ui.workspaces import PANELS_OF_STAGE
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.records import GOES_ON
from tests.support.scripted import ScriptedSession, opener_of
from tests.ui.support import token

PARIS = token(" Paris", 7042)


def penalised(**changes: object) -> Penalised:
    plain = Penalised(penalties=False, moved=0, most=None, boosted=0, banned=0, ends_barred=0)
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("facts", "figure", "line"),
    [
        (
            Tokenised(7, tuple(token(text) for text in ("The", " capital")), True),
            "7 tokens",
            "The prompt is 7 tokens: The | ·capital | …",
        ),
        (Tokenised(1, (PARIS,), False), "1 token", "The newest token, “·Paris”, goes in as it is: its number is 7,042"),
        (Embedded(1, PARIS, 576), "576 numbers", "Token 7,042, “·Paris”, becomes 576 numbers"),
        (
            Embedded(5, PARIS, 576),
            "576 numbers",
            "Each of 5 tokens becomes 576 numbers; the last is token 7,042, “·Paris”",
        ),
        (
            Passed(30, 9, 12),
            "30 × 9 heads",
            "30 blocks, one after another; in each, 9 heads look back at 12 tokens",
        ),
        (
            Scored(49_152, PARIS, 22.13),
            "49,152 scores",
            "49,152 scores, one for each token of the model; the highest is 22.13: “·Paris”",
        ),
        (penalised(), "none", "No penalty is set: the scores stay as they are"),
        (
            penalised(penalties=True, moved=3, most=(PARIS, -1.2)),
            "3 tokens",
            "Penalties move the scores of 3 tokens, of the likeliest “·Paris” the most: −1.20",
        ),
        (penalised(penalties=True), "none", "Penalties are set, but no token was there before"),
        (
            penalised(boosted=1, banned=2, ends_barred=3),
            "6 tokens",
            "1 token boosted or lowered by you; 2 tokens banned by you; 3 tokens for the end barred: too short a text",
        ),
        (Heated(0.0), "greedy", "Greedy: nothing is divided, the highest score wins"),
        (Heated(1.0), "÷ 1", "÷ 1: the probabilities stay as they are"),
        (Heated(0.7), "÷ 0.7", "All scores ÷ 0.7"),
        (Heated(0.7, PARIS, 0.41, 0.63), "÷ 0.7", "All scores ÷ 0.7: “·Paris” rises from 41.0 % to 63.0 %"),
        (Heated(2.0, PARIS, 0.41, 0.2), "÷ 2", "All scores ÷ 2: “·Paris” falls from 41.0 % to 20.0 %"),
        (Trimmed((), 49_152, 49_152), "none", "Nothing is cut off: all 49,152 tokens stay"),
        (
            Trimmed((Cut(StageName.TOP_K, 40, 40, 49_112), Cut(StageName.TOP_P, 0.9, 12, 28)), 12, 49_152),
            "12 left",
            "Top-k 40 keeps 40 tokens, then top-p 0.9 keeps 12 tokens of 49,152",
        ),
        (
            Drawn(PARIS, ChosenBy.SAMPLED, 0.43124, 0.0, 0.63, 0),
            "“·Paris”",
            "0.4312 falls on “·Paris”, which lies from 0.0000 to 0.6300",
        ),
        (
            Drawn(PARIS, ChosenBy.SAMPLED, 0.5, 0.0, 0.63, 2),
            "“·Paris”",
            "0.5000 falls on “·Paris”, which lies from 0.0000 to 0.6300; the output filter sent back 2 tokens before",
        ),
        (
            Drawn(PARIS, ChosenBy.GREEDY, None, 0.0, 1.0, 0),
            "“·Paris”",
            "Nothing is drawn: “·Paris” has the highest score",
        ),
        (Drawn(PARIS, ChosenBy.PERSON, None, 0.3, 0.4, 0), "“·Paris”", "You chose “·Paris”: nothing was drawn"),
        (
            Continued(replace(GOES_ON, tokens=6, window_used=20, window=8192)),
            "go on",
            "Not an end token, no stop text, 6 of 32 tokens, 20 of 8,192 positions: go on",
        ),
        (Continued(replace(GOES_ON, end_token=True)), "stop", "This is an end token: stop"),
        (Continued(replace(GOES_ON, stop=StopFound("END", 0, 3))), "stop", "The stop text “END” came: stop"),
        (Continued(replace(GOES_ON, filtered=True)), "stop", "The output filter does not let it through: stop"),
        (
            Continued(replace(GOES_ON, tokens=32)),
            "stop",
            "Not an end token, no stop text, but 32 of 32 tokens: stop",
        ),
        (Continued(replace(GOES_ON, window_used=100)), "stop", "The context is full, 100 of 100 positions: stop"),
    ],
)
def test_a_stage_says_its_numbers_in_a_word_and_in_a_line(facts: StageFacts, figure: str, line: str) -> None:
    assert figure_of(facts) == figure
    assert line_of(facts) == line


def test_a_long_token_is_cut_in_the_line() -> None:
    line = line_of(Embedded(1, token("x" * 60), 576))
    assert "…" in line
    assert len(line) < 70


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    driver.open()
    yield driver
    driver.session.sequence.gate.set()
    driver.controller.shutdown()


@pytest.fixture
def walk(driver: Driver) -> StageWalk:
    return StageWalk(driver.controller, driver.controller)


def stage_becomes(driver: Driver, stage: StepStage, generated: int) -> None:
    driver.qtbot.waitUntil(
        lambda: driver.view.stage is stage and driver.controller.state.generated == generated, timeout=PATIENCE_MS
    )


def test_the_first_stage_of_a_prompt_is_where_its_first_token_begins(driver: Driver, walk: StageWalk) -> None:
    walk.forward()
    stage_becomes(driver, FIRST, 1)
    assert driver.generated() == "d"
    assert driver.view.step is not None
    assert driver.view.step.index == 1


def test_nine_stages_take_one_token_and_the_tenth_the_next(driver: Driver, walk: StageWalk) -> None:
    walk.forward()
    stage_becomes(driver, FIRST, 1)
    for stage in tuple(StepStage)[1:]:
        walk.forward()
        stage_becomes(driver, stage, 1)
    walk.forward()
    stage_becomes(driver, FIRST, 2)
    assert driver.generated() == "de"


def test_back_by_stage_goes_into_the_token_before(driver: Driver, walk: StageWalk) -> None:
    for _ in range(2):
        driver.controller.step()
    stage_becomes(driver, LAST, 2)
    for stage in reversed(tuple(StepStage)[:-1]):
        walk.back()
        stage_becomes(driver, stage, 2)
    walk.back()
    stage_becomes(driver, LAST, 1)
    assert driver.generated() == "d"
    walk.forward()
    stage_becomes(driver, FIRST, 2)
    assert driver.generated() == "de"


def test_back_by_stage_ends_at_the_prompt(driver: Driver, walk: StageWalk) -> None:
    walk.forward()
    stage_becomes(driver, FIRST, 1)
    walk.back()
    stage_becomes(driver, LAST, 0)
    for _ in range(12):
        walk.back()
    stage_becomes(driver, FIRST, 0)


def test_stepping_by_stage_leaves_an_older_token_for_the_newest(driver: Driver, walk: StageWalk) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.sight.select(3)
    walk.back()
    driver.wait_painted()
    assert driver.view.selected == len(driver.view.chips) - 1
    assert driver.view.stage is StepStage.DRAW


def test_a_stage_that_is_looked_at_stays_while_one_steps_by_token(driver: Driver) -> None:
    driver.controller.sight.look_at_stage(StepStage.CUT)
    driver.controller.step()
    stage_becomes(driver, StepStage.CUT, 1)
    driver.controller.step()
    stage_becomes(driver, StepStage.CUT, 2)


def test_a_key_held_down_asks_for_one_token_at_a_time(driver: Driver, walk: StageWalk) -> None:
    driver.session.sequence.gate.clear()
    for _ in range(20):
        walk.forward()
    driver.session.sequence.gate.set()
    stage_becomes(driver, FIRST, 1)
    driver.wait_painted()
    assert driver.generated() == "d"


def test_going_back_while_a_token_is_on_its_way_leaves_the_stages_usable(driver: Driver, walk: StageWalk) -> None:
    driver.controller.step()
    stage_becomes(driver, LAST, 1)
    driver.session.sequence.gate.clear()
    walk.forward()
    driver.controller.back()
    driver.session.sequence.gate.set()
    driver.qtbot.waitUntil(lambda: driver.controller.state.generated == 0, timeout=PATIENCE_MS)
    walk.forward()
    stage_becomes(driver, FIRST, 1)


def test_slow_motion_walks_to_the_end_of_the_run_and_stops(driver: Driver, walk: StageWalk) -> None:
    seen: list[StepStage] = []
    slow: list[bool] = []
    driver.controller.wishes.set_decoding(DecodingSettings(max_tokens=2))
    driver.controller.set_interval(40)
    driver.controller.view_changed.connect(lambda view: seen.append(view.stage))
    walk.slow_changed.connect(slow.append)
    walk.play(True)
    driver.qtbot.waitUntil(lambda: slow == [True, False], timeout=PATIENCE_MS)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.generated() == "de"
    assert FIRST in seen
    assert not walk.slow


def test_run_ends_slow_motion(driver: Driver, walk: StageWalk) -> None:
    walk.play(True)
    stage_becomes(driver, FIRST, 1)
    driver.session.sequence.gate.clear()
    driver.controller.run()
    assert not walk.slow
    driver.session.sequence.gate.set()
    driver.wait_for(RunPhase.FINISHED)


@pytest.fixture
def strip(qtbot: QtBot) -> Iterator[StageStrip]:
    host = QMainWindow()
    qtbot.addWidget(host)
    strip = StageStrip(make_actions(host), theme_named("light"))
    host.addToolBar(strip)
    host.show()
    host.activateWindow()
    qtbot.waitUntil(host.isActiveWindow, timeout=PATIENCE_MS)
    yield strip
    host.close()


FACTS: tuple[StageFacts, ...] = (Drawn(PARIS, ChosenBy.PERSON, None, 0.0, 0.1, 0),) * len(StepStage)


def standing(strip: StageStrip) -> list[StepStage]:
    """The stages that are marked."""
    return [stage for stage, cell in strip._cells.items() if cell.isChecked()]


def test_before_the_first_step_the_strip_says_what_to_do(strip: StageStrip, driver: Driver) -> None:
    StageLink(strip, driver.controller)
    driver.wait_painted()
    assert strip.line() == "Press Stage: the next token is made stage by stage"
    assert standing(strip) == []
    driver.type("")
    assert strip.line().startswith("Type a prompt")


def test_the_strip_tells_the_selected_step_and_nothing_of_a_token_of_the_prompt(
    strip: StageStrip, driver: Driver
) -> None:
    StageLink(strip, driver.controller)
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert strip.figures()[0] == "1 token"
    assert strip.figures()[-1] == "stop"
    assert standing(strip) == [LAST]
    driver.controller.sight.select(3)
    driver.wait_painted()
    assert strip.figures()[0] == "3 tokens"
    assert strip.figures()[-1] == "go on"
    driver.controller.sight.select(1)
    driver.wait_painted()
    assert strip.figures() == [""] * len(StepStage)
    assert standing(strip) == []
    assert strip.line().startswith("This token stands in the prompt")


def test_while_the_model_runs_at_full_speed_no_figure_moves(strip: StageStrip, driver: Driver) -> None:
    link = StageLink(strip, driver.controller)
    driver.controller.step()
    driver.qtbot.waitUntil(lambda: strip.figures()[-1] == "go on", timeout=PATIENCE_MS)
    busy = replace(driver.controller.state, phase=RunPhase.RUNNING)
    link._on_state_changed(busy)
    assert strip.figures() == [QUIET] * len(StepStage)
    assert strip.line() == QUIET
    driver.controller.set_interval(1000)
    link._on_state_changed(busy)
    assert strip.figures()[-1] == "go on"


def test_the_strip_counts_the_tokens_of_a_long_prompt(strip: StageStrip, driver: Driver) -> None:
    link = StageLink(strip, driver.controller)
    reading = replace(driver.controller.state, phase=RunPhase.PREFILLING, processed=512, prompt_tokens=5000)
    link._on_state_changed(reading)
    assert strip.figures()[2] == "512 of 5,000"
    assert strip.line() == "Reading the prompt: 512 of 5,000 tokens have passed through the blocks"


def test_large_text_names_the_stage_in_the_line_instead_of_the_path(strip: StageStrip) -> None:
    for zoom in (COMPACT_FROM + 0.1, 1.0):
        strip.set_theme(theme_named("light", zoom))
        strip.set_stages(StepStages(0, 1, FACTS), StepStage.DRAW)
        compact = zoom > COMPACT_FROM
        assert strip.line().startswith(f"{stage_title(StepStage.DRAW)} – ") is compact
        assert strip._path.isHidden() is compact


def test_a_screen_reader_hears_each_stage_with_what_happens_there(strip: StageStrip) -> None:
    strip.set_stages(StepStages(0, 1, FACTS), LAST)
    names = [cell.accessibleName() for cell in strip._cells.values()]
    assert names == [f"{stage_title(stage)}: You chose “·Paris”: nothing was drawn" for stage in StepStage]


def test_arrow_keys_go_from_stage_to_stage(strip: StageStrip, qtbot: QtBot) -> None:
    strip.set_stages(StepStages(0, 1, FACTS), FIRST)
    strip._cells[FIRST].setFocus()
    with qtbot.waitSignal(strip.stage_chosen) as chosen:
        qtbot.keyClick(strip._cells[FIRST], Qt.Key.Key_Right)
    assert chosen.args == [StepStage.EMBED]


def test_every_stage_has_a_panel_that_there_is() -> None:
    assert PANELS_OF_STAGE.keys() == set(StepStage)
    assert {key for keys in PANELS_OF_STAGE.values() for key in keys} <= {spec.key for spec in DOCKS}


def test_keys_go_through_a_step_and_a_stage_raises_its_panel_and_leaves_the_keyboard(qtbot: QtBot) -> None:
    make_application()
    controller = Controller(opener_of(ScriptedSession()), PREFERENCES)
    window = MainWindow(controller, PREFERENCES, _forget)
    try:
        window.show()
        with qtbot.waitSignal(controller.model_opened, timeout=PATIENCE_MS):
            controller.open()
        strip = window.stages
        qtbot.keyClick(window, Qt.Key.Key_F8)
        qtbot.waitUntil(lambda: strip.line() == "The prompt is 3 tokens: a | b | c", timeout=PATIENCE_MS)
        qtbot.keyClick(window, Qt.Key.Key_F8)
        qtbot.waitUntil(lambda: strip.line().startswith("Each of 3 tokens becomes 8"), timeout=PATIENCE_MS)
        qtbot.keyClick(window, Qt.Key.Key_F7)
        qtbot.waitUntil(lambda: strip.line().startswith("The prompt is"), timeout=PATIENCE_MS)
        probabilities, attention = window.docks["probabilities"], window.docks["attention"]
        window.tabifyDockWidget(probabilities, attention)
        attention.raise_()
        qtbot.waitUntil(lambda: probabilities.visibleRegion().isEmpty(), timeout=PATIENCE_MS)
        focus = window.focusWidget()
        controller.sight.look_at_stage(StepStage.CUT)
        qtbot.waitUntil(lambda: not probabilities.visibleRegion().isEmpty(), timeout=PATIENCE_MS)
        assert window.focusWidget() is focus
        assert [key for key, dock in window.docks.items() if dock.meant] == ["probabilities"]
        assert strip.line() == "Nothing is cut off: all 256 tokens stay"
        controller.run()
        assert not any(dock.meant for dock in window.docks.values())
    finally:
        window.close()
        window.deleteLater()


def _forget(preferences: Preferences) -> None:
    pass

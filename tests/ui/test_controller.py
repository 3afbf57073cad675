"""What a person's wishes do, with a scripted model on real threads."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.output_filter import FilterAction, FilterList, OutputFilter
from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import EmptyPromptError, ModelNotFoundError, NothingLeftError, PromptTooLongError
from canopy_desktop.exploration.attention_view import GoneColumns
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import PROMPT_NODE, Kept, RunPaused, SlideProgress
from canopy_desktop.exploration.view import Colouring
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_ui.controller import Controller
from canopy_ui.draft import SHORT
from canopy_ui.filter_choice import FilterChoice
from canopy_ui.state import RunPhase
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.scripted import ARCHITECTURE, ScriptedSession


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def driver(session: ScriptedSession, qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, session)
    driver.open()
    yield driver
    session.sequence.gate.set()
    driver.controller.shutdown()


def test_a_run_shows_prompt_and_generated_text(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"
    assert driver.controller.state.reason is StopReason.MAX_TOKENS
    assert driver.view.selected == 6
    assert driver.metrics is not None
    assert driver.metrics.context_used == 6  # the last token has not passed through the model


def test_a_run_may_begin_the_moment_the_model_is_there(qtbot: QtBot) -> None:
    driver = Driver(qtbot, ScriptedSession())
    driver.controller.model_opened.connect(driver.controller.run)
    driver.open()
    assert driver.controller.state.phase is RunPhase.PREFILLING
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"
    driver.controller.shutdown()


def test_running_again_after_the_end_goes_on_from_there(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "defghijk", timeout=PATIENCE_MS)


def test_stepping_adds_one_token_at_a_time(driver: Driver) -> None:
    for expected in ("d", "de", "def"):
        driver.controller.step()
        driver.qtbot.waitUntil(lambda expected=expected: driver.generated() == expected, timeout=PATIENCE_MS)
        driver.wait_for(RunPhase.PAUSED)


def test_steps_alone_reach_the_end_of_the_run(driver: Driver) -> None:
    for _ in range(5):
        driver.controller.step()
        driver.qtbot.waitUntil(
            lambda: driver.controller.state.phase in (RunPhase.PAUSED, RunPhase.FINISHED), timeout=PATIENCE_MS
        )
    driver.wait_for(RunPhase.FINISHED)
    assert driver.generated() == "defg"


def test_back_takes_the_last_token_away_and_step_brings_it_again(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.back()
    driver.controller.back()
    driver.wait_for(RunPhase.PAUSED)
    assert driver.generated() == "de"
    passes = len(driver.session.sequence.fed)
    driver.controller.step()
    driver.qtbot.waitUntil(lambda: driver.generated() == "def", timeout=PATIENCE_MS)
    assert len(driver.session.sequence.fed) == passes


def test_back_stops_at_the_prompt(driver: Driver) -> None:
    driver.controller.step()
    driver.wait_for(RunPhase.PAUSED)
    driver.controller.back()
    driver.wait_painted()
    assert driver.text() == "abc"
    assert not driver.controller.state.can_go_back
    driver.controller.back()
    driver.wait_painted()
    assert driver.text() == "abc"


def test_back_during_a_run_stays_where_it_went_and_loses_no_step(driver: Driver) -> None:
    driver.controller.wishes.set_decoding(DecodingSettings(max_tokens=200))
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: len(driver.generated()) >= 3, timeout=PATIENCE_MS)
    driver.controller.back()
    stands = driver.controller.state.generated
    driver.wait_for(RunPhase.PAUSED)
    assert driver.controller.state.generated == stands
    assert len(driver.generated()) == stands
    driver.controller.step()
    driver.qtbot.waitUntil(lambda: len(driver.generated()) == stands + 1, timeout=PATIENCE_MS)
    assert driver.errors == []


def test_pause_keeps_the_text_and_run_goes_on(driver: Driver) -> None:
    driver.controller.set_interval(1000)
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "d", timeout=PATIENCE_MS)
    driver.controller.toggle()
    driver.wait_for(RunPhase.PAUSED)
    driver.controller.set_interval(0)
    driver.controller.toggle()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.generated() == "defg"


def test_stop_ends_a_prefill_and_run_takes_it_up_again(driver: Driver, session: ScriptedSession) -> None:
    session.sequence.gate.clear()
    driver.controller.run()
    assert session.sequence.waiting.wait(5)
    driver.controller.stop()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.controller.state.reason is StopReason.CANCELLED
    assert driver.text() == "abc"
    session.sequence.gate.set()
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "defg", timeout=PATIENCE_MS)


def test_reset_clears_the_text_even_in_the_middle_of_a_pass(driver: Driver, session: ScriptedSession) -> None:
    session.sequence.gate.clear()
    driver.controller.run()
    assert session.sequence.waiting.wait(5)
    driver.controller.reset()
    driver.wait_for(RunPhase.READY)
    assert driver.view.chips == ()
    session.sequence.gate.set()
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "defg", timeout=PATIENCE_MS)


def test_an_edited_prompt_starts_anew(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.type("ab")
    assert driver.controller.state.edited
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.text() == "abcdef", timeout=PATIENCE_MS)
    assert not driver.controller.state.edited


def test_a_prompt_edited_during_a_run_starts_anew_at_once(driver: Driver) -> None:
    driver.controller.wishes.set_decoding(DecodingSettings(max_tokens=200))
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: len(driver.generated()) >= 3, timeout=PATIENCE_MS)
    driver.controller.wishes.set_decoding(DecodingSettings(max_tokens=2))
    driver.type("a")
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.text() == "abc", timeout=PATIENCE_MS)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abc"


def test_another_token_branches_the_text_and_the_old_branch_is_kept(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.choose(PROMPT_NODE, driver.token("z"))
    driver.qtbot.waitUntil(lambda: driver.generated() == "zefgh", timeout=PATIENCE_MS)
    driver.controller.choose(PROMPT_NODE, driver.token("d"))
    driver.qtbot.waitUntil(lambda: driver.generated() == "defgh", timeout=PATIENCE_MS)


def test_a_branch_while_stepping_waits_on_the_chosen_token(driver: Driver) -> None:
    driver.controller.step()
    driver.wait_for(RunPhase.PAUSED)
    driver.controller.choose(PROMPT_NODE, driver.token("z"))
    driver.qtbot.waitUntil(lambda: driver.generated() == "z", timeout=PATIENCE_MS)
    driver.wait_for(RunPhase.PAUSED)
    assert driver.generated() == "z"
    assert driver.view.distribution is not None
    assert [bar.token.text for bar in driver.view.distribution.bars if bar.chosen] == ["z"]


def test_an_empty_prompt_is_refused_with_its_reason(driver: Driver) -> None:
    driver.type("")
    assert driver.controller.state.phase is RunPhase.EMPTY
    driver.controller.run()
    assert [type(error) for error in driver.errors] == [EmptyPromptError]
    driver.type(" ")
    assert driver.controller.state.phase is RunPhase.READY


def test_a_prompt_longer_than_the_context_leaves_the_text_before(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.type("x" * 400)
    driver.controller.run()
    driver.wait_for(RunPhase.FAILED)
    assert [type(error) for error in driver.errors] == [PromptTooLongError]
    assert driver.text() == "abcdefg"
    driver.controller.run()  # still the long prompt: refused again, and the old text does not go on
    driver.qtbot.waitUntil(lambda: len(driver.errors) == 2, timeout=PATIENCE_MS)
    assert driver.text() == "abcdefg"


def test_a_full_context_ends_the_run(qtbot: QtBot) -> None:
    driver = Driver(qtbot, ScriptedSession(context=5))
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.controller.state.reason is StopReason.CONTEXT_FULL
    assert driver.text() == "abcde"
    driver.controller.shutdown()


SLIDING = replace(
    PREFERENCES,
    prompt=PromptRequest(text="abcdefghijkl"),
    decoding=DecodingSettings(max_tokens=10),
    window=ContextWindow(size=16, when_full=WhenFull.SLIDE),
)


@pytest.fixture
def sliding(session: ScriptedSession, qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, session, SLIDING)
    driver.open()
    yield driver
    driver.controller.shutdown()


def test_a_window_that_slid_shows_what_was_dropped_where_and_how_often(sliding: Driver) -> None:
    sliding.controller.run()
    sliding.wait_for(RunPhase.FINISHED)
    view = sliding.view
    assert view.dropped == range(8)
    assert [chip.position for chip in view.chips if chip.slide is not None] == [16, 20]
    assert view.attention.positions.tolist() == list(range(8, 21))
    assert view.attention.tokens == tuple(chip.token.text for chip in view.chips[8:21])
    assert (view.attention.reading.length, view.attention.missing.dropped) == (13, False)
    assert len(sliding.metrics.slide_ms) == 2
    assert (sliding.metrics.context_used, sliding.metrics.context) == (13, 16)


def test_a_dropped_token_can_be_looked_at_and_is_said_to_be_gone(sliding: Driver) -> None:
    sliding.controller.run()
    sliding.wait_for(RunPhase.FINISHED)
    sliding.controller.sight.select(5)
    sliding.wait_painted()
    assert sliding.view.facts.dropped
    assert sliding.view.attention.missing.dropped
    assert sliding.view.attention.selected is None
    sliding.controller.sight.select(9)
    sliding.wait_painted()
    assert not sliding.view.facts.dropped
    assert sliding.view.attention.selected == 1


def test_going_back_before_a_slide_shows_the_whole_window_again_and_forward_runs_nothing(
    sliding: Driver, session: ScriptedSession
) -> None:
    sliding.controller.run()
    sliding.wait_for(RunPhase.FINISHED)
    text, passes = sliding.text(), len(session.sequence.fed)
    for _ in range(7):
        sliding.controller.back()
    sliding.wait_for(RunPhase.PAUSED)
    assert sliding.view.dropped == range(0)
    assert sliding.view.attention.reading.length == 15
    for count in range(16, 23):
        sliding.controller.step()
        sliding.qtbot.waitUntil(lambda count=count: len(sliding.view.chips) == count, timeout=PATIENCE_MS)
    assert sliding.text() == text
    assert len(session.sequence.fed) == passes


def test_the_progress_of_a_slide_is_told_until_it_is_over_or_stopped(sliding: Driver) -> None:
    sliding.controller.run()
    sliding.wait_for(RunPhase.FINISHED)
    worker, run_id = sliding.controller._threads.worker, sliding.controller._run.number
    worker.event_ready.emit(SlideProgress(run_id=run_id, done=256, total=384))
    sliding.wait_painted()
    assert (sliding.controller.state.slid, sliding.controller.state.to_slide) == (256, 384)
    worker.event_ready.emit(RunPaused(run_id=run_id))
    sliding.wait_painted()
    assert sliding.controller.state.to_slide == 0


def test_another_window_begins_anew_and_the_context_is_told_before(sliding: Driver) -> None:
    sliding.wait_painted()
    assert sliding.metrics.context == 16
    sliding.controller.wishes.set_window(ContextWindow(size=20))
    sliding.wait_painted()
    assert sliding.metrics.context == 20
    sliding.controller.run()
    sliding.wait_for(RunPhase.FINISHED)
    assert sliding.controller.state.reason is StopReason.CONTEXT_FULL
    assert len(sliding.view.chips) == 20
    sliding.controller.wishes.set_window(ContextWindow())
    assert sliding.controller.state.edited
    sliding.controller.run()
    sliding.qtbot.waitUntil(lambda: len(sliding.view.chips) == 22, timeout=PATIENCE_MS)
    sliding.wait_for(RunPhase.FINISHED)
    assert sliding.metrics.context == 300


def test_a_remembered_window_larger_than_the_model_becomes_the_models(qtbot: QtBot) -> None:
    driver = Driver(qtbot, ScriptedSession(), replace(PREFERENCES, window=ContextWindow(size=5_000)))
    driver.open()
    assert driver.controller.wishes.window == ContextWindow()
    driver.controller.shutdown()


def test_new_settings_hold_from_the_next_step_on(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.wishes.set_decoding(DecodingSettings(max_tokens=1))
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "defgh", timeout=PATIENCE_MS)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.generated() == "defgh"


def test_what_is_looked_at_is_read_after_the_run(driver: Driver, session: ScriptedSession) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    attention = driver.view.attention
    assert attention is not None
    assert (attention.reading.layer, attention.reading.head, attention.reading.length) == (1, 2, 6)
    np.testing.assert_array_equal(driver.view.surprisal[1:3], [2.0, 2.0])
    assert ("surprisal", 0, 3) in session.asked


def test_another_head_is_read_at_once(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.sight.select_head(2, 3)
    driver.qtbot.waitUntil(
        lambda: driver.view.attention is not None and driver.view.attention.reading.layer == 2, timeout=PATIENCE_MS
    )


def test_a_selected_prompt_token_gets_its_distribution(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.sight.select(1)
    driver.qtbot.waitUntil(
        lambda: driver.view.distribution is not None and driver.view.distribution.position == 1, timeout=PATIENCE_MS
    )
    assert driver.view.selected == 1
    assert driver.view.distribution is not None
    assert driver.view.distribution.step is None


def test_colouring_by_attention_reads_the_row_of_the_last_token_that_was_read(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.view.row is None
    driver.controller.sight.colour_by(Colouring.ATTENTION)
    driver.wait_for(RunPhase.FINISHED)
    row = driver.view.row
    assert row is not None
    assert (row.position, row.selected, row.look.layer, row.look.head) == (5, False, 1, 2)
    driver.controller.sight.select(3)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.view.row is not None
    assert (driver.view.row.position, driver.view.row.selected) == (3, True)


def test_the_attention_after_going_back_is_that_of_the_shorter_text(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.back()
    driver.wait_painted()
    assert driver.view.attention is not None
    assert driver.view.attention.reading.length == 6  # the last token had no column yet
    driver.controller.back()
    driver.wait_painted()
    assert driver.view.attention is not None
    assert driver.view.attention.reading.length == 5


def test_a_remembered_head_that_the_model_lacks_becomes_its_last(qtbot: QtBot) -> None:
    driver = Driver(qtbot, ScriptedSession(), replace(PREFERENCES, layer=29, head=8))
    driver.open()
    assert (driver.controller.sight.selection.layer, driver.controller.sight.selection.head) == (2, 3)
    driver.controller.shutdown()


def test_a_long_prompt_is_counted_beside_the_window_and_run_at_once(driver: Driver) -> None:
    counted: list[object] = []
    driver.controller.draft.encoded.connect(counted.append)
    driver.type("x" * (SHORT + 1))
    assert counted == []
    with driver.qtbot.waitSignal(driver.controller.draft.encoded, timeout=PATIENCE_MS):
        pass
    driver.type("y" * (SHORT + 1))
    driver.controller.run()
    driver.wait_for(RunPhase.FAILED)
    assert isinstance(driver.errors[0], PromptTooLongError)
    assert driver.errors[0].length == SHORT + 1


def test_without_a_model_nothing_runs_and_the_reason_is_told(qtbot: QtBot) -> None:
    def fail(progress: object) -> ScriptedSession:
        raise ModelNotFoundError("nothing", ())

    controller = Controller(fail, PREFERENCES)  # type: ignore[arg-type]
    with qtbot.waitSignal(controller.failed, timeout=PATIENCE_MS):
        controller.open()
    assert controller.state.phase is RunPhase.FAILED
    assert not controller.state.can_run
    controller.run()
    controller.step()
    controller.reset()
    controller.shutdown()


def test_pressing_everything_at_once_ends_in_a_state_that_can_go_on(driver: Driver) -> None:
    controller = driver.controller
    for wish in (
        controller.run,
        controller.step,
        controller.back,
        controller.run,
        controller.pause,
        controller.stop,
        controller.reset,
        controller.run,
        controller.stop,
        controller.run,
        controller.back,
        controller.step,
    ):
        wish()
    driver.qtbot.waitUntil(lambda: not controller.state.busy, timeout=PATIENCE_MS)
    controller.reset()
    driver.wait_for(RunPhase.READY)
    controller.run()
    driver.qtbot.waitUntil(lambda: driver.text() == "abcdefg", timeout=PATIENCE_MS)
    assert driver.errors == []


def test_chat_falls_back_to_plain_text_where_there_is_no_template(driver: Driver) -> None:
    driver.controller.draft.edit(PromptRequest(text="abc", chat=True))
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.text() == "abcdefg", timeout=PATIENCE_MS)


def gone_queries(driver: Driver) -> None:
    """A text is there, and the queries of three of its tokens are not."""
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.session.sequence.gone = {1, 2, 4}
    driver.controller.sight.select_head(0, 0)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.view.attention is None
    assert driver.view.attention_gone == GoneColumns(kind=Kept.QUERIES, tokens=3)


def test_what_made_room_is_computed_again_and_shown(driver: Driver) -> None:
    gone_queries(driver)
    driver.controller.compute_again()
    assert (driver.controller.state.phase, driver.controller.state.to_remake) == (RunPhase.RUNNING, 3)
    driver.wait_for(RunPhase.PAUSED)
    driver.wait_for(RunPhase.PAUSED)  # the answer has been painted
    assert driver.controller.state.to_remake == 0
    assert driver.view.attention is not None
    assert driver.view.attention_gone is None
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "defghijk", timeout=PATIENCE_MS)


def test_computing_again_can_be_stopped(driver: Driver, session: ScriptedSession) -> None:
    gone_queries(driver)
    session.sequence.gate.clear()
    driver.controller.compute_again()
    assert session.sequence.waiting.wait(PATIENCE_MS / 1000)
    driver.controller.stop()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.controller.state.reason is StopReason.CANCELLED
    assert driver.view.attention_gone == GoneColumns(kind=Kept.QUERIES, tokens=3)


def test_computing_again_pauses_a_run(driver: Driver) -> None:
    gone_queries(driver)
    driver.controller.set_interval(10_000)
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.controller.state.phase is RunPhase.RUNNING, timeout=PATIENCE_MS)
    driver.controller.compute_again()
    driver.wait_for(RunPhase.PAUSED)
    assert not driver.session.sequence.gone


def columns_of(driver: Driver) -> list[StageName | None]:
    assert driver.view.distribution is not None
    return [column.stage for column in driver.view.distribution.columns]


def test_other_settings_show_at_once_what_a_past_step_would_have_been(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.sight.select(4)
    driver.wait_painted()
    passes, text = len(driver.session.sequence.fed), driver.text()
    hot = DecodingSettings(temperature=0.5, top_k=2, max_tokens=4)
    driver.controller.wishes.set_decoding(hot)
    driver.qtbot.waitUntil(
        lambda: driver.view.distribution is not None and driver.view.distribution.settings == hot, timeout=PATIENCE_MS
    )
    assert driver.view.distribution is not None
    assert driver.view.distribution.what_if
    assert driver.view.distribution.used == PREFERENCES.decoding
    assert columns_of(driver) == [StageName.RAW, StageName.TEMPERATURE, StageName.TOP_K]
    assert driver.view.distribution.kept == 2
    assert (len(driver.session.sequence.fed), driver.text()) == (passes, text)


def test_of_many_settings_in_a_row_the_last_is_shown(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    for hundredths in range(1, 60):
        driver.controller.wishes.set_decoding(DecodingSettings(temperature=hundredths / 100))
    driver.wait_for(RunPhase.FINISHED)
    assert driver.view.distribution is not None
    assert driver.view.distribution.settings.temperature == 0.59


def test_settings_that_leave_no_token_are_told_and_the_text_stays(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    everything = tuple(range(ARCHITECTURE.vocabulary))
    driver.controller.wishes.set_decoding(DecodingSettings(banned_tokens=everything))
    driver.qtbot.waitUntil(lambda: isinstance(driver.view.refused, NothingLeftError), timeout=PATIENCE_MS)
    driver.controller.wishes.set_decoding(DecodingSettings())
    driver.qtbot.waitUntil(lambda: driver.view.refused is None, timeout=PATIENCE_MS)
    assert driver.generated() == "defg"


def test_from_here_on_the_settings_decide_and_not_what_a_person_chose_before(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.choose(PROMPT_NODE, driver.token("z"))
    driver.qtbot.waitUntil(lambda: driver.generated() == "zefgh", timeout=PATIENCE_MS)
    banned = DecodingSettings(banned_tokens=(driver.token("d"),), max_tokens=2)
    driver.controller.wishes.set_decoding(banned)
    driver.controller.branch(PROMPT_NODE)
    driver.qtbot.waitUntil(lambda: driver.generated() == "ee", timeout=PATIENCE_MS)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.view.distribution is not None
    assert not driver.view.distribution.what_if
    driver.controller.choose(PROMPT_NODE, driver.token("z"))
    driver.qtbot.waitUntil(lambda: driver.generated().startswith("z"), timeout=PATIENCE_MS)


def test_a_new_seed_is_drawn_for_every_prompt_that_is_begun_anew_and_only_then(driver: Driver) -> None:
    driver.controller.wishes.draw_new_seeds(True)
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    first = driver.controller.wishes.decoding.seed
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.controller.wishes.decoding.seed == first
    seeds = set()
    for _ in range(3):
        driver.controller.reset()
        driver.controller.run()
        driver.wait_for(RunPhase.FINISHED)
        seeds.add(driver.controller.wishes.decoding.seed)
    assert len(seeds | {first}) > 1


def test_the_output_filter_is_told_to_the_run_and_what_it_did_is_in_the_record(driver: Driver) -> None:
    driver.controller.wishes.set_filter(
        FilterChoice(output_filter=OutputFilter(FilterList.parse("/e/"), FilterAction.STOP))
    )
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.controller.state.reason is StopReason.FILTERED


def test_draws_are_counted_for_what_is_shown(driver: Driver) -> None:
    driver.controller.wishes.set_decoding(DecodingSettings(temperature=1.0, max_tokens=2))
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.controller.sight.draw_many(50)
    driver.qtbot.waitUntil(
        lambda: driver.view.distribution is not None and driver.view.distribution.draws is not None,
        timeout=PATIENCE_MS,
    )
    assert driver.view.distribution is not None
    counts = [bar.drawn.count for bar in driver.view.distribution.bars if bar.drawn is not None]
    assert 0 < sum(counts) <= 50


def filtering(words: str, action: FilterAction) -> FilterChoice:
    return FilterChoice(output_filter=OutputFilter(FilterList.parse(words), action))


def test_masked_tokens_are_shown_as_blocks_and_keep_their_own_text(driver: Driver) -> None:
    driver.controller.wishes.set_filter(filtering("/ef/\n", FilterAction.MASK))
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert [chip.shown.text for chip in driver.view.chips[3:]] == ["d", "█", "█", "g"]
    assert driver.generated() == "defg"


def test_a_token_that_was_drawn_again_tells_what_was_rejected(driver: Driver) -> None:
    driver.controller.wishes.set_filter(filtering("/e/\n", FilterAction.REDRAW))
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.generated()[1] == "f"
    driver.controller.sight.select(4)
    driver.wait_painted()
    assert driver.view.facts is not None
    assert [(token.text, entry) for token, entry in driver.view.facts.rejected] == [("e", "/e/")]


def test_the_last_token_says_why_the_run_ended_until_the_text_goes_on(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.view.facts is not None
    assert driver.view.facts.stopped is StopReason.MAX_TOKENS
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.generated() == "defghijk", timeout=PATIENCE_MS)
    driver.controller.sight.select(6)
    driver.wait_painted()
    assert driver.view.facts.stopped is None

"""The inference thread's worker, driven without a controller."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError, ModelNotFoundError, PromptTooLongError
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    GenerationEvent,
    PrefillProgress,
    PromptAccepted,
    RunFailed,
    RunFinished,
    RunPaused,
    StepRecord,
    StopReason,
    WindowSlid,
)
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.chat import TemplatedPrompt, encode_completion
from canopy_ui.commands import ChooseCommand, GoToCommand, ResumeCommand, StartCommand
from canopy_ui.threads import Threads
from tests.support.relay import Relay
from tests.support.scripted import ScriptedSession, opener_of

FOUR = DecodingSettings(max_tokens=4)


class Bench:
    """Threads with a scripted model, and every event in order."""

    def __init__(self, session: ScriptedSession, qtbot: QtBot) -> None:
        self.session = session
        self.qtbot = qtbot
        self.threads = Threads(opener_of(session))
        self._relay = Relay()
        self.events: list[GenerationEvent] = self._relay.values
        self.threads.worker.event_ready.connect(self._relay.take)

    def load(self) -> None:
        loaded = Relay()
        self.threads.worker.model_loaded.connect(loaded.take)
        with self.qtbot.waitSignal(loaded.received, timeout=5000):
            self.threads.start()

    def prompt(self, text: str) -> TemplatedPrompt:
        return encode_completion(self.session.tokenizer, text)

    def start(
        self, text: str = "abc", *, run_id: int = 1, play: bool = True, settings: DecodingSettings = FOUR
    ) -> None:
        self.threads.start_run(StartCommand(run_id=run_id, prompt=self.prompt(text), settings=settings, play=play))

    def wait_for(self, kind: type) -> GenerationEvent:
        """The newest event of that kind, with those before it kept in `events`."""
        self.qtbot.waitUntil(lambda: any(isinstance(event, kind) for event in self.events), timeout=5000)
        return [event for event in self.events if isinstance(event, kind)][-1]

    def text(self) -> str:
        ids = [event.chosen.token_id for event in self.events if isinstance(event, StepRecord)]
        return self.session.tokenizer.decode(ids)


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def bench(session: ScriptedSession, qtbot: QtBot) -> Iterator[Bench]:
    bench = Bench(session, qtbot)
    bench.load()
    yield bench
    bench.threads.shutdown()


def test_a_run_is_accepted_prefilled_generated_and_finished_in_this_order(bench: Bench) -> None:
    bench.start()
    finished = bench.wait_for(RunFinished)
    assert [type(event) for event in bench.events] == [
        PromptAccepted,
        PrefillProgress,
        *[StepRecord] * 4,
        RunFinished,
    ]
    assert isinstance(finished, RunFinished)
    assert finished.reason is StopReason.MAX_TOKENS
    assert bench.text() == "defg"


def test_a_run_started_paused_stays_on_its_first_token(bench: Bench) -> None:
    bench.start(play=False)
    bench.wait_for(RunPaused)
    assert bench.text() == "d"


def test_each_step_request_advances_one_token(bench: Bench, qtbot: QtBot) -> None:
    bench.start(play=False)
    bench.wait_for(RunPaused)
    for expected in ("de", "def"):
        bench.events[:] = [event for event in bench.events if isinstance(event, StepRecord)]
        bench.threads.step_requested.emit()
        bench.wait_for(RunPaused)
        assert bench.text() == expected


def test_two_step_requests_at_once_advance_two_tokens(bench: Bench, qtbot: QtBot) -> None:
    bench.start(play=False)
    bench.wait_for(RunPaused)
    bench.events[:] = [event for event in bench.events if isinstance(event, StepRecord)]
    bench.threads.step_requested.emit()
    bench.threads.step_requested.emit()
    bench.wait_for(RunPaused)
    assert bench.text() == "def"


def test_a_pause_stays_on_the_current_token_until_play(bench: Bench, qtbot: QtBot) -> None:
    bench.threads.interval_requested.emit(1000)
    bench.start()
    bench.wait_for(StepRecord)
    bench.threads.pause_requested.emit()
    bench.wait_for(RunPaused)
    before = bench.text()
    assert len(before) < 4
    bench.threads.interval_requested.emit(0)
    bench.threads.play_requested.emit()
    bench.wait_for(RunFinished)
    assert bench.text() == "defg"


def test_slow_motion_keeps_its_distance_and_full_speed_ends_the_wait(bench: Bench, qtbot: QtBot) -> None:
    bench.threads.interval_requested.emit(60_000)
    bench.start()
    bench.wait_for(StepRecord)
    assert bench.text() == "d"
    bench.threads.interval_requested.emit(0)
    bench.wait_for(RunFinished)
    assert bench.text() == "defg"


def test_a_stop_ends_a_pass_in_progress(bench: Bench, session: ScriptedSession) -> None:
    session.sequence.gate.clear()
    bench.start()
    assert session.sequence.waiting.wait(5)
    bench.threads.stop_run()
    finished = bench.wait_for(RunFinished)
    assert isinstance(finished, RunFinished)
    assert finished.reason is StopReason.CANCELLED


def test_a_stop_that_comes_before_the_first_pass_keeps_it_from_beginning(
    bench: Bench, session: ScriptedSession
) -> None:
    session.sequence.gate.clear()
    bench.threads.worker.abandon()  # the person is quicker than the thread: its `stop` is still on the way
    bench.start()
    bench.qtbot.wait(50)
    assert not session.sequence.waiting.is_set()
    bench.threads.stop_requested.emit()
    finished = bench.wait_for(RunFinished)
    assert isinstance(finished, RunFinished)
    assert finished.reason is StopReason.CANCELLED


def test_after_a_stop_in_the_prefill_a_resumed_run_reads_the_rest(bench: Bench, session: ScriptedSession) -> None:
    session.sequence.gate.clear()
    bench.start()
    assert session.sequence.waiting.wait(5)
    bench.threads.stop_run()
    bench.wait_for(RunFinished)
    bench.events.clear()
    session.sequence.gate.set()
    bench.threads.resume_requested.emit(ResumeCommand(run_id=2, settings=FOUR, play=True))
    bench.wait_for(RunFinished)
    assert bench.text() == "defg"


def test_going_back_and_on_walks_along_the_record_without_running_it_again(
    bench: Bench, session: ScriptedSession
) -> None:
    bench.start()
    bench.wait_for(RunFinished)
    passes = len(session.sequence.fed)
    bench.events.clear()
    bench.threads.go_to_requested.emit(GoToCommand(run_id=2, node=PROMPT_NODE))
    bench.wait_for(RunPaused)
    bench.threads.resume_requested.emit(ResumeCommand(run_id=3, settings=FOUR, play=True))
    bench.wait_for(RunFinished)
    assert bench.text() == "defg"
    assert len(session.sequence.fed) == passes
    assert {event.run_id for event in bench.events} == {2, 3}


def test_a_slide_is_an_event_and_the_run_goes_on_after_it(bench: Bench) -> None:
    window = ContextWindow(size=16, when_full=WhenFull.SLIDE)
    bench.threads.start_run(
        StartCommand(run_id=1, prompt=bench.prompt("a" * 14), settings=FOUR, play=True, window=window, kept=3)
    )
    bench.wait_for(RunFinished)
    assert [type(event) for event in bench.events] == [
        *(PromptAccepted, PrefillProgress, StepRecord, StepRecord, WindowSlid, StepRecord, StepRecord, RunFinished)
    ]
    slide = bench.wait_for(WindowSlid)
    assert (slide.node, slide.kept, slide.first, slide.last, slide.prefilled) == (1, 3, 3, 6, 9)
    assert bench.text() == "opmn"  # the script goes by what the window holds: 14, 15, and after the slide 12, 13


def test_a_step_request_at_a_full_window_slides_and_takes_one_step(bench: Bench, qtbot: QtBot) -> None:
    window = ContextWindow(size=16, when_full=WhenFull.SLIDE)
    bench.threads.start_run(
        StartCommand(run_id=1, prompt=bench.prompt("a" * 15), settings=FOUR, play=False, window=window)
    )
    bench.wait_for(RunPaused)
    bench.events.clear()
    bench.threads.step_requested.emit()
    bench.wait_for(RunPaused)
    assert [type(event) for event in bench.events] == [WindowSlid, StepRecord, RunPaused]


def test_a_choice_branches_and_plays_on_from_there(bench: Bench) -> None:
    bench.start()
    bench.wait_for(RunFinished)
    bench.events.clear()
    other = bench.session.tokenizer.encode("z").ids[0]
    bench.threads.choose_requested.emit(ChooseCommand(run_id=2, parent=0, token_id=other, settings=FOUR, play=True))
    bench.wait_for(RunFinished)
    assert bench.text() == "zfghi"
    assert {event.run_id for event in bench.events} == {2}


def test_a_choice_while_paused_waits_on_the_chosen_token(bench: Bench) -> None:
    bench.start(play=False)
    bench.wait_for(RunPaused)
    bench.events.clear()
    other = bench.session.tokenizer.encode("z").ids[0]
    bench.threads.choose_requested.emit(
        ChooseCommand(run_id=2, parent=PROMPT_NODE, token_id=other, settings=FOUR, play=False)
    )
    bench.wait_for(RunPaused)
    assert bench.text() == "z"


def test_a_typed_error_is_an_event_and_the_worker_stays_usable(bench: Bench) -> None:
    bench.start("x" * 301)
    failed = bench.wait_for(RunFailed)
    assert isinstance(failed, RunFailed)
    assert isinstance(failed.error, PromptTooLongError)
    bench.events.clear()
    bench.start(run_id=2)
    bench.wait_for(RunFinished)
    assert bench.text() == "defg"


def test_an_unexpected_error_is_an_event_with_its_traceback_in_the_log(
    bench: Bench, session: ScriptedSession, caplog: pytest.LogCaptureFixture
) -> None:
    session.sequence.go_to = None  # type: ignore[assignment,method-assign]
    bench.start()
    failed = bench.wait_for(RunFailed)
    assert isinstance(failed, RunFailed)
    assert isinstance(failed.error, TypeError)
    assert "Traceback" in caplog.text


def test_a_model_that_cannot_be_opened_is_reported(qtbot: QtBot) -> None:
    def fail(progress: object) -> ScriptedSession:
        raise ModelNotFoundError("nothing", ())

    threads = Threads(fail)  # type: ignore[arg-type]
    failed = Relay()
    threads.worker.load_failed.connect(failed.take)
    with qtbot.waitSignal(failed.received, timeout=5000):
        threads.start()
    assert isinstance(failed.values[0], CanopyError)
    threads.shutdown()


def test_closing_gives_up_a_model_that_is_still_loading(qtbot: QtBot) -> None:
    def load_for_ever(progress: object) -> ScriptedSession:
        while True:
            progress(0.5)  # type: ignore[operator]
            QThread.msleep(1)

    threads = Threads(load_for_ever)  # type: ignore[arg-type]
    progressed = Relay()
    threads.worker.load_progressed.connect(progressed.take_number)
    with qtbot.waitSignal(progressed.received, timeout=5000):
        threads.start()
    threads.shutdown()


def test_closing_ends_a_pass_in_progress(session: ScriptedSession, qtbot: QtBot) -> None:
    bench = Bench(session, qtbot)
    bench.load()
    session.sequence.gate.clear()
    bench.start()
    assert session.sequence.waiting.wait(5)
    bench.threads.shutdown()

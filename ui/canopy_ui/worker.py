"""The inference thread's worker: loads the model, and generates one token per event-loop turn."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import CanopyError, InterruptedStepError
from canopy_desktop.exploration.metrics import Footprint
from canopy_desktop.exploration.records import (
    GenerationEvent,
    PrefillProgress,
    PromptAccepted,
    RemakeProgress,
    ReplayProgress,
    RunFailed,
    RunFinished,
    RunPaused,
    SlideProgress,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.heap import give_back
from canopy_ui.commands import (
    ChooseCommand,
    GoToCommand,
    RemakeCommand,
    ReopenCommand,
    ResumeCommand,
    StartCommand,
    WalkCommand,
)
from canopy_ui.comparer import Comparer
from canopy_ui.errands import Errand, Errands
from canopy_ui.journal_keeper import JournalKeeper
from canopy_ui.priority import step_behind_the_window
from canopy_ui.questions import Questions
from canopy_ui.search_runner import SearchRunner

if TYPE_CHECKING:
    from canopy_desktop.exploration.generation import Generation
    from canopy_desktop.exploration.journal import Journal
    from canopy_desktop.exploration.searching import SearchWish
    from canopy_desktop.exploration.session import ModelSession

logger = logging.getLogger(__name__)

Opener: TypeAlias = "Callable[[Callable[[float], None]], ModelSession]"
"""Opens the model; is told where to report progress, 0 to 1. May raise what that raises."""


class LoadingAbandonedError(Exception):
    """The program is closing while the model loads, or another model is to be loaded."""


class Worker(QObject):
    """Owns the model and its generation. Every slot runs on the inference thread; no exception leaves one.

    Events carry the run id of the newest command, also where a step is one that was recorded before.
    """

    load_progressed = Signal(float)
    model_loaded = Signal(object)  # ModelSession
    load_failed = Signal(object)  # Exception
    event_ready = Signal(object)  # GenerationEvent
    footprint_changed = Signal(object)  # Footprint
    errand_reported = Signal(object)  # ErrandReport

    def __init__(self, opener: Opener, journal: Journal | None = None) -> None:
        """`journal`: where everything is kept that happens; None: nowhere."""
        super().__init__()
        self._opener = opener
        self.journal = JournalKeeper(journal, self)
        self._after_replay: Callable[[], None] | None = None  # a choice that waits for the columns
        self._session: ModelSession | None = None
        self._generation: Generation | None = None
        self._run_id = 0
        self._remaking: Iterator[RemakeProgress | StepRecord] | None = None  # goes before any step; a walk too
        self._budget: int | None = None  # steps to go; None: until the run ends
        self._interval_ms = 0
        self._due = 0.0  # when the next token's turn comes, on the clock of `perf_counter`
        self._footprint = Footprint()
        self._lock = threading.Lock()
        self._abandoning = 0  # commands on their way that end the run: none of its passes may begin
        self._closing = False
        self._superseding = 0  # models on their way that take the place of the one that loads or is open
        self._turns = QTimer(self, interval=0, singleShot=True)  # a child moves along to the thread
        self._turns.timeout.connect(self._advance)
        self.searches = SearchRunner(self)
        self.comparer = Comparer(self)
        self.questions = Questions(self)
        self._errands = Errands(self)
        self._errands.reported.connect(self.errand_reported)

    def abandon(self) -> None:
        """End the pass in hand, and begin none before `stop` or `start` comes, which has to follow once for each call.

        May be called from any thread.
        """
        with self._lock:
            self._abandoning += 1
            if self._generation is not None:
                self._generation.hold()

    def supersede(self) -> None:
        """Load no further, for another model is on its way; `change` follows. May be called from any thread."""
        with self._lock:
            self._superseding += 1

    def give_up(self) -> None:
        """End loading and the pass in hand, for the program ends; `close` follows. May be called from any thread."""
        self._closing = True
        self.comparer.abandon()
        self.abandon()

    @Slot()
    def close(self) -> None:
        """Leave the thread's event loop for good."""
        self._let_go()
        self.journal.close()
        self.thread().quit()

    @Slot(object)
    def change(self, opener: Opener) -> None:
        """Free the model that is open, which nobody else holds any more, and open another; `supersede` was called."""
        self._let_go()
        with self._lock:
            self._superseding -= 1
        if not self._superseding:
            give_back()
            self._opener = opener
            self.load()

    def _let_go(self) -> None:
        """Of the model, and of all that holds it."""
        self._rest()
        self.searches.end()
        self.comparer.close()
        self.questions.close()
        self._generation = self._session = None

    @Slot()
    def load(self) -> None:
        """Open the model."""
        step_behind_the_window()
        try:
            session = self._opener(self._report_loading)
            self._generation = session.new_generation()
            self._session = session
            self.comparer.open(session)
            self.questions.open(session)
        except LoadingAbandonedError:
            logger.info("Loading was given up")
        except CanopyError as error:
            logger.warning("The model could not be loaded: %s", error)
            self.load_failed.emit(error)
        except Exception as error:
            logger.exception("Unexpected error while the model was loading")
            self.load_failed.emit(error)
        else:
            with self._lock:  # what is told before `supersede` returns comes before all that it leads to
                if not self._superseding:
                    self.model_loaded.emit(session)

    def _report_loading(self, share: float) -> None:
        if self._closing or self._superseding:
            raise LoadingAbandonedError
        self.load_progressed.emit(share)

    @Slot(object)
    def start(self, command: StartCommand) -> None:
        """Begin a new exploration; `abandon` was called before."""
        self._release()
        self.searches.end()
        self.questions.leave_text()
        self._take_up(command.run_id)
        with self._reporting_errors():
            generation = self._loaded()
            accepted = generation.begin(
                command.run_id,
                command.prompt,
                command.settings,
                command.window,
                kept=command.kept,
                output_filter=command.output_filter,
            )
            self._keep_beginning(command, accepted)
            self._emit(accepted)
            self._go_on(play=command.play)

    @Slot(object)
    def reopen(self, command: ReopenCommand) -> None:
        """Take up a kept exploration, and make its columns again; `abandon` was called before."""
        self._release()
        self.searches.end()
        self.questions.leave_text()
        self._take_up(command.run_id)
        with self._reporting_errors():
            self._loaded().reopen(command.run_id, command.kept)
            if self._session is not None:
                self.journal.take_up(command, self._session.tokenizer)
            self._turns.start(0)

    @Slot(object)
    def resume(self, command: ResumeCommand) -> None:
        """Go on as a new run."""
        self._take_up(command.run_id)
        with self._reporting_errors():
            if command.branch_at is not None:
                self._loaded().leave_branch(command.branch_at)
                self.journal.left_branch(command.branch_at)
            self._loaded().resume(command.run_id, command.settings, command.output_filter)
            self._go_on(play=command.play)

    @Slot(object)
    def choose(self, command: ChooseCommand) -> None:
        """Branch to a token that a person chose."""
        self._take_up(command.run_id)
        if self._waits_for_columns(lambda: self.choose(command)):
            return
        with self._reporting_errors():
            generation = self._loaded()
            generation.resume(command.run_id, command.settings, command.output_filter)
            record = generation.choose(command.run_id, command.parent, command.token_id)
            self._emit(record)
            generation.resume(command.run_id, command.settings, command.output_filter)
            if command.play:
                self._go_on(play=True)
            else:
                self.event_ready.emit(RunPaused(run_id=self._run_id))

    @Slot(object)
    def go_to(self, command: GoToCommand) -> None:
        """Stand on a node."""
        self._take_up(command.run_id)
        with self._reporting_errors():
            self._loaded().go_to(command.node)
            self.journal.went_to(command.node)
            self.event_ready.emit(RunPaused(run_id=self._run_id))

    @Slot(object)
    def walk(self, command: WalkCommand) -> None:
        """Make a searched text a branch, one token per turn of the event loop."""
        self._take_up(command.run_id)
        if self._waits_for_columns(lambda: self.walk(command)):
            return
        with self._reporting_errors():
            generation = self._loaded()
            generation.resume(command.run_id, command.settings, command.output_filter)
            self._remaking = generation.walk(command.run_id, command.parent, command.token_ids)
            self._turns.start(0)

    @Slot(object)
    def search(self, wish: SearchWish) -> None:
        """Search beside the recorded text; a run in hand goes on, a measurement ends."""
        self._errands.end()
        if self._session is not None:
            self.searches.begin(self._session, wish)

    @Slot()
    def stop_search(self) -> None:
        """End the search; what was found stays."""
        self.searches.end()

    @Slot(object)
    def remake(self, command: RemakeCommand) -> None:
        """Make columns again, one pass per turn of the event loop."""
        self._take_up(command.run_id)
        with self._reporting_errors():
            self._remaking = self._loaded().remake(command.run_id, command.slots, command.kind)
            self._turns.start(0)

    @Slot(object)
    def run_errand(self, errand: Errand) -> None:
        """Measure something beside the run, which was paused before; a search would be measured too, so it ends."""
        self._rest()
        self.searches.end()
        if self._session is not None:
            self._errands.begin(errand, self._session)

    @Slot()
    def end_errand(self) -> None:
        """Leave the measurement under way."""
        self._errands.end()

    @Slot()
    def play(self) -> None:
        """Go on with the run in hand."""
        self._go_on(play=True)

    @Slot()
    def step_once(self) -> None:
        """Take one more step of the run in hand, then wait."""
        waiting = self._budget or 0
        self._go_on(play=False)
        self._budget = waiting + 1

    @Slot()
    def pause(self) -> None:
        """Stay on the current token."""
        self._rest()
        self.event_ready.emit(RunPaused(run_id=self._run_id))

    @Slot()
    def stop(self) -> None:
        """End the run and a search, `abandon` was called before; what they made is kept."""
        self._release()
        self.searches.end()
        self._rest()
        self.event_ready.emit(RunFinished(run_id=self._run_id, reason=StopReason.CANCELLED))

    @Slot(int)
    def set_interval(self, interval_ms: int) -> None:
        """The least time from one token to the next; 0 is full speed."""
        self._interval_ms = interval_ms
        self._due = min(self._due, time.perf_counter() + interval_ms / 1000)
        if self._turns.isActive():
            self._turns.start(min(self._turns.remainingTime(), interval_ms))

    def _take_up(self, run_id: int) -> None:
        """Leave the run before; from now on events are those of this one."""
        self._rest()
        self._run_id = run_id

    def _release(self) -> None:
        """A command that ends the run has come."""
        with self._lock:
            self._abandoning -= 1
            if not self._abandoning and self._generation is not None:
                self._generation.release()

    def _rest(self) -> None:
        self._turns.stop()
        self._errands.end()
        self._remaking = self._after_replay = None
        self._budget = 0

    def _go_on(self, *, play: bool) -> None:
        self._errands.end()
        self._remaking = None
        self._budget = None if play else 1
        self._due = time.perf_counter()
        self._turns.start(0)

    @Slot()
    def _advance(self) -> None:
        with self._reporting_errors():
            event = self._next_event()
            self._emit(event)
            self._report_footprint()
            self._plan_next(event)

    def _next_event(self) -> GenerationEvent:
        if self._remaking is None:
            return self._loaded().advance()
        return next(self._remaking, RunPaused(run_id=self._run_id))

    def _plan_next(self, event: GenerationEvent) -> None:
        match event:
            case ReplayProgress():
                self._go_on_after(event)
            case StepRecord():
                self._count_step()
            case PrefillProgress() | SlideProgress() | WindowSlid() | RemakeProgress():
                self._turns.start(0)
            case _:
                self._rest()

    def _count_step(self) -> None:
        if self._remaking is not None:
            self._turns.start(0)
            return
        if self._budget is not None:
            self._budget -= 1
            if self._budget <= 0:
                self._rest()
                self.event_ready.emit(RunPaused(run_id=self._run_id))
                return
        now = time.perf_counter()
        self._due = max(now, self._due + self._interval_ms / 1000)
        self._turns.start(round((self._due - now) * 1000))

    def _waits_for_columns(self, wish: Callable[[], None]) -> bool:
        """Whether a reopened exploration has to pass through the model first; `wish` follows then."""
        if self._generation is None or not self._generation.replaying:
            return False
        self._after_replay = wish
        self._turns.start(0)
        return True

    def _go_on_after(self, event: ReplayProgress) -> None:
        """Nothing else until all columns are there; then what was asked for, or wait."""
        generation = self._loaded()
        if generation.replaying or (self._after_replay is None and self._budget != 0):
            self._turns.start(0)
        elif self._after_replay is not None:
            self._after_replay()
        else:
            self._rest()
            self.event_ready.emit(generation.standing(event.run_id))

    def _keep_beginning(self, command: StartCommand, accepted: PromptAccepted) -> None:
        if self._session is not None:
            self.journal.begin(command.beginning(self._session.card, accepted.context), self._session.tokenizer)

    def _emit(self, event: GenerationEvent) -> None:
        self.journal.note(event)  # on the disk before anybody hears of it
        if event.run_id != self._run_id:
            event = replace(event, run_id=self._run_id)
        self.event_ready.emit(event)

    def _report_footprint(self) -> None:
        generation = self._loaded()
        footprint = Footprint(
            cache_bytes=generation.kv_bytes,
            columns_bytes=generation.columns_bytes,
            budget_bytes=generation.budget_bytes,
        )
        if footprint != self._footprint:
            self._footprint = footprint
            self.footprint_changed.emit(footprint)

    def _loaded(self) -> Generation:
        if self._generation is None:
            raise RuntimeError("a command came before the model was loaded")
        return self._generation

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except InterruptedStepError:
            self._rest()  # the command that is on its way says how it ended
        except CanopyError as error:
            logger.warning("The run could not go on: %s", error)
            self._fail(error)
        except Exception as error:
            logger.exception("Unexpected error while generating")
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._rest()
        self.event_ready.emit(RunFailed(run_id=self._run_id, error=error))

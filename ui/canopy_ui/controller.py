"""What the person wishes, what the model did, and the one view that follows from both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError
from canopy_desktop.exploration.attention_view import GoneColumns
from canopy_desktop.exploration.kept import KeptExploration
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
from canopy_desktop.exploration.searching import SearchAsk
from canopy_desktop.exploration.trail import Change, Deed, ShownText
from canopy_desktop.settings import Preferences
from canopy_ui.answers import Answers
from canopy_ui.block_desk import BlockDesk
from canopy_ui.branch_desk import BranchDesk
from canopy_ui.chronicle import Chronicle
from canopy_ui.commands import (
    ChooseCommand,
    GoToCommand,
    RemakeCommand,
    ResumeCommand,
    WalkCommand,
)
from canopy_ui.compare_desk import CompareDesk
from canopy_ui.draft import Draft
from canopy_ui.errands import Errand
from canopy_ui.facts_desk import FactsChoice, FactsDesk
from canopy_ui.filter_choice import FilterChoice
from canopy_ui.inside_desk import InsideDesk
from canopy_ui.keeping import Keeping
from canopy_ui.lighting import Lighting
from canopy_ui.lone_walk import LoneWalk
from canopy_ui.measuring_desk import MeasuringDesk
from canopy_ui.memory_gauge import MemoryGauge
from canopy_ui.reader import DecisionRequest, ReadingResult
from canopy_ui.repaint import Repaint
from canopy_ui.run import Run
from canopy_ui.sight import Sight
from canopy_ui.starts import Starts
from canopy_ui.state import RunPhase, RunState
from canopy_ui.threads import Threads
from canopy_ui.undoing import Desks, Undoing
from canopy_ui.wiring import connect_branches, connect_comparison, connect_keeping, connect_passes
from canopy_ui.wishes import Wishes
from canopy_ui.worker import Opener

if TYPE_CHECKING:
    from canopy_desktop.exploration.journal import Journal
    from canopy_desktop.exploration.session import ModelSession


class Controller(QObject):
    """Turns wishes into commands to the threads, and their events into one view. Lives on the GUI thread.

    Steps of an older run of the same exploration are still facts, so they are kept in the tree, but the cursor stays
    where the person put it.
    """

    view_changed = Signal(object)  # WindowView
    metrics_changed = Signal(object)  # MetricsView
    state_changed = Signal(object)  # RunState
    model_opened = Signal(object)  # ModelSession
    load_progressed = Signal(float)
    failed = Signal(object)  # Exception, to be put in words
    begun = Signal()  # a run was started or taken up again
    step_taken = Signal()  # the run in hand has another token, and nothing was painted since
    journals_changed = Signal()  # what was shown before is kept for later, or is not any more
    attention_read = Signal(object)  # KeepResult
    settled = Signal()  # nothing runs, and everything that is looked at is there

    def __init__(
        self,
        opener: Opener,
        preferences: Preferences,
        journal: Journal | None = None,
        parent: QObject | None = None,
    ) -> None:
        """`journal`: where everything is kept that happens, belongs to the inference thread; None: nowhere."""
        super().__init__(parent)
        self.interval_ms = preferences.speed_ms
        self.state = RunState(phase=RunPhase.LOADING, loaded=False)
        self.session: ModelSession | None = None
        self.draft = Draft(preferences.prompt, self)
        self.wishes = Wishes(preferences, self)
        self.facts = FactsDesk(FactsChoice(preferences.facts_file, preferences.facts_best), self)
        self.inside = InsideDesk(self)
        self.measuring = MeasuringDesk(self)
        self.comparison = CompareDesk(self)
        self.lighting = Lighting(self)
        self.sight = Sight(preferences, self)
        self._chronicle = Chronicle()
        self.keeping = Keeping(self._chronicle, lambda: self.session, self)
        self.branches = BranchDesk(self._chronicle, self)
        self.blocks = BlockDesk(self._chronicle, self.keeping, lambda: self.session, self)
        desks = Desks(
            draft=self.draft, wishes=self.wishes, facts=self.facts, branches=self.branches, blocks=self.blocks
        )
        self.undoing = Undoing(self._chronicle, self.keeping, self.sight, desks, self)
        self._run = Run()
        self._starts = Starts(self.draft, self.wishes)
        self.answers = Answers(self._chronicle, self._run, self._starts, self.facts, lambda: self.session, self)
        self._memory = MemoryGauge()
        self._repaint = Repaint(lambda: self.state.busy, self)
        self._walk = LoneWalk(self._chronicle, self.interval_ms, self)
        self._threads = Threads(opener, journal, self)
        self._connect()

    def _connect(self) -> None:
        threads, worker, reader = self._threads, self._threads.worker, self._threads.reader
        connect_keeping(self.keeping, threads)
        connect_comparison(self.comparison, threads)
        connect_branches(self.branches, threads)
        connect_passes(self.inside, self.blocks, self.measuring, threads)
        self.measuring.errand_requested.connect(self._on_errand_requested)
        for desk in (self.keeping, self.comparison, self.blocks, self.measuring, worker.searches, worker.journal):
            desk.failed.connect(self.failed)
        for shown in (self.sight, self.inside, self.branches, self.measuring):
            shown.changed.connect(self.touch)
        for done in (self.draft.replaced, self.wishes.changed, self.blocks.changed):
            done.connect(self._publish_state)
        self._repaint.due.connect(self._on_repaint_due)
        self.branches.go_wished.connect(self._stand_on)
        self._walk.stepped.connect(self._on_walked_alone)
        self._walk.ended.connect(self._on_walk_ended)
        self.undoing.text_wished.connect(self._show_again)
        self.undoing.node_wished.connect(self._stand_on)
        self.undoing.brought_back.connect(self._on_brought_back)
        self.wishes.decoding_changed.connect(self._on_decoding_changed)
        self.wishes.filter_changed.connect(self._on_filter_changed)
        self.wishes.window_changed.connect(self._show_context)
        self.draft.encoded.connect(self._on_draft_encoded)
        self.facts.changed.connect(self.draft.set_facts)
        self.facts.changed.connect(self.answers.check)
        self.state_changed.connect(self.answers.check)
        self.view_changed.connect(self.lighting.take_view)
        worker.load_progressed.connect(self.load_progressed)
        worker.model_loaded.connect(self._on_worker_model_loaded)
        worker.load_failed.connect(self._on_worker_load_failed)
        worker.event_ready.connect(self._on_worker_event_ready)
        worker.journal.changed.connect(self.journals_changed)
        worker.footprint_changed.connect(self._on_worker_footprint_changed)
        reader.result_ready.connect(self._on_reader_result_ready)
        reader.attention_kept.connect(self.attention_read)

    def open(self) -> None:
        """Start the threads, and with them the loading of the model."""
        self._threads.start()
        self._threads.interval_requested.emit(self.interval_ms)
        self.facts.open()

    def shutdown(self) -> None:
        """End the run and the threads. Raises `RuntimeError` where they do not end in time."""
        self._repaint.stop()
        self.keeping.close()
        self.draft.close()
        self.facts.close()
        self._run.leave()
        self._threads.shutdown()

    @Slot(object)
    def change_model(self, opener: Opener) -> None:
        """Open another model, once the one that is open is freed; what is shown can still be read."""
        if self.state.can_stop and not self.keeping.alone:
            self._threads.stop_run()
        kept = self.keeping.leave_model()
        tree = self._chronicle.marks, self.branches.searches, self.branches.folding
        self._run.leave()
        self._walk.stop()
        self.session = None
        self._starts.give_up()
        self.draft.leave()
        self.comparison.stop()
        self.comparison.forget()
        self.inside.forget()
        self.branches.forget()
        self.blocks.wish = None
        self.undoing.trail.leave_out(Deed.BLOCK)  # another model has other heads
        if kept is not None:
            self._chronicle.reopen(kept)
            self.branches.bring_back(*tree)
        self._enter(RunPhase.LOADING)
        self._threads.change_model(opener)

    @Slot()
    def run(self) -> None:
        """Generate until the run ends: anew when the prompt was edited, else from where we stand."""
        self._go(play=True)

    @Slot()
    def step(self) -> None:
        """Generate one token."""
        self._go(play=False)

    @Slot()
    def pause(self) -> None:
        """Stay on the current token."""
        if self._walk.under_way:
            self._on_walk_ended()
        elif self.state.busy:
            self._threads.pause_requested.emit()

    @Slot()
    def toggle(self) -> None:
        """Run, or pause when running."""
        if self.state.busy:
            self.pause()
        else:
            self.run()

    @Slot()
    def stop(self) -> None:
        """End the run; its text stays."""
        if self.keeping.alone:
            self.pause()
        elif self.state.can_stop:
            self._threads.stop_run()

    @Slot()
    def back(self) -> None:
        """Stand one token earlier; nothing is lost."""
        exploration = self._chronicle.exploration
        if exploration is None or not self.state.can_go_back:
            return
        self.go_to(exploration.parent(exploration.cursor))

    @Slot(int)
    def go_to(self, node: int) -> None:
        """Stand on a node of the tree, and look at it; nothing is lost."""
        if self._can_move:
            self.undoing.trail.note(Deed.GO)
            self._stand_on(node)

    @Slot(int)
    def _stand_on(self, node: int) -> None:
        self._chronicle.go_to(node)
        self._run.must_resume = True
        self._walk.stop()
        if not self.keeping.alone:
            self._threads.go_to_requested.emit(GoToCommand(run_id=self._run.next(), node=node))
        self.sight.select(None)
        self._enter(RunPhase.PAUSED)

    @Slot(int, object)
    def walk(self, parent: int, token_ids: tuple[int, ...]) -> None:
        """Make a text that was searched after `parent` a branch, and stand at its end."""
        if not self._can_move or self.keeping.lacks_model():
            return
        self.undoing.trail.note(Deed.CHOOSE)
        self._chronicle.go_to(parent)
        self._run.must_resume = True
        command = WalkCommand(
            run_id=self._run.next(),
            parent=parent,
            token_ids=token_ids,
            settings=self.wishes.decoding,
            output_filter=self.wishes.output_filter,
        )
        self._threads.walk_requested.emit(command)
        self.sight.select(None)
        self._enter(RunPhase.RUNNING)

    @Slot(object)
    def search(self, ask: SearchAsk) -> None:
        """Search beams, or draw, after a node, beside the recorded text."""
        if self.session is not None and self._can_move and not self.keeping.lacks_model():
            self.branches.search(ask, self.wishes.decoding, self.session.card.end_ids)

    @Slot(int, int)
    def choose(self, parent: int, token_id: int) -> None:
        """Continue with another token after `parent`: a branch. Goes on as before, running or step by step."""
        if not self._can_move or self.keeping.lacks_model():
            return
        self.undoing.trail.note(Deed.CHOOSE)
        self._chronicle.go_to(parent)
        self._run.must_resume = False
        command = ChooseCommand(
            run_id=self._run.next(),
            parent=parent,
            token_id=token_id,
            settings=self.wishes.decoding,
            play=self._run.playing,
            output_filter=self.wishes.output_filter,
        )
        self._threads.choose_requested.emit(command)
        self._enter(RunPhase.RUNNING if self._run.playing else RunPhase.PAUSED)

    @Slot()
    def compute_again(self) -> None:
        """Make again what the attention lacks; a run in hand pauses."""
        self._remake(self._chronicle.gone)

    @Slot()
    def compute_lens_again(self) -> None:
        """Make again what the lens lacks; a run in hand pauses."""
        self._remake(self._chronicle.lens_gone)

    def _remake(self, gone: GoneColumns | None) -> None:
        exploration = self._chronicle.exploration
        if exploration is None or gone is None or self._run.phase is RunPhase.PREFILLING:
            return
        self._run.must_resume = True
        run_id, slots = self._run.next(), exploration.slots(exploration.cursor)
        self._threads.remake_requested.emit(RemakeCommand(run_id=run_id, slots=slots, kind=gone.kind))
        self._run.remake(RemakeProgress(run_id=run_id, done=0, total=gone.tokens))
        self._enter(RunPhase.RUNNING)

    @Slot()
    def reset(self) -> None:
        """Clear the text; the prompt stays."""
        self._leave_text(Deed.RESET)

    def new(self) -> None:
        """Clear the text, as a file is closed."""
        self._leave_text(Deed.NEW)

    def _leave_text(self, deed: Deed) -> None:
        if self.state.can_reset:
            if self._chronicle.begun:
                self.undoing.note_whole(deed)
            self._clear()

    def _clear(self) -> None:
        if self.state.can_stop:
            self._threads.stop_run()
        self._run.leave()
        self._starts.forget()
        self._walk.stop()
        self.keeping.clear()
        self._chronicle.clear()
        self.branches.forget()
        self._show_context()
        self.sight.select(None)
        if self._run.phase is not RunPhase.LOADING:
            self._enter(self._waiting_phase() if self.session else RunPhase.FAILED)

    def reopen(self, kept: KeptExploration, journal: Path | None = None) -> None:
        """Show at the start what was kept, and make its columns again once its model is there.

        `journal`: the one that it came from, which goes when another one has taken over.
        """
        self._reopen(kept, journal)
        self.undoing.trail.forget()
        self._publish_state()

    def open_kept(self, kept: KeptExploration, name: str, journal: Path | None = None) -> None:
        """Show an exploration like `reopen`, which a person chose by this name; it can be undone."""
        self.undoing.note_whole(Deed.OPEN, name)
        self._reopen(kept, journal)
        self._publish_state()

    def _reopen(self, kept: KeptExploration, journal: Path | None = None, number: int | None = None) -> None:
        if self.state.can_stop and not self.keeping.alone:
            self._threads.stop_run()
        self._run.leave()
        self._walk.stop()
        self.keeping.show(kept, journal, number)
        self.inside.forget()
        self._chronicle.reopen(kept)
        self.branches.forget()
        self.sight.select(None)
        begun = kept.beginning
        self.sight.fit_head(self.keeping.looked_at)
        self.draft.fill_in(begun.request)
        self.wishes.begin_with(begun.window)
        self.wishes.decide_by(kept.settings)
        if kept.output_filter != self.wishes.output_filter:
            self.wishes.filter_by(FilterChoice.of(kept.output_filter))
        self._starts.take_up()
        self._run.must_resume = False
        self._enter(RunPhase.LOADING if self.state.phase is RunPhase.LOADING else RunPhase.PAUSED)
        self._replay()

    def _replay(self) -> None:
        """Let the model go on with what was reopened, if it is the one that made it."""
        session, exploration = self.session, self._chronicle.exploration
        if session is None or exploration is None or not self.keeping.reopened:
            return
        command = self.keeping.take_model(session, self._run.next())
        if command is None:
            self._enter(RunPhase.PAUSED)
            return
        self.sight.fit_head(self.keeping.looked_at)
        self._chronicle.take_model(session.tokenizer, session.card.end_ids)
        self._threads.reopen(command)
        self._run.remake(ReplayProgress(run_id=command.run_id, done=0, total=exploration.replay_length()))
        self._enter(RunPhase.PREFILLING)

    @Slot()
    def _on_walk_ended(self) -> None:
        self._walk.stop()
        self._enter(RunPhase.PAUSED)

    @Slot(bool)
    def _on_walked_alone(self, going: bool) -> None:
        self.step_taken.emit()
        self._enter(RunPhase.RUNNING if going else RunPhase.PAUSED)

    @Slot(int)
    def branch(self, parent: int) -> None:
        """Generate once more what follows `parent`, with the settings as they are now: a branch."""
        if not self._can_move or self.keeping.lacks_model():
            return
        self.undoing.trail.note(Deed.BRANCH)
        self._chronicle.leave_branch(parent)
        self._run.playing, self._run.must_resume = True, False
        self._threads.resume_requested.emit(self._resume_command(play=True, branch_at=parent))
        self.begun.emit()
        self._enter(RunPhase.RUNNING)

    @Slot(int)
    def set_interval(self, interval_ms: int) -> None:
        """The least time from one token to the next; 0 is full speed."""
        self.interval_ms = self._walk.interval_ms = interval_ms
        self._threads.interval_requested.emit(interval_ms)

    @Slot()
    def undo(self) -> None:
        """Take back the last deed."""
        if self.state.undoes is not None:
            self.undoing.undo(self.state.undoes)

    @Slot()
    def redo(self) -> None:
        """Do once more what was undone last."""
        if self.state.redoes is not None:
            self.undoing.redo(self.state.redoes)

    @Slot(object)
    def _show_again(self, text: ShownText) -> None:
        if text.kept is None:
            self._clear()
        else:
            self._reopen(text.kept.unmade(), number=text.number)

    @Slot()
    def _on_brought_back(self) -> None:
        self._publish_state()
        self.touch()

    @Slot(object)
    def _on_worker_model_loaded(self, session: ModelSession) -> None:
        if self._threads.changing:
            return
        self.session = session
        self.sight.fit_head(self.keeping.looked_at)
        self.wishes.fit_window(session.card.architecture.context)
        self._show_context()
        self.draft.open(session)
        self._enter(self._waiting_phase())
        self.model_opened.emit(session)
        self._replay()

    @Slot(object)
    def _on_worker_load_failed(self, error: Exception) -> None:
        if self._threads.changing:
            return
        self._enter(RunPhase.FAILED)
        self.failed.emit(error)

    @Slot(object)
    def _on_worker_footprint_changed(self, footprint: Footprint) -> None:
        self._chronicle.note_footprint(footprint)
        self.touch()

    @Slot(object)
    def _on_worker_event_ready(self, event: GenerationEvent) -> None:
        if event.run_id < self._run.oldest:
            return
        current = self._run.note(event)
        match event:
            case PromptAccepted():
                self._begin(event)
            case PrefillProgress() | ReplayProgress():
                self._chronicle.note_progress(event)
                self.touch()
            case StepRecord():
                self._chronicle.note_step(event, follow=current)
                if current and self._run.phase is RunPhase.PREFILLING:
                    self._enter(RunPhase.RUNNING if self._run.playing else RunPhase.PAUSED)
                if current:
                    self.step_taken.emit()
                self.touch()
            case SlideProgress() | RemakeProgress():
                self.touch()
            case WindowSlid():
                self._chronicle.note_slide(event)
                self.touch()
            case RunPaused() | RunFinished() | RunFailed():
                if current:
                    self._note_end(event)
            case _:
                assert_never(event)

    @Slot(object)
    def _on_errand_requested(self, errand: Errand) -> None:
        """A run in hand pauses first: it would disturb what is measured."""
        self.pause()
        self._threads.errand_requested.emit(errand)

    @Slot(object)
    def _on_reader_result_ready(self, result: ReadingResult) -> None:
        self._chronicle.note_result(result, time.perf_counter())
        if isinstance(result.request, DecisionRequest):
            self._ask_for_decision()  # the settings may have changed again
            self._repaint.now()
        else:
            self.touch()

    @Slot(object)
    def _on_decoding_changed(self, settings: DecodingSettings) -> None:
        self._run.must_resume = True
        self.sight.decide_by(settings)
        self._ask_for_decision()

    @Slot()
    def _on_filter_changed(self) -> None:
        self._run.must_resume = True

    @Slot()
    def _on_draft_encoded(self) -> None:
        if self._run.phase in (RunPhase.EMPTY, RunPhase.READY):
            self._run.phase = self._waiting_phase()
        self._publish_state()

    @Slot()
    def _on_repaint_due(self) -> None:
        """Paint the newest state, and ask for what it lacks."""
        self.view_changed.emit(self._chronicle.view(self.sight.selection))
        self.metrics_changed.emit(self._chronicle.metrics(self._memory.bytes()))
        self._publish_state()
        for wish in self._chronicle.wishes(self.sight.selection, time.perf_counter(), busy=self.state.busy):
            self._threads.read_requested.emit(wish)
        self.branches.ask()
        self.keeping.keep_up()
        self.inside.ask(
            self._chronicle.exploration, self.sight.selection, busy=self.state.busy, interval_ms=self.interval_ms
        )
        idle = self._chronicle.read_up and self.inside.idle and self.branches.idle and self.measuring.idle
        if idle and not self.state.busy:
            self.settled.emit()

    def _go(self, *, play: bool) -> None:
        anew = self._edited or (play and self.session is not None and self._read_to_its_end)
        if self.keeping.alone and not anew:
            self._run.playing = play
            self._walk.go(play=play)
            return
        if not self.state.loaded:
            return
        if anew:
            self._start(play=play)
        elif not self.state.busy:
            self._go_on(play=play)
        elif not play:
            self._run.playing = False
            self._threads.step_requested.emit()

    @property
    def _read_to_its_end(self) -> bool:
        """Whether another model's text is shown and none of it is left to be walked along."""
        exploration = self._chronicle.exploration
        return self.keeping.alone and exploration is not None and exploration.forward(exploration.cursor) is None

    def _start(self, *, play: bool) -> None:
        try:
            command = self._starts.command(self._run.number + 1, play=play)
        except CanopyError as error:
            self.failed.emit(error)
            return
        self._run.next()
        self._run.playing = play
        self._threads.start_run(command)
        self.begun.emit()
        self._enter(RunPhase.PREFILLING)

    def _go_on(self, *, play: bool) -> None:
        self.undoing.trail.note(Deed.RUN)
        self._run.playing = play
        if self._run.must_resume:
            self._run.must_resume = False
            self._threads.resume_requested.emit(self._resume_command(play=play))
        elif play:
            self._threads.play_requested.emit()
        else:
            self._threads.step_requested.emit()
        self.begun.emit()
        if self._chronicle.processed < self._chronicle.prompt_tokens or self._chronicle.replaying:
            self._enter(RunPhase.PREFILLING)
        else:
            self._enter(RunPhase.RUNNING if play else RunPhase.PAUSED)

    def _resume_command(self, *, play: bool, branch_at: int | None = None) -> ResumeCommand:
        return ResumeCommand(
            run_id=self._run.next(),
            settings=self.wishes.decoding,
            play=play,
            output_filter=self.wishes.output_filter,
            branch_at=branch_at,
        )

    def _ask_for_decision(self) -> None:
        """Not at the next repaint: what a slider changes has to be on the screen by then."""
        wish = self._chronicle.decision_wish(self.sight.selection, busy=self.state.busy)
        if wish is not None:
            self._threads.read_requested.emit(wish)

    def _begin(self, event: PromptAccepted) -> None:
        if self.session is None:
            return
        self.undoing.trail.note(Deed.BEGIN, settings=self._starts.before)
        self._run.oldest = event.run_id
        self._run.must_resume = False
        self._walk.stop()
        self.keeping.begin(self._starts.accept(self.session.card, event.context), self.session.tokenizer)
        self.sight.fit_head(self.keeping.looked_at)
        self.inside.forget()
        self._chronicle.begin(event, self.session.tokenizer, self.session.card.end_ids)
        self.branches.forget()
        self.sight.select(None)
        self.touch()

    def _note_end(self, event: RunPaused | RunFinished | RunFailed) -> None:
        self._chronicle.ask_again()
        phase = self._run.phase_after(event)
        if isinstance(event, RunFinished):
            self._chronicle.note_end(event)
        elif isinstance(event, RunFailed):
            self._starts.give_up()
        self._enter(phase)
        if isinstance(event, RunFailed):
            self.failed.emit(event.error)

    @property
    def _edited(self) -> bool:
        return self._starts.edited(reopened=self.keeping.reopened)

    @Slot()
    def _show_context(self) -> None:
        """Before a run, the figures are those of the window that it would have."""
        if self.session is not None and not self._chronicle.begun:
            self._chronicle.set_context(self.wishes.window.tokens(self.session.card.architecture.context))
            self.touch()

    @property
    def _can_move(self) -> bool:
        """Whether one may stand elsewhere: the prompt has been read."""
        return self._chronicle.begun and self._run.phase is not RunPhase.PREFILLING

    def _possible(self, change: Change | None) -> Change | None:
        return change if change is None or self._can_move or not change.deed.needs_text else None

    def _waiting_phase(self) -> RunPhase:
        return RunPhase.EMPTY if self.draft.empty else RunPhase.READY

    def _enter(self, phase: RunPhase) -> None:
        self._run.phase = phase
        self.touch()
        self._publish_state()

    @Slot()
    def _publish_state(self) -> None:
        state = self._run.state(
            self._chronicle,
            undoes=self._possible(self.undoing.trail.undoes()),
            redoes=self._possible(self.undoing.trail.redoes()),
            edited=self._edited,
            loaded=self.session is not None,
            alone=self.keeping.alone,
        )
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)

    def touch(self) -> None:
        """Have the window painted soon."""
        self._repaint.soon()

"""The two threads beside the window's own, and the queued wishes that reach them."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QThread, Signal, Slot

from canopy_ui.branch_drawer import BranchDrawer
from canopy_ui.commands import ReopenCommand, StartCommand
from canopy_ui.compare_reader import CompareReader
from canopy_ui.reader import Reader
from canopy_ui.worker import Opener, Worker

if TYPE_CHECKING:
    from canopy_desktop.exploration.journal import Journal

SHUTDOWN_MS = 2000
LAST_MS = 30_000  # loading libraries from a slow disk cannot be interrupted
logger = logging.getLogger(__name__)


class Threads(QObject):
    """Owns the worker and the reader. The signals here are wishes; what comes back are theirs.

    Lives on the GUI thread. `shutdown` must be called before it goes.
    """

    load_requested = Signal()
    leave_requested = Signal()
    change_requested = Signal(object)  # Opener
    start_requested = Signal(object)  # StartCommand
    reopen_requested = Signal(object)  # ReopenCommand
    discard_requested = Signal(object)  # Path of the journal that the exploration came from, or None
    keep_requested = Signal(object)  # ReopenCommand
    set_aside_requested = Signal(int)  # the number of the exploration
    marks_requested = Signal(object)  # KeptMarks
    searches_requested = Signal(object)  # tuple[Searched, ...] that have ended
    tokens_known = Signal(object)  # TokenTable of what is shown
    resume_requested = Signal(object)  # ResumeCommand
    choose_requested = Signal(object)  # ChooseCommand
    go_to_requested = Signal(object)  # GoToCommand
    remake_requested = Signal(object)  # RemakeCommand
    block_requested = Signal(object)  # BlockCommand
    inside_requested = Signal(object)  # InsideWish
    walk_requested = Signal(object)  # WalkCommand
    search_requested = Signal(object)  # SearchWish
    search_stop_requested = Signal()
    picture_requested = Signal(object)  # BranchWish
    cache_size_requested = Signal()
    errand_requested = Signal(object)  # Errand
    errand_end_requested = Signal()
    compare_requested = Signal(object)  # CompareCommand
    compare_stop_requested = Signal()
    release_requested = Signal()  # of the model that is open beside the window's own
    compared_step_requested = Signal(object)  # PictureRequest
    models_requested = Signal()
    play_requested = Signal()
    step_requested = Signal()
    pause_requested = Signal()
    stop_requested = Signal()
    interval_requested = Signal(int)
    read_requested = Signal(object)  # ReadingRequest
    attention_known = Signal(object)  # KeptAttention of what is shown, or None
    attention_requested = Signal(object)  # KeepRequest
    close_requested = Signal()

    def __init__(self, opener: Opener, journal: Journal | None = None, parent: QObject | None = None) -> None:
        """`journal` is the worker's from now on."""
        super().__init__(parent)
        self.worker = Worker(opener, journal)
        self.reader = Reader()
        self.drawer = BranchDrawer()
        self.compare_reader = CompareReader()
        self._openers: deque[Opener] = deque()  # of models that wait until the reader holds none
        self._inference, self._reading = QThread(self), QThread(self)
        self._inference.setObjectName("inference")
        self._reading.setObjectName("reader")
        self.worker.moveToThread(self._inference)
        for reading in (self.reader, self.drawer, self.compare_reader):
            reading.moveToThread(self._reading)
        self.load_requested.connect(self.worker.load)
        self.leave_requested.connect(self.reader.leave)
        self.reader.left.connect(self._on_reader_left)
        self.change_requested.connect(self.worker.change)
        self.start_requested.connect(self.worker.start)
        self.reopen_requested.connect(self.worker.reopen)
        self.discard_requested.connect(self.worker.journal.discard)
        self.keep_requested.connect(self.worker.journal.keep)
        self.set_aside_requested.connect(self.worker.journal.set_aside)
        self.resume_requested.connect(self.worker.resume)
        self.choose_requested.connect(self.worker.choose)
        self.go_to_requested.connect(self.worker.go_to)
        self.remake_requested.connect(self.worker.remake)
        self.block_requested.connect(self.worker.questions.block)
        self.inside_requested.connect(self.worker.questions.look_inside)
        self.walk_requested.connect(self.worker.walk)
        self.search_requested.connect(self.worker.search)
        self.search_stop_requested.connect(self.worker.stop_search)
        self.cache_size_requested.connect(self.worker.questions.measure_cache)
        self.errand_requested.connect(self.worker.run_errand)
        self.errand_end_requested.connect(self.worker.end_errand)
        self.compare_requested.connect(self.worker.comparer.compare)
        self.compare_stop_requested.connect(self.worker.comparer.stop)
        self.release_requested.connect(self.worker.comparer.release)
        self.compared_step_requested.connect(self.compare_reader.read)
        self.models_requested.connect(self.compare_reader.find_models)
        self.play_requested.connect(self.worker.play)
        self.step_requested.connect(self.worker.step_once)
        self.pause_requested.connect(self.worker.pause)
        self.stop_requested.connect(self.worker.stop)
        self.interval_requested.connect(self.worker.set_interval)
        self.worker.model_loaded.connect(self.reader.open)
        self.read_requested.connect(self.reader.read)
        self.attention_known.connect(self.reader.read_kept)
        self.attention_requested.connect(self.reader.keep)
        self.marks_requested.connect(self.worker.journal.keep_marks)
        self.searches_requested.connect(self.worker.journal.keep_searches)
        self.tokens_known.connect(self.drawer.write_with)
        self.picture_requested.connect(self.drawer.draw)
        self.close_requested.connect(self.worker.close)
        self.close_requested.connect(self.reader.close)

    def start(self) -> None:
        """Set both to work; the worker begins by loading the model."""
        self._inference.start()
        self._reading.start()
        self.load_requested.emit()

    def change_model(self, opener: Opener) -> None:
        """Have the model that is open freed, by the reader first, and then another one opened."""
        self._openers.append(opener)
        self.worker.supersede()
        self.leave_requested.emit()

    @property
    def changing(self) -> bool:
        """Whether a model that is told now is one that has to go."""
        return bool(self._openers)

    @Slot()
    def _on_reader_left(self) -> None:
        self.change_requested.emit(self._openers.popleft())

    def stop_run(self) -> None:
        """End the run, even in the middle of a pass."""
        self.worker.abandon()
        self.stop_requested.emit()

    def stop_comparison(self) -> None:
        """End both runs of a comparison, or the opening of its other model."""
        self.worker.comparer.abandon()
        self.compare_stop_requested.emit()

    def start_run(self, command: StartCommand) -> None:
        """Begin anew, even in the middle of a pass."""
        self.worker.abandon()
        self.start_requested.emit(command)

    def reopen(self, command: ReopenCommand) -> None:
        """Take up a kept exploration, even in the middle of a pass."""
        self.worker.abandon()
        self.reopen_requested.emit(command)

    def shutdown(self) -> None:
        """End both threads politely. Raises `RuntimeError` where one does not end in time."""
        self.worker.give_up()
        self.close_requested.emit()
        for thread in (self._inference, self._reading):
            if not thread.isRunning() or thread.wait(SHUTDOWN_MS):
                continue
            logger.warning("The %s thread is still busy", thread.objectName())
            if not thread.wait(LAST_MS):
                raise RuntimeError(f"The {thread.objectName()} thread did not stop")

"""Runs two prompts beside the recorded text: one pass of the model a turn of the inference thread's event loop."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.errors import CanopyError, InterruptedStepError
from canopy_desktop.exploration.compare_view import Side, SideReading, SideWish
from canopy_desktop.exploration.prompt import fit
from canopy_desktop.exploration.records import GenerationEvent, PrefillProgress, StepRecord
from canopy_ui.compare_events import (
    CompareCommand,
    CompareEvent,
    CompareFailed,
    CompareLeft,
    CompareOver,
    ModelOpening,
    SideBegun,
    SideRead,
    SideStepped,
)

if TYPE_CHECKING:
    from canopy_desktop.exploration.compare import BesideRunner
    from canopy_desktop.exploration.compared import ComparedRun
    from canopy_desktop.exploration.session import ModelSession
    from canopy_desktop.model.chat import TemplatedPrompt

logger = logging.getLogger(__name__)

OtherOpener: TypeAlias = "Callable[[Path, str, int, Callable[[float], None]], ModelSession]"
"""Opens the bundle in a folder on a provider, for a text of so many tokens; is told where to report progress."""


class _LeftError(Exception):
    """Nobody waits for the comparison any more."""


@dataclass(slots=True)
class _Running:
    """One side under way."""

    side: Side
    wish: SideWish
    session: ModelSession
    runner: BesideRunner
    events: Generator[GenerationEvent, None, ComparedRun]
    run: ComparedRun | None = None

    def reading(self) -> SideReading:
        """What it made, also where it is not over."""
        run = self.runner.left(self.wish.settings) if self.run is None else self.run
        return SideReading(run, self.session.head, self.session.tokenizer)


def open_other(folder: Path, provider: str, tokens: int, progress: Callable[[float], None]) -> ModelSession:
    """Load another bundle with room for a text of so many tokens. Raises `ModelError` or `ProviderError`."""
    from canopy_ui.opening import opener_of  # knows the worker, whose child uses this

    return opener_of(str(folder), provider, tokens=tokens)(progress)


class Comparer(QObject):
    """A child of the worker. Every slot runs on the inference thread; no exception leaves one."""

    event_ready = Signal(object)  # CompareEvent

    def __init__(self, parent: QObject | None = None, *, opener: OtherOpener = open_other) -> None:
        super().__init__(parent)
        self._opener = opener
        self._session: ModelSession | None = None
        self._other: tuple[Path, ModelSession] | None = None
        self._number = 0
        self._sides: tuple[_Running, ...] = ()
        self._waiting: deque[_Running] = deque()
        self._leaving = threading.Event()
        self._turns = QTimer(self, interval=0, singleShot=True)  # a child moves along to the thread
        self._turns.timeout.connect(self._advance)

    def abandon(self) -> None:
        """Open no model any further; `stop` or `close` follows. May be called from any thread."""
        self._leaving.set()

    def open(self, session: ModelSession) -> None:
        """Compare with this model from now on."""
        self._forget()
        self._session, self._other = session, None

    def close(self) -> None:
        """Let go of everything."""
        self._forget()
        self._session = self._other = None

    @Slot(object)
    def compare(self, command: CompareCommand) -> None:
        """Begin both sides; another comparison under way is left."""
        self._forget()
        self._number = command.number
        with self._reporting_errors():
            try:
                self._begin(command)
            except _LeftError:
                self._tell(CompareLeft(number=command.number))
            else:
                self._turns.start(0)

    @Slot()
    def stop(self) -> None:
        """End both sides where they are; `abandon` was called before."""
        self._leaving.clear()
        if self._waiting:
            self._finish()

    @Slot()
    def release(self) -> None:
        """Close the other model."""
        self._other = None

    def _begin(self, command: CompareCommand) -> None:
        # imported here: the engine takes longer to import than the window to show
        from canopy_desktop.exploration.compare import BesideRunner, same_vocabulary

        wishes = ((Side.A, command.a), (Side.B, command.b))
        sessions = [self._session_of(wish) for _, wish in wishes]
        same = sessions[0] is sessions[1] or same_vocabulary(sessions[0].tokenizer, sessions[1].tokenizer)
        # all that can be refused is, before either side begins
        prompts = [_prompt_of(wish, session) for (_, wish), session in zip(wishes, sessions, strict=True)]
        sides = []
        for (side, wish), session, prompt in zip(wishes, sessions, prompts, strict=True):
            runner = BesideRunner(session)
            events = runner.run(
                command.number,
                prompt,
                wish.settings,
                wish.window,
                kept=wish.request.system_tokens(session.tokenizer, session.template) if wish.window.keeps_system else 0,
            )
            next(events)
            sides.append(_Running(side, wish, session, runner, events))
            self._tell(
                SideBegun(
                    number=command.number,
                    side=side,
                    model=session.card.id,
                    weights=session.card.weights,
                    prompt=session.tokenizer.tokens(prompt.ids),
                    text=prompt.text,
                    tokenizer=session.tokenizer,
                    same_vocabulary=same,
                )
            )
        self._sides = tuple(sides)
        self._waiting.extend(sides)

    def _session_of(self, wish: SideWish) -> ModelSession:
        main, folder = self._session, wish.model
        if main is None:
            raise RuntimeError("a comparison came before the model was loaded")
        if folder is None:
            return main
        if self._other is None or self._other[0] != folder:
            self._other = None  # before the next one takes its memory
            self._other = folder, self._opener(folder, main.provider.name, wish.most_tokens, self._report_opening)
        return self._other[1]

    def _report_opening(self, share: float) -> None:
        if self._leaving.is_set():
            raise _LeftError
        self._tell(ModelOpening(number=self._number, share=share))

    @Slot()
    def _advance(self) -> None:
        with self._reporting_errors():
            try:
                self._take_turn()
            except InterruptedStepError:
                self._waiting.clear()
            if self._waiting:
                self._turns.start(0)
            else:
                self._finish()

    def _take_turn(self) -> None:
        """The next event of the side that waits longest, so that both texts grow side by side."""
        running = self._waiting[0]
        try:
            event = next(running.events)
        except StopIteration as end:
            running.run = end.value
            self._waiting.popleft()
            return
        self._waiting.rotate(-1)
        if isinstance(event, PrefillProgress):
            self._tell(SideRead(number=self._number, side=running.side, done=event.done))
        elif isinstance(event, StepRecord):
            self._tell(SideStepped(number=self._number, side=running.side, step=event))

    def _finish(self) -> None:
        a, b = (running.reading() for running in self._sides)
        self._forget()
        self._tell(CompareOver(number=self._number, a=a, b=b))

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except CanopyError as error:
            logger.warning("The comparison could not go on: %s", error)
            self._fail(error)
        except Exception as error:
            logger.exception("Unexpected error while comparing")
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._forget()
        self._tell(CompareFailed(number=self._number, error=error))

    def _forget(self) -> None:
        """Leave the runs in hand, and their caches."""
        self._turns.stop()
        self._sides = ()
        self._waiting.clear()

    def _tell(self, event: CompareEvent) -> None:
        self.event_ready.emit(event)


def _prompt_of(wish: SideWish, session: ModelSession) -> TemplatedPrompt:
    """The prompt as this model sees it. Raises `PromptError` or `SettingsError`."""
    wish.settings.check_vocabulary(session.tokenizer.vocabulary_size)
    prompt = wish.request.encoded(session.tokenizer, session.template)
    fit(prompt, wish.window.tokens(session.card.architecture.context))
    return prompt

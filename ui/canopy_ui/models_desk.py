"""The window's copy of the catalogue, and everything that a person does to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop import paths
from canopy_desktop.errors import CanopyError
from canopy_ui.background import Background
from canopy_ui.import_process import ImportEnd, ImportProcess
from canopy_ui.state import RunPhase
from canopy_ui.worker import Opener

if TYPE_CHECKING:
    from canopy_desktop.exploration.models_view import ModelRow
    from canopy_desktop.exploration.session import ModelSession
    from canopy_desktop.model.catalogue import SetAside
    from canopy_ui.controller import Controller


class OpenerOf(Protocol):
    """How a model is opened."""

    def __call__(self, name: str, *, tokens: int | None) -> Opener:
        """Opens the model in a folder, with room for a text of so many tokens; None: of the usual length."""


logger = logging.getLogger(__name__)


class ModelDeed(Enum):
    """What was done."""

    MADE_DEFAULT = "made_default"
    RENAMED = "renamed"
    REMOVED = "removed"
    BROUGHT_BACK = "brought_back"
    VERIFIED = "verified"
    IMPORTED = "imported"
    THERE_ALREADY = "there_already"
    IMPORT_CANCELLED = "import_cancelled"
    IMPORT_FAILED = "import_failed"


@dataclass(frozen=True, slots=True)
class DoneDeed:
    """One deed, and what it was done to."""

    deed: ModelDeed
    id: str = ""
    detail: str = ""  # the id before, or a sentence


@dataclass(frozen=True, slots=True)
class Importing:
    """An import under way."""

    name: str  # of the file
    doing: str = "reading"
    percent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsView:
    """What the window shows of the catalogue."""

    rows: tuple[ModelRow, ...] | None = None  # None: they are being looked for
    free: int = 0  # bytes of memory, with those that the open model would give back
    tokens: int | None = None  # the context that memory is counted for; None: nobody chose one
    opened: Path | None = None  # the folder of the model that is open
    opening: Path | None = None
    importing: Importing | None = None
    busy: str = ""  # the id of the model that something is done to
    removed: str = ""  # the id of the one that can be brought back


@dataclass(frozen=True, slots=True)
class _Room:
    """What memory there is: the context that is counted, bytes for columns, bytes that are free."""

    tokens: int | None
    budget: int
    free: int


_Job: TypeAlias = Callable[[_Room], DoneDeed | None]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is there, and what was done or could not be."""

    rows: tuple[ModelRow, ...]
    free: int
    done: DoneDeed | None
    error: Exception | None
    use: Path | None


class ModelsDesk(QObject):
    """Lives on the GUI thread; looks and changes files on another, one thing at a time. `close` it at the end."""

    changed = Signal(object)  # ModelsView
    done = Signal(object)  # DoneDeed
    failed = Signal(object)  # Exception

    def __init__(
        self,
        controller: Controller,
        opener_of: OpenerOf,
        *,
        memory_budget_mb: int | None = None,
        parent: QObject | None = None,
    ) -> None:
        """`memory_budget_mb`: what columns may take; None: automatic."""
        super().__init__(parent)
        self.view = ModelsView()
        self._controller = controller
        self._opener_of = opener_of
        self._budget = None if memory_budget_mb is None else memory_budget_mb * 10**6
        self._aside: list[SetAside] = []
        self._jobs = Background(self)
        self._jobs.answered.connect(self._on_answered)
        self._import = ImportProcess(self)
        self._import.progressed.connect(self._on_import_progressed)
        self._import.ended.connect(self._on_import_ended)
        controller.model_opened.connect(self._on_model_opened)
        controller.failed.connect(self._on_controller_failed)
        controller.wishes.window_changed.connect(self._look_again)

    @Slot()
    def refresh(self) -> None:
        """Look at what is there now."""
        self._ask("", _nothing)

    def count_for(self, tokens: int | None) -> None:
        """Have the context of so many tokens, for memory and for the next text; None: the model's own."""
        self._controller.wishes.set_window(replace(self._controller.wishes.window, size=tokens))

    def use(self, row: ModelRow) -> None:
        """Open this model, once the one that is open was freed; refused where it would find no room."""
        if row.folder not in (self.view.opened, self.view.opening):
            self._ask(row.id, partial(_check_room, row, self._on_card), row.folder)

    def make_default(self, row: ModelRow) -> None:
        """Open this model at the next start."""
        self._ask(row.id, partial(_make_default, row.id))

    def rename(self, row: ModelRow, new: str) -> None:
        """Give it another id."""
        self._ask(row.id, partial(_rename, row.id, new))

    def remove(self, row: ModelRow) -> None:
        """Take it out; it can be brought back until the window closes."""
        self._ask(row.id, partial(_remove, row.id, self._aside))

    @Slot()
    def bring_back(self) -> None:
        """Put back what was removed last."""
        if self._aside:
            self._ask(self._aside[-1].id, partial(_bring_back, self._aside))

    def verify(self, row: ModelRow) -> None:
        """Check every file."""
        self._ask(row.id, partial(_verify, row.folder, row.id))

    def import_source(self, source: Path) -> None:
        """Make a model of a file or folder; one at a time."""
        if not self._import.running:
            self._show(importing=Importing(source.name))
            self._import.start(source)

    @Slot()
    def cancel_import(self) -> None:
        """End the import under way."""
        self._import.cancel()

    def close(self) -> None:
        """Free the disk of what was removed, and of an import that was under way."""
        from canopy_desktop.model.working import sweep

        self._import.close()
        self._jobs.close()
        _discard(self._aside)
        sweep(paths.build_folder())

    @property
    def _on_card(self) -> bool:
        """Whether models run on a card, whose memory is looked at when they are opened."""
        return self._controller.session is not None and self._controller.session.provider.name == "cuda"

    def _ask(self, busy: str, job: _Job, use: Path | None = None) -> None:
        """Do this beside the window, and look what is there then; one thing at a time."""
        if self._jobs.waiting and self.view.busy:
            return
        self._show(busy=busy)
        held = next((row.needed.weights for row in self._rows if row.folder == self.view.opened and row.needed), 0)
        self._jobs.ask(partial(_answer, job, self._controller.wishes.window.size, self._budget, held, use))

    @property
    def _rows(self) -> tuple[ModelRow, ...]:
        return self.view.rows or ()

    @Slot(object)
    def _on_answered(self, answer: object) -> None:
        removed = self._aside[-1].id if self._aside else ""
        if not isinstance(answer, _Answer):
            self._show(busy="", removed=removed)
            if isinstance(answer, Exception):
                self.failed.emit(answer)
            return
        tokens = self._controller.wishes.window.size
        self._show(rows=answer.rows, free=answer.free, tokens=tokens, busy="", removed=removed)
        if answer.error is not None:
            self.failed.emit(answer.error)
        elif answer.use is not None:
            self._show(opening=answer.use, opened=None)
            self._controller.change_model(self._opener_of(str(answer.use), tokens=tokens))
        elif answer.done is not None:
            self.done.emit(answer.done)

    @Slot(int, str)
    def _on_import_progressed(self, percent: int, doing: str) -> None:
        if self.view.importing is not None:
            self._show(importing=replace(self.view.importing, percent=percent, doing=doing))

    @Slot(object)
    def _on_import_ended(self, end: ImportEnd) -> None:
        self._show(importing=None)
        self._ask("", partial(_sweep, paths.build_folder()))
        if end.id:
            self.done.emit(DoneDeed(ModelDeed.IMPORTED if end.is_new else ModelDeed.THERE_ALREADY, end.id))
        elif end.error:
            self.done.emit(DoneDeed(ModelDeed.IMPORT_FAILED, detail=end.error))
        else:
            self.done.emit(DoneDeed(ModelDeed.IMPORT_CANCELLED))

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._show(opened=session.bundle.folder, opening=None)
        self._look_again()

    @Slot()
    def _look_again(self) -> None:
        """Where somebody has looked before."""
        if self.view.rows is not None:
            self.refresh()

    @Slot(object)
    def _on_controller_failed(self, error: Exception) -> None:
        """Perhaps the model that was to be opened."""
        state = self._controller.state
        if self.view.opening is not None and state.phase is RunPhase.FAILED and not state.loaded:
            self._show(opening=None)
            self.failed.emit(error)

    def _show(self, **changes: Any) -> None:
        view = replace(self.view, **changes)
        if view != self.view:
            self.view = view
            self.changed.emit(view)


# What follows runs beside the window's thread, and imports there what takes long.


def _answer(job: _Job, tokens: int | None, budget: int | None, held: int, use: Path | None) -> _Answer:
    """Do something, and say what is there then, also where it could not be done."""
    from canopy_desktop.exploration.budget import automatic_budget
    from canopy_desktop.exploration.models_view import model_rows
    from canopy_desktop.model.catalogue import catalogue
    from canopy_desktop.model.device import HOST

    budget = automatic_budget() if budget is None else budget
    free = HOST.free() + held
    done: DoneDeed | None = None
    error: Exception | None = None
    try:
        done = job(_Room(tokens, budget, free))
    except CanopyError as refusal:
        error = refusal
    rows = model_rows(catalogue(), tokens=tokens, budget=budget)
    return _Answer(rows, free, done, error, use)


def _nothing(room: _Room) -> None:
    """Only look."""


def _check_room(row: ModelRow, on_card: bool, room: _Room) -> None:
    from canopy_desktop.exploration.memory_needed import require_memory, usual_context
    from canopy_desktop.model.card import read_card

    card = read_card(row.folder)
    if not on_card:
        require_memory(card, usual_context(card, room.tokens), free=room.free, budget=room.budget)


def _make_default(name: str, room: _Room) -> DoneDeed:
    from canopy_desktop.model.catalogue import choose_default

    choose_default(name)
    return DoneDeed(ModelDeed.MADE_DEFAULT, name)


def _rename(name: str, new: str, room: _Room) -> DoneDeed:
    from canopy_desktop.model.catalogue import rename

    rename(name, new)
    return DoneDeed(ModelDeed.RENAMED, new, name)


def _remove(name: str, aside: list[SetAside], room: _Room) -> DoneDeed:
    from canopy_desktop.model.catalogue import set_aside

    aside.append(set_aside(name))
    return DoneDeed(ModelDeed.REMOVED, name)


def _bring_back(aside: list[SetAside], room: _Room) -> DoneDeed:
    from canopy_desktop.model.catalogue import bring_back

    bring_back(aside[-1])
    return DoneDeed(ModelDeed.BROUGHT_BACK, aside.pop().id)


def _verify(folder: Path, name: str, room: _Room) -> DoneDeed:
    from canopy_desktop.model.bundle import Bundle

    Bundle.open(folder)
    return DoneDeed(ModelDeed.VERIFIED, name)


def _sweep(folder: Path, room: _Room) -> None:
    from canopy_desktop.model.working import sweep

    sweep(folder)


def _discard(aside: list[SetAside]) -> None:
    from canopy_desktop.model.catalogue import discard

    for one in aside:
        try:
            discard(one)
        except CanopyError as error:
            logger.warning("%s", error)

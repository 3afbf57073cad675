"""Exploration files and what was not saved: opened, saved, found again. All reading and writing is done elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEventLoop, QObject, QTimer, Signal, Slot

from canopy_desktop.errors import CanopyError, StorageError
from canopy_desktop.settings import MOST_RECENT
from canopy_ui.background import Background

if TYPE_CHECKING:
    from canopy_desktop.exploration.journal import FoundJournal, Journal
    from canopy_desktop.exploration.kept import KeptExploration
    from canopy_desktop.exploration.kept_attention import AttentionOffer
    from canopy_desktop.model.tokenizer import TokenTable
    from canopy_ui.controller import Controller
    from canopy_ui.keeping import Revision
    from canopy_ui.reader import KeepResult

SUFFIX = ".canopy"
SYNC_MS = 1000  # how often the journal is brought to the disk
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Opened:
    """An exploration that was read; from a file, or from a journal."""

    kept: KeptExploration
    file: Path | None = None
    saved: bool = True  # the file has all of it
    journal: Path | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """The file that an exploration belongs to."""

    file: Path
    saved: Revision | None = None  # what the file has; None: it lacks something, or is another exploration's by now


@dataclass(frozen=True, slots=True)
class _Saved:
    file: Path
    revision: Revision


@dataclass(frozen=True, slots=True)
class _Copied:
    file: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy that waits for its attention."""

    file: Path
    kept: KeptExploration
    tokens: TokenTable


@dataclass(frozen=True, slots=True)
class _Found:
    """What programs before this one left."""

    opened: _Opened | None
    offers: tuple[FoundJournal, ...]


class Files(QObject):
    """Knows which file is shown, and whether all of it is saved. Lives on the GUI thread; `close` it at the end.

    What a window shows when it closes is kept in a journal and reopened by the next one, so nobody is asked. What
    another exploration replaced, or a crash left, is offered.
    """

    changed = Signal()  # file, whether all is saved, recent files, or offers
    failed = Signal(object)  # StorageError, or why there is no attention to be kept
    copied = Signal(object, int)  # Path of a copy with attention, and its bytes

    def __init__(
        self,
        controller: Controller,
        *,
        recent: Sequence[str] = (),
        journal: Journal | None = None,
        folder: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        """`journal` is the controller's; `folder`: where journals are. Both None: nothing is kept but files."""
        super().__init__(parent)
        self.recent = tuple(Path(path) for path in recent[:MOST_RECENT])
        self.offers: tuple[FoundJournal, ...] = ()
        self._controller = controller
        self._journal = journal
        self._folder = folder
        self._places: dict[int, _Place] = {}  # by the number of the exploration, for undo shows one again
        self._copy: _Copy | None = None
        self._told: tuple[Path | None, bool] = (None, False)  # the file, and whether it lacks something
        self._reading, self._looking = Background(self), Background(self)
        self._writing, self._syncing = Background(self), Background(self)
        self._reading.answered.connect(self._on_read)
        self._looking.answered.connect(self._on_looked)
        self._writing.answered.connect(self._on_written)
        self._sync = QTimer(self, interval=SYNC_MS)
        self._sync.timeout.connect(self._on_sync_due)
        if journal is not None:
            self._sync.start()
        controller.state_changed.connect(self._on_state_changed)
        controller.attention_read.connect(self._on_attention_read)
        controller.undoing.giving_way.connect(self._on_giving_way)
        controller.journals_changed.connect(self._on_journals_changed)

    @property
    def file(self) -> Path | None:
        """The file of what is shown."""
        place = self._places.get(self._controller.keeping.revision.exploration)
        return None if place is None else place.file

    @property
    def modified(self) -> bool:
        """Whether something is shown that no file has."""
        revision = self._controller.keeping.revision
        place = self._places.get(revision.exploration)
        return revision.size > 0 and (place is None or revision != place.saved)

    @property
    def can_save(self) -> bool:
        """Whether there is something to save, and no writing under way."""
        return self._controller.keeping.revision.exploration > 0 and not self._writing.waiting and self._copy is None

    @property
    def attention_offer(self) -> AttentionOffer:
        """What a copy with attention would take."""
        return self._controller.keeping.attention_offer

    def start(self, file: Path | None, *, last: str = "", last_saved: bool = True) -> None:
        """Open a file; None: what the last window showed, whose file was `last`. What else is there is offered."""
        if file is not None or self._folder is not None:
            self._reading.ask(partial(_find, self._folder, file, Path(last) if last else None, last_saved))

    def open(self, file: Path) -> None:
        """Show the exploration in a file."""
        self._reading.ask(partial(_read, file))

    def recover(self, offer: FoundJournal) -> None:
        """Show what was not saved."""
        self.offers = tuple(one for one in self.offers if one is not offer)
        self._reading.ask(partial(_recover, offer.path))
        self.changed.emit()

    def discard(self, offer: FoundJournal) -> None:
        """Remove what was not saved."""
        from canopy_desktop.exploration.journal import discard

        self.offers = tuple(one for one in self.offers if one is not offer)
        discard(offer.path)
        self.changed.emit()

    def put_off(self) -> None:
        """Offer nothing until the next start."""
        self.offers = ()
        self.changed.emit()

    def new(self) -> None:
        """Begin with an empty text; what is not saved is offered from then on."""
        self._controller.new()

    def save(self, file: Path) -> None:
        """Write what is shown into a file."""
        kept = self._controller.keeping.snapshot()
        if kept is not None and self.can_save:
            job = partial(_save, file, kept, self._controller.keeping.token_table, self._controller.keeping.revision)
            self._writing.ask(job)
            self.changed.emit()

    def save_copy(self, file: Path) -> None:
        """Write what is shown into another file, with what the attention of the text in hand is computed from."""
        kept, controller = self._controller.keeping.snapshot(), self._controller
        if kept is None or not self.can_save or controller.keeping.attention_offer.why_not is not None:
            return
        self._copy = _Copy(file, kept, controller.keeping.token_table)
        if controller.keeping.attention_alone is None:
            controller.keeping.read_attention()
        else:
            self._write_copy(kept)
        self.changed.emit()

    def _write_copy(self, kept: KeptExploration) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            self._writing.ask(partial(_save_copy, copy.file, kept, copy.tokens))

    @Slot(object)
    def _on_attention_read(self, result: KeepResult) -> None:
        copy = self._copy
        if copy is None:
            return
        if result.attention is None:
            moved = StorageError(copy.file, "the text changed while its attention was copied: save the copy again")
            self._copy = None
            self._fail(moved if result.error is None else result.error)
            self.changed.emit()
        else:
            self._write_copy(replace(copy.kept, attention=result.attention))

    def close(self) -> None:
        """Wait until everything is written."""
        self._sync.stop()
        self._folder = None
        if self._copy is not None:
            answered = QEventLoop()
            self._controller.attention_read.connect(answered.quit)
            answered.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        for thread in (self._reading, self._looking, self._writing, self._syncing):
            thread.close()

    @Slot(object)
    def _on_read(self, answer: object) -> None:
        match answer:
            case _Opened(kept=kept, file=file, journal=journal):
                self._controller.open_kept(kept, "" if file is None else file.name, journal)
                self._place(answer)
            case _Found(opened=opened, offers=offers):
                self.offers = offers
                if opened is not None:
                    self._controller.reopen(opened.kept, opened.journal)
                    self._place(opened)
                self.changed.emit()
            case _:
                self._fail(answer)

    def _place(self, opened: _Opened) -> None:
        """What was opened belongs to its file."""
        revision = self._controller.keeping.revision
        if opened.file is not None and opened.saved:
            self._note_saved(opened.file, revision)
        elif opened.file is not None:
            self._places[revision.exploration] = _Place(opened.file)
        self._tell()

    @Slot(object)
    def _on_looked(self, answer: object) -> None:
        if isinstance(answer, _Found):
            self.offers = answer.offers
            self.changed.emit()
        else:
            self._fail(answer)

    @Slot(object)
    def _on_written(self, answer: object) -> None:
        if isinstance(answer, _Saved):
            self._note_saved(answer.file, answer.revision)
        elif isinstance(answer, _Copied):
            self._note_recent(answer.file)
            self.copied.emit(answer.file, answer.bytes)
        else:
            self._fail(answer)
        self.changed.emit()

    def _note_saved(self, file: Path, revision: Revision) -> None:
        others = {number: _Place(file) for number, place in self._places.items() if place.file == file}
        self._places |= {**others, revision.exploration: _Place(file, revision)}
        self._note_recent(file)

    def _note_recent(self, file: Path) -> None:
        self.recent = (file, *(path for path in self.recent if path != file))[:MOST_RECENT]

    def _fail(self, error: object) -> None:
        if isinstance(error, StorageError):
            self.recent = tuple(path for path in self.recent if path != error.path or path.exists())
            self.failed.emit(error)
            self.changed.emit()
        elif isinstance(error, CanopyError):
            self.failed.emit(error)
        elif isinstance(error, Exception):
            logger.error("Unexpected error with an exploration's file", exc_info=error)
            self.failed.emit(error)

    @Slot()
    def _on_giving_way(self) -> None:
        """Another exploration comes: this one's journal stays where a file lacks something of it."""
        if self.modified:
            self._controller.keeping.set_aside()

    @Slot()
    def _on_journals_changed(self) -> None:
        if self._folder is not None:
            self._looking.ask(partial(_offers, self._folder))

    @Slot(object)
    def _on_state_changed(self, state: object) -> None:
        if (self.file, self.modified) != self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = self.file, self.modified
        self.changed.emit()

    @Slot()
    def _on_sync_due(self) -> None:
        if self._journal is not None and not self._syncing.waiting:
            self._syncing.ask(self._journal.sync)


# What follows runs beside the window's thread.


def _read(file: Path) -> _Opened:
    from canopy_desktop.exploration import storage

    return _Opened(storage.load(file), file.absolute())


def _recover(path: Path) -> _Opened:
    from canopy_desktop.exploration import journal

    return _Opened(journal.read(path), journal=path)


def _save(file: Path, kept: KeptExploration, tokens: TokenTable, revision: Revision) -> _Saved:
    from canopy_desktop.exploration import storage

    storage.save(file, kept, tokens)
    return _Saved(file, revision)


def _save_copy(file: Path, kept: KeptExploration, tokens: TokenTable) -> _Copied:
    from canopy_desktop.exploration import storage

    storage.save(file, kept, tokens)
    return _Copied(file, file.stat().st_size)


def _offers(folder: Path) -> _Found:
    from canopy_desktop.exploration import journal

    return _Found(None, tuple(journal.find(folder)))


def _find(folder: Path | None, file: Path | None, last: Path | None, last_saved: bool) -> _Found:
    """A file, or what the last window showed; and what is left of others."""
    from canopy_desktop.exploration import journal, storage

    found = journal.find(folder) if folder is not None else []
    if file is not None:
        return _Found(_read(file), tuple(one for one in found if not one.closed))
    newest = next((one for one in found if one.closed), None)
    opened = None
    if newest is not None:
        try:
            kept = journal.read(newest.path)
            kept = kept if last is None else storage.with_attention(kept, last)
            opened = _Opened(kept, last, last_saved, newest.path)
        except StorageError as error:
            logger.warning("%s", error)
            journal.discard(newest.path)
    elif last is not None and last_saved:
        try:
            opened = _read(last)
        except StorageError as error:
            logger.warning("%s", error)
    return _Found(opened, tuple(one for one in found if one is not newest))

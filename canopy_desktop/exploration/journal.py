"""The journal: what happens in an exploration, on the disk before anybody hears of it.

Each line is flushed, so a killed program loses at most the step in progress; a torn last line is dropped. `sync` brings
the lines through a loss of power, and belongs on a thread that may wait. A journal belongs to one process: its name has
the process's number and the time when that began. One that was closed in order has another ending.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from canopy_desktop.errors import StorageError
from canopy_desktop.exploration.codec import BrokenValueError
from canopy_desktop.exploration.kept import Beginning, KeptExploration, KeptMarks
from canopy_desktop.exploration.kept_lines import MAX_FOUND, MAX_LINE, LineWriter
from canopy_desktop.exploration.records import GenerationEvent, PrefillProgress, StepRecord, WindowSlid
from canopy_desktop.exploration.searching import Searched
from canopy_desktop.exploration.storage import MAX_LINES_BYTES, read_lines
from canopy_desktop.model.tokenizer import TokenTable

OPEN, CLOSED = ".open", ".closed"
CLOCK_SLACK_S = 3.0  # the time when a process began follows corrections of the clock
_NAME = re.compile(r"([0-9]{1,9})-([0-9]{1,12})-[0-9]{1,9}\.open")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundJournal:
    """A journal that no running program writes."""

    path: Path
    closed: bool  # in order, by closing the window
    written: float  # seconds since 1970, of its last line


class Journal:
    """Written on one thread; `sync` may be called on another.

    What goes wrong with it never stops a run: `problem` says it, and nothing is written until the next exploration.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._writer: LineWriter | None = None
        self._nodes = 0
        self._count = 0
        self._aside: dict[int, Path] = {}  # by the number of the exploration
        self._dirty = threading.Event()
        self.problem: StorageError | None = None

    def begin(self, beginning: Beginning, tokens: TokenTable) -> None:
        """Another exploration begins; the journal of the one before goes."""
        self._writer = LineWriter(tokens)
        self._nodes = 0
        self._start(self._writer.beginning(beginning))

    def take_up(self, kept: KeptExploration, tokens: TokenTable, replaces: Path | None, number: int = 0) -> None:
        """A kept exploration goes on; the journal that it came from goes, and the one set aside under `number`."""
        self._writer = LineWriter(tokens)
        self._nodes = len(kept.steps)
        self._start(self._writer.whole(kept))
        if self._file is not None:
            for left in (replaces, self._aside.pop(number, None)):
                if left is not None:
                    discard(left)

    def note(self, event: GenerationEvent) -> None:
        """Write what has happened, if it has to be kept."""
        if self._writer is None or self._file is None:
            return
        match event:
            case StepRecord() if event.node < self._nodes:
                self._write(self._writer.went_to(event.node))
            case StepRecord():
                self._nodes = event.node + 1
                self._write(self._writer.event(event))
            case WindowSlid():
                self._write(self._writer.event(event))
            case PrefillProgress() if event.done == event.total:
                self._write(self._writer.prefilled(event.ms))
            case _:
                pass

    def went_to(self, node: int) -> None:
        """A person went to a node."""
        if self._writer is not None and self._file is not None:
            self._write(self._writer.went_to(node))

    def left_branch(self, node: int) -> None:
        """A person stands on a node with no branch ahead."""
        if self._writer is not None and self._file is not None:
            self._write(self._writer.left_branch(node))

    def marked(self, marks: KeptMarks) -> None:
        """A person named or deleted branches."""
        if self._writer is not None and self._file is not None:
            self._write(self._writer.marks(marks))

    def searched(self, searches: Sequence[Searched]) -> None:
        """These searches lie over the tree now; what a file would not hold is not kept."""
        fits = sum(len(one.found) for one in searches) <= MAX_FOUND
        if fits and self._writer is not None and self._file is not None:
            self._write(self._writer.searches(searches))

    def sync(self) -> None:
        """Bring what was written to the disk; takes as long as the disk does. May be called from any thread."""
        file = self._file
        if file is None or not self._dirty.is_set():
            return
        self._dirty.clear()
        try:
            os.fsync(file.fileno())
        except (OSError, ValueError):  # it was closed meanwhile
            logger.info("The journal could not be brought to the disk", exc_info=True)

    def discard(self, left: Path | None = None) -> None:
        """The exploration is no longer wanted; `left` is a journal that it came from and that none has replaced."""
        path = self._path
        self._leave()
        for one in (path, left):
            if one is not None:
                discard(one)

    def set_aside(self, number: int) -> None:
        """Another exploration comes; this one stays for later, until it is taken up again under its number."""
        path = self._close()
        if path is not None:
            self._aside[number] = path

    def close(self) -> None:
        """The program ends in order: the next one finds the exploration as it was."""
        self._close()

    def _close(self) -> Path | None:
        """Where the journal is from now on; None where there is none."""
        path = self._path
        self.sync()
        self._leave()
        if path is None:
            return None
        try:
            return path.replace(path.with_suffix(CLOSED))
        except OSError as error:
            logger.warning("The journal could not be closed: %s", error)
            return path

    def _start(self, lines: Iterable[bytes]) -> None:
        before = self._path
        self._leave()
        self.problem = None
        self._count += 1
        began = round(psutil.Process().create_time())
        path = self._folder / f"{os.getpid()}-{began}-{self._count}{OPEN}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file, self._path = path.open("wb"), path
        except OSError as error:
            self._fail(path, error)
            return
        self._write(lines)
        if before is not None and self._file is not None:
            discard(before)

    def _write(self, lines: Iterable[bytes]) -> None:
        if self._file is None or self._path is None:
            return
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
            self._dirty.set()
        except OSError as error:
            self._fail(self._path, error)

    def _fail(self, path: Path, error: OSError) -> None:
        reason = f"what happens now would not survive a crash ({error.strerror or error}): save the exploration"
        self.problem = StorageError(path, reason)
        logger.warning("%s", self.problem)
        self._leave()

    def _leave(self) -> None:
        file, self._file, self._path = self._file, None, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # what it still held
                logger.warning("The journal could not be closed: %s", error)


def find(folder: Path) -> list[FoundJournal]:
    """The journals that no running program writes, the newest first; one that nothing came into goes."""
    found = []
    for path in _listed(folder):
        closed = path.suffix == CLOSED
        if closed or not _is_running(path.name):
            try:
                stands = path.stat()
            except OSError:
                continue  # another program took it meanwhile
            if stands.st_size:
                found.append(FoundJournal(path, closed, stands.st_mtime))
            else:
                discard(path)
    return sorted(found, key=lambda journal: journal.written, reverse=True)


def read(path: Path) -> KeptExploration:
    """The exploration in a journal, up to its last whole line. Raises `StorageError`."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_LINES_BYTES:
                raise StorageError(path, "the journal is too large to be read")
            return read_lines(_whole_lines(file))
    except OSError as error:
        raise StorageError(path, f"the journal cannot be read: {error.strerror or error}") from error
    except BrokenValueError as error:
        raise StorageError(path, f"the journal is damaged ({error}), so this exploration is lost") from error


def discard(path: Path) -> None:
    """Remove a journal, if it is there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("The journal %s cannot be removed: %s", path, error)


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    while (line := file.readline(MAX_LINE)).endswith(b"\n"):
        yield line[:-1]


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix in (OPEN, CLOSED)]
    except OSError:
        return []


def _is_running(name: str) -> bool:
    """Whether the process that writes this journal runs; another one may have its number by now."""
    found = _NAME.fullmatch(name)
    if found is None:
        return False
    try:
        process = psutil.Process(int(found[1]))
        same: bool = abs(process.create_time() - int(found[2])) < CLOCK_SLACK_S
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, OverflowError):
        return False

"""The journal on the inference thread: everything is kept there that happens, if it is to be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from canopy_ui.commands import ReopenCommand

if TYPE_CHECKING:
    from pathlib import Path

    from canopy_desktop.exploration.journal import Journal
    from canopy_desktop.exploration.kept import Beginning, KeptMarks
    from canopy_desktop.exploration.records import GenerationEvent
    from canopy_desktop.exploration.searching import Searched
    from canopy_desktop.model.tokenizer import TokenTable


class JournalKeeper(QObject):
    """Belongs to the worker. Every slot runs on the inference thread."""

    failed = Signal(object)  # StorageError: nothing of this exploration is kept from here on
    changed = Signal()  # what is kept for later, or is not any more

    def __init__(self, journal: Journal | None, parent: QObject) -> None:
        """`journal` None: nothing is kept."""
        super().__init__(parent)
        self._journal = journal

    def begin(self, beginning: Beginning, tokens: TokenTable) -> None:
        """Another exploration begins."""
        if self._journal is not None:
            self._journal.begin(beginning, tokens)
            self._report()

    def take_up(self, command: ReopenCommand, tokens: TokenTable) -> None:
        """An exploration that was kept goes on."""
        if self._journal is not None:
            self._journal.take_up(command.kept, tokens, command.journal, command.number)
            self._report()
            self.changed.emit()

    def note(self, event: GenerationEvent) -> None:
        """Something happened; it is on the disk when this returns."""
        if self._journal is not None:
            self._journal.note(event)
            self._report()

    def went_to(self, node: int) -> None:
        """A person went to a node."""
        if self._journal is not None:
            self._journal.went_to(node)

    def left_branch(self, node: int) -> None:
        """A person stands on a node with no branch ahead."""
        if self._journal is not None:
            self._journal.left_branch(node)

    def close(self) -> None:
        """The program ends in order."""
        if self._journal is not None:
            self._journal.close()

    @Slot(object)
    def keep(self, command: ReopenCommand) -> None:
        """Keep an exploration of another model as it is."""
        self.take_up(command, command.kept.tokens)

    @Slot(object)
    def discard(self, left: Path | None) -> None:
        """The exploration is no longer wanted, nor is the journal `left` that it came from."""
        if self._journal is not None:
            self._journal.discard(left)

    @Slot(object)
    def keep_marks(self, marks: KeptMarks) -> None:
        """A person named or deleted branches."""
        if self._journal is not None:
            self._journal.marked(marks)

    @Slot(object)
    def keep_searches(self, searches: tuple[Searched, ...]) -> None:
        """These searches have ended and lie over the tree."""
        if self._journal is not None:
            self._journal.searched(searches)

    @Slot(int)
    def set_aside(self, number: int) -> None:
        """Leave what was kept of the exploration with this number for later, for another one comes."""
        if self._journal is not None:
            self._journal.set_aside(number)
            self.changed.emit()

    def _report(self) -> None:
        """Say once that nothing is kept."""
        if self._journal is not None and self._journal.problem is not None:
            self.failed.emit(self._journal.problem)
            self._journal.problem = None

"""The look that is forbidden on trial, and what that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.blocking import BlockWish, blocked_view
from canopy_desktop.exploration.trail import Deed
from canopy_ui.chronicle import Chronicle
from canopy_ui.commands import BlockResult
from canopy_ui.keeping import Keeping

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class BlockDesk(QObject):
    """Tries it beside the recorded text, on the inference thread. Lives on the GUI thread."""

    tried = Signal(object)  # BlockedView, or None: it was interrupted, or could not be
    failed = Signal(object)  # Exception
    deed_coming = Signal(object)  # Deed, right before it is done
    changed = Signal()  # the look
    requested = Signal(object)  # BlockCommand

    def __init__(
        self,
        chronicle: Chronicle,
        keeping: Keeping,
        session: Callable[[], ModelSession | None],
        parent: QObject | None = None,
    ) -> None:
        """`session` tells which model is open."""
        super().__init__(parent)
        self.wish: BlockWish | None = None
        self._chronicle = chronicle
        self._keeping = keeping
        self._session = session

    @Slot(object)
    def block(self, wish: BlockWish) -> None:
        """Try what a forbidden look changes; `tried` follows."""
        if self._keeping.lacks_model():
            self.tried.emit(None)
            return
        self._mean(wish)
        command = self._chronicle.block_command(wish)
        if command is None:
            self.tried.emit(None)
        else:
            self.requested.emit(command)

    @Slot()
    def unblock(self) -> None:
        """What was tried is no longer looked at."""
        self._mean(None)

    @Slot(object)
    def take(self, result: BlockResult) -> None:
        """What came of it."""
        session = self._session()
        if result.error is not None:
            self.failed.emit(result.error)
        if result.step is None or session is None:
            self.tried.emit(None)
        else:
            self.tried.emit(blocked_view(result.command.wish, result.step, session.tokenizer))

    def _mean(self, wish: BlockWish | None) -> None:
        if wish != self.wish:
            self.deed_coming.emit(Deed.BLOCK)
            self.wish = wish
            self.changed.emit()

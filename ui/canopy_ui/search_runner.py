"""Beam searches and draws on the inference thread, beside the run: one pass a turn of the event loop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.errors import CanopyError, InterruptedStepError
from canopy_desktop.exploration.searching import Searched, SearchWish

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

logger = logging.getLogger(__name__)


class SearchRunner(QObject):
    """Holds one search at most. No exception leaves a slot; every search ends with one that is not busy."""

    changed = Signal(object)  # Searched
    failed = Signal(object)  # Exception; what was found is told before

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._events: Iterator[Searched] | None = None
        self._searched: Searched | None = None
        self._turns = QTimer(self, interval=0, singleShot=True)  # a child moves along to the thread
        self._turns.timeout.connect(self._advance)

    def begin(self, session: ModelSession, wish: SearchWish) -> None:
        """Search; what was searched before stops."""
        self.end()
        self._searched = Searched(wish=wish)
        self._events = self._events_of(session, wish)
        self._turns.start()

    def end(self) -> None:
        """Stop; what was found stays."""
        self._turns.stop()
        events, searched, self._events, self._searched = self._events, self._searched, None, None
        if events is not None and searched is not None:
            self.changed.emit(searched.stopped())

    @Slot()
    def _advance(self) -> None:
        if self._events is None:
            return
        try:
            searched = next(self._events)
        except InterruptedStepError:
            self.end()
        except CanopyError as error:
            logger.warning("The search could not go on: %s", error)
            self._fail(error)
        except Exception as error:
            logger.exception("Unexpected error while searching")
            self._fail(error)
        else:
            self._searched = searched
            if searched.busy:
                self._turns.start()
            else:
                self._events = None
            self.changed.emit(searched)

    def _fail(self, error: Exception) -> None:
        self.end()
        self.failed.emit(error)

    @staticmethod
    def _events_of(session: ModelSession, wish: SearchWish) -> Iterator[Searched]:
        """What is wrong with the wish is raised with the first turn."""
        yield from session.new_searcher().run(wish)

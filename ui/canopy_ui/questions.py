"""Questions that take one pass of the model, or none, beside the run in hand, which goes on after it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.errors import CanopyError, InterruptedStepError
from canopy_desktop.exploration.cache_size import cache_size
from canopy_desktop.exploration.intervention import blocked_step
from canopy_ui.commands import BlockCommand, BlockResult, InsideResult

if TYPE_CHECKING:
    from canopy_desktop.exploration.inside_view import InsideLooker, InsideWish
    from canopy_desktop.exploration.session import ModelSession
    from canopy_desktop.exploration.trial import Trial

logger = logging.getLogger(__name__)


class Questions(QObject):
    """Belongs to the worker. Every slot runs on the inference thread; no exception leaves one."""

    block_tried = Signal(object)  # BlockResult
    inside_looked = Signal(object)  # InsideResult
    cache_measured = Signal(object)  # CacheSize, or None without a model

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._session: ModelSession | None = None
        self._trial: Trial | None = None  # kept as long as the text, for the next block of it is quick then
        self._looker: InsideLooker | None = None

    def open(self, session: ModelSession) -> None:
        """Ask this model from now on."""
        self._session = session

    def close(self) -> None:
        """Let go of the model."""
        self._session = self._trial = self._looker = None

    def leave_text(self) -> None:
        """Another text begins."""
        self._trial = None

    @Slot(object)
    def block(self, command: BlockCommand) -> None:
        """Try a block beside the recorded text."""
        try:
            step = blocked_step(self._trying(), command.ids, (command.block,))
        except InterruptedStepError:
            self.block_tried.emit(BlockResult(command=command))
        except Exception as error:
            logger.warning("The block could not be tried: %s", error, exc_info=not isinstance(error, CanopyError))
            self.block_tried.emit(BlockResult(command=command, error=error))
        else:
            self.block_tried.emit(BlockResult(command=command, step=step))

    @Slot(object)
    def look_inside(self, wish: InsideWish) -> None:
        """Pass one recorded token through the model again, and look into it."""
        try:
            view = self._looking().look(wish)
        except (InterruptedStepError, LookupError):
            self.inside_looked.emit(InsideResult(wish=wish))
        except Exception as error:
            logger.warning("The step could not be looked into: %s", error, exc_info=not isinstance(error, CanopyError))
            self.inside_looked.emit(InsideResult(wish=wish, error=error))
        else:
            self.inside_looked.emit(InsideResult(wish=wish, view=view))

    @Slot()
    def measure_cache(self) -> None:
        """Say how large the cache is."""
        self.cache_measured.emit(None if self._session is None else cache_size(self._session.sequence.decoder))

    def _trying(self) -> Trial:
        if self._trial is None:
            self._trial = self._opened().new_trial()
        return self._trial

    def _looking(self) -> InsideLooker:
        if self._looker is None:
            self._looker = self._opened().new_looker()
        return self._looker

    def _opened(self) -> ModelSession:
        if self._session is None:
            raise RuntimeError("a question came before the model was loaded")
        return self._session

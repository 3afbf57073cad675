"""The tree's picture, laid out on the reader thread: a large one takes longer than the window may wait."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.branch_picture import branch_picture
from canopy_desktop.exploration.branches import BranchWish
from canopy_ui.widgets.chip_label import marked

if TYPE_CHECKING:
    from canopy_desktop.model.tokenizer import TokenTable

logger = logging.getLogger(__name__)


class BranchDrawer(QObject):
    """Answers each wish with one picture. Every slot runs on the reader thread; no exception leaves one."""

    drawn = Signal(object)  # BranchPicture; None where it could not be made

    def __init__(self) -> None:
        super().__init__()
        self._tokenizer: TokenTable | None = None

    @Slot(object)
    def write_with(self, tokens: TokenTable) -> None:
        """Write tokens as these from now on: those of the exploration that is shown, whichever model is open."""
        self._tokenizer = tokens

    @Slot(object)
    def draw(self, wish: BranchWish) -> None:
        """Lay out the tree."""
        try:
            self.drawn.emit(branch_picture(wish, self._text_of))
        except Exception:
            logger.exception("Unexpected error while the tree was laid out")
            self.drawn.emit(None)

    def _text_of(self, token_id: int) -> str:
        if self._tokenizer is None:
            raise RuntimeError("a wish came before its tokens were known")
        return marked(self._tokenizer.token(token_id))

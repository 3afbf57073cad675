"""What was generated, as the answer to what was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.answer import Answer, answer_of
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_ui.chronicle import Chronicle
from canopy_ui.facts_desk import FactsDesk
from canopy_ui.run import Run
from canopy_ui.starts import Starts
from canopy_ui.state import BUSY

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class Answers(QObject):
    """Lives on the GUI thread."""

    def __init__(
        self,
        chronicle: Chronicle,
        run: Run,
        starts: Starts,
        facts: FactsDesk,
        session: Callable[[], ModelSession | None],
        parent: QObject | None = None,
    ) -> None:
        """`session` tells which model is open."""
        super().__init__(parent)
        self._chronicle = chronicle
        self._run = run
        self._starts = starts
        self._facts = facts
        self._session = session

    def now(self) -> Answer | None:
        """What was generated up to where we stand; None where that is nothing, or more is on its way."""
        exploration, session = self._chronicle.exploration, self._session()
        if exploration is None or session is None or self._run.phase in BUSY or not self._chronicle.generated:
            return None
        steps = exploration.path(exploration.cursor)
        return answer_of(steps, self._run.end, steps[-1].settings, session.tokenizer)

    def continued(self) -> PromptRequest | None:
        """The next request of a chat, with this answer in its history; None where there is none to go on from."""
        answer, request = self.now(), self._starts.request
        if answer is None or request is None or not request.chat:
            return None
        return request.continued(answer.written)

    @Slot()
    def check(self) -> None:
        """Compare what a run answered with the facts, once it is over."""
        answer = self.now() if self._run.end is not None else None
        if answer is None:
            self._facts.uncheck()
        else:
            self._facts.check(answer.shown)

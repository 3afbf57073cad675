"""What there is to save of the exploration that is shown, and what the journal has of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from canopy_desktop.errors import OtherModelError
from canopy_desktop.exploration.kept import Beginning, KeptExploration, KeptMarks, KeptTokens
from canopy_desktop.exploration.kept_attention import AttentionOffer, WhyNot, attention_offer
from canopy_desktop.exploration.searching import Searched
from canopy_desktop.model.tokenizer import TokenTable
from canopy_ui.chronicle import Chronicle
from canopy_ui.commands import ReopenCommand
from canopy_ui.reader import KeepRequest

if TYPE_CHECKING:
    from canopy_desktop.exploration.kept_attention import KeptAttention
    from canopy_desktop.exploration.session import ModelSession
    from canopy_desktop.model.card import Architecture

NO_TOKENS = KeptTokens(())


@dataclass(frozen=True, slots=True)
class Revision:
    """Which exploration is shown, and how much of it there is to save."""

    exploration: int = 0  # its number; 0: none
    size: int = 0  # steps, slides and searches
    marks: KeptMarks = field(default_factory=KeptMarks)
    searches: tuple[int, ...] = ()  # that have ended, by number


class Keeping(QObject):
    """Lives on the GUI thread. An exploration that was kept is `alone` until the model that made it is there."""

    failed = Signal(object)  # OtherModelError
    tokens_known = Signal(object)  # TokenTable of what is shown
    attention_known = Signal(object)  # KeptAttention of what is alone, or None
    attention_requested = Signal(object)  # KeepRequest
    keep_requested = Signal(object)  # ReopenCommand
    marks_requested = Signal(object)  # KeptMarks
    searches_requested = Signal(object)  # tuple[Searched, ...]
    set_aside_requested = Signal(int)  # the number of the exploration
    discard_requested = Signal(object)  # Path of the journal that the exploration came from, or None

    def __init__(
        self, chronicle: Chronicle, session: Callable[[], ModelSession | None], parent: QObject | None = None
    ) -> None:
        """`session` tells which model is open."""
        super().__init__(parent)
        self.alone = False  # what is shown is of a model that is not here
        self.number = 0  # of what is shown; undo brings an exploration back under its own
        self._chronicle = chronicle
        self._session = session
        self._shown = 0  # explorations so far
        self._beginning: Beginning | None = None
        self._kept: KeptExploration | None = None  # what was reopened
        self._kept_in: Path | None = None  # the journal that it came from
        self._in_journal = False  # the journal has what is shown
        self._marks = chronicle.marks  # those that the journal has
        self._searches: tuple[Searched, ...] = ()  # and searches

    @property
    def reopened(self) -> bool:
        """Whether what is shown was kept before."""
        return self._kept is not None

    @property
    def token_table(self) -> TokenTable:
        """Knows every token of the exploration that is shown."""
        session = self._session()
        if self._kept is not None and self.alone:
            return self._kept.tokens
        return session.tokenizer if session is not None else NO_TOKENS

    @property
    def lacking_model(self) -> str:
        """The id of the model that made what is shown, where it is not here; else nothing."""
        return self._kept.beginning.model.id if self.alone and self._kept is not None else ""

    def lacks_model(self) -> bool:
        """Whether what is shown is of a model that is not here, which is said then."""
        if self.alone:
            self.failed.emit(OtherModelError(self.lacking_model))
        return self.alone

    @property
    def attention_alone(self) -> KeptAttention | None:
        """What attention is read from where the model that made the text is not here."""
        return self._kept.attention if self.alone and self._kept is not None else None

    @property
    def looked_at(self) -> Architecture | None:
        """The numbers of the model whose attention is looked at."""
        session = self._session()
        if (kept := self.attention_alone) is not None:
            return kept.note.architecture
        return None if session is None else session.card.architecture

    @property
    def attention_offer(self) -> AttentionOffer:
        """What it takes to keep the attention of the text in hand."""
        exploration, session, kept = self._chronicle.exploration, self._session(), self.attention_alone
        if kept is not None:
            return AttentionOffer(kept.bytes)
        if exploration is None or self.alone or session is None:
            return AttentionOffer(why_not=WhyNot.OTHER_MODEL if self.alone else WhyNot.NO_TEXT)
        return attention_offer(exploration.slots(exploration.cursor).size, session.attention_bytes_per_token)

    def read_attention(self) -> None:
        """Copy what the attention of the text in hand is computed from; the reader answers."""
        exploration = self._chronicle.exploration
        if exploration is not None:
            node = exploration.cursor
            self.attention_requested.emit(KeepRequest(slots=exploration.slots(node), node=node))

    @property
    def revision(self) -> Revision:
        """Changes with what there would be to save: which exploration, and how much of it."""
        exploration = self._chronicle.exploration
        if exploration is None:
            return Revision()
        searches = tuple(one.wish.number for one in self._chronicle.ended_searches)
        size = len(exploration) + len(exploration.all_slides) + len(searches)
        return Revision(self.number, size, self._chronicle.marks.kept(), searches)

    def snapshot(self) -> KeptExploration | None:
        """What would be saved now; its tokens are those of `token_table`."""
        exploration = self._chronicle.exploration
        if exploration is None or self._beginning is None:
            return None
        return KeptExploration(
            beginning=self._beginning,
            prefill_ms=self._chronicle.prefill_ms,
            steps=exploration.steps,
            slides=exploration.all_slides,
            stand=exploration.stand,
            marks=self._chronicle.marks.kept(),
            searches=self._chronicle.kept_searches,
            tokens=self._kept.tokens if self._kept is not None else NO_TOKENS,
            attention=self._kept.attention if self._kept is not None else None,
        )

    def set_aside(self) -> None:
        """Leave what is kept of this exploration for later; another one has to follow."""
        self._keep_searches(self._chronicle.kept_searches)
        self.set_aside_requested.emit(self.number)

    def begin(self, beginning: Beginning | None, tokens: TokenTable) -> None:
        """A text begins on the model that is open, and the journal has it."""
        self._leave(None)
        self._beginning, self._in_journal = beginning, True
        self.tokens_known.emit(tokens)

    def show(self, kept: KeptExploration, journal: Path | None, number: int | None) -> None:
        """What was kept is shown. `number`: the one that it had before; None: it has not been shown yet."""
        self._leave(number)
        self._beginning, self._kept, self._kept_in, self.alone = kept.beginning, kept, journal, True
        self.tokens_known.emit(kept.tokens)
        self.attention_known.emit(kept.attention)

    def clear(self) -> None:
        """Nothing is shown any more, and the journal goes."""
        self.discard_requested.emit(self._kept_in if self.alone else None)
        self._leave(None)

    def leave_model(self) -> KeptExploration | None:
        """The model that is open goes; what can be shown without it. None: nothing is shown."""
        kept, tokens = self.snapshot(), self.token_table
        if kept is None:
            return None
        self._kept, self.alone = replace(kept.unmade(), tokens=tokens), True
        self.tokens_known.emit(tokens)
        self.attention_known.emit(kept.attention)
        return self._kept

    def take_model(self, session: ModelSession, run_id: int) -> ReopenCommand | None:
        """Has this model go on with what was kept. None: another one made it, so the journal has it as it is."""
        kept = self._kept
        if kept is None:
            return None
        command = ReopenCommand(run_id=run_id, kept=kept, journal=self._kept_in, number=self.number)
        if not kept.beginning.model.is_of(session.card):
            if not self._in_journal:
                self.keep_requested.emit(command)
                self._in_journal, self._kept_in = True, None
            return None
        self.alone, self._in_journal = False, True
        self.attention_known.emit(None)
        self.tokens_known.emit(session.tokenizer)
        return command

    def keep_up(self) -> None:
        """Tell the journal what a person named and deleted, and which searches have ended."""
        marks = self._chronicle.marks
        if marks is not self._marks and self._in_journal:
            self._marks = marks
            self.marks_requested.emit(marks.kept())
        self._keep_searches(self._chronicle.ended_searches)

    def close(self) -> None:
        """Tell the journal what is not told yet."""
        self._keep_searches(self._chronicle.kept_searches)

    def _keep_searches(self, searches: tuple[Searched, ...]) -> None:
        if searches != self._searches and self._in_journal:
            self._searches = searches
            self.searches_requested.emit(searches)

    def _leave(self, number: int | None) -> None:
        """Another exploration comes, or none."""
        self._beginning = self._kept = self._kept_in = None
        self.alone = self._in_journal = False
        self.attention_known.emit(None)
        if number is None:
            self._shown += 1
        self.number = self._shown if number is None else number

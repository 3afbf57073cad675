"""How things stand, for undo; and how they stand again as before."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from canopy_desktop.exploration.trail import Change, Deed, ShownText, Standing, TriedBlock
from canopy_ui.block_desk import BlockDesk
from canopy_ui.branch_desk import BranchDesk
from canopy_ui.chronicle import Chronicle
from canopy_ui.draft import Draft
from canopy_ui.facts_desk import FactsChoice, FactsDesk
from canopy_ui.keeping import Keeping
from canopy_ui.sight import Sight
from canopy_ui.trail_desk import TrailDesk
from canopy_ui.wishes import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """Where deeds are done."""

    draft: Draft
    wishes: Wishes
    facts: FactsDesk
    branches: BranchDesk
    blocks: BlockDesk


class Undoing(QObject):
    """Notes each deed before it is done, and brings back what was before. Lives on the GUI thread.

    Whoever owns it shows another text, or stands elsewhere in the one that is shown, when it asks for that.
    """

    giving_way = Signal()  # a person has another text, or none, shown in a moment, and means files by it
    text_wished = Signal(object)  # ShownText
    node_wished = Signal(int)
    brought_back = Signal(object)  # Standing

    def __init__(
        self, chronicle: Chronicle, keeping: Keeping, sight: Sight, desks: Desks, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.trail = TrailDesk(self._standing, self)
        self._chronicle = chronicle
        self._keeping = keeping
        self._sight = sight
        self._desks = desks
        for desk in (desks.draft, desks.wishes, desks.facts, desks.branches, desks.blocks):
            desk.deed_coming.connect(self.trail.note)

    def note_whole(self, deed: Deed, what: str = "") -> None:
        """Another text, or none, is shown in a moment."""
        self.trail.note(deed, what)
        if deed.of_files:
            self.giving_way.emit()

    def undo(self, change: Change) -> None:
        """Take back the last deed."""
        self._bring_back(change.deed, self.trail.undo())

    def redo(self, change: Change) -> None:
        """Do once more what was undone last."""
        self._bring_back(change.deed, self.trail.redo())

    def _standing(self, whole: bool) -> Standing:
        """How things stand; `whole`: with what it takes to show the text again."""
        desks, marks = self._desks, self._chronicle.marks
        return Standing(
            cursor=self._chronicle.cursor,
            marks=marks,
            folding=desks.branches.folding,
            searches=desks.branches.searches,
            request=replace(desks.draft.request, facts=()),
            settings=desks.wishes.decoding,
            new_seeds=desks.wishes.new_seeds,
            window=desks.wishes.window,
            filtered=desks.wishes.filter,
            facts=desks.facts.choice,
            block=TriedBlock(desks.blocks.wish),
            text=self._whole_text() if whole else ShownText(self._number),
        )

    @property
    def _number(self) -> int:
        return self._keeping.number if self._chronicle.begun else 0

    def _whole_text(self) -> ShownText:
        kept, branches = self._keeping.snapshot(), self._desks.branches
        return ShownText(
            self._number,
            kept=None if kept is None else replace(kept, tokens=self._keeping.token_table),
            request=self._desks.draft.request,
            marks=self._chronicle.marks,
            searches=branches.searches,
            folding=branches.folding,
            position=self._sight.selection.position,
        )

    def _bring_back(self, deed: Deed, standing: Standing | None) -> None:
        """Nothing of it is a deed of its own."""
        if standing is None:
            return
        desks = self._desks
        if standing.text is not None:
            if deed.of_files:
                self.giving_way.emit()
            self._show_again(standing.text)
        desks.branches.bring_back(standing.marks, standing.searches, standing.folding)
        if standing.request is not None:
            desks.draft.fill_in(standing.request)
        desks.wishes.bring_back(standing)
        if isinstance(standing.facts, FactsChoice):
            desks.facts.bring_back(standing.facts)
        if standing.block is not None:
            desks.blocks.wish = standing.block.wish
        if standing.cursor not in (None, self._chronicle.cursor):
            self.node_wished.emit(standing.cursor)
        self.brought_back.emit(standing)

    def _show_again(self, text: ShownText) -> None:
        self.text_wished.emit(text)
        self._desks.branches.bring_back(text.marks, text.searches, text.folding)
        if text.request is not None:
            self._desks.draft.fill_in(text.request)
        self._sight.select(text.position)

"""The window's own copy of one exploration: the tree, its figures, and what has been read of it."""

from __future__ import annotations

from collections.abc import Sequence

from canopy_desktop.exploration.attention_view import GoneColumns
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.kept import KeptExploration, in_order
from canopy_desktop.exploration.metrics import Footprint, MetricsLog
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    PrefillProgress,
    PromptAccepted,
    ReplayProgress,
    RunFinished,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.exploration.searching import Searched
from canopy_desktop.exploration.trail import Marks
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.view import MetricsView, Selection, ViewResolver, WindowView
from canopy_desktop.model.tokenizer import Tokenizer
from canopy_ui.commands import BlockCommand
from canopy_ui.reader import ReadingRequest, ReadingResult
from canopy_ui.reading_plan import ReadingPlan


class Chronicle:
    """Built from the worker's events, in their order. Used on one thread."""

    def __init__(self) -> None:
        self.exploration: Exploration | None = None
        self._resolver: ViewResolver | None = None
        self._metrics = MetricsLog()
        self._plan = ReadingPlan()
        self.searches: dict[int, Searched] = {}  # by number, what lies over the tree
        self.marks = Marks()

    @property
    def begun(self) -> bool:
        """Whether a prompt was accepted."""
        return self.exploration is not None

    @property
    def cursor(self) -> int:
        """The node on which we stand."""
        return self.exploration.cursor if self.exploration is not None else PROMPT_NODE

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
        return len(self.exploration.prompt.ids) if self.exploration is not None else 0

    @property
    def processed(self) -> int:
        """Tokens of the prompt that have passed through the model."""
        return len(self.exploration.prompt_slots) if self.exploration is not None else 0

    @property
    def generated(self) -> int:
        """Steps from the prompt to where we stand."""
        return self.exploration.depth(self.exploration.cursor) if self.exploration is not None else 0

    @property
    def prefill_ms(self) -> float | None:
        """What the prompt's prefill took; None: it is not over."""
        return self._metrics.prefill_ms if self.processed == self.prompt_tokens or self.generated else None

    @property
    def replaying(self) -> bool:
        """Whether columns of a reopened exploration are still to be made."""
        return self.exploration is not None and bool(self.exploration.unmade())

    @property
    def read_up(self) -> bool:
        """Whether no reading is awaited."""
        return self._plan.idle

    @property
    def kept_searches(self) -> tuple[Searched, ...]:
        """The searches that lie over the tree, by number; one that is at work as if it stopped here."""
        found = (self.searches[number] for number in sorted(self.searches))
        return tuple(one.stopped() if one.busy else one for one in found)

    @property
    def ended_searches(self) -> tuple[Searched, ...]:
        """Those of them that have ended."""
        return tuple(one for _, one in sorted(self.searches.items()) if not one.busy)

    def set_context(self, context: int) -> None:
        """How many positions the model has."""
        self._metrics.context = context

    def clear(self) -> None:
        """Forget everything."""
        self.exploration = self._resolver = None
        self._forget_branches()
        self._metrics.clear()
        self._plan.clear()

    def begin(self, event: PromptAccepted, tokenizer: Tokenizer, end_ids: tuple[int, ...] = ()) -> None:
        """Start over with this prompt, and a model with these end tokens."""
        self.exploration = Exploration(event.prompt)
        self._resolver = ViewResolver(self.exploration, tokenizer)
        self._forget_branches()
        self._metrics.add(event)
        self._plan.clear(end_ids)

    def reopen(self, kept: KeptExploration) -> None:
        """Start over with an exploration that was kept. Without its model there is only what it has itself."""
        begun = kept.beginning
        self.exploration = kept.tree()
        self._resolver = ViewResolver(self.exploration, kept.tokens)
        self._forget_branches()
        self.marks = Marks.of(kept.marks)
        self.searches |= {searched.wish.number: searched for searched in kept.searches}
        self._metrics.add(PromptAccepted(run_id=0, prompt=begun.prompt, context=begun.context))
        if kept.prefill_ms is not None:
            count = len(begun.prompt.ids)
            self._metrics.add(PrefillProgress(run_id=0, done=count, total=count, ms=kept.prefill_ms, slots=()))
        for event in in_order(kept.steps, kept.slides):
            self._metrics.add(event)
        self._plan.clear(note=None if kept.attention is None else kept.attention.note)

    def take_model(self, tokenizer: Tokenizer, end_ids: tuple[int, ...]) -> None:
        """The model of a reopened exploration is there."""
        if self.exploration is not None:
            self._resolver = ViewResolver(self.exploration, tokenizer)
            self._plan.clear(end_ids)

    def _forget_branches(self) -> None:
        self.searches.clear()
        self.marks = Marks()

    def note_progress(self, event: PrefillProgress | ReplayProgress) -> None:
        """More of the prompt, or of a reopened exploration, has passed through the model."""
        if self.exploration is None:
            return
        if isinstance(event, ReplayProgress):
            self.exploration.note_replay(event)
        else:
            self.exploration.prompt_slots.extend(event.slots)
            self._metrics.add(event)

    def note_slide(self, event: WindowSlid) -> None:
        """The window has slid at a node."""
        if self.exploration is not None:
            self.exploration.add_slide(event)
            self._metrics.add(event)

    def note_step(self, event: StepRecord, *, follow: bool) -> None:
        """A step was taken, or walked along once more; we stand on it if `follow`, else where we stood."""
        exploration = self.exploration
        if exploration is None:
            return
        stand = exploration.cursor
        if event.node == exploration.next_node():
            exploration.add(event)
            self._metrics.add(event)
        else:
            exploration.go_to(event.node)
        if not follow:
            exploration.go_to(stand)

    def note_end(self, event: RunFinished) -> None:
        """A run ended where we stand."""
        if self._resolver is not None:
            self._resolver.note_end(self.cursor, event)

    def note_footprint(self, footprint: Footprint) -> None:
        """What the engine keeps has changed."""
        self._metrics.footprint = footprint

    def note_result(self, result: ReadingResult, now: float) -> None:
        """The reader has answered."""
        self._plan.take(result, now)

    def ask_again(self) -> None:
        """What was gone may be there again."""
        self._plan.ask_again()

    @property
    def gone(self) -> GoneColumns | None:
        """What the attention lacks that is looked at."""
        return self._plan.readings.attention_gone

    @property
    def lens_gone(self) -> GoneColumns | None:
        """What the lens lacks that is looked at."""
        return self._plan.readings.lens.gone

    def go_to(self, node: int) -> None:
        """Stand on a node."""
        if self.exploration is not None:
            self.exploration.go_to(node)
            self._plan.rewind(self._plan.columns(self.exploration)[0])

    def block_command(self, wish: BlockWish) -> BlockCommand | None:
        """How to try a block on the text where we stand; None where a token of it is not in the window."""
        exploration = self.exploration
        if exploration is None:
            return None
        places = exploration.positions(exploration.cursor).tolist()
        block = wish.block(places)
        if block is None:
            return None
        ids = exploration.token_ids(exploration.cursor)
        return BlockCommand(wish=wish, ids=tuple(ids[at] for at in places[: places.index(wish.query) + 1]), block=block)

    def leave_branch(self, node: int) -> None:
        """Stand on a node with no branch ahead."""
        if self.exploration is not None:
            self.exploration.leave_branch(node)
            self._plan.rewind(self._plan.columns(self.exploration)[0])

    def view(self, selection: Selection) -> WindowView:
        """What the panels paint."""
        return self._resolver.resolve(selection, self._plan.readings) if self._resolver else WindowView()

    def metrics(self, memory_bytes: int) -> MetricsView:
        """The figures so far."""
        exploration = self.exploration
        used = exploration.slots(exploration.cursor).size if exploration is not None else 0
        return self._metrics.view(context_used=int(used), memory_bytes=memory_bytes)

    def decision_wish(self, selection: Selection, *, busy: bool) -> ReadingRequest | None:
        """What to ask the reader at once when the settings change."""
        exploration = self.exploration
        return self._plan.decision_wish(exploration, selection, busy=busy) if exploration is not None else None

    def wishes(self, selection: Selection, now: float, *, busy: bool) -> Sequence[ReadingRequest]:
        """What to ask the reader for now."""
        return self._plan.wishes(self.exploration, selection, now, busy=busy) if self.exploration is not None else ()

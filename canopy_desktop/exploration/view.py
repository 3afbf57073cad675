"""What the window shows: one frozen state, resolved from what happened and what is selected."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck, StopReason
from canopy_desktop.errors import CanopyError
from canopy_desktop.exploration.attention_view import (
    AttentionReading,
    AttentionView,
    GoneColumns,
    Look,
    Looking,
    MissingToken,
    RowReading,
    RowView,
    look_of,
    row_view,
)
from canopy_desktop.exploration.decision import Decision
from canopy_desktop.exploration.decision_view import (
    DistributionView,
    DrawsReading,
    view_of_decision,
    view_of_record,
)
from canopy_desktop.exploration.filter_marks import FilterMark, filter_marks, pending_guarding
from canopy_desktop.exploration.lens_view import LensReadings, LensView, lens_view
from canopy_desktop.exploration.records import ChosenBy, Guarding, RunFinished, StepRecord, WindowSlid
from canopy_desktop.exploration.squares import Square
from canopy_desktop.exploration.stages import LAST, StepStage
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.model.tokenizer import Token, TokenTable

NATS_TO_BITS = 1.0 / float(np.log(2.0))
FIRST_TIMED = 2  # the step whose time is the first of `step_ms`: that of the first token is the TTFT


class Colouring(Enum):
    """What the colours of the text tell."""

    SURPRISAL = "surprisal"
    ATTENTION = "attention"  # from the selected token


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the person looks at. `position` None follows the newest token."""

    position: int | None = None
    layer: int = 0
    head: int = 0
    hide_first: bool = False
    looking: Looking = Looking.HEAD
    part: Square | None = None  # of the attention picture; None: the whole window
    row: bool = False  # a panel shows where the selected token looks
    colouring: Colouring = Colouring.SURPRISAL
    shown: int = 10  # bars in the probability chart
    settings: DecodingSettings = field(default_factory=DecodingSettings)  # to decide with, wherever one looks
    found: int | None = None  # a token that is looked for in the chart
    draws: int = 0  # many draws from what is shown; 0: none
    stage: StepStage = LAST  # of the selected step
    lens: range | None = None  # positions of the lens's columns in sight; None: no panel shows it
    embedding: bool = False  # in the lens, the row before the first layer instead of that after `layer`

    @property
    def look(self) -> Look:
        """The attention that is meant."""
        return look_of(self.looking, self.layer, self.head, self.hide_first)

    @property
    def row_wanted(self) -> bool:
        """Whether anything on the screen needs the selected token's row."""
        return self.row or self.colouring is Colouring.ATTENTION

    @property
    def lens_row(self) -> int:
        """The row of the lens that is meant: 0 is the embedding, l + 1 what comes out of layer l."""
        return 0 if self.embedding else self.layer + 1


class TokenRole(Enum):
    """Where a token comes from."""

    TEMPLATE = "template"
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FACTS = "facts"
    COMPLETION = "completion"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Chip:
    """One token of the text."""

    position: int
    token: Token
    role: TokenRole
    node: int | None  # the step that chose it; None in the prompt
    lost: bytes = b""  # bytes before it for which the model has no token
    slide: WindowSlid | None = None  # what the window did before this token could be chosen
    mark: FilterMark | None = None  # what the output filter found

    @property
    def shown(self) -> Token:
        """The token as it is shown: with blocks where the output filter masks it."""
        if self.mark is None or self.mark.shown == self.token.text:
            return self.token
        return replace(self.token, text=self.mark.shown, data=self.mark.shown.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What is known about the selected token."""

    chip: Chip
    step: int | None  # from 1; None in the prompt
    probability: float | None  # raw: what the model assigned before any setting
    rank: int | None
    surprisal_bits: float | None
    entropy_bits: float | None
    chosen_by: ChosenBy | None
    dropped: bool = False  # it is no longer in the window
    rejected: tuple[tuple[Token, str], ...] = ()  # before it, with the entry of the output filter's list
    stopped: StopReason | None = None  # what ended the run with it
    check: ContinuationCheck | None = None  # what was checked then
    refused: bool = False  # the output filter let no token through after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the reader has computed so far; each part may be of an older selection."""

    attention: AttentionReading | None = None  # the newest
    attention_whole: AttentionReading | None = None  # the newest of the whole window
    attention_gone: GoneColumns | None = None  # why there is no attention
    attention_positions: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # in the text, (length,)
    row: RowReading | None = None
    row_positions: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # in the text, of its window
    decision: Decision | None = None
    refused: CanopyError | None = None  # why there is none with these settings
    draws: DrawsReading | None = None
    lens: LensReadings = field(default_factory=LensReadings)
    prompt_surprisal: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))  # (tokens,) bits, NaN unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """The figures of the run in hand. Times in milliseconds, sizes in bytes; None: not measured yet."""

    ttft_ms: float | None
    tpot_ms_median: float | None
    tpot_ms_p95: float | None
    tokens_per_s: float | None
    prefill_tokens_per_s: float | None
    context_used: int  # tokens in the window
    context: int  # tokens that it holds
    cache_bytes: int
    columns_bytes: int
    budget_bytes: int  # what both may take
    memory_bytes: int
    step_ms: FloatArray = field(repr=False)  # (steps,)
    step_nodes: tuple[int, ...] = field(default=(), repr=False)  # (steps,) what each of them chose, growing
    slide_ms: tuple[float, ...] = ()  # one for each slide of the window

    def step_of(self, node: int | None) -> int | None:
        """The place of the step that chose a token; None where its time was not measured."""
        if node is None:
            return None
        step = bisect_left(self.step_nodes, node)
        return step if step < len(self.step_nodes) and self.step_nodes[step] == node else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """Everything that the panels paint."""

    chips: tuple[Chip, ...] = ()
    surprisal: FloatArray = field(
        default_factory=lambda: np.empty(0, np.float32), repr=False
    )  # (chips,) bits, NaN unknown
    selected: int | None = None  # a position
    dropped: range = range(0)  # positions that are no longer in the window
    facts: TokenFacts | None = None
    step: StepRecord | None = None  # that chose the selected token; None in the prompt
    stage: StepStage = LAST
    distribution: DistributionView | None = None
    refused: CanopyError | None = None  # why the settings decide nothing here
    attention: AttentionView | None = None
    attention_gone: GoneColumns | None = None  # why there is no attention
    row: RowView | None = None
    lens: LensView | None = None
    colouring: Colouring = Colouring.SURPRISAL


class ViewResolver:
    """Resolves views of one exploration; remembers its chips, which never change."""

    def __init__(self, exploration: Exploration, tokenizer: TokenTable) -> None:
        self._exploration = exploration
        self._tokenizer = tokenizer
        tokens = tokenizer.tokens(exploration.prompt.ids)
        self._lost = _lost_before(exploration, [len(token.data) for token in tokens])
        self._prompt_chips = _prompt_chips(exploration, tokens, self._lost)
        self._step_chips: dict[int, Chip] = {}
        self._ends: dict[int, RunFinished] = {}  # by the node on which a run ended
        self._guarded_ends: dict[int, Guarding | None] = {}  # what the output filter finds if the text ends there
        self._row: tuple[RowReading, Look, int, RowView | None] | None = None  # the last, and what it follows from
        self._lens: tuple[tuple[object, ...], LensView] | None = None  # the same

    def resolve(self, selection: Selection, readings: Readings) -> WindowView:
        """Combine what happened with what is selected. Changes neither."""
        steps = self._exploration.path(self._exploration.cursor)
        marks = self._marks(steps)
        chips = (*self._prompt_chips, *(self._chip_of(step, marks.get(place)) for place, step in enumerate(steps)))
        newest = len(chips) - 1
        position = newest if selection.position is None else min(selection.position, newest)
        surprisal = self._surprisal(steps, readings)
        dropped = self._exploration.dropped(self._exploration.cursor)
        facts = self._facts(chips[position], steps, surprisal, readings)
        return WindowView(
            chips=chips,
            surprisal=surprisal,
            selected=position,
            dropped=dropped,
            facts=replace(facts, dropped=position in dropped),
            step=steps[position - len(self._prompt_chips)] if position >= len(self._prompt_chips) else None,
            stage=selection.stage,
            distribution=self._distribution(position, steps, selection, readings),
            refused=readings.refused,
            attention=_attention(chips, position, readings),
            attention_gone=readings.attention_gone,
            row=self._row_view(chips, position, selection, readings),
            lens=self._lens_view(chips, position, selection, readings.lens),
            colouring=selection.colouring,
        )

    def _row_view(
        self, chips: Sequence[Chip], position: int, selection: Selection, readings: Readings
    ) -> RowView | None:
        """The same object as long as nothing in it changes."""
        reading = readings.row
        if reading is None or not selection.row_wanted:
            return None
        if self._row is None or self._row[0] is not reading or self._row[1:3] != (selection.look, position):
            texts = [chip.token.text for chip in chips]
            made = row_view(reading, selection.look, readings.row_positions, texts, position)
            self._row = reading, selection.look, position, made
        return self._row[3]

    def _lens_view(
        self, chips: Sequence[Chip], position: int, selection: Selection, readings: LensReadings
    ) -> LensView | None:
        """The same object as long as nothing in it changes."""
        if selection.lens is None:
            return None
        cursor = self._exploration.cursor
        slots = self._exploration.slots(cursor)
        key = (readings, cursor, slots.size, position, selection.lens_row)
        if self._lens is None or self._lens[0] != key:
            tokens = [chip.token for chip in chips]
            positions = self._exploration.positions(cursor)
            self._lens = key, lens_view(slots, positions, tokens, position, selection.lens_row, readings)
        return self._lens[1]

    def note_end(self, node: int, event: RunFinished) -> None:
        """A run ended on this node."""
        self._ends[node] = event
        if event.guarding is not None:
            self._guarded_ends[node] = event.guarding

    def _marks(self, steps: Sequence[StepRecord]) -> dict[int, FilterMark]:
        if not steps:
            return {}
        node = steps[-1].node
        if node not in self._guarded_ends:
            self._guarded_ends[node] = pending_guarding(steps, self._data_of)
        return filter_marks(steps, self._data_of, self._guarded_ends[node])

    def _data_of(self, token_id: int) -> bytes:
        return self._tokenizer.token(token_id).data

    def _chip_of(self, step: StepRecord, mark: FilterMark | None) -> Chip:
        """The same object as long as nothing in it changes."""
        chip = self._step_chips.get(step.node)
        if chip is not None and chip.mark != mark:
            chip = self._step_chips[step.node] = replace(chip, mark=mark)
        if chip is None:
            token = self._tokenizer.token(step.chosen.token_id)
            lost = self._lost.get(step.position, b"")  # at the prompt's end, before the first generated token
            slide = self._exploration.slide(step.parent)
            chip = Chip(step.position, token, TokenRole.GENERATED, step.node, lost, slide, mark)
            self._step_chips[step.node] = chip
        return chip

    def _surprisal(self, steps: Sequence[StepRecord], readings: Readings) -> FloatArray:
        prompt = np.full(len(self._prompt_chips), np.nan, np.float32)
        known = min(readings.prompt_surprisal.size, prompt.size)
        prompt[:known] = readings.prompt_surprisal[:known]
        generated = [-step.chosen.raw_logprob * NATS_TO_BITS for step in steps]
        return np.concatenate([prompt, np.array(generated, np.float32)])

    def _facts(self, chip: Chip, steps: Sequence[StepRecord], surprisal: FloatArray, readings: Readings) -> TokenFacts:
        if chip.node is not None:
            step = steps[chip.position - len(self._prompt_chips)]
            end = self._ends.get(step.node) if step is steps[-1] else None
            stopped = step.check.reason if step is steps[-1] and step.check.reason else end.reason if end else None
            return TokenFacts(
                chip=chip,
                step=chip.position - len(self._prompt_chips) + 1,
                probability=float(np.exp(step.chosen.raw_logprob)),
                rank=step.rank,
                surprisal_bits=-step.chosen.raw_logprob * NATS_TO_BITS,
                entropy_bits=step.entropy_bits,
                chosen_by=step.chosen_by,
                rejected=self._rejected(step),
                stopped=stopped,
                check=step.check if stopped is not None else None,
                refused=end is not None and end.guarding is not None and bool(end.guarding.rejected),
            )
        bits = float(surprisal[chip.position])
        decision = self._decision(chip.position, readings)
        return TokenFacts(
            chip=chip,
            step=None,
            probability=None if np.isnan(bits) else 2.0**-bits,
            rank=_rank(decision, chip.token.id) if decision else None,
            surprisal_bits=None if np.isnan(bits) else bits,
            entropy_bits=decision.entropy_bits if decision else None,
            chosen_by=None,
        )

    def _rejected(self, step: StepRecord) -> tuple[tuple[Token, str], ...]:
        rejected = step.guarding.rejected if step.guarding else ()
        return tuple((self._tokenizer.token(one.token_id), one.hits[0].entry) for one in rejected)

    def _decision(self, position: int, readings: Readings) -> Decision | None:
        """What was read of a prompt token's decision."""
        decision, slots = readings.decision, self._exploration.prompt_slots
        if decision is None or not 0 < position <= len(slots):
            return None
        return decision if (decision.slot, decision.position) == (slots[position - 1], position) else None

    def _distribution(
        self, position: int, steps: Sequence[StepRecord], selection: Selection, readings: Readings
    ) -> DistributionView | None:
        token_of, step, decision = self._tokenizer.token, None, readings.decision
        if position >= len(self._prompt_chips):
            step = steps[position - len(self._prompt_chips)]
            if decision is None or (decision.slot, decision.position) != (step.source, position):
                return view_of_record(step, token_of, shown=selection.shown)
        else:
            decision = self._decision(position, readings)
        if decision is None:
            return None
        came = self._exploration.prompt.ids[position] if step is None else step.chosen.token_id
        return view_of_decision(decision, came, token_of, step=step, found=selection.found, draws=readings.draws)


def _rank(decision: Decision, token_id: int) -> int | None:
    return next((one.rank for one in decision.tokens if one.token_id == token_id), None)


def _attention(chips: Sequence[Chip], position: int, readings: Readings) -> AttentionView | None:
    reading = readings.attention
    if reading is None:
        return None
    positions = readings.attention_positions
    place = int(np.searchsorted(positions, position))
    read = place < positions.size
    known = read and positions[place] == position
    beyond = known and place >= reading.length
    missing = MissingToken(
        text=chips[position].token.text, position=position, dropped=read and not known, beyond=beyond
    )
    positions = positions[: reading.length]
    return AttentionView(
        reading=reading,
        whole=readings.attention_whole,
        tokens=tuple(chips[int(at)].token.text for at in positions),
        positions=positions,
        selected=place if known and not beyond else None,
        missing=None if known and not beyond else missing,
    )


def _prompt_chips(exploration: Exploration, tokens: Sequence[Token], lost: Mapping[int, bytes]) -> tuple[Chip, ...]:
    roles = [TokenRole(part.role) for part in exploration.prompt.parts for _ in part.ids]
    return tuple(
        Chip(position, token, role, None, lost.get(position, b""))
        for position, (token, role) in enumerate(zip(tokens, roles, strict=True))
    )


def _lost_before(exploration: Exploration, sizes: Sequence[int]) -> dict[int, bytes]:
    """The bytes without a token, gathered before the position that follows them."""
    before: dict[int, bytes] = {}
    offset, position = 0, 0
    for lost in exploration.prompt.lost:
        while position < len(sizes) and offset + sizes[position] <= lost.offset:
            offset += sizes[position]
            position += 1
        before[position] = before.get(position, b"") + bytes([lost.byte])
        offset += 1
    return before

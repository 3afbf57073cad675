"""What to ask the reader for next: a plan without threads."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np

from canopy_desktop.arrays import IntArray
from canopy_desktop.exploration.attention_view import ROLLOUT_TOKENS, AttentionReading, Looking, RowReading
from canopy_desktop.exploration.decision import Decision
from canopy_desktop.exploration.decision_view import DecisionWish, DrawsReading, wanted_decision
from canopy_desktop.exploration.kept_attention import AttentionNote, columns_at
from canopy_desktop.exploration.squares import Square, clamped
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.view import Readings, Selection
from canopy_ui.lens_plan import LensPlan
from canopy_ui.pace import REST_FACTOR
from canopy_ui.reader import (
    AttentionRequest,
    DecisionRequest,
    DrawsRequest,
    LensCellRequest,
    LensRequest,
    ReadingRequest,
    ReadingResult,
    RowRequest,
    SurprisalRequest,
)

SURPRISAL_CHUNK = 64  # positions; newer wishes for attention come in between


class ReadingPlan:
    """Knows what has been read of one exploration, what is being read, and what is wanted next.

    At most one request of a kind is under way. Results of an older generation are dropped.
    """

    def __init__(self) -> None:
        self.readings = Readings()
        self._generation = 0
        self._note: AttentionNote | None = None  # whose attention there is, where no column is
        self._end_ids: tuple[int, ...] = ()
        self._attention: AttentionRequest | None = None  # answered, or under way
        self._asked_positions: IntArray = np.empty(0, np.int64)  # in the text, of that request's columns
        self._read_slots: IntArray = np.empty(0, np.int64)  # the columns of the attention that is known
        self._attention_due = 0.0
        self._attention_began = 0.0
        self._row: RowRequest | None = None  # answered, or under way
        self._row_positions: IntArray = np.empty(0, np.int64)  # in the text, of that request's columns
        self._row_slots: IntArray = np.empty(0, np.int64)  # the columns of the row that is known
        self._row_due = 0.0
        self._row_began = 0.0
        self._surprisal_due = self._surprisal_began = 0.0
        self._decided: DecisionWish | None = None  # answered
        self._drawn: tuple[DecisionWish, int] | None = None  # answered
        self._lens = LensPlan()
        self._under_way: dict[type[ReadingRequest], ReadingRequest] = {}
        self._unreadable: set[type[ReadingRequest]] = set()

    @property
    def idle(self) -> bool:
        """Whether no result is awaited."""
        return not self._under_way

    def clear(self, end_ids: tuple[int, ...] = (), note: AttentionNote | None = None) -> None:
        """Forget everything, for another exploration begins, of a model with these end tokens.

        `note`: whose attention was kept with it, for its model is not here.
        """
        self.readings = Readings()
        self._end_ids = end_ids
        self._note = note
        self._decided = self._drawn = None
        self._lens = LensPlan()
        self._read_slots = np.empty(0, np.int64)
        self._forget()

    def columns(self, exploration: Exploration) -> tuple[IntArray, IntArray]:
        """The columns at the cursor whose attention can be read, and where in the text they stand; (length,)."""
        cursor = exploration.cursor
        if self._note is not None:
            return columns_at(exploration, cursor, self._note)
        return exploration.slots(cursor), exploration.positions(cursor)

    def ask_again(self) -> None:
        """What was gone may be there again."""
        if self.readings.attention_gone is not None:
            self._attention = self._row = None
        self._lens.ask_again()
        self.readings = replace(self.readings, lens=self._lens.readings)

    def rewind(self, slots: IntArray) -> None:
        """Keep what stays true when these are the columns at the cursor: what both begin with."""
        count = min(slots.size, self._read_slots.size)
        differs = np.flatnonzero(self._read_slots[:count] != slots[:count])
        length = int(differs[0]) if differs.size else count
        self.readings = replace(
            self.readings,
            attention=_cropped(self.readings.attention, length),
            attention_whole=_cropped(self.readings.attention_whole, length),
            attention_gone=None,
            attention_positions=self.readings.attention_positions[:length],
        )
        self._read_slots = self._read_slots[:length]
        self._attention = None
        if not np.array_equal(slots[: self._row_slots.size], self._row_slots):
            self.readings = replace(self.readings, row=None)
        self._row = None
        self._generation += 1
        self._under_way.pop(AttentionRequest, None)
        self._under_way.pop(RowRequest, None)

    def _forget(self) -> None:
        self._generation += 1
        self._attention = self._row = None
        self._attention_due = self._row_due = self._surprisal_due = 0.0
        self._under_way.clear()
        self._unreadable.clear()

    def wishes(self, exploration: Exploration, selection: Selection, now: float, *, busy: bool) -> list[ReadingRequest]:
        """The requests to send now; they count as under way from here on. `now` in seconds."""
        wishes = [
            wish
            for wish in (
                self._wanted_attention(exploration, selection, now, busy=busy),
                self._wanted_row(exploration, selection, now, busy=busy),
                self._wanted_decision(exploration, selection, busy=busy),
                self._wanted_draws(exploration, selection, busy=busy),
                self._wanted_surprisal(exploration, now, busy=busy),
                self._wanted_lens(exploration, selection, now, busy=busy),
                self._wanted_cell(exploration, selection, busy=busy),
            )
            if wish is not None and type(wish) not in self._unreadable
        ]
        for wish in wishes:
            self._under_way[type(wish)] = wish
            if isinstance(wish, AttentionRequest):
                self._attention, self._attention_began = wish, now
                self._asked_positions = self.columns(exploration)[1]
            elif isinstance(wish, RowRequest):
                self._row, self._row_began = wish, now
                self._row_positions = self.columns(exploration)[1][: wish.slots.size]
        return wishes

    def take(self, result: ReadingResult, now: float) -> bool:
        """Note a result. Returns whether the readings changed."""
        request = result.request
        if self._under_way.get(type(request)) is not request:
            return False
        del self._under_way[type(request)]
        if result.failed:
            self._unreadable.add(type(request))  # until the next exploration, lest it fail at every repaint
            return False
        match request:
            case AttentionRequest():
                return self._take_attention(request, result, now)
            case RowRequest():
                return self._take_row(request, result, now)
            case DecisionRequest():
                return self._take_decision(request, result)
            case DrawsRequest():
                self._drawn = None if result.value is None and result.refused is None else (request.wish, request.count)
                if isinstance(result.value, DrawsReading):
                    self.readings = replace(self.readings, draws=result.value)
            case SurprisalRequest():
                self._surprisal_due = now + REST_FACTOR * (now - self._surprisal_began)
                if isinstance(result.value, np.ndarray):
                    known = np.concatenate([self.readings.prompt_surprisal, result.value])
                    self.readings = replace(self.readings, prompt_surprisal=known)
            case LensRequest():
                self._lens.take_columns(request, result.value, result.gone, now)
                self.readings = replace(self.readings, lens=self._lens.readings)
            case LensCellRequest():
                self._lens.take_cell(request, result.value, result.gone)
                self.readings = replace(self.readings, lens=self._lens.readings)
            case _:
                assert_never(request)
        return result.value is not None

    def _take_attention(self, request: AttentionRequest, result: ReadingResult, now: float) -> bool:
        self._attention_due = now + REST_FACTOR * (now - self._attention_began)
        if result.gone is not None:
            self.readings = replace(self.readings, attention=None, attention_whole=None, attention_gone=result.gone)
            self._read_slots = np.empty(0, np.int64)
            return True
        if not isinstance(result.value, AttentionReading):
            self._attention = None  # the columns changed: ask again
            return False
        reading = result.value
        whole = reading if reading.part is None else self._whole_for(request)
        self.readings = replace(
            self.readings,
            attention=reading,
            attention_whole=whole,
            attention_positions=self._asked_positions,
            attention_gone=None,
        )
        self._read_slots = request.slots
        return True

    def _take_row(self, request: RowRequest, result: ReadingResult, now: float) -> bool:
        self._row_due = now + REST_FACTOR * (now - self._row_began)
        if isinstance(result.value, RowReading):
            self.readings = replace(self.readings, row=result.value, row_positions=self._row_positions)
            self._row_slots = request.slots
            return True
        self.readings = replace(self.readings, row=None)
        if result.gone is None:
            self._row = None  # the columns changed: ask again
        return True

    def _wanted_row(
        self, exploration: Exploration, selection: Selection, now: float, *, busy: bool
    ) -> RowRequest | None:
        """The row of the selected token, or of the last that was read where the model has not read it yet."""
        if not selection.row_wanted or RowRequest in self._under_way:
            return None
        slots, positions = self.columns(exploration)
        place = place_of(positions, selection.position)
        if place is None:
            return None
        wanted = slots[: place + 1]
        rollout = selection.looking is Looking.ROLLOUT
        known = self._row
        if known is not None and np.array_equal(known.slots, wanted) and (known.rollout or not rollout):
            return None
        if busy and now < self._row_due:
            return None
        return RowRequest(generation=self._generation, slots=wanted, rollout=rollout)

    def _whole_for(self, request: AttentionRequest) -> AttentionReading | None:
        """The picture of the whole window, as far as it lies below a part that was asked for."""
        whole = self.readings.attention_whole
        if whole is None or whole.look != request.look:
            return None
        return whole if np.array_equal(self._read_slots[: whole.length], request.slots[: whole.length]) else None

    def _wanted_attention(
        self, exploration: Exploration, selection: Selection, now: float, *, busy: bool
    ) -> AttentionRequest | None:
        if AttentionRequest in self._under_way:
            return None
        slots, _ = self.columns(exploration)
        if not slots.size:
            return None
        look, part = selection.look, None
        if selection.part is not None:
            part = clamped(selection.part, min(slots.size, ROLLOUT_TOKENS) if look.layer is None else slots.size)
        known = self._attention
        same = known is not None and (known.look, known.part) == (look, part)
        if same and known is not None and np.array_equal(_needed(known.slots, part), _needed(slots, part)):
            return None
        if busy and same and now < self._attention_due:
            return None
        return AttentionRequest(generation=self._generation, slots=slots, look=look, part=part)

    def decision_wish(self, exploration: Exploration, selection: Selection, *, busy: bool) -> DecisionRequest | None:
        """What to ask for at once where nothing else is wanted; it counts as under way from here on."""
        wish = self._wanted_decision(exploration, selection, busy=busy)
        if wish is None or DecisionRequest in self._unreadable:
            return None
        self._under_way[DecisionRequest] = wish
        return wish

    def _take_decision(self, request: DecisionRequest, result: ReadingResult) -> bool:
        self._decided = request.wish
        if result.refused is not None:
            self.readings = replace(self.readings, decision=None, refused=result.refused)
        elif isinstance(result.value, Decision):
            self.readings = replace(self.readings, decision=result.value, refused=None)
        else:
            self._decided = None  # the columns changed: ask again
            return False
        return True

    def _wanted_decision(self, exploration: Exploration, selection: Selection, *, busy: bool) -> DecisionRequest | None:
        """While the model is at work, the newest token's record has to do."""
        if DecisionRequest in self._under_way or (busy and selection.position is None):
            return None
        wish = self._looked_at(exploration, selection)
        if wish is None or wish == self._decided:
            return None
        return DecisionRequest(generation=self._generation, wish=wish)

    def _wanted_draws(self, exploration: Exploration, selection: Selection, *, busy: bool) -> DrawsRequest | None:
        """Draws of a decision that is known; they take longer, so they come after it."""
        if not selection.draws or DrawsRequest in self._under_way or (busy and selection.position is None):
            return None
        wish = self._looked_at(exploration, selection)
        if wish is None or wish != self._decided or self._drawn == (wish, selection.draws):
            return None
        return DrawsRequest(generation=self._generation, wish=wish, count=selection.draws)

    def _wanted_lens(
        self, exploration: Exploration, selection: Selection, now: float, *, busy: bool
    ) -> LensRequest | None:
        if LensRequest in self._under_way:
            return None
        return self._lens.wanted_columns(exploration, selection, self._generation, now, busy=busy)

    def _wanted_cell(self, exploration: Exploration, selection: Selection, *, busy: bool) -> LensCellRequest | None:
        if LensCellRequest in self._under_way:
            return None
        return self._lens.wanted_cell(exploration, selection, self._generation, busy=busy)

    def _looked_at(self, exploration: Exploration, selection: Selection) -> DecisionWish | None:
        return wanted_decision(
            exploration,
            selection.position,
            selection.settings,
            shown=selection.shown,
            end_ids=self._end_ids,
            found=selection.found,
        )

    def _wanted_surprisal(self, exploration: Exploration, now: float, *, busy: bool) -> SurprisalRequest | None:
        ids = exploration.prompt.ids
        first = self.readings.prompt_surprisal.size
        complete = len(exploration.prompt_slots) >= len(ids)
        if not complete or first >= len(ids) or SurprisalRequest in self._under_way:
            return None
        if busy and now < self._surprisal_due:
            return None
        self._surprisal_began = now
        return SurprisalRequest(
            generation=self._generation,
            slots=np.array(exploration.prompt_slots, np.int64),
            token_ids=tuple(ids),
            first=first,
            last=min(first + SURPRISAL_CHUNK, len(ids)),
        )


def place_of(positions: IntArray, position: int | None) -> int | None:
    """The place in the window of a token of the text; of the last one where it is newer, None where it has left.

    `positions` in the text of the window's tokens that were read, (length,); `position` None is the newest.
    """
    if not positions.size:
        return None
    if position is None or position > positions[-1]:
        return int(positions.size) - 1
    place = int(np.searchsorted(positions, position))
    return place if positions[place] == position else None


def _needed(slots: IntArray, part: Square | None) -> IntArray:
    """The columns that a picture depends on: no row depends on later ones."""
    return slots if part is None else slots[: part.rows[1]]


def _cropped(reading: AttentionReading | None, length: int) -> AttentionReading | None:
    """Earlier rows do not depend on later ones, so the corner of a matrix is the shorter text's matrix."""
    if reading is None or reading.length <= length:
        return reading
    if reading.part is not None:
        return reading if reading.square.rows[1] <= length else None
    if reading.cell != 1 or length <= 0:
        return None
    return replace(reading, length=length, values=reading.values[:length, :length].copy())

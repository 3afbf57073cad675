"""What of the lens to ask the reader for next: a plan without threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from canopy_desktop.exploration.attention_view import GoneColumns
from canopy_desktop.exploration.lens_view import (
    LensCell,
    LensColumn,
    LensReadings,
    LensWish,
    wanted_cell,
    wanted_columns,
)
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.view import Selection
from canopy_ui.pace import REST_FACTOR
from canopy_ui.reader import LensCellRequest, LensRequest

PIECE = 4  # columns at once: some 40 ms; another wish comes in between


class LensPlan:
    """Knows what has been read; a column never changes, so what was read of it holds as long as the exploration."""

    def __init__(self) -> None:
        self.readings = LensReadings()
        self._gone: frozenset[int] = frozenset()  # columns that cannot be read
        self._gone_cell: LensWish | None = None
        self._began = self._due = 0.0

    def ask_again(self) -> None:
        """What was gone may be there again."""
        self._gone, self._gone_cell = frozenset(), None
        self.readings = replace(self.readings, gone=None) if self.readings.gone else self.readings

    def wanted_columns(
        self, exploration: Exploration, selection: Selection, generation: int, now: float, *, busy: bool
    ) -> LensRequest | None:
        """The next piece, the selected token's column first."""
        if selection.lens is None or (busy and now < self._due):
            return None
        cursor = exploration.cursor
        wanted = wanted_columns(
            exploration.slots(cursor), exploration.positions(cursor), _selected(exploration, selection), selection.lens
        )
        known = self.readings.columns
        missing = [slot for slot in wanted.tolist() if slot not in known and slot not in self._gone]
        if not missing:
            return None
        count = 1 if busy or missing[0] == wanted[0] else PIECE
        self._began = now
        return LensRequest(generation=generation, slots=np.array(missing[:count], np.int64))

    def wanted_cell(
        self, exploration: Exploration, selection: Selection, generation: int, *, busy: bool
    ) -> LensCellRequest | None:
        """The list of the selected cell; not of each newest token while the model is at work."""
        if selection.lens is None or (busy and selection.position is None):
            return None
        cursor = exploration.cursor
        wish = wanted_cell(
            exploration.slots(cursor),
            exploration.positions(cursor),
            exploration.token_ids(cursor),
            _selected(exploration, selection),
            selection.lens_row,
        )
        known = self.readings.cell
        if wish is None or wish == self._gone_cell or (known is not None and known.wish == wish):
            return None
        return LensCellRequest(generation=generation, wish=wish)

    def take_columns(self, request: LensRequest, value: object, gone: GoneColumns | None, now: float) -> None:
        """Note an answer."""
        self._due = now + REST_FACTOR * (now - self._began)
        slots = request.slots.tolist()
        if gone is not None:
            self._gone = self._gone.union(slots)
            self.readings = replace(self.readings, gone=gone)
        if not isinstance(value, tuple):
            return  # else the columns changed: ask again
        found = {slot: column for slot, column in zip(slots, value, strict=True) if isinstance(column, LensColumn)}
        self.readings = replace(self.readings, columns={**self.readings.columns, **found})

    def take_cell(self, request: LensCellRequest, value: object, gone: GoneColumns | None) -> None:
        """Note an answer."""
        if gone is not None:
            self._gone_cell = request.wish
            self.readings = replace(self.readings, gone=gone)
        elif isinstance(value, LensCell):
            self.readings = replace(self.readings, cell=value)


def _selected(exploration: Exploration, selection: Selection) -> int:
    """The selected position of the text."""
    newest = len(exploration.prompt.ids) + exploration.depth(exploration.cursor) - 1
    return newest if selection.position is None else min(selection.position, newest)

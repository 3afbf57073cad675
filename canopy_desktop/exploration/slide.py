"""A slide of the window while it is under way: what is left passes through the model again, chunk by chunk."""

from __future__ import annotations

import time

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.records import SlideProgress, Slot, WindowSlid
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.window import dropped_by_slide
from canopy_desktop.model.decoder import chunks_of


class SlideUnderWay:
    """The slide that the full window at one node needs. It becomes part of the exploration when it is complete."""

    def __init__(self, exploration: Exploration, node: int, *, size: int, kept: int) -> None:
        """`kept` tokens at the text's beginning keep their places and columns."""
        self.node = node
        self._exploration = exploration
        self._kept = kept
        before = exploration.dropped(node)
        self._first = before.stop if before else kept
        self._stop = self._first + dropped_by_slide(exploration.window_length(node), size, kept)
        self._ids = exploration.token_ids(node)[self._stop :]
        self._chunks = chunks_of(len(self._ids))
        self._slots: list[Slot] = []
        self._ms = 0.0

    def advance(self, sequence: TokenSequence, run_id: int) -> tuple[SlideProgress | WindowSlid, FloatArray]:
        """Pass the next chunk, and say how far the slide is; the second is the chunk's last logits.

        The cache may have been elsewhere in between. Raises what `TokenSequence.feed` raises; then nothing has changed.
        """
        began = time.perf_counter()
        sequence.go_to(np.array([*self._exploration.prompt_slots[: self._kept], *self._slots], np.int64))
        done = len(self._slots)
        slots, logits = sequence.feed(self._ids[done : done + self._chunks[0]])
        self._ms += 1000 * (time.perf_counter() - began)
        self._chunks.pop(0)
        self._slots += slots
        if self._chunks:
            return SlideProgress(run_id=run_id, done=len(self._slots), total=len(self._ids)), logits
        slid = WindowSlid(
            run_id=run_id,
            node=self.node,
            kept=self._kept,
            first=self._first,
            last=self._stop - 1,
            slots=tuple(self._slots),
            ms=self._ms,
        )
        return slid, logits

"""A reopened exploration passes through the model again, the way it was made, so with the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from canopy_desktop.exploration.records import ReplayProgress, Slot, WindowSlid
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.model.decoder import chunks_of


class Replay:
    """Makes the columns of an exploration that has none: the prompt's, then the cursor's branch, then the others.

    One pass a call, so it can be left and taken up again. A single token passes singly, a prompt and a slide in chunks,
    as they did at first (docs/architecture.md, "Rounding").
    """

    def __init__(self, exploration: Exploration) -> None:
        self._exploration = exploration
        self._chunks = chunks_of(len(exploration.prompt.ids))
        self._nodes = exploration.unmade()
        self._slid: list[Slot] = []  # columns of the slide under way
        self._done = 0
        self._total = exploration.replay_length()

    @property
    def complete(self) -> bool:
        """Whether every column is there."""
        return not self._chunks and not self._nodes

    def advance(self, sequence: TokenSequence, run_id: int) -> ReplayProgress:
        """The next pass. Raises what `TokenSequence.feed` raises; then nothing has changed."""
        event = self._prefill(sequence, run_id) if self._chunks else self._pass_node(sequence, run_id)
        self._exploration.note_replay(event)
        self._done = event.done
        return event

    def _prefill(self, sequence: TokenSequence, run_id: int) -> ReplayProgress:
        done = len(self._exploration.prompt_slots)
        slots, _ = sequence.feed(self._exploration.prompt.ids[done : done + self._chunks[0]])
        self._chunks.pop(0)
        return ReplayProgress(run_id=run_id, done=self._done + len(slots), total=self._total, prompt=slots)

    def _pass_node(self, sequence: TokenSequence, run_id: int) -> ReplayProgress:
        exploration, node = self._exploration, self._nodes[0]
        if (slide := exploration.slide(node)) is not None:
            return self._pass_slide(sequence, run_id, slide)
        sequence.go_to(exploration.slots(node))
        slots, _ = sequence.feed([exploration.record(node).chosen.token_id])
        self._nodes.pop(0)
        return ReplayProgress(run_id=run_id, done=self._done + 1, total=self._total, own=(node, slots[0]))

    def _pass_slide(self, sequence: TokenSequence, run_id: int, slide: WindowSlid) -> ReplayProgress:
        """A chunk of the tokens that a slide left; the cache may have been elsewhere in between."""
        ids = self._exploration.token_ids(slide.node)[slide.last + 1 :]
        done = len(self._slid)
        sequence.go_to(np.array([*self._exploration.prompt_slots[: slide.kept], *self._slid], np.int64))
        slots, _ = sequence.feed(ids[done : done + chunks_of(len(ids) - done)[0]])
        self._slid += slots
        made = None
        if len(self._slid) == len(ids):
            made = replace(slide, slots=tuple(self._slid))
            self._slid.clear()
            self._nodes.pop(0)
        return ReplayProgress(run_id=run_id, done=self._done + len(slots), total=self._total, slide=made)

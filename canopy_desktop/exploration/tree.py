"""The tree of everything that was generated after one prompt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from canopy_desktop.arrays import IntArray
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.records import PROMPT_NODE, ChosenBy, Slot, StepRecord
from canopy_desktop.model.chat import TemplatedPrompt


class Exploration:
    """A prompt, the columns of its tokens, and the tree of steps that followed.

    Only grows: going back moves `cursor`, and a branch is one more child. Not thread-safe; each thread that
    needs one builds its own from the events.
    """

    def __init__(self, prompt: TemplatedPrompt) -> None:
        self.prompt = prompt
        self.prompt_slots: list[Slot] = []
        self.cursor = PROMPT_NODE
        self._records: list[StepRecord] = []
        self._children: dict[int, list[int]] = {PROMPT_NODE: []}
        self._newest_child: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._records)

    def next_node(self) -> int:
        """The number that the next record gets."""
        return len(self._records)

    def add(self, record: StepRecord) -> None:
        """Append a step and move the cursor to it."""
        if record.node != len(self._records):
            raise ValueError(f"node {record.node} does not follow {len(self._records) - 1}")
        self._records.append(record)
        self._children[record.node] = []
        self._children[record.parent].append(record.node)
        if record.parent == self.cursor:
            self._newest_child[record.parent] = record.node
            self.cursor = record.node
        else:
            self.go_to(record.node)

    def record(self, node: int) -> StepRecord:
        """The step of a node; `PROMPT_NODE` has none."""
        if node < 0:
            raise KeyError(node)
        return self._records[node]

    def children(self, node: int) -> tuple[int, ...]:
        """The nodes that continue `node`, oldest first."""
        return tuple(self._children[node])

    def go_to(self, node: int) -> None:
        """Stand on a node; the way to it becomes the branch that `tip` and `forward` follow."""
        self.cursor = node
        while node != PROMPT_NODE:
            parent = self._records[node].parent
            self._newest_child[parent] = node
            node = parent

    def parent(self, node: int) -> int:
        """The node before; the prompt is its own parent."""
        return PROMPT_NODE if node == PROMPT_NODE else self._records[node].parent

    def forward(self, node: int) -> int | None:
        """The child that was visited last, if any."""
        return self._newest_child.get(node)

    def tip(self, node: int) -> int:
        """The end of the branch that was visited last through `node`."""
        while (child := self.forward(node)) is not None:
            node = child
        return node

    def depth(self, node: int) -> int:
        """Steps from the prompt to `node`."""
        return 0 if node == PROMPT_NODE else self._records[node].position - len(self.prompt.ids) + 1

    def path(self, node: int) -> list[StepRecord]:
        """The steps from the prompt to `node`, in order."""
        steps = list(self._upwards(node))
        steps.reverse()
        return steps

    def token_ids(self, node: int) -> list[int]:
        """The ids of prompt and steps up to and with `node`."""
        return [*self.prompt.ids, *(step.chosen.token_id for step in self.path(node))]

    def slots(self, node: int) -> IntArray:
        """The columns of all tokens up to `node` that have passed through the model, (length,).

        A node's own token has a column only after a step was taken from it.
        """
        steps = self.path(node)
        own = self.own_slot(node)
        sources = [step.source for step in steps[1:]] + ([own] if steps and own is not None else [])
        return np.array([*self.prompt_slots, *sources], dtype=np.int64)

    def own_slot(self, node: int) -> Slot | None:
        """The column of a node's own token, if it has passed through the model."""
        children = self._children[node]
        return self._records[children[0]].source if children else None

    def known_step(self, node: int, settings: DecodingSettings) -> StepRecord | None:
        """The step to walk to from `node` instead of running it again.

        The branch that was visited last goes first, also one that a person chose; else what these settings led to.
        """
        last = self.forward(node)
        if last is not None and self._records[last].chosen_by is ChosenBy.PERSON:
            return self._records[last]
        for child in self._children[node]:
            record = self._records[child]
            if record.chosen_by is not ChosenBy.PERSON and record.settings.decides_as(settings):
                return record
        return None

    def child_with_token(self, node: int, token_id: int) -> StepRecord | None:
        """The step from `node` to a token, whoever decided for it."""
        for child in self._children[node]:
            record = self._records[child]
            if record.chosen.token_id == token_id:
                return record
        return None

    def _upwards(self, node: int) -> Iterator[StepRecord]:
        while node != PROMPT_NODE:
            yield self._records[node]
            node = self._records[node].parent

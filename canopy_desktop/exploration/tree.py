"""The tree of everything that was generated after one prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from canopy_desktop.arrays import IntArray
from canopy_desktop.decoding.output_filter import OutputFilter
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    UNMADE,
    ChosenBy,
    ReplayProgress,
    Slot,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.model.chat import TemplatedPrompt


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one stands in a tree, and which branches were visited last."""

    cursor: int
    forward: tuple[tuple[int, int], ...]  # (node, its child that was visited last)


class Exploration:
    """A prompt, the columns of its tokens, the tree of steps that followed, and the slides of the window.

    Only grows: going back moves `cursor`, and a branch is one more child. A slide belongs to the node whose next token
    needed it, so all that follows there shares it. Not thread-safe; each thread that needs one builds its own from the
    events.
    """

    def __init__(self, prompt: TemplatedPrompt) -> None:
        self.prompt = prompt
        self.prompt_slots: list[Slot] = []
        self.cursor = PROMPT_NODE
        self._records: list[StepRecord] = []
        self._children: dict[int, list[int]] = {PROMPT_NODE: []}
        self._newest_child: dict[int, int] = {}
        self._slides: dict[int, WindowSlid] = {}
        self._slide_before: list[WindowSlid | None] = []  # the last one before each record was decided

    def __len__(self) -> int:
        return len(self._records)

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        """All steps, by node."""
        return tuple(self._records)

    @property
    def all_slides(self) -> tuple[WindowSlid, ...]:
        """All slides, in the order in which they happened."""
        return tuple(self._slides.values())

    @property
    def stand(self) -> Stand:
        """Where one stands."""
        return Stand(self.cursor, tuple(self._newest_child.items()))

    def stand_on(self, stand: Stand) -> None:
        """Stand as in a tree of the same steps. Raises `LookupError` for nodes and ways that are not there."""
        if (
            any(child not in self._children[node] for node, child in stand.forward)
            or stand.cursor not in self._children
        ):
            raise LookupError(stand)
        self.cursor, self._newest_child = stand.cursor, dict(stand.forward)

    def next_node(self) -> int:
        """The number that the next record gets."""
        return len(self._records)

    def add(self, record: StepRecord) -> None:
        """Append a step and move the cursor to it."""
        if record.node != len(self._records):
            raise ValueError(f"node {record.node} does not follow {len(self._records) - 1}")
        self._records.append(record)
        self._slide_before.append(self.last_slide(record.parent))
        self._children[record.node] = []
        self._children[record.parent].append(record.node)
        if record.parent == self.cursor:
            self._newest_child[record.parent] = record.node
            self.cursor = record.node
        else:
            self.go_to(record.node)

    def add_slide(self, slide: WindowSlid) -> None:
        """Note that the window slid at a node, before anything follows there."""
        if slide.node in self._slides or self._children[slide.node]:
            raise ValueError(f"the window cannot slide at node {slide.node} any more")
        self._slides[slide.node] = slide

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

    def leave_branch(self, node: int) -> None:
        """Stand on a node with no branch ahead: what a person chose after it is there, but is not walked again."""
        self.go_to(node)
        self._newest_child.pop(node, None)

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

    def history(self, node: int, end_ids: tuple[int, ...]) -> History:
        """What stands before the token that follows `node`: the whole text, also what has left the window."""
        generated = tuple(step.chosen.token_id for step in self.path(node))
        return History(self.prompt.ids, generated, end_ids)

    def window_history(self, node: int, end_ids: tuple[int, ...]) -> History:
        """The same without what has left the window: what a text beside the recorded one begins with."""
        dropped, ids = self.dropped(node), self.token_ids(node)
        whole = len(self.prompt.ids)
        prompt = (*ids[: min(whole, dropped.start)], *ids[dropped.stop : whole])
        return History(prompt, tuple(ids[max(whole, dropped.stop) :]), end_ids)

    def slots(self, node: int) -> IntArray:
        """The columns of the window at `node`, those of its tokens that have passed through the model, (length,).

        A node's own token has a column only after a step was taken from it, or the window slid there. Of a reopened
        exploration: up to the first that has not been made again.
        """
        if len(self.prompt_slots) < len(self.prompt.ids):
            return np.array(self.prompt_slots[: self._untouched(node)], dtype=np.int64)
        slide = self.last_slide(node)
        first = self.prompt_slots if slide is None else [*self.prompt_slots[: slide.kept], *slide.slots]
        steps = list(self._upwards(node, PROMPT_NODE if slide is None else slide.node))
        steps.reverse()
        own = self.own_slot(node)
        sources = [step.source for step in steps[1:]] + ([own] if steps and own is not None else [])
        slots = np.array([*first, *sources], dtype=np.int64)
        unmade = np.flatnonzero(slots == UNMADE)
        return slots[: unmade[0]] if unmade.size else slots

    def positions(self, node: int) -> IntArray:
        """Where in the text the tokens of `slots` stand, (length,)."""
        return self.places(node, self.slots(node).size)

    def places(self, node: int, count: int) -> IntArray:
        """Where in the text the first tokens of the window at `node` stand, (count,)."""
        dropped = self.dropped(node)
        start = min(count, dropped.start)
        return np.concatenate([np.arange(start), np.arange(dropped.stop, dropped.stop + count - start)])

    def shared_columns(self, node: int, other: int) -> int:
        """How many columns two windows begin with together; tokens that a slide read again have new ones."""
        slides = self.last_slide(node), self.last_slide(other)
        if slides[0] is not slides[1]:
            return min(slide.kept for slide in slides if slide is not None)
        while node != other:  # a parent's number is the lower one
            node, other = self.parent(max(node, other)), min(node, other)
        return self.window_length(node)

    def dropped(self, node: int) -> range:
        """The positions in the text that are no longer in the window at `node`."""
        slide = self.last_slide(node)
        return range(0) if slide is None else range(slide.kept, slide.last + 1)

    def window_length(self, node: int) -> int:
        """Tokens in the window at `node`, its own included."""
        return len(self.prompt.ids) + self.depth(node) - len(self.dropped(node))

    def slide(self, node: int) -> WindowSlid | None:
        """The slide that the token after `node` needed, if any."""
        return self._slides.get(node)

    def last_slide(self, node: int) -> WindowSlid | None:
        """The last slide on the way to `node`, at the node itself included."""
        if node == PROMPT_NODE:
            return self._slides.get(node)
        return self._slides.get(node) or self._slide_before[node]

    def slides(self, node: int) -> list[WindowSlid]:
        """All slides on the way to `node`, in order."""
        found = []
        slide = self.last_slide(node)
        while slide is not None:
            found.append(slide)
            slide = None if slide.node == PROMPT_NODE else self._slide_before[slide.node]
        found.reverse()
        return found

    def own_slot(self, node: int) -> Slot | None:
        """The column of a node's own token, if it has passed through the model."""
        if (slide := self._slides.get(node)) is not None:
            slot = slide.slots[-1]
        else:
            children = self._children[node]
            slot = self._records[children[0]].source if children else UNMADE
        return None if slot == UNMADE else slot

    def unmade(self) -> list[int]:
        """The nodes whose own token, or slide, has to pass again before all columns are there.

        Those before the cursor come first, and each after its parent. The prompt's own slide counts, its tokens do not.
        """
        near = [PROMPT_NODE, *(step.node for step in self.path(self.cursor))]
        first = set(near)
        return [
            node
            for node in (*near, *(step.node for step in self._records if step.node not in first))
            if self.own_slot(node) is None and (node in self._slides or (node != PROMPT_NODE and self._children[node]))
        ]

    def replay_length(self) -> int:
        """Tokens that have to pass through the model until all columns of a reopened exploration are there."""
        slides = sum(len(slide.slots) for slide in self._slides.values())
        return len(self.prompt.ids) + slides + sum(node not in self._slides for node in self.unmade())

    def note_replay(self, event: ReplayProgress) -> None:
        """Columns of a reopened exploration are there again."""
        self.prompt_slots.extend(event.prompt)
        if event.prompt and len(self.prompt_slots) == len(self.prompt.ids):
            self._note_own(PROMPT_NODE, self.prompt_slots[-1])
        if event.slide is not None:
            slide = event.slide
            self._slides[slide.node] = slide
            known = [before.node if before is not None else None for before in self._slide_before]
            self._slide_before = [
                slide if node == slide.node else before for node, before in zip(known, self._slide_before, strict=True)
            ]
            self._note_own(slide.node, slide.slots[-1])
        if event.own is not None:
            self._note_own(*event.own)

    def _note_own(self, node: int, slot: Slot) -> None:
        """What follows a node was decided from this column, unless the window slid there."""
        if node in self._slides and slot != self._slides[node].slots[-1]:
            return
        for child in self._children[node]:
            self._records[child] = replace(self._records[child], source=slot)

    def _untouched(self, node: int) -> int:
        """How many of the prompt's first tokens are in the window at `node`, side by side."""
        slide = self.last_slide(node)
        return len(self.prompt.ids) if slide is None else slide.kept

    def known_step(
        self, node: int, settings: DecodingSettings, output_filter: OutputFilter | None = None
    ) -> StepRecord | None:
        """The step to walk to from `node` instead of running it again.

        The branch that was visited last goes first, also one that a person chose; else what these settings led to,
        with this filter.
        """
        last = self.forward(node)
        if last is not None and self._records[last].chosen_by is ChosenBy.PERSON:
            return self._records[last]
        for child in self._children[node]:
            record = self._records[child]
            filtered_by = record.guarding.output_filter if record.guarding else None
            if record.chosen_by is ChosenBy.PERSON or filtered_by != output_filter:
                continue
            if record.settings.decides_as(settings):
                return record
        return None

    def child_with_token(self, node: int, token_id: int) -> StepRecord | None:
        """The step from `node` to a token, whoever decided for it."""
        for child in self._children[node]:
            record = self._records[child]
            if record.chosen.token_id == token_id:
                return record
        return None

    def _upwards(self, node: int, end: int = PROMPT_NODE) -> Iterator[StepRecord]:
        while node != end:
            yield self._records[node]
            node = self._records[node].parent

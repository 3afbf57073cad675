"""Where the boxes of a tree stand: van der Ploeg's tidy tree for boxes of different sizes.

A. van der Ploeg, "Drawing Non-layered Tidy Trees in Linear Time", Software: Practice and Experience 44 (2014), which
extends Reingold and Tilford (1981) and Buchheim, Jünger and Leipert (2002). Time runs from left to right: a box begins
where its parent ends, so the paper's depth is `start` here, and its breadth `top`. Parents stand in the middle of their
children, subtrees move as close together as their outlines let them, and smaller ones share out the room between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from canopy_desktop.arrays import DoubleArray


def tidy_layout(
    parents: Sequence[int], lengths: Sequence[float], breadths: Sequence[float]
) -> tuple[DoubleArray, DoubleArray]:
    """The starts and tops of all boxes, each (boxes,), from 0.

    `parents` are the numbers of earlier boxes, -1 for the first one, which is the only root; children come in order
    from above. Lengths go with time, breadths across it; gaps are part of them. Raises `ValueError` for anything else.
    """
    if not parents:
        return np.empty(0), np.empty(0)
    if parents[0] != -1 or any(not 0 <= parent < number for number, parent in enumerate(parents[1:], 1)):
        raise ValueError("the first box is the root, and every other one comes after its parent")
    boxes = [_Box(breadth) for breadth in breadths]
    for number, (parent, length) in enumerate(zip(parents, lengths, strict=True)):
        box = boxes[number]
        if parent >= 0:
            box.start = boxes[parent].end
            boxes[parent].children.append(box)
        box.end = box.start + length
    for box in reversed(boxes):
        _place_children(box)
    for box in boxes:
        _settle(box)
    tops = np.array([box.top for box in boxes])
    return np.array([box.start for box in boxes]), tops - tops.min()


@dataclass(slots=True, eq=False)
class _Box:
    """A subtree under way; names as in the paper."""

    breadth: float
    start: float = 0.0
    end: float = 0.0
    children: list[_Box] = field(default_factory=list)
    prelim: float = 0.0  # its place before it is moved
    mod: float = 0.0  # what it and all below it are moved by
    shift: float = 0.0
    change: float = 0.0
    above: _Box | None = None  # threads along the outlines
    below: _Box | None = None
    first: _Box | None = None  # the farthest boxes of both outlines, and the sum of what moves them
    last: _Box | None = None
    first_moved: float = 0.0
    last_moved: float = 0.0
    moved: float = 0.0  # by all that is above it in the tree
    top: float = 0.0

    @property
    def upper(self) -> _Box:
        """The farthest box of the upper outline."""
        return self.first or self

    @property
    def lower(self) -> _Box:
        """The farthest box of the lower outline."""
        return self.last or self

    def next_upper(self) -> _Box | None:
        """What follows on the upper outline."""
        return self.children[0] if self.children else self.above

    def next_lower(self) -> _Box | None:
        """What follows on the lower outline."""
        return self.children[-1] if self.children else self.below


@dataclass(slots=True, eq=False)
class _Reach:
    """A child whose lower outline reaches farther than those after it, and the next such one before it."""

    end: float
    number: int
    next: _Reach | None


def _place_children(box: _Box) -> None:
    """Put the children's finished subtrees side by side, and the box in their middle."""
    children = box.children
    if not children:
        return
    reach = _Reach(children[0].upper.end, 0, None)
    for number in range(1, len(children)):
        end = children[number].lower.end
        _separate(children, number, reach)
        reach = _reached(end, number, reach)
    first, last = children[0], children[-1]
    box.prelim = (first.prelim + first.mod + last.mod + last.prelim + last.breadth) / 2 - box.breadth / 2
    box.first, box.first_moved = first.upper, first.first_moved
    box.last, box.last_moved = last.lower, last.last_moved


def _reached(end: float, number: int, reach: _Reach | None) -> _Reach:
    while reach is not None and end >= reach.end:
        reach = reach.next
    return _Reach(end, number, reach)


def _separate(children: list[_Box], number: int, reach: _Reach) -> None:
    """Move a child down until its upper outline touches nothing of those before it."""
    above: _Box | None = children[number - 1]
    below: _Box | None = children[number]
    at: _Reach = reach
    above_moved, below_moved = children[number - 1].mod, children[number].mod
    while above is not None and below is not None:
        if above.end > at.end and at.next is not None:
            at = at.next
        overlap = (above_moved + above.prelim + above.breadth) - (below_moved + below.prelim)
        if overlap > 0:
            below_moved += overlap
            _move(children, number, at.number, overlap)
        above_end, below_end = above.end, below.end
        if above_end <= below_end:
            above = above.next_lower()
            above_moved += above.mod if above is not None else 0.0
        if above_end >= below_end:
            below = below.next_upper()
            below_moved += below.mod if below is not None else 0.0
    if below is not None:
        _thread_upper(children, number, below, below_moved)
    elif above is not None:
        _thread_lower(children, number, above, above_moved)


def _move(children: list[_Box], number: int, since: int, distance: float) -> None:
    """Move a child, and let those between it and the one that it would have touched share out the room."""
    child = children[number]
    child.mod += distance
    child.first_moved += distance
    child.last_moved += distance
    between = number - since
    if between > 1:
        children[since + 1].shift += distance / between
        child.shift -= distance / between
        child.change -= distance - distance / between


def _thread_upper(children: list[_Box], number: int, goes_on: _Box, moved: float) -> None:
    first = children[0]
    end = first.upper
    end.above = goes_on
    difference = (moved - goes_on.mod) - first.first_moved
    end.mod += difference
    end.prelim -= difference
    first.first, first.first_moved = children[number].upper, children[number].first_moved


def _thread_lower(children: list[_Box], number: int, goes_on: _Box, moved: float) -> None:
    child, before = children[number], children[number - 1]
    end = child.lower
    end.below = goes_on
    difference = (moved - goes_on.mod) - child.last_moved
    end.mod += difference
    end.prelim -= difference
    child.last, child.last_moved = before.lower, before.last_moved


def _settle(box: _Box) -> None:
    """Turn what moved a box into its place, and pass it on to its children."""
    box.moved += box.mod
    box.top = box.prelim + box.moved
    rate = spread = 0.0
    for child in box.children:
        rate += child.shift
        spread += rate + child.change
        child.mod += spread
        child.moved = box.moved

"""Where the tree of branches is drawn: tokens without a fork between them as one text, side by side and in lines.

Lengths are in characters of a font with one width, heights in lines of it, so that no font is needed here.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from canopy_desktop.exploration.branches import BranchKind, BranchNode, BranchTree, BranchWish, branch_tree
from canopy_desktop.exploration.tree_layout import tidy_layout

EDGE = 8.5  # before a text: the line to it, with the probability of its first token
PADDING = 0.7  # of a token's box, both sides together
MARK, DIGIT = 1.8, 0.9  # beside a token: how much is not shown after it
TAIL = 9.0  # after a text that ends here: its cumulative log-probability
PLACE = 5.0  # its place among a search's texts, and how many draws came to it
LINES = (46.0, 36.0, 28.0, 22.0, 18.0, 14.0)  # a text is broken where a line would be longer: the first that fits
WHERE_NONE_FITS = 22.0
LEAST_SCALE = 0.8  # of the picture at which its texts can be read
HEAD_LINES, TAIL_LINES = 4, 3  # of a chain that is too long to be shown whole
GAP = 0.4  # lines between two texts
NAME = 1.0  # the line of a name above a text
PROMPT_WIDTH = 8.0
ELIDED = -1  # as a cell's node: the middle of a long chain


@dataclass(frozen=True, slots=True)
class Cell:
    """A token's place in its text."""

    node: int  # in the tree, or `ELIDED`
    x: float  # from the text's left edge
    line: int
    width: float
    tokens: int = 1  # that it stands for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Twig:
    """A text without a fork. `x` and `y` are those of its first line's box; a name stands above."""

    cells: tuple[Cell, ...]
    parent: int  # the number of the twig before; -1 for the prompt
    x: float
    y: float
    width: float
    lines: int
    tail: float  # what the figures behind its last token take
    named: bool

    @property
    def middle(self) -> float:
        """Where lines to it arrive, and leave it."""
        return self.y + self.lines / 2


@dataclass(frozen=True, slots=True, eq=False)
class BranchPicture:
    """The tree, its twigs, and how large they are together."""

    tree: BranchTree
    twigs: tuple[Twig, ...]
    twig_of: tuple[int, ...] = field(repr=False)  # for each node the number of its twig
    width: float
    height: float

    def cell_of(self, node: int) -> tuple[Twig, Cell]:
        """Where a node is drawn; one in the middle of a long chain stands behind its gap."""
        twig = self.twigs[self.twig_of[node]]
        found = next((cell for cell in twig.cells if cell.node == node), None)
        return twig, found or next(cell for cell in twig.cells if cell.node == ELIDED)


def branch_picture(wish: BranchWish, text_of: Callable[[int], str]) -> BranchPicture:
    """The picture of a tree; `text_of` writes a token in one line."""
    tree = branch_tree(wish, text_of)
    chains = _chains(tree)
    twig_of = [0] * len(tree.nodes)
    for number, chain in enumerate(chains):
        for node in chain:
            twig_of[node] = number
    first, last = [tree.nodes[chain[0]] for chain in chains], [tree.nodes[chain[-1]] for chain in chains]
    parents = [-1, *(twig_of[node.parent] for node in first[1:])]
    written, lengths = _fitting(chains, tree.nodes, parents, last, wish.room)
    widths = [max(cell.x + cell.width for cell in cells) for cells in written]
    lines = [cells[-1].line + 1 for cells in written]
    names = [NAME if node.name else 0.0 for node in first]
    heights = [count + GAP + name for count, name in zip(lines, names, strict=True)]
    starts, tops = tidy_layout(parents, lengths, heights)
    twigs = tuple(
        Twig(
            cells=tuple(written[number]),
            parent=parents[number],
            x=float(starts[number]) + (EDGE if number else 0.0),
            y=float(tops[number]) + names[number],
            width=widths[number],
            lines=lines[number],
            tail=_tail(last[number]),
            named=bool(names[number]),
        )
        for number in range(len(chains))
    )
    right = max(start + length for start, length in zip(starts, lengths, strict=True))
    bottom = max(top + height for top, height in zip(tops, heights, strict=True))
    return BranchPicture(tree, twigs, tuple(twig_of), float(right), float(bottom))


def _fitting(
    chains: Sequence[Sequence[int]],
    nodes: Sequence[BranchNode],
    parents: Sequence[int],
    last: Sequence[BranchNode],
    room: float,
) -> tuple[list[list[Cell]], list[float]]:
    """The texts in the longest lines with which the tree is no longer than the room, and the lengths of all."""
    written: list[list[Cell]] = []
    lengths: list[float] = []
    for line, most in (*((line, room) for line in LINES), (LINES[-1], room / LEAST_SCALE), (WHERE_NONE_FITS, math.inf)):
        written = [_written(chain, nodes, line) for chain in chains]
        lengths = _lengths(parents, [max(cell.x + cell.width for cell in cells) for cells in written], last)
        ends: list[float] = []
        for parent, length in zip(parents, lengths, strict=True):
            ends.append(length + (ends[parent] if parent >= 0 else 0.0))
        if max(ends) <= most:
            break
    return written, lengths


def _lengths(parents: Sequence[int], widths: Sequence[float], last: Sequence[BranchNode]) -> list[float]:
    """From where the line to a text begins to where those to what follows begin.

    What goes on is as long as the pruned texts beside it: so they find room next to it, not beyond all that follows.
    """
    lengths = [
        (0.0 if parent < 0 else EDGE) + width + _tail(node)
        for parent, width, node in zip(parents, widths, last, strict=True)
    ]
    pruned: dict[int, float] = {}
    for parent, length, node in zip(parents, lengths, last, strict=True):
        if node.pruned and not node.children:
            pruned[parent] = max(pruned.get(parent, 0.0), length)
    return [
        max(length, pruned.get(parent, 0.0)) if node.children else length
        for parent, length, node in zip(parents, lengths, last, strict=True)
    ]


def _chains(tree: BranchTree) -> list[list[int]]:
    """Nodes that follow one another without a fork, and look alike; parents before children."""
    chains: list[list[int]] = []
    of: dict[int, int] = {}
    for number, node in enumerate(tree.nodes):
        above = tree.nodes[node.parent] if node.parent >= 0 else None
        if above is not None and _goes_on(above, node):
            of[number] = of[node.parent]
            chains[of[number]].append(number)
        else:
            of[number] = len(chains)
            chains.append([number])
    return chains


def _goes_on(above: BranchNode, node: BranchNode) -> bool:
    if len(above.children) != 1 or above.kind is BranchKind.PROMPT or above.place is not None or node.name:
        return False
    look, before = (node.kind, node.on_way, node.pruned), (above.kind, above.on_way, above.pruned)
    return look == before and node.draws == above.draws


def _tail(node: BranchNode) -> float:
    """What stands after a text: figures of one that ends here, or has a place."""
    if node.pruned:
        return 0.0
    figures = TAIL if not node.children or node.place is not None else 0.0
    return figures + (PLACE if node.place is not None or node.draws else 0.0)


def _written(chain: Sequence[int], nodes: Sequence[BranchNode], longest: float) -> list[Cell]:
    """The tokens of a chain in lines, the middle left out where there are too many."""
    if nodes[chain[0]].kind is BranchKind.PROMPT:
        return [Cell(chain[0], 0.0, 0, PROMPT_WIDTH)]
    cells, x, line = [], 0.0, 0
    for number in chain:
        node = nodes[number]
        width = characters(node.text) + PADDING + mark_width(node)
        if x and x + width > longest:
            x, line = 0.0, line + 1
        cells.append(Cell(number, x, line, width))
        x += width
    if line + 1 <= HEAD_LINES + 1 + TAIL_LINES or nodes[chain[0]].long_open:
        return cells
    return _elided(cells, line + 1, longest)


def _elided(cells: Sequence[Cell], lines: int, longest: float) -> list[Cell]:
    later = lines - TAIL_LINES
    head = [cell for cell in cells if cell.line < HEAD_LINES]
    tail = [
        Cell(cell.node, cell.x, cell.line - later + HEAD_LINES + 1, cell.width) for cell in cells if cell.line >= later
    ]
    return [*head, Cell(ELIDED, 0.0, HEAD_LINES, longest, len(cells) - len(head) - len(tail)), *tail]


def mark_width(node: BranchNode) -> float:
    """What a token's mark takes beside it."""
    return MARK + DIGIT * len(f"{node.folded or node.cut:,}") if node.marked else 0.0


@lru_cache(maxsize=16_384)
def characters(text: str) -> float:
    """How many characters wide a text is: wide ones count twice, combining ones not at all."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)

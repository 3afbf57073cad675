"""One tree of all that followed a prompt: branches, beams and draws. Texts that begin alike share their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from canopy_desktop.decoding.beams import Fate
from canopy_desktop.exploration.records import PROMPT_NODE, StepRecord
from canopy_desktop.exploration.searching import START, Searched, SearchKind

RECORDED = 0


class Ref(NamedTuple):
    """What stands behind a node: a recorded step, or a token of a search."""

    search: int  # its number from 1; `RECORDED` for a step
    number: int  # of the node, or of the token in its search


ROOT = Ref(RECORDED, PROMPT_NODE)


class BranchKind(Enum):
    """Where a node comes from; what is recorded goes before what was searched."""

    PROMPT = "prompt"
    RECORDED = "recorded"
    BEAM = "beam"
    DRAW = "draw"


class PrunedShown(Enum):
    """Which of the candidates that lead nowhere are shown as branches; the others are counted beside their parents."""

    NONE = "none"
    ONCE_KEPT = "once kept"  # those that went on for a step or more
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BranchWish:
    """What the tree follows from. Frozen, so that it can be made on another thread."""

    steps: tuple[StepRecord, ...] = field(default=(), repr=False)  # by node
    cursor: int = PROMPT_NODE
    searches: tuple[Searched, ...] = ()
    names: Mapping[Ref, str] = field(default_factory=dict)
    hidden: frozenset[Ref] = frozenset()  # with all below them
    folded: frozenset[Ref] = frozenset()  # shown without what is below them
    opened: frozenset[Ref] = frozenset()  # the first nodes of long chains that are shown whole
    pruned: PrunedShown = PrunedShown.ONCE_KEPT
    room: float = 150.0  # characters that are side by side on the screen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BranchNode:
    """One token after one text."""

    refs: tuple[Ref, ...]  # one or more
    parent: int  # its number in the tree; -1 for the prompt
    token_id: int
    text: str  # in one line, with marks for whitespace
    kind: BranchKind
    step: int  # tokens from the prompt
    logprob: float  # natural logarithm of what the model assigned to it
    total: float  # of all tokens from the prompt: the cumulative log-probability
    on_way: bool  # between the prompt and where we stand
    pruned: bool  # only searched, and led nowhere
    ended: bool  # with an end token or a stop text, in a search
    draws: int  # how many came through it
    place: int | None  # 1 for the best text of its beam search, which ends here
    score: float | None  # of that text
    name: str
    children: tuple[int, ...]  # that are shown, from above
    cut: int  # pruned children that are not shown
    folded: int  # nodes below it that are folded away
    long_open: bool  # the chain that begins here is shown whole

    @property
    def marked(self) -> bool:
        """Whether it says how much is not shown after it; what a pruned one might have led to is of no interest."""
        return bool(self.folded or (self.cut and not self.pruned))

    @property
    def node(self) -> int | None:
        """The recorded step, the prompt for the root; None where it was only searched."""
        return next((ref.number for ref in self.refs if ref.search == RECORDED), None)


@dataclass(frozen=True, slots=True, eq=False)
class BranchTree:
    """All nodes that are shown, parents before children; the first one is the prompt."""

    nodes: tuple[BranchNode, ...]
    at: Mapping[Ref, int] = field(repr=False)  # the number of the node behind which a reference stands
    cursor: int

    def way_from_recorded(self, number: int) -> tuple[int, tuple[int, ...]]:
        """The nearest recorded node above, itself included, and the token ids from there."""
        ids: list[int] = []
        while (recorded := self.nodes[number].node) is None:
            ids.append(self.nodes[number].token_id)
            number = self.nodes[number].parent
        return recorded, tuple(reversed(ids))


@dataclass(slots=True, eq=False)
class _Draft:
    """A node under way."""

    parent: int
    token_id: int
    kind: BranchKind
    logprob: float
    total: float
    step: int
    refs: list[Ref] = field(default_factory=list)
    alive: bool = False
    kept: bool = False  # in its step
    ended: bool = False
    draws: int = 0
    place: int | None = None
    score: float | None = None
    children: list[int] = field(default_factory=list)


def branch_tree(wish: BranchWish, text_of: Callable[[int], str]) -> BranchTree:
    """The tree that is shown; `text_of` writes a token in one line."""
    drafts = _Drafts(wish)
    return _Shown(wish, drafts, text_of).tree()


class _Drafts:
    """All nodes, also those that are not shown; children in the order in which they came."""

    def __init__(self, wish: BranchWish) -> None:
        self.all = [_Draft(-1, -1, BranchKind.PROMPT, 0.0, 0.0, 0, [ROOT], alive=True)]
        self.at: dict[Ref, int] = {ROOT: 0}
        self._known: dict[tuple[int, int], int] = {}
        self.way = self._add_steps(wish)
        for searched in wish.searches:
            self._add_search(searched, wish.hidden)

    def _add_steps(self, wish: BranchWish) -> set[int]:
        """Returns the numbers of the nodes from the prompt to where we stand, which are never hidden."""
        standing, node = set(), wish.cursor
        while node != PROMPT_NODE:
            standing.add(node)
            node = wish.steps[node].parent
        for step in wish.steps:
            ref = Ref(RECORDED, step.node)
            above = self.at.get(Ref(RECORDED, step.parent))
            if above is None or (ref in wish.hidden and step.node not in standing):
                continue
            number = self._node(above, step.chosen.token_id, BranchKind.RECORDED, step.chosen.raw_logprob, ref)
            self.all[number].alive = True
        return {0, *(self.at[Ref(RECORDED, node)] for node in standing)}

    def _add_search(self, searched: Searched, hidden: frozenset[Ref]) -> None:
        search = searched.wish.number
        start = self.at.get(Ref(RECORDED, searched.wish.node))
        if start is None:
            return
        kind = BranchKind.BEAM if searched.wish.kind is SearchKind.BEAMS else BranchKind.DRAW
        alive = searched.alive()
        for number, token in enumerate(searched.found):
            ref = Ref(search, number)
            above = start if token.parent == START else self.at.get(Ref(search, token.parent))
            if above is None or ref in hidden:
                continue
            draft = self.all[self._node(above, token.token_id, kind, token.logprob, ref)]
            draft.alive = draft.alive or number in alive
            draft.kept = draft.kept or token.fate is not Fate.PRUNED
            draft.ended = draft.ended or token.fate is Fate.FINISHED
            draft.draws += token.draws
        for place, result in enumerate(searched.results, 1):
            ends = self.at.get(Ref(search, result.last))
            if ends is not None and self.all[ends].place is None:
                self.all[ends].place, self.all[ends].score = place, result.score

    def _node(self, above: int, token_id: int, kind: BranchKind, logprob: float, ref: Ref) -> int:
        number = self._known.setdefault((above, token_id), len(self.all))
        if number == len(self.all):
            before = self.all[above]
            before.children.append(number)
            self.all.append(_Draft(above, token_id, kind, logprob, before.total + logprob, before.step + 1))
        self.all[number].refs.append(ref)
        self.at[ref] = number
        return number


class _Shown:
    """Leaves out what is folded or pruned, and numbers the rest anew."""

    def __init__(self, wish: BranchWish, drafts: _Drafts, text_of: Callable[[int], str]) -> None:
        self._wish, self._drafts, self._text_of = wish, drafts.all, text_of
        self._way, self._at = drafts.way, drafts.at
        self._folded = self._numbers(wish.folded)
        self._opened = self._numbers(wish.opened)
        self._names = {drafts.at[ref]: name for ref, name in wish.names.items() if ref in drafts.at}

    def tree(self) -> BranchTree:
        """The nodes in an order that puts a parent before its children."""
        nodes: list[BranchNode] = []
        waiting = [(0, -1)]
        number_of: dict[int, int] = {}
        shown: dict[int, list[int]] = {}
        order: list[tuple[int, int]] = []
        while waiting:
            draft, parent = waiting.pop()
            number_of[draft] = len(order)
            order.append((draft, parent))
            shown[draft] = self._children(draft)
            waiting += [(child, number_of[draft]) for child in reversed(shown[draft])]
        for draft, parent in order:
            nodes.append(self._node(draft, parent, tuple(number_of[child] for child in shown[draft])))
        at = {ref: number_of[draft] for ref, draft in self._at.items() if draft in number_of}
        return BranchTree(tuple(nodes), at, at[self._nearest_shown(number_of)])

    def _nearest_shown(self, number_of: Mapping[int, int]) -> Ref:
        node = self._wish.cursor
        while node != PROMPT_NODE and self._at[Ref(RECORDED, node)] not in number_of:
            node = self._wish.steps[node].parent
        return Ref(RECORDED, node)

    def _children(self, number: int) -> list[int]:
        """Those that are shown. Pruned ones stand above and below the others in turn, so that these go straight on."""
        if number in self._folded:
            return []
        draft = self._drafts[number]
        living = [child for child in draft.children if self._drafts[child].alive]
        pruned = [child for child in draft.children if not self._drafts[child].alive and self._is_shown(child)]
        first = draft.step % 2
        return [*reversed(pruned[1 - first :: 2]), *living, *pruned[first::2]]

    def _is_shown(self, pruned: int) -> bool:
        match self._wish.pruned:
            case PrunedShown.NONE:
                return False
            case PrunedShown.ONCE_KEPT:
                return self._drafts[pruned].kept
            case PrunedShown.ALL:
                return True

    def _node(self, number: int, parent: int, children: Sequence[int]) -> BranchNode:
        draft = self._drafts[number]
        folded = number in self._folded
        return BranchNode(
            refs=tuple(draft.refs),
            parent=parent,
            token_id=draft.token_id,
            text=self._text_of(draft.token_id) if parent >= 0 else "",
            kind=draft.kind,
            step=draft.step,
            logprob=draft.logprob,
            total=draft.total,
            on_way=number in self._way,
            pruned=not draft.alive,
            ended=draft.ended,
            draws=draft.draws,
            place=draft.place,
            score=draft.score,
            name=self._names.get(number, ""),
            children=tuple(children),
            cut=0 if folded else len(draft.children) - len(children),
            folded=self._below(number) if folded else 0,
            long_open=number in self._opened,
        )

    def _below(self, number: int) -> int:
        below, waiting = 0, list(self._drafts[number].children)
        while waiting:
            below += 1
            waiting += self._drafts[waiting.pop()].children
        return below

    def _numbers(self, refs: frozenset[Ref]) -> set[int]:
        return {self._at[ref] for ref in refs if ref in self._at}

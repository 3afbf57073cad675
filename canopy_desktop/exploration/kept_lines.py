"""A kept exploration as lines of JSON, one fact a line, in the order in which they happened.

The same lines stand in a journal, as they come, and in an exploration file. A reader takes nothing on trust: every
value has its type, every number its range, every step its place in the tree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from canopy_desktop.decoding.beams import LARGEST_PENALTY
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings_json import parsed
from canopy_desktop.exploration.codec import FILTER, SETTINGS, BrokenValueError, Codec
from canopy_desktop.exploration.kept import Beginning, KeptExploration, KeptMarks, KeptTokens, in_order, named_ids
from canopy_desktop.exploration.kept_attention import AttentionNote
from canopy_desktop.exploration.records import PROMPT_NODE, UNMADE, StepRecord, WindowSlid
from canopy_desktop.exploration.searching import START, Searched
from canopy_desktop.exploration.tree import Exploration, Stand
from canopy_desktop.exploration.view import TokenRole
from canopy_desktop.model.tokenizer import Token, TokenTable

VERSION = 2  # 1 had neither attention nor searches
MAX_LINE = 16_000_000  # bytes
MAX_STEPS = 100_000
MAX_SLID = 10_000_000  # tokens of all slides together
MAX_WALKED = 20_000_000  # nodes that are passed on all ways from branch to branch
MAX_CONTEXT = 1 << 22
MAX_FOUND = 1_000_000  # tokens of all searches together
MAX_HEADS = 50_000  # of all layers of a model whose attention is kept
_ROLES = frozenset(role.value for role in TokenRole) - {TokenRole.GENERATED.value}
_Number = TypeVar("_Number", int, float)
_SLACK = 1e-6  # of probabilities that were rounded


class LineWriter:
    """Turns what happens into lines; remembers what it has written once and for all."""

    def __init__(self, tokens: TokenTable) -> None:
        self._tokens = tokens
        self._codec = Codec()
        self._known: set[int] = set()
        self._searched: dict[int, Searched] = {}

    def beginning(self, beginning: Beginning) -> Iterator[bytes]:
        """The first lines."""
        value = self._codec.encode(beginning)
        yield _line("canopy", VERSION)
        yield from self._news(beginning.prompt.ids)
        yield _line("beginning", value)

    def prefilled(self, ms: float) -> Iterator[bytes]:
        """The prompt has passed through the model."""
        yield _line("prefilled", ms)

    def event(self, event: StepRecord | WindowSlid) -> Iterator[bytes]:
        """A step that was taken, or a slide of the window."""
        value = self._codec.encode(event)
        if isinstance(event, StepRecord):
            del value["source"]
            yield from self._news(named_ids(event))
            yield _line("step", value)
        else:
            value["slots"] = len(event.slots)
            yield _line("slide", value)

    def stand(self, stand: Stand) -> Iterator[bytes]:
        """Where one stands in the end."""
        yield _line("stand", self._codec.encode(stand))

    def went_to(self, node: int) -> Iterator[bytes]:
        """A person, or a run along what is recorded, went to a node."""
        yield _line("went_to", node)

    def left_branch(self, node: int) -> Iterator[bytes]:
        """A person stands on a node with no branch ahead."""
        yield _line("left_branch", node)

    def marks(self, marks: KeptMarks) -> Iterator[bytes]:
        """What a person made of the branches by now."""
        yield _line("marks", self._codec.encode(marks))

    def searches(self, shown: Iterable[Searched]) -> Iterator[bytes]:
        """The searches that lie over the tree now; those of before are taken away, or stay."""
        wanted = {searched.wish.number: searched for searched in shown}
        staying = {number: one for number, one in self._searched.items() if wanted.get(number) is one}
        if len(staying) < len(self._searched):
            yield _line("searches", list(staying))
        self._searched = wanted
        for number, searched in wanted.items():
            if number not in staying:
                value = self._codec.encode(replace(searched, wish=replace(searched.wish, text=History())))
                del value["wish"]["text"]
                yield from self._news(token.token_id for token in searched.found)
                yield _line("search", value)

    def attention(self, note: AttentionNote) -> Iterator[bytes]:
        """Whose attention is kept beside these lines; the last one."""
        yield _line("attention", self._codec.encode(note))

    def whole(self, kept: KeptExploration) -> Iterator[bytes]:
        """All lines of an exploration but that of its attention."""
        yield from self.beginning(kept.beginning)
        if kept.prefill_ms is not None:
            yield from self.prefilled(kept.prefill_ms)
        for event in in_order(kept.steps, kept.slides):
            yield from self.event(event)
        yield from self.searches(kept.searches)
        yield from self.marks(kept.marks)
        yield from self.stand(kept.stand)

    def _news(self, ids: Iterable[int]) -> Iterator[bytes]:
        for name, value in self._codec.news():
            yield _line(name, value)
        fresh = sorted(set(ids) - self._known)
        if fresh:
            self._known.update(fresh)
            tokens = self._tokens.tokens(fresh)
            yield _line("tokens", [[token.id, token.data.hex(), token.special] for token in tokens])


class LineReader:
    """Builds an exploration from lines. Each call raises `BrokenValueError` for a line that does not belong there."""

    def __init__(self) -> None:
        self.attention: AttentionNote | None = None  # whose attention has to be beside the lines
        self._codec = Codec()
        self._tokens: dict[int, Token] = {}
        self._beginning: Beginning | None = None
        self._tree: Exploration | None = None
        self._prefill_ms: float | None = None
        self._marks = KeptMarks()
        self._searches: dict[int, Searched] = {}
        self._found = 0  # tokens of these
        self._slid = 0
        self._walked = 0
        self._first = True

    def take(self, line: bytes) -> None:
        """The next line, without its end."""
        try:
            stored = parsed(line.decode("ascii"))
        except ValueError as error:
            raise BrokenValueError("it is no JSON") from error
        if not isinstance(stored, dict) or len(stored) != 1:
            raise BrokenValueError("it says not one thing")
        ((name, value),) = stored.items()
        if self._first != (name == "canopy"):
            raise BrokenValueError("it does not begin as an exploration does")
        self._first = False
        match name:
            case "canopy":
                if type(value) is not int or not 1 <= value <= VERSION:
                    raise BrokenValueError("it is of another version")
            case "tokens":
                self._take_tokens(value)
            case _ if name in (SETTINGS, FILTER):
                self._codec.learn(name, value)
            case "beginning":
                self._begin(self._codec.decode(value, Beginning))
            case _:
                self._take_event(name, value)

    def found(self) -> KeptExploration:
        """What was read. Raises `BrokenValueError` where it has no beginning."""
        if self._beginning is None or self._tree is None:
            raise BrokenValueError("it has no beginning")
        return KeptExploration(
            beginning=self._beginning,
            prefill_ms=self._prefill_ms,
            steps=self._tree.steps,
            slides=self._tree.all_slides,
            stand=self._tree.stand,
            marks=self._marks.of(self._searches.values()),
            searches=tuple(self._searches[number] for number in sorted(self._searches)),
            tokens=KeptTokens(self._tokens.values()),
        )

    def _take_event(self, name: str, value: Any) -> None:
        tree, codec = self._exploring(), self._codec
        if self.attention is not None:
            raise BrokenValueError("something comes after its attention")
        match name:
            case "prefilled":
                self._prefill_ms = _ranged(codec.decode(value, float), 0, float("inf"))
            case "step":
                self._add_step(tree, _with(value, source=UNMADE))
            case "slide":
                self._add_slide(tree, value)
            case "stand":
                stand = codec.decode(value, Stand)
                try:
                    tree.stand_on(stand)
                except LookupError as error:
                    raise BrokenValueError("nobody can stand there") from error
            case "went_to":
                tree.go_to(self._reached(value))
            case "left_branch":
                tree.leave_branch(self._reached(value))
            case _:
                self._take_beside(tree, name, value)

    def _take_beside(self, tree: Exploration, name: str, value: Any) -> None:
        """What lies over the tree, or stands beside the lines."""
        codec = self._codec
        match name:
            case "marks":
                self._marks = codec.decode(value, KeptMarks)
                for node in (*self._marks.hidden, *(node for node, _ in self._marks.names)):
                    self._node(node)
            case "search":
                self._add_search(tree, value)
            case "searches":
                staying = set(codec.decode(value, tuple[int, ...]))
                self._searches = {number: one for number, one in self._searches.items() if number in staying}
                self._found = sum(len(one.found) for one in self._searches.values())
            case "attention":
                self._note_attention(tree, codec.decode(value, AttentionNote))
            case _:
                raise BrokenValueError(f"nothing is called {name!r:.40}")

    def _take_tokens(self, value: object) -> None:
        for token_id, data, special in self._codec.decode(value, tuple[tuple[int, bytes, bool], ...]):
            _ranged(token_id, 0, MAX_CONTEXT)
            self._tokens[token_id] = Token(token_id, data.decode("utf-8", "replace"), data, special)

    def _begin(self, beginning: Beginning) -> None:
        prompt = beginning.prompt
        if self._beginning is not None:
            raise BrokenValueError("it begins twice")
        if not prompt.ids or prompt.text != "".join(part.text for part in prompt.parts):
            raise BrokenValueError("its parts are not its prompt")
        if prompt.ids != tuple(token_id for part in prompt.parts for token_id in part.ids):
            raise BrokenValueError("its parts are not its tokens")
        if any(part.role not in _ROLES for part in prompt.parts):
            raise BrokenValueError("a part of the prompt is nobody's")
        if any(not 0 <= lost.byte < 256 or lost.offset < 0 for lost in prompt.lost):
            raise BrokenValueError("a lost byte is none")
        _ranged(beginning.context, len(prompt.ids), MAX_CONTEXT)
        _ranged(beginning.kept, 0, len(prompt.ids))
        self._check_known(prompt.ids)
        self._beginning, self._tree = beginning, Exploration(prompt)

    def _add_step(self, tree: Exploration, value: object) -> None:
        step = self._codec.decode(value, StepRecord)
        if step.node != len(tree) or len(tree) >= MAX_STEPS:
            raise BrokenValueError("it is not the next step")
        if step.parent != tree.cursor:
            self._reached(step.parent)
        depth = tree.depth(step.parent)
        if (step.index, step.position) != (depth + 1, len(tree.prompt.ids) + depth):
            raise BrokenValueError("it stands in another place")
        self._check_known(named_ids(step))
        _check_figures(step)
        tree.add(step)

    def _add_slide(self, tree: Exploration, value: object) -> None:
        count = _ranged(self._codec.decode(_entry(value, "slots"), int), 1, MAX_CONTEXT)
        slide = self._codec.decode(_with(value, slots=[]), WindowSlid)
        before = tree.dropped(self._node(slide.node))
        length = len(tree.prompt.ids) + tree.depth(slide.node)
        first = before.stop if before else slide.kept
        kept = before.start if before else slide.kept
        self._slid += count
        if (slide.kept, slide.first) != (kept, first) or not 0 <= slide.kept <= len(tree.prompt.ids):
            raise BrokenValueError("it slides from another place")
        if slide.last < slide.first or count != length - slide.last - 1 or self._slid > MAX_SLID:
            raise BrokenValueError("it slides to another place")
        _ranged(slide.ms, 0, float("inf"))
        try:
            tree.add_slide(replace(slide, slots=(UNMADE,) * count))
        except ValueError as error:
            raise BrokenValueError("it slides too late") from error

    def _add_search(self, tree: Exploration, value: object) -> None:
        wish = _with(_entry(value, "wish"), text={"prompt": [], "generated": [], "end_ids": []})
        searched = self._codec.decode(_with(value, wish=wish), Searched)
        number = _ranged(searched.wish.number, 1, MAX_CONTEXT)
        text = tree.window_history(self._reached(searched.wish.node), ())
        self._check_known(token.token_id for token in searched.found)
        _check_search(searched)
        before = self._searches.get(number)
        self._found += len(searched.found) - (len(before.found) if before else 0)
        if self._found > MAX_FOUND:
            raise BrokenValueError("its searches found too much")
        self._searches[number] = replace(searched, wish=replace(searched.wish, text=text))

    def _note_attention(self, tree: Exploration, note: AttentionNote) -> None:
        _ranged(note.tokens, 1, tree.window_length(self._node(note.node)))
        _ranged(note.architecture.layers * note.architecture.heads, 1, MAX_HEADS)
        self.attention = note

    def _exploring(self) -> Exploration:
        if self._tree is None:
            raise BrokenValueError("something happens before its beginning")
        return self._tree

    def _node(self, value: object) -> int:
        return _ranged(self._codec.decode(value, int), PROMPT_NODE, len(self._exploring()) - 1)

    def _reached(self, value: object) -> int:
        """A node to which one goes."""
        node = self._node(value)
        self._walked += self._exploring().depth(node)
        if self._walked > MAX_WALKED:
            raise BrokenValueError("it goes to and fro too often")
        return node

    def _check_known(self, ids: Iterable[int]) -> None:
        if any(token_id not in self._tokens for token_id in ids):
            raise BrokenValueError("it names a token that is not there")


def _check_figures(step: StepRecord) -> None:
    """Raise `BrokenValueError` for a number that no step has."""
    shares = [step.low, step.high, *(one.probability for one in (step.chosen, *step.candidates))]
    shares += [] if step.uniform is None else [step.uniform]
    for share in shares:
        _ranged(share, 0, 1 + _SLACK)
    for one in (step.chosen, *step.candidates):
        _ranged(one.raw_logprob, -1e6, _SLACK)
    _ranged(step.vocabulary, 1, MAX_CONTEXT)
    _ranged(step.rank, 1, step.vocabulary)
    _ranged(step.rank_after or 1, 1, step.vocabulary)
    _ranged(step.kept, 0, step.vocabulary)
    _ranged(step.entropy_bits, -_SLACK, 64)
    _ranged(step.total_logprob, -1e12, 1)
    _ranged(step.ms, 0, float("inf"))


def _check_search(searched: Searched) -> None:
    """Raise `BrokenValueError` for a number that no search has."""
    wish, size = searched.wish, len(searched.found)
    if searched.busy:
        raise BrokenValueError("a search has no end")
    _ranged(wish.count, 1, MAX_CONTEXT)
    _ranged(wish.penalty, -LARGEST_PENALTY, LARGEST_PENALTY)
    for number in (searched.done, searched.total):
        _ranged(number, 0, MAX_CONTEXT)
    for number, token in enumerate(searched.found):
        _ranged(token.parent, START, number - 1)
        _ranged(token.logprob, -1e6, _SLACK)
        _ranged(token.draws, 0, wish.count)
    for last in (*searched.going, *(result.last for result in searched.results)):
        _ranged(last, 0, size - 1)


def _ranged(value: _Number, low: float, high: float) -> _Number:
    if not low <= value <= high:
        raise BrokenValueError(f"{value!r:.40} is not from {low} to {high}")
    return value


def _entry(value: object, name: str) -> object:
    if not isinstance(value, Mapping) or name not in value:
        raise BrokenValueError(f"it has no {name}")
    return value[name]


def _with(value: object, **entries: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise BrokenValueError("it is no object")
    return {**value, **entries}


def _line(name: str, value: object) -> bytes:
    return json.dumps({name: value}, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"

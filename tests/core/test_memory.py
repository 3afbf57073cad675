"""What is kept and where: branches share columns, memory keeps to its budget, and what had to go is made again."""

import argparse
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canopy_desktop.arrays import AnyArray, FloatArray, IntArray
from canopy_desktop.commands.loading import open_session
from canopy_desktop.errors import ColumnsGoneError, InterruptedStepError, OutOfMemoryError
from canopy_desktop.exploration.budget import MOST_BYTES, UNLIMITED, automatic_budget
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.passes import pass_end, pass_with, passes_again
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.cache import Cache
from canopy_desktop.model.decoder import PassColumns
from canopy_desktop.model.device import on_host
from tests.core.engine import left_by, one_by_one, prefill, session_of
from tests.reference import fixtures
from tests.support.scripted import ARCHITECTURE

PLENTY = 10**9
EVERYTHING = 10**15
COLUMN = ColumnStore(ARCHITECTURE).bytes_per_column + ARCHITECTURE.kv_bytes_per_token


def following(state: int, token_id: int, alone: bool) -> int:
    """What the fake makes of a token after a text: differs by way, as rounding does."""
    return (31 * state + 7 * token_id + alone) % 100_003


class ChainDecoder:
    """Every key, value and column follows from the key before it in the cache: what is lost or misplaced shows."""

    def __init__(self) -> None:
        self.architecture = ARCHITECTURE
        self.context = ARCHITECTURE.context
        self.cache = Cache(ARCHITECTURE, self.context)
        self.length = 0
        self.passes_left: int | None = None

    def feed(self, token_ids: Sequence[int], *, bias=None) -> tuple[FloatArray, PassColumns]:
        self.reserve(self.length + len(token_ids))
        self.length += len(token_ids)
        columns = self._pass(self.length - len(token_ids), token_ids)
        return on_host(columns.last[-1]), columns

    def replay(self, first: int, token_ids: Sequence[int], *, bias=None) -> PassColumns:
        assert first + len(token_ids) <= self.length
        if self.passes_left is not None:
            if self.passes_left == 0:
                raise InterruptedStepError
            self.passes_left -= 1
        return self._pass(first, token_ids)

    def reserve(self, length: int) -> None:
        self.cache.reserve(length, self.length)

    def truncate(self, length: int) -> None:
        self.length = length

    def _pass(self, first: int, token_ids: Sequence[int]) -> PassColumns:
        states = []
        for position, token_id in enumerate(token_ids, first):
            before = int(self.cache.keys[0][0, 0, position - 1, 0]) if position else 0
            states.append(following(before, token_id, len(token_ids) == 1))
            for number, buffer in enumerate(self.cache.buffers):
                buffer[0, :, position] = states[-1] + number
        return left_by(ARCHITECTURE, np.array(states, np.float32))


class Explorer:
    """Drives a sequence, and remembers what every column must be."""

    def __init__(self, budget: int) -> None:
        self.sequence = TokenSequence(ChainDecoder(), ColumnStore(ARCHITECTURE), budget=budget)
        self.states: dict[int, int] = {}  # by slot
        self.texts: list[IntArray] = []

    @property
    def columns(self) -> ColumnStore:
        return self.sequence.columns

    def feed(self, *token_ids: int) -> IntArray:
        held = self.sequence.slots
        state = self.states[int(held[-1])] if held.size else 0
        for token_id, slot in zip(token_ids, self.sequence.feed(token_ids)[0], strict=True):
            self.states[slot] = state = following(state, token_id, len(token_ids) == 1)
        self.texts.append(self.sequence.slots.copy())
        return self.texts[-1]

    def wanted(self, slots: IntArray) -> list[int]:
        return [self.states[int(slot)] for slot in slots]

    def check(self) -> None:
        """The text in hand has its keys and values; what is counted is there; the budget holds, or all has gone."""
        slots, made = self.sequence.slots, np.array(sorted(self.states))
        for number, buffer in enumerate(self.sequence.decoder.cache.buffers):
            assert buffer[0, 1, : slots.size, 0].tolist() == [state + number for state in self.wanted(slots)]
        assert self.columns.residuals(made, -1)[:, 0].tolist() == self.wanted(made)
        there = {kind: ~self.columns.gone(made, kind) for kind in Kept}
        kept = sum(int(there[kind].sum()) * self.columns.bytes_of[kind] for kind in Kept)
        fixed = made.size * self.columns.bytes_of_last + slots.size * ARCHITECTURE.kv_bytes_per_token
        assert self.sequence.bytes == kept + fixed + self.columns.swap.bytes
        filling = self.columns.locate(int(made[-1]))[0].first
        older = np.count_nonzero(made < filling)
        if self.sequence.bytes > self.sequence.budget:
            assert not any(part[:older].any() for part in there.values())


def test_branches_share_columns_up_to_their_fork() -> None:
    explorer = Explorer(PLENTY)
    first = explorer.feed(*range(100))
    for token_id in range(50):
        explorer.sequence.go_to(first)
        explorer.feed(token_id)
    assert len(explorer.states) == 150
    assert explorer.columns.bytes <= 150 * COLUMN + 128 * ARCHITECTURE.kv_bytes_per_token


def test_keys_and_values_are_kept_once_however_often_one_goes_to_and_fro() -> None:
    explorer = Explorer(PLENTY)
    start = explorer.feed(*range(5))
    one = explorer.feed(*range(150))
    explorer.sequence.go_to(start)
    other = explorer.feed(*range(50, 200))
    taken = []
    for text in (one, other, one, start, one, other[:40], one) * 2:
        explorer.sequence.go_to(text)
        explorer.check()
        taken.append(explorer.columns.swap.bytes // ARCHITECTURE.kv_bytes_per_token)
    assert taken[2] == 150
    assert taken[-1] == taken[len(taken) // 2] <= 150 + 150


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("one"), st.integers(0, 5), st.integers(1, 20)),
            st.tuples(st.just("chunk"), st.integers(2, 40), st.integers(0, 5)),
            st.tuples(st.just("go"), st.integers(0, 99), st.integers(1, 100)),
            st.tuples(st.just("remake"), st.sampled_from(list(Kept)), st.integers(0, 99)),
        ),
        max_size=30,
    ),
    st.integers(0, 300),
)
@settings(deadline=None, max_examples=300)
def test_going_anywhere_and_generating_equals_never_having_left_on_any_budget(actions, columns: int) -> None:
    explorer = Explorer(columns * COLUMN)
    explorer.feed(1, 2)
    for action, one, other in actions:
        text = explorer.texts[(other if action == "remake" else one) % len(explorer.texts) if action != "one" else 0]
        room = ARCHITECTURE.context - len(explorer.sequence)
        match action:
            case "one":
                for _ in range(min(other, room)):
                    explorer.feed(one)
            case "chunk" if one <= room:
                explorer.feed(*range(other, other + one))
            case "go":
                explorer.sequence.go_to(text[: max(2, text.size * other // 100)])
            case "remake":
                for _ in explorer.sequence.remake(text, one):
                    pass
                layer = 1
                read = explorer.columns.queries if one is Kept.QUERIES else explorer.columns.residuals
                assert read(text, layer)[:, 0].tolist() == explorer.wanted(text)
                continue  # what was asked for may be more than the budget
        explorer.check()


def test_far_branches_go_first_and_residuals_before_queries() -> None:
    explorer = Explorer(PLENTY)
    start = explorer.feed(1, 2)
    parts = {"start": start}
    for name in ("left first", "left last", "current"):
        explorer.sequence.go_to(start)
        parts[name] = explorer.feed(3, 4)[2:]
    parts["filling"] = explorer.feed(5)[-1:]
    went, there = [], set()
    while True:
        gone = {
            (name, kind) for name, slots in parts.items() for kind in Kept if explorer.columns.gone(slots, kind).all()
        }
        went += sorted(gone - there, key=str)
        there = gone
        if explorer.columns.evict(1, explorer.sequence.slots):
            break
    residuals, queries = Kept.RESIDUALS, Kept.QUERIES
    assert went == [
        ("left first", residuals), ("left last", residuals), ("left first", queries), ("left last", queries),
        ("start", residuals), ("current", residuals), ("start", queries), ("current", queries),
    ]  # fmt: skip


def test_a_budget_that_cannot_hold_is_exceeded_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    explorer = Explorer(0)
    with caplog.at_level(logging.WARNING):
        for token_id in range(100):
            explorer.feed(token_id)
            explorer.check()
    assert len(caplog.records) == 1
    assert explorer.sequence.bytes > 0


def test_memory_that_holds_nothing_is_given_back_before_anything_is_lost() -> None:
    explorer = Explorer(PLENTY)
    start = explorer.feed(*range(2))
    text = explorer.feed(*range(200))
    explorer.sequence.go_to(start)
    explorer.sequence.go_to(text)
    assert explorer.columns.swap.bytes > 0
    explorer.sequence.budget = explorer.sequence.bytes - 1
    explorer.feed(1)
    assert explorer.columns.swap.bytes == 0
    assert not any(explorer.columns.gone(text, kind).any() for kind in Kept)


def test_what_is_gone_is_told_from_what_is_forgotten() -> None:
    explorer = Explorer(PLENTY)
    text = explorer.feed(1, 2, 3)
    text = explorer.feed(4, 5)
    explorer.feed(6)
    explorer.columns.evict(EVERYTHING, text)
    with pytest.raises(ColumnsGoneError) as caught:
        explorer.columns.queries(text, 0)
    assert (caught.value.what, caught.value.tokens) == ("queries", 5)
    with pytest.raises(ColumnsGoneError, match="residuals of 2 tokens"):
        explorer.columns.residuals(text[3:], 2)
    assert explorer.columns.residuals(text, -1)[:, 0].tolist() == explorer.wanted(text)
    assert explorer.columns.residuals(text, ARCHITECTURE.layers)[:, 0].tolist() == explorer.wanted(text)
    explorer.sequence.forget()
    with pytest.raises(LookupError):
        explorer.columns.queries(text, 0)
    assert explorer.sequence.keys(text, 0, 0) is None


def test_an_interrupted_remake_keeps_what_it_made_and_is_taken_up_again() -> None:
    explorer = Explorer(PLENTY)
    text = explorer.feed(*range(70))
    for token_id in range(70):
        text = explorer.feed(token_id)
    left = text.copy()
    explorer.sequence.go_to(text[:70])
    explorer.feed(*range(60))  # in a block of their own: the one that is filled is never evicted
    explorer.columns.evict(EVERYTHING, explorer.sequence.slots)
    explorer.sequence.decoder.passes_left = 5
    made = []
    with pytest.raises(InterruptedStepError):
        made.extend(explorer.sequence.remake(left, Kept.QUERIES))
    assert made == [(70, 140), (71, 140), (72, 140), (73, 140), (74, 140)]
    assert np.flatnonzero(explorer.columns.gone(left, Kept.QUERIES)).tolist() == list(range(74, 140))
    explorer.sequence.decoder.passes_left = None
    assert list(explorer.sequence.remake(left, Kept.QUERIES)) == [(done, 66) for done in range(1, 67)]
    assert explorer.columns.queries(left, 2)[:, 0].tolist() == explorer.wanted(left)
    assert explorer.columns.gone(left, Kept.RESIDUALS).sum() == 140
    explorer.check()


def test_what_was_made_again_goes_last() -> None:
    explorer = Explorer(PLENTY)
    start = explorer.feed(1, 2)
    texts = []
    for _ in range(3):
        explorer.sequence.go_to(start)
        texts.append(explorer.feed(3, 4))
    explorer.sequence.go_to(start)
    explorer.feed(5)
    explorer.columns.evict(EVERYTHING, explorer.sequence.slots)
    for text in (texts[0], texts[2], texts[1]):
        list(explorer.sequence.remake(text, Kept.QUERIES))
    explorer.sequence.go_to(start)
    went = []
    for _ in texts:
        explorer.columns.evict(1, explorer.sequence.slots)
        went.append([bool(explorer.columns.gone(text[2:], Kept.QUERIES).all()) for text in texts])
    assert went == [[True, False, False], [True, False, True], [True, True, True]]


SMALL, LARGE = 64, 256  # numbers of a head


def ends_of(*counts: int) -> np.ndarray:
    """What the columns of passes of so many tokens remember."""
    lasts = np.cumsum(counts)
    return np.concatenate(
        [np.full(count, pass_end(int(last) - count, count)) for count, last in zip(counts, lasts, strict=True)]
    )


def test_passes_are_cut_as_the_columns_were_made() -> None:
    ends = ends_of(300, 1, 1, 1, 2)
    everything = np.ones(305, np.bool_)
    singles = [(300, 301), (301, 302), (302, 303), (303, 305)]
    assert passes_again(everything, ends, SMALL) == [(0, 256), (256, 300), *singles]
    some = np.zeros(305, np.bool_)
    some[[0, 5, 6, 299, 300, 302]] = True
    for head_size in (SMALL, LARGE):
        assert passes_again(some, ends, head_size) == [(0, 1), (5, 7), (299, 300), (300, 301), (302, 303)]
        assert passes_again(some[:0], ends[:0], head_size) == []
    assert passes_again(everything, ends_of(256, 44, 1, 1, 1, 2), LARGE) == [(0, 256), (256, 300), *singles]
    assert passes_again(everything[:90], ends_of(40, 50), LARGE) == [(0, 40), (40, 90)]
    assert passes_again(everything[:90], ends_of(40, 50), SMALL) == [(0, 90)]


def test_a_column_passes_again_with_a_neighbour_or_with_large_heads_to_the_end_of_its_pass() -> None:
    ends = ends_of(40, 1, 215, 44)
    pairs = {0: (0, 2), 39: (38, 40), 40: (40, 41), 41: (41, 43), 255: (254, 256), 256: (255, 257), 299: (298, 300)}
    assert {at: pass_with(at, at + 1, ends, SMALL) for at in pairs} == pairs
    to_the_end = {
        0: (0, 40),
        39: (38, 40),
        40: (40, 41),
        41: (41, 256),
        127: (126, 256),
        255: (254, 256),
        256: (256, 300),
    }
    assert {at: pass_with(at, at + 1, ends, LARGE) for at in to_the_end} == to_the_end
    for at in range(ends.size):
        first, last = pass_with(at, at + 1, ends, LARGE)
        assert len(set(ends[first:last])) == 1
        assert last - first == 1 or (last - first) % 128 != 1
    cut = ends[:1]
    assert pass_with(0, 1, cut, SMALL) == pass_with(0, 1, cut, LARGE) == (0, 1)


def test_without_memory_for_the_move_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = Explorer(PLENTY)
    start = explorer.feed(*range(2))
    text = explorer.feed(*range(60))

    def full(*args: object, **options: object) -> AnyArray:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(np, "empty", full)
        with pytest.raises(OutOfMemoryError):
            explorer.sequence.go_to(start)
    assert np.array_equal(explorer.sequence.slots, text)
    explorer.check()
    explorer.sequence.go_to(start)
    explorer.check()


def test_the_automatic_budget_is_a_quarter_of_what_is_free_and_at_most_2_gb() -> None:
    free = psutil.virtual_memory().available
    assert MOST_BYTES == 2_000_000_000
    assert automatic_budget() == pytest.approx(min(MOST_BYTES, free / 4), rel=0.2)
    sequence = TokenSequence(ChainDecoder(), ColumnStore(ARCHITECTURE))
    sequence.budget = 0
    sequence.forget()
    assert sequence.budget == pytest.approx(automatic_budget(), rel=0.2)
    given = TokenSequence(ChainDecoder(), ColumnStore(ARCHITECTURE), budget=5)
    given.forget()
    assert given.budget == 5


def test_a_reader_sees_a_column_as_it_is_or_not_at_all_while_everything_moves() -> None:
    explorer = Explorer(PLENTY)
    sequence = explorer.sequence
    start = explorer.feed(*range(10))
    one = explorer.feed(*range(30))
    sequence.go_to(start)
    other = explorer.feed(*range(50, 70))
    wanted = {text.size: np.array(explorer.wanted(text), np.float32) for text in (one, other)}
    ended, seen, wrong = threading.Event(), set(), []

    def read() -> None:
        while not ended.is_set():
            for text in (one, other):
                generation = sequence.generation
                keys = sequence.keys(text, 2, 1)
                found = None if keys is None else keys[:, 1].copy()
                if found is not None and sequence.generation == generation:
                    seen.add("keys")
                    if not np.array_equal(found, wanted[text.size] + 2):
                        wrong.append("keys")
                try:
                    queries = sequence.columns.queries(text, 1)[:, 0].copy()
                except ColumnsGoneError:
                    seen.add("gone")
                    continue
                seen.add("queries")
                if not np.array_equal(queries, wanted[text.size]):
                    wrong.append("queries")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(150):
            sequence.go_to((one, other, start)[turn % 3])
            sequence.columns.evict(EVERYTHING, sequence.slots)
            for text in (one, other):
                list(sequence.remake(text, Kept.QUERIES))
    finally:
        ended.set()
        reader.join()
    assert not wrong
    assert seen == {"keys", "queries", "gone"}


@pytest.fixture
def session(built_model: Path) -> Iterator[ModelSession]:
    session = session_of(built_model)
    budget = session.sequence.budget
    yield session
    session.sequence.budget = budget
    session.sequence.forget()


@pytest.fixture
def ids() -> tuple[int, ...]:
    return fixtures.prompt_logits("prose").ids


def everything(session: ModelSession, slots: IntArray) -> list[FloatArray]:
    """All that is kept of a text: queries, residuals, keys and values of all layers."""
    sequence, a = session.sequence, session.card.architecture
    heads = [(layer, head) for layer in range(a.layers) for head in range(a.kv_heads)]
    return [
        *(sequence.columns.queries(slots, layer) for layer in range(a.layers)),
        *(sequence.columns.residuals(slots, row) for row in range(a.layers + 1)),
        *(read(slots, *head).copy() for read in (sequence.keys, sequence.values) for head in heads),
    ]


def remake(session: ModelSession, slots: IntArray) -> list[tuple[int, int]]:
    return [list(session.sequence.remake(slots, kind))[-1] for kind in Kept]


@pytest.mark.parametrize("left", [False, True])
def test_what_is_made_again_has_the_same_bits(session: ModelSession, ids, left: bool) -> None:
    sequence = session.sequence
    prefill(session, ids[:300])
    one_by_one(session, ids[300:306])
    sequence.feed(ids[306:310])  # as after a slide
    one_by_one(session, ids[310:312])
    text = sequence.slots.copy()
    before = everything(session, text)
    if left:
        sequence.go_to(text[:20])
    one_by_one(session, ids[312:380])  # beyond the end of a block: the one that is filled is never evicted
    current = sequence.slots.copy()
    session.sequence.columns.evict(EVERYTHING, sequence.slots)
    assert sequence.columns.gone(text, Kept.QUERIES).all()
    assert remake(session, text) == [(text.size, text.size)] * 2
    assert all(map(np.array_equal, everything(session, text), before))
    sequence.go_to(current)
    after = one_by_one(session, ids[40:44])
    prefill(session, ids[:300])
    if left:
        sequence.go_to(sequence.slots[:20].copy())
    else:
        one_by_one(session, ids[300:306])
        sequence.feed(ids[306:310])
        one_by_one(session, ids[310:312])
    one_by_one(session, ids[312:380])
    assert np.array_equal(one_by_one(session, ids[40:44]), after)


def test_the_only_column_of_a_chunk_that_is_gone_takes_a_neighbour_of_the_next_block(
    session: ModelSession, ids
) -> None:
    sequence = session.sequence
    sequence.forget()
    sequence.feed(ids[:40])
    sequence.feed(ids[40:70])
    text = sequence.slots[:41].copy()
    one_by_one(session, ids[70:71])
    before = everything(session, text)
    sequence.columns.evict(EVERYTHING, sequence.slots)
    list(sequence.remake(text[:40], Kept.QUERIES))
    list(sequence.remake(text[:40], Kept.RESIDUALS))
    assert list(sequence.remake(text, Kept.QUERIES)) == [(1, 1)]
    assert list(sequence.remake(text, Kept.RESIDUALS)) == [(1, 1)]
    assert all(map(np.array_equal, everything(session, text), before))


def test_generating_after_evictions_gives_the_bits_of_never_having_left(session: ModelSession, ids) -> None:
    sequence = session.sequence
    prefill(session, ids[:30])
    fork = sequence.slots.copy()
    straight = one_by_one(session, ids[30:42])
    sequence.forget()
    sequence.budget = 0
    prefill(session, ids[:30])
    fork = sequence.slots.copy()
    first = one_by_one(session, ids[30:36])
    branch = sequence.slots.copy()
    for start in (50, 60, 70):
        sequence.go_to(fork)
        one_by_one(session, ids[start : start + 8])
    sequence.go_to(branch)
    assert np.array_equal(np.concatenate([first, one_by_one(session, ids[36:42])]), straight)


def test_a_command_keeps_all_of_its_text(built_model: Path) -> None:
    arguments = argparse.Namespace(provider="cpu")
    assert open_session(Bundle.open(built_model), arguments, 10).sequence.budget == UNLIMITED

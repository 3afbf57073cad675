"""What is kept is what was, and an exploration that was reopened goes on as one that was never closed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canopy_desktop.decoding.output_filter import FilterAction, FilterFailure, FilterHit, FilterList, OutputFilter
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration import storage
from canopy_desktop.exploration.codec import Codec
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.kept import KeptMarks
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    UNMADE,
    Candidate,
    ChosenBy,
    EndFigures,
    Guarding,
    Kept,
    Rejection,
    ReplayProgress,
    StepRecord,
)
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.view import Readings, Selection, ViewResolver
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from tests.core import tiny
from tests.core.engine import session_of
from tests.support.keeping import begin, beginning, chosen, facts, kept, lines_of, reread, run
from tests.support.records import step_record

HOT = DecodingSettings(temperature=1.5, top_k=30, seed=5, max_tokens=12)
SLIDING = ContextWindow(size=16, when_full=WhenFull.SLIDE)
REDRAWN = OutputFilter(FilterList.parse("the\n\n/a+b/"), FilterAction.REDRAW)

actions = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 9)),
    st.tuples(st.sampled_from(["go", "leave"]), st.integers(0, 40)),
    st.tuples(st.just("choose"), st.integers(2, 60)),
    st.tuples(st.just("seed"), st.integers(0, 9)),
    st.tuples(st.just("filter"), st.integers(0, 1)),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    return session_of(tiny.build(tmp_path_factory.mktemp("kept")))


@pytest.fixture
def real(built_model: Path) -> ModelSession:
    return session_of(built_model)


def act(generation: Generation, wishes: list[tuple[str, int]]) -> None:
    """What a person may do, one after the other."""
    tree, now, guard = generation.exploration, HOT, None
    assert tree is not None
    for name, number in wishes:
        node = number % (len(tree) + 1) - 1
        match name:
            case "run":
                for _ in range(number):
                    generation.advance()
            case "go":
                generation.go_to(node)
            case "leave":
                generation.leave_branch(node)
            case "choose" if tree.window_length(node) < generation.context:
                generation.choose(1, node, number)
            case "seed":
                now = replace(HOT, seed=number)
            case "filter":
                guard = REDRAWN if number else None
        generation.resume(1, now, guard)


def left_behind(session: ModelSession, generation: Generation) -> dict[tuple[int, int], bytes]:
    """Every number that is kept of the columns at every node."""
    tree, sequence = generation.exploration, session.sequence
    assert tree is not None
    found = {}
    for node in range(PROMPT_NODE, len(tree)):
        slots = tree.slots(node)
        arrays = [sequence.columns.residuals(slots, row) for row in (0, 1, -1)]
        arrays += [sequence.columns.queries(slots, 1), sequence.columns.pass_ends(slots)]
        arrays += [sequence.keys(slots, 1, 0), sequence.values(slots, 0, 1)]
        for kind, array in enumerate(arrays):
            found[node, kind] = array.tobytes()
    return found


def replay(generation: Generation) -> list[ReplayProgress]:
    events = []
    while generation.replaying:
        event = generation.advance()
        assert isinstance(event, ReplayProgress)
        events.append(event)
    return events


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes=st.lists(actions, max_size=14), slides=st.booleans())
def test_whatever_a_person_did_is_read_back_and_its_columns_come_back_bit_for_bit(
    small: ModelSession, wishes: list[tuple[str, int]], slides: bool
) -> None:
    begun = beginning(small, "the cat the c", HOT, SLIDING if slides else None)
    generation = small.new_generation()
    begin(generation, begun)
    generation.advance()
    act(generation, wishes)
    tree = generation.exploration
    assert tree is not None
    named = tuple((step.node, f"branch {step.node}\n\ud83d") for step in tree.steps[::3])
    was = kept(begun, generation, KeptMarks(names=named, hidden=tuple(step.node for step in tree.steps[1::4])))
    columns = left_behind(small, generation)
    again = reread(was, small.tokenizer)
    assert facts(again) == facts(was)
    assert {step.source for step in again.steps} <= {UNMADE}

    generation = small.new_generation()
    generation.reopen(2, again)
    events = replay(generation)
    assert [event.done for event in events][-1] == events[-1].total
    assert left_behind(small, generation) == columns
    assert facts(kept(begun, generation, was.marks)) == facts(was)


@pytest.mark.parametrize("window", [ContextWindow(), SLIDING])
@pytest.mark.parametrize("name", ["small", "real"])
def test_reopened_and_continued_gives_the_tokens_of_one_that_was_never_closed(
    name: str, window: ContextWindow, request: pytest.FixtureRequest
) -> None:
    session = request.getfixturevalue(name)
    begun = beginning(session, "the cat the c", replace(HOT, max_tokens=16), window)
    generation = session.new_generation()
    begin(generation, begun)
    never_closed = run(generation)

    generation = session.new_generation()
    begin(generation, begun)
    steps: list[StepRecord] = []
    while len(steps) < 7:
        event = generation.advance()
        steps += [event] if isinstance(event, StepRecord) else []
    again = reread(kept(begun, generation), session.tokenizer)
    generation = session.new_generation()
    generation.reopen(2, again)
    replay(generation)
    steps += run(generation)
    assert chosen(steps) == chosen(never_closed)
    assert [one.candidates for one in steps] == [one.candidates for one in never_closed]
    assert steps[-1].check == never_closed[-1].check


def test_a_replay_that_was_left_in_the_middle_is_taken_up_before_the_next_step(small: ModelSession) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    steps = run(generation)
    generation.reopen(2, reread(kept(begun, generation), small.tokenizer))
    generation.advance()
    generation.advance()
    assert generation.replaying
    generation.resume(3, HOT)
    replay(generation)
    more = run(generation)
    assert len(more) == HOT.max_tokens
    assert more[0].index == len(steps) + 1


def test_before_its_columns_are_there_a_text_has_those_at_its_beginning(small: ModelSession) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    run(generation)
    generation.reopen(2, reread(kept(begun, generation), small.tokenizer))
    tree = generation.exploration
    assert tree is not None
    sizes = [tree.slots(tree.cursor).size]
    while generation.replaying:
        generation.advance()
        sizes.append(tree.slots(tree.cursor).size)
        assert tree.positions(tree.cursor).tolist() == list(range(sizes[-1]))
    prompt = len(begun.prompt.ids)
    assert sizes == [0, *range(prompt, prompt + HOT.max_tokens)]


def test_a_kept_exploration_is_looked_at_without_tokenizer_and_model(small: ModelSession) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    run(generation)
    was, again = kept(begun, generation), reread(kept(begun, generation), small.tokenizer)
    looks = [Selection(position=position) for position in (0, 8, 14)]
    with_model = ViewResolver(was.tree(), small.tokenizer)
    alone = ViewResolver(again.tree(), again.tokens)
    for look in looks:
        shown, same = (resolver.resolve(look, Readings()) for resolver in (alone, with_model))
        assert shown.chips == same.chips
        assert shown.facts == same.facts
        assert repr(shown.distribution) == repr(same.distribution)


def test_a_file_is_replaced_only_by_a_whole_one(
    small: ModelSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    run(generation)
    path = tmp_path / "lesson.canopy"
    storage.save(path, kept(begun, generation), small.tokenizer)
    before = path.read_bytes()
    assert facts(storage.load(path)) == facts(kept(begun, generation))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(storage.StorageError, match="No space left"):
        storage.save(path, kept(begun, generation), small.tokenizer)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_same_exploration_gives_the_same_file(small: ModelSession, tmp_path: Path) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    run(generation)
    one, other = tmp_path / "one.canopy", tmp_path / "other.canopy"
    storage.save(one, kept(begun, generation), small.tokenizer)
    again = storage.load(one)
    storage.save(other, again, again.tokens)
    assert one.read_bytes() == other.read_bytes()


numbers = st.floats(-1e9, 1e9)
texts = st.text(max_size=9)
hits = st.builds(
    FilterHit, texts, st.integers(1, 9), st.integers(0, 9), st.integers(0, 9), texts, st.sampled_from(FilterAction)
)
failures = st.builds(FilterFailure, texts, st.integers(1, 9), numbers)
filters = st.builds(
    OutputFilter,
    st.sampled_from([REDRAWN.entries, FilterList.parse("\n\nold  man\n# a line\n/x{3}/", "list.txt")]),
    st.sampled_from(FilterAction),
    st.lists(failures, max_size=2).map(tuple),
)
guardings = st.builds(
    Guarding,
    filters,
    st.lists(hits, max_size=2).map(tuple),
    st.lists(failures, max_size=1).map(tuple),
    st.lists(
        st.builds(Rejection, st.integers(0, 9), st.none() | numbers, st.lists(hits, max_size=1).map(tuple)), max_size=2
    ).map(tuple),
)
decodings = st.builds(
    DecodingSettings,
    temperature=st.floats(0, 100),
    seed=st.integers(0, 2**63 - 1),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=2).map(tuple),
    logit_bias=st.dictionaries(st.integers(0, 99), st.floats(-9, 9), max_size=3).map(
        lambda d: tuple(sorted(d.items()))
    ),
)
candidates = st.builds(Candidate, st.integers(0, 9), numbers, numbers, numbers)
steps = st.builds(
    step_record,
    chosen=candidates,
    candidates=st.lists(candidates, max_size=3).map(tuple),
    chosen_by=st.sampled_from(ChosenBy),
    rank_after=st.none() | st.integers(1, 9),
    uniform=st.none() | numbers,
    ms=numbers,
    end=st.none() | st.builds(EndFigures, numbers, st.integers(1, 9), numbers, st.none() | st.integers(1, 9)),
    guarding=st.none() | guardings,
    settings=decodings,
)


def through_json(value: object) -> object:
    return json.loads(json.dumps(value, allow_nan=False))


@settings(max_examples=30, deadline=None)
@given(st.lists(steps, max_size=4))
def test_records_come_back_as_they_were_and_what_they_share_is_written_once(records: list[StepRecord]) -> None:
    writer, reader, told = Codec(), Codec(), 0
    for record in records:
        value = writer.encode(record)
        for name, shared in writer.news():
            reader.learn(name, through_json(shared))
            told += 1
        back = reader.decode(through_json(value), StepRecord)
        assert {name: getattr(back, name) for name in StepRecord.__slots__} == {
            name: getattr(record, name) for name in StepRecord.__slots__
        }
        if record.guarding is not None and back.guarding is not None:
            asked = ["the old man ab", " xxx"]
            assert back.guarding.output_filter.check(*asked) == record.guarding.output_filter.check(*asked)
    guarded = {record.guarding.output_filter for record in records if record.guarding}
    assert told == len({record.settings for record in records}) + len(guarded)


def test_lines_are_plain_text_whatever_a_prompt_holds(small: ModelSession) -> None:
    begun = beginning(small, "the \ud83d\u2028\n cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    generation.advance()
    was = kept(begun, generation)
    assert all(line.isascii() and b"\n" not in line for line in lines_of(was, small.tokenizer))
    assert facts(reread(was, small.tokenizer)) == facts(was)


def test_remade_columns_of_a_reopened_text_can_be_given_up_and_made_again(small: ModelSession) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    run(generation)
    generation.reopen(2, reread(kept(begun, generation), small.tokenizer))
    replay(generation)
    tree = generation.exploration
    assert tree is not None
    slots = tree.slots(tree.cursor)
    before = small.sequence.columns.queries(slots, 1)
    for block, _, _ in small.sequence.columns.runs(slots):
        block.evict(Kept.QUERIES)
    assert [event.done for event in generation.remake(3, slots, Kept.QUERIES)][-1] == slots.size
    assert np.array_equal(small.sequence.columns.queries(slots, 1), before)

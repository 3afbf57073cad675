"""A file may keep what attention is computed from: without the model the same numbers, and no more than was said."""

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ColumnsGoneError, StorageError
from canopy_desktop.exploration import storage
from canopy_desktop.exploration.attention_member import ATTENTION
from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.codec import BrokenValueError
from canopy_desktop.exploration.kept import KeptExploration
from canopy_desktop.exploration.kept_attention import KeptAttention, columns_at
from canopy_desktop.exploration.kept_lines import LineWriter
from canopy_desktop.exploration.records import PROMPT_NODE, Kept
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.squares import Square
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from tests.core import tiny
from tests.core.engine import session_of
from tests.support.keeping import begin, beginning, facts, kept, lines_of, run

HOT = DecodingSettings(temperature=1.5, top_k=30, seed=5, max_tokens=6)
SLIDING = ContextWindow(size=16, when_full=WhenFull.SLIDE)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    return session_of(tiny.build(tmp_path_factory.mktemp("kept-attention")))


@pytest.fixture
def real(built_model: Path) -> ModelSession:
    return session_of(built_model)


def explored(
    session: ModelSession, text: str = "the cat the c", window: ContextWindow | None = None
) -> tuple[KeptExploration, Exploration]:
    """A run, and a second one from its third token on; with the attention of the second. And the tree of both."""
    begun = beginning(session, text, HOT, window)
    generation = session.new_generation()
    begin(generation, begun)
    run(generation)
    generation.go_to(2)
    generation.leave_branch(2)
    generation.resume(1, replace(HOT, seed=8))
    run(generation)
    tree = generation.exploration
    assert tree is not None
    attention = session.new_reader().keep(tree.slots(tree.cursor), tree.cursor)
    return replace(kept(begun, generation), attention=attention), tree


def attention_of(exploration: KeptExploration) -> KeptAttention:
    assert exploration.attention is not None
    return exploration.attention


def through_file(exploration: KeptExploration, session: ModelSession, path: Path) -> KeptExploration:
    storage.save(path, exploration, session.tokenizer)
    return storage.load(path)


def test_a_file_with_attention_is_the_same_exploration_and_the_same_numbers(
    small: ModelSession, tmp_path: Path
) -> None:
    was, _ = explored(small)
    again = through_file(was, small, tmp_path / "with.canopy")
    assert facts(again) == facts(was)
    before, after = attention_of(was), attention_of(again)
    assert after.note == before.note
    assert np.array_equal(after.queries, before.queries)
    assert np.array_equal(after.keys, before.keys)
    assert (after.queries.dtype, after.keys.dtype) == (before.queries.dtype, before.keys.dtype)
    through_file(again, small, tmp_path / "again.canopy")
    assert (tmp_path / "with.canopy").read_bytes() == (tmp_path / "again.canopy").read_bytes()


@pytest.mark.parametrize("name", ["small", "real"])
def test_attention_without_the_model_is_attention_with_it_to_the_bit(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    session = request.getfixturevalue(name)
    was, tree = explored(session)
    with_model = session.new_reader()
    alone = attention_of(through_file(was, session, tmp_path / "kept.canopy")).reader()
    slots = tree.slots(tree.cursor)
    places, positions = columns_at(tree, tree.cursor, attention_of(was).note)
    assert positions.tolist() == tree.positions(tree.cursor).tolist()
    looks = [Look(0, 1, False), Look(1, 0, True), Look(1, None, False), Look(None, None, False)]
    for look in looks:
        for part in (None, Square(2, 1, 7)):
            shown, same = alone.picture(places, look, part), with_model.picture(slots, look, part)
            assert shown is not None
            assert same is not None
            assert np.array_equal(shown.values, same.values, equal_nan=True)
    for query in (0, 5, slots.size - 1):
        row, same_row = alone.row(places, query, rollout=True), with_model.row(slots, query, rollout=True)
        assert row is not None
        assert same_row is not None
        assert np.array_equal(row.weights, same_row.weights)
        assert np.array_equal(row.flow, same_row.flow)


@pytest.mark.parametrize("name", ["small", "real"])
def test_a_file_grows_by_what_was_announced(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    session = request.getfixturevalue(name)
    was, _ = explored(session, "the cat the c" * 5)
    storage.save(tmp_path / "with.canopy", was, session.tokenizer)
    storage.save(tmp_path / "without.canopy", replace(was, attention=None), session.tokenizer)
    grown = (tmp_path / "with.canopy").stat().st_size - (tmp_path / "without.canopy").stat().st_size
    announced = session.attention_bytes_per_token * attention_of(was).note.tokens
    assert attention_of(was).bytes == announced
    assert grown == pytest.approx(announced, rel=0.02, abs=2000)  # the card's numbers stand beside


@pytest.mark.parametrize("window", [None, SLIDING])
def test_every_branch_shows_the_columns_that_it_shares_with_the_kept_text(
    small: ModelSession, window: ContextWindow | None
) -> None:
    was, tree = explored(small, window=window)
    note = attention_of(was).note
    own = tree.slots(note.node)
    assert own.size == note.tokens
    for node in range(PROMPT_NODE, len(tree)):
        slots = tree.slots(node)
        places, positions = columns_at(tree, node, note)
        count = min(own.size, slots.size)
        differs = np.flatnonzero(own[:count] != slots[:count])
        shared = int(differs[0]) if differs.size else count
        assert places.tolist() == list(range(max(shared, places.size)))
        assert places.size - shared in (0, 1)  # a token's own column is known only by what follows it
        assert positions[:shared].tolist() == tree.positions(node)[:shared].tolist()
        ids = small.sequence.columns.token_ids(own[: places.size]).tolist()
        assert ids == [tree.token_ids(node)[at] for at in positions.tolist()]


def test_an_exploration_without_attention_and_one_of_version_1_are_opened(small: ModelSession, tmp_path: Path) -> None:
    was = replace(explored(small)[0], attention=None)
    again = through_file(was, small, tmp_path / "plain.canopy")
    assert again.attention is None
    lines = lines_of(was, small.tokenizer)
    lines[0] = b'{"canopy":1}'
    data = b"".join(line + b"\n" for line in lines)
    member = {"name": storage.LINES, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"format": storage.FORMAT, "version": 1, "program": "0", "members": [member]}
    with zipfile.ZipFile(tmp_path / "old.canopy", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(storage.LINES, data)
        archive.writestr(storage.MANIFEST, json.dumps(manifest))
    assert facts(storage.load(tmp_path / "old.canopy")) == facts(was)


def test_columns_that_made_room_are_not_kept(small: ModelSession) -> None:
    _, tree = explored(small)
    slots = tree.slots(tree.cursor)
    for block, _, _ in small.sequence.columns.runs(slots):
        block.evict(Kept.QUERIES)
    with pytest.raises(ColumnsGoneError):
        small.new_reader().keep(slots, tree.cursor)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_number_is_neither_saved_nor_read(small: ModelSession, tmp_path: Path, number: float) -> None:
    was, _ = explored(small)
    attention = attention_of(was)
    keys = attention.keys.copy()
    keys[1, 0, 3, 2] = number
    with pytest.raises(StorageError, match="too large"):
        storage.save(tmp_path / "a.canopy", replace(was, attention=replace(attention, keys=keys)), small.tokenizer)
    assert list(tmp_path.iterdir()) == []
    data = attention.queries.tobytes() + keys.tobytes()
    assert "no number" in refused(tmp_path / "a.canopy", packed(was, small, data=data))


def packed(
    was: KeptExploration,
    session: ModelSession,
    *,
    data: bytes | None = None,
    note: dict[str, object] | None = None,
    compressed: bool = False,
    **changes: Any,
) -> bytes:
    """A file whose sums are right; `note` and `changes`: what it says instead of the line, and of the member."""
    attention, writer = attention_of(was), LineWriter(session.tokenizer)
    lines = [*writer.whole(was), *writer.attention(attention.note)]
    said = json.loads(lines[-1])["attention"]
    lines[-1] = json.dumps({"attention": said | (note or {})}).encode() + b"\n"
    text = b"".join(lines)
    data = attention.queries.tobytes() + attention.keys.tobytes() if data is None else data
    forms = [{"type": array.dtype.name, "shape": array.shape} for array in (attention.queries, attention.keys)]
    members = [
        {"name": storage.LINES, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()},
        {"name": ATTENTION, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "arrays": forms} | changes,
    ]
    manifest = {"format": storage.FORMAT, "version": 2, "program": "0", "members": members}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(storage.LINES, text)
        archive.writestr(ATTENTION, data, zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED)
        archive.writestr(storage.MANIFEST, json.dumps(manifest))
    return file.getvalue()


def refused(path: Path, data: bytes) -> str:
    """The sentence for a file of these bytes."""
    path.write_bytes(data)
    with pytest.raises(StorageError) as caught:
        storage.load(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return caught.value.reason


@pytest.fixture(scope="module")
def one(small: ModelSession) -> KeptExploration:
    return explored(small)[0]


def test_what_the_tests_take_apart_is_read_as_it_is(one: KeptExploration, small: ModelSession, tmp_path: Path) -> None:
    path = tmp_path / "a.canopy"
    path.write_bytes(packed(one, small))
    assert storage.load(path).attention is not None


SHAPE = [tiny.LAYERS, 9, tiny.HIDDEN]
HOSTILE_MEMBERS: dict[str, dict[str, Any]] = {
    "fewer bytes than its arrays": {"data": bytes(100)},
    "another sum": {"sha256": "0" * 64},
    "a size of nothing": {"bytes": 0},
    "a size of a terabyte": {"bytes": 10**12},
    "a size below nothing": {"bytes": -4},
    "a size in words": {"bytes": "12"},
    "no arrays": {"arrays": []},
    "one array": {"arrays": [{"type": "float16", "shape": SHAPE}]},
    "objects for numbers": {"arrays": [{"type": "object", "shape": SHAPE}] * 2},
    "a type of the reader's": {"arrays": [{"type": "O8", "shape": SHAPE}] * 2},
    "shapes of another text": {"arrays": [{"type": "float32", "shape": SHAPE}] * 2},
    "a shape below nothing": {"arrays": [{"type": "float32", "shape": [-1, -9, 64]}] * 2},
    "a shape in words": {"arrays": [{"type": "float32", "shape": ["2", 9, 64]}] * 2},
    "a member that unpacks": {"compressed": True},
    "another name": {"name": "../attention.bin"},
}


@pytest.mark.parametrize("change", HOSTILE_MEMBERS.values(), ids=HOSTILE_MEMBERS.keys())
def test_a_member_that_is_not_what_it_must_be_is_refused(
    one: KeptExploration, small: ModelSession, tmp_path: Path, change: dict[str, Any]
) -> None:
    assert "damaged" in refused(tmp_path / "a.canopy", packed(one, small, **change))


def architecture(**changes: object) -> Callable[[KeptExploration], dict[str, object]]:
    def changed(exploration: KeptExploration) -> dict[str, object]:
        (line,) = LineWriter(exploration.tokens).attention(attention_of(exploration).note)
        return {"architecture": json.loads(line)["attention"]["architecture"] | changes}

    return changed


HOSTILE_NOTES: dict[str, Callable[[KeptExploration], dict[str, object]]] = {
    "a node that is not there": lambda one: {"node": 99},
    "a node before the prompt": lambda one: {"node": -2},
    "more tokens than the text": lambda one: {"tokens": attention_of(one).note.tokens + 2},
    "no tokens": lambda one: {"tokens": 0},
    "a context of tokens": lambda one: {"tokens": 1 << 22},
    "something more": lambda one: {"code": "os.system"},
    "no architecture": lambda one: {"architecture": None},
    "more layers": architecture(layers=3),
    "a thousand layers of a million heads": architecture(layers=1000, heads=1 << 20),
    "half a head": architecture(kv_heads=3),
    "a size in words": architecture(head_size="16"),
    "a rotation that is none": architecture(rope_base=-1.0),
    "an infinite rotation": architecture(rope_base=1e400),
    "an activation of its own": architecture(activation="exec"),
}


@pytest.mark.parametrize("change", HOSTILE_NOTES.values(), ids=HOSTILE_NOTES.keys())
def test_attention_of_what_no_text_and_no_model_has_is_refused(
    one: KeptExploration, small: ModelSession, tmp_path: Path, change: Callable[[KeptExploration], dict[str, object]]
) -> None:
    assert "damaged" in refused(tmp_path / "a.canopy", packed(one, small, note=change(one)))


def test_a_file_that_promises_more_than_it_has_takes_no_memory_for_it(
    one: KeptExploration, small: ModelSession, tmp_path: Path
) -> None:
    """The directory says 600 MB, the member has a few hundred bytes."""
    data = bytearray(packed(one, small, bytes=600_000_000))
    entry = data.rindex(ATTENTION.encode(), 0, data.rindex(b"PK\x01\x02")) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    struct.pack_into("<II", data, entry + 20, 600_000_000, 600_000_000)
    assert "another size" in refused(tmp_path / "a.canopy", bytes(data))


def test_every_cut_and_every_flipped_byte_of_the_member_is_noticed(
    one: KeptExploration, small: ModelSession, tmp_path: Path
) -> None:
    data = packed(one, small)
    start = data.index(ATTENTION.encode()) + len(ATTENTION)
    for place in range(start, start + attention_of(one).bytes, 997):
        harmed = bytearray(data)
        harmed[place] ^= 0x01
        refused(tmp_path / "a.canopy", bytes(harmed))
    refused(tmp_path / "a.canopy", data[: start + 50])


def test_lines_alone_have_no_attention_to_be_beside(one: KeptExploration, small: ModelSession, tmp_path: Path) -> None:
    (line,) = LineWriter(small.tokenizer).attention(attention_of(one).note)
    with pytest.raises(BrokenValueError, match="not there"):
        storage.read_lines([*lines_of(one, small.tokenizer), line.rstrip(b"\n")])
    with pytest.raises(BrokenValueError, match="after its attention"):
        storage.read_lines([*lines_of(one, small.tokenizer), line.rstrip(b"\n"), b'{"went_to":0}'])


def test_the_prompt_alone_has_attention_too(small: ModelSession, tmp_path: Path) -> None:
    begun = beginning(small, "the cat", HOT)
    generation = small.new_generation()
    begin(generation, begun)
    generation.advance()
    tree = generation.exploration
    assert isinstance(tree, Exploration)
    attention = small.new_reader().keep(tree.slots(PROMPT_NODE), PROMPT_NODE)
    again = through_file(replace(kept(begun, generation), attention=attention), small, tmp_path / "a.canopy")
    assert attention_of(again).note.tokens == len(begun.prompt.ids)

"""Files that are no exploration, or pretend to be one: one plain sentence each, and never much memory or time."""

import copy
import hashlib
import io
import json
import os
import resource
import struct
import time
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration import storage
from canopy_desktop.exploration.codec import BrokenValueError
from canopy_desktop.exploration.storage import LINES, MANIFEST, read_lines
from tests.support.keeping import begin, beginning, kept, lines_of, run
from tests.support.scripted import ScriptedSession

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    session = ScriptedSession()
    begun = beginning(session, "abc", DecodingSettings(max_tokens=4))
    generation = session.new_generation()
    begin(generation, begun)
    run(generation)
    return lines_of(kept(begun, generation), session.tokenizer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hostile.canopy"


def packed(lines: list[bytes], **changes: Any) -> bytes:
    """A file of these lines; `changes` of its manifest."""
    data = b"".join(line + b"\n" for line in lines)
    member = {"name": LINES, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"format": storage.FORMAT, "version": 1, "program": "0", "members": [member]} | changes
    return zipped({LINES: data, MANIFEST: json.dumps(manifest).encode()})


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
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


def test_what_the_tests_take_apart_is_read_as_it_is(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(packed(lines))
    assert len(storage.load(path).steps) == 4


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"not a zip at all, only words", b"PK\x05\x06" + bytes(18), zipped({"word/document.xml": b"<w/>"})],
)
def test_another_programs_file_is_no_exploration(path: Path, data: bytes) -> None:
    assert refused(path, data) == storage.NO_EXPLORATION


def test_a_manifest_of_another_program_is_no_exploration(path: Path, lines: list[bytes]) -> None:
    assert refused(path, packed(lines, format="epub")) == storage.NO_EXPLORATION
    assert refused(path, zipped({MANIFEST: b"[]"})) == storage.NO_EXPLORATION


def test_a_newer_version_says_what_to_do(path: Path, lines: list[bytes]) -> None:
    assert "update the program" in refused(path, packed(lines, version=storage.VERSION + 1))
    assert "newer" in refused(path, zipped({MANIFEST: json.dumps({"format": storage.FORMAT, "version": 9}).encode()}))


def test_every_cut_and_every_flipped_byte_is_noticed(path: Path, lines: list[bytes]) -> None:
    data = packed(lines)
    for cut in (1, 10, 22, 23, 60, 200, len(data) // 2, len(data) - 5):
        refused(path, data[:-cut])
    unharmed = 0
    for place in range(0, len(data), 97):
        harmed = bytearray(data)
        harmed[place] ^= 0x55
        path.write_bytes(harmed)
        try:
            unharmed += storage.load(path).steps == ()
        except StorageError:
            continue
        assert storage.load(path).steps, "a byte that is not looked at, as a date"
    assert not unharmed


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "C:\\evil", "folder/", "columns.npy", LINES])
def test_members_that_do_not_belong_there_are_refused_and_nothing_is_unpacked(
    path: Path, lines: list[bytes], name: str
) -> None:
    file = io.BytesIO(packed(lines))
    with (
        zipfile.ZipFile(file, "a") as archive,
        pytest.warns(UserWarning, match="Dup") if name == LINES else nullcontext(),
    ):
        archive.writestr(name, b"x")
    refused(path, file.getvalue())
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_that_unpacks_to_gigabytes_is_cut_off(path: Path, lines: list[bytes]) -> None:
    bomb = b'{"tokens":[' + b" " * 80_000_000 + b"]}\n"
    member = {"name": LINES, "bytes": len(bomb), "sha256": ""}
    data = packed(lines, members=[member])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = archive.read(MANIFEST)
    data = zipped({LINES: bomb, MANIFEST: manifest})
    assert len(data) < 100_000
    del bomb
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert "too long" in refused(path, data)
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_a_directory_of_a_million_members_is_not_read(path: Path, lines: list[bytes]) -> None:
    data = bytearray(packed(lines))
    end = len(data) - 22
    struct.pack_into("<HHI", data, end + 8, 60_000, 60_000, 500_000_000)
    assert refused(path, bytes(data)) == storage.NO_EXPLORATION
    wide = bytes(data[:end]) + b"PK\x06\x07" + bytes(16) + packed(lines)[-22:]
    assert refused(path, wide) == storage.NO_EXPLORATION


def test_folders_pipes_and_missing_files_are_no_exploration(path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        storage.load(path)
    path.mkdir()
    with pytest.raises(StorageError):
        storage.load(path)
    pipe = path.parent / "pipe.canopy"
    os.mkfifo(pipe)
    with pytest.raises(StorageError):
        storage.load(pipe)


def entry(lines: Lines, name: str, which: int = 0) -> Any:
    return [line[name] for line in lines if name in line][which]


def forged(lines: list[bytes], change: Callable[[Lines], object]) -> list[bytes]:
    parsed = copy.deepcopy([json.loads(line) for line in lines])
    change(parsed)
    return [json.dumps(line).encode() for line in parsed]


def put(name: str, key: str, value: object, which: int = 0) -> Callable[[Lines], object]:
    return lambda lines: entry(lines, name, which).__setitem__(key, value)


FORGERIES: dict[str, Callable[[Lines], object]] = {
    "a node twice": put("step", "node", 0, 1),
    "a parent that comes later": put("step", "parent", 3, 1),
    "a parent before the prompt": put("step", "parent", -2, 1),
    "another position": put("step", "position", 900),
    "another index": put("step", "index", 2),
    "a token that is not named": lambda lines: entry(lines, "step")["chosen"].__setitem__(0, 4_000_000),
    "a negative token": lambda lines: entry(lines, "step")["chosen"].__setitem__(0, -1),
    "a bool for a number": put("step", "rank", True),
    "a text for a number": put("step", "ms", "1"),
    "a number for a whole one": put("step", "kept", 1.0),
    "infinity": put("step", "ms", 1e308 * 10),
    "nothing for a number": put("step", "entropy_bits", None),
    "a probability of 7": lambda lines: entry(lines, "step")["candidates"][0].__setitem__(3, 7.0),
    "a candidate too long": lambda lines: entry(lines, "step")["candidates"][0].append(1),
    "a text for a list": put("step", "candidates", "abcd"),
    "an object for a list": put("step", "stages", {}),
    "a stage that is none": lambda lines: entry(lines, "step")["stages"][0].__setitem__("name", "magic"),
    "a list for a stage's name": lambda lines: entry(lines, "step")["stages"][0].__setitem__("name", []),
    "a field too many": put("step", "surprise", 1),
    "a field too few": lambda lines: entry(lines, "step").pop("rank"),
    "settings that are not there": put("step", "settings", 5),
    "settings before all": put("step", "settings", -1),
    "settings out of range": put("settings", "temperature", -1.0),
    "a settings list": lambda lines: lines[[*map(list, lines)].index(["settings"])].__setitem__("settings", []),
    "a context that holds no prompt": put("beginning", "context", 1),
    "a window that no model has": lambda lines: entry(lines, "beginning")["window"].__setitem__("size", 1),
    "parts that are not the prompt": lambda lines: entry(lines, "beginning")["prompt"].__setitem__("text", "abd"),
    "a part of nobody": lambda lines: entry(lines, "beginning")["prompt"]["parts"][0].__setitem__("role", "evil"),
    "an empty prompt": lambda lines: entry(lines, "beginning").__setitem__(
        "prompt", {"text": "", "ids": [], "parts": [], "lost": []}
    ),
    "two beginnings": lambda lines: lines.insert(4, copy.deepcopy(next(one for one in lines if "beginning" in one))),
    "no beginning": lambda lines: [lines.remove(one) for one in lines[:] if "beginning" in one],
    "nothing at all": lambda lines: lines.clear(),
    "another version": lambda lines: lines[0].__setitem__("canopy", storage.VERSION + 1),
    "a version in the middle": lambda lines: lines.insert(3, {"canopy": 1}),
    "a line that says two things": lambda lines: lines[-1].__setitem__("more", 1),
    "a line that nobody knows": lambda lines: lines.append({"__reduce__": "os.system"}),
    "bytes that are none": lambda lines: entry(lines, "tokens")[0].__setitem__(1, "zz"),
    "a stand on no node": put("stand", "cursor", 99),
    "a stand before the prompt": put("stand", "cursor", -7),
    "a way that is not there": put("stand", "forward", [[0, 0]]),
    "a name of no node": put("marks", "names", [[7, "x"]]),
    "a name that is none": put("marks", "names", [[0, 5]]),
    "a deletion of no node": put("marks", "hidden", [-5]),
    "a walk to no node": lambda lines: lines.append({"went_to": 50}),
    "a slide to nowhere": lambda lines: lines.append(
        {"slide": {"run_id": 1, "node": 3, "kept": 0, "first": 0, "last": 90, "slots": 1, "ms": 1.0}}
    ),
    "a slide of everything": lambda lines: lines.append(
        {"slide": {"run_id": 1, "node": 3, "kept": 0, "first": 0, "last": 6, "slots": 0, "ms": 1.0}}
    ),
    "a slide of a million columns": lambda lines: lines.append(
        {"slide": {"run_id": 1, "node": 3, "kept": 0, "first": 0, "last": 2, "slots": 1_000_000, "ms": 1.0}}
    ),
    "a slide before what followed": lambda lines: lines.append(
        {"slide": {"run_id": 1, "node": 0, "kept": 0, "first": 0, "last": 1, "slots": 2, "ms": 1.0}}
    ),
    "a filter that takes all memory": lambda lines: lines.insert(
        1,
        {"filter": {"name": "x", "action": "stop", "left_out": [], "entries": [[1, "/((a{100}){100}){100}/"]]}},
    ),
    "a filter with a line far away": lambda lines: lines.insert(
        1, {"filter": {"name": "x", "action": "stop", "left_out": [], "entries": [[10**12, "word"]]}}
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_value_that_no_exploration_has_is_refused(
    path: Path, lines: list[bytes], forgery: Callable[[Lines], object]
) -> None:
    assert "damaged" in refused(path, packed(forged(lines, forgery)))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[1]",
        b'{"went_to": NaN}',
        b'{"went_to": ' + b"9" * 5000 + b"}",
        b'{"stand": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"went_to": 1e400}',
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_json_of_ours_is_refused(path: Path, lines: list[bytes], line: bytes) -> None:
    assert "damaged" in refused(path, packed([*lines, line]))


def test_ways_to_and_fro_end(lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canopy_desktop.exploration.kept_lines.MAX_WALKED", 50)
    with pytest.raises(BrokenValueError, match="to and fro"):
        read_lines([*lines, *[b'{"went_to":3}', b'{"went_to":-1}'] * 20])


def test_lines_end_somewhere(lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_LINES", 20)
    with pytest.raises(BrokenValueError, match="too many"):
        read_lines([*lines, *[b'{"went_to":3}'] * 20])

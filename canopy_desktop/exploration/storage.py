"""Exploration files (`.canopy`): a zip of `manifest.json` and `exploration.jsonl`, the lines of `kept_lines`.

Where a person wished it, `attention.bin` has a text's queries and keys too (`attention_member`). The manifest has the
version, and size and sum of the other members; nothing in it is run, and nothing is unpacked to a disk. Before anything
is read, the number of members and their sizes are limited; what is read is cut off there.
"""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO

from canopy_desktop import __version__
from canopy_desktop.atomic import replacing
from canopy_desktop.decoding.settings_json import parsed
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration.attention_member import (
    ATTENTION,
    WRITTEN,
    Member,
    attention_entry,
    read_attention,
    why_unkept,
    write_attention,
)
from canopy_desktop.exploration.codec import BrokenValueError
from canopy_desktop.exploration.kept import KeptExploration
from canopy_desktop.exploration.kept_lines import MAX_FOUND, MAX_LINE, MAX_STEPS, VERSION, LineReader, LineWriter
from canopy_desktop.model.tokenizer import TokenTable

SUFFIX = ".canopy"
FORMAT = "canopy exploration"
MANIFEST, LINES = "manifest.json", "exploration.jsonl"
MAX_FILE = 1_000_000_000  # bytes
MAX_LINES_BYTES = 512_000_000  # unpacked
MAX_LINES = 1_000_000
MOST_MEMBERS = 3
_MAX_MANIFEST = 10_000
_MAX_DIRECTORY = 10_000
_END = struct.Struct("<4sHHHHIIH")  # of a zip's directory (APPNOTE.TXT 4.3.16)
NO_EXPLORATION = "this is no exploration file: choose one that was saved by this program"
_DAMAGED = "this exploration is damaged ({reason}): take an earlier copy"


def save(path: Path, kept: KeptExploration, tokens: TokenTable) -> None:
    """Write an exploration, or leave the file that was there. Raises `StorageError`.

    `tokens` knows all that it names.
    """
    if len(kept.steps) > MAX_STEPS:
        raise StorageError(path, f"an exploration file holds {MAX_STEPS:,} tokens, and there are more: begin anew")
    if sum(len(searched.found) for searched in kept.searches) > MAX_FOUND:
        raise StorageError(path, f"an exploration file holds searches of {MAX_FOUND:,} tokens: undo the last ones")
    attention = kept.attention
    if attention is not None and (reason := why_unkept(attention)):
        raise StorageError(path, reason)
    writer = LineWriter(tokens)
    lines = chain(writer.whole(kept), () if attention is None else writer.attention(attention.note))
    try:
        with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            members = [_write_lines(archive, lines)]
            if members[0].bytes > MAX_LINES_BYTES:
                raise StorageError(path, "the exploration is too large for a file: begin anew")
            if attention is not None:
                members.append(write_attention(archive, attention))
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "program": __version__,
                "members": [member.entry() for member in members],
            }
            archive.writestr(zipfile.ZipInfo(MANIFEST, WRITTEN), json.dumps(manifest, indent=1))
    except OSError as error:
        raise StorageError(path, f"the exploration could not be saved: {error.strerror or error}") from error


def load(path: Path) -> KeptExploration:
    """Read an exploration. Raises `StorageError`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StorageError(path, NO_EXPLORATION)
        with path.open("rb") as file:
            size = _check_directory(path, file)
            with zipfile.ZipFile(file) as archive:
                return _read(path, archive, size)
    except BrokenValueError as error:
        raise StorageError(path, _DAMAGED.format(reason=error)) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise StorageError(path, _DAMAGED.format(reason="it cannot be unpacked")) from error
    except MemoryError as error:
        raise StorageError(path, "there is not enough memory for its attention: close other programs") from error
    except OSError as error:
        raise StorageError(path, f"the exploration cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StorageError(path, "this is no name of a file") from error


def with_attention(kept: KeptExploration, path: Path) -> KeptExploration:
    """An exploration from a journal, which has no attention, with that of the file from which it goes on, if any."""
    try:
        with zipfile.ZipFile(path) as archive:
            if ATTENTION not in archive.namelist():
                return kept
        saved = load(path)
    except (OSError, ValueError, zipfile.BadZipFile, StorageError):
        return kept
    return replace(kept, attention=saved.attention) if kept.goes_on_from(saved) else kept


def read_lines(lines: Iterable[bytes]) -> KeptExploration:
    """An exploration from whole lines. Raises `BrokenValueError` that names the line."""
    reader = _reader_of(lines)
    if reader.attention is not None:
        raise BrokenValueError("its attention is not there")
    return reader.found()


def _reader_of(lines: Iterable[bytes]) -> LineReader:
    reader = LineReader()
    for number, line in enumerate(lines, 1):
        try:
            if number > MAX_LINES:
                raise BrokenValueError("there are too many")
            reader.take(line)
        except BrokenValueError as error:
            raise BrokenValueError(f"line {number}: {error}") from error
    return reader


def _write_lines(archive: zipfile.ZipFile, lines: Iterable[bytes]) -> Member:
    entry = zipfile.ZipInfo(LINES, WRITTEN)
    entry.compress_type = zipfile.ZIP_DEFLATED
    digest, size = hashlib.sha256(), 0
    with archive.open(entry, "w", force_zip64=False) as member:
        for line in lines:
            member.write(line)
            digest.update(line)
            size += len(line)
    return Member(LINES, size, digest.hexdigest())


def _check_directory(path: Path, file: BinaryIO) -> int:
    """The file's bytes. Raises `StorageError` unless it ends as one of ours: a short directory, and no comment."""
    size = file.seek(0, 2)
    if size > MAX_FILE:
        raise StorageError(path, f"this file has more than {MAX_FILE // 10**6} MB, and no exploration has")
    file.seek(max(0, size - _END.size - 20))
    end = file.read()
    if len(end) < _END.size:
        raise StorageError(path, NO_EXPLORATION)
    sign, _, _, here, members, directory, _, comment = _END.unpack(end[-_END.size :])
    wide = end.startswith(b"PK\x06\x07")  # a second, larger directory
    plain = sign == b"PK\x05\x06" and not wide and not comment and here == members
    if not plain or members > MOST_MEMBERS or directory > _MAX_DIRECTORY:
        raise StorageError(path, NO_EXPLORATION)
    return size


def _read(path: Path, archive: zipfile.ZipFile, size: int) -> KeptExploration:
    found = sorted(archive.namelist())
    if MANIFEST not in found:
        raise StorageError(path, NO_EXPLORATION)
    members = _manifest(path, _limited(archive, MANIFEST, _MAX_MANIFEST))
    if found != sorted([MANIFEST, *(member.name for member in members)]):
        raise BrokenValueError("it has members that no exploration has")
    if any(archive.getinfo(member.name).file_size != member.bytes for member in members):
        raise BrokenValueError("a member has another size")
    with archive.open(LINES) as lines:
        reader = _reader_of(_checked_lines(lines, members[0]))
    if (reader.attention is None) != (len(members) == 1):
        raise BrokenValueError("its attention is nobody's, or not there")
    if reader.attention is None:
        return reader.found()
    return replace(reader.found(), attention=read_attention(archive, members[1], reader.attention, size))


def _manifest(path: Path, data: bytes) -> list[Member]:
    """The member of the lines, and that of the attention if there is one."""
    try:
        stored: Any = parsed(data.decode())
    except ValueError as error:
        raise BrokenValueError("its manifest is no JSON") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT or type(stored.get("version")) is not int:
        raise StorageError(path, NO_EXPLORATION)
    if stored["version"] > VERSION:
        raise StorageError(path, f"this exploration is of a newer version ({stored['version']}): update the program")
    match stored.get("members"):
        case [{"name": str(name), "bytes": int(size), "sha256": str(sha256)}, *others] if name == LINES:
            if 0 <= size <= MAX_LINES_BYTES and len(others) <= 1:
                return [Member(name, size, sha256), *map(attention_entry, others)]
    raise BrokenValueError("its manifest does not say what it must")


def _limited(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise BrokenValueError(f"{name} is too large")
    return data


def _checked_lines(member: IO[bytes], said: Member) -> Iterator[bytes]:
    """Lines, no further than the manifest says. Raises `BrokenValueError` where size, sum or the last end is wrong."""
    digest, left = hashlib.sha256(), said.bytes
    while left:
        line = member.readline(min(left, MAX_LINE) + 1)
        left -= len(line)
        if left < 0 or not line.endswith(b"\n"):
            raise BrokenValueError("a line is too long, or has no end")
        digest.update(line)
        yield line[:-1]
    if member.read(1) or digest.hexdigest() != said.sha256:
        raise BrokenValueError("its sum is wrong")

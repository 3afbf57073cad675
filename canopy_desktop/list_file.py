"""Lists that people write by hand: plain text, one entry a line, with limits."""

from __future__ import annotations

import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from canopy_desktop.errors import SettingsError, StorageError

MAX_BYTES = 256 * 1024
MAX_ENTRIES = 1000
MAX_LENGTH = 300  # characters in a line
COMMENT = "#"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that says something."""

    line: int  # from 1
    text: str  # without space around it


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The entries of a file. Raises `StorageError` if it is no UTF-8 text, and `SettingsError` as `parse_entries`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StorageError(path, "this is no plain file: name a text file with one entry a line")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(path, f"the list cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise StorageError(path, "this is no name of a file") from error
    if len(data) > MAX_BYTES:
        raise StorageError(path, f"the list has more than {MAX_BYTES // 1024} KiB: shorten it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StorageError(path, "the list is not UTF-8: save it as UTF-8 text") from error
    return parse_entries(text, path.name)


def parse_entries(text: str, name: str) -> tuple[Entry, ...]:
    """The lines of `text` but for empty ones and comments, composed (NFC).

    `name` stands for the list in errors. Raises `SettingsError` if there is no entry, there are too many, or one is too
    long or holds a control character.
    """
    found: list[Entry] = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        entry = unicodedata.normalize("NFC", line.strip())
        if not entry or entry.startswith(COMMENT):
            continue
        if len(entry) > MAX_LENGTH:
            raise bad_line(name, number, f"has {len(entry)} characters; {MAX_LENGTH} are possible")
        if any(unicodedata.category(character) == "Cc" and character != "\t" for character in entry):
            raise bad_line(name, number, "holds a control character: take it out")
        found.append(Entry(number, entry))
    if not found:
        raise SettingsError(name, "has no entry: write one a line")
    if len(found) > MAX_ENTRIES:
        raise SettingsError(name, f"has {len(found)} entries; {MAX_ENTRIES} are possible")
    return tuple(found)


def bad_line(name: str, line: int, reason: str) -> SettingsError:
    """The error for one line of a list."""
    return SettingsError(f"{name}, line {line},", reason)

"""A checkpoint's JSON files, read with care: they may come from anywhere."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import MAX_SIZE

CONFIG = "config.json"
MAX_JSON_BYTES = 16_000_000
MAX_ENTRIES = 4_000_000  # of all lists and objects; the largest vocabularies have a third
MAX_TEXT = 200  # characters of a title or a licence
LARGEST = 1e15  # of any number
_T = TypeVar("_T")
_SNAPSHOTS, _BLOBS = "snapshots", "blobs"  # of the hub's cache, whose folders hold links


def own_file(folder: Path, name: str, *, largest: int | None = None) -> Path | None:
    """The path of a plain file of a checkpoint, or None where there is none of that name.

    A link may lead elsewhere in the folder, or to the blobs of the hub's cache that the folder is a snapshot of.
    Raises `SourceError`.
    """
    path = folder / name
    if not os.path.lexists(path):
        return None
    try:
        home, real = folder.resolve(), path.resolve()
        found = real.stat()
    except (OSError, RuntimeError) as error:  # a link that leads to itself is the second
        reason = getattr(error, "strerror", "it leads to itself")
        raise SourceError(folder, f"its {name} cannot be read ({reason})") from error
    homes = [home, home.parent.parent / _BLOBS] if home.parent.name == _SNAPSHOTS else [home]
    if not any(real.is_relative_to(known) for known in homes):
        raise SourceError(folder, f"its {name} is a link that leads out of the folder")
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(folder, f"its {name} is not a file")
    if largest is not None and found.st_size > largest:
        raise SourceError(folder, f"its {name} is larger than {largest} bytes")
    return path


def read_text(folder: Path, name: str, *, largest: int = MAX_JSON_BYTES) -> str | None:
    """A text file of a checkpoint; None where there is none. Raises `SourceError`."""
    path = own_file(folder, name, largest=largest)
    if path is None:
        return None
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SourceError(folder, f"its {name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SourceError(folder, f"its {name} is not UTF-8 text") from error


def read_values(folder: Path, name: str, *, largest: int = MAX_JSON_BYTES) -> Values:
    """A JSON file of a checkpoint; nothing stands in one that is not there. Raises `SourceError`."""
    text = read_text(folder, name, largest=largest)
    if text is not None and sum(map(text.count, "[{,")) > MAX_ENTRIES:
        raise SourceError(folder, f"its {name} has more than {MAX_ENTRIES} entries")
    try:
        values = {} if text is None else json.loads(text)
        if text is not None and "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, RecursionError) as error:
        raise SourceError(folder, f"its {name} is not valid JSON") from error
    if not isinstance(values, dict):
        raise SourceError(folder, f"its {name} is not a JSON object")
    return Values(folder, name, values)


class Values:
    """An object of a checkpoint's JSON, checked as it is read."""

    def __init__(self, folder: Path, name: str, values: Mapping[str, Any]) -> None:
        """`name`: of the file, for people."""
        self.folder = folder
        self._name = name
        self._values = values

    def all(self) -> Mapping[str, Any]:
        """All of it."""
        return self._values

    def get(self, key: str) -> Any:
        """Whatever stands there; None for null, or for nothing."""
        return self._values.get(key)

    def with_usual(self, usual: Mapping[str, Any]) -> Values:
        """The same, with what is taken for granted where nothing is said."""
        return Values(self.folder, self._name, {**usual, **self._values})

    def called(self, names: Mapping[str, str]) -> Values:
        """The same by other names: `names` has for a name from now on the one that stands there."""
        others = {own: name for name, own in names.items()}
        return Values(self.folder, self._name, {others.get(key, key): value for key, value in self._values.items()})

    def text(self, key: str) -> str | None:
        """A string. Raises `SourceError`."""
        return self._typed(key, str, "text")

    def flag(self, key: str) -> bool | None:
        """True or false. Raises `SourceError`."""
        return self._typed(key, bool, "true or false")

    def part(self, key: str) -> Values:
        """An object in this one; nothing stands in one that is not there. Raises `SourceError`."""
        return Values(self.folder, f"{self._name}'s {key}", self._typed(key, dict, "an object") or {})

    def items(self, key: str) -> list[Any]:
        """A list; empty where there is none. Raises `SourceError`."""
        return self._typed(key, list, "a list") or []

    def number(self, key: str) -> float:
        """A finite number above 0, which must be said. Raises `SourceError`."""
        value = self.get(key)
        if value is None:
            raise self.refuse(f"does not say {key}")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < LARGEST:
            raise self.refuse(f"has a {key} that is no number above 0")
        return float(value)

    def whole(self, key: str) -> int:
        """A whole number above 0, which must be said. Raises `SourceError`."""
        number = self.number(key)
        if not number.is_integer() or number > MAX_SIZE:
            raise self.refuse(f"has a {key} that is no whole number up to {MAX_SIZE}")
        return int(number)

    def count(self, key: str) -> int:
        """A whole number above 0, or 0, which is also where none is said. Raises `SourceError`."""
        return self.whole(key) if self.get(key) else 0

    def ids(self, key: str) -> tuple[int, ...]:
        """Token ids: one, or a list, or none. Raises `SourceError`."""
        value = self.get(key)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(token_id) is int for token_id in ids):
            raise self.refuse(f"has an {key} that is no token's id")
        return tuple(ids)

    def refuse(self, reason: str) -> SourceError:
        """The error that what stands here cannot be used; `reason` goes on after "its NAME"."""
        return SourceError(self.folder, f"its {self._name} {reason}")

    def _typed(self, key: str, kind: type[_T], words: str) -> _T | None:
        value = self.get(key)
        if value is not None and not isinstance(value, kind):
            raise self.refuse(f"has a {key} that is not {words}")
        return value


def one_line(text: str) -> str | None:
    """A text in one printable line, not too long; None where nothing of it is left."""
    line = " ".join(text.split())[:MAX_TEXT]
    return "".join(char for char in line if char.isprintable()) or None

"""What the program remembers about a person: preferences as one frozen value, kept as JSON."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.output_filter import FilterAction
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError, StorageError
from canopy_desktop.exploration.prompt import PromptRequest, Turn, turns_of
from canopy_desktop.exploration.window import SMALLEST, ContextWindow, WhenFull
from canopy_desktop.model.chat import SystemChoice

logger = logging.getLogger(__name__)

DEFAULT_PROMPT = "When the student finished the exam, they felt relieved. The student was"
THEMES = ("light", "dark", "contrast")
SYSTEM_THEME = "system"  # whichever of them the system asks for
THEME_CHOICES = (SYSTEM_THEME, *THEMES)
ZOOM_RANGE = (80, 250)  # percent
SPEEDS_MS = (0, 100, 250, 1000)  # least time from one token to the next; 0 is full speed
SHOWN_RANGE = (10, 50)
MOST_MEMORY_MB = 1_000_000
MOST_FACTS = 50  # of a file, in a prompt; or all of them
MOST_RECENT = 10  # files
LONGEST_TEXT = 200_000  # characters, more than a context holds; a window would take long to start with many more

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Everything that outlives a session. The defaults are those of the first start."""

    model: str = ""  # the id of the one that opens where none is named; the built-in default where it is empty
    theme: str = SYSTEM_THEME
    still: bool = False  # nothing moves, even where the system allows it
    zoom: int = 100  # percent
    prompt: PromptRequest = field(default_factory=lambda: PromptRequest(text=DEFAULT_PROMPT))
    decoding: DecodingSettings = field(default_factory=DecodingSettings)
    new_seeds: bool = False  # a prompt that is begun anew draws another seed
    filter_file: str = ""  # the output filter's list; none where it is empty
    filter_action: FilterAction = FilterAction.STOP
    facts_file: str = ""  # what is put into prompts, and answers are compared with; none where it is empty
    facts_best: int = 3  # facts that are put into a prompt, those that fit it best; 0: all
    window: ContextWindow = field(default_factory=ContextWindow)
    layer: int = 12
    head: int = 7
    hide_first: bool = True
    shown: int = 10
    kitchen_words: bool = False  # beside the technical ones, inside the model
    speed_ms: int = 0
    memory_budget_mb: int | None = None  # what cache and columns may take, in 1,000,000 bytes; None: automatic
    recent_files: tuple[str, ...] = ()  # explorations, the newest first
    file: str = ""  # that was shown last; none where it is empty
    file_saved: bool = True  # it has all that was shown
    geometry: bytes = field(default=b"", repr=False)  # as the window gave it
    docks: bytes = field(default=b"", repr=False)


def load(path: Path) -> Preferences:
    """The preferences kept in `path`; what is missing, unknown or broken there takes its default. Never raises."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Preferences()
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("The settings in %s cannot be read, so the defaults are used: %s", path, error)
        return Preferences()
    if not isinstance(stored, dict):
        logger.warning("The settings in %s are no JSON object, so the defaults are used", path)
        return Preferences()
    return from_json(stored)


def chosen_model(path: Path) -> str:
    """The default model alone, for who wants nothing else; what is wrong with the file is not said. Never raises."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _text(stored["model"])
    except (OSError, ValueError, RecursionError, TypeError, LookupError):
        return ""


def save(path: Path, preferences: Preferences) -> None:
    """Replace `path` in one step: either the old or the new settings are there. Raises `StorageError`."""
    text = json.dumps(to_json(preferences), indent=2, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = f"the settings could not be saved: {error.strerror or error}"
        raise StorageError(path, reason) from error


def to_json(preferences: Preferences) -> dict[str, Any]:
    """What `from_json` reads."""
    return {entry.name: _plain(getattr(preferences, entry.name)) for entry in fields(preferences)}


def from_json(stored: Mapping[str, Any]) -> Preferences:
    """The preferences that can be read; every other entry is left at its default, with a line in the log."""
    known: dict[str, Any] = {}
    for name, value in stored.items():
        reader = _READERS.get(name)
        if reader is None:
            logger.warning("The unknown setting %r is ignored", name)
            continue
        try:
            known[name] = reader(value)
        except (ValueError, TypeError, OverflowError, SettingsError) as error:
            logger.warning("The setting %r is broken, so its default is used: %s", name, error)
    return Preferences(**known)


def _plain(value: object) -> object:
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case DecodingSettings():
            return settings_json.to_json(value)
        case PromptRequest() | ContextWindow():
            return {name: _plain(part) for name, part in asdict(value).items()}
        case Enum():
            return value.value
        case tuple():
            return list(value)
        case _:
            return value


def _one_of(*allowed: _Value) -> Callable[[object], _Value]:
    def read(value: object) -> _Value:
        for choice in allowed:
            if type(value) is type(choice) and value == choice:
                return choice
        raise ValueError(f"{value!r} is none of {allowed}")

    return read


def _integer(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{value!r} is no whole number from {low} to {high}")
        return value

    return read


def _or_none(read: Callable[[object], _Value]) -> Callable[[object], _Value | None]:
    return lambda value: None if value is None else read(value)


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _prompt_text(value: object) -> str:
    text = _text(value)
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{len(text):,} characters are more than a prompt may have")
    return text


def _as_it_is(value: object) -> object:
    return value


_flag = _one_of(False, True)


def _prompt(value: object) -> PromptRequest:
    readers: dict[str, Callable[[Any], Any]] = {
        "text": _prompt_text,
        "chat": _flag,
        "system": SystemChoice,
        "system_text": _prompt_text,
        "history": _turns,
        "with_history": _flag,
        "facts": _facts,
    }
    return PromptRequest(**_entries(value, readers))


def _turns(value: object) -> tuple[Turn, ...]:
    turns = turns_of(value)
    _prompt_text("".join(turn.user + turn.assistant for turn in turns))
    return turns


def _facts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    facts = tuple(_text(fact) for fact in value)
    _prompt_text("".join(facts))
    return facts


def _paths(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(_text(path) for path in value[:MOST_RECENT])


def _decoding(value: object) -> DecodingSettings:
    return settings_json.from_json(_entries(value, dict.fromkeys(settings_json.NAMES, _as_it_is)))


def _window(value: object) -> ContextWindow:
    whole = _integer(SMALLEST, 1_000_000_000)
    readers: dict[str, Callable[[Any], Any]] = {
        "size": _or_none(whole),
        "when_full": WhenFull,
        "keep_system": _flag,
    }
    return ContextWindow(**_entries(value, readers))


def _entries(value: object, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """The entries of a nested object that have a reader."""
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no JSON object")
    for name in value.keys() - readers.keys():
        logger.warning("The unknown setting %r is ignored", name)
    return {name: read(value[name]) for name, read in readers.items() if name in value}


_READERS: dict[str, Callable[[Any], Any]] = {
    "model": _text,
    "theme": _one_of(*THEME_CHOICES),
    "still": _flag,
    "zoom": _integer(*ZOOM_RANGE),
    "prompt": _prompt,
    "decoding": _decoding,
    "new_seeds": _flag,
    "filter_file": _text,
    "filter_action": FilterAction,
    "facts_file": _text,
    "facts_best": _integer(0, MOST_FACTS),
    "window": _window,
    "layer": _integer(0, 1_000_000),
    "head": _integer(0, 1_000_000),
    "hide_first": _flag,
    "shown": _integer(*SHOWN_RANGE),
    "kitchen_words": _flag,
    "speed_ms": _one_of(*SPEEDS_MS),
    "memory_budget_mb": _or_none(_integer(0, MOST_MEMORY_MB)),
    "recent_files": _paths,
    "file": _text,
    "file_saved": _flag,
    "geometry": _bytes,
    "docks": _bytes,
}

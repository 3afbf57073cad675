"""From arguments to a loaded model and a prompt that fits it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from canopy_desktop.decoding.settings_json import parsed
from canopy_desktop.errors import EmptyPromptError, PromptError, PromptTooLongError, StorageError, UsageError
from canopy_desktop.exploration.budget import UNLIMITED
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle, find_bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Tokenizer


def open_bundle(arguments: argparse.Namespace, name: str | None = None) -> Bundle:
    """The verified bundle called `name`, else the one that `--model` names. Raises `ModelError`."""
    return Bundle.open(find_bundle(arguments.model if name is None else name))


def open_session(bundle: Bundle, arguments: argparse.Namespace, tokens: int, *, exact: bool = True) -> ModelSession:
    """Load it on the provider that `--provider` names; a command's text is short enough to keep all of it, exactly.

    `tokens`: how long it can become. Raises `MemoryNeededError`, `ProviderError` or `BundleError`.
    """
    return ModelSession.open(bundle, ProviderChoice(arguments.provider), exact=exact, budget=UNLIMITED, tokens=tokens)


def prompt_ids(bundle: Bundle, tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """The ids of a plain prompt. Raises `EmptyPromptError` or `PromptTooLongError`."""
    return fitting(bundle, tokenizer.encode(tokenizer.with_begin(text)).ids)


def fitting(bundle: Bundle, ids: tuple[int, ...]) -> tuple[int, ...]:
    """The same ids if the model's context holds them. Raises `EmptyPromptError` or `PromptTooLongError`."""
    return fitting_window(bundle.card.architecture.context, ids)


def fitting_window(size: int, ids: tuple[int, ...]) -> tuple[int, ...]:
    """The same ids if a window of `size` tokens holds them. Raises `EmptyPromptError` or `PromptTooLongError`."""
    if not ids:
        raise EmptyPromptError
    if len(ids) > size:
        raise PromptTooLongError(len(ids), size)
    return ids


def in_range(name: str, value: int, first: int, last: int) -> int:
    """The same value if it lies between `first` and `last`. Raises `UsageError`."""
    if not first <= value <= last:
        raise UsageError(f"{name} must be {first} to {last}, not {value}.")
    return value


def positions_in(name: str, text: str) -> tuple[int, ...]:
    """Positions with commas between, each once, in order. Raises `UsageError`."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise UsageError(f"{name} takes positions with commas between, as 0,3.") from error
    if found[0] < 0:
        raise UsageError(f"{name} counts positions from 0, so {found[0]} is none.")
    return tuple(found)


def valid_text(text: str) -> str:
    """An argument as UTF-8, also where the terminal's encoding is another. Raises `PromptError`."""
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError as error:
        raise PromptError("The text is not valid UTF-8: save it as UTF-8 and pass it again.") from error


def one_token(flag: str, tokenizer: Tokenizer, text: str) -> int:
    """The id of a text that is one token. Raises `UsageError`."""
    ids = tokenizer.encode(text, inside=True).ids
    if len(ids) != 1:
        raise UsageError(f"{flag} must be one token, and this text is {len(ids)}; a word often begins with a space.")
    return ids[0]


def read_json(flag: str, path: Path, most_bytes: int) -> object:
    """The JSON value in a file, or on standard input where `path` is "-". Raises `StorageError` or `UsageError`."""
    text = read_text(flag, path, most_bytes)
    try:
        return parsed(text)
    except ValueError as error:
        raise UsageError(f"{flag} {path} cannot be read: {error}.") from error


def read_text(flag: str, path: Path, most_bytes: int) -> str:
    """The text of a file, or of standard input where `path` is "-". Raises `StorageError` or `UsageError`."""
    try:
        if path == Path("-"):
            if sys.stdin is None:
                raise StorageError("Standard input", "it is closed, so nothing can be read")
            data = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with path.open("rb") as file:
                data = file.read(most_bytes + 1)
    except OSError as error:
        raise StorageError(path, f"it cannot be read ({error.strerror})") from error
    if len(data) > most_bytes:
        raise UsageError(f"{flag} names a file of more than {most_bytes:,} bytes, which is more than it can need.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeError as error:
        raise UsageError(f"{flag} {path} is not UTF-8: save it as UTF-8.") from error

"""From arguments to a loaded model and a prompt that fits it."""

from __future__ import annotations

import argparse

from canopy_desktop.errors import EmptyPromptError, PromptTooLongError, UsageError
from canopy_desktop.exploration.budget import UNLIMITED
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle, find_bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Tokenizer


def open_bundle(arguments: argparse.Namespace) -> Bundle:
    """The verified bundle that `--model` names. Raises `ModelError`."""
    return Bundle.open(find_bundle(arguments.model))


def open_session(bundle: Bundle, arguments: argparse.Namespace, *, exact: bool = True) -> ModelSession:
    """Load it on the provider that `--provider` names; a command's text is short enough to keep all of it, exactly."""
    return ModelSession.open(bundle, ProviderChoice(arguments.provider), exact=exact, budget=UNLIMITED)


def prompt_ids(bundle: Bundle, tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """The ids of a plain prompt. Raises `EmptyPromptError` or `PromptTooLongError`."""
    return fitting(bundle, tokenizer.encode(text).ids)


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

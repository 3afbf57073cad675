"""Decoding settings as JSON: kept, copied, and applied again.

Keys are the settings' own names. Token ids are integers, but as keys of `logit_bias` they are strings, as JSON has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, NoReturn

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError

NAMES = frozenset(entry.name for entry in fields(DecodingSettings))
CUTS = frozenset({"top_k", "top_p", "min_p", "typical_p"})
_ALWAYS_SAID = frozenset({"temperature", "seed"})
LONGEST_INTEGER = 400  # digits; Python refuses to read 4,301
_ID = re.compile("[0-9]{1,18}")

# what a `SettingsError` calls a setting → its key
_KEYS = {
    "Temperature": "temperature", "Top-k": "top_k", "Top-p": "top_p", "Min-p": "min_p", "Typical-p": "typical_p",
    "Repetition penalty": "repetition_penalty", "Presence penalty": "presence_penalty",
    "Frequency penalty": "frequency_penalty", "Logit bias": "logit_bias", "Banned tokens": "banned_tokens",
    "Seed": "seed", "Maximum of tokens": "max_tokens", "Minimum of tokens": "min_tokens", "Stop text": "stop",
}  # fmt: skip


def to_json(settings: DecodingSettings) -> dict[str, Any]:
    """Every setting; what `from_json` reads."""
    return asdict(settings) | {
        "logit_bias": {str(token_id): bias for token_id, bias in settings.logit_bias},
        "banned_tokens": list(settings.banned_tokens),
        "stop": list(settings.stop),
    }


def dumps(settings: DecodingSettings) -> str:
    """The text that is copied and saved."""
    return json.dumps(to_json(settings), indent=2, ensure_ascii=False)


def in_one_line(settings: DecodingSettings) -> str:
    """Temperature, seed, and whatever is not at its default; `loads` reads it."""
    stored, unchanged = to_json(settings), to_json(DecodingSettings())
    said = {key: value for key, value in stored.items() if key in _ALWAYS_SAID or value != unchanged[key]}
    return json.dumps(said, ensure_ascii=False)


def from_json(stored: object) -> DecodingSettings:
    """Settings from a JSON object that names some of them. Raises `SettingsError` with the key of a wrong one."""
    values = checked(stored)
    try:
        return completed(values)
    except SettingsError as error:
        raise keyed(error) from error


def keyed(error: SettingsError) -> SettingsError:
    """The same complaint with the setting's key instead of its name."""
    return SettingsError(f'"{_KEYS[error.name]}"', error.reason)


def loads(text: str) -> DecodingSettings:
    """The same from text. Raises `SettingsError`."""
    try:
        stored = parsed(text)
    except ValueError as error:
        raise SettingsError("The settings", f"cannot be read: {error}") from error
    return from_json(stored)


def parsed(text: str) -> object:
    """A JSON text's value. Raises `ValueError` with a reason; NaN and infinity, which JSON lacks, are refused."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is no JSON (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("its lists or objects are nested too deeply") from error


def checked(stored: object) -> dict[str, Any]:
    """The settings that a JSON object names, each of its type. Raises `SettingsError` with the key of a wrong one."""
    if not isinstance(stored, Mapping):
        raise SettingsError("The settings", "must be a JSON object")
    values = {}
    for key, value in stored.items():
        if key not in NAMES:
            raise SettingsError(f'"{key}"', f"is no setting; there are {', '.join(sorted(NAMES))}")
        try:
            values[key] = _READERS[key](value)
        except (TypeError, OverflowError) as error:
            raise SettingsError(f'"{key}"', f"must be {error}") from error
    return values


def completed(values: Mapping[str, Any]) -> DecodingSettings:
    """Settings of which some are named: a cut without a temperature samples at 1, else without one it is greedy.

    Raises `SettingsError`.
    """
    assumed = {"temperature": 1.0} if CUTS & values.keys() else {}
    return DecodingSettings(**(assumed | dict(values)))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number")
    try:
        return float(value)
    except OverflowError as error:
        raise TypeError("a smaller number") from error


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("a whole number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise TypeError("a list of texts")
    try:
        "".join(value).encode()
    except UnicodeError as error:
        raise TypeError("texts without half a surrogate pair") from error
    return tuple(value)


def _ids(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(part) is int for part in value):
        raise TypeError("a list of token ids")
    return tuple(sorted(value))


def _biases(value: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(value, Mapping) or not all(_is_id(key) for key in value):
        raise TypeError('an object of token ids and numbers, as {"5": 1.5}')
    return tuple(sorted((int(key), _number(bias)) for key, bias in value.items()))


def _is_id(key: object) -> bool:
    return isinstance(key, str) and _ID.fullmatch(key) is not None


_READERS: dict[str, Callable[[object], Any]] = {
    "temperature": _number,
    "top_k": _whole,
    "top_p": _number,
    "min_p": _number,
    "typical_p": _number,
    "repetition_penalty": _number,
    "presence_penalty": _number,
    "frequency_penalty": _number,
    "logit_bias": _biases,
    "banned_tokens": _ids,
    "min_tokens": _whole,
    "max_tokens": _whole,
    "stop": _texts,
    "keep_stop": _flag,
    "seed": _whole,
}

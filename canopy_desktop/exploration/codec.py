"""Frozen dataclasses as JSON values and back, by their type hints, each value of exactly its type.

What many steps share, settings and output filters, stands once in a table and is named by its number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from canopy_desktop.decoding.beams import Fate
from canopy_desktop.decoding.output_filter import FilterAction, FilterFailure, FilterList, OutputFilter
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError
from canopy_desktop.exploration.records import Candidate
from canopy_desktop.exploration.searching import FoundToken

if TYPE_CHECKING:
    import cattrs

SETTINGS, FILTER = "settings", "filter"
LARGEST_LINE = 1_000_000  # of an output filter's list
MOST_SHARED = 100_000  # entries of a table
_BROKEN = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
    CanopyError,
)

_Value = TypeVar("_Value")


class BrokenValueError(ValueError):
    """A value is not what the type says."""


class Codec:
    """The values of one exploration, in the order in which they stand in its file."""

    def __init__(self) -> None:
        self._numbers: dict[DecodingSettings | OutputFilter, int] = {}  # those that were written
        self._shared: dict[str, list[Any]] = {SETTINGS: [], FILTER: []}
        self._news: list[tuple[str, Any]] = []
        self._own = _converter()
        self._converter = _converter()
        for kind, name in ((DecodingSettings, SETTINGS), (OutputFilter, FILTER)):
            self._converter.register_unstructure_hook(kind, self._writer(name))
            self._converter.register_structure_hook(kind, self._reader(name))

    def encode(self, value: object) -> Any:
        """A JSON value; `news` has what must stand before it."""
        return self._converter.unstructure(value)

    def news(self) -> Iterator[tuple[str, Any]]:
        """The shared values that were written for the first time since this was asked last: table, and JSON value."""
        news, self._news = self._news, []
        for name, value in news:
            yield name, self._own.unstructure(value)

    def decode(self, value: object, kind: type[_Value]) -> _Value:
        """A value of this type. Raises `BrokenValueError`."""
        return _decoded(self._converter, value, kind)

    def learn(self, name: str, value: object) -> None:
        """Take the next entry of a table. Raises `BrokenValueError`."""
        table = self._shared[name]
        if len(table) >= MOST_SHARED:
            raise BrokenValueError(f"there are more than {MOST_SHARED} {name}")
        kind: type[Any] = DecodingSettings if name == SETTINGS else OutputFilter
        table.append(_decoded(self._own, value, kind))

    def _writer(self, name: str) -> Callable[[Any], int]:
        def write(value: DecodingSettings | OutputFilter) -> int:
            number = self._numbers.get(value)
            if number is None:
                number = self._numbers[value] = sum(isinstance(known, type(value)) for known in self._numbers)
                self._news.append((name, value))
            return number

        return write

    def _reader(self, name: str) -> Callable[[object, Any], Any]:
        table = self._shared[name]

        def read(value: object, kind: Any) -> Any:
            number = _exact(value, int)
            if not 0 <= number < len(table):
                raise BrokenValueError(f"there are no {name} {number}")
            return table[number]

        return read


def _decoded(converter: cattrs.Converter, value: object, kind: type[_Value]) -> _Value:
    from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError, StructureHandlerNotFoundError

    try:
        return converter.structure(value, kind)
    except (*_BROKEN, BaseValidationError, ForbiddenExtraKeysError, StructureHandlerNotFoundError) as error:
        raise BrokenValueError(f"it is no {kind.__name__}") from error


def _converter() -> cattrs.Converter:
    """Refuses what it does not know, and turns no type into another."""
    import cattrs  # not above: the window shall not wait for it

    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    for kind in (int, str, bool):
        converter.register_structure_hook(kind, _exact)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(StrEnum, lambda value, kind: kind(_exact(value, str)))
    converter.register_structure_hook_factory(_is_tuple, lambda kind: _tuple_reader(converter, kind))
    converter.register_unstructure_hook(Candidate, _candidate_row)
    converter.register_structure_hook(Candidate, _candidate)
    converter.register_unstructure_hook(FoundToken, _found_row)
    converter.register_structure_hook(FoundToken, _found_token)
    converter.register_unstructure_hook(OutputFilter, lambda value: _filter_entries(converter, value))
    converter.register_structure_hook(OutputFilter, lambda value, kind: _output_filter(converter, value))
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_structure_hook(bytes, lambda value, kind: bytes.fromhex(_exact(value, str)))
    return converter


def _exact(value: object, kind: type[_Value]) -> _Value:
    if type(value) is not kind:
        raise BrokenValueError(f"{value!r:.40} is no {kind.__name__}")
    return value


def _number(value: object, kind: object = float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise BrokenValueError(f"{value!r:.40} is no number")
    return float(value)  # type: ignore[arg-type]


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _tuple_reader(converter: cattrs.Converter, kind: Any) -> Callable[[object, Any], tuple[Any, ...]]:
    parts = get_args(kind)

    def read(value: object, kind: Any) -> tuple[Any, ...]:
        found = _exact(value, list)
        kinds = [parts[0]] * len(found) if parts[-1] is Ellipsis else parts
        return tuple(converter.structure(one, part) for one, part in zip(found, kinds, strict=True))

    return read


def _candidate_row(value: Candidate) -> list[float]:
    return [value.token_id, value.logit, value.raw_logprob, value.probability]


def _candidate(value: object, kind: object) -> Candidate:
    token_id, *numbers = _exact(value, list)
    logit, raw_logprob, probability = map(_number, numbers)
    return Candidate(_exact(token_id, int), logit, raw_logprob, probability)


def _found_row(value: FoundToken) -> list[int | float | str]:
    return [value.parent, value.token_id, value.logprob, value.fate.value, value.draws]


def _found_token(value: object, kind: object) -> FoundToken:
    parent, token_id, logprob, fate, draws = _exact(value, list)
    return FoundToken(_exact(parent, int), _exact(token_id, int), _number(logprob), Fate(fate), _exact(draws, int))


def _filter_entries(converter: cattrs.Converter, value: OutputFilter) -> dict[str, Any]:
    return {
        "name": value.entries.name,
        "entries": [[entry.line, entry.text] for entry in value.entries.entries],
        "action": value.action.value,
        "left_out": converter.unstructure(value.left_out),
    }


def _output_filter(converter: cattrs.Converter, value: object) -> OutputFilter:
    """Read from the list's own lines, so with all its limits."""
    stored = _exact(value, dict)
    if stored.keys() != {"name", "entries", "action", "left_out"}:
        raise BrokenValueError("it is no output filter")
    entries = converter.structure(stored["entries"], tuple[tuple[int, str], ...])
    lines, before = [], 0
    for line, text in entries:
        if not before < line <= LARGEST_LINE or "\n" in text:
            raise BrokenValueError("its lines have no order")
        lines += [""] * (line - before - 1) + [text]
        before = line
    return OutputFilter(
        FilterList.parse("\n".join(lines), _exact(stored["name"], str)),
        FilterAction(stored["action"]),
        converter.structure(stored["left_out"], tuple[FilterFailure, ...]),
    )

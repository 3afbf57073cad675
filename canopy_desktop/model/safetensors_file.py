"""A safetensors file, read with care: it may come from anywhere.

Eight bytes say how long the header is; the header is a JSON object of names, types, shapes and places; the rest is
numbers, without gaps (github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import SourceError

MAX_HEADER_BYTES = 8_000_000  # a thousand layers take two
MAX_DIMENSIONS = 4
CUT_OFF = "it is shorter than its header says, so it was cut off or is broken"
_LENGTH_BYTES = 8
_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}  # of a number; masks of old files may have the last two
_STORED_AS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies, and how."""

    path: Path
    name: str
    kind: str  # a key of `_BYTES`
    shape: tuple[int, ...]
    offset: int  # in the file

    def values(self) -> FloatArray:
        """Its values, in the shape that it has. Raises `SourceError`."""
        form = _STORED_AS.get(self.kind)
        if form is None:
            raise _unknown_kind(self.path, self.name, self.kind)
        count = math.prod(self.shape)
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                stored = np.fromfile(file, form, count)
        except OSError as error:
            raise SourceError(self.path, f"it cannot be read ({error.strerror})") from error
        if stored.size < count:
            raise SourceError(self.path, CUT_OFF)
        if self.kind == "BF16":  # the upper half of 32 bits
            values = (stored.astype(np.uint32) << 16).view(np.float32)
        else:
            values = stored.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise SourceError(self.path, f"its tensor {self.name} holds values that are no finite numbers")
        shaped: FloatArray = values.reshape(self.shape)
        return shaped


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of a file by its name. Raises `SourceError` for anything wrong with the header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > min(size - _LENGTH_BYTES, MAX_HEADER_BYTES):
                raise SourceError(path, "its header names a length that it does not have, or is too long")
            header = file.read(length)
    except OSError as error:
        raise SourceError(path, f"it cannot be read ({error.strerror})") from error
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_without_twins)
        if not isinstance(entries, dict):
            raise ValueError("it is not an object")
        entries.pop("__metadata__", None)
        begin = _LENGTH_BYTES + length
        found = {name: _stored(path, name, entry, begin) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SourceError(path, "its header is not one of safetensors") from error
    _check_places(path, [*found.values()], begin, size)
    return found


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _stored(path: Path, name: str, entry: dict[str, Any], begin: int) -> StoredTensor:
    """One entry of the header. Raises `SourceError`, `ValueError`, `TypeError` or `KeyError`."""
    kind, shape, (first, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in (*shape, first, end)):
        raise ValueError("a tensor has no shape or no place")
    if kind not in _BYTES:
        raise _unknown_kind(path, name, kind)
    if end - first != math.prod(shape) * _BYTES[kind]:
        raise ValueError("a tensor's shape and its place differ")
    return StoredTensor(path, name, kind, shape, begin + first)


def _unknown_kind(path: Path, name: str, kind: object) -> SourceError:
    return SourceError(path, f"its tensor {name[:100]!r} is of the type {str(kind)[:20]!r}, which is not known")


def _check_places(path: Path, tensors: list[StoredTensor], begin: int, size: int) -> None:
    """Tensors lie one behind another from the header's end to the file's."""
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, math.prod(tensor.shape))):
        if tensor.offset != begin:
            raise SourceError(path, "its header names places that overlap or leave gaps")
        begin += math.prod(tensor.shape) * _BYTES[tensor.kind]
    if begin > size:
        raise SourceError(path, CUT_OFF)
    if begin < size:
        raise SourceError(path, "it is longer than its header says")

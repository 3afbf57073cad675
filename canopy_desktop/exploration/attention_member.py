"""The member of an exploration file that has a text's queries and keys: two arrays of plain numbers, side by side.

It is stored as it is, so it unpacks to no more than the file has; what it must hold is known before it is read.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from canopy_desktop.arrays import AnyArray
from canopy_desktop.exploration.codec import BrokenValueError
from canopy_desktop.exploration.kept_attention import MAX_ATTENTION, AttentionNote, KeptAttention

ATTENTION = "attention.bin"
WRITTEN = (1980, 1, 1, 0, 0, 0)  # the same exploration gives the same file
_TYPES: Final[dict[str, np.dtype[Any]]] = {name: np.dtype(name).newbyteorder("<") for name in ("float16", "float32")}
_PIECE = 1 << 20  # bytes that are read at once


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """What an array must be."""

    type: str  # a name of `_TYPES`
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Of all numbers."""
        return prod(self.shape) * _TYPES[self.type].itemsize


@dataclass(frozen=True, slots=True)
class Member:
    """What the manifest says of a member."""

    name: str
    bytes: int
    sha256: str
    arrays: tuple[ArrayForm, ...] = ()  # queries and keys; none but in that of the attention

    def entry(self) -> dict[str, object]:
        """Its JSON value."""
        arrays = [{"type": form.type, "shape": form.shape} for form in self.arrays]
        entry = {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}
        return {**entry, "arrays": arrays} if arrays else entry


def attention_entry(entry: Any) -> Member:
    """The member in a manifest's entry. Raises `BrokenValueError`."""
    match entry:
        case {"name": str(name), "bytes": int(size), "sha256": str(sha256), "arrays": [_, _] as arrays}:
            if name == ATTENTION and 0 < size <= MAX_ATTENTION:
                return Member(name, size, sha256, tuple(map(_form, arrays)))
    raise BrokenValueError("its manifest does not say what it must")


def why_unkept(attention: KeptAttention) -> str:
    """Why a file cannot have this attention; nothing where it can."""
    if attention.bytes > MAX_ATTENTION:
        return (
            f"the attention of this text takes {attention.bytes // 10**6} MB, and a file holds {MAX_ATTENTION // 10**6}"
            ": save without it, or go back to a shorter text"
        )
    if not _is_finite(attention.queries) or not _is_finite(attention.keys):
        return "some numbers of its attention are too large to be kept: save without it"
    return ""


def write_attention(archive: zipfile.ZipFile, attention: KeptAttention) -> Member:
    """Write the member; `why_unkept` says nothing of it."""
    digest, arrays = hashlib.sha256(), (attention.queries, attention.keys)
    with archive.open(zipfile.ZipInfo(ATTENTION, WRITTEN), "w") as member:
        for array in arrays:
            for layer in array:
                data = np.ascontiguousarray(layer, layer.dtype.newbyteorder("<")).tobytes()
                member.write(data)
                digest.update(data)
    forms = tuple(ArrayForm(array.dtype.name, array.shape) for array in arrays)
    return Member(ATTENTION, attention.bytes, digest.hexdigest(), forms)


def read_attention(archive: zipfile.ZipFile, member: Member, note: AttentionNote, room: int) -> KeptAttention:
    """What the member has, which must be what `note` says, and no more than `room`, the file's own bytes.

    Raises `BrokenValueError`.
    """
    info = archive.getinfo(member.name)
    plain = info.compress_type == zipfile.ZIP_STORED and info.compress_size == member.bytes <= room
    if not plain or tuple(form.shape for form in member.arrays) != note.shapes:
        raise BrokenValueError("its attention is of another size")
    if sum(form.bytes for form in member.arrays) != member.bytes:
        raise BrokenValueError("its attention is of another size")
    digest = hashlib.sha256()
    with archive.open(info) as source:
        queries, keys = (_read_array(source, form, digest) for form in member.arrays)
        if source.read(1) or digest.hexdigest() != member.sha256:
            raise BrokenValueError("the sum of its attention is wrong")
    if not _is_finite(queries) or not _is_finite(keys):
        raise BrokenValueError("its attention has what is no number")
    return KeptAttention(note=note, queries=queries, keys=keys)


def _form(entry: Any) -> ArrayForm:
    match entry:
        case {"type": str(name), "shape": [*shape]} if name in _TYPES and all(type(one) is int for one in shape):
            return ArrayForm(name, tuple(shape))
    raise BrokenValueError("its manifest does not say what it must")


def _read_array(source: Any, form: ArrayForm, digest: Any) -> AnyArray:
    data = bytearray(form.bytes)
    view = memoryview(data)
    for start in range(0, form.bytes, _PIECE):
        piece = source.read(min(_PIECE, form.bytes - start))
        if len(piece) != min(_PIECE, form.bytes - start):
            raise BrokenValueError("its attention is cut off")
        view[start : start + len(piece)] = piece
        digest.update(piece)
    found: AnyArray = np.frombuffer(data, _TYPES[form.type]).reshape(form.shape)
    return found


def _is_finite(array: AnyArray) -> bool:
    return all(bool(np.isfinite(layer).all()) for layer in array)

"""A GGUF file, read with care: it may come from anywhere."""

from __future__ import annotations

import math
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.tokenizer_build import GgufTokenizerFields, read_tokenizer_fields

MAX_ENTRIES = 1_000_000  # in all: the reader keeps an object for each
MAX_DEPTH = 2
MAX_DIMENSIONS = 4
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class GgufModel:
    """An open GGUF whose header, offsets and numbers agree. Weights stay on disk until asked for."""

    path: Path
    architecture: Architecture
    tokenizer: GgufTokenizerFields
    reader: GGUFReader

    def tensor(self, name: str) -> FloatArray:
        """A tensor's values, dequantised, in the order of the file: (rows, columns)."""
        data, kind = self.raw(name)
        try:
            return np.ascontiguousarray(dequantize(data, kind), dtype=np.float32)
        except NotImplementedError as error:
            raise SourceError(self.path, f"its tensor {name} is of the type {kind.name}, which is not known") from error

    def raw(self, name: str) -> tuple[AnyArray, GGMLQuantizationType]:
        """A tensor's bytes as the file has them, and their GGML type."""
        for tensor in self.reader.tensors:
            if tensor.name == name:
                return tensor.data, tensor.tensor_type
        raise SourceError(self.path, f"it has no tensor called {name}")


def open_gguf(path: Path) -> GgufModel:
    """Open a llama-like GGUF. Raises `SourceError` for anything wrong with it."""
    check_header(path)
    try:
        reader = GGUFReader(path)
        architecture = _architecture(reader, path)
        tokenizer = read_tokenizer_fields(reader)
    except SourceError:
        raise
    except Exception as error:  # the reader trusts its file: anything can come out of a broken one
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise SourceError(path, f"its contents do not fit together ({type(error).__name__}: {reason})") from error
    _check_shapes(reader, architecture, path)
    if len(tokenizer.tokens) != architecture.vocabulary:
        raise SourceError(path, "its tokenizer and its embedding differ in size")
    return GgufModel(path, architecture, tokenizer, reader)


def check_header(path: Path) -> None:
    """Walk the header and refuse lengths that leave the file, before a trusting reader follows them."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceError(path, "it is not a file")
        size = path.stat().st_size
        with path.open("rb") as file:
            _Header(file, size, path).walk()
    except OSError as error:
        raise SourceError(path, f"it cannot be read ({error.strerror})") from error


class _Header:
    def __init__(self, file: BinaryIO, size: int, path: Path) -> None:
        self._file = file
        self._size = size
        self._path = path
        self._entries = 0

    def walk(self) -> None:
        if self._file.read(4) != b"GGUF":
            raise SourceError(self._path, "it is not a GGUF file")
        if (version := self._number("<I")) not in (2, 3):
            raise SourceError(self._path, f"GGUF version {version} is not known")
        tensors, entries = self._number("<Q"), self._number("<Q")
        self._count(tensors + entries)
        for _ in range(entries):
            self._string()
            self._value(self._number("<I"), 0)
        for _ in range(tensors):
            self._string()
            if (dimensions := self._number("<I")) > MAX_DIMENSIONS:
                raise SourceError(self._path, f"a tensor has {dimensions} dimensions")
            elements = math.prod(self._number("<Q") for _ in range(dimensions))
            self._skip(4)  # its type
            if max(elements // 8, self._number("<Q")) > self._size:
                raise SourceError(self._path, "a tensor reaches beyond the end of the file")

    def _value(self, kind: int, depth: int) -> None:
        if kind in _SCALAR_BYTES:
            self._skip(_SCALAR_BYTES[kind])
        elif kind == _STRING:
            self._string()
        elif kind == _ARRAY and depth < MAX_DEPTH:
            item, count = self._number("<I"), self._number("<Q")
            self._count(count)
            if item in _SCALAR_BYTES:
                self._skip(_SCALAR_BYTES[item] * count)
                return
            for _ in range(count):
                self._value(item, depth + 1)
        else:
            raise SourceError(self._path, f"its header has a value of unknown type {kind}")

    def _string(self) -> None:
        self._skip(self._number("<Q"))

    def _number(self, form: str) -> int:
        data = self._file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            raise SourceError(self._path, "it ends inside its header")
        return int(struct.unpack(form, data)[0])

    def _skip(self, count: int) -> None:
        if self._file.tell() + count > self._size:
            raise SourceError(self._path, "its header names a length beyond the end of the file")
        self._file.seek(count, 1)

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            raise SourceError(self._path, f"its header names more than {MAX_ENTRIES} entries")


def _architecture(reader: GGUFReader, path: Path) -> Architecture:
    name = _field(reader, "general.architecture", path)
    if name != "llama":
        raise SourceError(path, f"the architecture {name!r} is not supported")

    def number(key: str) -> float:
        return float(_field(reader, f"llama.{key}", path))

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    hidden, heads = int(number("embedding_length")), int(number("attention.head_count"))
    if any(key.startswith("llama.rope.scal") for key in reader.fields) or "rope_freqs.weight" in tensors:
        raise SourceError(path, "its rope scaling is not supported")
    if "output.weight" in tensors:
        raise SourceError(path, "an output matrix beside the embedding is not supported")
    if "token_embd.weight" not in tensors:
        raise SourceError(path, "it has no tensor called token_embd.weight")
    if "llama.rope.dimension_count" in reader.fields and number("rope.dimension_count") != hidden // heads:
        raise SourceError(path, "a rotation of only a part of each head is not supported")
    return Architecture(
        layers=int(number("block_count")),
        heads=heads,
        kv_heads=int(number("attention.head_count_kv")),
        head_size=hidden // heads,
        hidden=hidden,
        feed_forward=int(number("feed_forward_length")),
        vocabulary=int(tensors["token_embd.weight"].shape[1]),
        context=int(number("context_length")),
        rope_base=number("rope.freq_base"),
        epsilon=float(np.float32(number("attention.layer_norm_rms_epsilon"))),
    )


def _field(reader: GGUFReader, key: str, path: Path) -> str | float:
    field = reader.get_field(key)
    if field is None:
        raise SourceError(path, f"it does not say {key}")
    value = field.contents()
    if not isinstance(value, str | int | float):
        raise SourceError(path, f"{key} is not a single value")
    return value


def _check_shapes(reader: GGUFReader, architecture: Architecture, path: Path) -> None:
    found = {tensor.name: tuple(int(n) for n in reversed(tensor.shape)) for tensor in reader.tensors}
    expected = expected_shapes(architecture)
    for name in found.keys() - expected.keys():
        raise SourceError(path, f"its tensor {name} is not known")
    for name, shape in expected.items():
        if found.get(name) != shape:
            raise SourceError(path, f"the tensor {name} should be {shape} and is {found.get(name, 'missing')}")


def expected_shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """The shape that each tensor must have, (rows, columns) = (outputs, inputs)."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (a.vocabulary, a.hidden),
        "output_norm.weight": (a.hidden,),
    }
    query, key = a.heads * a.head_size, a.kv_heads * a.head_size
    for layer in range(a.layers):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (a.hidden,),
            f"blk.{layer}.attn_q.weight": (query, a.hidden),
            f"blk.{layer}.attn_k.weight": (key, a.hidden),
            f"blk.{layer}.attn_v.weight": (key, a.hidden),
            f"blk.{layer}.attn_output.weight": (a.hidden, query),
            f"blk.{layer}.ffn_norm.weight": (a.hidden,),
            f"blk.{layer}.ffn_gate.weight": (a.feed_forward, a.hidden),
            f"blk.{layer}.ffn_up.weight": (a.feed_forward, a.hidden),
            f"blk.{layer}.ffn_down.weight": (a.hidden, a.feed_forward),
        }
    return shapes

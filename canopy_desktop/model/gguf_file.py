"""A GGUF file, read with care: it may come from anywhere."""

from __future__ import annotations

import math
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from gguf import GGML_QUANT_SIZES, GGUFReader, ReaderTensor
from gguf.quants import dequantize

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import Architecture, Norm, Positions
from canopy_desktop.model.families import (
    FAMILIES,
    HEAD_UNIT,
    ROPE_FACTORS,
    Family,
    Shape,
    check_shapes,
    expected_shapes,
    kept,
)
from canopy_desktop.model.graph import EMBEDDING, OUTPUT_MATRIX
from canopy_desktop.model.tokenizer_build import GgufTokenizerFields, read_tokenizer_fields

MAX_ENTRIES = 1_000_000  # in all: the reader keeps an object for each
MAX_DEPTH = 2
MAX_DIMENSIONS = 4
MAX_TEXT = 200  # characters of a title or a licence
ROPE_BASE = 10_000.0  # where a file does not say it, as in llama.cpp
_EPSILON = {Norm.RMS: "attention.layer_norm_rms_epsilon", Norm.LAYER: "attention.layer_norm_epsilon"}
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_BLOCKS = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}  # numbers in a block, and its bytes
CUT_OFF = "a tensor reaches beyond its end, so it was cut off or is broken"


@dataclass(frozen=True, slots=True)
class GgufModel:
    """An open GGUF whose header, offsets and numbers agree. Weights stay on disk until asked for."""

    path: Path
    family: Family
    architecture: Architecture
    tokenizer: GgufTokenizerFields
    reader: GGUFReader
    tensors: Mapping[str, ReaderTensor]

    def tensor(self, name: str) -> FloatArray:
        """A tensor's values, dequantised, in the order of the file: (rows, columns). Raises `SourceError`."""
        tensor = self.tensors[name]
        kind = tensor.tensor_type.name
        try:
            values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        except NotImplementedError as error:
            raise SourceError(self.path, f"its tensor {name} is of the type {kind}, which is not known") from error
        if not np.isfinite(values).all():
            raise SourceError(self.path, f"its tensor {name} holds values that are no finite numbers")
        return values

    def matrix(self, name: str) -> FloatArray:
        """A matrix or vector, (outputs, inputs), query and key rows in the graph's order. Raises `SourceError`.

        GGUF files for llama keep the rows of each head so that rotated pairs are neighbours (llama.cpp,
        convert_hf_to_gguf.py, `LlamaModel.permute`); the graph rotates halves.
        """
        a = self.architecture
        place = kept(self.family, a, name)
        values = self.tensor(place.name)[place.rows]
        if self.family.paired and name.endswith(("attn_q.weight", "attn_k.weight")):
            heads = a.heads if name.endswith("attn_q.weight") else a.kv_heads
            pairs = values.reshape(heads, a.head_size // 2, 2, values.shape[1])
            values = np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)
        return values

    @property
    def title(self) -> str | None:
        """What the file calls its model."""
        return self.text("general.name")

    @property
    def licence(self) -> str | None:
        """What the file says about its licence."""
        return self.text("general.license")

    def text(self, key: str) -> str | None:
        """A text of the file's metadata, in one printable line; None where there is none."""
        field = self.reader.get_field(key)
        value = None if field is None else field.contents()
        if not isinstance(value, str):
            return None
        line = " ".join(value.split())[:MAX_TEXT]
        return "".join(char for char in line if char.isprintable()) or None


def open_gguf(path: Path) -> GgufModel:
    """Open a GGUF of one of the families. Raises `SourceError` for anything wrong with it."""
    check_header(path)
    try:
        reader = GGUFReader(path)
        family = _family(reader, path)
        shapes = {tensor.name: tuple(int(n) for n in reversed(tensor.shape)) for tensor in reader.tensors}
        architecture = _architecture(reader, family, shapes, path)
        tokenizer = read_tokenizer_fields(reader)
    except SourceError:
        raise
    except Exception as error:  # the reader trusts its file: anything can come out of a broken one
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise SourceError(path, f"its contents do not fit together ({type(error).__name__}: {reason})") from error
    expected = expected_shapes(architecture, fused_qkv=family.fused_qkv)
    check_shapes(shapes, expected, {ROPE_FACTORS} if family.rope_factors else (), path)
    if len(tokenizer.tokens) != architecture.vocabulary:
        raise SourceError(path, "its tokenizer and its embedding differ in size")
    return GgufModel(path, family, architecture, tokenizer, reader, _tensors(reader))


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
        end = 0  # of the last tensor, counted from where the header ends
        for _ in range(tensors):
            self._string()
            if (dimensions := self._number("<I")) > MAX_DIMENSIONS:
                raise SourceError(self._path, f"a tensor has {dimensions} dimensions")
            elements = math.prod(self._number("<Q") for _ in range(dimensions))
            block, size = _BLOCKS.get(self._number("<I"), (1, 0))
            offset = self._number("<Q")
            if max(elements // 8, offset) > self._size:
                raise SourceError(self._path, CUT_OFF)
            end = max(end, offset + elements // block * size)
        if self._file.tell() + end > self._size:
            raise SourceError(self._path, CUT_OFF)

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


def _family(reader: GGUFReader, path: Path) -> Family:
    parts = _Keys(reader, path, "split").whole("count", 1)
    if parts > 1:
        raise SourceError(path, f"it is one of {parts} parts, which must be joined to one file first")
    name = _Keys(reader, path, "general").text("architecture")
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise SourceError(path, f"its architecture {name[:100]!r} is not supported, only {known} are")
    return FAMILIES[name]


def _architecture(reader: GGUFReader, family: Family, tensors: Mapping[str, Shape], path: Path) -> Architecture:
    keys = _Keys(reader, path, family.name)
    if EMBEDDING not in tensors:
        raise SourceError(path, f"it has no tensor called {EMBEDDING}")
    if keys.number("expert_count", 0):
        raise SourceError(path, "a mixture of experts is not supported")
    if any(keys.number(f"{part}_logit_softcapping", 0) for part in ("attn", "final")):
        raise SourceError(path, "logits with a soft cap are not supported")
    layers, hidden, heads = (keys.whole(key) for key in ("block_count", "embedding_length", "attention.head_count"))
    context, head_size = keys.whole("context_length"), _head_size(keys, hidden // heads)
    window = keys.whole("attention.sliding_window", 0)
    slides = window if family.window_period else 0
    is_rotary = family.positions is Positions.ROTARY
    return Architecture(
        layers=layers,
        heads=heads,
        kv_heads=keys.whole("attention.head_count_kv", heads),
        head_size=head_size,
        hidden=hidden,
        feed_forward=keys.whole("feed_forward_length"),
        vocabulary=tensors[EMBEDDING][0],
        # within its window, attention that slides is attention to everything
        context=context if slides else min(context, window or context),
        rope_base=keys.number("rope.freq_base", ROPE_BASE) if is_rotary else 0.0,
        epsilon=float(np.float32(keys.number(_EPSILON[family.norm]))),
        rope_divisors=_rope_divisors(reader, family, keys, head_size // 2) if is_rotary else (),
        tied=OUTPUT_MATRIX not in tensors,
        **family.of_blocks,
        attention_scale=math.sqrt(heads / hidden) if layers == family.wide_scale_layers else 0.0,
        window=slides,
        window_period=keys.whole("attention.sliding_window_pattern", family.window_period) if slides else 1,
        window_rope_base=keys.number("rope.freq_base_swa", ROPE_BASE) if slides else ROPE_BASE,
    )


def _head_size(keys: _Keys, usual: int) -> int:
    size = keys.whole("attention.key_length", usual)
    if keys.whole("attention.value_length", size) != size:
        raise SourceError(keys.path, "keys and values of different sizes are not supported")
    if keys.whole("rope.dimension_count", size) != size:
        raise SourceError(keys.path, "a rotation of only a part of each head is not supported")
    if size % HEAD_UNIT:
        raise SourceError(keys.path, f"heads of {size} numbers are not supported, only multiples of {HEAD_UNIT} are")
    return size


def _rope_divisors(reader: GGUFReader, family: Family, keys: _Keys, pairs: int) -> tuple[float, ...]:
    """What each pair's frequency is divided by, (head_size / 2,); nothing where that is 1 throughout."""
    kind = keys.text("rope.scaling.type", "linear")  # as llama.cpp reads a file that does not say it
    if kind not in ("none", "linear"):
        raise SourceError(keys.path, f"its rope scaling {kind[:100]!r} is not supported")
    factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0)) if kind == "linear" else 1.0
    divisors = np.full(pairs, factor or 1.0)
    if family.rope_factors and (factors := _tensors(reader).get(ROPE_FACTORS)) is not None:
        if factors.data.shape != (pairs,):
            raise SourceError(keys.path, f"its tensor {ROPE_FACTORS} does not fit its heads")
        divisors *= factors.data
    return tuple(float(divisor) for divisor in divisors) if (divisors != 1.0).any() else ()


class _Keys:
    """A GGUF's single values under one prefix, checked. Raises `SourceError`."""

    def __init__(self, reader: GGUFReader, path: Path, prefix: str) -> None:
        self._reader = reader
        self.path = path
        self._prefix = prefix

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise SourceError(self.path, f"{self._prefix}.{key} is not text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(key, default)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise SourceError(self.path, f"{self._prefix}.{key} is not a number")
        return float(value)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        return int(self.number(key, default))

    def _value(self, key: str, default: object) -> object:
        field = self._reader.get_field(f"{self._prefix}.{key}")
        value = default if field is None else field.contents()
        if value is None:
            raise SourceError(self.path, f"it does not say {self._prefix}.{key}")
        return value


def _tensors(reader: GGUFReader) -> dict[str, ReaderTensor]:
    return {tensor.name: tensor for tensor in reader.tensors}

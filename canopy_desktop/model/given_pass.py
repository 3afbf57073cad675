"""Passes of a graph that another program made: what it asks for is supplied, and what it leaves is kept as ours.

Such a graph takes all keys and values as arrays of just their length and gives them back longer, where ours extend a
cache in place. So a pass copies the past into an array of that length, and what is new into the cache; a batch runs
row by row, and each row has the bits of the single step that it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from canopy_desktop.arrays import AnyArray, IntArray
from canopy_desktop.errors import NotGivenError
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.decoder import AttentionBias, PassColumns, PassRunner
from canopy_desktop.model.device import Stored, on_host, place_of

LAST = "last"  # what the head takes, which a bundle's copy of a graph gives instead of logits
PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")
PARTS = ("key", "value")
BLOCKING, INSIDE = "way to block attention", "way to look inside of a block"
STEP = 64  # positions that arrays grow by, at least


def past_name(layer: int, part: str) -> str:
    """What such a graph calls the keys or values that it takes."""
    return f"past_key_values.{layer}.{part}"


def present_name(layer: int, part: str) -> str:
    """What it calls those that it gives."""
    return f"present.{layer}.{part}"


def query_name(layer: int) -> str:
    """What a bundle's copy of a graph calls a layer's queries, where it gives them."""
    return f"query.{layer}"


def residual_name(row: int) -> str:
    """What it calls the stream: 0 the embedding, l + 1 what comes out of block l, but for the last."""
    return f"residual.{row}"


def supplied(name: str, ids: IntArray, total: int) -> AnyArray | None:
    """What an input that is no past is given for (1, new) ids that end a text of `total`; None: it is not known."""
    match name:
        case "input_ids":
            return ids
        case "attention_mask":
            return np.ones((1, total), np.int64)
        case "position_ids":
            return np.arange(total - ids.shape[1], total)[None]
        case "use_cache_branch":  # of a decoder that was merged of one without past and one with it
            return np.array([total > ids.shape[1]])
        case "num_logits_to_keep":
            return np.zeros((), np.int64)  # all
        case _:
            return None


class GivenBinding:
    """What `PassBinding` is for a graph of ours, for one that was given: its inputs are those that it asks for."""

    def __init__(self, runner: PassRunner, architecture: Architecture) -> None:
        self.runner = runner
        self._a = architecture
        self._asked = {name: kind_of(said) for name, said in runner.inputs.items()}
        self._binding = runner.new_io_binding()
        self._buffers: list[tuple[str, str, Stored]] = []  # names of the past and the present, and the cache's array
        self._past: list[AnyArray] = []  # flat, for each of them
        self._present: list[AnyArray] = []
        self._held: dict[str, AnyArray] = {}

    def bind_cache(self, keys: Sequence[Stored], values: Sequence[Stored]) -> None:
        """Buffers of every layer, each (batch, kv_heads, capacity, head_size), that passes write what is new into."""
        self._buffers = [
            (past_name(layer, part), present_name(layer, part), array)
            for layer, pair in enumerate(zip(keys, values, strict=True))
            for part, array in zip(PARTS, pair, strict=True)
        ]

    def run(
        self, ids: IntArray, totals: AnyArray, options: ort.RunOptions, bias: AttentionBias | None = None
    ) -> PassColumns:
        """Pass (batch, new) ids, of (batch,) valid lengths after the pass; rows of the columns are batch · new.

        Raises `InterruptedStepError`, `ProviderError`, or `NotGivenError` for a bias.
        """
        if bias is not None:
            raise NotGivenError(BLOCKING)
        a, (batch, new) = self._a, ids.shape
        queries, residuals = (
            np.empty((a.layers, batch * new, width), np.float32) for width in (a.query_width, a.stream_width)
        )
        columns = PassColumns(queries, residuals, np.empty((batch * new, a.hidden), np.float32))
        for row, past in enumerate((totals - new).tolist()):
            size = 1 if past and a.steps_alone else new
            for first in range(0, new, size):
                place = slice(row * new + first, row * new + first + size)
                part = ids[row : row + 1, first : first + size]
                self._run_row(row, part, past + first + size, columns, place, options)
        return columns

    def _run_row(
        self, row: int, ids: IntArray, total: int, columns: PassColumns, rows: slice, options: ort.RunOptions
    ) -> None:
        """Pass (1, new) ids of a row; their columns are `rows`."""
        a, new = self._a, ids.shape[1]
        past = total - new
        self._make_room(total)
        for name, kind in self._asked.items():
            if (value := supplied(name, ids, total)) is not None:
                self._held[name] = np.ascontiguousarray(value, kind)
                self._bind_in(name, self._held[name])
        presents = []
        for index, (past_of, present_of, buffer) in enumerate(self._buffers):
            before, after = self._shaped(self._past[index], past), self._shaped(self._present[index], total)
            before[:] = buffer[row : row + 1, :, :past]
            self._bind_in(past_of, before)
            self._bind_out(present_of, after)
            presents.append(after)
        heads = np.empty((a.layers if a.queries else 0, 1, a.heads, new, a.head_size), np.float32)
        for layer, queries in enumerate(heads):
            self._bind_out(query_name(layer), queries)
        for layer in range(a.layers if a.residuals else 0):
            self._bind_out(residual_name(layer), on_host(columns.residuals[layer, rows])[None])
        self._bind_out(LAST, on_host(columns.last[rows])[None])
        self.runner.run(self._binding, options)
        for layer, queries in enumerate(heads):
            columns.queries[layer, rows] = queries[0].transpose(1, 0, 2).reshape(new, -1)
        for (_, _, buffer), after in zip(self._buffers, presents, strict=True):
            buffer[row : row + 1, :, past:total] = after[:, :, past:]

    def _make_room(self, total: int) -> None:
        """Arrays for a past and a present of `total` positions."""
        a = self._a
        size = a.kv_heads * a.head_size * total
        if not self._past or self._past[0].size < size:
            size += a.kv_heads * a.head_size * max(STEP, total // 2)
            kinds = [self._asked[past] for past, _, _ in self._buffers]
            self._past, self._present = ([np.empty(size, kind) for kind in kinds] for _ in range(2))

    def _shaped(self, flat: AnyArray, length: int) -> AnyArray:
        a = self._a
        return flat[: a.kv_heads * length * a.head_size].reshape(1, a.kv_heads, length, a.head_size)

    def _bind_in(self, name: str, array: AnyArray) -> None:
        device, number, address = place_of(array)
        self._binding.bind_input(name, device, number, array.dtype, array.shape, address)

    def _bind_out(self, name: str, array: AnyArray) -> None:
        device, number, address = place_of(array)
        self._binding.bind_output(name, device, number, array.dtype, array.shape, address)


def kind_of(said: str) -> np.dtype[Any]:
    """numpy's type of what onnxruntime calls "tensor(float)"."""
    return np.dtype(_NAMES.get(name := said.removeprefix("tensor(").removesuffix(")"), name))


_NAMES = {"float": "float32", "double": "float64"}  # where numpy says otherwise

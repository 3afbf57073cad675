"""The decoder: token ids in, logits and columns out, with a cache that one can shorten and swap."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import onnxruntime as ort

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.errors import ContextFullError, InterruptedStepError, ProviderError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.cache import Cache
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.provider import first_line, open_session

CHUNK = 256  # tokens of a prompt that pass through the model at once


class ColumnRows(Protocol):
    """Where a pass leaves its columns: C-contiguous float32 views, one row a token."""

    def query(self, layer: int) -> FloatArray:
        """(new, heads · head_size), before rotation."""

    def residual(self, row: int) -> FloatArray:
        """(new, hidden); 0 is the embedding, l + 1 what comes out of block l."""


class AttentionBias(Protocol):
    """What is added to the scores before the softmax: minus infinity forbids a query to see a key."""

    def of_layer(self, layer: int, first: int, new: int) -> FloatArray | None:
        """(1, 1 or heads, new, first + new) for the queries first … first + new - 1; None adds nothing."""


class DecoderSession(Protocol):
    """The seam to the network: a decoder that remembers what it has been fed."""

    architecture: Architecture
    cache: Cache
    context: int
    length: int

    def feed(self, token_ids: Sequence[int], columns: ColumnRows, *, bias: AttentionBias | None = None) -> FloatArray:
        """Pass tokens through the model; returns the last one's logits, (vocabulary,)."""

    def reserve(self, length: int) -> None:
        """Make room in the cache for `length` positions. Raises `ContextFullError`."""

    def truncate(self, length: int) -> None:
        """Go back: forget all positions from `length` on."""

    def interrupt(self) -> None:
        """Abort the pass in progress, if any. The only thread-safe method."""


def chunks_of(count: int, size: int = CHUNK) -> list[int]:
    """How a prompt is cut: chunks of `size`, and never one of a single token unless there is but one.

    With 8-bit weights a single token is rounded otherwise than several; a chunk of two or more always gives the
    same bits (docs/architecture.md, "Rounding").
    """
    full, rest = divmod(count, size)
    sizes = [size] * full
    if rest == 1 and full:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


class OnnxDecoder:
    """A bundle's decoder on onnxruntime. Used by one thread, but for `interrupt`."""

    def __init__(self, bundle: Bundle, *, context: int | None = None, threads: int = 0) -> None:
        self.architecture = bundle.card.architecture
        self.context = min(context or self.architecture.context, self.architecture.context)
        self.cache = Cache(self.architecture, self.context)
        self.length = 0
        self._session = open_session(bundle.decoder, threads=threads)
        self._binding = self._session.io_binding()
        self._zeros = np.zeros(0, np.float32)
        self._lock = threading.Lock()
        self._running: ort.RunOptions | None = None

    def feed(self, token_ids: Sequence[int], columns: ColumnRows, *, bias: AttentionBias | None = None) -> FloatArray:
        """Pass tokens through the model; returns the last one's logits, (vocabulary,).

        Keys and values go into the cache, queries and residuals into `columns`. Raises `ContextFullError`,
        `InterruptedStepError` or `ProviderError`; after each of them nothing has changed.
        """
        total = self.length + len(token_ids)
        self.reserve(total)
        logits = np.empty((1, 1, self.architecture.vocabulary), np.float32)
        held = [self._bind_pass(np.array([token_ids], np.int64), total, columns, logits)]
        held += self._bind_bias(len(token_ids), total, bias)
        self._run()
        del held
        self.length = total
        last: FloatArray = logits[0, 0]
        return last

    def reserve(self, length: int) -> None:
        """Make room in the cache for `length` positions. Raises `ContextFullError`."""
        if length > self.context:
            raise ContextFullError(self.context)
        if self.cache.reserve(length, self.length):
            self._bind_cache()

    def truncate(self, length: int) -> None:
        """Go back: forget all positions from `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot shorten {self.length} positions to {length}")
        self.length = length

    def interrupt(self) -> None:
        """Abort the pass in progress, if any. The only thread-safe method."""
        with self._lock:
            if self._running is not None:
                self._running.terminate = True

    def _run(self) -> None:
        options = ort.RunOptions()
        options.log_severity_level = 4
        with self._lock:
            self._running = options
        try:
            self._session.run_with_iobinding(self._binding, options)
        except Exception as error:  # onnxruntime has no public base class of its errors
            if options.terminate:
                raise InterruptedStepError from error
            raise ProviderError("cpu", first_line(error)) from error
        finally:
            with self._lock:
                self._running = None

    def _bind_cache(self) -> None:
        for layer in range(self.architecture.layers):
            for part, buffers in (("key", self.cache.keys), ("value", self.cache.values)):
                self._bind_in(f"past.{layer}.{part}", buffers[layer])
                self._bind_out(f"present.{layer}.{part}", buffers[layer])

    def _bind_pass(self, ids: AnyArray, total: int, columns: ColumnRows, logits: FloatArray) -> tuple[AnyArray, ...]:
        """Bind one pass; the arrays returned must live until it has run."""
        new = ids.shape[1]
        seqlens = np.array([total - 1], np.int32)
        total_length = np.array(total, np.int32)
        rows = np.array([new - 1], np.int64)
        for name, array in (("input_ids", ids), ("seqlens_k", seqlens), ("total", total_length), ("logit_rows", rows)):
            self._bind_in(name, array)
        for layer in range(self.architecture.layers):
            self._bind_out(f"query.{layer}", columns.query(layer)[None])
            self._bind_out(f"residual.{2 * layer}", columns.residual(layer)[None])
        self._bind_out(f"residual.{2 * self.architecture.layers}", columns.residual(self.architecture.layers)[None])
        self._bind_out("logits", logits)
        return ids, seqlens, total_length, rows

    def _bind_bias(self, new: int, total: int, bias: AttentionBias | None) -> list[tuple[AnyArray, ...]]:
        """Bind the shared zeros, or what a layer is given; the arrays returned must live until it has run."""
        if self._zeros.size < new * total:
            self._zeros = np.zeros(max(new, 2) * self.cache.capacity, np.float32)
        zeros = self._zeros[: new * total].reshape(1, 1, new, total)
        held: list[tuple[AnyArray, ...]] = [(zeros,)]
        for layer in range(self.architecture.layers):
            given = None if bias is None else bias.of_layer(layer, total - new, new)
            array = zeros if given is None else np.ascontiguousarray(given, np.float32)
            held.append((array,))
            self._bind_in(f"attention_bias.{layer}", array)
        return held

    def _bind_in(self, name: str, array: AnyArray) -> None:
        self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def _bind_out(self, name: str, array: AnyArray) -> None:
        self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

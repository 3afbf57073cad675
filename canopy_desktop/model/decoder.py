"""The decoder: token ids in, logits and columns out, with a cache that one can shorten and swap."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnxruntime as ort

from canopy_desktop.arrays import AnyArray, FloatArray, IntArray
from canopy_desktop.errors import ContextFullError, InterruptedStepError, ProviderError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.cache import Cache
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.provider import first_line, open_session

CHUNK = 256  # tokens of a prompt that pass through the model at once
ROWS = 128  # rows of a matrix that onnxruntime's CPU kernels multiply at a time


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
        """Abort the pass in progress, if any, here or beside. Thread-safe."""

    def hold(self) -> None:
        """Abort the pass in progress, and every one that begins, until `release`. Thread-safe."""

    def release(self) -> None:
        """Let passes run again. Thread-safe."""

    def sibling(self) -> DecoderSession:
        """Another decoder on the same weights, with an empty cache of its own. Both belong to one thread."""

    def new_binding(self) -> PassBinding:
        """For passes on the same weights with a cache that is not this decoder's."""


def chunks_of(count: int, size: int = CHUNK) -> list[int]:
    """How a prompt is cut: chunks of `size`, none of which leaves a single row over, unless there is but one.

    A single row is rounded otherwise than several, and onnxruntime multiplies `ROWS` rows at a time, so the last
    row of a chunk of 129 or 257 is as alone as a chunk of one; all other chunks give the same bits
    (docs/architecture.md, "Rounding").
    """
    sizes = []
    while count:
        taken = min(size, count)
        if count - taken == 1:
            taken += 1
        if taken > 1 and taken % ROWS == 1:
            taken -= 1 if taken < count else 2
        sizes.append(taken)
        count -= taken
    return sizes


@dataclass(frozen=True, slots=True, eq=False)
class DiscardedColumns:
    """Columns that nobody keeps: memory that every pass writes over."""

    queries: FloatArray  # (layers, rows, heads · head_size)
    residuals: FloatArray  # (layers + 1, rows, hidden)

    @classmethod
    def of_rows(cls, architecture: Architecture, rows: int) -> DiscardedColumns:
        """Memory for passes of up to `rows` tokens."""
        a = architecture
        queries = np.zeros((a.layers, rows, a.heads * a.head_size), np.float32)
        return cls(queries, np.zeros((a.layers + 1, rows, a.hidden), np.float32))

    def first(self, new: int) -> DiscardedColumns:
        """The same memory for a pass of `new` tokens."""
        return DiscardedColumns(self.queries[:, :new], self.residuals[:, :new])

    def query(self, layer: int) -> FloatArray:
        """(new, heads · head_size), before rotation."""
        found: FloatArray = self.queries[layer]
        return found

    def residual(self, row: int) -> FloatArray:
        """(new, hidden); 0 is the embedding, l + 1 what comes out of block l."""
        found: FloatArray = self.residuals[row]
        return found


class PassRunner:
    """Runs the passes of one onnxruntime session, one at a time; any thread may interrupt them."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._running: ort.RunOptions | None = None
        self._held = False

    def new_io_binding(self) -> ort.IOBinding:
        """An empty one."""
        return self._session.io_binding()

    @contextmanager
    def under_way(self) -> Iterator[ort.RunOptions]:
        """What is run within is one pass to `interrupt`, be it several runs. Raises `InterruptedStepError`."""
        options = ort.RunOptions()
        options.log_severity_level = 4
        with self._lock:
            if self._held:
                raise InterruptedStepError
            self._running = options
        try:
            yield options
        finally:
            with self._lock:
                self._running = None

    def run(self, binding: ort.IOBinding, options: ort.RunOptions) -> None:
        """Raises `InterruptedStepError` or `ProviderError`."""
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:  # onnxruntime has no public base class of its errors
            if options.terminate:
                raise InterruptedStepError from error
            raise ProviderError("cpu", first_line(error)) from error

    def interrupt(self) -> None:
        """Abort the pass in progress, if any. Thread-safe."""
        with self._lock:
            if self._running is not None:
                self._running.terminate = True

    def hold(self) -> None:
        """Abort the pass in progress, and every one that begins, until `release`. Thread-safe."""
        with self._lock:
            self._held = True
        self.interrupt()

    def release(self) -> None:
        """Let passes run again. Thread-safe."""
        with self._lock:
            self._held = False


class PassBinding:
    """What a pass reads and writes, bound to the graph's names (docs/architecture.md, "The graph").

    Nothing here keeps an array alive but `zeros`: what a method is given or returns must live until the pass has run.
    """

    def __init__(self, runner: PassRunner, architecture: Architecture) -> None:
        self.runner = runner
        self._a = architecture
        self._binding = runner.new_io_binding()
        self._zeros = np.zeros(0, np.float32)

    def bind_cache(self, keys: Sequence[FloatArray], values: Sequence[FloatArray]) -> None:
        """Buffers of every layer, each (batch, kv_heads, capacity, head_size), that passes extend in place."""
        for layer in range(self._a.layers):
            for part, buffers in (("key", keys), ("value", values)):
                self._bind_in(f"past.{layer}.{part}", buffers[layer])
                self._bind_out(f"present.{layer}.{part}", buffers[layer])

    def bind_pass(
        self, ids: IntArray, totals: AnyArray, columns: ColumnRows, logits: FloatArray
    ) -> tuple[AnyArray, ...]:
        """Bind (batch, new) ids, (batch,) valid lengths after the pass, and where columns and logits go."""
        batch, new = ids.shape
        seqlens = (totals - 1).astype(np.int32)
        total = np.array(totals.max(), np.int32)
        rows = np.array([new - 1], np.int64)
        for name, array in (("input_ids", ids), ("seqlens_k", seqlens), ("total", total), ("logit_rows", rows)):
            self._bind_in(name, array)
        for layer in range(self._a.layers):
            self._bind_out(f"query.{layer}", columns.query(layer).reshape(batch, new, -1))
            self._bind_out(f"residual.{2 * layer}", columns.residual(layer).reshape(batch, new, -1))
        self._bind_out(f"residual.{2 * self._a.layers}", columns.residual(self._a.layers).reshape(batch, new, -1))
        self._bind_out("logits", logits)
        return ids, seqlens, total, rows

    def bind_bias(self, new: int, total: int, bias: AttentionBias | None, capacity: int) -> list[AnyArray]:
        """Bind the shared zeros, or what a layer is given; zeros are made once for `capacity` positions."""
        if self._zeros.size < new * total:
            self._zeros = np.zeros(max(new, 2) * capacity, np.float32)
        zeros = self._zeros[: new * total].reshape(1, 1, new, total)
        held: list[AnyArray] = [zeros]
        for layer in range(self._a.layers):
            given = None if bias is None else bias.of_layer(layer, total - new, new)
            array = zeros if given is None else np.ascontiguousarray(given, np.float32)
            held.append(array)
            self._bind_in(f"attention_bias.{layer}", array)
        return held

    def run(self, options: ort.RunOptions) -> None:
        """Run what is bound. Raises `InterruptedStepError` or `ProviderError`."""
        self.runner.run(self._binding, options)

    def _bind_in(self, name: str, array: AnyArray) -> None:
        self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def _bind_out(self, name: str, array: AnyArray) -> None:
        self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


class OnnxDecoder:
    """A bundle's decoder on onnxruntime. Used by one thread, but for `interrupt`, `hold` and `release`."""

    def __init__(
        self, bundle: Bundle, *, context: int | None = None, threads: int = 0, runner: PassRunner | None = None
    ) -> None:
        self.architecture = bundle.card.architecture
        self.context = min(context or self.architecture.context, self.architecture.context)
        self.cache = Cache(self.architecture, self.context)
        self.length = 0
        self._bundle = bundle
        self._runner = runner or PassRunner(open_session(bundle.decoder, threads=threads))
        self._binding = PassBinding(self._runner, self.architecture)

    def feed(self, token_ids: Sequence[int], columns: ColumnRows, *, bias: AttentionBias | None = None) -> FloatArray:
        """Pass tokens through the model; returns the last one's logits, (vocabulary,).

        Keys and values go into the cache, queries and residuals into `columns`. Raises `ContextFullError`,
        `InterruptedStepError` or `ProviderError`; after each of them nothing has changed.
        """
        total = self.length + len(token_ids)
        self.reserve(total)
        logits = np.empty((1, 1, self.architecture.vocabulary), np.float32)
        held = [
            *self._binding.bind_pass(np.array([token_ids], np.int64), np.array([total]), columns, logits),
            *self._binding.bind_bias(len(token_ids), total, bias, self.cache.capacity),
        ]
        with self._runner.under_way() as options:
            self._binding.run(options)
        del held
        self.length = total
        last: FloatArray = logits[0, 0]
        return last

    def reserve(self, length: int) -> None:
        """Make room in the cache for `length` positions. Raises `ContextFullError`."""
        if length > self.context:
            raise ContextFullError(self.context)
        if self.cache.reserve(length, self.length):
            self._binding.bind_cache(self.cache.keys, self.cache.values)

    def truncate(self, length: int) -> None:
        """Go back: forget all positions from `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot shorten {self.length} positions to {length}")
        self.length = length

    def interrupt(self) -> None:
        """Abort the pass in progress, if any, here or beside. Thread-safe."""
        self._runner.interrupt()

    def hold(self) -> None:
        """Abort the pass in progress, and every one that begins, until `release`. Thread-safe."""
        self._runner.hold()

    def release(self) -> None:
        """Let passes run again. Thread-safe."""
        self._runner.release()

    def sibling(self) -> OnnxDecoder:
        """Another decoder on the same weights, with an empty cache of its own. Both belong to one thread."""
        return OnnxDecoder(self._bundle, context=self.context, runner=self._runner)

    def new_binding(self) -> PassBinding:
        """For passes on the same weights with a cache that is not this decoder's."""
        return PassBinding(self._runner, self.architecture)

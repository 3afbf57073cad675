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
from canopy_desktop.model.head import Head
from canopy_desktop.model.provider import first_line, open_session

CHUNK = 256  # tokens of a prompt that pass through the model at once
ROWS = 128  # rows of a matrix that onnxruntime's CPU kernels multiply at a time
ZEROS_STEP = 512  # positions that the shared bias of zeros grows by


@dataclass(frozen=True, slots=True, eq=False)
class PassColumns:
    """What a pass left beside keys and values, one row a token; the next pass of its binding writes over it."""

    queries: FloatArray  # (layers, rows, heads · head_size), before rotation
    residuals: FloatArray  # (layers + 1, rows, hidden); 0 is the embedding, l + 1 what comes out of block l


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

    @property
    def head(self) -> Head:
        """The model's end, which turns residuals into logits. Thread-safe."""

    def feed(self, token_ids: Sequence[int], *, bias: AttentionBias | None = None) -> tuple[FloatArray, PassColumns]:
        """Pass tokens through the model; returns the last one's logits, (vocabulary,), and all their columns."""

    def replay(self, first: int, token_ids: Sequence[int], *, bias: AttentionBias | None = None) -> PassColumns:
        """Pass tokens once more that the cache holds from position `first` on."""

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


class PassRunner:
    """Runs the passes of one onnxruntime session, one at a time; any thread may interrupt them."""

    def __init__(self, session: ort.InferenceSession, head: Head) -> None:
        self.head = head
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
    """What passes read and write, bound to the graph's names (docs/architecture.md, "The graph").

    Passes of the same shape share their buffers, so between two of them only the bias is bound, whose shape grows.
    """

    def __init__(self, runner: PassRunner, architecture: Architecture) -> None:
        self.runner = runner
        self._a = architecture
        self._binding = runner.new_io_binding()
        self._bias_names = [f"attention_bias.{layer}" for layer in range(architecture.layers)]
        self._zeros = np.zeros(0, np.float32)
        self._shape = (0, 0)
        self._total = np.zeros((), np.int32)
        self._bind_in("total", self._total)
        self._make_buffers(1, 1)

    def bind_cache(self, keys: Sequence[FloatArray], values: Sequence[FloatArray]) -> None:
        """Buffers of every layer, each (batch, kv_heads, capacity, head_size), that passes extend in place."""
        for layer in range(self._a.layers):
            for part, buffers in (("key", keys), ("value", values)):
                self._bind_in(f"past.{layer}.{part}", buffers[layer])
                self._bind_out(f"present.{layer}.{part}", buffers[layer])

    def run(
        self, ids: IntArray, totals: AnyArray, options: ort.RunOptions, bias: AttentionBias | None = None
    ) -> PassColumns:
        """Pass (batch, new) ids, of (batch,) valid lengths after the pass; rows of the columns are batch · new.

        Raises `InterruptedStepError` or `ProviderError`.
        """
        if ids.shape != self._shape:
            self._make_buffers(*ids.shape)
        self._ids[:], self._seqlens[:], self._total[()] = ids, totals - 1, totals.max()
        held = self._bind_bias(ids.shape[1], int(self._total), bias)
        self.runner.run(self._binding, options)
        del held
        width = self._a.heads * self._a.head_size
        return PassColumns(self._qkv[..., :width], self._residuals)

    def _make_buffers(self, batch: int, new: int) -> None:
        a = self._a
        rows = batch * new
        qkv = np.empty((a.layers, rows, (a.heads + 2 * a.kv_heads) * a.head_size), np.float32)
        residuals = np.empty((a.layers + 1, rows, a.hidden), np.float32)
        self._qkv, self._residuals, self._shape = qkv, residuals, (batch, new)  # all or, where memory ends, none
        self._ids, self._seqlens = np.zeros((batch, new), np.int64), np.zeros(batch, np.int32)
        self._bind_in("input_ids", self._ids)
        self._bind_in("seqlens_k", self._seqlens)
        for layer in range(a.layers):
            self._bind_out(f"qkv.{layer}", self._qkv[layer].reshape(batch, new, -1))
        for row in range(a.layers + 1):
            self._bind_out(f"residual.{2 * row}", self._residuals[row].reshape(batch, new, -1))

    def _bind_bias(self, new: int, total: int, bias: AttentionBias | None) -> list[ort.OrtValue]:
        """Bind what each layer is given, or the zeros that all share; returns what has to live until the pass ends."""
        if self._zeros.size < new * total:
            self._zeros = np.zeros(new * (total + ZEROS_STEP), np.float32)
        zeros = ort.OrtValue.ortvalue_from_numpy(self._zeros[: new * total].reshape(1, 1, new, total))
        held = [zeros]
        for layer, name in enumerate(self._bias_names):
            given = None if bias is None else bias.of_layer(layer, total - new, new)
            if given is not None:
                held.append(ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(given, np.float32)))
            self._binding.bind_ortvalue_input(name, zeros if given is None else held[-1])
        return held

    def _bind_in(self, name: str, array: AnyArray) -> None:
        self._binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def _bind_out(self, name: str, array: AnyArray) -> None:
        self._binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


class OnnxDecoder:
    """A bundle's decoder on onnxruntime. Used by one thread, but for `interrupt`, `hold` and `release`."""

    def __init__(self, bundle: Bundle, *, context: int | None = None, runner: PassRunner | None = None) -> None:
        self.architecture = bundle.card.architecture
        self.context = min(context or self.architecture.context, self.architecture.context)
        self.cache = Cache(self.architecture, self.context)
        self.length = 0
        self._bundle = bundle
        self._runner = runner or PassRunner(open_session(bundle.decoder), Head(bundle))
        self._binding = PassBinding(self._runner, self.architecture)

    @property
    def head(self) -> Head:
        """The model's end, which turns residuals into logits. Thread-safe."""
        return self._runner.head

    def feed(self, token_ids: Sequence[int], *, bias: AttentionBias | None = None) -> tuple[FloatArray, PassColumns]:
        """Pass tokens through the model; returns the last one's logits, (vocabulary,), and all their columns.

        Keys and values go into the cache. Raises `ContextFullError`, `InterruptedStepError` or `ProviderError`; after
        each of them nothing has changed.
        """
        total = self.length + len(token_ids)
        self.reserve(total)
        columns = self._run(token_ids, total, bias)
        logits: FloatArray = self.head.logits(columns.residuals[-1, -1:])[0]
        self.length = total
        return logits, columns

    def replay(self, first: int, token_ids: Sequence[int], *, bias: AttentionBias | None = None) -> PassColumns:
        """Pass tokens once more that the cache holds from position `first` on.

        Made as they were made, they give the same bits, keys and values included. Raises `InterruptedStepError` or
        `ProviderError`.
        """
        if first + len(token_ids) > self.length:
            raise ValueError(f"positions {first} to {first + len(token_ids) - 1} are not all of {self.length}")
        return self._run(token_ids, first + len(token_ids), bias)

    def _run(self, token_ids: Sequence[int], total: int, bias: AttentionBias | None) -> PassColumns:
        with self._runner.under_way() as options:
            return self._binding.run(np.array([token_ids], np.int64), np.array([total]), options, bias)

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

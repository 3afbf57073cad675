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
from canopy_desktop.model.card import Architecture, GraphForm, Positions
from canopy_desktop.model.device import HOST, CudaMemory, DeviceArray, Memory, Stored, on_host, place_of
from canopy_desktop.model.head import Head
from canopy_desktop.model.nvidia import GraphicsCard
from canopy_desktop.model.provider import open_session, provider_error

CHUNK = 256  # tokens of a prompt that pass through the model at once
ROWS = 128  # rows of a matrix that onnxruntime's CPU kernels multiply at a time
ZEROS_STEP = 512  # positions that the shared bias of zeros grows by
CHECK_TEXT = (504, 1920, 300, 451, 1400, 77, 2590, 1093, 1101, 418, 216, 339)
CHECK_DISTANCE = 0.2  # 8-bit activations on the CPU alone move probabilities by up to some hundredths
SHRINKAGE = "memory.enable_memory_arena_shrinkage"  # each chunk needs more than the one before, and in one piece
CUDA_BYTES = 700_000_000  # for CUDA's own, its kernels and what a pass needs in between: a guess, not measured


@dataclass(frozen=True, slots=True, eq=False)
class PassColumns:
    """What a pass left beside keys and values, one row a token; the next pass of its binding writes over it.

    On a card it lies there, queries and residuals in 16 bits.
    """

    queries: Stored  # (layers, rows, heads · head_size), before rotation
    residuals: Stored  # (layers, rows, hidden); 0 is the embedding, l + 1 what comes out of block l
    last: Stored  # (rows, hidden) float32: what comes out of the last block

    def stream(self) -> FloatArray:
        """All residuals, (layers + 1, rows, hidden): a copy on the host."""
        return np.concatenate([on_host(self.residuals), on_host(self.last)[None]], dtype=np.float32)


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

    def new_binding(self) -> Binding:
        """For passes on the same weights with a cache that is not this decoder's."""


class Binding(Protocol):
    """What passes of one graph read and write."""

    runner: PassRunner

    def bind_cache(self, keys: Sequence[Stored], values: Sequence[Stored]) -> None:
        """Buffers of every layer, each (batch, kv_heads, capacity, head_size), that passes extend in place."""

    def run(
        self, ids: IntArray, totals: AnyArray, options: ort.RunOptions, bias: AttentionBias | None = None
    ) -> PassColumns:
        """Pass (batch, new) ids, of (batch,) valid lengths after the pass; rows of the columns are batch · new.

        Raises `InterruptedStepError` or `ProviderError`.
        """


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

    def __init__(
        self,
        session: ort.InferenceSession,
        head: Head,
        form: GraphForm = GraphForm.CPU,
        memory: Memory = HOST,
    ) -> None:
        """`session` is of a graph of this form, and `memory` is where its passes read and write."""
        self.head = head
        self.form = form
        self.memory = memory
        self._session = session
        self._lock = threading.Lock()
        self._running: ort.RunOptions | None = None
        self._held = False

    @classmethod
    def open(cls, bundle: Bundle, card: GraphicsCard | None = None) -> PassRunner:
        """A bundle's decoder on the CPU, or on a card, for which it must have a graph.

        Raises `ProviderError` or `CardMemoryError`.
        """
        if card is None:
            return cls(open_session(bundle.decoder), Head(bundle))
        if bundle.cuda_decoder is None:
            raise ProviderError("cuda", "the model has no graph for it")
        session = open_session(bundle.cuda_decoder, card=card)
        return cls(session, Head(bundle, card), GraphForm.CUDA, CudaMemory(card))

    @property
    def inputs(self) -> dict[str, str]:
        """What the graph asks for, with onnxruntime's names of the types."""
        return {asked.name: asked.type for asked in self._session.get_inputs()}

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
        """Raises `InterruptedStepError`, `ProviderError` or `CardMemoryError`."""
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:  # onnxruntime has no public base class of its errors
            if options.terminate:
                raise InterruptedStepError from error
            raise provider_error(self.memory.device, error) from error

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


def bytes_on_card(bundle: Bundle, context: int | None = None) -> int:
    """About how much of a card's memory a model needs with a cache that is full; its columns have a budget."""
    a = bundle.card.architecture
    positions = min(context or a.context, a.context)
    cache = positions * a.kv_bytes_per_token * np.dtype(GraphForm.CUDA.kept).itemsize // np.dtype(np.float32).itemsize
    return bundle.weight_bytes + cache + CUDA_BYTES


def check_runner(runner: PassRunner, witness: PassRunner, bundle: Bundle) -> None:
    """Pass a chunk and a single token on a card and on the CPU: whether the kernels work shows only then.

    Raises `CardMemoryError` or `ProviderError`, also where the card's probabilities are not the CPU's but for rounding.
    """
    decoder, on_cpu = (OnnxDecoder(bundle, runner=one) for one in (runner, witness))
    text = [token_id % decoder.architecture.vocabulary for token_id in CHECK_TEXT]
    for token_ids in (text[:-1], text[-1:]):
        found, expected = (_probabilities(one.feed(token_ids)[0]) for one in (decoder, on_cpu))
        distance = float(np.abs(found - expected).sum()) / 2  # total variation; not a number where the logits are not
        if not distance <= CHECK_DISTANCE:
            raise ProviderError(runner.memory.device, f"its probabilities are {distance:.2f} away from the CPU's")


def _probabilities(logits: FloatArray) -> FloatArray:
    powers = np.exp(logits - logits.max())
    found: FloatArray = powers / powers.sum()
    return found


class PassBinding:
    """What passes read and write, bound to the graph's names (docs/architecture.md, "The graph").

    Passes of the same shape share their buffers, so between two of them only the bias is bound, whose shape grows.
    """

    def __init__(self, runner: PassRunner, architecture: Architecture) -> None:
        self.runner = runner
        self._a = architecture
        self._memory = runner.memory
        self._kept = runner.form.kept
        self._binding = runner.new_io_binding()
        self._bias_names = [f"attention_bias.{layer}" for layer in range(architecture.layers)]
        self._zeros = self._memory.zeros((0,), self._kept)
        self._shape = (0, 0)
        self._total = np.zeros((), np.int32)
        self._bind_in("total", self._total)
        self._make_buffers(1, 1)

    def bind_cache(self, keys: Sequence[Stored], values: Sequence[Stored]) -> None:
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
        self._ids[:], self._seqlens[:] = ids, totals - 1
        self._total[()] = totals.max()
        if self._places is not None:
            new = ids.shape[1]
            self._places[:] = (totals - new)[:, None] + np.arange(new)
        held = self._bind_bias(ids.shape[1], int(self._total), bias)
        device, number, _ = place_of(self._ids)
        if device == "cuda" and ids.shape[1] > 1:
            options.add_run_config_entry(SHRINKAGE, f"gpu:{number}")
        self.runner.run(self._binding, options)
        del held
        width = self._a.heads * self._a.head_size
        return PassColumns(self._qkv[..., :width], self._residuals, self._last)

    def _make_buffers(self, batch: int, new: int) -> None:
        a, memory = self._a, self._memory
        rows = batch * new
        qkv = memory.empty((a.layers, rows, (a.heads + 2 * a.kv_heads) * a.head_size), self._kept)
        residuals = memory.empty((a.layers, rows, a.hidden), self.runner.form.kept_stream(a))
        last = memory.empty((rows, a.hidden), np.float32)
        ids, seqlens = memory.zeros((batch, new), np.int64), memory.zeros((batch,), np.int32)
        places = memory.zeros((batch, new), np.int64) if a.positions is Positions.LEARNED else None
        self._qkv, self._residuals, self._last, self._shape = qkv, residuals, last, (batch, new)  # all, or none
        self._ids, self._seqlens, self._places = ids, seqlens, places  # the last: where the tokens stand
        if places is not None:
            self._bind_in("positions", places)
        self._bind_in("input_ids", self._ids)
        self._bind_in("seqlens_k", self._seqlens)
        for layer in range(a.layers):
            self._bind_out(f"qkv.{layer}", self._qkv[layer].reshape(batch, new, -1))
            self._bind_out(f"residual.{2 * layer}", self._residuals[layer].reshape(batch, new, -1))
        self._bind_out(f"residual.{2 * a.layers}", self._last.reshape(batch, new, -1))

    def _bind_bias(self, new: int, total: int, bias: AttentionBias | None) -> list[object]:
        """Bind what each layer is given, or the zeros that all share; returns what has to live until the pass ends."""
        if self._zeros.size < new * total:
            self._zeros = self._memory.zeros((new * (total + ZEROS_STEP),), self._kept)
        zeros = self._zeros[: new * total].reshape(1, 1, new, total)
        held: dict[int, tuple[Stored, ort.OrtValue | Stored]] = {}  # by identity: layers share arrays
        for layer, name in enumerate(self._bias_names):
            given = None if bias is None else bias.of_layer(layer, total - new, new)
            array = zeros if given is None else given
            if id(array) not in held:
                held[id(array)] = array, self._bindable(array)
            value = held[id(array)][1]
            if isinstance(value, ort.OrtValue):
                self._binding.bind_ortvalue_input(name, value)
            else:
                self._bind_in(name, value)
        return list(held.values())

    def _bindable(self, array: Stored) -> ort.OrtValue | Stored:
        """An array of the kept type where passes run; on the host a value, which binds faster than an address."""
        if isinstance(array, DeviceArray):
            return array
        if self._memory is HOST:
            return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array, self._kept))
        found = self._memory.empty(array.shape, self._kept)
        found[...] = array
        return found

    def _bind_in(self, name: str, array: Stored) -> None:
        device, number, address = place_of(array)
        self._binding.bind_input(name, device, number, array.dtype, array.shape, address)

    def _bind_out(self, name: str, array: Stored) -> None:
        device, number, address = place_of(array)
        self._binding.bind_output(name, device, number, array.dtype, array.shape, address)


class OnnxDecoder:
    """A bundle's decoder on onnxruntime. Used by one thread, but for `interrupt`, `hold` and `release`."""

    def __init__(self, bundle: Bundle, *, context: int | None = None, runner: PassRunner | None = None) -> None:
        """On the CPU, or on what `runner` runs on. Raises `ProviderError` or `CardMemoryError`."""
        self.architecture = bundle.card.architecture
        self.context = min(context or self.architecture.context, self.architecture.context)
        self.length = 0
        self._bundle = bundle
        self._runner = runner or PassRunner.open(bundle)
        self.cache = Cache(self.architecture, self.context, self._runner.form, self._runner.memory)
        self._binding = self.new_binding()

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
        logits: FloatArray = self.head.logits(on_host(columns.last[-1:]))[0]
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

    def new_binding(self) -> Binding:
        """For passes on the same weights with a cache that is not this decoder's."""
        if not self.architecture.is_given:
            return PassBinding(self._runner, self.architecture)
        from canopy_desktop.model.given_pass import GivenBinding  # which is made of what is here

        return GivenBinding(self._runner, self.architecture)

"""One block of the decoder alone: what happens between two kept residuals.

A kept column has what goes into a block and what comes out. What lies between (the keys and values before the cache,
what attention adds, the stream in the middle, what the feed-forward adds) is made again by a small session of the
same operators with the same weights, cut out of the decoder's own graph: with the rows fed as they were the first
time, it ends in the same bits (tests/core/test_inside.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.errors import EngineError, ProviderError
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.graph import NORMS, SKIP_NORMS, Shape
from canopy_desktop.model.provider import first_line, open_session
from canopy_desktop.model.weight_map import WeightMap

ATTENTION = "GroupQueryAttention"
BIAS = "Add"

_Edges: TypeAlias = dict[str, tuple[int, Shape]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPass:
    """What happened in a block, one row a token that was fed."""

    query: FloatArray  # (rows, heads · head_size), before rotation
    keys: FloatArray  # (kv_heads, past + rows, head_size), rotated
    values: FloatArray  # (kv_heads, past + rows, head_size)
    attended: FloatArray  # (rows, heads · head_size): the heads' weighted values side by side
    attention: FloatArray  # (rows, hidden): what attention adds to the stream, normed if the model does so
    middle: FloatArray  # (rows, hidden): the stream then
    feed_forward: FloatArray  # (rows, hidden): what the feed-forward adds
    after: FloatArray  # (rows, hidden): the stream at the block's end


class BlockReplay:
    """A session of one block: 4 MB of 8-bit weights, 14 MB of fp32. Thread-safe."""

    def __init__(self, weights: WeightMap, architecture: Architecture, layer: int) -> None:
        """Raises `EngineError` for a graph of another make, `ProviderError`."""
        self.layer = layer
        self._a = architecture
        self._names = _Names.of(weights.model, layer)
        self._post_gain = None if self._names.post_norm is None else weights.array(self._names.post_norm.input[1])
        bias = self._names.output_bias
        self.output_bias: FloatArray | None = None if bias is None else np.array(weights.array(bias), np.float32)
        self._block = open_session(_block_model(weights, architecture, self._names).SerializeToString())
        self._output = open_session(_output_model(weights, architecture, self._names).SerializeToString())

    def run(self, stream: FloatArray, keys: FloatArray, values: FloatArray, bias: FloatArray | None) -> BlockPass:
        """Feed rows of the stream, (rows, hidden), after past keys and values, (kv_heads, past, head_size).

        `bias` is (1, 1 or heads, rows, past + rows). Raises `ProviderError`.
        """
        a, n = self._a, self._names
        new, past = len(stream), keys.shape[1]
        total = past + new
        cache = [np.zeros((1, a.kv_heads, total, a.head_size), np.float32) for _ in range(2)]
        for buffer, before in zip(cache, (keys, values), strict=True):
            buffer[0, :, :past] = before
        width = a.heads * a.head_size
        widths = {n.qkv: width + 2 * a.kv_heads * a.head_size, n.attended: width}
        widths |= dict.fromkeys((n.attention, n.middle, n.feed_forward, n.after), a.hidden)
        rows = {name: np.empty((1, new, size), np.float32) for name, size in widths.items()}
        inputs: dict[str, AnyArray] = {
            n.before: np.ascontiguousarray(stream, np.float32)[None],
            n.zero: np.zeros((1, new, a.hidden), np.float32),
            n.seqlens: np.array([total - 1], np.int32),
            n.total: np.array(total, np.int32),
            n.bias: np.zeros((1, 1, new, total), np.float32) if bias is None else np.ascontiguousarray(bias),
            n.past[0]: cache[0],
            n.past[1]: cache[1],
        }
        outputs: dict[str, AnyArray] = {n.present[0]: cache[0], n.present[1]: cache[1], **rows}
        _run(self._block, inputs, outputs)
        return BlockPass(
            query=rows[n.qkv][0, :, :width],
            keys=cache[0][0],
            values=cache[1][0],
            attended=rows[n.attended][0],
            attention=rows[n.attention][0],
            middle=rows[n.middle][0],
            feed_forward=rows[n.feed_forward][0],
            after=rows[n.after][0],
        )

    def heads(self, attended: FloatArray) -> FloatArray:
        """What each head adds to the stream, (heads, hidden), from a token's weighted values (heads · head_size,).

        The output matrix is applied to one head's values and zeros in the place of the others, without a bias, so with
        `output_bias` the rows sum to what attention adds (with 8-bit weights exactly so where heads do not share a
        block of 32).
        A norm of that sum has one scale for all of them, and is linear but for it.
        """
        a = self._a
        apart = np.zeros((1, a.heads, a.heads, a.head_size), np.float32)
        each = np.arange(a.heads)
        apart[0, each, each] = attended.reshape(a.heads, a.head_size)
        found = np.empty((1, a.heads, a.hidden), np.float32)
        rows = apart.reshape(1, a.heads, a.heads * a.head_size)
        _run(self._output, {self._names.attended: rows}, {self._names.projected: found})
        given: FloatArray = found[0]
        if self._post_gain is None:
            return given
        total = given.sum(axis=0, dtype=np.float64)
        scale = np.float32(1.0 / np.sqrt(np.mean(total**2) + a.epsilon))
        return given * np.asarray(self._post_gain * scale, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """A block's edges, found from the graph's outputs: the names between them are nobody's contract."""

    before: str
    middle: str
    after: str
    qkv: str
    normed: str  # the block's input, after its norm
    norm: NodeProto
    attended: str
    projected: str  # what the output matrix gives, before a bias or a norm of it
    output_bias: str | None
    attention: str
    post_norm: NodeProto | None
    feed_forward: str
    past: tuple[str, str]
    present: tuple[str, str]
    seqlens: str
    total: str
    bias: str
    zero: str
    producers: dict[str, NodeProto]

    @classmethod
    def of(cls, model: ModelProto, layer: int) -> _Names:
        producers = {name: node for node in model.graph.node for name in node.output if name}
        before, middle, after = (f"residual.{2 * layer + step}" for step in range(3))
        key, value = f"present.{layer}.key", f"present.{layer}.value"
        looks, mixes, ends = (producers.get(name, NodeProto()) for name in (key, middle, after))
        if looks.op_type != ATTENTION or not {mixes.op_type, ends.op_type} <= {*SKIP_NORMS.values()}:
            raise EngineError("This model's blocks are built in another way than those that can be looked into.")
        norm = _norm_before(looks, producers, before)
        attention = next(name for name in mixes.input[:2] if name != before)
        post_norm = producers[attention] if producers[attention].op_type in NORMS.values() else None
        given = attention if post_norm is None else post_norm.input[0]
        projected, bias = producers[given].input if producers[given].op_type == BIAS else (given, None)
        return cls(
            before=before, middle=middle, after=after, qkv=f"qkv.{layer}",
            normed=norm.output[0], norm=norm,
            attended=looks.output[0],
            projected=projected, output_bias=bias,
            attention=attention, post_norm=post_norm,
            feed_forward=next(name for name in ends.input[:2] if name != middle),
            past=(looks.input[3], looks.input[4]), present=(key, value),
            seqlens=looks.input[5], total=looks.input[6], bias=looks.input[10], zero="zero",
            producers=producers,
        )  # fmt: skip


def _norm_before(attention: NodeProto, producers: dict[str, NodeProto], stream: str) -> NodeProto:
    """The norm between the stream and a block's attention."""
    waiting = [attention.input[0]]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type in {*NORMS.values(), *SKIP_NORMS.values()} and (stream in node.input or stream in node.output):
            return node
        waiting += node.input
    raise EngineError("This model's blocks are built in another way than those that can be looked into.")


def _block_model(weights: WeightMap, a: Architecture, n: _Names) -> ModelProto:
    known = {n.before, n.zero, n.seqlens, n.total, n.bias, *n.past}
    nodes = _nodes_between(n, [n.after, n.middle, n.qkv, *n.present], {*known, n.normed}, weights.has)
    # the decoder adds and norms in one operator; the sum is here already, so zero is added to it, which keeps the bits
    alone = NodeProto()
    alone.CopyFrom(n.norm)
    if alone.op_type in SKIP_NORMS.values():
        del alone.output[1:]
        alone.input[0], alone.input[1] = n.before, n.zero
    cache: Shape = ["batch", a.kv_heads, "capacity", a.head_size]
    stream: Shape = ["batch", "new", a.hidden]
    width = a.heads * a.head_size
    inputs: _Edges = {
        n.before: (TensorProto.FLOAT, stream), n.zero: (TensorProto.FLOAT, stream),
        n.seqlens: (TensorProto.INT32, ["batch"]), n.total: (TensorProto.INT32, []),
        n.bias: (TensorProto.FLOAT, ["bias_batch", "bias_heads", "new", "total_length"]),
        n.past[0]: (TensorProto.FLOAT, cache), n.past[1]: (TensorProto.FLOAT, cache),
    }  # fmt: skip
    outputs: _Edges = dict.fromkeys((n.attention, n.middle, n.feed_forward, n.after), (TensorProto.FLOAT, stream))
    outputs[n.attended] = (TensorProto.FLOAT, ["batch", "new", width])
    outputs[n.qkv] = (TensorProto.FLOAT, ["batch", "new", width + 2 * a.kv_heads * a.head_size])
    outputs |= dict.fromkeys(n.present, (TensorProto.FLOAT, cache))
    return _model(weights, [alone, *nodes], inputs, outputs)


def _output_model(weights: WeightMap, a: Architecture, n: _Names) -> ModelProto:
    inputs: _Edges = {n.attended: (TensorProto.FLOAT, ["batch", "new", a.heads * a.head_size])}
    outputs: _Edges = {n.projected: (TensorProto.FLOAT, ["batch", "new", a.hidden])}
    return _model(weights, _nodes_between(n, [n.projected], {n.attended}, weights.has), inputs, outputs)


def _nodes_between(
    n: _Names, wanted: Sequence[str], known: set[str], is_weight: Callable[[str], bool]
) -> list[NodeProto]:
    """The nodes that make `wanted` from `known` and weights, in an order in which they can run."""
    nodes: list[NodeProto] = []
    made = set(known)

    def make(name: str) -> None:
        if not name or name in made or is_weight(name):
            return
        node = n.producers.get(name)
        if node is None:
            raise EngineError("This model's blocks are built in another way than those that can be looked into.")
        made.update(node.output)
        for source in node.input:
            make(source)
        nodes.append(node)

    for name in wanted:
        make(name)
    return nodes


def _model(
    weights: WeightMap,
    nodes: Sequence[NodeProto],
    inputs: _Edges,
    outputs: _Edges,
) -> ModelProto:
    used = sorted({name for node in nodes for name in node.input if weights.has(name)})
    graph = helper.make_graph(
        list(nodes),
        "block",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [weights.copy_of(name) for name in used],
    )
    return helper.make_model(graph, opset_imports=weights.model.opset_import, ir_version=weights.model.ir_version)


def _run(session: ort.InferenceSession, inputs: dict[str, AnyArray], outputs: dict[str, AnyArray]) -> None:
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    for name, array in outputs.items():
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    try:
        session.run_with_iobinding(binding)
    except Exception as error:  # onnxruntime has no public base class of its errors
        raise ProviderError("cpu", first_line(error)) from error

"""The decoder as an ONNX graph with an explicit cache, and the head alone.

Inputs, outputs and shapes: docs/architecture.md, "The graph". The operators are those that the pinned onnxruntime
runs fastest on a CPU: `GroupQueryAttention` (cache in place, rotation inside) and `MatMulNBits` (8 bits, int8
activations); with fp32 weights plain `MatMul`. The graph for a card differs around attention alone, which CUDA has
in 16 bits only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias, assert_never

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.model.card import Activation, Architecture, GraphForm, Norm, Positions, WeightForm
from canopy_desktop.model.rope import rope_tables

BLOCK = 32  # inputs that share one scale
ZERO_POINT = 128
PIECE_ROWS = 4096  # of a matrix that are rounded at once
EMBEDDING, OUTPUT_MATRIX, OUTPUT_NORM = "token_embd.weight", "output.weight", "output_norm.weight"
PLACES = "position_embd.weight"  # learned positions, a row each
Shape: TypeAlias = list[int | str]
MICROSOFT = "com.microsoft"
OPSET = 21
IR_VERSION = 10
NORMS = {Norm.RMS: "SimplifiedLayerNormalization", Norm.LAYER: "LayerNormalization"}
SKIP_NORMS = {Norm.RMS: "SkipSimplifiedLayerNormalization", Norm.LAYER: "SkipLayerNormalization"}  # of a sum
INT8_ACTIVATIONS = 4  # MatMulNBits' accuracy level; CUDA's kernel multiplies in the data's own type


class WeightFile(Protocol):
    """Takes arrays and gives back an initializer that points at them."""

    def add(self, name: str, values: AnyArray) -> TensorProto:
        """Keep `values` under `name`."""


class Weights(Protocol):
    """Where the graph's matrices come from."""

    def matrix(self, name: str) -> FloatArray:
        """A matrix or vector by its GGUF name, (outputs, inputs)."""


def quantize(matrix: FloatArray) -> tuple[AnyArray, FloatArray]:
    """Symmetric 8-bit blocks along the inputs: uint8 (outputs, blocks, BLOCK) and scales (outputs, blocks).

    A value is (byte - 128) · scale. A matrix that came from such blocks, as GGML's Q8_0, comes back exactly.
    """
    outputs, inputs = matrix.shape
    blocks = matrix.reshape(outputs, inputs // BLOCK, BLOCK)
    steps, scales = np.empty(blocks.shape, np.uint8), np.empty(blocks.shape[:2], np.float32)
    for first in range(0, outputs, PIECE_ROWS):  # a whole vocabulary at once would take four times its memory
        rows = slice(first, first + PIECE_ROWS)
        scales[rows] = np.abs(blocks[rows]).max(axis=-1) / np.float32(127)
        safe = np.where(scales[rows] == 0, np.float32(1), scales[rows])
        steps[rows] = np.rint(blocks[rows] / safe[..., None]).clip(-127, 127) + ZERO_POINT
    return steps, scales


def output_matrix(architecture: Architecture) -> str:
    """The name of the matrix that makes logits."""
    return EMBEDDING if architecture.tied else OUTPUT_MATRIX


def bias_of(weight: str) -> str:
    """What the bias beside a matrix or a gain is called."""
    return f"{weight.removesuffix('.weight')}.bias"


_KINDS: dict[type[np.floating], int] = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}


def rope_names(architecture: Architecture, form: GraphForm, layer: int) -> tuple[str, str]:
    """What a layer's tables of cosines and sines are called; local layers have their own, and some layers none."""
    if not architecture.attention(layer).rotates:
        return "", ""
    local = ".local" if architecture.attention(layer).window is not None else ""
    half = ".half" if form is GraphForm.CUDA else ""
    return f"rope.cos{local}{half}", f"rope.sin{local}{half}"


def residual_kinds(architecture: Architecture, form: GraphForm) -> dict[int, int]:
    """Rows of the residual stream that a decoder's graph gives out, with their element types.

    For the CPU all of them, 0 to 2 · layers; for a card those that are kept, which are the even ones.
    """
    last = 2 * architecture.layers
    if form is GraphForm.CPU:
        return dict.fromkeys(range(last + 1), TensorProto.FLOAT)
    kept = _KINDS[form.kept_stream(architecture)]
    return {row: TensorProto.FLOAT if row == last else kept for row in range(0, last + 1, 2)}


class GraphBuilder:
    """Builds the decoder, for each of what it may run on, and its head, from weights in one of their forms."""

    def __init__(self, architecture: Architecture, weight_form: WeightForm, weights: Weights, file: WeightFile) -> None:
        self._a = architecture
        self._weight_form = weight_form
        self._form = GraphForm.CPU
        self._weights = weights
        self._file = file
        self._nodes: list[NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}

    def decoder(self, form: GraphForm) -> Iterator[float]:
        """Begin a decoder, layer by layer; yields the part done, 0 to 1. Weights are kept when first needed."""
        a = self._a
        self._form, self._nodes = form, []
        self._embed()
        self._keep_residual(0)
        for layer in range(a.layers):
            self._rope(layer)
        self._norm(self._stream(0), "blk.0.attn_norm.weight", "normed.0")
        for layer in range(a.layers):
            self._block(layer)
            yield (layer + 1) / a.layers

    def model(self) -> ModelProto:
        """The decoder that was begun last; `decoder()` must have run to its end."""
        a, kept = self._a, _KINDS[self._form.kept]
        width = (a.heads + 2 * a.kv_heads) * a.head_size
        inputs = [
            _value("input_ids", TensorProto.INT64, ["batch", "new"]),
            _value("seqlens_k", TensorProto.INT32, ["batch"]),
            _value("total", TensorProto.INT32, []),
        ]
        if a.positions is Positions.LEARNED:
            inputs.append(_value("positions", TensorProto.INT64, ["batch", "new"]))
        outputs = []
        cache: Shape = ["batch", a.kv_heads, "capacity", a.head_size]
        for layer in range(a.layers):
            for part in ("key", "value"):
                inputs.append(_value(f"past.{layer}.{part}", kept, cache))
                outputs.append(_value(f"present.{layer}.{part}", kept, cache))
            inputs.append(_value(f"attention_bias.{layer}", kept, ["bias_batch", "bias_heads", "new", "total_length"]))
            outputs.append(_value(f"qkv.{layer}", kept, ["batch", "new", width]))
        outputs += [
            _value(f"residual.{row}", kind, ["batch", "new", a.hidden])
            for row, kind in residual_kinds(a, self._form).items()
        ]
        return self._proto("decoder", inputs, outputs)

    def head(self) -> ModelProto:
        """Final norm and output matrix: the model's end, for the decoder's last residual and for any kept one.

        `residual` (1, rows, hidden) and `zero` (the same shape, all zeros) to `logits` (1, rows, vocabulary). The same
        for every form; a decoder must have been begun before.
        """
        a = self._a
        self._nodes = []
        self._skip_norm("residual", "zero", OUTPUT_NORM, "normed", None)
        self._linear("normed", output_matrix(a), "logits")
        shape: Shape = [1, "rows", a.hidden]
        inputs = [_value("residual", TensorProto.FLOAT, shape), _value("zero", TensorProto.FLOAT, shape)]
        return self._proto("head", inputs, [_value("logits", TensorProto.FLOAT, [1, "rows", a.vocabulary])])

    def _embed(self) -> None:
        steps = [
            *((self._scale_embedding,) if self._a.scaled_embedding else ()),
            *((self._add_places,) if self._a.positions is Positions.LEARNED else ()),
        ]
        names = [*("embedding.rows", "embedding.scaled")[: len(steps)], self._stream(0)]
        self._look_up(names[0])
        for step, source, made in zip(steps, names, names[1:], strict=False):
            step(source, made)

    def _scale_embedding(self, source: str, target: str) -> None:
        self._constant("embedding.root", np.float32(np.sqrt(self._a.hidden)))
        self._node("Mul", [source, "embedding.root"], [target])

    def _add_places(self, source: str, target: str) -> None:
        """The rows of the places where the tokens stand."""
        self._vector(PLACES)
        self._node("Gather", [PLACES, "positions"], ["embedding.places"], axis=0)
        self._node("Add", [source, "embedding.places"], [target])

    def _look_up(self, target: str) -> None:
        """The tokens' rows of the embedding."""
        a, name = self._a, EMBEDDING
        if self._weight_form is WeightForm.FP32:
            # stored once, (hidden, vocabulary), for the head: the row of a token is a column here
            self._matrix(name)
            self._node("Gather", [f"{name}.t", "input_ids"], ["embedding.t"], axis=1)
            self._node("Transpose", ["embedding.t"], [target], perm=[1, 2, 0])
            return
        self._matrix(name)
        bytes_, scales = self._matrix_names(name)
        self._node("Gather", [bytes_, "input_ids"], ["embedding.bytes"], axis=0)
        self._node("Gather", [scales, "input_ids"], ["embedding.scales"], axis=0)
        self._node("Cast", ["embedding.bytes"], ["embedding.float"], to=TensorProto.FLOAT)
        self._constant("zero_point", np.float32(ZERO_POINT))
        self._node("Sub", ["embedding.float", "zero_point"], ["embedding.steps"])
        self._constant("last_axis", np.array([-1], np.int64))
        self._node("Unsqueeze", ["embedding.scales", "last_axis"], ["embedding.scale"])
        self._node("Mul", ["embedding.steps", "embedding.scale"], ["embedding.blocks"])
        self._constant("embedding.shape", np.array([0, 0, a.hidden], np.int64))
        self._node("Reshape", ["embedding.blocks", "embedding.shape"], [target])

    def _rope(self, layer: int) -> None:
        names = rope_names(self._a, self._form, layer)
        tables = rope_tables(self._a, layer) if any(names) else ()
        for name, values in zip(names, tables, strict=False):
            if name not in self._initializers:
                self._keep(name, values.astype(self._form.kept))

    def _block(self, layer: int) -> None:
        name, normed = f"blk.{layer}", f"normed.{2 * layer}"
        self._attention(layer, normed)
        middle, after = 2 * layer + 1, 2 * layer + 2
        self._skip_norm(
            self._stream(2 * layer), f"attention.{layer}", f"{name}.ffn_norm.weight",
            f"normed.{middle}", self._stream(middle),
        )  # fmt: skip
        self._inner(layer, f"normed.{middle}")
        self._add_to_stream(layer, f"inner.{layer}", "ffn_down", "post_ffw_norm", f"feed_forward.{layer}")
        norm = f"blk.{layer + 1}.attn_norm.weight" if layer + 1 < self._a.layers else OUTPUT_NORM
        self._skip_norm(self._stream(middle), f"feed_forward.{layer}", norm, f"normed.{after}", self._stream(after))
        self._keep_residual(after)

    def _inner(self, layer: int, normed: str) -> None:
        """The numbers inside of a feed-forward: bent, or let through by a gate that is bent."""
        a, name, inner = self._a, f"blk.{layer}", f"inner.{layer}"
        parts = ("gate", "up") if a.gated else ("up",)
        for part in parts:
            self._linear(normed, f"{name}.ffn_{part}.weight", f"{part}.{layer}", has_bias=a.block_biases)
        if not a.gated:
            self._activate(layer, f"up.{layer}", inner)
            return
        self._activate(layer, f"gate.{layer}", f"{a.activation}.{layer}")
        self._node("Mul", [f"{a.activation}.{layer}", f"up.{layer}"], [inner])

    def _activate(self, layer: int, source: str, target: str) -> None:
        match self._a.activation:
            case Activation.SILU:
                self._node("Sigmoid", [source], [f"sigmoid.{layer}"])
                self._node("Mul", [source, f"sigmoid.{layer}"], [target])
            case Activation.GELU:
                self._node("Gelu", [source], [target], approximate="tanh")
            case _:
                assert_never(self._a.activation)

    def _add_to_stream(self, layer: int, source: str, matrix: str, norm: str, target: str) -> None:
        """What a half of a block gives for the stream, normed if the model does so before it is added."""
        name, normed = f"blk.{layer}", self._a.post_norms
        given = f"{target}.given" if normed else target
        self._linear(source, f"{name}.{matrix}.weight", given, has_bias=self._a.block_biases)
        if normed:
            self._norm(given, f"{name}.{norm}.weight", target)

    def _attention(self, layer: int, normed: str) -> None:
        a, how = self._a, self._a.attention(layer)
        is_narrow = self._form is GraphForm.CUDA
        self._queries_keys_values(layer, normed)
        mixed = f"mixed.{layer}" if is_narrow else f"attended.{layer}"
        self._node(
            "GroupQueryAttention",
            [
                f"qkv.{layer}", "", "", f"past.{layer}.key", f"past.{layer}.value",
                "seqlens_k", "total", *rope_names(a, self._form, layer), "", f"attention_bias.{layer}",
            ],
            [mixed, f"present.{layer}.key", f"present.{layer}.value"],
            domain=MICROSOFT, num_heads=a.heads, kv_num_heads=a.kv_heads, do_rotary=int(how.rotates),
            rotary_interleaved=0,
            **({"scale": how.scale} if a.attention_scale else {}),
            **({} if how.window is None else {"local_window_size": how.window}),
        )  # fmt: skip
        if is_narrow:
            self._node("Cast", [mixed], [f"attended.{layer}"], to=TensorProto.FLOAT)
        self._add_to_stream(layer, f"attended.{layer}", "attn_output", "post_attention_norm", f"attention.{layer}")

    def _queries_keys_values(self, layer: int, normed: str) -> None:
        """Query, key and value side by side before the rotation, as attention and the columns take them."""
        a, name, target = self._a, f"blk.{layer}.attn", f"qkv.{layer}"
        parts = [f"{name}_{part}.weight" for part in "qkv"]
        steps = [
            *((self._add_biases,) if a.qkv_biases else ()),
            *((self._norm_heads,) if a.qk_norms else ()),
            *((self._narrow,) if self._form is GraphForm.CUDA else ()),
        ]
        names = [f"projected.{layer}" + (f".{step}" if step else "") for step in range(len(steps))] + [target]
        self._linear(normed, f"{name}_qkv.weight", names[0], parts=parts)
        for step, source, made in zip(steps, names, names[1:], strict=False):
            step(layer, source, made)

    def _add_biases(self, layer: int, source: str, target: str) -> None:
        bias = f"blk.{layer}.attn_qkv.bias"
        if bias not in self._initializers:
            self._keep(bias, np.concatenate([self._weights.matrix(f"blk.{layer}.attn_{part}.bias") for part in "qkv"]))
        self._node("Add", [source, bias], [target])

    def _norm_heads(self, layer: int, source: str, target: str) -> None:
        """The norm of each head's query and key (Henry et al. 2020, arXiv:2010.04245, with RMS and a gain)."""
        a = self._a
        self._constant("qkv.sizes", np.array([a.heads, a.kv_heads, a.kv_heads], np.int64) * a.head_size)
        self._constant("heads.shape", np.array([0, 0, -1, a.head_size], np.int64))
        self._constant("rows.shape", np.array([0, 0, -1], np.int64))
        self._node("Split", [source, "qkv.sizes"], [f"{part}.{layer}" for part in "qkv"], axis=-1)
        for part in "qk":
            self._node("Reshape", [f"{part}.{layer}", "heads.shape"], [f"{part}.heads.{layer}"])
            self._norm(f"{part}.heads.{layer}", f"blk.{layer}.attn_{part}_norm.weight", f"{part}.normed.{layer}")
            self._node("Reshape", [f"{part}.normed.{layer}", "rows.shape"], [f"{part}.rows.{layer}"])
        self._node("Concat", [f"q.rows.{layer}", f"k.rows.{layer}", f"v.{layer}"], [target], axis=-1)

    def _narrow(self, layer: int, source: str, target: str) -> None:
        self._node("Cast", [source], [target], to=_KINDS[self._form.kept])

    def _stream(self, row: int) -> str:
        """The name of a residual as the graph goes on with it, in 32 bits."""
        is_output = residual_kinds(self._a, self._form).get(row) == TensorProto.FLOAT
        return f"residual.{row}" if is_output else f"stream.{row}"

    def _keep_residual(self, row: int) -> None:
        """Give a residual out in 16 bits, if that is how it is kept."""
        if residual_kinds(self._a, self._form).get(row) == TensorProto.FLOAT16:
            self._node("Cast", [self._stream(row)], [f"residual.{row}"], to=TensorProto.FLOAT16)

    def _norm(self, source: str, gain: str, target: str) -> None:
        self._node(
            NORMS[self._a.norm], [source, *self._norm_weights(gain)], [target],
            axis=-1, epsilon=self._a.epsilon, stash_type=1,
        )  # fmt: skip

    def _skip_norm(self, stream: str, added: str, gain: str, normed: str, summed: str | None) -> None:
        outputs = [normed] if summed is None else [normed, "", "", summed]
        self._node(
            SKIP_NORMS[self._a.norm], [stream, added, *self._norm_weights(gain)], outputs,
            domain=MICROSOFT, epsilon=self._a.epsilon,
        )  # fmt: skip

    def _norm_weights(self, gain: str) -> list[str]:
        names = [gain] if self._a.norm is Norm.RMS else [gain, bias_of(gain)]
        for name in names:
            self._vector(name)
        return names

    def _linear(
        self, source: str, name: str, target: str, *, parts: Sequence[str] = (), has_bias: bool = False
    ) -> None:
        """Multiply with a matrix, or with `parts` side by side under that name: one operator is faster than three."""
        self._matrix(name, parts)
        self._multiply(source, name, f"{target}.product" if has_bias else target)
        if has_bias:
            self._vector(bias_of(name))
            self._node("Add", [f"{target}.product", bias_of(name)], [target])

    def _multiply(self, source: str, name: str, target: str) -> None:
        if self._weight_form is WeightForm.FP32:
            self._node("MatMul", [source, f"{name}.t"], [target])
            return
        outputs, blocks, _ = self._initializers[f"{name}.bytes"].dims
        self._node(
            "MatMulNBits", [source, *self._matrix_names(name)], [target],
            domain=MICROSOFT, K=blocks * BLOCK, N=outputs, bits=8, block_size=BLOCK, accuracy_level=INT8_ACTIVATIONS,
        )  # fmt: skip

    def _matrix_names(self, name: str) -> tuple[str, ...]:
        return (f"{name}.t",) if self._weight_form is WeightForm.FP32 else (f"{name}.bytes", f"{name}.scales")

    def _matrix(self, name: str, parts: Sequence[str] = ()) -> None:
        if all(part in self._initializers for part in self._matrix_names(name)):
            return
        matrices = [self._weights.matrix(part) for part in parts or (name,)]
        matrix = matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
        arrays = (np.ascontiguousarray(matrix.T),) if self._weight_form is WeightForm.FP32 else quantize(matrix)
        for part, values in zip(self._matrix_names(name), arrays, strict=True):
            self._keep(part, values)

    def _vector(self, name: str) -> None:
        if name not in self._initializers:
            self._keep(name, self._weights.matrix(name))

    def _keep(self, name: str, values: AnyArray) -> None:
        self._initializers[name] = self._file.add(name, values)

    def _constant(self, name: str, value: AnyArray | np.float32) -> None:
        array = np.asarray(value)
        kind = TensorProto.FLOAT if array.dtype == np.float32 else TensorProto.INT64
        self._initializers[name] = helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True)

    def _node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        name = f"{kind}.{outputs[0]}"
        self._nodes.append(helper.make_node(kind, list(inputs), list(outputs), name=name, **attributes))

    def _proto(self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> ModelProto:
        used = {source for node in self._nodes for source in node.input}
        initializers = [tensor for key, tensor in self._initializers.items() if key in used]
        graph = helper.make_graph(self._nodes, name, list(inputs), list(outputs), initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="canopy-desktop")


def _value(name: str, kind: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)

"""Does a graph keep its contract, and stay in its folder? Asked before onnxruntime sees it.

Only what `graph.py` itself writes is let through: its operators, weights in the one file beside it, no graphs or
tensors inside of nodes, no functions. What is not known cannot reach another file, loop for ever or fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from canopy_desktop.errors import BundleError
from canopy_desktop.model.card import Activation, Architecture, GraphForm, Norm, Positions, WeightForm
from canopy_desktop.model.graph import (
    BLOCK,
    NORMS,
    OUTPUT_NORM,
    PLACES,
    SKIP_NORMS,
    bias_of,
    output_matrix,
    residual_kinds,
    rope_names,
)

MAX_GRAPH_BYTES = 64_000_000
OPERATORS = {
    "": frozenset({"Add", "Cast", "Concat", "Gather", "Gelu", "MatMul", "Mul", "Reshape", "Sigmoid",
                   "Split", "Sub", "Transpose", "Unsqueeze", *NORMS.values()}),
    "com.microsoft": frozenset({"GroupQueryAttention", "MatMulNBits", *SKIP_NORMS.values()}),
}  # fmt: skip
_IN_MODEL = frozenset({"ir_version", "producer_name", "graph", "opset_import"})
_IN_GRAPH = frozenset({"name", "node", "initializer", "input", "output"})
_IN_NODE = frozenset({"name", "op_type", "domain", "input", "output", "attribute"})
_IN_ATTRIBUTE = frozenset({"name", "type", "f", "i", "s", "floats", "ints"})
_IN_PLACE = frozenset({"location", "offset", "length"})

Shape: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output: element type and shape (None: any size)."""

    kind: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class Contract:
    """What a graph must take and give, and the shapes of the weights that the card says something about.

    A weight without a shape must not be there. `architecture` is given for a decoder, whose blocks it describes.
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    weights: Mapping[str, Shape | None]
    architecture: Architecture | None = None


def check_graph(folder: Path, name: str, contract: Contract, weights: Path) -> None:
    """Check that a graph is of known parts, keeps its contract, and has its weights in `weights`.

    Raises `BundleError`.
    """
    path = folder / name
    if path.stat().st_size > MAX_GRAPH_BYTES:
        raise BundleError(folder, f"{name} is larger than {MAX_GRAPH_BYTES} bytes")
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception as error:  # protobuf raises its own kinds for broken bytes
        raise BundleError(folder, f"{name} is not an ONNX graph") from error
    try:
        _check_parts(model)
        size = weights.stat().st_size
        for tensor in model.graph.initializer:
            _check_tensor(tensor, weights.name, size)
        _check_contract(model, contract)
        if contract.architecture is not None:
            _check_blocks(model, contract.architecture)
    except ValueError as error:
        raise BundleError(folder, f"{name} {error}") from error


def decoder_contract(a: Architecture) -> Contract:
    """What the decoder's graph for the CPU must be."""
    found = _decoder_contract(a, GraphForm.CPU, TensorProto.FLOAT)
    residual = Value(TensorProto.FLOAT, (None, None, a.hidden))
    residuals = {f"residual.{row}": residual for row in range(2 * a.layers + 1)}
    return replace(found, outputs={**found.outputs, **residuals})


def cuda_contract(a: Architecture) -> Contract:
    """What the decoder's graph for a card must be: all that is kept in 16 bits, but residuals that they do not hold."""
    found = _decoder_contract(a, GraphForm.CUDA, TensorProto.FLOAT16)
    kinds = residual_kinds(a, GraphForm.CUDA)
    residuals = {f"residual.{row}": Value(kind, (None, None, a.hidden)) for row, kind in kinds.items()}
    return replace(found, outputs={**found.outputs, **residuals})


def _decoder_contract(a: Architecture, form: GraphForm, kept: int) -> Contract:
    """All but the residuals; `kept` is the type of cache, bias and queries."""
    cache = Value(kept, (None, a.kv_heads, None, a.head_size))
    inputs = {
        "input_ids": Value(TensorProto.INT64, (None, None)),
        "seqlens_k": Value(TensorProto.INT32, (None,)),
        "total": Value(TensorProto.INT32, ()),
    }
    if a.positions is Positions.LEARNED:
        inputs["positions"] = Value(TensorProto.INT64, (None, None))
    outputs = {}
    for layer in range(a.layers):
        for part in ("key", "value"):
            inputs[f"past.{layer}.{part}"] = cache
            outputs[f"present.{layer}.{part}"] = cache
        inputs[f"attention_bias.{layer}"] = Value(kept, (None, None, None, None))
        outputs[f"qkv.{layer}"] = Value(kept, (None, None, (a.heads + 2 * a.kv_heads) * a.head_size))
    table = (a.context, a.head_size // 2)
    has_norm_biases = a.norm is Norm.LAYER
    weights: dict[str, Shape | None] = {
        "embedding.root": () if a.scaled_embedding else None,
        PLACES: (a.context, a.hidden) if a.positions is Positions.LEARNED else None,
        bias_of(OUTPUT_NORM): (a.hidden,) if has_norm_biases else None,
    }
    for layer in range(a.layers):
        weights |= {name: table for name in rope_names(a, form, layer) if name}
        width = ((a.heads + 2 * a.kv_heads) * a.head_size,)
        weights[f"blk.{layer}.attn_qkv.bias"] = width if a.qkv_biases else None
        for part, size in (("attn_output", a.hidden), ("ffn_up", a.feed_forward), ("ffn_down", a.hidden)):
            weights[f"blk.{layer}.{part}.bias"] = (size,) if a.block_biases else None
        weights[f"blk.{layer}.ffn_gate.bias"] = (a.feed_forward,) if a.gated and a.block_biases else None
        for part in ("attn", "ffn"):
            weights[f"blk.{layer}.{part}_norm.bias"] = (a.hidden,) if has_norm_biases else None
        for part in "qk":
            weights[f"blk.{layer}.attn_{part}_norm.weight"] = (a.head_size,) if a.qk_norms else None
        for part in ("attention", "ffw"):
            weights[f"blk.{layer}.post_{part}_norm.weight"] = (a.hidden,) if a.post_norms else None
    return Contract(inputs, outputs, weights, a)


def head_contract(a: Architecture, form: WeightForm) -> Contract:
    """What the head's graph must be."""
    residual, logits = (Value(TensorProto.FLOAT, (1, None, size)) for size in (a.hidden, a.vocabulary))
    matrix: dict[str, Shape | None] = (
        {f"{output_matrix(a)}.t": (a.hidden, a.vocabulary)}
        if form is WeightForm.FP32
        else {f"{output_matrix(a)}.bytes": (a.vocabulary, a.hidden // BLOCK, BLOCK)}
    )
    matrix[bias_of(OUTPUT_NORM)] = (a.hidden,) if a.norm is Norm.LAYER else None
    return Contract({"residual": residual, "zero": residual}, {"logits": logits}, matrix)


def _check_parts(model: ModelProto) -> None:
    _only(model, _IN_MODEL, "the model")
    _only(model.graph, _IN_GRAPH, "the graph")
    for node in model.graph.node:
        _check_node(node)


def _check_node(node: NodeProto) -> None:
    _only(node, _IN_NODE, "a node")
    if node.op_type not in OPERATORS.get(node.domain, ()):
        raise ValueError(f"uses the operator {node.domain[:50]!r} {node.op_type[:50]!r}, which is not known")
    for attribute in node.attribute:
        _only(attribute, _IN_ATTRIBUTE, "an attribute")


def _only(message: Any, known: frozenset[str], what: str) -> None:
    for field, _ in message.ListFields():
        if field.name not in known:
            raise ValueError(f"has something in {what} that is not known ({field.name})")


def _check_tensor(tensor: TensorProto, weights: str, size: int) -> None:
    if tensor.data_location != TensorProto.EXTERNAL and not tensor.external_data:
        return
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) != len(tensor.external_data) or entries.keys() != _IN_PLACE:
        raise ValueError("has a weight without a place")
    if entries["location"] != weights:
        raise ValueError(f"points at a file other than {weights}")
    try:
        offset, length = int(entries["offset"]), int(entries["length"])
    except ValueError as error:
        raise ValueError("has a weight without a place") from error
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(f"has a weight outside of {weights}")


def _check_contract(model: ModelProto, contract: Contract) -> None:
    check_values("input", {value.name: value_of(value) for value in model.graph.input}, contract.inputs)
    check_values("output", {value.name: value_of(value) for value in model.graph.output}, contract.outputs)
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for name, shape in contract.weights.items():
        if weights.get(name) != shape:
            raise ValueError(f"and the card disagree about the shape of {name}")


def _check_blocks(model: ModelProto, a: Architecture) -> None:
    """What looks at attention computes it from the card, so the graph must look in the same way."""
    bent = sum(node.op_type == "Gelu" for node in model.graph.node)
    if bent != (a.layers if a.activation is Activation.GELU else 0):
        raise ValueError("and the card disagree about what bends the feed-forward")
    gates = {tensor.name.split(".")[1] for tensor in model.graph.initializer if ".ffn_gate." in tensor.name}
    if len(gates) != (a.layers if a.gated else 0):
        raise ValueError("and the card disagree about the gates of the feed-forward")
    norms = {node.op_type for node in model.graph.node if node.op_type.endswith("LayerNormalization")}
    if not norms <= {NORMS[a.norm], SKIP_NORMS[a.norm]}:
        raise ValueError("and the card disagree about the norms")
    heads = [node for node in model.graph.node if node.op_type == "GroupQueryAttention"]
    if len(heads) != a.layers:
        raise ValueError("and the card disagree about the number of layers")
    for layer, node in enumerate(heads):
        said = {attribute.name: attribute for attribute in node.attribute}
        window = said["local_window_size"].i if "local_window_size" in said else None
        scale = said["scale"].f if "scale" in said else 0.0
        local = [".local" in name for name in node.input if name.startswith("rope.")]
        rotates = bool(said["do_rotary"].i) if "do_rotary" in said else False
        how = a.attention(layer)
        tables = [how.window is not None] * 2 if how.rotates else []
        expected = (how.window, float(np.float32(a.attention_scale)), how.rotates, tables)
        if (window, scale, rotates, local) != expected:
            raise ValueError(f"and the card disagree about how layer {layer} looks")


def check_values(what: str, found: Mapping[str, Value], expected: Mapping[str, Value]) -> None:
    """Raise `ValueError` unless these are exactly the inputs or outputs that are expected."""
    for missing in sorted(expected.keys() - found.keys()):
        raise ValueError(f"has no {what} {missing}")
    for other in sorted(found.keys() - expected.keys()):
        raise ValueError(f"has an {what} {other[:100]!r}, which is not known")
    for name, value in expected.items():
        if found[name] != value:
            raise ValueError(f"and the card disagree about the shape of {name}")


def value_of(value: ValueInfoProto) -> Value:
    """The type and shape that a graph says of an input or output."""
    tensor = value.type.tensor_type
    dims = tensor.shape.dim
    return Value(tensor.elem_type, tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims))

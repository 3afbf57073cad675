"""A decoder's graph that another program made, run as it is: divided into decoder and head, written, and checked.

Nodes stay as they were written. What changes is what is asked of them: instead of logits the decoder gives the one
value that they are made of (docs/architecture.md, "A graph that is run as it is"), and the nodes behind it are the
head. The weights go into one file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from canopy_desktop.errors import BundleError, SourceError
from canopy_desktop.model.bundle import DECODER_FILE, HEAD_FILE, WEIGHTS_FILE
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.given_pass import (
    LAST,
    PARTS,
    PAST,
    past_name,
    present_name,
    query_name,
    residual_name,
    supplied,
)
from canopy_desktop.model.graph_check import Shape, Value, check_values, value_of
from canopy_desktop.model.onnx_file import OnnxFile, StoredArray, open_onnx
from canopy_desktop.model.weight_file import ExternalWeights

LOGITS, RESIDUAL = "logits", "residual"
IDS, ROWS, FIRST = "input_ids", "last.shape", "first"
INLINE_BYTES = 1024  # of a weight that stays in the graph
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})
# Products that round several rows otherwise than one, and those that do not.
_UNLIKE = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulBnb4", "MatMulInteger",
                     "MatMulIntegerToFloat", "MatMulNBits", "QLinearMatMul", "QuantizeLinear"})  # fmt: skip
_PRODUCTS = _UNLIKE | {"FusedMatMul", "Gemm", "MatMul"}


@dataclass(frozen=True, slots=True)
class Ends:
    """The values of a graph that are asked for."""

    last: str  # what logits are made of, for the head to take
    kind: int  # the type of its numbers
    queries: tuple[str, ...]  # of every layer, (1, heads, new, head_size); none where they are not known
    stream: tuple[str, ...]  # the embedding, and what comes out of every block but the last; none likewise


def end_of(graph: GraphProto) -> str:
    """The value that all logits are made of, with a product behind it; the logits themselves where there is none."""
    nodes = in_order(graph)
    constants = constants_of(graph, nodes)
    open_, multiplied = {LOGITS}, False
    for node in reversed(nodes):
        if open_.isdisjoint(node.output):
            continue
        if branches(node):
            break
        open_ = {name for name in (open_ - set(node.output)) | set(node.input) if name and name not in constants}
        multiplied = multiplied or node.op_type in _PRODUCTS
        if multiplied and len(open_) == 1:
            return open_.pop()
    return LOGITS


def write_graphs(file: OnnxFile, ends: Ends, a: Architecture, folder: Path) -> Iterator[float]:
    """Write decoder, head and weights to a folder; yields the part done, 0 to 1. The weights have left `file` then."""
    model = file.model
    with (folder / WEIGHTS_FILE).open("wb") as opened:
        weights = ExternalWeights(opened)
        tensors = [tensor for graph in _graphs(model.graph) for tensor in graph.initializer]
        for done, tensor in enumerate(tensors, 1):
            raw = StoredArray(file.path, tensor).raw()
            if raw.nbytes >= INLINE_BYTES or tensor.data_location == TensorProto.EXTERNAL:
                weights.move(tensor, raw)
            yield done / len(tensors)
    decoder, head = (folder / name for name in (DECODER_FILE, HEAD_FILE))
    decoder.write_bytes(_decoder(model, ends, a).SerializeToString(deterministic=True))
    head.write_bytes(_head(model, ends, a).SerializeToString(deterministic=True))


def check_given(folder: Path, a: Architecture) -> None:
    """Check that the graphs of a bundle are of known parts and are what the card says. Raises `BundleError`."""
    for name in (DECODER_FILE, HEAD_FILE):
        try:
            file = open_onnx(folder, name)
        except SourceError as error:
            raise BundleError(folder, f"{name}: {error.reason}") from error
        try:
            if set(file.data_files) - {folder / WEIGHTS_FILE}:
                raise ValueError(f"points at a file other than {WEIGHTS_FILE}")
            graph = file.model.graph
            found = {value.name: value_of(value) for value in asked_by(graph)}
            given = {value.name: value_of(value) for value in graph.output}
            inputs, outputs = _decoder_values(found, a) if name == DECODER_FILE else _head_values(found, given, a)
            check_values("input", found, inputs)
            check_values("output", given, outputs)
        except ValueError as error:
            raise BundleError(folder, f"{name} {error}") from error


def asked_by(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs of a graph; old ones name their weights among them too."""
    own = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in own]


def shape_of_cache(a: Architecture) -> Shape:
    """Of a layer's keys or values."""
    return None, a.kv_heads, None, a.head_size


def _decoder_values(found: dict[str, Value], a: Architecture) -> tuple[dict[str, Value], dict[str, Value]]:
    """Inputs and outputs that a decoder must have; the types are its own, if numbers are floats."""
    kinds = {found[name].kind for name in found if PAST.fullmatch(name)}
    if len(kinds) != 1 or not kinds <= FLOATS:
        raise ValueError("takes keys and values that are no floats of one type")
    cache = Value(kinds.pop(), shape_of_cache(a))
    inputs = {name: Value(value.kind, _shape_of(name)) for name, value in found.items() if _is_supplied(name)}
    outputs = {name: Value(TensorProto.FLOAT, shape) for name, shape in _given(a).items()}
    for layer in range(a.layers):
        for part in PARTS:
            inputs[past_name(layer, part)] = outputs[present_name(layer, part)] = cache
    return inputs, outputs


def _head_values(
    found: dict[str, Value], given: dict[str, Value], a: Architecture
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The head's; it takes any number of rows, or one."""
    one_row = found.get(RESIDUAL) == Value(TensorProto.FLOAT, (1, 1, a.hidden))
    kind = given[LOGITS].kind if LOGITS in given and given[LOGITS].kind in FLOATS else TensorProto.FLOAT
    rows = 1 if one_row else None
    return (
        {RESIDUAL: Value(TensorProto.FLOAT, (1, rows, a.hidden))},
        {LOGITS: Value(kind, (1, rows, a.vocabulary))},
    )


def _given(a: Architecture) -> dict[str, Shape]:
    """What a decoder gives beside the cache."""
    queries = {query_name(layer): (None, a.heads, None, a.head_size) for layer in range(a.layers if a.queries else 0)}
    residuals = {residual_name(layer): (1, None, a.hidden) for layer in range(a.layers if a.residuals else 0)}
    return {LAST: (1, None, a.hidden), **queries, **residuals}


def _decoder(model: ModelProto, ends: Ends, a: Architecture) -> ModelProto:
    graph, shapes = model.graph, _given(a)
    sources = [ends.last, *ends.queries, *ends.stream]
    presents = [present_name(layer, part) for layer in range(a.layers) for part in PARTS]
    nodes = _making(in_order(graph), {*presents, *sources}, set())
    taken = {name for node in nodes for name in _takes(node)}
    cache = next(value.type.tensor_type.elem_type for value in graph.input if PAST.fullmatch(value.name))
    inputs = [
        _value(value.name, value.type.tensor_type.elem_type, _shape_of(value.name))
        for value in asked_by(graph)
        if _is_supplied(value.name) and value.name in taken
    ]
    inputs += [_value(past_name(layer, part), cache, shape_of_cache(a)) for layer in range(a.layers) for part in PARTS]
    outputs = [
        *(_value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()),
        *(_value(name, cache, shape_of_cache(a)) for name in presents),
    ]
    for source, target in zip(sources, shapes, strict=True):
        nodes += _as_floats(source, target, is_stream=source not in ends.queries)
    rows = helper.make_tensor(ROWS, TensorProto.INT64, (3,), (1, -1, a.hidden))
    return _model(model, "decoder", nodes, inputs, outputs, [rows])


def _as_floats(source: str, target: str, *, is_stream: bool) -> list[NodeProto]:
    """A value in 32 bits, and of the stream as (1, rows, hidden)."""
    if not is_stream:
        return [helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT)]
    shaped = f"{target}.rows"
    return [
        helper.make_node("Reshape", [source, ROWS], [shaped]),
        helper.make_node("Cast", [shaped], [target], to=TensorProto.FLOAT),
    ]


def _head(model: ModelProto, ends: Ends, a: Architecture) -> ModelProto:
    """`residual` (1, rows, hidden) float32 to `logits` (1, rows, vocabulary); of one row where several are no same."""
    logits = next(value.type.tensor_type.elem_type for value in model.graph.output if value.name == LOGITS)
    making = _behind(model.graph, ends.last, ends.stream)
    if any(map(_is_of_shape, making)):  # ids of the same shape, of which nothing else is used
        making = [
            helper.make_node("Gather", [RESIDUAL, FIRST], [f"{IDS}.numbers"], axis=2),
            helper.make_node("Cast", [f"{IDS}.numbers"], [IDS], to=TensorProto.INT64),
            *making,
        ]
    nodes = [helper.make_node("Cast", [RESIDUAL], [ends.last], to=ends.kind), *making]
    rows = 1 if any(node.op_type in _UNLIKE for node in nodes) else None
    inputs = [_value(RESIDUAL, TensorProto.FLOAT, (1, rows, a.hidden))]
    first = helper.make_tensor(FIRST, TensorProto.INT64, (), (0,))
    return _model(model, "head", nodes, inputs, [_value(LOGITS, logits, (1, rows, a.vocabulary))], [first])


def _behind(graph: GraphProto, end: str, alike: Sequence[str]) -> list[NodeProto]:
    """The nodes that make logits of a value, of which they also take the shape instead of that of those `alike`."""
    nodes = in_order(graph)
    for place, node in enumerate(nodes):
        if node.op_type == "Shape" and node.input[0] in alike:
            nodes[place] = NodeProto()
            nodes[place].CopyFrom(node)
            nodes[place].input[0] = end
    return _making(nodes, {LOGITS}, {end})


def _is_of_shape(node: NodeProto) -> bool:
    """Whether a node tells the shape of the text."""
    return node.op_type == "Shape" and list(node.input) == [IDS]


def _model(
    model: ModelProto,
    name: str,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    more: Sequence[TensorProto] = (),
) -> ModelProto:
    used = {source for node in nodes for source in _takes(node)}
    tensors = [tensor for tensor in (*model.graph.initializer, *more) if tensor.name in used]
    graph = helper.make_graph(nodes, name, inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _making(nodes: Sequence[NodeProto], wanted: Set[str], known: Set[str]) -> list[NodeProto]:
    """Those of the nodes, which are in order, that make some values of what is known."""
    open_ = set(wanted - known)
    found = []
    for node in reversed(nodes):
        if not open_.isdisjoint(node.output):
            found.append(node)
            open_ |= _takes(node) - known
    return found[::-1]


def in_order(graph: GraphProto) -> list[NodeProto]:
    """A graph's nodes so that each comes after those that it takes from, which not every program sees to."""
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output}
    before = {
        place: sorted({makers[name] for name in _takes(node) if name in makers})
        for place, node in enumerate(graph.node)
    }
    return [graph.node[place] for place in TopologicalSorter(before).static_order()]


def constants_of(graph: GraphProto, nodes: Sequence[NodeProto], *, shapes: bool = False) -> set[str]:
    """The values that are the same in every pass, or with `shapes` in every pass of the same shape.

    `nodes` are the graph's, in order.
    """
    found = {tensor.name for tensor in graph.initializer}
    for node in nodes:
        is_shape = shapes and node.op_type in ("Shape", "Size")
        if is_shape or (not branches(node) and all(name in found for name in node.input if name)):
            found.update(node.output)
    return found


def is_end(graph: GraphProto, name: str, alike: Sequence[str] = ()) -> bool:
    """Whether logits can be made of a value alone, beside what is the same in every pass, or the text's shape.

    `alike` are values of the same shape.
    """
    making = _behind(graph, name, alike)
    made = {output for node in making for output in node.output}
    taken = {source for node in making if not _is_of_shape(node) for source in _takes(node)}
    return taken <= made | {name} | constants_of(graph, in_order(graph))


def _takes(node: NodeProto) -> set[str]:
    """What a node takes, and what its branches take from outside of them."""
    found = set(node.input)
    for branch in branches(node):
        taken = {value.name for value in branch.output}.union(*map(_takes, branch.node))
        made = {name for each in branch.node for name in each.output}
        found |= taken - made - {tensor.name for tensor in branch.initializer}
    return found - {""}


def branches(node: NodeProto) -> list[GraphProto]:
    """The graphs in a node."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for branch in branches(node):
            yield from _graphs(branch)


def _is_supplied(name: str) -> bool:
    return supplied(name, np.zeros((1, 1), np.int64), 1) is not None


def _shape_of(name: str) -> Shape:
    value = supplied(name, np.zeros((1, 1), np.int64), 1)
    return () if value is None else (None,) * value.ndim


def _value(name: str, kind: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)

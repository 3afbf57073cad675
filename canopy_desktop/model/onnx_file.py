"""A graph of ONNX that somebody else made, read with care: it may come from anywhere.

Only operators that decoders of optimum and transformers.js are made of are let through, so that nothing else ever runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from canopy_desktop.arrays import AnyArray
from canopy_desktop.errors import SourceError
from canopy_desktop.model.checkpoint_json import own_file
from canopy_desktop.model.graph import MICROSOFT

MAX_FILE_BYTES = (1 << 31) - 1  # what protobuf reads; larger models have their weights beside the graph
MAX_NODES = 200_000
CUT_OFF = "it is no ONNX file, or was cut off"
OPERATORS = {
    "": frozenset({"Abs", "Add", "And", "Attention", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant",
                   "ConstantOfShape", "Cos", "CumSum", "DequantizeLinear", "Div", "DynamicQuantizeLinear", "Einsum",
                   "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND",
                   "Gelu", "Gemm", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "If", "IsInf",
                   "IsNaN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul",
                   "MatMulInteger", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot", "Or", "Pad",
                   "Pow", "QLinearMatMul", "QuantizeLinear", "RMSNormalization", "Range", "Reciprocal", "ReduceL2",
                   "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "RotaryEmbedding", "Round",
                   "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "SimplifiedLayerNormalization", "Sin",
                   "Size", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh",
                   "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where"}),
    MICROSOFT: frozenset({"BiasGelu", "DequantizeLinear", "DynamicQuantizeMatMul", "FastGelu", "FusedMatMul",
                          "GatherBlockQuantized", "Gelu", "GroupQueryAttention", "MatMulBnb4", "MatMulIntegerToFloat",
                          "MatMulNBits", "MoE", "MultiHeadAttention", "QMoE", "QuantizeLinear", "QuickGelu",
                          "RotaryEmbedding", "SimplifiedLayerNormalization", "SkipLayerNormalization",
                          "SkipSimplifiedLayerNormalization"}),
}  # fmt: skip
_HALF_BYTES = frozenset({TensorProto.INT4, TensorProto.UINT4})
_TYPES = _HALF_BYTES | {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8}
_BRANCHES = frozenset({"then_branch", "else_branch"})
_IN_MODEL = frozenset({"ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string",
                       "graph", "opset_import", "metadata_props"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An initializer, in the graph's own file or in one beside it."""

    path: Path  # of the graph
    tensor: TensorProto

    @property
    def name(self) -> str:
        """What the graph calls it."""
        return self.tensor.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return tuple(self.tensor.dims)

    @property
    def kind(self) -> np.dtype[Any]:
        """The type of its numbers."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.tensor.data_type))

    @property
    def is_exact(self) -> bool:
        """Whether it holds floats of 32 bits."""
        return self.tensor.data_type == TensorProto.FLOAT

    @property
    def file(self) -> Path | None:
        """The file beside the graph that it lies in, if it lies in one."""
        is_beside = self.tensor.data_location == TensorProto.EXTERNAL
        return self.path.with_name(_place(self.tensor)["location"]) if is_beside else None

    def raw(self) -> AnyArray:
        """Its bytes, uint8, where they lie beside the graph or as such in it; else nothing. Raises `SourceError`."""
        if self.file is None or not _bytes_of(self.tensor):
            return np.frombuffer(self.tensor.raw_data, np.uint8)
        try:
            with self.file.open("rb") as stored:
                place = int(_place(self.tensor).get("offset", 0))
                return np.memmap(stored, np.uint8, "r", place, (_bytes_of(self.tensor),))
        except OSError as error:
            raise SourceError(self.path, f"its weights cannot be read ({error.strerror})") from error

    def load(self) -> AnyArray:
        """Its values. Raises `SourceError`."""
        if self.tensor.data_type not in _TYPES:
            raise SourceError(self.path, f"its weight {self.name[:100]!r} is of a type that is not known")
        try:
            values = numpy_helper.to_array(self.tensor) if self.file is None else self._from_file(self.file)
            return values.reshape(self.shape)
        except OSError as error:
            raise SourceError(self.path, f"its weights cannot be read ({error.strerror})") from error
        except (ValueError, TypeError) as error:
            raise SourceError(self.path, f"its weight {self.name[:100]!r} is not of the size that it says") from error

    def _from_file(self, file: Path) -> AnyArray:
        with file.open("rb") as stored:
            stored.seek(int(_place(self.tensor).get("offset", 0)))
            raw = np.fromfile(stored, np.uint8, _bytes_of(self.tensor))
        if self.tensor.data_type in _HALF_BYTES:
            within = TensorProto(data_type=self.tensor.data_type, dims=self.shape, raw_data=raw.tobytes())
            return numpy_helper.to_array(within)
        return raw.view(helper.tensor_dtype_to_np_dtype(self.tensor.data_type))


class Scope:
    """One graph of a file, with what it sees of the graph that it is a branch of."""

    def __init__(self, path: Path, graph: GraphProto, outer: Mapping[str, StoredArray]) -> None:
        own = {tensor.name: StoredArray(path, tensor) for tensor in graph.initializer}
        constants = (node for node in graph.node if node.op_type == "Constant" and node.output)
        for node in constants:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    own[node.output[0]] = StoredArray(path, attribute.t)
        self.nodes: Sequence[NodeProto] = graph.node
        self.tensors: Sequence[TensorProto] = graph.initializer
        self.arrays: Mapping[str, StoredArray] = {**outer, **own}
        self.makers = {name: node for node in graph.node for name in node.output}
        self._users: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def user(self, name: str, kind: str) -> NodeProto | None:
        """The first node of a kind that takes the value."""
        return next((node for node in self._users.get(name, ()) if node.op_type == kind), None)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An open graph, and the graphs in it."""

    path: Path
    model: ModelProto
    scopes: tuple[Scope, ...]
    data_files: tuple[Path, ...]  # beside it, with weights


def open_onnx(folder: Path, name: str) -> OnnxFile:
    """Open a graph by its path in `folder`, of which its weights may not lead out. Raises `SourceError`."""
    path = own_file(folder, name, largest=MAX_FILE_BYTES)
    if path is None:
        raise SourceError(folder, f"it has no {name}")
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except OSError as error:
        raise SourceError(path, f"it cannot be read ({error.strerror})") from error
    except Exception as error:  # protobuf raises its own kinds for broken bytes
        raise SourceError(path, CUT_OFF) from error
    if not model.graph.node:
        raise SourceError(path, CUT_OFF)
    try:
        _check_parts(model)
        scopes = tuple(_scopes(path, model.graph, {}))
        _check_nodes(scopes)
        beside = {_location(tensor) for scope in scopes for tensor in _beside(scope)}
        sizes = {location: _size(folder, path, location) for location in sorted(beside)}
        for scope in scopes:
            for tensor in _beside(scope):
                _check_place(tensor, sizes[_location(tensor)])
    except ValueError as error:
        raise SourceError(path, f"it {error}") from error
    return OnnxFile(path, model, scopes, tuple(path.with_name(location) for location in sizes))


def _check_parts(model: ModelProto) -> None:
    for field, _ in model.ListFields():
        if field.name not in _IN_MODEL:
            raise ValueError(f"has a part that is not known ({field.name})")


def _scopes(path: Path, graph: GraphProto, outer: Mapping[str, StoredArray], depth: int = 0) -> Iterator[Scope]:
    """A graph and its branches, which have none of their own."""
    if graph.sparse_initializer or graph.quantization_annotation:
        raise ValueError("has weights of a kind that is not known")
    if len({tensor.name for tensor in graph.initializer}) < len(graph.initializer):
        raise ValueError("has two weights of the same name")
    scope = Scope(path, graph, outer)
    yield scope
    for node in graph.node:
        for attribute in node.attribute:
            _check_attribute(attribute, depth)
            if attribute.name in _BRANCHES:
                yield from _scopes(path, attribute.g, scope.arrays, depth + 1)


def _check_attribute(attribute: AttributeProto, depth: int) -> None:
    is_branch = attribute.name in _BRANCHES and depth == 0
    if attribute.graphs or attribute.tensors or attribute.HasField("sparse_tensor") or attribute.ref_attr_name:
        raise ValueError("has a node with a part that is not known")
    if attribute.HasField("g") and not is_branch:
        raise ValueError("has graphs within graphs that are not known")
    if attribute.HasField("t") and (attribute.t.external_data or attribute.t.data_location):
        raise ValueError("has a constant outside of its file")


def _check_nodes(scopes: Sequence[Scope]) -> None:
    if sum(len(scope.nodes) for scope in scopes) > MAX_NODES:
        raise ValueError(f"has more than {MAX_NODES} nodes")
    for scope in scopes:
        for node in scope.nodes:
            words = (node.name, node.op_type, node.domain, *node.input, *node.output)
            if not all(isinstance(word, str) for word in words):  # protobuf gives bytes where they are no text
                raise ValueError("has a node whose names are no text")
            if node.op_type not in OPERATORS.get(node.domain.removeprefix("ai.onnx"), ()):
                kind = f"{node.domain[:50]} {node.op_type[:50]}".strip()
                raise ValueError(f"uses the operator {kind!r}, which is not known")


def _beside(scope: Scope) -> list[TensorProto]:
    """The tensors that lie in files beside the graph."""
    return [tensor for tensor in scope.tensors if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data]


def _place(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _location(tensor: TensorProto) -> str:
    location = str(_place(tensor).get("location", ""))  # protobuf gives bytes where it is no text
    if not location.isprintable() or "\\" in location or not location or Path(location).name != location:
        raise ValueError(f"names {location[:100]!r} for its weights, which is no file beside it")
    return location


def _size(folder: Path, path: Path, location: str) -> int:
    beside = path.with_name(location)
    own = own_file(folder, str(beside.relative_to(folder)))
    if own is None:
        raise ValueError(f"lacks the file {location[:100]!r} with its weights")
    return own.stat().st_size


def _bytes_of(tensor: TensorProto) -> int:
    count: int = math.prod(tensor.dims)
    if tensor.data_type in _HALF_BYTES:
        return -(-count // 2)
    return count * int(np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize)


def _check_place(tensor: TensorProto, size: int) -> None:
    """A tensor's place must hold exactly its numbers."""
    said = _place(tensor)
    try:
        count = _bytes_of(tensor)
        offset, length = int(said.get("offset", 0)), int(said.get("length", count))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("has a weight without a place") from error
    if min(tensor.dims, default=0) < 0 or length != count or offset < 0:
        raise ValueError(f"has a weight, {tensor.name[:100]!r}, whose place is not of its size")
    if offset + length > size:
        raise ValueError(f"has a weight, {tensor.name[:100]!r}, beyond its file's end: the file was cut off")

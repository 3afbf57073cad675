"""docs/cuda.md: the kernels that the pinned onnxruntime has for CUDA, against the graphs that are built."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, shape_inference

from canopy_desktop.model.card import BUILT_FORMS, WeightForm
from tests.core import tiny

DOCS = Path(__file__).resolve().parents[2] / "docs" / "cuda.md"
ON_CARD = ("head.onnx", "model-cuda.onnx")
TOTAL = 6  # GroupQueryAttention's input that its kernel reads on the CPU


@dataclass(frozen=True)
class Kernel:
    """A row of the table."""

    since: int  # opset
    data: frozenset[str]  # types
    others: str  # what is said of other inputs


def table() -> dict[tuple[str, str], Kernel]:
    """The rows by domain and operator."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in DOCS.read_text("utf-8").splitlines()]
    return {
        (row[1].replace("ai.onnx", ""), row[0]): Kernel(int(row[2]), frozenset(row[3].split(", ")), row[4])
        for row in rows
        if len(row) == 5 and row[2].isdigit()
    }


def named(kind: int) -> str:
    """The table's name of an element type."""
    name = TensorProto.DataType.Name(kind).lower()
    return str(name)


def kinds(model: ModelProto) -> dict[str, str]:
    """The element type of every edge. Microsoft's operators give out what their first input has."""
    graph = model.graph
    found = {value.name: named(value.type.tensor_type.elem_type) for value in (*graph.input, *graph.output)}
    found |= {tensor.name: named(tensor.data_type) for tensor in graph.initializer}
    for node in graph.node:
        kind = found[node.input[0]]
        if node.op_type == "Cast":
            kind = named(next(attribute.i for attribute in node.attribute if attribute.name == "to"))
        for name in node.output:
            assert found.setdefault(name, kind) == kind, name
    return found


def data_inputs(node: NodeProto) -> Iterator[str]:
    """Inputs that have the type of the data; the others are indices, axes, shapes, lengths and bytes."""
    others = {"Gather": {1}, "Unsqueeze": {1}, "Reshape": {1}, "MatMulNBits": {1}, "GroupQueryAttention": {5, TOTAL}}
    for place, name in enumerate(node.input):
        if name and place not in others.get(node.op_type, set()):
            yield name


@pytest.mark.parametrize("form", BUILT_FORMS)
@pytest.mark.parametrize("name", ON_CARD)
def test_every_operator_on_the_card_has_a_kernel_for_its_opset_and_types(
    form: WeightForm, name: str, tmp_path: Path
) -> None:
    model, kernels = onnx.load(tiny.build(tmp_path, form) / name, load_external_data=False), table()
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    found = kinds(model)
    for node in model.graph.node:
        kernel = kernels[node.domain, node.op_type]
        assert kernel.since <= opsets[node.domain], node.name
        types = {found[edge] for edge in data_inputs(node)}
        assert len(types) == 1, node.name
        assert types <= kernel.data, node.name
        if node.op_type == "Cast":
            assert {found[node.output[0]]} <= kernel.data


@pytest.mark.parametrize("form", BUILT_FORMS)
def test_lengths_indices_and_bytes_have_the_types_of_the_table(form: WeightForm, tmp_path: Path) -> None:
    folder, kernels = tiny.build(tmp_path, form), table()
    for name in ON_CARD:
        model = onnx.load(folder / name, load_external_data=False)
        found = kinds(model)
        for node in model.graph.node:
            others = [edge for edge in node.input if edge and edge not in set(data_inputs(node))]
            for edge in others:
                assert found[edge] in kernels[node.domain, node.op_type].others, (node.name, edge)


@pytest.mark.parametrize("form", BUILT_FORMS)
def test_the_types_that_are_assumed_here_are_those_that_onnx_infers(form: WeightForm, tmp_path: Path) -> None:
    model = onnx.load(tiny.build(tmp_path, form) / "model-cuda.onnx", load_external_data=False)
    assumed = kinds(model)
    inferred = shape_inference.infer_shapes(model)
    edges = {value.name: named(value.type.tensor_type.elem_type) for value in inferred.graph.value_info}
    assert len(edges) > 5
    assert edges.items() <= assumed.items()


def test_the_cpus_graph_is_one_that_a_card_cannot_run(tmp_path: Path) -> None:
    model = onnx.load(tiny.build(tmp_path) / "model.onnx", load_external_data=False)
    attention = ("com.microsoft", "GroupQueryAttention")
    found, kernel = kinds(model), table()[attention]
    looked = [node for node in model.graph.node if node.op_type == attention[1]]
    assert looked
    assert all(found[node.input[0]] not in kernel.data for node in looked)

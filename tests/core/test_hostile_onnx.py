"""An ONNX file may come from anywhere: whatever is wrong with it ends in one sentence, and nothing unknown is run."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, helper, numpy_helper

from canopy_desktop.errors import BuildError, ModelError, SourceError
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.graph import MICROSOFT
from canopy_desktop.model.model_import import import_source
from canopy_desktop.model.onnx_file import MAX_FILE_BYTES
from canopy_desktop.model.onnx_folder import open_onnx_model
from canopy_desktop.model.onnx_witness import read_by_original
from tests.core.checkpoints import change
from tests.core.exports import whole_graph, write_folder

GRAPH = "model.onnx"
QUERY, GAIN = "/model/layers.1/self_attn/q_proj/MatMul", "model.layers.1.input_layernorm.weight"
Change = Callable[[ModelProto], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder("qwen3", tmp_path / "qwen3")


def refused(folder: Path) -> str:
    """The one sentence that refuses a folder when it is opened."""
    with pytest.raises(SourceError) as caught:
        open_onnx_model(folder)
    return one_sentence(caught.value)


def one_sentence(error: ModelError) -> str:
    assert str(error).endswith(".")
    assert "\n" not in str(error)
    return str(error)


def rewrite(folder: Path, change_graph: Change, name: str = "qwen3") -> Path:
    model = whole_graph(name)
    change_graph(model)
    (folder / GRAPH).write_bytes(model.SerializeToString())
    return folder


def node(model: ModelProto, name: str) -> NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def tensor(model: ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def query(model: ModelProto) -> TensorProto:
    return tensor(model, node(model, QUERY).input[1])


# --- what is not known is not run


def with_branch(branch: onnx.GraphProto) -> Change:
    return lambda model: model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=branch))


EMPTY = helper.make_graph([], "branch", [], [])
DEEP = helper.make_graph([helper.make_node("If", ["c"], ["e"], then_branch=EMPTY)], "branch", [], [])
BESIDE = TensorProto(name="x", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
UNKNOWN: dict[str, tuple[Change, str]] = {
    "an operator of another domain": (lambda m: setattr(m.graph.node[3], "domain", "custom"), "operator 'custom "),
    "an operator of no decoder": (lambda m: setattr(m.graph.node[3], "op_type", "Loop"), "operator 'Loop'"),
    "an operator of Microsoft's": (
        lambda m: m.graph.node.append(NodeProto(op_type="Attention", domain=MICROSOFT)), "'com.microsoft Attention'",
    ),
    "a graph in a graph in a graph": (with_branch(DEEP), "graphs within graphs"),
    "a graph in another operator": (
        lambda m: m.graph.node[3].attribute.append(helper.make_attribute("body", EMPTY)), "graphs within graphs",
    ),
    "several graphs in an operator": (
        lambda m: m.graph.node[3].attribute.append(AttributeProto(name="x", graphs=[EMPTY])), "part that is not known",
    ),
    "functions": (lambda m: m.functions.add(name="f"), "functions"),
    "training": (lambda m: m.training_info.add(), "training_info"),
    "two weights of one name": (lambda m: m.graph.initializer.append(query(m)), "two weights of the same name"),
    "sparse weights": (lambda m: m.graph.sparse_initializer.add(), "of a kind that is not known"),
    "a constant in another file": (
        lambda m: m.graph.node[3].attribute.append(helper.make_attribute("value", BESIDE)), "outside of its file",
    ),
    "no nodes": (lambda m: m.graph.ClearField("node"), "no ONNX file"),
    "a name that is no text": (lambda m: None, "no text"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_known_in_a_graph_is_refused_by_name(folder: Path, kind: str) -> None:
    change_graph, words = UNKNOWN[kind]
    rewrite(folder, change_graph)
    if kind == "a name that is no text":
        path = folder / GRAPH
        path.write_bytes(path.read_bytes().replace(QUERY.encode(), b"\xff" * len(QUERY)))
    assert words in refused(folder)


# --- weights


def placed(**place: object) -> Change:
    """The query's matrix in a file beside the graph, of which `rewrite` wrote none."""

    def move(model: ModelProto) -> None:
        found = query(model)
        found.ClearField("raw_data")
        found.data_location = TensorProto.EXTERNAL
        said = {"location": "beside.bin", **place}
        found.external_data.extend(StringStringEntryProto(key=key, value=str(value)) for key, value in said.items())

    return move


def with_query(**fields: object) -> Change:
    def write(model: ModelProto) -> None:
        for name, value in fields.items():
            query(model).ClearField(name)
            getattr(query(model), name).extend(value) if name == "dims" else setattr(query(model), name, value)

    return write


SIZE = 32 * 160 * 4
PLACES: dict[str, tuple[Change, str]] = {
    "a file above": (placed(location="../beside.bin"), "no file beside it"),
    "a file below": (placed(location="below/beside.bin"), "no file beside it"),
    "an absolute path": (placed(location="/etc/passwd"), "no file beside it"),
    "no file": (placed(location=""), "no file beside it"),
    "a name with a zero": (placed(location="be\0side"), "no file beside it"),
    "a file that is not there": (placed(location="other.bin"), "lacks the file"),
    "a link out of the folder": (placed(location="link.bin"), "leads out of the folder"),
    "beyond the end": (placed(offset=8), "was cut off"),
    "before the beginning": (placed(offset=-8), "not of its size"),
    "an offset of words": (placed(offset="first"), "without a place"),
    "a shorter place": (placed(length=SIZE - 4), "not of its size"),
    "a shape of less than nothing": (lambda m: (placed()(m), with_query(dims=[-32, -160])(m)), "not of its size"),
    "a shape without end": (lambda m: (placed()(m), with_query(dims=[1 << 40, 1 << 40])(m)), "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLACES)
def test_weights_that_lie_where_they_may_not_are_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    (folder / "beside.bin").write_bytes(bytes(SIZE))
    (tmp_path / "outside.bin").write_bytes(bytes(SIZE))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    change_graph, words = PLACES[kind]
    assert words in refused(rewrite(folder, change_graph))


SHAPES: dict[str, tuple[Change, str]] = {
    "a weight that is missing": (lambda m: setattr(node(m, QUERY), "name", "/other/MatMul"), "q_proj.weight should be"),
    "a weight of another shape": (with_query(dims=[16, 320]), "q_proj.weight should be (160, 32) and is (320, 16)"),
    "a gain of another shape": (lambda m: tensor(m, GAIN).dims.append(1), "input_layernorm.weight should be"),
    "a weight that a graph is given": (
        lambda m: node(m, QUERY).input.__setitem__(1, "input_ids"), "q_proj.weight should be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_a_weight_that_is_missing_or_contradicts_config_json_is_named(folder: Path, kind: str) -> None:
    change_graph, words = SHAPES[kind]
    assert words in refused(rewrite(folder, change_graph))


def test_a_config_of_another_model_is_refused(folder: Path) -> None:
    change(folder, "config.json", num_hidden_layers=4, layer_types=None)
    assert "layers.3." in refused(folder)


def no_number(model: ModelProto) -> None:
    values = np.full(tuple(query(model).dims), np.nan, np.float32)
    query(model).CopyFrom(numpy_helper.from_array(values, query(model).name))


NUMBERS: dict[str, tuple[Change, str]] = {
    "less than the shape says": (with_query(raw_data=bytes(100)), "not of the size"),
    "of a type that is none of a weight": (with_query(data_type=TensorProto.INT32), "of a type that is not known"),
    "no numbers": (no_number, "blk.1.attn_q.weight holds values that are no finite numbers"),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_are_none_are_refused_and_leave_nothing(folder: Path, tmp_path: Path, kind: str) -> None:
    change_graph, words = NUMBERS[kind]
    with pytest.raises(SourceError) as caught:
        imported(rewrite(folder, change_graph), tmp_path)
    assert words in one_sentence(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def imported(folder: Path, tmp_path: Path) -> None:
    import_source(folder, WeightForm.FP32, "mine", tmp_path / "models", lambda doing, part: None)


def with_attribute(kind: str, name: str, value: object) -> Change:
    def write(model: ModelProto) -> None:
        found = next(node for node in model.graph.node if node.op_type == kind and "layers.1" in node.name)
        kept = [attribute for attribute in found.attribute if attribute.name != name]
        found.ClearField("attribute")
        found.attribute.extend([*kept, *([] if value is None else [helper.make_attribute(name, value)])])

    return write


def with_input(kind: str, place: int, name: str) -> Change:
    def write(model: ModelProto) -> None:
        found = next(node for node in model.graph.node if node.op_type == kind and "layers.1" in node.name)
        found.input[place] = name

    return write


BITS = "MatMulNBits"
ROUNDED: dict[str, tuple[str, Change]] = {
    "blocks of nothing": ("qwen2-q4", with_attribute(BITS, "block_size", 0)),
    "blocks of words": ("qwen2-q4", with_attribute(BITS, "block_size", "32")),
    "no size of blocks": ("qwen2-q4", with_attribute(BITS, "block_size", None)),
    "three bits": ("qwen2-q4", with_attribute(BITS, "bits", 3)),
    "no bits": ("qwen2-q4", with_attribute(BITS, "bits", 0)),
    "eight bits where there are four": ("qwen2-q4", with_attribute(BITS, "bits", 8)),
    "rows without end": ("qwen2-q4", with_attribute(BITS, "N", 1 << 60)),
    "no scales": ("qwen2-q4", with_input(BITS, 2, "")),
    "another matrix's scales": ("qwen2-q4", with_input(BITS, 2, "onnx::MatMul_1143_scales")),
    "another matrix's zero points": ("qwen2-q4", with_input(BITS, 3, "onnx::MatMul_1143_zero_points")),
    "scales of another matrix": ("qwen2-uint8", with_input("MatMulInteger", 1, "onnx::MatMul_1143_quantized")),
    "integers without a scale": (
        "qwen2-uint8", lambda m: [setattr(n, "op_type", "Sub") for n in m.graph.node if n.name.endswith("scale_mul")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROUNDED)
def test_rounded_weights_that_do_not_fit_together_are_refused_by_their_node(tmp_path: Path, kind: str) -> None:
    name, change_graph = ROUNDED[kind]
    folder = write_folder(name, tmp_path / "x")
    assert "in a way that is not known" in refused(rewrite(folder, change_graph, name))


def test_branches_that_differ_in_their_weights_are_refused(tmp_path: Path) -> None:
    def differ(model: ModelProto) -> None:
        branch = model.graph.node[0].attribute[0].g
        places = {node.name: node for node in branch.node}
        places[QUERY].input[1] = places[QUERY.replace("layers.1", "layers.0")].input[1]

    folder = rewrite(write_folder("qwen2-merged", tmp_path / "x"), differ, "qwen2-merged")
    assert "two weights for 'model.layers.1.self_attn.q_proj.weight'" in refused(folder)


# --- the file itself


@pytest.mark.parametrize("length", [0, 1, 100, 0.5, 0.99])
def test_a_graph_that_was_cut_off_is_refused(folder: Path, length: float) -> None:
    whole = (folder / GRAPH).read_bytes()
    (folder / GRAPH).write_bytes(whole[: int(length if length >= 1 else length * len(whole))])
    assert "was cut off" in refused(folder)


def test_a_file_too_large_for_the_format_is_not_read(folder: Path) -> None:
    with (folder / GRAPH).open("r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert "larger than" in refused(folder)


def test_what_is_no_file_or_lies_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / GRAPH).rename(tmp_path / "outside.onnx")
    (folder / GRAPH).symlink_to(tmp_path / "outside.onnx")
    assert "leads out of the folder" in refused(folder)
    (folder / GRAPH).unlink()
    (folder / GRAPH).mkdir()
    assert "is not a file" in refused(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_graph_without_what_says_what_it_is_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refused(folder / GRAPH)


def test_of_graphs_that_are_not_called_as_decoders_one_must_be_named(folder: Path) -> None:
    (folder / GRAPH).rename(folder / "one.onnx")
    (folder / "other.onnx").touch()
    assert "name the file itself" in refused(folder)
    assert open_onnx_model(folder / "one.onnx").weights


def test_a_graph_with_any_byte_changed_is_opened_or_refused(folder: Path) -> None:
    whole, drawn = (folder / GRAPH).read_bytes(), random.Random(5)
    ends = [refused_or_opened(folder, whole, drawn.randrange(len(whole) // 4), drawn.randrange(256)) for _ in range(60)]
    assert {"", "was cut off"} <= set(ends)


def refused_or_opened(folder: Path, whole: bytes, place: int, value: int) -> str:
    (folder / GRAPH).write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
    try:
        open_onnx_model(folder)
    except SourceError as error:
        return "was cut off" if "was cut off" in one_sentence(error) else "another reason"
    return ""


# --- as a witness


def renamed_output(model: ModelProto) -> None:
    model.graph.output[1].name = "cache"


def renamed_input(model: ModelProto) -> None:
    for graph_input in model.graph.input:
        if graph_input.name == "position_ids":
            graph_input.name = "places"


def other_logits(model: ModelProto) -> None:
    last = next(node for node in model.graph.node if "logits" in node.output)
    last.output[0] = "all"
    model.graph.node.append(helper.make_node("Transpose", ["all"], ["logits"], perm=[0, 2, 1]))


def slow(model: ModelProto) -> None:
    """Some minutes of products that nobody asks for."""
    nodes = [helper.make_node("ConstantOfShape", ["wide"], ["made.0"])]
    nodes += [helper.make_node("MatMul", [f"made.{n}", f"made.{n}"], [f"made.{n + 1}"]) for n in range(2_000)]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1_000, 1_000]), "wide"))
    model.graph.node.extend(nodes)


def test_an_original_that_does_not_come_to_an_end_is_ended(folder: Path) -> None:
    model = open_onnx_model(rewrite(folder, slow))
    with pytest.raises(BuildError, match="does not run in onnxruntime within 1 s"):
        read_by_original(model, [1, 2, 3], patience_s=1.0)


WITNESSES: dict[str, tuple[Change, str]] = {
    "no keys": (renamed_output, "does not give present.0.key: export it with past"),
    "an input that is not known": (renamed_input, "asks for 'places'"),
    "an input of a type that is none": (
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 999), "asks for 'input_ids'",
    ),
    "logits of another shape": (other_logits, "of other shapes"),
    "a node that cannot run": (lambda m: node(m, "/model/layers.1/mlp/Mul").input.pop(), "its original does not run"),
    "another computation": (
        lambda m: setattr(node(m, "/model/layers.1/mlp/Mul"), "op_type", "Add"), "away from its original's",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WITNESSES)
def test_an_original_that_cannot_be_a_witness_is_refused_and_leaves_nothing(
    folder: Path, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change_graph, words = WITNESSES[kind]
    with pytest.raises((SourceError, BuildError)) as caught:
        imported(rewrite(folder, change_graph), tmp_path)
    assert words in one_sentence(caught.value)
    assert list((tmp_path / "models").iterdir()) == []
    assert capfd.readouterr() == ("", "")

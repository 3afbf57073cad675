"""A graph that is run as it is may come from anywhere: what cannot be run is refused in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from canopy_desktop.errors import BundleError, CanopyError, ModelError
from canopy_desktop.model.bundle import Bundle, file_sum
from canopy_desktop.model.card import CARD_FILE
from tests.core.checkpoints import change
from tests.core.given import imported, loaded, write_given

Change = Callable[[ModelProto], object]


def value(model: ModelProto, name: str) -> ValueInfoProto:
    return next(found for found in (*model.graph.input, *model.graph.output) if found.name == name)


def shaped(name: str, *shape: int | str) -> Change:
    def write(model: ModelProto) -> None:
        found = value(model, name)
        kind = found.type.tensor_type.elem_type
        found.CopyFrom(helper.make_tensor_value_info(name, kind, shape))

    return write


def without(name: str) -> Change:
    def write(model: ModelProto) -> None:
        for values in (model.graph.input, model.graph.output):
            for found in [found for found in values if found.name == name]:
                values.remove(found)

    return write


def renamed(name: str, other: str) -> Change:
    def write(model: ModelProto) -> None:
        value(model, name).name = other
        for node in model.graph.node:
            node.input[:] = [other if source == name else source for source in node.input]

    return write


def behind(name: str, kind: str, *more: str, **attributes: Any) -> Change:
    """Another operator behind what makes an output."""

    def write(model: ModelProto) -> None:
        maker = next(node for node in model.graph.node if name in node.output)
        maker.output[:] = [f"{name}.before" if made == name else made for made in maker.output]
        for node in model.graph.node:
            node.input[:] = [f"{name}.before" if source == name else source for source in node.input]
        model.graph.node.append(helper.make_node(kind, [f"{name}.before", *more], [name], **attributes))

    return write


def not_a_number(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(np.nan, np.float32), "nan"))
    behind("logits", "Mul", "nan")(model)


def shorter_logits(model: ModelProto) -> None:
    for name, number in (("begin", 0), ("end", 511), ("axis", 2)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([number]), name))
    behind("logits", "Slice", "begin", "end", "axis")(model)
    shaped("logits", "batch", "tokens", "all")(model)


def blind(model: ModelProto) -> None:
    """Layer 1 is told that nothing was before."""
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 4, 0, 8), np.float32), "nothing"))
    for node in model.graph.node:
        if node.op_type == "Concat":
            node.input[:] = ["nothing" if source == "past_key_values.1.key" else source for source in node.input]


def of_another_domain(model: ModelProto) -> None:
    model.graph.node[5].domain = "custom"


GRAPHS: dict[str, tuple[Change, str]] = {
    "a flat past": (shaped("past_key_values.1.key", "batch", "length", 32), "not alike in all layers"),
    "layers that differ": (shaped("past_key_values.1.value", "batch", 2, "length", 16), "not alike in all layers"),
    "heads before texts": (shaped("past_key_values.0.key", 4, "b", "length", 8), "not alike in all layers"),
    "a past of 64 bits": (
        lambda m: setattr(value(m, "past_key_values.0.key").type.tensor_type, "elem_type", TensorProto.DOUBLE),
        "does not run in onnxruntime",
    ),
    "no past of a layer": (renamed("past_key_values.1.key", "past_key_values.9.key"), "no past_key_values.1.key"),
    "no past at all": (
        lambda m: [without(f"past_key_values.{layer}.{part}")(m) for layer in range(3) for part in ("key", "value")],
        "from before: export it with past",
    ),
    "an input that is not known": (renamed("attention_mask", "segments"), "asks for 'segments', which is not known"),
    "no keys in return": (without("present.2.key"), "does not give present.2.key: export it with past"),
    "no logits": (without("logits"), "does not give logits"),
    "logits that are no numbers": (not_a_number, "no finite numbers"),
    "logits of fewer tokens": (shorter_logits, "of other shapes than config.json says"),
    "a past that is not looked at": (blind, "does not run where something was read before"),
    "keys in another order": (behind("present.0.key", "Transpose", perm=[0, 2, 1, 3]), "of other shapes"),
    "an operator of another domain": (of_another_domain, "uses the operator 'custom"),
}  # fmt: skip


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_cannot_be_run_as_it_is_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    change_graph, words = GRAPHS[kind]
    model = loaded("opt")
    change_graph(model)
    with pytest.raises(ModelError, match=words) as caught:
        imported(write_given("opt", tmp_path / "source", model), tmp_path / "models")
    assert_one_sentence(caught.value)
    assert not list((tmp_path / "models").glob("*"))


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "another vocabulary": ({"vocab_size": 500}, "says 500 tokens, and its graph gives logits of 512"),
    "no length of texts": ({"max_position_embeddings": None}, "says none of max_position_embeddings"),
    "no heads": ({"num_attention_heads": None}, "says none of num_attention_heads"),
    "heads that do not fit": ({"num_attention_heads": 6}, "do not fit together: heads must be a multiple of kv_heads"),
    "words for a number": ({"max_position_embeddings": "long"}, "no number above 0"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_that_says_too_little_or_something_else_is_refused(kind: str, tmp_path: Path) -> None:
    said, words = CONFIGS[kind]
    source = write_given("opt", tmp_path / "source")
    change(source, "config.json", **said)
    with pytest.raises(CanopyError, match=words) as caught:
        imported(source, tmp_path / "models")
    assert_one_sentence(caught.value)


def assert_one_sentence(error: CanopyError) -> None:
    assert str(error).endswith(".")
    assert "\n" not in str(error)


# --- a bundle of one


def with_loop(model: ModelProto) -> None:
    model.graph.node[3].op_type = "Loop"


def from_elsewhere(model: ModelProto) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.external_data)
    next(entry for entry in tensor.external_data if entry.key == "location").value = "tokenizer.json"


BUNDLES: dict[str, tuple[str, Change, str]] = {
    "an operator that is not known": ("model.onnx", with_loop, "uses the operator 'Loop'"),
    "weights from another file": ("model.onnx", from_elsewhere, "of its size|other than weights.bin|was cut off"),
    "another input": ("model.onnx", renamed("attention_mask", "segments"), "an input 'segments', which is not known"),
    "no last": ("model.onnx", without("last"), "has no output last"),
    "a cache of another size": (
        "model.onnx", shaped("past_key_values.0.key", 1, 4, "length", 16), "disagree about the shape",
    ),
    "a head for another vocabulary": ("head.onnx", shaped("logits", 1, "rows", 511), "disagree about the shape"),
    "a head that asks for more": ("head.onnx", renamed("residual", "other"), "has no input residual"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return imported(write_given("opt", folder / "source"), folder / "models").folder


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Bundle:
    """A copy to be changed."""
    return Bundle.open(Path(shutil.copytree(whole, tmp_path / "mine")))


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_bundle_whose_graph_was_changed_is_not_opened(kind: str, bundle: Bundle) -> None:
    name, change_graph, words = BUNDLES[kind]
    model = onnx.load_model(bundle.folder / name, load_external_data=False)
    change_graph(model)
    (bundle.folder / name).write_bytes(model.SerializeToString())
    sign_anew(bundle.folder, name)
    with pytest.raises(BundleError, match=words) as caught:
        Bundle.open(bundle.folder)
    assert "\n" not in str(caught.value)


def sign_anew(folder: Path, name: str) -> None:
    """The card lists the file as it is now."""
    said = json.loads((folder / CARD_FILE).read_text())
    found = file_sum(folder / name)
    said["files"] = [entry for entry in said["files"] if entry["name"] != name]
    said["files"].append({"name": found.name, "bytes": found.bytes, "sha256": found.sha256})
    (folder / CARD_FILE).write_text(json.dumps(said))


def test_a_card_that_says_something_else_of_its_graph_is_not_believed(bundle: Bundle) -> None:
    path = bundle.folder / CARD_FILE
    said = json.loads(path.read_text())
    for wrong in ({"queries": False}, {"residuals": False}, {"hidden": 23}, {"kv_heads": 2}, {"positions": "learned"}):
        path.write_text(json.dumps(said | {"architecture": said["architecture"] | wrong}))
        with pytest.raises(BundleError):
            Bundle.open(bundle.folder)
    path.write_text(json.dumps(said))
    assert Bundle.open(bundle.folder)

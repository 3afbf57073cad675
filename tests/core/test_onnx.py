"""An ONNX decoder gives what the checkpoint that it was exported from gives, and is the witness of it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.errors import BuildError
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.build import Origin, make, working_folder, write_graphs
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import BUILT_FORMS, WeightForm
from canopy_desktop.model.graph import MICROSOFT
from canopy_desktop.model.model_import import bundle_id, import_source
from canopy_desktop.model.onnx_folder import OnnxModel, find_decoder, open_onnx_model
from canopy_desktop.model.onnx_weights import Rounding
from canopy_desktop.model.onnx_witness import compare
from canopy_desktop.model.provider import ProviderChoice
from tests.core.checkpoints import change, write_checkpoint
from tests.core.command import Cli
from tests.core.engine import all_logits, prefill
from tests.core.exports import tiny_of, whole_graph, write_folder
from tests.reference import fixtures

EXACT = (
    "llama", "llama-factors", "qwen2", "qwen3", "gemma3", "qwen2-merged", "qwen2-fp16", "qwen2-built", "gpt2",
    "gpt2-opset14",
)  # fmt: skip
ROUNDED = {
    "qwen2-q4": Rounding.NONE, "qwen2-q8": Rounding.NONE, "qwen2-uint8": Rounding.COARSE,
    "qwen3-built-q4": Rounding.FINE, "gpt2-uint8": Rounding.COARSE,
}  # fmt: skip
STEP = {
    "qwen2-q4": 1 / 15,
    "qwen2-q8": 1 / 254,
    "qwen2-uint8": 1 / 255,
    "qwen3-built-q4": 1 / 8,
    "gpt2-uint8": 1 / 255,
}  # of what a block spans
LOGIT, ATTENTION = 1e-3, 1e-4
ORIGIN = Origin(id="mine", title="Mine", licence="none", source="here", source_sha256="0", recipe_sha256="0")


def silent(doing: str, part: float) -> None:
    pass


def imported(source: Path, form: WeightForm, name: str, folder: Path) -> Bundle:
    return Bundle.open(import_source(source, form, name, folder, silent).folder)


# --- the same model


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, WeightForm.FP32) for name in EXACT), ("qwen2", WeightForm.INT8), ("qwen3", WeightForm.INT8)],
)
def test_the_bundle_of_an_export_is_that_of_its_checkpoint_bit_for_bit(
    name: str, form: WeightForm, tmp_path: Path
) -> None:
    found = imported(write_folder(name, tmp_path / name), form, "mine", tmp_path / "models").card
    expected = imported(
        write_checkpoint(tiny_of(name), tmp_path / "checkpoint"), form, "other", tmp_path / "models"
    ).card
    assert found.files == expected.files  # graphs, weights and tokenizer
    assert found.architecture == expected.architecture
    assert found.end_ids == expected.end_ids


@pytest.mark.parametrize("name", ["llama-factors", "qwen2-built", "gpt2"])
def test_logits_and_attention_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    bundle = imported(write_folder(name, tmp_path / name), WeightForm.FP32, "mine", tmp_path / "models")
    session, reference = ModelSession.open(bundle, ProviderChoice.CPU), fixtures.tiny_model(tiny_of(name))
    prefill(session, reference.ids)
    assert np.abs(all_logits(session) - reference.logits).max() <= LOGIT
    reader = session.new_reader()
    for layer, heads in enumerate(reference.attention):
        for head, weights in enumerate(heads):
            reading = reader.attention(session.sequence.slots, layer, head, hide_first=False)
            assert reading is not None
            assert np.abs(np.nan_to_num(reading.values) - weights).max() <= ATTENTION


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_weights_are_those_of_the_model_but_for_a_step(name: str, tmp_path: Path) -> None:
    found = open_onnx_model(write_folder(name, tmp_path / name))
    exact = open_onnx_model(write_folder(tiny_of(name), tmp_path / "exact"))
    assert found.rounding is ROUNDED[name]
    for part in ("blk.1.attn_q.weight", "blk.2.ffn_down.weight"):
        values, expected = found.matrix(part), exact.matrix(part)
        span = expected.max() - expected.min()
        assert 0 < np.abs(values - expected).max() <= STEP[name] * span
    assert np.array_equal(found.matrix("blk.1.attn_norm.weight"), exact.matrix("blk.1.attn_norm.weight"))


@pytest.mark.parametrize("name", ROUNDED)
@pytest.mark.parametrize("form", BUILT_FORMS)
def test_the_original_of_rounded_weights_confirms_the_bundle(name: str, form: WeightForm, tmp_path: Path) -> None:
    assert imported(write_folder(name, tmp_path / name), form, "mine", tmp_path / "models").card.weights is form


def in_steps(values: FloatArray, bits: int) -> tuple[AnyArray, FloatArray]:
    """Steps from 0 on in blocks of 32 along rows, around the middle, and a scale for each block."""
    blocks, middle = values.reshape(len(values), -1, 32), 1 << (bits - 1)
    scales = np.abs(blocks).max(axis=-1) / (middle - 1)
    return (np.rint(blocks / scales[..., None]) + middle).astype(np.uint8).reshape(values.shape), scales


def with_rounded(model: ModelProto, used_by: str, kind: str) -> ModelProto:
    """The graph with one of its weights in another form."""
    place, node = next(found for found in enumerate(model.graph.node) if found[1].name == used_by)
    name = next(name for name in node.input if name.startswith(("onnx::", "model.embed")))
    values = numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))
    bits = 8 if "8" in kind else 4
    steps, scales = in_steps(values, bits)
    model.graph.initializer.append(numpy_helper.from_array(scales, "scales"))
    blocks = {"gather_axis": 0, "quantize_axis": 1, "block_size": 32, "domain": MICROSOFT}
    if kind == "bytes":
        packed = steps[:, 0::2] | steps[:, 1::2] << 4
        model.graph.initializer.append(numpy_helper.from_array(packed, "steps"))
        inputs = ["steps", "input_ids", "scales"]
        made = [helper.make_node("GatherBlockQuantized", inputs, node.output, node.name, bits=4, **blocks)]
    elif kind == "int4":
        around = (steps.astype(np.int8) - 8).astype(ml_dtypes.int4)
        model.graph.initializer.append(numpy_helper.from_array(around, "steps"))
        made = [
            helper.make_node("GatherBlockQuantized", ["steps", "input_ids", "scales"], node.output, node.name, **blocks)
        ]
    else:
        model.graph.initializer.append(numpy_helper.from_array(steps, "steps"))
        model.graph.initializer.append(numpy_helper.from_array(np.full(scales.shape, 128, np.uint8), "middles"))
        put_right = helper.make_node("DequantizeLinear", ["steps", "scales", "middles"], ["w"], axis=1, block_size=32)
        made = [put_right, helper.make_node(node.op_type, [node.input[0], "w"], node.output, node.name)]
    del model.graph.node[place]
    for node in reversed(made):
        model.graph.node.insert(place, node)
    model.opset_import[0].version = 21
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    model.ir_version = 10
    return model


EMBEDDING, GATE = "/model/embed_tokens/Gather", "/model/layers.1/mlp/gate_proj/MatMul"


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    ("used_by", "kind", "part"),
    [
        (EMBEDDING, "bytes", "token_embd.weight"),
        (EMBEDDING, "int4", "token_embd.weight"),
        (GATE, "8 bits, put right before", "blk.1.ffn_gate.weight"),
    ],
)
def test_blocks_in_other_operators_are_read_as_onnxruntime_reads_them(
    used_by: str, kind: str, part: str, beside: bool, tmp_path: Path
) -> None:
    folder = write_folder("qwen2", tmp_path / "x")
    exact = open_onnx_model(folder).matrix(part)
    model = with_rounded(whole_graph("qwen2"), used_by, kind)
    onnx.save_model(model, folder / "model.onnx", save_as_external_data=beside, location="weights", size_threshold=64)
    found = open_onnx_model(folder)
    assert found.rounding is Rounding.NONE  # so the original confirms every logit within 0.001
    assert imported(folder, WeightForm.FP32, "mine", tmp_path / "models")
    assert 0 < np.abs(found.matrix(part) - exact).max() <= np.abs(exact).max() / (127 if "8" in kind else 7)


def test_an_output_matrix_that_was_rounded_apart_from_the_embedding_stays_apart(tmp_path: Path) -> None:
    model = open_onnx_model(write_folder("qwen3-built-q4", tmp_path / "x"))
    assert not model.architecture.tied
    assert not np.array_equal(model.matrix("output.weight"), model.matrix("token_embd.weight"))
    assert open_onnx_model(write_folder("qwen3", tmp_path / "y")).architecture.tied


@pytest.mark.parametrize("name", ["qwen2", "qwen3-built-q4"])
def test_weights_in_a_file_beside_the_graph_are_the_same(name: str, tmp_path: Path) -> None:
    beside = open_onnx_model(write_folder(name, tmp_path / "beside", beside=True))
    within = open_onnx_model(write_folder(name, tmp_path / "within"))
    assert beside.file.data_files == (tmp_path / "beside" / "model.onnx.data",)
    for part in beside.weights:
        assert np.array_equal(beside.weights[part].values(), within.weights[part].values())
    assert imported(tmp_path / "beside", WeightForm.FP32, "mine", tmp_path / "models")


# --- the witness


def wrong(model: OnnxModel, **changes: Any) -> OnnxModel:
    return replace(model, architecture=replace(model.architecture, **changes))


def swapped(model: OnnxModel, first: str, second: str) -> OnnxModel:
    def other(name: str) -> str:
        return name.replace(first, second) if first in name else name.replace(second, first)

    return replace(model, weights={name: model.weights[other(name)] for name in model.weights})


MISTAKES: dict[str, Callable[[OnnxModel], OnnxModel]] = {
    "another rotation": lambda model: wrong(model, rope_base=10_000.0),
    "a scaled rotation": lambda model: wrong(model, rope_divisors=(2.0,) * 16),
    "another scale of attention": lambda model: wrong(model, attention_scale=0.5),
    "gate and up": lambda model: swapped(model, "gate_proj", "up_proj"),
    "the norms of a block": lambda model: swapped(model, "input_layernorm", "post_attention_layernorm"),
    "the norms of heads": lambda model: swapped(model, "q_norm", "k_norm"),
    "the order of blocks": lambda model: swapped(model, "layers.0.", "layers.1."),
    "no norms of heads": lambda model: wrong(model, qk_norms=False),
}


COARSE_MISTAKES = ("another rotation", "another scale of attention", "gate and up", "the norms of heads")


@pytest.mark.parametrize(
    ("mistake", "name", "form"),
    [
        *((mistake, "qwen3", WeightForm.FP32) for mistake in MISTAKES),
        *((mistake, "qwen3-built-q4", WeightForm.INT8) for mistake in COARSE_MISTAKES),
    ],
)
def test_a_bundle_that_computes_something_else_is_refused_and_leaves_nothing(
    mistake: str, name: str, form: WeightForm, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    model = MISTAKES[mistake](open_onnx_model(write_folder(name, tmp_path / name)))
    write = partial(write_graphs, model, form)
    with pytest.raises(BuildError, match=r"away from its original's.*\. Its graph"), working_folder(models) as work:
        make(ORIGIN, form, model, models, silent, work, partial(compare, model), write)
    assert list(models.iterdir()) == []


def test_an_export_that_computes_otherwise_than_its_config_says_is_refused(tmp_path: Path) -> None:
    folder = write_folder("qwen2", tmp_path / "other")
    change(folder, "config.json", rope_theta=20_000.0)
    with pytest.raises(BuildError, match=r"its logits are .* away"):
        imported(folder, WeightForm.FP32, "mine", tmp_path / "models")


# --- as a person meets it


def test_a_folder_is_imported_known_again_and_told_apart_from_a_chosen_graph(
    command: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    folder = write_folder("qwen3", tmp_path / "Tiny-Qwen3.1", "onnx/model.onnx")
    write_folder("qwen3-built-q4", folder, "onnx/model_q4.onnx", beside=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    first = run(command, "models", "import", folder)
    assert first == {"id": "tiny-qwen3.1", "folder": str(tmp_path / "models" / "tiny-qwen3.1"), "imported": True}
    assert run(command, "models", "import", shutil.copytree(folder, tmp_path / "copy")) == {**first, "imported": False}
    chosen = run(command, "models", "import", folder / "onnx" / "model_q4.onnx")
    assert (chosen["id"], chosen["imported"]) == ("tiny-qwen3.1-model_q4", True)
    assert len(run(command, "trace", "a word", "--max-tokens", 3, "--model", chosen["id"])["steps"]) == 3
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(command: Cli, *arguments: object) -> Any:
    """What a command prints; progress goes to standard error."""
    status, out, err = command.run(*map(str, arguments), "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("graphs", "expected"),
    [
        (["onnx/model_q4.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx"], "onnx/model_fp16.onnx"),
        (["onnx/model_q4.onnx", "onnx/decoder_model_merged.onnx"], "onnx/decoder_model_merged.onnx"),
        (["decoder_with_past_model.onnx", "decoder_model_merged.onnx"], "decoder_model_merged.onnx"),
        (["of-mine.onnx"], "of-mine.onnx"),
    ],
)
def test_of_several_graphs_the_most_exact_is_taken(graphs: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    for graph in graphs:
        (tmp_path / graph).touch()
    assert find_decoder(tmp_path) == (tmp_path, expected)


def test_a_folder_with_a_checkpoint_beside_its_graphs_is_taken_as_the_checkpoint(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3", tmp_path / "both")
    (folder / "model.onnx").write_bytes(b"not read")
    assert imported(folder, WeightForm.FP32, "mine", tmp_path / "models")


def test_a_snapshot_of_the_hubs_cache_is_called_as_on_the_hub(tmp_path: Path) -> None:
    home = tmp_path / "models--some--Qwen3-Tiny"
    snapshot = home / "snapshots" / "0123abcd"
    write_folder("qwen3", snapshot, "onnx/model_q4.onnx", beside=True)
    (home / "blobs").mkdir()
    for number, path in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        path.rename(home / "blobs" / str(number))
        path.symlink_to(home / "blobs" / str(number))
    assert bundle_id(snapshot, WeightForm.INT8) == "qwen3-tiny"
    assert bundle_id(snapshot / "onnx" / "model_q4.onnx", WeightForm.INT8) == "qwen3-tiny-model_q4"
    assert imported(snapshot, WeightForm.FP32, "mine", tmp_path / "models").card.title == "some/Qwen3-Tiny"

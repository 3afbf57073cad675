"""Tiny ONNX decoders of kinds that are not in the table, and bundles that run their graphs as they are."""

import gzip
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.model_import import import_source
from tests.core.checkpoints import FOLDER as CHECKPOINTS
from tests.core.checkpoints import change
from tests.core.exports import write_folder
from tests.reference import fixtures

TOKENIZER_OF = "llama-linear"  # a model whose texts are cut as GPT-NeoX's and OPT's
ELSE = "SomethingElseForCausalLM"


@cache
def graph_of(name: str) -> bytes:
    """A graph as optimum wrote it, with its weights."""
    return gzip.decompress(fixtures.given_model(name).graph.read_bytes())


def write_given(name: str, folder: Path, model: ModelProto | None = None) -> Path:
    """Write one of the given models to a folder, or another graph in its place."""
    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(CHECKPOINTS / TOKENIZER_OF / file, folder / file)
    shutil.copyfile(fixtures.given_model(name).config, folder / "config.json")
    (folder / "model.onnx").write_bytes(graph_of(name) if model is None else model.SerializeToString())
    return folder


def write_unknown(name: str, folder: Path) -> Path:
    """Write one of the exports as if its class were not known, so that it is run as it is."""
    write_folder(name, folder)
    change(folder, "config.json", architectures=[ELSE])
    return folder


def imported(source: Path, models: Path, name: str = "mine") -> Bundle:
    """The bundle that an import makes."""
    found = import_source(source, WeightForm.INT8, name, models, lambda doing, part: None)
    return Bundle.open(found.folder)


def loaded(name: str) -> ModelProto:
    """A graph to be changed."""
    return onnx.load_model_from_string(graph_of(name))


def closed(name: str) -> ModelProto:
    """A graph of which nothing can be taken: a head looks by a scale of its own, and logits are made of two values."""
    model = loaded(name)
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    heads = next(value for value in model.graph.input if value.name.endswith("key")).type.tensor_type.shape.dim[1]
    scales = np.arange(1, heads.dim_value + 1, dtype=np.float32)[:, None, None]
    model.graph.initializer.append(numpy_helper.from_array(scales, "scales"))
    model.graph.node.append(helper.make_node("Mul", [softmax.input[0], "scales"], ["scaled"]))
    softmax.input[0] = "scaled"
    maker = next(node for node in model.graph.node if "logits" in node.output)
    maker.output[:] = ["first"]
    model.graph.initializer.append(numpy_helper.from_array(np.array([2]), "last.axis"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.01, np.float32), "share"))
    model.graph.node.extend([
        helper.make_node("Unsqueeze", ["input_ids", "last.axis"], ["column"]),
        helper.make_node("Cast", ["column"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "share"], ["small"]),
        helper.make_node("Add", ["first", "small"], ["logits"]),
    ])  # fmt: skip
    return model

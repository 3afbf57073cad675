"""The tiny ONNX models that optimum and onnxruntime-genai wrote, with the numbers of their GGUFs put in again."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper

from tests.core.checkpoints import FOLDER as CHECKPOINTS
from tests.core.checkpoints import published_tensors
from tests.reference import fixtures

FOLDER = fixtures.DATA / "exports"
TINY_MODELS = ("llama-factors", "llama", "qwen2", "qwen3", "gemma3", "gpt2")


def tiny_of(name: str) -> str:
    """The tiny model whose export this is, in one of its forms."""
    return next(tiny for tiny in TINY_MODELS if name.startswith(tiny))


def whole_graph(name: str) -> ModelProto:
    """A graph with all its weights; it has the sum of the one that the program wrote."""
    model = onnx.load_model_from_string(gzip.decompress((FOLDER / f"{name}.onnx.gz").read_bytes()))
    said = json.loads((FOLDER / f"{name}.json").read_text())
    tensors = published_tensors(tiny_of(name))
    for tensor in model.graph.initializer:
        if (taken := said["taken"].get(tensor.name)) is not None:
            kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            values = np.concatenate([tensors[part] for part in taken["parts"]]).astype(kind)
            tensor.raw_data = (values.T if taken["transposed"] else values).tobytes()
    assert hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest() == said["sha256"]
    return model


def write_folder(name: str, folder: Path, graph: str = "model.onnx", *, beside: bool = False) -> Path:
    """Write a tiny export to `folder`, its graph under another name, or with its weights in a file beside it."""
    if not folder.exists():
        left_out = shutil.ignore_patterns("*weights.json", "*.safetensors*")
        shutil.copytree(CHECKPOINTS / tiny_of(name), folder, ignore=left_out)
    path = folder / graph
    path.parent.mkdir(exist_ok=True)
    onnx.save_model(
        whole_graph(name), path, save_as_external_data=beside, location=f"{path.name}.data", size_threshold=256
    )
    return folder

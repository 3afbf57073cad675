"""Write tiny models as ONNX: optimum's export, in forms that transformers.js has, and what onnxruntime-genai builds.

Of each graph stays what is not in the model's GGUF: floats that are there are taken out, and a test puts them back in,
until the graph has the sum that it had.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from make_checkpoints import CHECKPOINTS, build
from make_checkpoints import FOLDER as CHECKPOINT_FOLDER
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime_genai.models.builder import create_model
from optimum.exporters.onnx import main_export
from optimum.onnx import merge_decoders
from source import DATA

FOLDER = DATA / "exports"
EXPORTED = ("llama", "llama-factors", "qwen2", "qwen3", "gemma3", "gpt2")
Arrays = dict[str, np.ndarray]


def write_checkpoint(name: str, folder: Path) -> Arrays:
    """A tiny checkpoint in 32 bits, with the tokenizer that it has among the fixtures; returns its weights."""
    model = build(name, CHECKPOINTS[name]).float()
    model.save_pretrained(folder)
    for path in (CHECKPOINT_FOLDER / name).glob("*token*.json"):
        shutil.copyfile(path, folder / path.name)
    return {key: value.numpy() for key, value in model.state_dict().items()}


def quantised(graph: Path, work: Path) -> dict[str, onnx.ModelProto]:
    """The same graph in the forms that transformers.js has, with onnxruntime's own tools."""
    quantize_dynamic(graph, work / "uint8.onnx", weight_type=QuantType.QUInt8, per_channel=True)
    found = {"uint8": onnx.load(work / "uint8.onnx")}
    for form, bits, symmetric in (("q4", 4, False), ("q8", 8, True)):
        how = DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=symmetric, bits=bits)
        quantizer = MatMulNBitsQuantizer(onnx.load(graph), algo_config=how)
        quantizer.process()
        found[form] = quantizer.model.model
    half = convert_float_to_float16(onnx.load(graph), keep_io_types=True, disable_shape_infer=True)
    return found | {"fp16": half}


def built(checkpoint: Path, precision: str, work: Path) -> onnx.ModelProto:
    """What onnxruntime-genai's builder makes of a checkpoint."""
    folder = work / f"built-{precision}"
    create_model(None, str(checkpoint), str(folder), precision, "cpu", str(work / "cache"))
    return onnx.load(folder / "model.onnx")


def keep(name: str, model: onnx.ModelProto, weights: Arrays) -> None:
    """Write a graph without the numbers of its GGUF, and say which they are."""
    whole = model.SerializeToString(deterministic=True)
    taken: dict[str, Any] = {}
    for tensor in model.graph.initializer:
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16) and len(tensor.dims):
            parts = same(numpy_helper.to_array(tensor), weights)
            if parts is not None and tensor.HasField("raw_data"):
                taken[tensor.name] = parts
                tensor.raw_data = b""
    said = {"sha256": hashlib.sha256(whole).hexdigest(), "taken": taken}
    (FOLDER / f"{name}.json").write_text(json.dumps(said, indent=1) + "\n", encoding="ascii")
    with (FOLDER / f"{name}.onnx.gz").open("wb") as file:
        file.write(gzip.compress(model.SerializeToString(deterministic=True), mtime=0))


def same(values: np.ndarray, weights: Arrays) -> dict[str, Any] | None:
    """The weights that an array is made of, one above another, and whether it is their transpose."""
    fused = [[name.replace("q_proj", f"{part}_proj") for part in "qkv"] for name in weights if "q_proj" in name]
    for parts in [*([name] for name in weights), *fused]:
        whole = np.concatenate([weights[part] for part in parts]).astype(values.dtype)
        for transposed in (False, True):
            if np.array_equal(whole.T if transposed else whole, values):
                return {"parts": parts, "transposed": transposed}
    return None


def main() -> None:
    """Make exports/."""
    torch.set_grad_enabled(False)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with TemporaryDirectory() as name:
        work = Path(name)
        weights = {tiny: write_checkpoint(tiny, work / tiny) for tiny in EXPORTED}
        graphs = {tiny: work / f"onnx-{tiny}" / "model.onnx" for tiny in EXPORTED}
        for tiny, graph in graphs.items():
            main_export(str(work / tiny), graph.parent, task="text-generation-with-past", do_validation=False)
            keep(tiny, onnx.load(graph), weights[tiny])
        for form, model in quantised(graphs["qwen2"], work).items():
            keep(f"qwen2-{form}", model, weights["qwen2"])
        keep("gpt2-uint8", quantised(graphs["gpt2"], work)["uint8"], weights["gpt2"])
        # whose norms are still many nodes
        older = work / "older"
        main_export(str(work / "gpt2"), older, task="text-generation-with-past", do_validation=False, opset=14)
        keep("gpt2-opset14", onnx.load(older / "model.onnx"), weights["gpt2"])
        # optimum has no graph without a past any more, so both branches are of the one that it has
        merged = merge_decoders(graphs["qwen2"], graphs["qwen2"], save_path=work / "merged.onnx")
        keep("qwen2-merged", merged, weights["qwen2"])
        keep("qwen2-built", built(work / "qwen2", "fp32", work), weights["qwen2"])
        keep("qwen3-built-q4", built(work / "qwen3", "int4", work), weights["qwen3"])


if __name__ == "__main__":
    main()

"""The tiny checkpoints that transformers wrote, put together again from their headers and the numbers of the GGUFs."""

import hashlib
import json
import shutil
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize
from numpy.typing import NDArray

from canopy_desktop.arrays import FloatArray
from tests.reference import fixtures

FOLDER = fixtures.DATA / "checkpoints"
GGUF_OF = {
    "llama": "llama", "llama-factors": "llama-factors", "llama-linear": "llama-linear", "mistral": "llama",
    "qwen2": "qwen2", "qwen3": "qwen3", "qwen3-untied": "qwen3-untied", "llama-pieces": "llama-pieces",
    "gemma3": "gemma3", "gemma3-linear": "gemma3-linear", "gemma3-wide": "gemma3-wide",
    "gpt2": "gpt2", "gpt2-untied": "gpt2-untied",
}  # fmt: skip
LAYERS = 62  # at most
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
TYPES: dict[str, Any] = {"F32": np.float32, "F16": np.float16}


def write_checkpoint(name: str, folder: Path) -> Path:
    """Write a tiny checkpoint to `folder`; its weights have the sums of those that transformers wrote."""
    source = FOLDER / name
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != "weights.json":
            shutil.copyfile(path, folder / path.name)
    tensors = published_tensors(GGUF_OF[name])
    for file, said in json.loads((source / "weights.json").read_text()).items():
        data = safetensors(said["header"], tensors)
        assert hashlib.sha256(data).hexdigest() == said["sha256"]
        (folder / file).write_bytes(data)
    return folder


def safetensors(header: str, tensors: dict[str, FloatArray]) -> bytes:
    """A file with this header, and the numbers of the tensors that it names."""
    entries = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
    ordered = sorted(entries, key=lambda name: entries[name]["data_offsets"])
    numbers = b"".join(tensors[name].astype(TYPES[entries[name]["dtype"]]).tobytes() for name in ordered)
    return struct.pack("<Q", len(header.encode())) + header.encode() + numbers


@cache
def published_tensors(tiny: str) -> dict[str, FloatArray]:
    """The numbers of a tiny GGUF by the names that checkpoints use, as the gguf package has them."""
    reader = gguf.GGUFReader(fixtures.tiny_model(tiny).gguf)
    field = reader.get_field("general.architecture")
    assert field is not None
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == field.contents())
    stored = {tensor.name: tensor for tensor in reader.tensors}
    found: dict[str, FloatArray] = {}
    names = gguf.get_tensor_name_map(arch, LAYERS)
    for name in gpt2_names() if arch is gguf.MODEL_ARCH.GPT2 else published_names():
        told = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if told not in stored:
            continue
        values = np.asarray(dequantize(stored[told].data, stored[told].tensor_type), np.float32)
        if name.endswith(CONV1D):  # which has (inputs, outputs)
            values = values.T
        if arch is gguf.MODEL_ARCH.LLAMA and name.endswith(("q_proj.weight", "k_proj.weight")):
            size = reader.get_field(f"{field.contents()}.attention.key_length").contents()
            values = values.reshape(-1, size // 2, 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        if arch is gguf.MODEL_ARCH.GEMMA3 and name.endswith("norm.weight"):
            values = values - 1
        found[name] = values
    return found


def published_names() -> list[str]:
    """The tensors that checkpoints of any tiny model may have."""
    parts: tuple[str, ...] = ("input_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    parts += ("post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    parts += tuple(f"self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"))
    names = [f"model.layers.{layer}.{part}" for layer in range(LAYERS) for part in parts]
    names += ["model.embed_tokens", "model.norm", "lm_head"]
    return _with_kinds(names)


def gpt2_names() -> list[str]:
    """The same, of GPT-2."""
    parts = ("ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    names = [f"transformer.h.{layer}.{part}" for layer in range(LAYERS) for part in parts]
    return _with_kinds([*names, "transformer.wte", "transformer.wpe", "transformer.ln_f", "lm_head"])


def _with_kinds(names: list[str]) -> list[str]:
    return [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]


def change(folder: Path, file: str, **changes: Any) -> None:
    """Write other values into a JSON file of a checkpoint; None leaves one out."""
    path = folder / file
    values = (json.loads(path.read_text("utf-8")) if path.exists() else {}) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}), "utf-8")


def write_safetensors(
    folder: Path, changes: Mapping[str, tuple[str, NDArray[Any]] | None], *, tiny: str = "qwen3", base: str = ""
) -> None:
    """Write a tiny model's weights, without `base` in their names, and other tensors, each with its type.

    None leaves one out.
    """
    found = {name.removeprefix(base): ("F32", values) for name, values in published_tensors(tiny).items()}
    tensors = found | changes
    header, numbers = {}, b""
    for name, (kind, values) in ((name, tensor) for name, tensor in tensors.items() if tensor is not None):
        end = len(numbers) + values.nbytes
        header[name] = {"dtype": kind, "shape": values.shape, "data_offsets": [len(numbers), end]}
        numbers += values.tobytes()
    said = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(said)) + said + numbers)

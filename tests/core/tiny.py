"""A llama of two layers, small enough to build in a test, and an own witness of what it computes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFValueType, GGUFWriter

from canopy_desktop.arrays import FloatArray
from canopy_desktop.model.build import convert
from canopy_desktop.model.byte_alphabet import byte_alphabet
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.recipe import Recipe, Reference, Wheel

LAYERS, HEADS, KV_HEADS, HIDDEN, FEED_FORWARD, CONTEXT = 2, 4, 2, 64, 96, 48
HEAD_SIZE = HIDDEN // HEADS
ROPE_BASE, EPSILON = 10_000.0, 1e-5
END, START = "<|im_end|>", "<|im_start|>"
MERGES = ("Ġ t", "h e", "Ġt he", "Ġ c")
TOKENS = (END, START, *sorted(byte_alphabet()), *(merge.replace(" ", "") for merge in MERGES))
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PROMPT_IDS = (40, 41, 42, 43, 44, 45, 46)

Tensors = dict[str, FloatArray]


def weights(seed: int = 1) -> Tensors:
    """Random matrices under their GGUF names, (outputs, inputs)."""
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> FloatArray:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    found = {"token_embd.weight": 3 * matrix(len(TOKENS), HIDDEN), "output_norm.weight": 1 + matrix(HIDDEN)}
    for layer in range(LAYERS):
        name, kv = f"blk.{layer}", KV_HEADS * HEAD_SIZE
        found |= {
            f"{name}.attn_norm.weight": 1 + matrix(HIDDEN),
            f"{name}.attn_q.weight": matrix(HIDDEN, HIDDEN),
            f"{name}.attn_k.weight": matrix(kv, HIDDEN),
            f"{name}.attn_v.weight": matrix(kv, HIDDEN),
            f"{name}.attn_output.weight": matrix(HIDDEN, HIDDEN),
            f"{name}.ffn_norm.weight": 1 + matrix(HIDDEN),
            f"{name}.ffn_gate.weight": matrix(FEED_FORWARD, HIDDEN),
            f"{name}.ffn_up.weight": matrix(FEED_FORWARD, HIDDEN),
            f"{name}.ffn_down.weight": matrix(HIDDEN, FEED_FORWARD),
        }
    return found


def metadata(**changes: Any) -> dict[str, Any]:
    """What the GGUF says about itself. A changed key has `__` for its dots; None leaves it out."""
    said: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.block_count": LAYERS,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
        "llama.rope.freq_base": ROPE_BASE,
        "llama.rope.dimension_count": HEAD_SIZE,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": list(TOKENS),
        "tokenizer.ggml.token_type": [3, 3] + [1] * (len(TOKENS) - 2),
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": TEMPLATE,
    }
    said |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in said.items() if value is not None}


def write_gguf(path: Path, tensors: Mapping[str, FloatArray], said: Mapping[str, Any]) -> Path:
    """Write a GGUF with the `gguf` package."""
    writer = GGUFWriter(path, arch="")
    writer.kv_data[0].clear()  # the architecture is said in `said`, or is not
    for key, value in said.items():
        add_value(writer, key, value)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_value(writer: GGUFWriter, key: str, value: Any) -> None:
    """Add metadata as the type that its value has."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_key_value(key, value, GGUFValueType.INT64 if not 0 <= value < 2**32 else GGUFValueType.UINT32)
        case float():
            writer.add_float64(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def recipe(logits: FloatArray, **changes: Any) -> Recipe:
    """A recipe whose reference is the last row of `logits` after `PROMPT_IDS`."""
    ids = tuple(int(i) for i in np.argsort(-logits[-1])[:8])
    values: dict[str, Any] = {
        "id": "tiny",
        "title": "Tiny",
        "licence": "Apache-2.0",
        "terms": None,
        "wheels": (Wheel("tiny-model", "1.0", "0" * 64, "tiny/tiny.gguf"),),
        "member_sha256": hashlib.sha256(b"").hexdigest(),
        "member_bytes": 0,
        "form": WeightForm.INT8,
        "reference": Reference(PROMPT_IDS, ids, tuple(float(logits[-1, i]) for i in ids), 1e-3, 0.5),
        "sha256": "1" * 64,
    }
    return Recipe(**(values | changes))


def build(folder: Path, form: WeightForm = WeightForm.INT8, *, seed: int = 1, **said: Any) -> Path:
    """Build the bundle in `folder` from a GGUF written there; returns the bundle's folder."""
    work = folder / f"work-{seed}-{form.value}"
    work.mkdir(parents=True)
    tensors = weights(seed)
    source = write_gguf(work / "tiny.gguf", tensors, metadata(**said))
    return convert(recipe(forward(tensors, PROMPT_IDS)), form, source, folder, lambda doing, part: None, work)


def forward(tensors: Mapping[str, FloatArray], ids: Sequence[int]) -> FloatArray:
    """Logits after every position, (positions, vocabulary), in double precision and without a cache.

    Written from the papers (Touvron et al. 2023; Su et al. 2021) on the file's own layout, in which rotated pairs are
    neighbours; it shares no code with the program.
    """
    w = {name: values.astype(np.float64) for name, values in tensors.items()}
    stream = w["token_embd.weight"][list(ids)]
    for layer in range(LAYERS):
        name = f"blk.{layer}"
        normed = _norm(stream, w[f"{name}.attn_norm.weight"])
        query = _rotated((normed @ w[f"{name}.attn_q.weight"].T).reshape(len(ids), HEADS, HEAD_SIZE))
        key = _rotated((normed @ w[f"{name}.attn_k.weight"].T).reshape(len(ids), KV_HEADS, HEAD_SIZE))
        value = (normed @ w[f"{name}.attn_v.weight"].T).reshape(len(ids), KV_HEADS, HEAD_SIZE)
        attended = np.empty_like(query)
        for head in range(HEADS):
            shared = head * KV_HEADS // HEADS
            for position in range(len(ids)):
                scores = key[: position + 1, shared] @ query[position, head] / HEAD_SIZE**0.5
                looks = np.exp(scores - scores.max())
                attended[position, head] = looks / looks.sum() @ value[: position + 1, shared]
        stream = stream + attended.reshape(len(ids), HIDDEN) @ w[f"{name}.attn_output.weight"].T
        normed = _norm(stream, w[f"{name}.ffn_norm.weight"])
        gate = normed @ w[f"{name}.ffn_gate.weight"].T
        inner = gate / (1 + np.exp(-gate)) * (normed @ w[f"{name}.ffn_up.weight"].T)
        stream = stream + inner @ w[f"{name}.ffn_down.weight"].T
    found: FloatArray = _norm(stream, w["output_norm.weight"]) @ w["token_embd.weight"].T
    return found


def _norm(vectors: Any, gain: Any) -> Any:
    return vectors / np.sqrt((vectors**2).mean(axis=-1, keepdims=True) + EPSILON) * gain


def _rotated(vectors: Any) -> Any:
    """Each pair of neighbours (2i, 2i + 1) turned by position · base^(-2i / size): (positions, heads, size)."""
    as_complex = vectors[..., 0::2] + 1j * vectors[..., 1::2]
    positions = np.arange(len(vectors))[:, None]
    turned = as_complex * np.exp(1j * positions * ROPE_BASE ** (-np.arange(0, HEAD_SIZE, 2) / HEAD_SIZE))[:, None]
    return np.stack([turned.real, turned.imag], axis=-1).reshape(vectors.shape)

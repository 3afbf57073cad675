"""A model none of whose numbers are those of the default one: 3 layers, 5 heads, 97 tokens."""

from pathlib import Path

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.model_import import import_source
from tests.core.tiny import END, START, metadata, write_gguf

LAYERS, HEADS, KV_HEADS, HEAD_SIZE, HIDDEN, FEED_FORWARD, CONTEXT = 3, 5, 1, 32, 96, 64, 250
TOKENS = (END, START, "Ġ", "th", *map(chr, range(0x21, 0x7E)))  # no newline, no tilde, and no other byte


def build(folder: Path) -> Path:
    """Import it as 8 bits; returns the bundle's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    said = metadata(
        llama__block_count=LAYERS, llama__context_length=CONTEXT, llama__embedding_length=HIDDEN,
        llama__feed_forward_length=FEED_FORWARD, llama__attention__head_count=HEADS,
        llama__attention__head_count_kv=KV_HEADS, llama__attention__key_length=HEAD_SIZE,
        llama__attention__value_length=HEAD_SIZE, llama__rope__dimension_count=HEAD_SIZE,
        tokenizer__ggml__tokens=list(TOKENS), tokenizer__ggml__token_type=[3, 3] + [1] * (len(TOKENS) - 2),
        tokenizer__ggml__merges=["t h"], tokenizer__chat_template=None, general__name="Odd",
    )  # fmt: skip
    source = write_gguf(folder / "odd.gguf", _weights(), said)
    return import_source(source, WeightForm.INT8, "odd", folder, lambda doing, part: None).folder


def _weights() -> dict[str, FloatArray]:
    random = np.random.default_rng(5)

    def matrix(*shape: int) -> FloatArray:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    found = {"token_embd.weight": 3 * matrix(len(TOKENS), HIDDEN), "output_norm.weight": 1 + matrix(HIDDEN)}
    for layer in range(LAYERS):
        name = f"blk.{layer}"
        found |= {
            f"{name}.attn_norm.weight": 1 + matrix(HIDDEN),
            f"{name}.attn_q.weight": matrix(HEADS * HEAD_SIZE, HIDDEN),
            f"{name}.attn_k.weight": matrix(KV_HEADS * HEAD_SIZE, HIDDEN),
            f"{name}.attn_v.weight": matrix(KV_HEADS * HEAD_SIZE, HIDDEN),
            f"{name}.attn_output.weight": matrix(HIDDEN, HEADS * HEAD_SIZE),
            f"{name}.ffn_norm.weight": 1 + matrix(HIDDEN),
            f"{name}.ffn_gate.weight": matrix(FEED_FORWARD, HIDDEN),
            f"{name}.ffn_up.weight": matrix(FEED_FORWARD, HIDDEN),
            f"{name}.ffn_down.weight": matrix(HIDDEN, FEED_FORWARD),
        }
    return found

"""The kinds of model that can be built, as data: how a file of each is written, and what its blocks have.

Names of tensors and keys are llama.cpp's (src/llama-arch.cpp); they are the same for all families but for what a family
has beside a plain llama: RMS norms before attention and feed-forward, SiLU-gated feed-forward, grouped heads, rotation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import Activation, Architecture
from canopy_desktop.model.graph import EMBEDDING, OUTPUT_MATRIX, OUTPUT_NORM

ROPE_FACTORS = "rope_freqs.weight"
HEAD_UNIT = 16  # what onnxruntime's attention rotates
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One value of `general.architecture`, which is also the prefix of its keys."""

    name: str
    models: str  # well-known ones, for people
    paired: bool = False  # a head's query and key rows lie in rotated pairs, not in halves
    rope_factors: bool = False  # may have a tensor of what each frequency is divided by
    qkv_biases: bool = False
    qk_norms: bool = False
    post_norms: bool = False
    scaled_embedding: bool = False
    activation: Activation = Activation.SILU
    window_period: int = 0  # every so manyth layer is global, where the file does not say it; 0: none slides
    raised_norms: bool = False  # the gains of a checkpoint's norms lack the 1 that is added to them
    published: Mapping[str, str] = field(default_factory=dict)  # what a checkpoint calls parts otherwise than others
    wide_scale_layers: int = 0  # a model of so many layers scales q·k by the width per head, √(heads / hidden)


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="llama", models="Llama 1 to 3, SmolLM, TinyLlama, Mistral, Falcon 3", paired=True, rope_factors=True
        ),
        Family(name="qwen2", models="Qwen 2, Qwen 2.5", qkv_biases=True),
        Family(name="qwen3", models="Qwen 3", qk_norms=True),
        Family(
            name="gemma3",
            models="Gemma 3",
            qk_norms=True,
            post_norms=True,
            scaled_embedding=True,
            activation=Activation.GELU,
            window_period=6,
            raised_norms=True,
            published={
                "ffn_norm": "pre_feedforward_layernorm",
                "post_attention_norm": "post_attention_layernorm",
                "post_ffw_norm": "post_feedforward_layernorm",
            },
            wide_scale_layers=62,
        ),
    )
}

# What a checkpoint calls the tensors, and the parts of a block.
_PUBLISHED = {EMBEDDING: "model.embed_tokens.weight", OUTPUT_NORM: "model.norm.weight", OUTPUT_MATRIX: "lm_head.weight"}
_PUBLISHED_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def published_name(family: Family, name: str) -> str:
    """What a checkpoint of a family calls the tensor that a GGUF calls `name`."""
    if name in _PUBLISHED:
        return _PUBLISHED[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{family.published.get(part) or _PUBLISHED_PARTS[part]}.{kind}"


def check_shapes(found: Mapping[str, Shape], expected: Mapping[str, Shape], read: Collection[str], path: Path) -> None:
    """Raise `SourceError` unless exactly the expected tensors are there.

    `read`: tensors that are no part of the graph, and were taken account of otherwise.
    """
    for name in sorted(found.keys() - expected.keys() - set(read)):
        raise SourceError(path, f"its tensor {name[:100]!r} is not known")
    for name, shape in expected.items():
        if found.get(name) != shape:
            raise SourceError(path, f"the tensor {name} should be {shape} and is {found.get(name, 'missing')}")


def expected_shapes(a: Architecture) -> dict[str, Shape]:
    """The shape that each tensor must have, (rows, columns) = (outputs, inputs)."""
    shapes: dict[str, Shape] = {EMBEDDING: (a.vocabulary, a.hidden), OUTPUT_NORM: (a.hidden,)}
    if not a.tied:
        shapes[OUTPUT_MATRIX] = (a.vocabulary, a.hidden)
    for layer in range(a.layers):
        shapes |= {f"blk.{layer}.{part}": shape for part, shape in _block_shapes(a).items()}
    return shapes


def _block_shapes(a: Architecture) -> dict[str, Shape]:
    query, key = a.heads * a.head_size, a.kv_heads * a.head_size
    shapes: dict[str, Shape] = {
        "attn_norm.weight": (a.hidden,),
        "attn_q.weight": (query, a.hidden),
        "attn_k.weight": (key, a.hidden),
        "attn_v.weight": (key, a.hidden),
        "attn_output.weight": (a.hidden, query),
        "ffn_norm.weight": (a.hidden,),
        "ffn_gate.weight": (a.feed_forward, a.hidden),
        "ffn_up.weight": (a.feed_forward, a.hidden),
        "ffn_down.weight": (a.hidden, a.feed_forward),
    }
    if a.qkv_biases:
        shapes |= {"attn_q.bias": (query,), "attn_k.bias": (key,), "attn_v.bias": (key,)}
    if a.post_norms:
        shapes |= {"post_attention_norm.weight": (a.hidden,), "post_ffw_norm.weight": (a.hidden,)}
    if a.qk_norms:
        shapes |= {"attn_q_norm.weight": (a.head_size,), "attn_k_norm.weight": (a.head_size,)}
    return shapes

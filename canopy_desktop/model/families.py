"""The kinds of model that can be built, as data: how a file of each is written, and what its blocks have.

Names of tensors and keys are llama.cpp's (src/llama-arch.cpp); they are the same for all families but for what a family
has beside a plain llama, or in its place: RMS norms before attention and feed-forward, SiLU-gated feed-forward, grouped
heads, rotation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import Activation, Architecture, Norm, Positions
from canopy_desktop.model.graph import EMBEDDING, OUTPUT_MATRIX, OUTPUT_NORM, PLACES, bias_of

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
    fused_qkv: bool = False  # query, key and value lie side by side in one tensor
    norm: Norm = Norm.RMS
    positions: Positions = Positions.ROTARY
    gated: bool = True
    qkv_biases: bool = False
    block_biases: bool = False
    qk_norms: bool = False
    post_norms: bool = False
    scaled_embedding: bool = False
    activation: Activation = Activation.SILU
    window_period: int = 0  # every so manyth layer is global, where the file does not say it; 0: none slides
    raised_norms: bool = False  # the gains of a checkpoint's norms lack the 1 that is added to them
    base: str = "model."  # what the names of a checkpoint begin with, unless it was saved without its head
    blocks: str = "layers"
    published: Mapping[str, str] = field(default_factory=dict)  # what a checkpoint calls parts otherwise than others
    transposed: bool = False  # a checkpoint has (inputs, outputs) of the blocks' matrices
    wide_scale_layers: int = 0  # a model of so many layers scales q·k by the width per head, √(heads / hidden)

    @property
    def of_blocks(self) -> dict[str, Any]:
        """What its blocks have, by `Architecture`'s names."""
        return {name: getattr(self, name) for name in _OF_BLOCKS}


_OF_BLOCKS = (
    "norm", "positions", "gated", "qkv_biases", "block_biases", "qk_norms", "post_norms", "scaled_embedding",
    "activation",
)  # fmt: skip

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
        Family(
            name="gpt2",
            models="GPT-2, DistilGPT-2",
            fused_qkv=True,
            norm=Norm.LAYER,
            positions=Positions.LEARNED,
            gated=False,
            qkv_biases=True,
            block_biases=True,
            activation=Activation.GELU,
            base="transformer.",
            blocks="h",
            published={
                "token_embd": "wte",
                "position_embd": "wpe",
                "output_norm": "ln_f",
                "attn_norm": "ln_1",
                "attn_qkv": "attn.c_attn",
                "attn_output": "attn.c_proj",
                "ffn_norm": "ln_2",
                "ffn_up": "mlp.c_fc",
                "ffn_down": "mlp.c_proj",
            },
            transposed=True,
        ),
    )
}

PUBLISHED_OUTPUT = "lm_head.weight"  # in every checkpoint that has one
# What a checkpoint calls the parts of a model, and of a block.
_PUBLISHED = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
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
    if name == OUTPUT_MATRIX:
        return PUBLISHED_OUTPUT
    *block, part, kind = name.split(".")
    within = f"{family.blocks}.{block[1]}." if block else ""
    return f"{family.base}{within}{family.published.get(part) or _PUBLISHED[part]}.{kind}"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a file keeps a matrix or vector."""

    name: str  # of the tensor, as a GGUF calls it
    rows: slice


def kept(family: Family, a: Architecture, name: str) -> Kept:
    """Where a file of a family keeps what the graph calls `name`: it may be some rows of a tensor."""
    sizes = [count * a.head_size for count in (a.heads, a.kv_heads, a.kv_heads)]
    for number, part in enumerate("qkv"):
        if family.fused_qkv and f".attn_{part}." in name:
            first = sum(sizes[:number])
            return Kept(name.replace(f"attn_{part}.", "attn_qkv."), slice(first, first + sizes[number]))
    return Kept(name, slice(None))


def check_shapes(found: Mapping[str, Shape], expected: Mapping[str, Shape], read: Collection[str], path: Path) -> None:
    """Raise `SourceError` unless exactly the expected tensors are there.

    `read`: tensors that are no part of the graph, and were taken account of otherwise.
    """
    for name in sorted(found.keys() - expected.keys() - set(read)):
        raise SourceError(path, f"its tensor {name[:100]!r} is not known")
    for name, shape in expected.items():
        if found.get(name) != shape:
            raise SourceError(path, f"the tensor {name} should be {shape} and is {found.get(name, 'missing')}")


def expected_shapes(a: Architecture, *, fused_qkv: bool = False) -> dict[str, Shape]:
    """The shape that each tensor of a file must have, (rows, columns) = (outputs, inputs)."""
    shapes: dict[str, Shape] = {EMBEDDING: (a.vocabulary, a.hidden)}
    if a.positions is Positions.LEARNED:
        shapes[PLACES] = (a.context, a.hidden)
    shapes |= _norm_shapes(a, OUTPUT_NORM, a.hidden)
    if not a.tied:
        shapes[OUTPUT_MATRIX] = (a.vocabulary, a.hidden)
    for layer in range(a.layers):
        shapes |= {f"blk.{layer}.{part}": shape for part, shape in _block_shapes(a, fused_qkv).items()}
    return shapes


def _block_shapes(a: Architecture, fused_qkv: bool) -> dict[str, Shape]:
    query, key = a.heads * a.head_size, a.kv_heads * a.head_size
    looks = {"qkv": query + 2 * key} if fused_qkv else {"q": query, "k": key, "v": key}
    shapes: dict[str, Shape] = _norm_shapes(a, "attn_norm.weight", a.hidden)
    for part, rows in looks.items():
        shapes |= _matrix_shapes(f"attn_{part}.weight", (rows, a.hidden), has_bias=a.qkv_biases)
    matrices: dict[str, Shape] = {
        "attn_output.weight": (a.hidden, query),
        **({"ffn_gate.weight": (a.feed_forward, a.hidden)} if a.gated else {}),
        "ffn_up.weight": (a.feed_forward, a.hidden),
        "ffn_down.weight": (a.hidden, a.feed_forward),
    }
    for name, shape in matrices.items():
        shapes |= _matrix_shapes(name, shape, has_bias=a.block_biases)
    shapes |= _norm_shapes(a, "ffn_norm.weight", a.hidden)
    for name in ("post_attention_norm.weight", "post_ffw_norm.weight") if a.post_norms else ():
        shapes |= _norm_shapes(a, name, a.hidden)
    for name in ("attn_q_norm.weight", "attn_k_norm.weight") if a.qk_norms else ():
        shapes |= _norm_shapes(a, name, a.head_size)
    return shapes


def _matrix_shapes(name: str, shape: Shape, *, has_bias: bool) -> dict[str, Shape]:
    return {name: shape} | ({bias_of(name): shape[:1]} if has_bias else {})


def _norm_shapes(a: Architecture, gain: str, size: int) -> dict[str, Shape]:
    return _matrix_shapes(gain, (size,), has_bias=a.norm is Norm.LAYER)

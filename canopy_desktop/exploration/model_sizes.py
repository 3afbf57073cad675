"""How much memory a model takes: its weights, and the cache of a text, beside what this machine has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canopy_desktop.model.bundle import WEIGHTS_FILE, Listed
from canopy_desktop.model.card import Architecture, Norm, Positions, WeightForm

TEXT_TOKENS = 8_192  # of the text whose cache is counted, or the model's whole context where that is shorter
BYTES_PER_WEIGHT = 1 + 4 / 32  # 8 bits, and a float scale for every 32
_FORMS = {WeightForm.INT8: "8 bit", WeightForm.FP32: "32 bit", WeightForm.GIVEN: "own graph"}
_TYPICAL = (  # published: parameters, layers, key/value heads, head size
    ("SmolLM2 360M", 361_821_120, 32, 5, 64),
    ("Llama 3.2 1B", 1_235_814_400, 16, 8, 64),
    ("Llama 3.2 3B", 3_212_749_824, 28, 8, 128),
    ("Llama 3.1 8B", 8_030_261_248, 32, 8, 128),
    ("Llama 3.1 70B", 70_553_706_496, 80, 8, 128),
    ("Llama 3.1 405B", 405_853_388_800, 126, 8, 128),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What one model takes, in bytes."""

    name: str
    parameters: int | None  # None: its graph is another program's, and nobody counted
    weight_bytes: int
    cache_bytes_per_token: int
    tokens: int  # of the text that its cache is counted for
    installed: bool

    @property
    def cache_bytes(self) -> int:
        """The keys and values of the whole text."""
        return self.tokens * self.cache_bytes_per_token

    @property
    def total_bytes(self) -> int:
        """Both."""
        return self.weight_bytes + self.cache_bytes


def installed_sizes(bundles: Sequence[Listed]) -> tuple[ModelSize, ...]:
    """Of the models that are here, as they lie on the disk."""
    found = []
    for listed in bundles:
        card = listed.card
        if card is not None:
            found.append(
                ModelSize(
                    name=f"{card.title.removesuffix('-Instruct')}, {_FORMS[card.weights]}",
                    parameters=None if card.architecture.is_given else parameters_of(card.architecture),
                    weight_bytes=next((entry.bytes for entry in card.files if entry.name == WEIGHTS_FILE), 0),
                    cache_bytes_per_token=card.architecture.kv_bytes_per_token,
                    tokens=min(TEXT_TOKENS, card.architecture.context),
                    installed=True,
                )
            )
    return tuple(found)


def typical_sizes() -> tuple[ModelSize, ...]:
    """Of well-known models, computed from the numbers on their cards as if they were in this program's 8-bit form."""
    return tuple(
        ModelSize(
            name=name,
            parameters=parameters,
            weight_bytes=round(parameters * BYTES_PER_WEIGHT),
            cache_bytes_per_token=2 * layers * kv_heads * head_size * 4,
            tokens=TEXT_TOKENS,
            installed=False,
        )
        for name, parameters, layers, kv_heads, head_size in _TYPICAL
    )


def parameters_of(a: Architecture) -> int:
    """All weights; an output matrix that is the embedding counts once."""
    inner = (2 if a.gated else 1) * a.feed_forward  # numbers that a feed-forward makes of the stream
    attention = 2 * a.hidden * (a.heads + a.kv_heads) * a.head_size
    attention += a.qkv_biases * (a.heads + 2 * a.kv_heads) * a.head_size + a.qk_norms * 2 * a.head_size
    feed_forward = a.hidden * (inner + a.feed_forward)
    biases = a.block_biases * (inner + 2 * a.hidden)
    norm = (1 if a.norm is Norm.RMS else 2) * a.hidden
    norms = (4 if a.post_norms else 2) * norm
    places = a.context * a.hidden if a.positions is Positions.LEARNED else 0
    embedding = (1 if a.tied else 2) * a.vocabulary * a.hidden
    return embedding + places + a.layers * (attention + feed_forward + biases + norms) + norm

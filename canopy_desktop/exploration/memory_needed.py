"""How much memory a model will take with a context, from its card, before any of it is loaded.

What onnxruntime keeps was measured (tests/core/test_memory_needed.py measures again): matrices are packed anew, 8-bit
ones with a sum for each block. The embedding and the tables of positions stay in the mapped file; in memory is what was
read of them, which is next to nothing, but of an embedding in 32 bits, where a token's row is a column, all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from canopy_desktop.errors import MemoryNeededError
from canopy_desktop.exploration.window import SMALLEST
from canopy_desktop.model.bundle import DECODER_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from canopy_desktop.model.card import Card, WeightForm

USUAL_CONTEXT = 8_192  # tokens of the text that is counted where nobody chose a context, for the cache grows with it
LIBRARIES = 108_000_000  # bytes of Python, numpy, onnxruntime and the rest, loaded
TOKENIZER_GROWS = 19  # bytes in memory for each of tokenizer.json
NUMBER = 4  # bytes of a float
CHUNK, ZEROS_STEP = 256, 512  # the decoder's, whose libraries take long to load
BLOCK = 32  # weights with one scale
SCORES = 4  # arrays of queries by keys that plain operators keep at once: products, mask, their sum, probabilities
_PACKED = {WeightForm.INT8: (1 + 8 / BLOCK + 4 / BLOCK) / (1 + 4 / BLOCK), WeightForm.FP32: 1.0}
_STORED = {WeightForm.INT8: 1 + 4 / BLOCK, WeightForm.FP32: 4.0}  # bytes of a weight in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNeeded:
    """Bytes on the host when a text fills the context and everything is kept that the budget allows."""

    context: int  # tokens
    weights: int
    cache: int
    columns: int
    runtime: int  # libraries and tokenizer, and what a chunk of the prompt needs on its way

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.columns + self.runtime


def usual_context(card: Card, chosen: int | None = None) -> int:
    """The tokens that are counted: those that were chosen, else as many as a long text has; at most the model's own."""
    return min(chosen or USUAL_CONTEXT, card.architecture.context)


def memory_needed(card: Card, context: int, *, budget: int, is_exact: bool = False) -> MemoryNeeded:
    """What a text of `context` tokens will take on the CPU. `is_exact` keeps all columns in 32 bits."""
    a = card.architecture
    if a.is_given:
        return _of_given_graph(card, context, budget)
    sizes = {entry.name: entry.bytes for entry in card.files}
    embedding = a.vocabulary * a.hidden * _STORED[card.weights]
    packed = (sizes.get(WEIGHTS_FILE, 0) - a.position_bytes - (0 if a.tied else embedding)) * _PACKED[card.weights]
    mapped = embedding if card.weights is WeightForm.FP32 else 0
    kept = 2 if card.weights is WeightForm.INT8 and not is_exact else NUMBER
    last = context * a.hidden * NUMBER
    stream = NUMBER if a.has_wide_stream else kept
    columns = context * a.layers * (a.hidden * stream + a.heads * a.head_size * kept)
    cache = context * a.kv_bytes_per_token
    new = min(CHUNK, context)
    left = a.layers * ((a.heads + 2 * a.kv_heads) * a.head_size + a.hidden)  # of a token by a pass: columns, and a bias
    between = (3 if a.gated else 2) * a.feed_forward + 4 * a.hidden + a.heads * context  # and inside of a block
    passing = new * NUMBER * (left + between + context + ZEROS_STEP)
    return MemoryNeeded(
        context=context,
        weights=max(0, round(packed + mapped)),
        cache=cache,
        columns=last + min(columns, max(0, budget - cache - last)),
        runtime=LIBRARIES + TOKENIZER_GROWS * sizes.get(TOKENIZER_FILE, 0) + passing,
    )


def _of_given_graph(card: Card, context: int, budget: int) -> MemoryNeeded:
    """What a graph takes that is run as it is: its weights, and its cache beside the past and present of a pass."""
    a, sizes = card.architecture, {entry.name: entry.bytes for entry in card.files}
    cache, last = context * a.kv_bytes_per_token, context * a.hidden * NUMBER
    columns = context * a.layers * (a.query_width + a.stream_width) * NUMBER
    passing = a.layers * (2 * a.query_width + a.stream_width)  # of a token's columns on their way
    scores = SCORES * a.heads * context  # a token's, of a layer
    return MemoryNeeded(
        context=context,
        weights=sizes[WEIGHTS_FILE] + sizes[DECODER_FILE],
        cache=3 * cache,
        columns=last + min(columns, max(0, budget - cache - last)),
        runtime=LIBRARIES + TOKENIZER_GROWS * sizes[TOKENIZER_FILE] + min(CHUNK, context) * NUMBER * (scores + passing),
    )


def require_memory(card: Card, context: int, *, free: int, budget: int, is_exact: bool = False) -> None:
    """Raise `MemoryNeededError` unless `free` bytes hold the model with a text of `context` tokens."""
    needed = memory_needed(card, context, budget=budget, is_exact=is_exact).total
    if needed > free:
        raise MemoryNeededError(
            card.id,
            needed,
            free,
            context,
            fitting=fitting_context(card, free, budget=budget, is_exact=is_exact),
            is_fp32=card.weights is WeightForm.FP32,
        )


def fitting_context(card: Card, free: int, *, budget: int, is_exact: bool = False) -> int:
    """The largest context, in steps of the smallest, that `free` bytes hold; 0 where none does."""
    low, high = 0, card.architecture.context // SMALLEST
    while low < high:
        middle = (low + high + 1) // 2
        if memory_needed(card, middle * SMALLEST, budget=budget, is_exact=is_exact).total <= free:
            low = middle
        else:
            high = middle - 1
    return low * SMALLEST


def memory_json(needed: MemoryNeeded) -> dict[str, Any]:
    """The same for the command line."""
    return {
        "context": needed.context,
        "weights_bytes": needed.weights,
        "cache_bytes": needed.cache,
        "columns_bytes": needed.columns,
        "runtime_bytes": needed.runtime,
        "total_bytes": needed.total,
    }

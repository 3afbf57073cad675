"""Attention of many heads at once: where one token looks in all of them, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.attention import softmax
from canopy_desktop.model.card import LayerAttention


@dataclass(frozen=True, slots=True)
class Link:
    """One head's look from a token to another."""

    layer: int
    head: int
    key: int  # position
    weight: float


def layer_weights(queries: FloatArray, keys: FloatArray, how: LayerAttention) -> FloatArray:
    """Where one token looks in every head of a layer: (heads, positions).

    `queries` (heads, head_size), `keys` (kv_heads, positions, head_size), both rotated; the token is the last position.
    """
    kv_heads, positions, size = keys.shape
    grouped = queries.reshape(kv_heads, -1, size) * np.float32(how.scale)
    scores: FloatArray = np.matmul(grouped, keys.transpose(0, 2, 1))
    scores[..., : how.first_seen(positions - 1)] = -np.inf
    return softmax(scores).reshape(queries.shape[0], -1)


def strongest_links(weights: FloatArray, count: int) -> tuple[Link, ...]:
    """The `count` largest of (layers, heads, positions), largest first; of equal ones the lower layer, head, key."""
    flat = weights.reshape(-1)
    count = min(count, flat.size)
    if not count:
        return ()
    threshold = np.partition(flat, -count)[-count]
    places = np.flatnonzero(flat >= threshold)
    places = places[np.argsort(-flat[places], kind="stable")][:count]
    layers, heads, keys = np.unravel_index(places, weights.shape)
    return tuple(
        Link(int(layer), int(head), int(key), float(flat[place]))
        for layer, head, key, place in zip(layers, heads, keys, places, strict=True)
    )


def entropy_bits(weights: FloatArray) -> FloatArray:
    """How spread out each row is, in bits: 0 for one position, log2(n) for n equal ones."""
    safe = np.where(weights > 0, weights, np.float32(1))
    found: FloatArray = -(safe * np.log2(safe) * (weights > 0)).sum(axis=-1)
    return np.abs(found)


def rollout_step(flow: FloatArray, weights: FloatArray) -> FloatArray:
    """One layer down in attention rollout (Abnar and Zuidema 2020, arXiv:2005.00928, eq. 1 and 2).

    `flow` (tokens, positions) is how much of each token the positions above carry, `weights` (positions, positions) the
    mean of the layer's heads; half of the stream passes by on the residual connection.
    """
    through: FloatArray = 0.5 * (flow @ weights) + 0.5 * flow
    return through

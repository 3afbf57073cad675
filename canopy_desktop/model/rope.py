"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864, eq. 34), in the half-split order."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.model.card import Architecture


def rope_tables(architecture: Architecture, layer: int = 0) -> tuple[FloatArray, FloatArray]:
    """Cosines and sines of a layer, (context, head_size / 2), read-only, the same arrays for layers that turn alike.

    Computed in double precision and rounded once. Scaling divides each pair's frequency: all by one factor (Chen et al.
    2023, arXiv:2306.15595), or each by its own.
    """
    turns = architecture.attention(layer)
    return _tables(turns.rope_base, turns.rope_divisors, architecture.head_size // 2, architecture.context)


@lru_cache(maxsize=4)  # at a long context they are large, and every reader needs them; two for each of two models
def _tables(base: float, divisors: tuple[float, ...], half: int, context: int) -> tuple[FloatArray, FloatArray]:
    frequencies = base ** (-np.arange(half, dtype=np.float64) / half)
    if divisors:
        frequencies /= np.array(divisors)
    angles = np.arange(context, dtype=np.float64)[:, None] * frequencies
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    for table in (cosines, sines):
        table.setflags(write=False)
    return cosines, sines


def turned(
    vectors: FloatArray, architecture: Architecture, layer: int, positions: slice | IntArray, *, back: bool = False
) -> FloatArray:
    """Queries or keys of a layer turned to their positions, or `back`; the same where nothing is rotated.

    (…, positions, head_size) of a text's places.
    """
    if not architecture.attention(layer).rotates:
        return vectors
    cosines, sines = (table[positions] for table in rope_tables(architecture, layer))
    return rotate(vectors, cosines, -sines if back else sines)


def rotate(vectors: FloatArray, cosines: FloatArray, sines: FloatArray) -> FloatArray:
    """Turn queries or keys to their positions: (…, positions, head_size) with (positions, head_size / 2)."""
    half = vectors.shape[-1] // 2
    first, second = vectors[..., :half], vectors[..., half:]
    return np.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)

"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864, eq. 34), in the half-split order."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.model.card import Architecture


@lru_cache(maxsize=2)  # at a long context they are large, and every reader needs them
def rope_tables(architecture: Architecture) -> tuple[FloatArray, FloatArray]:
    """Cosines and sines, (context, head_size / 2), read-only; computed in double precision and rounded once.

    Scaling divides each pair's frequency: all by one factor (Chen et al. 2023, arXiv:2306.15595), or each by its own.
    """
    half = architecture.head_size // 2
    frequencies = architecture.rope_base ** (-np.arange(half, dtype=np.float64) / half)
    if architecture.rope_divisors:
        frequencies /= np.array(architecture.rope_divisors)
    angles = np.arange(architecture.context, dtype=np.float64)[:, None] * frequencies
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    for table in (cosines, sines):
        table.setflags(write=False)
    return cosines, sines


def rotate(vectors: FloatArray, cosines: FloatArray, sines: FloatArray) -> FloatArray:
    """Turn queries or keys to their positions: (…, positions, head_size) with (positions, head_size / 2)."""
    half = vectors.shape[-1] // 2
    first, second = vectors[..., :half], vectors[..., half:]
    return np.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)

"""How far apart two distributions over the same tokens are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.decoding.pipeline import KEPT, NATS_TO_BITS, Distribution


@dataclass(frozen=True, slots=True)
class Divergence:
    """KL(A ‖ B) and KL(B ‖ A) in bits, and the total variation, 0 to 1.

    A divergence is infinite where the one can choose a token that the other cannot.
    """

    a_b_bits: float
    b_a_bits: float
    total_variation: float


def raw_divergence(a: Distribution, b: Distribution) -> Divergence:
    """Of what the model assigned, before any setting."""
    return divergence(a.stages[0].scores - a.log_sum_exp, b.stages[0].scores - b.log_sum_exp)


def final_divergence(a: Distribution, b: Distribution) -> Divergence:
    """Of what was left after all stages."""
    return divergence(_final(a), _final(b))


def divergence(a: DoubleArray, b: DoubleArray) -> Divergence:
    """Of two distributions given as natural logarithms, (vocabulary,); minus infinity is impossible."""
    variation = 0.5 * float(np.abs(np.exp(a) - np.exp(b)).sum())
    return Divergence(kl_bits(a, b), kl_bits(b, a), min(1.0, variation))


def kl_bits(a: DoubleArray, b: DoubleArray) -> float:
    """KL(a ‖ b) in bits (Kullback and Leibler 1951), from natural logarithms."""
    probabilities = np.exp(a)
    possible = probabilities > 0
    nats = float((probabilities[possible] * (a[possible] - b[possible])).sum())
    return max(0.0, nats) * NATS_TO_BITS


def _final(found: Distribution) -> DoubleArray:
    last = found.stages[-1]
    return np.where(found.removed_by == KEPT, last.scores - last.log_sum_exp, -np.inf)

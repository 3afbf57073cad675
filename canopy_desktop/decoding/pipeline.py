"""From logits to a token: exact over the whole vocabulary, pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import DoubleArray, FloatArray, IntArray
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ProviderError

LIKELY = 4096  # tokens among which top-p is looked for first: sorting all takes longer
NATS_TO_BITS = 1.0 / float(np.log(2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """What the model assigned, and what the settings made of it. Arrays over the vocabulary, read-only."""

    logits: FloatArray
    log_sum_exp: float  # of the raw logits
    probabilities: DoubleArray  # after temperature and cuts; sums to one
    kept: int  # tokens that no stage removed

    def raw_logprob(self, token_id: int) -> float:
        """Natural logarithm of what the model assigned to a token, before any setting."""
        return float(self.logits[token_id]) - self.log_sum_exp

    def rank(self, token_id: int) -> int:
        """Rank of a token among the raw logits, from 1; of equal logits the lower id comes first."""
        logit = self.logits[token_id]
        higher = np.count_nonzero(self.logits > logit)
        return int(higher + np.count_nonzero(self.logits[:token_id] == logit)) + 1

    def top(self, count: int) -> IntArray:
        """Ids of the highest raw logits, highest first; of equal logits the lower id first."""
        return top_ids(self.logits, count)

    def entropy_bits(self) -> float:
        """Shannon entropy of the raw distribution: log Σ exp x - Σ p·x, the form without a logarithm per token."""
        exact = self.logits.astype(np.float64)
        probabilities = np.exp(exact - self.log_sum_exp)
        possible = np.where(np.isfinite(exact), exact, 0.0)
        mean = float((probabilities * possible).sum())
        return max(0.0, self.log_sum_exp - mean) * NATS_TO_BITS

    def raw_probability(self, token_ids: Sequence[int]) -> float:
        """What the model assigned to these tokens together."""
        return float(np.exp(self.logits[list(token_ids)].astype(np.float64) - self.log_sum_exp).sum())


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, and the number that was drawn for it (None: nothing was drawn)."""

    token_id: int
    uniform: float | None


def distribution(logits: FloatArray, settings: DecodingSettings) -> Distribution:
    """Temperature, top-k and top-p, in this order, over (vocabulary,) raw logits.

    Greedy settings cut nothing: the probabilities are the model's own. Raises `ProviderError` for logits of which
    none is a number.
    """
    if np.isnan(logits).any() or not np.isfinite(logits.max()):
        raise ProviderError("cpu", "the model's logits are not numbers")
    exact = logits.astype(np.float64)
    largest = exact.max()
    log_sum_exp = float(largest + np.log(np.exp(exact - largest).sum()))
    if settings.greedy:
        return Distribution(logits, log_sum_exp, np.exp(exact - log_sum_exp), logits.size)
    with np.errstate(over="ignore"):  # a temperature next to 0 makes minus infinity of all but the highest
        weights = np.exp((exact - largest) / settings.temperature)
    kept = _kept(logits, weights, settings)
    if kept is not None:
        cut = np.zeros_like(weights)
        cut[kept] = weights[kept]
        weights = cut
    return Distribution(logits, log_sum_exp, weights / weights.sum(), logits.size if kept is None else int(kept.size))


def choose(found: Distribution, settings: DecodingSettings, position: int, draw: int = 0) -> Choice:
    """The next token: the likeliest one, or one drawn with the number for (seed, position, draw)."""
    if settings.greedy:
        return Choice(int(np.argmax(found.logits)), None)
    number = uniform(settings.seed, position, draw)
    cumulative = np.cumsum(found.probabilities)
    index = int(np.searchsorted(cumulative, number * cumulative[-1], side="right"))
    if index >= found.logits.size or found.probabilities[index] == 0.0:
        index = int(np.flatnonzero(found.probabilities)[-1])
    return Choice(index, number)


def uniform(seed: int, position: int, draw: int) -> float:
    """A number in [0, 1) that depends on these three alone: Philox (Salmon et al. 2011) keyed by them."""
    bits = np.random.Philox(key=seed, counter=[0, 0, draw, position]).random_raw(1)
    return float(int(bits[0]) >> 11) * 2.0**-53


def top_ids(logits: FloatArray, count: int) -> IntArray:
    """Ids of the `count` highest values, highest first; of equal values the lower id first."""
    count = min(count, logits.size)
    if count < logits.size:
        threshold = np.partition(logits, -count)[-count]
        ids = np.flatnonzero(logits >= threshold)
    else:
        ids = np.arange(logits.size)
    return ids[np.argsort(-logits[ids], kind="stable")][:count].astype(np.int64)


def _kept(logits: FloatArray, weights: DoubleArray, settings: DecodingSettings) -> IntArray | None:
    """Ids that top-k and top-p leave, highest first; None if nothing is cut. `weights` need not be normalised."""
    top_k = settings.top_k if 0 < settings.top_k < weights.size else 0
    if not top_k and settings.top_p >= 1.0:
        return None
    ids = top_ids(logits, top_k or LIKELY)
    if settings.top_p >= 1.0:
        return ids
    wanted = settings.top_p * float(weights[ids].sum() if top_k else weights.sum())
    mass = np.cumsum(weights[ids])
    if not top_k and mass[-1] < wanted:
        ids = top_ids(logits, weights.size)
        mass = np.cumsum(weights[ids])
    return ids[: int(np.searchsorted(mass, wanted)) + 1]

"""How often tokens were drawn, against how often they were predicted: intervals, and Pearson's χ²."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.decoding.pipeline import top_ids

MAX_DRAWS = 200
CONFIDENCE = 0.95
LEAST_EXPECTED = 5.0  # draws that a class of the χ² expects at least (Cochran 1954)
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Frequency:
    """One token's, or those of several tokens together."""

    predicted: float  # the probability that it is drawn
    count: int  # draws that gave it
    draws: int  # all of them

    @property
    def share(self) -> float:
        """Of the draws."""
        return self.count / self.draws

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the probability that this count speaks for."""
        return wilson_interval(self.count, self.draws)

    @property
    def agrees(self) -> bool:
        """Whether the prediction lies in the interval; of twenty right ones about one does not."""
        low, high = self.interval
        return low <= self.predicted <= high


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's test of the counts. One class alone has nothing to compare: no degree of freedom, and no p-value."""

    statistic: float
    degrees_of_freedom: int
    p_value: float | None  # how often right predictions give a statistic as large


@dataclass(frozen=True, slots=True)
class Frequencies:
    """All draws of one distribution."""

    tokens: tuple[tuple[int, Frequency], ...]  # ids and theirs, the most probable first
    other_tokens: int  # those with a chance that are not listed
    other: Frequency  # theirs together
    chi_square: ChiSquare  # over all tokens, listed or not


def frequencies(probabilities: DoubleArray, drawn: Sequence[int], listed: int) -> Frequencies:
    """What was drawn from (vocabulary,) probabilities that sum to one, with the `listed` most probable tokens by name.

    Raises `ValueError` where nothing was drawn, or a token that has no chance.
    """
    if not drawn:
        raise ValueError("no draws")
    counts = Counter(drawn)
    if any(probabilities[token_id] <= 0 for token_id in counts):
        raise ValueError("a token was drawn that has no chance")
    possible = int(np.count_nonzero(probabilities))
    ids = [int(token_id) for token_id in top_ids(probabilities, min(listed, possible))]
    tokens = tuple((i, Frequency(float(probabilities[i]), counts[i], len(drawn))) for i in ids)
    unnamed = probabilities.copy()
    unnamed[ids] = 0.0
    other = Frequency(float(unnamed.sum()), len(drawn) - sum(counts[i] for i in ids), len(drawn))
    return Frequencies(tokens, possible - len(ids), other, _chi_square(probabilities, counts, len(drawn)))


def wilson_interval(count: int, draws: int) -> tuple[float, float]:
    """The probabilities p for which `count` of `draws` is not among the 5 % unlikeliest: |share - p| ≤ z·√(p(1-p)/n).

    Unlike share ± z·√(share(1-share)/n) it stays within 0 … 1, and has a width where nothing or everything was drawn
    (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212).
    """
    share, weight = count / draws, _Z * _Z / draws
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return 0.0 if count == 0 else low, 1.0 if count == draws else high


def chi_square_p_value(statistic: float, degrees_of_freedom: int) -> float:
    """The regularised upper incomplete gamma function Q(degrees / 2, statistic / 2).

    A finite sum, since degrees are whole: Q(a + 1, x) = Q(a, x) + x^a·e^-x / Γ(a + 1) from Q(0, x) = 0 or Q(½, x) =
    erfc √x (DLMF 8.8.6 and 8.4.6, https://dlmf.nist.gov/8).
    """
    x, odd = statistic / 2, degrees_of_freedom % 2
    if x == 0:
        return 1.0
    powers = np.arange(odd / 2, degrees_of_freedom / 2)
    terms = [math.exp(a * math.log(x) - x - math.lgamma(a + 1)) for a in powers]
    return min(1.0, math.fsum([math.erfc(math.sqrt(x)) if odd else 0.0, *terms]))


def _chi_square(probabilities: DoubleArray, counts: Counter[int], draws: int) -> ChiSquare:
    """A class for each token with enough expected draws, and one for all others.

    Where the others expect too few together, the rarest of the classes joins them until they do.
    """
    expected = draws * probabilities
    common = np.flatnonzero(expected >= LEAST_EXPECTED)
    classes = [(float(expected[i]), counts[int(i)]) for i in common[np.argsort(-expected[common], kind="stable")]]
    pool = (float(expected.sum() - sum(e for e, _ in classes)), draws - sum(c for _, c in classes))
    others = np.count_nonzero(probabilities) > common.size
    while others and pool[0] < LEAST_EXPECTED and classes:
        rarest = classes.pop()
        pool = (pool[0] + rarest[0], pool[1] + rarest[1])
    if others:
        classes.append(pool)
    degrees = len(classes) - 1
    if degrees == 0:
        return ChiSquare(0.0, 0, None)
    statistic = math.fsum((count - mean) ** 2 / mean for mean, count in classes)
    return ChiSquare(statistic, degrees, chi_square_p_value(statistic, degrees))

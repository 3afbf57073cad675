"""Counts of draws against predictions: intervals, χ² and its p-value, and every edge of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.decoding.frequencies import chi_square_p_value, frequencies, wilson_interval
from tests.reference import fixtures

Z = 1.959963984540054

COUNTS = st.integers(1, 400).flatmap(lambda draws: st.tuples(st.integers(0, draws), st.just(draws)))


def probabilities_of(*values: float) -> DoubleArray:
    return np.array(values, np.float64)


# the interval


@pytest.mark.parametrize(
    ("count", "draws", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_that_newcombe_published(count: int, draws: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    assert wilson_interval(count, draws) == pytest.approx((low, high), abs=5e-5)


@given(COUNTS)
def test_both_ends_of_an_interval_are_z_deviations_away_from_the_share(counted: tuple[int, int]) -> None:
    count, draws = counted
    low, high = wilson_interval(count, draws)
    assert 0 <= low <= count / draws <= high <= 1
    assert low < high
    for end in {low, high} - {0.0, 1.0}:
        assert abs(count / draws - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / draws), rel=1e-9)


@given(COUNTS)
def test_the_interval_of_what_was_not_drawn_is_the_mirror_image(counted: tuple[int, int]) -> None:
    count, draws = counted
    low, high = wilson_interval(count, draws)
    assert wilson_interval(draws - count, draws) == pytest.approx((1 - high, 1 - low), abs=1e-12)


# the p-value


def test_p_values_are_those_of_mpmath() -> None:
    values = fixtures.chi_square_values()
    assert len(values) == 130
    for value in values:
        found = chi_square_p_value(value.statistic, value.degrees_of_freedom)
        assert found == pytest.approx(value.p_value, rel=1e-11, abs=1e-300), value


@given(st.integers(1, 200), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_larger_statistic_never_has_a_larger_p_value(degrees: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    larger, smaller = chi_square_p_value(less, degrees), chi_square_p_value(more, degrees)
    assert 0 <= smaller <= larger * (1 + 1e-12) <= 1 + 1e-12


# the classes


def test_the_statistic_is_pearsons_sum_over_common_tokens_and_all_others() -> None:
    probabilities = probabilities_of(0.4, 0.3, 0.2, 0.04, 0.03, 0.03)
    drawn = [0] * 45 + [1] * 30 + [2] * 15 + [3] * 7 + [5] * 3
    found = frequencies(probabilities, drawn, listed=6).chi_square
    assert found.statistic == pytest.approx(5**2 / 40 + 0 + 5**2 / 20 + 0)
    assert found.degrees_of_freedom == 3
    assert found.p_value == chi_square_p_value(found.statistic, 3)


def test_others_that_expect_too_few_take_the_rarest_common_token_in() -> None:
    found = frequencies(probabilities_of(0.5, 0.3, 0.16, 0.04), [0] * 40 + [1] * 40 + [2] * 19 + [3], listed=4)
    assert found.chi_square.degrees_of_freedom == 2
    assert found.chi_square.statistic == pytest.approx(10**2 / 50 + 10**2 / 30 + 0)


def test_tokens_without_others_are_classes_of_their_own() -> None:
    found = frequencies(probabilities_of(0.5, 0.5, 0.0), [0] * 12 + [1] * 8, listed=5)
    assert (found.chi_square.degrees_of_freedom, found.chi_square.statistic) == (1, pytest.approx(0.8))
    assert (found.other_tokens, found.other.predicted, found.other.count) == (0, 0.0, 0)


@pytest.mark.parametrize(
    ("probabilities", "drawn"),
    [
        ((1.0, 0.0), [0] * 100),  # greedy, or one token kept
        ((1.0,), [0]),
        ((0.5, 0.5), [1]),
        ((0.9, 0.1), [0] * 40),  # the others expect 4
        ((0.01,) * 100, list(range(100))),
    ],
)
def test_one_class_alone_has_no_degree_of_freedom_and_no_p_value(
    probabilities: tuple[float, ...], drawn: list[int]
) -> None:
    found = frequencies(probabilities_of(*probabilities), drawn, listed=3).chi_square
    assert (found.statistic, found.degrees_of_freedom, found.p_value) == (0.0, 0, None)


@given(
    st.lists(st.floats(1e-6, 1), min_size=1, max_size=30), st.integers(1, 300), st.integers(0, 40), st.integers(0, 99)
)
def test_all_counts_and_all_chances_are_in_the_list_or_beside_it(
    weights: list[float], draws: int, listed: int, seed: int
) -> None:
    probabilities = np.array(weights) / sum(weights)
    drawn = np.random.default_rng(seed).choice(len(weights), draws, p=probabilities).tolist()
    found = frequencies(probabilities, drawn, listed)
    parts = [frequency for _, frequency in found.tokens] + [found.other]
    assert sum(part.count for part in parts) == draws
    assert sum(part.predicted for part in parts) == pytest.approx(1)
    assert len(found.tokens) + found.other_tokens == len(weights)
    assert [part.predicted for part in parts[:-1]] == sorted((part.predicted for part in parts[:-1]), reverse=True)
    assert 0 <= found.chi_square.degrees_of_freedom <= draws / 5
    assert (found.chi_square.p_value is None) == (found.chi_square.degrees_of_freedom == 0)


def test_nothing_drawn_and_the_impossible_drawn_are_mistakes_of_the_caller() -> None:
    for drawn in ([], [1]):
        with pytest.raises(ValueError):
            frequencies(probabilities_of(1.0, 0.0), drawn, listed=2)


def test_right_predictions_lie_in_their_intervals_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(20261123)
    drawn = random.binomial(200, 0.3, size=2000)
    agreeing = [frequencies(probabilities_of(0.3, 0.7), [0] * n + [1] * (200 - n), 2).tokens for n in drawn.tolist()]
    assert np.mean([tokens[1][1].agrees for tokens in agreeing]) == pytest.approx(0.95, abs=0.015)


def test_p_values_of_right_predictions_are_spread_evenly() -> None:
    random = np.random.default_rng(20261123)
    probabilities = probabilities_of(0.3, 0.25, 0.2, 0.1, 0.05, 0.05, 0.03, 0.02)
    found = [
        frequencies(probabilities, random.choice(8, 200, p=probabilities).tolist(), 8).chi_square.p_value
        for _ in range(2000)
    ]
    below = [float(np.mean([p < level for p in found if p is not None])) for level in (0.05, 0.25, 0.5, 0.75)]
    assert below == pytest.approx([0.05, 0.25, 0.5, 0.75], abs=0.04)

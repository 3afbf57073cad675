"""Distances between distributions: by hand, by inequality, and where one of them has no such token."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.decoding.divergence import divergence, final_divergence, kl_bits, raw_divergence
from canopy_desktop.decoding.pipeline import pipeline
from canopy_desktop.decoding.settings import DecodingSettings

A, B = np.log([0.5, 0.5]), np.log([0.75, 0.25])
weights = st.lists(st.floats(0.001, 1000.0), min_size=5, max_size=5)


def logs(values: list[float]) -> np.ndarray:
    exact = np.log(values)
    return exact - np.log(np.sum(np.exp(exact)))


def test_two_coins_are_as_far_apart_as_by_hand() -> None:
    found = divergence(A, B)
    assert found.a_b_bits == pytest.approx(0.5 * math.log2(0.5 / 0.75) + 0.5)
    assert found.b_a_bits == pytest.approx(0.75 * math.log2(1.5) - 0.25)
    assert found.total_variation == pytest.approx(0.25)


def test_a_token_that_only_one_can_choose_makes_one_way_infinite() -> None:
    certain = np.array([0.0, -np.inf])
    found = divergence(certain, A)
    assert found.a_b_bits == pytest.approx(1.0)
    assert found.b_a_bits == math.inf
    assert found.total_variation == pytest.approx(0.5)
    apart = divergence(certain, certain[::-1])
    assert (apart.a_b_bits, apart.b_a_bits, apart.total_variation) == (math.inf, math.inf, 1.0)


@given(weights, weights)
def test_no_distance_is_negative_and_pinskers_inequality_holds(one: list[float], other: list[float]) -> None:
    a, b = logs(one), logs(other)
    found = divergence(a, b)
    assert kl_bits(a, a) == 0.0
    assert min(found.a_b_bits, found.b_a_bits) >= 0.0
    nats = min(found.a_b_bits, found.b_a_bits) * math.log(2.0)
    assert found.total_variation <= math.sqrt(nats / 2.0) + 1e-9


def test_settings_move_the_final_distributions_and_leave_the_raw_ones() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
    plain = pipeline(logits, DecodingSettings(temperature=1.0))
    cut = pipeline(logits, DecodingSettings(temperature=1.0, top_k=2))
    raw, final = raw_divergence(plain, cut), final_divergence(plain, cut)
    assert (raw.a_b_bits, raw.b_a_bits, raw.total_variation) == (0.0, 0.0, 0.0)
    assert final.a_b_bits == math.inf
    assert final.b_a_bits == pytest.approx(math.log2(4.0 / 3.0))
    assert final.total_variation == pytest.approx(0.25)


def test_tokens_whose_probability_is_too_small_to_be_told_from_nothing_are_no_infinity() -> None:
    logits = np.array([0.0, -1.0, -2.0], np.float32)
    cold, warm = (pipeline(logits, DecodingSettings(temperature=t)) for t in (0.0005, 1.0))
    assert cold.probabilities[1] == 0.0
    p = warm.probabilities
    nats = 2000.0 * p[1] + 4000.0 * p[2] + float((p * np.log(p)).sum())
    assert final_divergence(warm, cold).a_b_bits == pytest.approx(nats / math.log(2.0))

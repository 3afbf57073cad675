"""From logits to a token, over whole vocabularies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from canopy_desktop.decoding.pipeline import choose, distribution, top_ids, uniform
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ProviderError, SettingsError

LOGITS = arrays(np.float32, st.integers(1, 60), elements=st.floats(-30, 30, width=32))
SAMPLING = st.builds(
    DecodingSettings,
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 70),
    top_p=st.floats(0.01, 1),
    seed=st.integers(0, 2**63 - 1),
)


@given(LOGITS, SAMPLING)
def test_probabilities_sum_to_one_and_the_kept_are_the_likeliest(logits, settings) -> None:
    found = distribution(logits, settings)
    assert math.isclose(found.probabilities.sum(), 1.0, abs_tol=1e-9)
    kept = np.flatnonzero(found.probabilities)
    assert 1 <= kept.size <= found.kept
    removed = np.setdiff1d(np.arange(logits.size), kept)
    if removed.size:
        assert logits[kept].min() >= logits[removed].max()


@given(LOGITS, SAMPLING, st.integers(0, 9000))
def test_a_drawn_token_was_kept_and_the_same_number_draws_it_again(logits, settings, position) -> None:
    found = distribution(logits, settings)
    choice = choose(found, settings, position)
    assert found.probabilities[choice.token_id] > 0
    assert choice == choose(found, settings, position)
    assert choice.uniform is not None
    cumulative = np.cumsum(found.probabilities)
    before = cumulative[choice.token_id] - found.probabilities[choice.token_id]
    assert before - 1e-9 <= choice.uniform <= cumulative[choice.token_id] + 1e-9


@given(LOGITS)
def test_greedy_takes_the_lowest_id_of_the_highest_logits_and_cuts_nothing(logits) -> None:
    found = distribution(logits, DecodingSettings())
    token_id = choose(found, DecodingSettings(), 0).token_id
    assert token_id == int(np.flatnonzero(logits == logits.max())[0])
    assert found.kept == logits.size
    assert found.rank(token_id) == 1
    assert math.isclose(found.probabilities[token_id], math.exp(found.raw_logprob(token_id)), rel_tol=1e-9)


@given(LOGITS, st.integers(1, 70))
def test_the_highest_logits_come_in_order_of_rank(logits, count) -> None:
    ids = top_ids(logits, count)
    found = distribution(logits, DecodingSettings())
    assert [found.rank(int(i)) for i in ids] == list(range(1, min(count, logits.size) + 1))


def test_top_p_keeps_the_smallest_set_that_reaches_the_mass() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    for top_p, kept in ((0.49, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.99, 4)):
        assert distribution(logits, DecodingSettings(temperature=1.0, top_p=top_p)).kept == kept


def test_top_k_comes_before_top_p_and_temperature_before_both() -> None:
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    found = distribution(logits, DecodingSettings(temperature=1.0, top_k=2, top_p=0.5))
    assert found.kept == 1  # of the two that top-k leaves, 0.57 and 0.43, the first reaches a half
    hot = distribution(logits, DecodingSettings(temperature=2.0, top_k=2))
    assert hot.probabilities[0] / hot.probabilities[1] == pytest.approx(math.sqrt(0.4 / 0.3))


def test_equal_logits_are_cut_by_lowest_id() -> None:
    found = distribution(np.zeros(5, np.float32), DecodingSettings(temperature=1.0, top_k=2))
    assert np.flatnonzero(found.probabilities).tolist() == [0, 1]


def test_a_draw_depends_on_seed_position_and_number_alone() -> None:
    numbers = {uniform(seed, position, draw) for seed in range(5) for position in range(5) for draw in range(5)}
    assert len(numbers) == 125
    assert all(0 <= number < 1 for number in numbers)
    assert uniform(7, 13, 0) == uniform(7, 13, 0)


def test_draws_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    found = distribution(logits, settings := DecodingSettings(temperature=1.0, seed=3))
    counts = np.bincount([choose(found, settings, position).token_id for position in range(4000)], minlength=3)
    assert np.abs(counts / 4000 - [0.6, 0.3, 0.1]).max() < 0.025


@pytest.mark.parametrize("logits", [[np.nan, 1.0], [-np.inf, -np.inf], [np.inf, 0.0]])
def test_logits_that_are_no_numbers_are_an_error(logits) -> None:
    with pytest.raises(ProviderError):
        distribution(np.array(logits, np.float32), DecodingSettings())


def test_minus_infinity_is_a_token_that_cannot_come() -> None:
    logits = np.array([0.0, -np.inf, 0.0], np.float32)
    found = distribution(logits, DecodingSettings(temperature=1.0))
    assert found.probabilities.tolist() == [0.5, 0.0, 0.5]
    assert found.entropy_bits() == pytest.approx(1.0)


def test_a_temperature_next_to_zero_takes_the_likeliest() -> None:
    found = distribution(np.array([1.0, 3.0, 2.0], np.float32), DecodingSettings(temperature=5e-324))
    assert found.probabilities.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"seed": -1},
        {"seed": 2**63},
        {"max_tokens": 0},
        {"stop": ("",)},
    ],
)
def test_settings_out_of_range_are_refused_in_one_sentence(wrong) -> None:
    with pytest.raises(SettingsError) as caught:
        DecodingSettings(**wrong)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "\n" not in sentence
    assert caught.value.name in sentence

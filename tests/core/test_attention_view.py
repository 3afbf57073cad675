"""What is shown of one token's row, and when two looks are at the same."""

import numpy as np
import pytest

from canopy_desktop.exploration.attention_view import Looking, RowReading, look_of, row_view

TEXTS = ["When", " the", " student", " they", " was"]


def reading(query: int = 3) -> RowReading:
    weights = np.random.default_rng(0).random((3, 2, query + 1)).astype(np.float32)
    return RowReading(query=query, weights=weights / weights.sum(axis=-1, keepdims=True))


def test_a_head_is_looked_at_alone_and_a_mean_whatever_head_is_chosen() -> None:
    assert look_of(Looking.HEAD, 1, 0, False) != look_of(Looking.HEAD, 1, 1, False)
    assert look_of(Looking.MEAN, 1, 0, False) == look_of(Looking.MEAN, 1, 1, False)
    assert look_of(Looking.ROLLOUT, 0, 0, False) == look_of(Looking.ROLLOUT, 1, 1, False)


def test_a_row_is_that_of_its_head_with_the_strongest_link_first() -> None:
    row = row_view(reading(), look_of(Looking.HEAD, 1, 1, False), np.arange(5), TEXTS, 3)
    assert row is not None
    assert np.array_equal(row.weights, reading().weights[1, 1])
    assert [link.share for link in row.links] == sorted(row.weights.tolist(), reverse=True)
    assert row.links[0].text == TEXTS[int(row.weights.argmax())]
    assert (row.position, row.text, row.selected, row.largest) == (3, " they", True, float(row.weights.max()))


def test_the_mean_of_a_layer_is_that_of_its_heads() -> None:
    row = row_view(reading(), look_of(Looking.MEAN, 2, 0, False), np.arange(5), TEXTS, 3)
    assert row is not None
    assert row.weights == pytest.approx(reading().weights[2].mean(axis=0))


def test_a_hidden_first_token_is_no_link_and_the_rest_adds_up_to_one() -> None:
    row = row_view(reading(), look_of(Looking.HEAD, 0, 0, True), np.arange(5), TEXTS, 3)
    assert row is not None
    assert np.isnan(row.weights[0])
    assert np.nansum(row.weights) == pytest.approx(1.0)
    assert 0 not in [link.position for link in row.links]
    assert row.heads[:, :, 0].max() == 0
    assert row.heads.sum(axis=-1) == pytest.approx(np.ones((3, 2)))


def test_links_have_their_positions_in_the_text_also_after_a_slide() -> None:
    positions = np.array([0, 3, 4])
    row = row_view(reading(2), look_of(Looking.HEAD, 0, 0, False), positions, TEXTS, 2)
    assert row is not None
    assert {link.position: link.text for link in row.links} == {0: "When", 3: " they", 4: " was"}
    assert (row.position, row.selected) == (4, False)

"""All heads at once, held against transformers' attentions and the definitions."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.attention import without_first
from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.heads import Link, entropy_bits, strongest_links
from canopy_desktop.exploration.squares import Square
from tests.core.engine import prefill, session_of
from tests.reference import fixtures


@pytest.fixture
def read(built_fp32_model: Path):
    session, reference = session_of(built_fp32_model), fixtures.attentions()
    prefill(session, reference.ids)
    return session.new_reader(), session.sequence.slots.copy(), reference.weights


def test_where_a_token_looks_in_every_head_is_what_transformers_says(read) -> None:
    reader, slots, weights = read
    for query in (0, 1, 7, slots.size - 1):
        found = reader.all_heads(slots, query)
        assert np.abs(found - weights[:, :, query, : query + 1]).max() <= 1e-4


def test_the_overview_shows_the_brightest_cell_of_every_head(read) -> None:
    reader, slots, weights = read
    whole = reader.overview(slots, max_cells=slots.size, hide_first=False)
    assert np.abs(np.nan_to_num(whole) - weights).max() <= 1e-4
    small = reader.overview(slots, max_cells=4, hide_first=False)
    assert small.shape == (*weights.shape[:2], 4, 4)
    cell = -(-slots.size // 4)
    assert small[3, 2, 1, 0] == pytest.approx(weights[3, 2, cell : 2 * cell, :cell].max(), abs=1e-4)


def test_a_region_is_cut_from_the_whole(read) -> None:
    reader, slots, weights = read
    found = reader.attention_region(slots, 5, 3, rows=(6, 11), columns=(2, 9), hide_first=False)
    expected = weights[5, 3, 6:11, 2:9]
    assert np.abs(np.nan_to_num(found) - expected).max() <= 1e-4


def test_the_mean_of_a_layer_is_the_mean_of_its_heads(read) -> None:
    reader, slots, weights = read
    assert np.abs(reader.mean_of_layer(slots, 8) - weights[8].mean(axis=0)).max() <= 1e-4


def test_rollout_multiplies_the_layers_with_half_of_the_stream_passing_by(read) -> None:
    reader, slots, weights = read
    product = np.eye(slots.size)
    for layer in weights:
        product = (0.5 * layer.mean(axis=0) + 0.5 * np.eye(slots.size)) @ product
    found = reader.rollout(slots)
    assert found.sum(axis=1) == pytest.approx(np.ones(slots.size), abs=1e-4)
    assert np.abs(found - product).max() <= 1e-4
    row = reader.row(slots, 5, rollout=True)
    assert np.abs(row.flow - product[5, :6]).max() <= 1e-4


@pytest.mark.parametrize("hide_first", [False, True])
@pytest.mark.parametrize("head", [2, None])
@pytest.mark.parametrize("part", [None, Square(3, 1, 7), Square(4, 6, 3)])
def test_a_picture_of_a_head_or_of_a_layers_mean_is_what_transformers_says(
    read, head: int | None, hide_first: bool, part: Square | None
) -> None:
    reader, slots, weights = read
    exact = (weights[8].mean(axis=0) if head is None else weights[8, head]).copy()
    if hide_first:
        exact = without_first(exact)
    exact[np.triu_indices(len(exact), 1)] = np.nan
    if hide_first:
        exact[:, 0] = np.nan
    found = reader.picture(slots, Look(8, head, hide_first), part)
    square = found.square
    expected = exact[slice(*square.rows), slice(*square.columns)]
    assert np.allclose(found.values, expected, atol=1e-4, equal_nan=True)
    assert (found.cell, found.length, found.look) == (1, slots.size, Look(8, head, hide_first))


@pytest.mark.parametrize("look", [Look(8, 2, False), Look(8, None, True), Look(None, None, False)])
def test_a_small_picture_has_the_brightest_of_each_cell(read, look: Look) -> None:
    reader, slots, _ = read
    exact = reader.picture(slots, look, Square(1, 0, 12)).values
    small = reader.picture(slots, look, Square(1, 0, 12), max_cells=4)
    assert (small.cell, small.values.shape) == (3, (4, 4))
    for row in range(4):
        for column in range(4):
            block = exact[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            if np.isnan(block).all():
                assert np.isnan(small.values[row, column])
            else:
                assert small.values[row, column] == pytest.approx(np.nanmax(block), abs=1e-6)


def test_rollout_refuses_what_would_take_long(read) -> None:
    with pytest.raises(UsageError):
        read[0].rollout(np.arange(5000))


def test_the_strongest_links_come_first_and_equal_ones_by_layer_head_and_key() -> None:
    weights = np.array([[[0.1, 0.9], [0.5, 0.5]], [[0.9, 0.1], [0.3, 0.7]]], np.float32)
    found = strongest_links(weights, 4)
    assert found[:2] == (Link(0, 0, 1, found[0].weight), Link(1, 0, 0, found[1].weight))
    assert found[2] == Link(1, 1, 1, found[2].weight)
    assert found[3] == Link(0, 1, 0, 0.5)
    assert len(strongest_links(weights, 100)) == 8


def test_entropy_is_zero_for_one_position_and_the_logarithm_for_equal_ones() -> None:
    rows = np.array([[0, 1, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], np.float32)
    assert entropy_bits(rows).tolist() == [0.0, 2.0, 1.0]


def test_hiding_the_first_position_rescales_the_rest() -> None:
    rows = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
    assert without_first(rows).tolist() == [[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]

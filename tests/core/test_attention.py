"""Attention as it is drawn: cells, the hidden first token, and columns that are on the move."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration import attention
from canopy_desktop.exploration.attention import attention_cells, attention_rows
from canopy_desktop.exploration.heads import layer_weights
from canopy_desktop.model.card import LayerAttention
from tests.core.engine import one_by_one, prefill, session_of
from tests.reference import fixtures

PLAIN = LayerAttention(rope_base=10_000.0, rope_divisors=(), scale=0.25, window=None)


def vectors(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return tuple(random.normal(size=(2, count, 16)).astype(np.float32) * 2)


def plain(queries: np.ndarray, keys: np.ndarray, how: LayerAttention = PLAIN) -> np.ndarray:
    """The definition, in double precision."""
    scores = queries.astype(np.float64) @ keys.T.astype(np.float64) * how.scale
    scores[np.triu_indices(len(scores), 1)] = -np.inf
    if how.window is not None:
        scores[np.tril_indices(len(scores), -how.window)] = -np.inf
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("length", [1, 2, 37, 256, 257, 600])
def test_every_cell_is_softmax_of_scaled_scores_and_later_ones_are_not_a_number(length: int) -> None:
    queries, keys = vectors(length)
    found = attention_cells(queries, keys, PLAIN, cell=1, hide_first=False)
    later = np.triu(np.ones((length, length), bool), 1)
    assert np.isnan(found[later]).all()
    assert np.abs(np.nan_to_num(found) - plain(queries, keys)).max() < 1e-5


@pytest.mark.parametrize("cell", [2, 3, 14])
def test_a_cell_of_several_positions_shows_the_brightest_of_them(cell: int) -> None:
    queries, keys = vectors(601)
    exact = plain(queries, keys)
    found = attention_cells(queries, keys, PLAIN, cell=cell, hide_first=False)
    assert found.shape == (-(-601 // cell),) * 2
    for row, column in ((0, 0), (5, 2), (found.shape[0] - 1, 1), (found.shape[0] - 1, found.shape[0] - 1)):
        block = exact[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        assert found[row, column] == pytest.approx(block.max(), abs=1e-5)


def test_hiding_the_first_token_rescales_the_rest_of_each_row_to_one() -> None:
    queries, keys = vectors(40)
    found = attention_cells(queries, keys, PLAIN, cell=1, hide_first=True)
    assert np.isnan(found[:, 0]).all()
    assert np.nansum(found[1:], axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("hide_first", [False, True])
@pytest.mark.parametrize("cell", [1, 3, 7])
@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 90), (0, 90)), ((40, 71), (0, 33)), ((20, 60), (31, 55)), ((5, 9), (50, 90))]
)
def test_a_region_shows_the_same_probabilities_as_the_whole(rows, columns, cell: int, hide_first: bool) -> None:
    queries, keys = vectors(90)
    exact = plain(queries, keys)
    if hide_first:
        exact[:, 0] = 0.0
        exact[1:] /= exact[1:].sum(axis=1, keepdims=True)
    shown = (columns[0], min(columns[1], rows[1]))
    found = attention_cells(
        queries[rows[0] : rows[1]], keys[: rows[1]], PLAIN, first=rows[0], columns=shown, cell=cell,
        hide_first=hide_first,
    )  # fmt: skip
    for line in range(found.shape[0]):
        for column in range(found.shape[1]):
            below = slice(rows[0] + line * cell, min(rows[0] + (line + 1) * cell, rows[1]))
            right = slice(columns[0] + column * cell, min(columns[0] + (column + 1) * cell, columns[1], rows[1]))
            alone = hide_first and cell == 1 and right.start == 0
            if right.start > below.stop - 1 or alone:
                assert np.isnan(found[line, column])
            else:
                assert found[line, column] == pytest.approx(exact[below, right].max(), abs=1e-5)


@pytest.mark.parametrize("window", [1, 4, 33, 90, 200])
@pytest.mark.parametrize("cell", [1, 3])
@pytest.mark.parametrize(("rows", "columns"), [((0, 90), (0, 90)), ((40, 71), (0, 33)), ((20, 60), (31, 55))])
def test_a_window_hides_what_lies_before_it_in_every_region(window: int, cell: int, rows, columns) -> None:
    queries, keys = vectors(90)
    how = replace(PLAIN, window=window, scale=0.1)
    exact = plain(queries, keys, how)
    found = attention_cells(
        queries[rows[0] : rows[1]], keys[: rows[1]], how, first=rows[0], columns=columns, cell=cell
    )  # fmt: skip
    for line in range(found.shape[0]):
        for column in range(found.shape[1]):
            below = slice(rows[0] + line * cell, min(rows[0] + (line + 1) * cell, rows[1]))
            right = slice(columns[0] + column * cell, min(columns[0] + (column + 1) * cell, columns[1]))
            if right.start <= below.stop - 1:
                assert found[line, column] == pytest.approx(exact[below, right].max(), abs=1e-5)
    assert np.abs(attention_rows(queries[40:50], keys[:50], 40, how) - exact[40:50, :50]).max() < 1e-5
    alone = layer_weights(queries[49:50], keys[None, :50], how)[0]
    assert np.abs(alone - exact[49, :50]).max() < 1e-5
    assert (alone[: max(0, 50 - window)] == 0).all()


@pytest.mark.parametrize("cell", [1, 3])
def test_two_threads_compute_the_same_bits(monkeypatch: pytest.MonkeyPatch, cell: int) -> None:
    queries, keys = vectors(900)

    def cells() -> FloatArray:
        return attention_cells(queries[200:], keys, PLAIN, first=200, columns=(100, 700), cell=cell)

    alone = cells()
    monkeypatch.setattr(attention, "FEW_SCORES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert np.array_equal(cells(), alone, equal_nan=True)


def test_rows_in_the_middle_of_a_text_see_nothing_later() -> None:
    queries, keys = vectors(40)
    rows = attention_rows(queries[10:13], keys, 10, PLAIN)
    assert (rows[0, 11:] == 0).all()
    assert np.abs(rows - plain(queries, keys)[10:13]).max() < 1e-5


def test_attention_of_a_left_branch_is_what_it_was(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids
    prefill(session, ids[:30])
    one_by_one(session, ids[30:40])
    branch = session.sequence.slots.copy()
    reader = session.new_reader()
    before = reader.attention(branch, 3, 7, hide_first=False)
    session.sequence.go_to(branch[:20])
    one_by_one(session, ids[50:60])
    after = session.new_reader().attention(branch, 3, 7, hide_first=False)
    assert before is not None
    assert after is not None
    assert np.array_equal(before.values, after.values, equal_nan=True)


@pytest.mark.parametrize("hide_first", [False, True])
@pytest.mark.parametrize("max_cells", [600, 15])
def test_attention_that_grows_with_the_text_is_the_attention_of_the_whole_text(
    built_model: Path, hide_first: bool, max_cells: int
) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids
    prefill(session, ids[:30])
    growing = session.new_reader()
    for position in range(30, 44):
        growing.attention(session.sequence.slots.copy(), 3, 7, hide_first=hide_first, max_cells=max_cells)
        one_by_one(session, ids[position : position + 1 + position % 3])
    slots = session.sequence.slots.copy()
    grown = growing.attention(slots, 3, 7, hide_first=hide_first, max_cells=max_cells)
    whole = session.new_reader().attention(slots, 3, 7, hide_first=hide_first, max_cells=max_cells)
    assert grown is not None
    assert whole is not None
    assert np.allclose(grown.values, whole.values, atol=1e-6, equal_nan=True)
    again = growing.attention(slots, 3, 7, hide_first=hide_first, max_cells=max_cells)
    assert again is not None
    assert np.array_equal(again.values, grown.values, equal_nan=True)
    other = growing.attention(slots[:20], 3, 8, hide_first=hide_first, max_cells=20)
    assert other is not None
    assert other.values.shape == (20, 20)


def test_columns_of_a_forgotten_exploration_are_not_read(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("prose").ids
    prefill(session, ids[:30])
    slots = session.sequence.slots.copy()
    prefill(session, ids[100:140])
    reader = session.new_reader()
    assert reader.attention(slots, 0, 0, hide_first=False) is None
    assert reader.decision(int(slots[3]), DecodingSettings(), History(), 4, shown=10) is None
    assert reader.draws(int(slots[3]), DecodingSettings(), History(), count=5, listed=10) is None
    assert reader.surprisal(slots, ids, 0, 20) is None


def test_surprisal_of_a_prompt_is_what_its_logits_say(built_model: Path) -> None:
    session, reference = session_of(built_model), fixtures.prompt_logits("student")
    prefill(session, reference.ids)
    slots, reader = session.sequence.slots.copy(), session.new_reader()
    bits = reader.surprisal(slots, reference.ids, 0, len(reference.ids))
    assert bits is not None
    assert np.isnan(bits[0])
    for position in range(1, len(reference.ids)):
        slot, came = int(slots[position - 1]), reference.ids[position]
        decision = reader.decision(slot, DecodingSettings(), History(), position, shown=10, also=(came,))
        assert decision is not None
        (token,) = [token for token in decision.tokens if token.token_id == came]
        assert bits[position] == pytest.approx(-token.raw_logprob / np.log(2), abs=1e-3)
    parts = [reader.surprisal(slots, reference.ids, first, first + 4) for first in (0, 4, 8)]
    assert np.concatenate(parts) == pytest.approx(bits[:12], abs=1e-4, nan_ok=True)

"""What is shown of the lens: one cell's list, and the columns in sight in their order."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.errors import ColumnsGoneError
from canopy_desktop.exploration.lens import lens_grid
from canopy_desktop.exploration.lens_view import (
    LensColumn,
    LensReadings,
    LensWish,
    cell_of,
    lens_view,
    wanted_cell,
    wanted_columns,
)
from canopy_desktop.exploration.records import Kept
from canopy_desktop.model.tokenizer import Token
from tests.core.engine import prefill, session_of
from tests.reference import fixtures

POSITIONS = np.array([0, 1, 6, 7, 8, 9])  # 2 to 5 have left the window
SLOTS = np.array([10, 11, 36, 37, 38, 39])
TOKENS = tuple(Token(at, f"t{at}", b"", False) for at in range(11))


def test_a_cell_lists_what_is_likeliest_and_the_token_that_came_wherever_it_stands() -> None:
    logits = np.array([0.0, 3.0, 1.0, 3.0, -2.0], np.float32)
    cell = cell_of(logits, LensWish(0, 0, 4), count=2)
    assert [(one.token_id, one.rank) for one in cell.likeliest] == [(1, 1), (3, 2)]
    assert [(one.token_id, one.rank) for one in cell.listed] == [(1, 1), (3, 2), (4, 5)]
    exact = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum()
    assert [one.probability for one in cell.listed] == pytest.approx(exact[[1, 3, 4]])
    assert cell_of(logits, LensWish(0, 0, 3), count=2).came == cell.likeliest[1]


def test_no_more_are_listed_than_there_are_tokens() -> None:
    assert len(cell_of(np.zeros(3, np.float32), LensWish(0, 0, None)).listed) == 3


def test_the_column_that_decided_the_selected_token_is_asked_for_first_and_those_out_of_sight_never() -> None:
    assert wanted_columns(SLOTS, POSITIONS, 8, range(6, 10)).tolist() == [37, 36, 38, 39]
    assert wanted_columns(SLOTS, POSITIONS, 8, range(0)).size == 0


def test_a_cell_is_of_the_column_before_the_selected_token() -> None:
    ids = [token.id for token in TOKENS]
    assert wanted_cell(SLOTS, POSITIONS, ids, 7, 2) == LensWish(36, 2, 7)
    assert wanted_cell(SLOTS, POSITIONS, ids, 6, 2) is None  # 5 has left the window
    assert wanted_cell(SLOTS, POSITIONS, ids, 0, 2) is None


def test_a_view_shows_the_list_of_its_own_cell_alone() -> None:
    column = LensColumn(np.zeros(3, np.int64), np.ones(3, np.float32))
    cell = cell_of(np.arange(20, dtype=np.float32), LensWish(36, 2, 7))
    readings = LensReadings(columns={36: column}, cell=cell)
    view = lens_view(SLOTS, POSITIONS, TOKENS, 7, 2, readings)
    assert (view.selected, view.cell) == (2, cell)
    assert view.columns == (None, None, column, None, None, None)
    assert [token.text for token in view.read] == ["t0", "t1", "t6", "t7", "t8", "t9"]
    assert [token.id if token else None for token in view.came] == [1, 2, 7, 8, 9, 10]
    assert lens_view(SLOTS, POSITIONS, TOKENS, 7, 1, readings).cell is None
    assert lens_view(SLOTS, POSITIONS, TOKENS[:10], 9, 1, readings).came[-1] is None


def test_a_reader_gives_the_grid_s_columns_and_the_exact_list_of_a_cell(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.prompt_logits("france").ids
    prefill(session, ids)
    slots, reader = session.sequence.slots, session.new_reader()
    columns = reader.lens(slots[2:4])
    grid = lens_grid(session.sequence.columns, slots, session.head, [*ids[1:], None])
    assert columns is not None
    for column, place in zip(columns, (2, 3), strict=True):
        assert np.array_equal(column.token_ids, grid.token_ids[:, place])
        assert column.probabilities == pytest.approx(grid.probabilities[:, place])
    cell = reader.lens_cell(LensWish(int(slots[3]), 17, ids[4]))
    assert cell is not None
    assert cell.came is not None
    assert cell.likeliest[0].token_id == grid.token_ids[17, 3]
    assert cell.likeliest[0].probability == pytest.approx(grid.probabilities[17, 3], rel=1e-4)
    assert cell.came.rank == grid.ranks[17, 3]


def test_residuals_that_made_room_are_said_to_be_gone(built_model: Path) -> None:
    session = session_of(built_model)
    prefill(session, fixtures.prompt_logits("prose").ids[:70])  # the block that is being filled stays
    sequence, reader = session.sequence, session.new_reader()
    sequence.columns.evict(10**9, np.empty(0, np.int64))
    with pytest.raises(ColumnsGoneError) as caught:
        reader.lens(sequence.slots[:2])
    assert caught.value.what == Kept.RESIDUALS.value
    assert reader.lens_cell(LensWish(int(sequence.slots[0]), 30, None)) is not None  # the last is never gone

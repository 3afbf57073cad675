"""Zooming and moving within a picture, whatever is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.exploration.squares import Square, clamped, containing, moved, zoomed

LENGTHS = st.integers(1, 9000)
PLACES = st.integers(-9000, 9000)


@given(PLACES, PLACES, PLACES, LENGTHS)
def test_a_square_stays_within_the_window(top: int, left: int, span: int, length: int) -> None:
    square = clamped(Square(top, left, span), length)
    assert 1 <= square.span <= length
    assert 0 <= square.top <= length - square.span
    assert 0 <= square.left <= length - square.span


@given(LENGTHS, st.floats(0, 1), st.floats(0, 1))
def test_zooming_in_leads_from_the_whole_context_to_the_one_cell_under_the_mouse(
    length: int, down: float, across: float
) -> None:
    row, column = min(int(down * length), length - 1), min(int(across * length), length - 1)
    square = Square(0, 0, length)
    for _ in range(60):
        square = zoomed(square, 1.5, row + 0.5, column + 0.5, length)
    assert square == Square(row, column, 1)


@given(LENGTHS, st.integers(1, 9000))
def test_zooming_out_leads_back_to_the_whole_context(length: int, span: int) -> None:
    square = clamped(Square(length // 2, length // 3, span), length)
    for _ in range(60):
        square = zoomed(square, 1 / 1.5, 0.5, 0.5, length)
    assert square == Square(0, 0, length)


def test_the_point_under_the_mouse_stays_there() -> None:
    square = zoomed(Square(1000, 2000, 800), 2.0, 1200, 2600, 8000)
    assert square == Square(1100, 2300, 400)
    assert (1200 - square.top) / square.span == (1200 - 1000) / 800


@pytest.mark.parametrize(("rows", "columns", "found"), [(3, -2, (13, 3)), (-90, 90, (0, 80))])
def test_moving_ends_at_the_border(rows: int, columns: int, found: tuple[int, int]) -> None:
    square = moved(Square(10, 5, 20), rows, columns, 100)
    assert (square.top, square.left, square.span) == (*found, 20)


def test_a_cell_out_of_sight_is_brought_in_with_the_least_movement() -> None:
    assert containing(Square(10, 10, 5), 12, 13, 40) == Square(10, 10, 5)
    assert containing(Square(10, 10, 5), 15, 9, 40) == Square(11, 9, 5)

"""The attention matrix: its colours, its geometry and its labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtGui import QColor

from canopy_desktop.exploration.squares import Square, brightest
from canopy_ui.theme import theme_named
from canopy_ui.widgets.matrix_axes import axis_text, tick_step, ticks
from canopy_ui.widgets.matrix_geometry import MatrixGeometry, fitted, room_for
from canopy_ui.widgets.matrix_image import by_row, colour_table, image_of
from tests.ui.support import attention

THEME = theme_named("light")
TABLE = colour_table(THEME)


def test_a_cell_that_is_not_known_is_left_open_and_never_drawn_as_zero() -> None:
    image = image_of(np.array([[0.0, np.nan], [0.5, 1.0]], np.float32), TABLE)
    assert [image.pixelColor(x, y).alpha() for y in range(2) for x in range(2)] == [255, 0, 255, 255]


def test_the_ends_of_the_scale_have_the_themes_colours() -> None:
    image = image_of(np.array([[0.0, 1.0]], np.float32), TABLE)
    assert image.pixelColor(0, 0) == QColor(THEME.attention_low)
    assert image.pixelColor(1, 0) == QColor(THEME.attention_high)


def test_the_same_value_has_the_same_colour_whatever_stands_beside_it() -> None:
    alone = image_of(np.array([[0.3, 0.0]], np.float32), TABLE)
    beside = image_of(np.array([[0.3, 1.0]], np.float32), TABLE)
    assert alone.pixelColor(0, 0) == beside.pixelColor(0, 0)


def test_a_bright_cell_survives_where_cells_outnumber_pixels() -> None:
    values = np.zeros((7, 7), np.float32)
    values[5, 2] = 0.9
    values[0, 1:] = np.nan
    small = brightest(values, 3)
    assert small.shape == (3, 3)
    assert small[1, 0] == np.float32(0.9)
    assert np.isnan(small[0, 1:]).sum() == 0  # rows 1 and 2 are known there


def test_cells_that_are_all_unknown_stay_unknown_when_reduced() -> None:
    values = np.full((4, 4), np.nan, np.float32)
    values[3, 0] = 0.2
    assert np.isnan(brightest(values, 2)[0, 1])


def test_scaled_by_row_the_largest_of_each_row_has_the_full_colour_and_nothing_else_moves() -> None:
    values = np.array([[0.5, np.nan], [0.1, 0.4], [0.0, 0.0]], np.float32)
    found = by_row(values)
    assert np.array_equal(found, np.array([[1.0, np.nan], [0.25, 1.0], [0.0, 0.0]], np.float32), equal_nan=True)
    assert values[0, 0] == np.float32(0.5)


def whole(width: int, height: int, cells: int) -> MatrixGeometry:
    return fitted(width, height, Square(0, 0, cells), room=room_for(cells))


def test_growing_by_one_token_moves_nothing_until_the_room_is_full() -> None:
    assert len({whole(370, 240, cells).pitch for cells in range(33, 41)}) == 1


@pytest.mark.parametrize("cells", [1, 5, 14, 31, 512, 600])
@pytest.mark.parametrize("size", [(370, 200), (140, 110), (900, 900)])
def test_the_matrix_stays_inside_its_widget(cells: int, size: tuple[int, int]) -> None:
    area = whole(*size, cells).area()
    assert area.left() >= 0
    assert area.right() <= size[0]
    assert area.bottom() <= size[1]


def test_tokens_stand_at_the_axes_only_where_rows_are_high_enough_for_type_of_15_pixels() -> None:
    roomy, tight, narrow = whole(600, 500, 20), whole(600, 340, 20), whole(370, 200, 40)
    assert (roomy.row_tokens, roomy.column_tokens) == (True, True)
    assert (tight.row_tokens, tight.column_tokens) == (True, False)
    assert (narrow.row_tokens, narrow.column_tokens) == (False, False)


def test_a_point_in_a_cell_finds_that_cell() -> None:
    for geometry in (whole(370, 240, 14), fitted(370, 240, Square(40, 30, 14), room=14)):
        cell = geometry.square.top + 9, geometry.square.left + 4
        assert geometry.place_at(geometry.cell(*cell).center()) == cell
        assert geometry.query_at(geometry.cell(*cell).center()) == cell[0]
        row, column = geometry.point_at(geometry.cell(*cell).center())
        assert (row, column) == pytest.approx((cell[0] + 0.5, cell[1] + 0.5))


@pytest.mark.parametrize("cells", range(1, 700, 13))
def test_there_is_room_for_all_cells(cells: int) -> None:
    assert room_for(cells) >= cells


@pytest.mark.parametrize(("length", "pitch", "step"), [(14, 12.0, 2), (8192, 0.02, 1000), (40, 20.0, 1)])
def test_figures_at_an_axis_keep_their_distance(length: int, pitch: float, step: int) -> None:
    assert tick_step(length, pitch, 18.0) == step


def test_an_axis_leaves_the_leading_space_out_but_never_a_whole_token() -> None:
    view = attention(3)
    assert axis_text(view, 1) == "the"
    spaces = replace(attention(4), tokens=(" ", "\n", "a", ""), positions=np.array([0, 1, 2, 9]))
    assert [axis_text(spaces, row) for row in range(4)] == ["·", "↵", "a", "[9]"]


def test_figures_at_an_axis_stand_at_round_positions_of_the_text_also_after_a_slide() -> None:
    assert ticks(np.arange(25), 10) == [0, 10, 20]
    after_slide = np.array([*range(12), *range(28, 52)])
    assert [int(after_slide[row]) for row in ticks(after_slide, 10)] == [0, 10, 40, 50]

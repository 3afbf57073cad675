"""The attention panel: what it says, and what can be chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.attention_view import AttentionView, GoneColumns, Look, Looking, MissingToken
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.squares import Square
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.qt_models.heads_table import HeadsTable
from canopy_ui.qt_models.links_table import LinksTable
from canopy_ui.theme import apply_theme, theme_named
from canopy_ui.widgets.heads_grid import HeadsGrid, strips, strongest_at
from canopy_ui.widgets.tiles import Tiles
from tests.support.whole_window import hover, leave
from tests.ui.support import attention, row_of


@pytest.fixture
def panel(qtbot: QtBot) -> AttentionPanel:
    panel = AttentionPanel(theme_named("light"))
    panel.resize(370, 360)
    qtbot.addWidget(panel)
    panel.show()
    panel.set_model(30, 9)
    panel.set_selected(13, 8, True)
    return panel


def test_the_title_names_layer_head_and_what_is_hidden(panel: AttentionPanel) -> None:
    assert panel.title() == "layer 13 · head 8 · first token hidden"


def test_another_head_is_asked_for_by_its_numbers(panel: AttentionPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.head_selected) as head:
        panel._head.setValue(2)
    assert head.args == [13, 2]


def test_a_choice_that_is_shown_is_not_asked_for_again(panel: AttentionPanel, qtbot: QtBot) -> None:
    with (
        qtbot.assertNotEmitted(panel.head_selected),
        qtbot.assertNotEmitted(panel.hide_first_toggled),
        qtbot.assertNotEmitted(panel.looking_chosen),
    ):
        panel.set_selected(3, 4, False, Looking.MEAN)
    assert panel.title() == "layer 3 · mean of the heads"


def test_the_value_under_the_mouse_is_worded(panel: AttentionPanel) -> None:
    panel.set_attention(attention(), pending=False)
    panel._matrix.cell_hovered.emit((7, 2))
    assert panel._value.whole_text().startswith("they → student: ")
    assert panel._value.whole_text().endswith(" % of the rest")


def test_a_later_token_is_said_to_come_later(panel: AttentionPanel) -> None:
    panel.set_attention(attention(), pending=False)
    panel._matrix.cell_hovered.emit((2, 7))
    assert panel._value.whole_text() == "student → they: comes later, cannot be looked at"


def test_the_first_token_is_said_to_be_hidden(panel: AttentionPanel) -> None:
    panel.set_attention(attention(), pending=False)
    panel._matrix.cell_hovered.emit((7, 0))
    assert panel._value.whole_text() == "they → When: hidden"


def test_a_cell_of_many_positions_gives_its_maximum(panel: AttentionPanel) -> None:
    panel.set_selected(13, 8, False)
    panel.set_attention(attention(64, cell=4, hide_first=False), pending=False)
    panel._matrix.cell_hovered.emit((41, 8))
    assert panel._value.whole_text().startswith("positions 40–43 → 8–11: at most ")


def test_a_reading_of_another_head_is_said_to_be_computed_still(panel: AttentionPanel) -> None:
    panel.set_attention(attention(), pending=False)
    panel._layer.setValue(2)
    assert panel._value.whole_text() == "computing …"


def test_a_click_selects_the_query(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(), pending=False)
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    with qtbot.waitSignal(panel.position_selected) as selected:
        qtbot.mouseClick(panel._matrix, Qt.MouseButton.LeftButton, pos=geometry.cell(9, 3).center().toPoint())
    assert selected.args == [9]


def test_a_click_on_a_cell_of_many_positions_selects_the_last_of_them(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(62, cell=4, selected=3), pending=False)
    with qtbot.waitSignal(panel.position_selected) as selected:
        panel._matrix._select(60)
    assert selected.args == [61]


@pytest.mark.parametrize(("key", "position"), [(Qt.Key.Key_Up, 6), (Qt.Key.Key_Down, 8)])
def test_arrow_keys_select_the_query(panel: AttentionPanel, qtbot: QtBot, key: Qt.Key, position: int) -> None:
    panel.set_attention(attention(selected=7), pending=False)
    with qtbot.waitSignal(panel.position_selected) as selected:
        qtbot.keyClick(panel._matrix, key)
    assert selected.args == [position]


def test_a_token_newer_than_the_reading_is_said_to_be_unread_and_the_reading_shows(panel: AttentionPanel) -> None:
    view = replace(attention(14, selected=None), missing=MissingToken(text="\ufffd", position=14, dropped=False))
    panel.set_attention(view, pending=True)
    assert panel._value.whole_text() == "“[14]” has not been read yet: it is new"
    panel._matrix.cell_hovered.emit((13, 12))
    panel.grab()
    assert panel._value.whole_text().startswith("was → student: ")


def test_a_token_that_was_dropped_is_said_to_be_out_of_the_window(panel: AttentionPanel) -> None:
    view = replace(attention(14, selected=None), missing=MissingToken(text=" exam", position=5, dropped=True))
    panel.set_attention(view, pending=False)
    assert panel._value.whole_text() == "“exam” is no longer in the window"


def test_rows_are_named_and_picked_by_their_place_in_the_text(panel: AttentionPanel, qtbot: QtBot) -> None:
    view = attention(14, selected=None)
    positions = np.array([0, 1, *range(20, 32)])
    panel.set_attention(replace(view, positions=positions, tokens=("",) * 14), pending=False)
    panel._matrix.cell_hovered.emit((13, 2))
    assert panel._value.whole_text().startswith("[31] → [20]: ")
    with qtbot.waitSignal(panel.position_selected) as picked:
        panel._matrix._select(2)
    assert picked.args == [20]
    panel.grab()


def test_a_head_that_is_remembered_shows_before_there_is_a_model(qtbot: QtBot) -> None:
    panel = AttentionPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.set_selected(12, 7, False)
    assert panel.title() == "layer 12 · head 7"


def test_numbers_in_spin_boxes_follow_the_zoom(qtbot: QtBot, qapp: QApplication) -> None:
    apply_theme(qapp, theme_named("light"))
    panel = AttentionPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.show()
    apply_theme(qapp, theme_named("light", 2.0))
    panel.set_theme(theme_named("light", 2.0))
    assert panel._layer.lineEdit().font().pixelSize() == 26
    qapp.setStyleSheet("")


def test_queries_that_made_room_are_told_and_can_be_asked_for(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(None, pending=True, gone=GoneColumns(kind=Kept.QUERIES, tokens=1412))
    assert panel._page.text() == "The queries of 1,412 of these tokens made room for newer ones."
    offer = panel._page.findChild(QPushButton)
    assert offer is not None
    assert offer.text() == "Compute again"
    with qtbot.waitSignal(panel.compute_again_requested):
        qtbot.mouseClick(offer, Qt.MouseButton.LeftButton)
    panel.set_attention(None, pending=True)
    assert panel._page.text().startswith("Computing")
    assert not offer.isVisible()


def test_the_strongest_links_are_a_table_that_can_be_copied(panel: AttentionPanel) -> None:
    row = row_of()
    panel.set_attention(attention(), pending=False, row=row)
    lines = panel._table.copied_text().splitlines()
    assert lines[0] == "looks at\tposition\tof the rest"
    assert lines[1] == f"·student\t2\t{100 * row.largest:.1f} %"
    assert len(lines) == 1 + 7  # "they" sees seven tokens beside the hidden first


def test_the_table_of_links_keeps_the_rules_of_item_models(qtmodeltester: ModelTester) -> None:
    model = LinksTable()
    qtmodeltester.check(model)
    model.set_row(row_of())
    qtmodeltester.check(model)


def test_a_link_that_is_activated_selects_the_token_that_is_looked_at(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(), pending=False, row=row_of())
    with qtbot.waitSignal(panel.position_selected) as selected:
        panel._table.activated.emit(panel._links.index(0, 0))
    assert selected.args == [2]


def test_a_row_is_wished_for_while_the_table_or_all_heads_are_shown(panel: AttentionPanel, qtbot: QtBot) -> None:
    for name in ("links", "all heads"):
        with qtbot.waitSignal(panel.row_shown) as shown:
            panel._shown.setCurrentIndex(panel._shown.findText(name))
        assert shown.args == [True]
    with qtbot.waitSignal(panel.row_shown) as shown:
        panel._shown.setCurrentIndex(0)
    assert shown.args == [False]


def test_a_wide_panel_shows_heads_matrix_and_links_side_by_side(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(), pending=False)
    assert not panel._table.isVisible()
    with qtbot.waitSignal(panel.row_shown) as shown:
        panel.resize(900, 400)
    assert shown.args == [True]
    assert panel._table.isVisible()
    assert panel._matrix.isVisible()
    assert panel._heads.isVisible()
    assert not panel._shown.isVisible()


@pytest.mark.parametrize(
    ("looking", "title", "layer", "head"),
    [
        (Looking.MEAN, "layer 13 · mean of the heads · first token hidden", True, False),
        (Looking.ROLLOUT, "rollout through all layers · first token hidden", False, False),
    ],
)
def test_what_is_looked_at_is_chosen_in_the_menu_and_named(
    panel: AttentionPanel, qtbot: QtBot, looking: Looking, title: str, layer: bool, head: bool
) -> None:
    action = next(action for action in panel._menu._looking.actions() if action.data() is looking)
    with qtbot.waitSignal(panel.looking_chosen) as chosen:
        action.trigger()
    assert chosen.args == [looking]
    assert panel.title() == title
    assert (panel._layer.isEnabled(), panel._head.isEnabled()) == (layer, head)
    assert panel._note.isVisible() is (looking is Looking.ROLLOUT)


def test_the_first_token_is_hidden_by_the_menu_and_the_title_says_so(panel: AttentionPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.hide_first_toggled) as toggled:
        panel._menu.hide_first.trigger()
    assert toggled.args == [False]
    assert panel.title() == "layer 13 · head 8"


def test_the_scale_is_named_and_its_full_colour_is_the_largest_of_each_row(panel: AttentionPanel) -> None:
    view = attention(hide_first=False)
    panel.set_selected(13, 8, False)
    panel.set_attention(view, pending=False)
    assert panel._legend.text() == "100 %"
    panel._menu.by_row.trigger()
    assert panel._legend.text() == "row's largest"
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    key = int(np.nanargmax(view.reading.values[9]))
    picture = panel._matrix.grab().toImage()
    assert picture.pixelColor(geometry.cell(9, key).center().toPoint()) == QColor(panel._matrix._theme.attention_high)


def test_each_strip_of_the_grid_has_the_largest_value_of_its_part_of_the_text() -> None:
    heads = np.random.default_rng(0).random((2, 3, 10)).astype(np.float32)
    small = strips(heads, 3)
    assert small[1, 2].tolist() == [heads[1, 2, :3].max(), heads[1, 2, 3:6].max(), heads[1, 2, 6:].max()]
    assert strips(heads, 20)[0, 0, ::2].tolist() == heads[0, 0].tolist()


def test_a_click_on_a_strip_chooses_its_layer_and_head(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel._shown.setCurrentIndex(1)
    panel.set_selected(13, 8, True, Looking.MEAN)
    panel.set_attention(attention(), pending=False, row=row_of())
    geometry = panel._heads.grid.geometry_of_grid()
    assert geometry is not None
    with qtbot.waitSignals([panel.looking_chosen, panel.head_selected]):
        qtbot.mouseClick(panel._heads.grid, Qt.MouseButton.LeftButton, pos=geometry.strip(4, 6).center().toPoint())
    assert panel.look() == Look(4, 6, True)
    panel.grab()


@pytest.mark.parametrize(
    ("key", "look"),
    [
        (Qt.Key.Key_Up, Look(12, 8, True)),
        (Qt.Key.Key_Down, Look(14, 8, True)),
        (Qt.Key.Key_Left, Look(13, 7, True)),
        (Qt.Key.Key_Right, Look(13, 8, True)),
    ],
)
def test_arrow_keys_move_from_head_to_head(panel: AttentionPanel, qtbot: QtBot, key: Qt.Key, look: Look) -> None:
    panel.set_attention(attention(), pending=False, row=row_of())
    qtbot.keyClick(panel._heads.grid, key)
    assert panel.look() == look


def test_a_head_under_the_mouse_says_where_it_looks_most(panel: AttentionPanel) -> None:
    row = row_of()
    panel.set_attention(attention(), pending=False, row=row)
    panel._heads.grid.place_hovered.emit((13, 8, 2))
    share = 100 * float(row.heads[13, 8, 2])
    most = f"layer 13 · head 8: they → student, {share:.1f} % of the rest"
    assert panel._value.whole_text() == most
    panel._heads.grid.place_hovered.emit((13, 8, 3))
    share = 100 * float(row.heads[13, 8, 3])
    assert panel._value.whole_text() == f"{most}; here → finished, {share:.1f} % of the rest"


def test_a_place_in_a_strip_of_heads_is_a_token_and_where_several_share_it_the_brightest(panel: AttentionPanel) -> None:
    weights = np.array([0.1, 0.2, 0.05, 0.3, 0.35], np.float32)
    assert [strongest_at(weights, share, 10) for share in (0.0, 0.1, 0.19, 0.2, 0.99, 1.0)] == [0, 0, 0, 1, 4, 4]
    assert [strongest_at(weights, share, 2) for share in (0.0, 0.49, 0.5, 1.0)] == [1, 1, 4, 4]
    told: list[object] = []
    panel.position_hovered.connect(told.append)
    row = row_of()
    panel.set_attention(attention(), pending=False, row=row)
    grid = panel._heads.grid
    grid.resize(900, 700)
    geometry = grid.geometry_of_grid()
    assert geometry is not None
    strip = geometry.strip(13, 8)
    for position in (0, 4, 7):
        hover(grid, QPointF(strip.left() + (position + 0.5) / 8 * strip.width(), strip.center().y()))
    leave(grid)
    assert told == [0, 4, 7, None]


def test_a_lit_token_has_a_tick_below_its_place_in_every_strip(qtbot: QtBot) -> None:
    grid = HeadsGrid(theme_named("light"))
    qtbot.addWidget(grid)
    grid.resize(900, 700)
    grid.set_row(row_of(), Look(13, 8, True))
    grid.set_lit(3)
    ticks = grid._ticks()
    geometry = grid.geometry_of_grid()
    assert geometry is not None
    assert [len(column) for column in ticks] == [30] * 9
    ink, image = QColor(theme_named("light").text), grid.grab().toImage()
    for head, column in enumerate(ticks):
        for layer, tick in enumerate(column):
            strip = geometry.strip(layer, head)
            assert (tick.center().x() - strip.left()) / strip.width() == pytest.approx(3.5 / 8, abs=0.5 / strip.width())
            assert abs(tick.top() - strip.bottom()) <= 0.5
            assert abs(tick.bottom() - strip.top() - geometry.height) <= 1.0
            assert image.pixelColor(tick.center().toPoint()) == ink
    grid.set_lit(8)  # it comes after the token that looks
    assert grid._ticks() == []


def part_of(view: AttentionView, part: Square) -> AttentionView:
    values = view.reading.values[slice(*part.rows), slice(*part.columns)].copy()
    return replace(view, reading=replace(view.reading, values=values, part=part), whole=view.reading)


def wheel(panel: AttentionPanel, cell: tuple[int, int], notches: int) -> None:
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    point = geometry.cell(*cell).center()
    event = QWheelEvent(
        point,
        QPointF(panel._matrix.mapToGlobal(point.toPoint())),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    panel._matrix.wheelEvent(event)


def test_the_wheel_zooms_to_the_one_cell_under_the_mouse_and_back_to_the_whole(
    panel: AttentionPanel, qtbot: QtBot
) -> None:
    panel.set_attention(attention(), pending=False)
    for _ in range(14):
        wheel(panel, (9, 4), 2)
    assert panel._matrix._part == Square(9, 4, 1)
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    assert geometry.pitch > 100
    with qtbot.waitSignal(panel.part_changed) as changed:
        qtbot.keyClick(panel._matrix, Qt.Key.Key_0)
    assert changed.args == [None]


def test_the_last_picture_is_scaled_at_once_and_says_so_until_the_exact_one_is_there(panel: AttentionPanel) -> None:
    view = attention(selected=None)
    panel.set_attention(view, pending=False)
    assert panel._matrix.exact()
    wheel(panel, (9, 4), 3)
    part = panel._matrix._part
    assert part is not None
    assert not panel._matrix.exact()
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    scaled = panel._matrix.grab().toImage()
    panel.set_attention(part_of(view, part), pending=False)
    assert panel._matrix.exact()
    exact = panel._matrix.grab().toImage()
    point = geometry.cell(part.top, part.left).center().toPoint()
    assert scaled.pixelColor(point) == exact.pixelColor(point)
    assert scaled != exact  # it no longer says that it computes


def test_a_part_is_drawn_in_its_own_values_and_names_its_own_cells(panel: AttentionPanel) -> None:
    view = attention(64, cell=4, hide_first=False, selected=None)
    panel.set_selected(13, 8, False)
    panel.set_attention(view, pending=False)
    part = Square(40, 8, 4)
    panel._matrix._set_part(part)
    values = np.full((4, 4), 0.25, np.float32)
    values[1, 2] = 1.0
    fine = replace(view.reading, values=values, cell=1, part=part)
    panel.set_attention(replace(view, reading=fine, whole=view.reading), pending=False)
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    picture = panel._matrix.grab().toImage()
    theme = panel._matrix._theme
    assert picture.pixelColor(geometry.cell(41, 10).center().toPoint()) == QColor(theme.attention_high)
    panel._matrix.cell_hovered.emit((41, 10))
    assert panel._value.whole_text() == "student → .: 100 %"


def test_dragging_moves_what_is_in_sight_and_selects_nothing(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(), pending=False)
    panel._matrix._set_part(Square(6, 2, 4))
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    start = geometry.cell(8, 4).center().toPoint()
    with qtbot.assertNotEmitted(panel.position_selected):
        qtbot.mousePress(panel._matrix, Qt.MouseButton.LeftButton, pos=start)
        qtbot.mouseMove(panel._matrix, start + QPoint(round(geometry.pitch), round(2 * geometry.pitch)))
        qtbot.mouseRelease(panel._matrix, Qt.MouseButton.LeftButton, pos=start)
    assert panel._matrix._part == Square(4, 1, 4)


@pytest.mark.parametrize(("key", "part"), [(Qt.Key.Key_Up, Square(5, 3, 4)), (Qt.Key.Key_Right, Square(6, 4, 4))])
def test_shift_and_arrow_keys_move_what_is_in_sight(
    panel: AttentionPanel, qtbot: QtBot, key: Qt.Key, part: Square
) -> None:
    panel.set_attention(attention(), pending=False)
    panel._matrix._set_part(Square(6, 3, 4))
    qtbot.keyClick(panel._matrix, key, Qt.KeyboardModifier.ShiftModifier)
    assert panel._matrix._part == part


def test_a_shorter_text_takes_the_part_in_sight_along(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(30), pending=False)
    panel._matrix._set_part(Square(25, 20, 5))
    with qtbot.waitSignal(panel.part_changed) as changed:
        panel.set_attention(attention(14), pending=False)
    assert changed.args == [Square(9, 9, 5)]
    panel.grab()


def test_a_token_that_rollout_does_not_reach_is_named(panel: AttentionPanel) -> None:
    missing = MissingToken(text=" they", position=2000, dropped=False, beyond=True)
    panel.set_attention(replace(attention(selected=None), missing=missing), pending=False)
    assert panel._value.whole_text() == "“they” lies beyond the first 1,024 tokens, which rollout covers"


def test_the_token_under_the_mouse_is_told_to_other_panels_and_theirs_is_marked(
    panel: AttentionPanel, qtbot: QtBot
) -> None:
    panel.set_attention(attention(), pending=False)
    plain = panel._matrix.grab().toImage()
    with qtbot.waitSignal(panel.position_hovered) as hovered:
        panel._matrix.cell_hovered.emit((9, 4))
    assert hovered.args == [4]
    panel.set_lit(5)
    assert panel._matrix.grab().toImage() != plain
    panel.set_lit(None)
    assert panel._matrix.grab().toImage() == plain


def test_all_heads_are_a_table_too_with_where_each_looks_most_and_how_spread_out(
    panel: AttentionPanel, qtbot: QtBot
) -> None:
    row = row_of()
    panel._menu.heads_as_table_toggled.emit(True)
    panel.set_attention(attention(), pending=False, row=row)
    lines = panel._heads.table.copied_text().splitlines()
    assert lines[0].split("\t") == ["most at", "layer", "head", "position", "of the rest", "entropy"]
    assert len(lines) == 1 + 30 * 9
    weights = row.heads[13, 8]
    entropy = -float(sum(weight * np.log2(weight) for weight in weights if weight > 0))
    share = 100 * float(weights[2])
    assert lines[1 + 13 * 9 + 8].split("\t") == ["·student", "13", "8", "2", f"{share:.1f} %", f"{entropy:.1f} bits"]
    with qtbot.waitSignal(panel.head_selected) as selected:
        panel._heads.table.activated.emit(panel._heads.table.model().index(4 * 9 + 3, 0))
    assert selected.args == [4, 3]


def test_the_table_of_heads_keeps_the_rules_of_item_models(qtmodeltester: ModelTester) -> None:
    model = HeadsTable()
    qtmodeltester.check(model)
    model.set_row(row_of())
    qtmodeltester.check(model)


def test_all_stay_side_by_side_where_what_stands_around_takes_a_little_more_room(qtbot: QtBot) -> None:
    first, other = QWidget(), QWidget()
    tiles = Tiles(first, [other])
    qtbot.addWidget(tiles)
    tiles.set_measures(QSize(400, 300), 10)
    tiles.resize(400, 300)
    tiles.show()
    assert tiles.spread
    with qtbot.assertNotEmitted(tiles.spread_changed):
        tiles.resize(400, 260)
    tiles.resize(400, 200)
    assert not tiles.spread
    tiles.resize(400, 260)
    assert not tiles.spread


def test_the_title_says_how_far_a_layer_sees_that_does_not_see_all(panel: AttentionPanel) -> None:
    panel.set_model(2, 1, (512, None))
    panel.set_selected(0, 0, False)
    assert panel.title() == "layer 0 · head 0 · sees 511 tokens back"
    panel.set_selected(1, 0, True)
    assert panel.title() == "layer 1 · head 0 · first token hidden"

"""The attention panel: what it says, and what can be chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.attention_view import GoneColumns, MissingToken
from canopy_desktop.exploration.records import Kept
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.qt_models.links_table import LinksTable
from canopy_ui.theme import apply_theme, theme_named
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
    with qtbot.assertNotEmitted(panel.head_selected), qtbot.assertNotEmitted(panel.hide_first_toggled):
        panel.set_selected(3, 4, False)
    assert panel.title() == "layer 3 · head 4"


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
    panel._matrix.cell_hovered.emit((10, 2))
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
        panel._matrix._pick(15)
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
    assert panel._value.whole_text() == "“[14]” is the newest: the model has not read it yet"
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
        panel._matrix._pick(2)
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


def test_a_row_is_wished_for_while_the_table_is_shown(panel: AttentionPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.row_shown) as shown:
        panel._shown.setCurrentIndex(panel._shown.findText("strongest links"))
    assert shown.args == [True]
    with qtbot.waitSignal(panel.row_shown) as shown:
        panel._shown.setCurrentIndex(0)
    assert shown.args == [False]


def test_a_wide_panel_shows_matrix_and_links_side_by_side(panel: AttentionPanel, qtbot: QtBot) -> None:
    panel.set_attention(attention(), pending=False)
    assert not panel._table.isVisible()
    with qtbot.waitSignal(panel.row_shown) as shown:
        panel.resize(900, 400)
    assert shown.args == [True]
    assert panel._table.isVisible()
    assert panel._matrix.isVisible()
    assert not panel._shown.isVisible()

"""Forbidding a look: which entries there are, what is shown of the effect, and that closing undoes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.blocking import BlockedView, BlockWish, ShiftBar
from canopy_desktop.settings import THEMES
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.qt_models.shifts_table import ShiftsTable
from canopy_ui.state import RunPhase
from canopy_ui.theme import theme_named
from canopy_ui.widgets.forbid_menu import ForbidMenu
from canopy_ui.widgets.shift_chart import ShiftChart
from tests.support.driving import PATIENCE_MS, Driver
from tests.support.scripted import ScriptedSession
from tests.ui.support import attention, row_of, token

WISH = BlockWish(query=7, key=2, column=False, layer=13, head=8)
BARS = (ShiftBar(token(" able"), 0.5, 0.125), ShiftBar(token(" not"), 0.1, 0.25))


@pytest.fixture
def panel(qtbot: QtBot) -> AttentionPanel:
    panel = AttentionPanel(theme_named("light"))
    panel.resize(370, 360)
    qtbot.addWidget(panel)
    panel.show()
    panel.set_model(30, 9)
    panel.set_selected(13, 8, True)
    panel.set_attention(attention(), pending=False, row=row_of())
    return panel


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    driver.open()
    yield driver
    driver.controller.shutdown()


def wishes(menu: ForbidMenu) -> list[BlockWish]:
    return [action.data() for action in menu.actions() if isinstance(action.data(), BlockWish)]


def effect(divergence_bits: float = 1.5) -> BlockedView:
    return BlockedView(wish=WISH, bars=BARS, divergence_bits=divergence_bits, floor_bits=0.002)


def forbid(panel: AttentionPanel) -> None:
    panel._matrix._pick((7, 2))
    panel._forbid.aboutToShow.emit()
    next(action for action in panel._forbid.actions() if action.data() == WISH).trigger()


def test_a_cell_that_was_clicked_can_be_forbidden_in_its_head_its_layer_or_everywhere(
    panel: AttentionPanel, qtbot: QtBot
) -> None:
    geometry = panel._matrix.geometry_of_matrix()
    assert geometry is not None
    qtbot.mouseClick(panel._matrix, Qt.MouseButton.LeftButton, pos=geometry.cell(7, 2).center().toPoint())
    panel._forbid.aboutToShow.emit()
    found = wishes(panel._forbid)
    assert [(wish.layer, wish.head) for wish in found] == 2 * [(13, 8), (13, None), (None, None)]
    assert [wish.column for wish in found] == 3 * [False] + 3 * [True]
    assert {(wish.query, wish.key) for wish in found} == {(7, 2)}
    assert panel._forbid.actions()[0].text() == "“they” may not look at “student”"


def test_a_link_of_the_table_can_be_forbidden_too(panel: AttentionPanel) -> None:
    panel._table.clicked.emit(panel._links.index(0, 0))
    panel._forbid.aboutToShow.emit()
    assert {(wish.query, wish.key) for wish in wishes(panel._forbid)} == {(7, 2)}


def test_without_a_cell_the_menu_says_how_to_choose_one(panel: AttentionPanel) -> None:
    panel._forbid.aboutToShow.emit()
    assert not wishes(panel._forbid)
    assert "click a cell" in panel._forbid.actions()[0].text()


def test_a_cell_of_several_tokens_cannot_be_forbidden(panel: AttentionPanel) -> None:
    panel.set_attention(attention(64, cell=4), pending=False)
    panel._matrix._pick((40, 8))
    panel._forbid.aboutToShow.emit()
    assert not wishes(panel._forbid)


def test_a_token_that_would_see_nothing_is_not_offered(qtbot: QtBot) -> None:
    menu = ForbidMenu()
    qtbot.addWidget(menu)
    menu.set_cell((0, 0), Look(1, 1, False), "When", "When")
    assert not wishes(menu)
    menu.set_cell((3, 3), Look(1, 1, False), "the", "the")
    assert {wish.column for wish in wishes(menu)} == {False}


def test_what_is_forbidden_is_said_while_it_is_tried_and_its_effect_is_worded(
    panel: AttentionPanel, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(panel.block_requested) as requested:
        forbid(panel)
    assert requested.args == [WISH]
    shown = panel._before_after
    assert shown.isVisible()
    assert shown.title() == "What comes after “they” if it may not look at “student”, in layer 13, head 8"
    assert "beside the recorded one" in shown.told()
    panel.set_blocked(effect())
    assert shown.told() == "The distribution moves by 1.5 bits; rounding alone moves it by 0.002."
    assert shown._table.copied_text().splitlines()[1:] == ["·able\t50.0 %\t12.5 %", "·not\t10.0 %\t25.0 %"]


def test_an_effect_of_the_size_of_rounding_is_said_to_say_nothing(panel: AttentionPanel) -> None:
    forbid(panel)
    panel.set_blocked(effect(0.001))
    assert panel._before_after.told().endswith("it says nothing.")


def test_an_effect_that_was_not_tried_to_the_end_says_so(panel: AttentionPanel) -> None:
    forbid(panel)
    panel.set_blocked(None)
    assert "not tried to the end" in panel._before_after.told()


def test_the_effect_of_an_older_wish_is_not_shown(panel: AttentionPanel) -> None:
    forbid(panel)
    panel._wish = BlockWish(query=7, key=3, column=False, layer=None, head=None)
    panel.set_blocked(effect())
    assert "beside the recorded one" in panel._before_after.told()


def test_undoing_closes_the_effect_and_shows_the_matrix_again(panel: AttentionPanel, qtbot: QtBot) -> None:
    forbid(panel)
    panel.set_blocked(effect())
    qtbot.mouseClick(panel._before_after._undo, Qt.MouseButton.LeftButton)
    assert panel._matrix.isVisible()
    assert not panel._before_after.isVisible()
    assert panel._side.currentWidget() is panel._table


def test_bars_before_and_after_are_on_one_scale(qtbot: QtBot) -> None:
    chart = ShiftChart(theme_named("light"))
    qtbot.addWidget(chart)
    chart.resize(400, 200)
    chart.set_bars(BARS)
    before, after = chart.bars_of(0)
    assert after.width() == pytest.approx(before.width() / 4)
    assert chart.bars_of(1)[1].width() == pytest.approx(before.width() / 2)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("size", [(300, 260), (900, 400)])
def test_the_effect_paints(qtbot: QtBot, name: str, size: tuple[int, int], panel: AttentionPanel) -> None:
    panel.set_theme(theme_named(name))
    panel.resize(*size)
    forbid(panel)
    waiting = panel._before_after.grab().toImage()
    panel.set_blocked(effect())
    assert panel._before_after.grab().toImage() != waiting


def test_the_table_of_shifts_keeps_the_rules_of_item_models(qtmodeltester: ModelTester) -> None:
    model = ShiftsTable()
    qtmodeltester.check(model)
    model.set_bars(BARS)
    qtmodeltester.check(model)


def test_a_block_runs_beside_the_recorded_text_and_changes_nothing_of_it(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    passes, text = len(driver.session.sequence.fed), driver.text()
    wish = BlockWish(query=3, key=1, column=False, layer=None, head=None)
    with driver.qtbot.waitSignal(driver.controller.blocks.tried, timeout=PATIENCE_MS) as tried:
        driver.controller.blocks.block(wish)
    view = tried.args[0]
    assert isinstance(view, BlockedView)
    assert view.wish == wish
    likeliest = next(bar for bar in view.bars if bar.token.text == "e")  # after "abcd"
    assert likeliest.before > likeliest.after
    assert (len(driver.session.sequence.fed), driver.text()) == (passes, text)


def test_a_block_of_a_token_that_is_not_in_the_text_is_not_tried(driver: Driver) -> None:
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    with driver.qtbot.waitSignal(driver.controller.blocks.tried, timeout=PATIENCE_MS) as tried:
        driver.controller.blocks.block(BlockWish(query=30, key=1, column=False, layer=None, head=None))
    assert tried.args == [None]


def test_stop_ends_a_block_under_way(driver: Driver) -> None:
    driver.controller.step()
    driver.wait_for(RunPhase.PAUSED)
    driver.session.sequence.gate.clear()
    with driver.qtbot.waitSignal(driver.controller.blocks.tried, timeout=PATIENCE_MS) as tried:
        driver.controller.blocks.block(BlockWish(query=2, key=1, column=False, layer=None, head=None))
        driver.qtbot.waitUntil(driver.session.sequence.waiting.is_set, timeout=PATIENCE_MS)
        driver.controller.stop()
    assert tried.args == [None]
    driver.session.sequence.gate.set()
    driver.wait_for(RunPhase.FINISHED)

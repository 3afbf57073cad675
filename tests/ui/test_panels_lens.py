"""The lens: what its cells say, what is asked of the reader while one looks, and what a click and a key select."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.settings import THEMES
from canopy_ui.lens_plan import PIECE
from canopy_ui.links.lens_link import LensLink
from canopy_ui.panels.lens_panel import LensPanel
from canopy_ui.qt_models.lens_table import CellRole, LensTop
from canopy_ui.state import RunPhase
from canopy_ui.theme import ink_on, theme_named
from tests.support.driving import Driver
from tests.support.painted import contrast
from tests.support.scripted import ARCHITECTURE, ScriptedSession

LAYERS = ARCHITECTURE.layers


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    yield driver
    driver.session.sequence.gate.set()
    driver.controller.shutdown()


@pytest.fixture
def panel(driver: Driver, qtbot: QtBot) -> LensPanel:
    """On the screen, after a run from "abc" to "abcdefg"."""
    panel = LensPanel(theme_named("light"))
    qtbot.addWidget(panel)
    LensLink(panel, driver.controller)
    panel.resize(1000, 500)
    panel.show()
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    return panel


def sentence(panel: LensPanel) -> str:
    return panel._words.text()


def tops(panel: LensPanel, row: int) -> list[LensTop | None]:
    table = panel._grid._table
    return [table.index(row, column).data(CellRole) for column in range(table.columnCount())]


def asked(driver: Driver, kind: str) -> list[object]:
    return [entry[1] for entry in driver.session.asked if entry[0] == kind]


def test_the_upper_row_is_the_model_s_own_answer_and_marks_what_really_came(panel: LensPanel) -> None:
    assert [top.text for top in tops(panel, 0) if top] == list("bcdefg")
    assert all(top.came for top in tops(panel, 0) if top)
    assert not any(top.came for row in range(1, LAYERS + 1) for top in tops(panel, row) if top)


def test_rows_are_named_from_the_embedding_to_the_answer(panel: LensPanel) -> None:
    table = panel._grid._table
    names = [table.headerData(row, Qt.Orientation.Vertical) for row in range(table.rowCount())]
    assert names == ["answer", "1", "0", "embed."]
    assert table.headerData(2, Qt.Orientation.Horizontal) == "c → d"


def test_a_cell_says_to_a_screen_reader_what_its_colour_and_bar_say(panel: LensPanel) -> None:
    cell = panel._grid._table.index(0, 2)
    assert cell.data(Qt.ItemDataRole.AccessibleTextRole) == (
        "answer, after layer 2, c at position 2: d 90.0 %, the token that came next"
    )


def test_a_column_is_read_once_and_the_selected_token_s_first(driver: Driver, panel: LensPanel) -> None:
    pieces = asked(driver, "lens")
    slots = [slot for piece in pieces for slot in piece]
    assert sorted(slots) == list(range(6))
    assert max(len(piece) for piece in pieces) <= PIECE
    panel.hide()
    panel.show()
    driver.wait_painted()
    assert asked(driver, "lens") == pieces


def test_nothing_is_computed_while_nobody_looks(driver: Driver, qtbot: QtBot) -> None:
    panel = LensPanel(theme_named("light"))
    qtbot.addWidget(panel)
    LensLink(panel, driver.controller)
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert not asked(driver, "lens")
    assert not asked(driver, "cell")


def test_a_click_selects_layer_and_token_in_the_whole_window(driver: Driver, panel: LensPanel, qtbot: QtBot) -> None:
    grid = panel._grid
    middle = grid.visualRect(grid._table.index(2, 1)).center()
    qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    driver.wait_for(RunPhase.FINISHED)
    selection = driver.controller.sight.selection
    assert (selection.layer, selection.embedding, selection.position) == (0, False, 2)
    assert grid._place == (2, 1)
    assert sentence(panel).startswith("After layer 0, having read “b”: “c” came next; here it is assigned ")
    assert sentence(panel).endswith("rank 1 of 256.")
    assert panel._likely.index(0, 0).data() == "c  ← came next"


def test_the_list_of_a_cell_ends_with_what_all_others_share(panel: LensPanel) -> None:
    rows = panel._likely.rowCount()
    texts = [[panel._likely.index(row, column).data() for column in range(3)] for row in range(rows)]
    assert rows == 11
    assert texts[-1][0] == "246 others"
    assert sum(float(text[2].removesuffix(" %")) for text in texts) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (Qt.Key.Key_Up, (2, False, 3)),
        (Qt.Key.Key_Down, (0, False, 3)),
        (Qt.Key.Key_Left, (1, False, 2)),
        (Qt.Key.Key_Right, (1, False, 4)),
        (Qt.Key.Key_PageUp, (2, False, 3)),
        (Qt.Key.Key_PageDown, (1, True, 3)),
        (Qt.Key.Key_Home, (1, False, 1)),
        (Qt.Key.Key_End, (1, False, None)),
    ],
)
def test_keys_walk_through_the_grid(
    driver: Driver, panel: LensPanel, qtbot: QtBot, key: Qt.Key, chosen: tuple[int, bool, int | None]
) -> None:
    driver.controller.sight.select_cell(2, 3)
    driver.wait_for(RunPhase.FINISHED)
    qtbot.keyClick(panel._grid, key)
    selection = driver.controller.sight.selection
    assert (selection.layer, selection.embedding, selection.position) == chosen


def test_another_head_s_layer_is_the_lens_s_too(driver: Driver, panel: LensPanel) -> None:
    driver.controller.sight.select_cell(0, 3)
    driver.controller.sight.select_head(0, 1)
    driver.wait_for(RunPhase.FINISHED)
    assert panel._grid._place == (LAYERS - 1, 2)


def test_the_grid_is_copied_with_its_rows_and_columns(panel: LensPanel, qtbot: QtBot) -> None:
    qtbot.keySequence(panel._grid, QKeySequence(QKeySequence.StandardKey.Copy))
    lines = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    assert lines[0] == ["", "a → b", "b → c", "c → d", "d → e", "e → f", "f → g"]
    assert lines[1][:3] == ["answer, after layer 2", "b 90.0 %", "c 90.0 %"]
    assert [line[0] for line in lines[2:]] == ["after layer 1", "after layer 0", "embedding"]


def test_residuals_that_are_gone_are_offered_to_be_made_again(driver: Driver, qtbot: QtBot) -> None:
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.session.sequence.gone.update(range(6))
    panel = LensPanel(theme_named("light"))
    qtbot.addWidget(panel)
    LensLink(panel, driver.controller)
    panel.set_model(LAYERS, driver.session.tokenizer.token)
    panel.show()
    driver.wait_for(RunPhase.FINISHED)
    assert panel._page.text().startswith("The residuals of ")
    panel.compute_again_requested.emit()
    driver.wait_for(RunPhase.PAUSED)
    assert [top.text for top in tops(panel, 0) if top] == list("bcdefg")


def test_a_run_s_new_columns_are_appended_so_that_what_is_in_sight_stays(driver: Driver, panel: LensPanel) -> None:
    table, resets = panel._grid._table, []
    table.modelReset.connect(lambda: resets.append(1))
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert table.columnCount() == 10
    assert not resets


def test_the_newest_column_stands_at_the_right_edge_whatever_the_width_was_before(
    panel: LensPanel, qtbot: QtBot
) -> None:
    grid = panel._grid
    edges = []
    for width in (330, 560, 470, 700, 420):
        panel.resize(width, 500)
        qtbot.wait(20)
        last = grid._table.columnCount() - 1
        edges.append(grid.viewport().width() - grid.columnViewportPosition(last) - grid.columnWidth(last))
    assert all(0 <= edge < grid.columnWidth(0) for edge in edges), edges


def test_before_a_prompt_the_panel_says_when_it_shows_something(qtbot: QtBot) -> None:
    panel = LensPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.set_lens(None, begun=False)
    assert panel._page.text().startswith("What the model would say after each layer appears here")
    panel.set_lens(None, begun=True)
    assert panel._page.text() == "Computing what the model would say after each layer …"


def test_the_models_keep_qt_s_rules(panel: LensPanel, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(panel._grid._table)
    qtmodeltester.check(panel._likely)


@pytest.mark.parametrize("name", THEMES)
def test_a_cell_can_be_read_on_every_colour_and_zoom_is_survived(driver: Driver, panel: LensPanel, name: str) -> None:
    for zoom in (0.8, 2.5):
        panel.set_theme(theme_named(name, zoom))
        panel.grab()
    theme = theme_named(name)
    for share in range(101):
        ground = theme.probability_colour(share / 100)
        assert contrast(ground, ink_on(ground)) >= 4.5

"""The tree of branches: what is drawn, and what mouse and keyboard do in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QAction, QColor, QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QInputDialog, QPushButton, QWidget
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.branch_picture import ELIDED, BranchPicture, branch_picture
from canopy_desktop.exploration.branch_walk import Way, neighbour
from canopy_desktop.exploration.branches import RECORDED, BranchWish, PrunedShown, Ref
from canopy_desktop.exploration.records import PROMPT_NODE, Candidate, StepRecord
from canopy_desktop.exploration.searching import SearchAsk, Searched, SearchKind, SearchPhase, SearchWish
from canopy_desktop.settings import THEMES
from canopy_ui.panels.branch_panel import BranchPanel
from canopy_ui.qt_models.branch_rows import BranchRows, Column, NodeRole
from canopy_ui.theme import apply_theme, load_fonts, theme_named
from canopy_ui.widgets.branch_geometry import MARGIN
from canopy_ui.widgets.branch_words import node_text, signed
from tests.core.test_branches import beams, chain, draws
from tests.support.painted import painted_texts
from tests.support.records import step_record

Key = Qt.Key


@pytest.fixture
def panel(qtbot: QtBot, qapp: QApplication) -> Iterator[BranchPanel]:
    load_fonts()
    theme = theme_named("light")
    apply_theme(qapp, theme)
    made = BranchPanel(theme)
    qtbot.addWidget(made)
    made.resize(1100, 600)
    made.show()
    yield made
    qapp.setStyleSheet("")


def text_of(token_id: int) -> str:
    return f"·t{token_id}"


def step(node: int, parent: int, token_id: int, depth: int) -> StepRecord:
    return step_record(node=node, parent=parent, position=1 + depth, chosen=Candidate(token_id, 0.0, -0.5, 0.5))


def forked(**wishes: object) -> BranchPicture:
    """Tokens 1 2 3 with 4 5 beside 3, of which one stands on the 3."""
    steps = (step(0, -1, 1, 1), step(1, 0, 2, 2), step(2, 1, 3, 3), step(3, 1, 4, 3), step(4, 3, 5, 4))
    return branch_picture(replace(BranchWish(steps=steps, cursor=2), **wishes), text_of)  # type: ignore[arg-type]


def number(picture: BranchPicture, node: int) -> int:
    return picture.tree.at[Ref(RECORDED, node)]


def point_of(panel: BranchPanel, node: int) -> QPoint:
    canvas = panel._canvas
    picture = canvas.picture()
    assert picture is not None
    cell = canvas._geometry.cell(*picture.cell_of(node))
    return canvas._geometry.on_screen(cell).center().toPoint()


def words_on(widget: QWidget) -> set[str]:
    return {child.accessibleName() for child in widget.findChildren(QWidget)}


def test_a_token_that_was_selected_before_the_tree_came_is_its_current_node(panel: BranchPanel) -> None:
    panel.set_selected(0)
    picture = forked()
    panel.set_picture(picture)
    assert panel._canvas.current() == number(picture, 0)
    panel.set_selected(3)
    panel.set_picture(forked())
    assert panel._canvas.current() == number(picture, 3), "only the first tree is waited for"


def test_the_sum_of_the_current_token_hides_no_other_text(panel: BranchPanel) -> None:
    chains = ((0, -1, 1, 1), (1, 0, 2, 2), (2, 1, 3, 3), (3, 0, 4, 2), (4, 3, 5, 3), (5, 0, 6, 2), (6, 5, 7, 3))
    steps = tuple(step(node, parent, token, depth) for node, parent, token, depth in chains)
    panel.set_picture(branch_picture(BranchWish(steps=steps, cursor=2), text_of))
    for node in (1, 3, 5):
        panel.set_selected(node)
        texts = [(text.text, QRect(*text.place)) for text in painted_texts(panel._canvas)]
        sums = [place for text, place in texts if text.startswith("Σ")]
        others = [(text, place) for text, place in texts if not text.startswith("Σ")]
        assert {text for text, _ in others} >= {text_of(token) for token in range(1, 8)}, "none is painted over"
        assert not [text for text, place in others if any(place.intersects(one) for one in sums)]


def test_before_a_run_the_panel_says_what_to_do(panel: BranchPanel) -> None:
    assert "Run" in panel._page.text()
    assert panel._pages.currentWidget() is panel._page
    panel.set_picture(forked())
    assert panel._pages.currentWidget() is panel._canvas
    assert panel.title() == "tokens: 5 · texts: 2"
    panel.set_picture(None)
    assert panel._pages.currentWidget() is panel._page


def test_a_click_on_a_recorded_token_goes_there(panel: BranchPanel, qtbot: QtBot) -> None:
    picture = forked()
    panel.set_picture(picture)
    with qtbot.waitSignal(panel.go_requested) as gone:
        qtbot.mouseClick(panel._canvas, Qt.MouseButton.LeftButton, pos=point_of(panel, number(picture, 3)))
    assert gone.args == [3]
    with qtbot.waitSignal(panel.go_requested) as gone:
        qtbot.mouseClick(panel._canvas, Qt.MouseButton.LeftButton, pos=point_of(panel, 0))
    assert gone.args == [PROMPT_NODE]


def test_a_click_on_a_searched_token_makes_its_text_a_branch(panel: BranchPanel, qtbot: QtBot) -> None:
    picture = forked(searches=(draws([(8, 9)], node=4),))
    panel.set_picture(picture)
    with qtbot.waitSignal(panel.walk_requested) as walked:
        qtbot.mouseClick(panel._canvas, Qt.MouseButton.LeftButton, pos=point_of(panel, picture.tree.at[Ref(1, 1)]))
    assert walked.args == [4, (8, 9)]


def test_a_drag_pushes_the_picture_and_goes_nowhere(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(forked())
    canvas = panel._canvas
    at = point_of(panel, 1)
    before = canvas._geometry.origin
    gone: list[int] = []
    panel.go_requested.connect(gone.append)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseMove(canvas, at + QPoint(30, 20))
    qtbot.mouseMove(canvas, at + QPoint(60, 45))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=at + QPoint(60, 45))
    assert canvas._geometry.origin - before == QPointF(60, 45)
    assert gone == []


def test_the_wheel_zooms_around_the_mouse(panel: BranchPanel) -> None:
    picture = forked()
    panel.set_picture(picture)
    canvas = panel._canvas
    at = QPointF(point_of(panel, 2))
    under = canvas._geometry.point(at)
    up = Qt.ScrollPhase.NoScrollPhase
    no, none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    canvas.wheelEvent(QWheelEvent(at, canvas.mapToGlobal(at), QPoint(), QPoint(0, 120), no, none, up, False))
    assert canvas._geometry.scale == pytest.approx(1.25)
    assert (canvas._geometry.point(at) - under).manhattanLength() < 1e-6


def test_the_arrow_keys_walk_along_the_tree_and_return_goes_there(panel: BranchPanel, qtbot: QtBot) -> None:
    picture = forked()
    panel.set_picture(picture)
    canvas, seen = panel._canvas, []
    assert canvas.current() == number(picture, 2)
    for key in (Key.Key_Left, Key.Key_Left, Key.Key_Left, Key.Key_Left, Key.Key_Right, Key.Key_Right, Key.Key_Right):
        qtbot.keyClick(canvas, key)
        node = canvas.current_node()
        assert node is not None
        seen.append(node.node)
    assert seen == [1, 0, PROMPT_NODE, PROMPT_NODE, 0, 1, 2]
    qtbot.keyClick(canvas, Key.Key_Down)
    assert canvas.current() == number(picture, 3)
    with qtbot.waitSignal(panel.go_requested) as gone:
        qtbot.keyClick(canvas, Key.Key_Return)
    assert gone.args == [3]
    qtbot.keyClick(canvas, Key.Key_Home)
    assert canvas.current() == 0
    qtbot.keyClick(canvas, Key.Key_End)
    assert canvas.current() == picture.tree.cursor


def test_every_node_can_be_reached_with_the_arrow_keys() -> None:
    picture = forked(searches=(beams(4, 6, node=4), draws([(7, 7), (7, 8)])), pruned=PrunedShown.ALL)
    reached, waiting = {0}, [0]
    while waiting:
        at = waiting.pop()
        fresh = {neighbour(picture, at, way) for way in Way} - reached
        reached |= fresh
        waiting += fresh
    assert reached == set(range(len(picture.tree.nodes)))


def test_the_keyboard_steps_over_the_middle_of_a_long_text_and_space_shows_it(panel: BranchPanel, qtbot: QtBot) -> None:
    picture = branch_picture(BranchWish(steps=chain(300), cursor=299), text_of)
    panel.set_picture(picture)
    canvas = panel._canvas
    gap = next(cell for cell in picture.twigs[1].cells if cell.node == ELIDED)
    qtbot.keyClick(canvas, Key.Key_Home)
    for _ in range(len(picture.twigs[1].cells) - 1):
        qtbot.keyClick(canvas, Key.Key_Right)
    assert canvas.current() == picture.tree.cursor
    with qtbot.waitSignal(panel.open_requested) as opened:
        qtbot.keyClick(canvas, Key.Key_Space)
    assert opened.args == [(Ref(RECORDED, 0),)]
    with qtbot.waitSignal(panel.open_requested):
        rect = canvas._geometry.on_screen(canvas._geometry.cell(picture.twigs[1], gap))
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=rect.center().toPoint())


def test_a_token_on_the_way_is_selected_for_the_whole_window(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(forked())
    selected: list[int] = []
    panel.node_selected.connect(selected.append)
    qtbot.keyClick(panel._canvas, Key.Key_Left)
    qtbot.keyClick(panel._canvas, Key.Key_Right)
    qtbot.keyClick(panel._canvas, Key.Key_Down)
    assert selected == [1, 2]
    panel.set_selected(0)
    node = panel._canvas.current_node()
    assert node is not None
    assert node.node == 0


def test_space_folds_and_delete_and_f2_mean_the_current_node(
    panel: BranchPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.set_picture(forked())
    qtbot.keyClick(panel._canvas, Key.Key_Left)
    with qtbot.waitSignal(panel.fold_requested) as folded:
        qtbot.keyClick(panel._canvas, Key.Key_Space)
    assert folded.args == [(Ref(RECORDED, 1),)]
    with qtbot.waitSignal(panel.delete_requested) as deleted:
        qtbot.keyClick(panel._canvas, Key.Key_Delete)
    assert deleted.args == [(Ref(RECORDED, 1),)]
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("a name", True))
    with qtbot.waitSignal(panel.renamed) as renamed:
        qtbot.keyClick(panel._canvas, Key.Key_F2)
    assert renamed.args == [(Ref(RECORDED, 1),), "a name"]


def test_the_prompt_can_be_neither_deleted_nor_named(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(forked())
    deleted: list[object] = []
    panel.delete_requested.connect(deleted.append)
    qtbot.keyClick(panel._canvas, Key.Key_Home)
    qtbot.keyClick(panel._canvas, Key.Key_Delete)
    assert deleted == []
    menu = panel.node_menu()
    assert menu is not None
    assert [action.text().split("\t")[0] for action in menu.actions()] == ["Go here"]


def test_the_menu_does_what_it_says(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(forked())
    menu = panel.node_menu()
    assert menu is not None
    actions: dict[str, QAction] = {action.text().split("\t")[0]: action for action in menu.actions()}
    assert list(actions) == ["Go here", "Fold", "", "Name …", "Delete"]
    with qtbot.waitSignal(panel.go_requested) as gone:
        actions["Go here"].trigger()
    assert gone.args == [2]
    with qtbot.waitSignal(panel.delete_requested):
        actions["Delete"].trigger()


def test_the_current_node_stays_where_it_is_while_the_tree_grows(panel: BranchPanel, qtbot: QtBot) -> None:
    before = forked()
    panel.set_picture(before)
    qtbot.keyClick(panel._canvas, Key.Key_Left)
    was = point_of(panel, panel._canvas.current())
    after = forked(searches=(beams(4, 6, node=4),))
    panel.set_picture(after)
    assert panel._canvas.current() == number(after, 1)
    assert (point_of(panel, panel._canvas.current()) - was).manhattanLength() <= 1


def test_the_node_where_one_stands_is_followed(panel: BranchPanel) -> None:
    panel.set_picture(branch_picture(BranchWish(steps=chain(3), cursor=2), text_of))
    grown = branch_picture(BranchWish(steps=chain(200), cursor=199), text_of)
    panel.set_picture(grown)
    assert panel._canvas.current() == grown.tree.cursor
    assert panel._canvas.rect().contains(point_of(panel, grown.tree.cursor))


def test_keys_pressed_before_the_run_has_arrived_are_not_lost(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(branch_picture(BranchWish(steps=chain(6), cursor=5), text_of))
    for key in (Key.Key_Home, Key.Key_Return, Key.Key_Right, Key.Key_Right):
        qtbot.keyClick(panel._canvas, key)
    panel.set_picture(branch_picture(BranchWish(steps=chain(6)), text_of))
    assert panel._canvas.current() == 2


def test_all_of_the_tree_can_be_brought_into_sight(panel: BranchPanel, qtbot: QtBot) -> None:
    picture = forked(searches=(beams(10, 30, node=4),), pruned=PrunedShown.ALL)
    panel.set_picture(picture)
    canvas = panel._canvas
    qtbot.keyClick(canvas, Key.Key_0)
    geometry = canvas._geometry
    whole = geometry.on_screen(geometry.size(picture))
    assert whole.left() >= MARGIN - 1
    assert whole.right() <= canvas.width() - MARGIN + 1
    assert whole.bottom() <= canvas.height() - MARGIN + 1


def test_what_is_said_of_a_node_is_all_that_is_known(panel: BranchPanel) -> None:
    found = beams(3, 4, node=4)
    picture = forked(searches=(found,), pruned=PrunedShown.ALL, names={Ref(RECORDED, 3): "mine"})
    best = picture.tree.nodes[picture.tree.at[Ref(1, found.results[0].last)]]
    told = node_text(best)
    assert f"Σ {signed(best.total)}" in told
    assert f"number 1 of the search, score {signed(found.results[0].score)}" in told
    assert "mine" in node_text(picture.tree.nodes[number(picture, 3)])
    pruned = next(node for node in picture.tree.nodes if node.pruned)
    assert "pruned" in node_text(pruned)
    panel.set_picture(picture)
    current = panel._canvas.current_node()
    assert current is not None
    assert panel._facts.whole_text() == node_text(current) == panel._canvas.accessibleDescription()


def test_figures_have_a_real_minus_sign_and_no_minus_nothing() -> None:
    assert [signed(value) for value in (-12.345, 0.0, -0.001, 3.0)] == ["−12.35", "0.00", "0.00", "3.00"]


def test_the_table_has_a_row_for_every_text_and_what_the_picture_leaves_out(
    panel: BranchPanel, qtmodeltester: ModelTester
) -> None:
    rows = BranchRows()
    picture = forked(searches=(beams(3, 5, node=4),), pruned=PrunedShown.ALL)
    rows.set_picture(picture)
    qtmodeltester.check(rows)
    waiting, found = [rows.index(0, 0)], 0
    while waiting:
        index = waiting.pop()
        found += 1
        assert rows.index_of(index.data(NodeRole)) == index
        waiting += [rows.index(row, 0, index) for row in range(rows.rowCount(index))]
    assert found == len(picture.twigs)
    first = rows.index(0, 0, rows.index(0, 0))
    assert [first.siblingAtColumn(column).data() for column in Column] == [
        "·t1·t2", "2", "60.7 %", "−1.00", "in the text",
    ]  # fmt: skip
    rows.set_picture(branch_picture(BranchWish(steps=chain(300), cursor=299), text_of))
    assert rows.index(0, Column.TOKENS, rows.index(0, 0)).data() == "300"


def test_the_table_goes_to_a_node_and_can_be_copied(panel: BranchPanel, qtbot: QtBot) -> None:
    picture = forked()
    panel.set_picture(picture)
    panel._view._group.button(1).click()
    table = panel._table
    assert table.isVisible()
    table.setCurrentIndex(table._rows.index_of(number(picture, 4)))
    assert panel._canvas.current() == number(picture, 4)
    with qtbot.waitSignal(panel.go_requested) as gone:
        qtbot.keyClick(table, Key.Key_Return)
    assert gone.args == [4]
    qtbot.keyClick(table, Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["text", "prompt", "  ·t1·t2", "    ·t3", "    ·t4·t5"]


def searched(phase: SearchPhase, kind: SearchKind = SearchKind.BEAMS, done: int = 3, total: int = 12) -> Searched:
    wish = SearchWish(
        number=1, node=2, text=History((1,)), kind=kind, count=4, settings=DecodingSettings(max_tokens=12)
    )
    return Searched(wish=wish, phase=phase, done=done, total=total)


def button(panel: BranchPanel) -> QPushButton:
    return panel._form._button


def test_a_search_is_asked_for_after_the_current_node(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(forked())
    panel._form.set_values(SearchKind.BEAMS, count=10, length=30, penalty=0.5)
    with qtbot.waitSignal(panel.search_requested) as asked:
        button(panel).click()
    assert asked.args == [SearchAsk(node=2, kind=SearchKind.BEAMS, count=10, length=30, penalty=0.5)]
    panel._form.set_values(SearchKind.DRAWS, count=50, length=8)
    assert button(panel).text() == "Draw"
    assert not panel._form._penalty.isVisibleTo(panel)
    with qtbot.waitSignal(panel.search_requested) as asked:
        button(panel).click()
    assert asked.args == [SearchAsk(node=2, kind=SearchKind.DRAWS, count=50, length=8)]


def test_where_one_cannot_search_the_button_says_what_to_do_first(panel: BranchPanel) -> None:
    picture = forked(searches=(draws([(8, 9)], node=4),))
    panel.set_picture(None)
    assert not button(panel).isEnabled()
    panel.set_picture(picture)
    assert button(panel).isEnabled()
    panel._canvas.set_current(picture.tree.at[Ref(1, 1)])
    assert not button(panel).isEnabled()
    assert "Return" in button(panel).toolTip()


def test_a_search_shows_how_far_it_is_and_can_be_stopped(panel: BranchPanel, qtbot: QtBot) -> None:
    panel.set_picture(forked())
    panel.set_searched(searched(SearchPhase.READING))
    assert panel._form.progress() == "Reading the text: 3 of 12 tokens"
    panel.set_searched(searched(SearchPhase.SEARCHING))
    assert panel._form.progress() == "Step 3 of 12"
    with qtbot.waitSignal(panel.search_stop_requested):
        button(panel).click()
    panel.set_searched(searched(SearchPhase.SEARCHING, SearchKind.DRAWS, 40, 240))
    assert panel._form.progress() == "40 of at most 240 tokens drawn"
    for phase, word in ((SearchPhase.FINISHED, "Done"), (SearchPhase.STOPPED, "Stopped")):
        panel.set_searched(searched(phase))
        assert panel._form.progress().startswith(word)
        assert button(panel).text() == "Search"


def test_every_control_has_a_name_for_screen_readers(panel: BranchPanel) -> None:
    panel.set_picture(forked())
    for control in panel.findChildren(QAbstractSpinBox) + panel.findChildren(QPushButton):
        assert control.accessibleName() or control.text(), control
    assert {"Tree of branches", "Tree of branches as a table", "Which pruned beams are shown"} <= words_on(panel)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("zoom", [0.8, 2.5])
def test_the_panel_paints_in_every_theme_and_size(qtbot: QtBot, name: str, zoom: float) -> None:
    load_fonts()
    panel = BranchPanel(theme_named(name, zoom))
    qtbot.addWidget(panel)
    panel.show()
    names = {Ref(RECORDED, 3): "mine"}
    searches = (beams(10, 30, node=4), draws([(8, 9)], number=2))
    for picture in (None, forked(searches=searches, names=names), branch_picture(BranchWish(), text_of)):
        panel.set_picture(picture)
        for size in ((60, 60), (500, 300), (1240, 600)):
            panel.resize(*size)
            assert not panel.grab().isNull()


def test_the_way_is_drawn_in_the_accent_colour_and_what_is_pruned_without_a_ground(panel: BranchPanel) -> None:
    found = beams(4, 6, node=4)
    picture = forked(searches=(found,), pruned=PrunedShown.ALL)
    panel.set_picture(picture)
    panel._canvas.set_current(0)
    shown = panel._canvas.grab().toImage()
    theme = theme_named("light")

    def corner(node: int) -> QColor:
        rect = panel._canvas._geometry.on_screen(panel._canvas._geometry.cell(*picture.cell_of(node)))
        return shown.pixelColor(rect.topLeft().toPoint() + QPoint(4, 4))

    assert corner(picture.tree.cursor) == QColor(theme.accent)
    pruned = [place for place, node in enumerate(picture.tree.nodes) if node.pruned]
    seen = [place for place in pruned if panel._canvas.rect().adjusted(9, 9, -9, -9).contains(point_of(panel, place))]
    assert seen
    assert all(corner(place) == QColor(theme.panel) for place in seen)
    assert corner(number(picture, 0)) not in (QColor(theme.panel), QColor(theme.accent))


def test_a_tree_that_grows_selects_nothing_for_the_window(panel: BranchPanel) -> None:
    """Its picture is a little behind the text: what it follows must not be taken for what a person selects."""
    selected: list[int] = []
    panel.node_selected.connect(selected.append)
    for length in (3, 4, 9):
        panel.set_picture(branch_picture(BranchWish(steps=chain(length), cursor=length - 1), text_of))
        assert panel._canvas.current() == length
    panel.set_selected(2)
    panel._view._group.button(1).click()
    panel.set_picture(branch_picture(BranchWish(steps=chain(12), cursor=11), text_of))
    assert selected == []

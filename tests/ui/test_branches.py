"""What the tree of branches does in the window: going, searching, names, deletion, undo and redo."""

import math
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ContextFullError
from canopy_desktop.exploration.branch_picture import BranchPicture
from canopy_desktop.exploration.branches import RECORDED, BranchNode, PrunedShown, Ref
from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_desktop.exploration.searching import SearchAsk, Searched, SearchKind, SearchPhase
from canopy_ui.actions import Command
from canopy_ui.main_window import MainWindow
from canopy_ui.panels.branch_panel import BranchPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.state import RunPhase
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.scripted import ScriptedSession


class TreeDriver(Driver):
    """Also remembers the picture of the tree, and what was searched."""

    def __init__(self, qtbot: QtBot, session: ScriptedSession) -> None:
        super().__init__(qtbot, session)
        self.picture: BranchPicture | None = None
        self.searched: list[Searched | None] = []
        self.controller.branches.picture_changed.connect(self._draw)
        self.controller.branches.search_changed.connect(self.searched.append)
        self.controller.branches.show(True)

    def run(self) -> None:
        self.controller.run()
        self.wait_for(RunPhase.FINISHED)

    def settle(self) -> None:
        with self.qtbot.waitSignal(self.controller.settled, timeout=PATIENCE_MS):
            self.controller.touch()

    def texts(self) -> set[str]:
        """The texts that end in the tree."""
        assert self.picture is not None
        nodes = self.picture.tree.nodes
        return {self.text_to(number) for number, node in enumerate(nodes) if not node.children}

    def text_to(self, number: int) -> str:
        assert self.picture is not None
        text = ""
        while number > 0:
            node = self.picture.tree.nodes[number]
            text, number = node.text + text, node.parent
        return text

    def node(self, text: str) -> BranchNode:
        assert self.picture is not None
        nodes = self.picture.tree.nodes
        return next(node for number, node in enumerate(nodes) if self.text_to(number) == text)

    def search(self, kind: SearchKind, count: int, length: int, node: int = PROMPT_NODE) -> None:
        self.controller.search(SearchAsk(node=node, kind=kind, count=count, length=length))

    def searched_through(self) -> Searched:
        self.settle()
        newest = self.controller.branches.newest
        assert newest is not None
        return newest

    def _draw(self, picture: BranchPicture | None) -> None:
        self.picture = picture


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def driver(session: ScriptedSession, qtbot: QtBot) -> Iterator[TreeDriver]:
    driver = TreeDriver(qtbot, session)
    driver.open()
    driver.run()
    yield driver
    session.sequence.gate.set()
    driver.controller.shutdown()


def choose(driver: TreeDriver, parent: int, letter: str) -> None:
    driver.controller.choose(parent, driver.token(letter))
    driver.qtbot.waitUntil(lambda: not driver.controller.state.busy, timeout=PATIENCE_MS)
    driver.settle()


def test_a_run_and_its_branches_are_one_tree(driver: TreeDriver) -> None:
    assert driver.texts() == {"defg"}
    driver.controller.step()
    driver.controller.pause()
    choose(driver, 1, "z")
    assert {text[:3] for text in driver.texts()} >= {"def", "dez"}
    assert driver.picture is not None
    stands = driver.picture.tree.nodes[driver.picture.tree.cursor]
    assert stands.on_way
    assert driver.text_to(driver.picture.tree.cursor) == driver.generated()


def test_going_to_a_node_shows_its_text_and_runs_nothing(driver: TreeDriver) -> None:
    passes = len(driver.session.sequence.fed)
    driver.controller.go_to(1)
    driver.settle()
    assert driver.generated() == "de"
    assert driver.texts() == {"defg"}
    driver.controller.go_to(3)
    driver.settle()
    assert driver.generated() == "defg"
    assert len(driver.session.sequence.fed) == passes


def test_nothing_is_drawn_while_no_panel_shows_the_tree(session: ScriptedSession, qtbot: QtBot) -> None:
    driver = TreeDriver(qtbot, session)
    driver.controller.branches.show(False)
    driver.open()
    driver.run()
    assert driver.picture is None
    driver.controller.branches.show(True)
    driver.settle()
    assert driver.texts() == {"defg"}
    driver.controller.shutdown()


def test_beams_hang_on_the_node_that_was_meant_and_the_tree_grows_while_they_are_searched(driver: TreeDriver) -> None:
    driver.search(SearchKind.BEAMS, 2, 3, node=1)
    found = driver.searched_through()
    assert found.phase is SearchPhase.FINISHED
    assert [one.phase for one in driver.searched if one][1] is SearchPhase.READING
    lengths = [len(one.found) for one in driver.searched if one]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 4
    best = driver.node("defgh")
    assert (best.place, best.node) == (1, None)
    assert best.logprob == pytest.approx(math.log(0.7))
    assert best.total == pytest.approx(driver.node("defg").total + math.log(0.7))
    assert driver.generated() == "defg"


def test_a_beam_becomes_a_branch_token_by_token_and_what_is_known_is_not_run_again(driver: TreeDriver) -> None:
    driver.search(SearchKind.BEAMS, 2, 4)
    driver.searched_through()
    second = next(node for node in driver.picture.tree.nodes if node.place == 2)  # type: ignore[union-attr]
    number = driver.picture.tree.nodes.index(second)  # type: ignore[union-attr]
    text = driver.text_to(number)
    parent, ids = driver.picture.tree.way_from_recorded(number)  # type: ignore[union-attr]
    assert 0 < len(ids) < 4 or text[0] != "d"
    passes = len(driver.session.sequence.fed)
    driver.controller.walk(parent, ids)
    driver.wait_for(RunPhase.PAUSED)
    assert driver.generated() == text
    assert len(driver.session.sequence.fed) == passes + max(0, len(ids) - 1)
    assert driver.node(text).node is not None
    assert driver.node(text).place == 2


def test_draws_are_counted_where_they_go(driver: TreeDriver) -> None:
    driver.search(SearchKind.DRAWS, 6, 2, node=3)
    found = driver.searched_through()
    assert found.phase is SearchPhase.FINISHED
    assert [driver.node(text).draws for text in ("defgh", "defghi", "defgi", "defgij")] == [3, 3, 3, 3]


def test_a_search_goes_on_beside_a_run_and_stops_when_a_person_says_so(
    driver: TreeDriver, session: ScriptedSession
) -> None:
    session.sequence.gate.clear()
    driver.search(SearchKind.BEAMS, 2, 20)
    assert session.sequence.waiting.wait(5)
    driver.controller.branches.search_stop_requested.emit()
    session.sequence.gate.set()
    found = driver.searched_through()
    assert found.phase is SearchPhase.STOPPED
    assert len(found.found) < 40
    driver.run()
    assert len(driver.generated()) == 8


def test_stopping_a_run_ends_a_search_too(driver: TreeDriver, session: ScriptedSession) -> None:
    driver.controller.wishes.set_decoding(DecodingSettings(max_tokens=200))
    session.sequence.gate.clear()
    driver.controller.run()
    driver.search(SearchKind.DRAWS, 2, 20)
    driver.controller.stop()
    driver.wait_for(RunPhase.FINISHED)
    session.sequence.gate.set()
    assert not driver.searched_through().busy


def test_a_search_that_cannot_be_says_why_and_ends(driver: TreeDriver) -> None:
    driver.search(SearchKind.BEAMS, 2, 300)
    assert driver.searched_through().phase is SearchPhase.STOPPED
    assert [type(error) for error in driver.errors] == [ContextFullError]


def test_another_prompt_hides_the_tree_and_what_was_searched_until_it_is_undone(driver: TreeDriver) -> None:
    driver.search(SearchKind.BEAMS, 2, 3)
    driver.searched_through()
    driver.controller.branches.rename((Ref(RECORDED, 0),), "mine")
    driver.settle()
    texts = driver.texts()
    assert len(texts) > 1
    driver.type("xy")
    driver.run()
    assert driver.texts() == {"cdef"}
    assert driver.controller.branches.newest is None
    assert driver.node("c").name == ""
    driver.controller.undo()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.texts() == texts
    assert driver.node("d").name == "mine"


def test_a_name_is_kept_and_undone(driver: TreeDriver) -> None:
    branches = driver.controller.branches
    branches.rename((Ref(RECORDED, 1),), "  my branch ")
    driver.settle()
    assert driver.node("de").name == "my branch"
    driver.controller.undo()
    driver.settle()
    assert driver.node("de").name == ""
    assert driver.generated() == "defg"
    driver.controller.redo()
    driver.settle()
    assert driver.node("de").name == "my branch"


def test_a_deleted_node_is_gone_with_all_below_it_and_undo_brings_it_back(driver: TreeDriver) -> None:
    branches = driver.controller.branches
    branches.delete((Ref(RECORDED, 2),))
    driver.settle()
    assert driver.texts() == {"de"}
    assert driver.generated() == "de"
    passes = len(driver.session.sequence.fed)
    driver.controller.undo()
    driver.settle()
    assert (driver.texts(), driver.generated()) == ({"defg"}, "defg")
    driver.controller.redo()
    driver.settle()
    assert (driver.texts(), driver.generated()) == ({"de"}, "de")
    assert len(driver.session.sequence.fed) == passes


def test_what_was_deleted_and_is_generated_again_is_there_again(driver: TreeDriver) -> None:
    driver.controller.branches.delete((Ref(RECORDED, 2),))
    driver.settle()
    driver.run()
    assert driver.texts() == {"defghijk"[: len(driver.generated())]} == {driver.generated()}
    driver.controller.go_to(0)
    driver.settle()
    assert len(driver.texts().pop()) > 2


def test_a_beam_can_be_deleted_alone(driver: TreeDriver) -> None:
    driver.search(SearchKind.DRAWS, 4, 2, node=3)
    driver.searched_through()
    driver.controller.branches.delete(driver.node("defgi").refs)
    driver.settle()
    assert driver.texts() == {"defghi"}


def test_undo_walks_back_through_everything_that_a_person_did(driver: TreeDriver) -> None:
    """Run, go, choose, from here on: each is one deed, and redo goes the same way forward."""
    controller, stood = driver.controller, []
    controller.go_to(1)
    driver.settle()
    stood.append(driver.generated())
    choose(driver, 1, "z")
    driver.wait_for(RunPhase.FINISHED)
    stood.append(driver.generated())
    controller.wishes.set_decoding(DecodingSettings(max_tokens=2, repetition_penalty=1.5))
    controller.branch(0)
    driver.wait_for(RunPhase.FINISHED)
    stood.append(driver.generated())
    texts = driver.texts()
    stood.insert(-1, stood[-2])  # while the settings changed, nobody moved
    for expected in (*reversed(stood[:-1]), "defg"):
        controller.undo()
        driver.settle()
        assert driver.generated() == expected
    assert controller.wishes.decoding == PREFERENCES.decoding
    for expected in stood:
        controller.redo()
        driver.settle()
        assert driver.generated() == expected
    assert driver.texts() == texts
    assert not driver.controller.state.can_redo


def test_folding_and_what_is_pruned_change_the_picture_alone(driver: TreeDriver) -> None:
    branches = driver.controller.branches
    driver.search(SearchKind.BEAMS, 2, 4)
    driver.searched_through()
    branches.fold((Ref(RECORDED, 0),))
    driver.settle()
    assert driver.node("d").folded > 2
    branches.fold((Ref(RECORDED, 0),))
    counts = {}
    for pruned in PrunedShown:
        branches.show_pruned(pruned)
        driver.settle()
        counts[pruned] = len(driver.picture.tree.nodes)  # type: ignore[union-attr]
    assert counts[PrunedShown.NONE] < counts[PrunedShown.ONCE_KEPT] < counts[PrunedShown.ALL]


def test_the_windows_undo_is_for_the_tree_and_a_text_fields_for_its_words(
    session: ScriptedSession, qtbot: QtBot
) -> None:
    driver = TreeDriver(qtbot, session)
    window = MainWindow(driver.controller, PREFERENCES, lambda preferences: None)
    qtbot.addWidget(window)
    window.show()
    window.workspaces.show("search")
    driver.open()
    driver.run()
    undo, redo = window.commands[Command.UNDO], window.commands[Command.REDO]
    assert undo.text() == "Undo new text"
    driver.controller.go_to(1)
    driver.settle()
    assert undo.text() == "Undo going to another token"
    qtbot.keyClick(window.panel(BranchPanel)._canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    driver.settle()
    assert driver.generated() == "defg"
    assert redo.isEnabled()
    redo.trigger()
    driver.settle()
    assert driver.generated() == "de"
    window.workspaces.show("generate")
    field = window.panel(PromptPanel).findChild(QPlainTextEdit)
    field.setFocus()
    qtbot.keyClicks(field, "!")
    assert field.toPlainText().endswith("!")
    qtbot.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not field.toPlainText().endswith("!")
    driver.settle()
    assert driver.generated() == "de"
    window.close()


def test_the_panel_shows_what_is_searched_from_it_and_goes_to_it(session: ScriptedSession, qtbot: QtBot) -> None:
    driver = TreeDriver(qtbot, session)
    window = MainWindow(driver.controller, PREFERENCES, lambda preferences: None)
    qtbot.addWidget(window)
    window.show()
    window.workspaces.show("search")
    driver.open()
    driver.run()
    panel = window.panel(BranchPanel)
    panel._form.set_values(SearchKind.BEAMS, count=3, length=4)
    panel._form._button.click()
    driver.settle()
    assert panel._form.progress().startswith("Done")
    picture = panel._canvas.picture()
    assert picture is not None
    best = next(number for number, node in enumerate(picture.tree.nodes) if node.place == 1)
    panel._canvas.node_picked.emit(best)
    driver.wait_for(RunPhase.PAUSED)
    assert driver.generated() == "defghijk"
    driver.controller.sight.select(5)
    driver.settle()
    node = panel._canvas.current_node()
    assert node is not None
    assert (node.text, node.step) == ("f", 3)
    window.close()

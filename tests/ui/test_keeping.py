"""Explorations that are kept, in the window: reopened, replayed with and without the model, saved, found again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop.errors import OtherModelError
from canopy_desktop.exploration import journal
from canopy_desktop.exploration.branch_picture import BranchPicture
from canopy_desktop.exploration.branches import RECORDED, Ref
from canopy_desktop.exploration.journal import Journal
from canopy_desktop.exploration.kept import KeptExploration
from canopy_desktop.exploration.records import UNMADE
from canopy_desktop.exploration.searching import SearchAsk, SearchKind, SearchPhase
from canopy_ui.state import RunPhase
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.keeping import facts, reread, searched
from tests.support.scripted import ScriptedSession

Make = Callable[..., Driver]


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Make]:
    """Drivers of windows; each is closed at the end."""
    made: list[Driver] = []

    def driver(title: str = "Scripted", kept_in: Journal | None = None, *, loaded: bool = True) -> Driver:
        session = ScriptedSession()
        session.card = replace(session.card, title=title)
        made.append(Driver(qtbot, session, PREFERENCES, kept_in))
        if loaded:
            made[-1].open()
        return made[-1]

    yield driver
    for one in made:
        one.session.sequence.gate.set()
        one.controller.shutdown()


def finished(driver: Driver) -> KeptExploration:
    """A run's exploration, as it is read back from its lines."""
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    kept = driver.controller.keeping.snapshot()
    assert kept is not None
    return reread(kept, driver.controller.keeping.token_table)


def test_a_reopened_exploration_stands_as_it_was_and_goes_on(make: Make) -> None:
    kept = finished(make())
    driver = make()
    driver.controller.reopen(kept)
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefg"
    assert driver.view.attention is not None
    assert driver.controller.state.edited is False
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefghijk"


def test_it_is_read_before_its_columns_are_there(make: Make) -> None:
    kept = finished(make())
    driver = make()
    driver.session.sequence.gate.clear()
    driver.controller.reopen(kept)
    driver.wait_painted()
    assert driver.text() == "abcdefg"
    assert driver.view.distribution is not None
    assert driver.view.attention is None
    driver.session.sequence.gate.set()
    driver.wait_for(RunPhase.FINISHED)
    assert RunPhase.PREFILLING in {state.phase for state in driver.states}


def test_a_stopped_replay_is_taken_up_by_the_next_run(make: Make) -> None:
    kept = finished(make())
    driver = make()
    driver.session.sequence.gate.clear()
    driver.controller.reopen(kept)
    driver.qtbot.waitUntil(driver.session.sequence.waiting.is_set, timeout=PATIENCE_MS)
    driver.controller.stop()
    driver.wait_for(RunPhase.FINISHED)
    driver.session.sequence.gate.set()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "abcdefghijk"


def test_a_choice_before_all_columns_are_there_waits_for_them(make: Make) -> None:
    kept = finished(make())
    driver = make()
    driver.session.sequence.gate.clear()
    driver.controller.reopen(kept)
    driver.qtbot.waitUntil(driver.session.sequence.waiting.is_set, timeout=PATIENCE_MS)
    driver.controller.stop()
    driver.wait_for(RunPhase.FINISHED)
    driver.session.sequence.gate.set()
    driver.controller.choose(1, driver.token("z"))
    driver.wait_for(RunPhase.PAUSED)
    driver.qtbot.waitUntil(lambda: driver.text() == "abcdez", timeout=PATIENCE_MS)


@pytest.mark.parametrize("loaded", [True, False])
def test_without_its_model_it_is_read_walked_along_and_never_changed(make: Make, *, loaded: bool) -> None:
    kept = finished(make())
    driver = make("Another", loaded=loaded)
    driver.controller.reopen(kept)
    if not loaded:
        driver.controller._on_worker_load_failed(OSError())
    driver.controller.go_to(0)
    driver.wait_painted()
    assert driver.text() == "abcd"
    driver.controller.step()
    driver.wait_painted()
    assert driver.text() == "abcde"
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.controller.state.phase is RunPhase.PAUSED, timeout=PATIENCE_MS)
    driver.wait_painted()
    assert driver.text() == "abcdefg"
    for wish in (lambda: driver.controller.choose(0, 3), lambda: driver.controller.branch(0)):
        driver.errors.clear()
        wish()
        assert [type(error) for error in driver.errors] == [OtherModelError]
    assert driver.text() == "abcdefg"
    again = driver.controller.keeping.snapshot()
    assert again is not None
    assert facts(reread(again, driver.controller.keeping.token_table))[2] == facts(kept)[2]
    assert driver.session.sequence.fed == []


def test_another_models_exploration_gives_way_to_a_run_of_ones_own(make: Make) -> None:
    kept = finished(make())
    driver = make("Another")
    driver.controller.reopen(kept)
    driver.type("xyz")
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert driver.text() == "xyzdefg"
    assert not driver.controller.state.alone


def test_what_is_opened_while_the_model_loads_is_shown_at_once_and_made_when_it_is_there(make: Make) -> None:
    kept = finished(make())
    driver = make(loaded=False)
    driver.controller.reopen(kept)
    driver.wait_painted()
    assert driver.text() == "abcdefg"
    assert driver.controller.state.phase is RunPhase.LOADING
    driver.open()
    driver.wait_for(RunPhase.FINISHED)
    exploration = driver.controller.keeping.snapshot()
    assert exploration is not None
    assert UNMADE not in {step.source for step in exploration.steps}


def test_a_closed_window_leaves_its_exploration_for_the_next_one(make: Make, tmp_path: Path) -> None:
    first = make(kept_in=Journal(tmp_path))
    finished(first)
    first.controller.go_to(1)
    first.controller.choose(1, first.token("z"))
    first.wait_for(RunPhase.FINISHED)
    first.controller.go_to(4)  # the choice
    first.controller.back()
    first.controller.branches.rename((Ref(RECORDED, 4),), "with z")
    first.controller.branches.delete((Ref(RECORDED, 2),))
    first.wait_for(RunPhase.PAUSED)
    first.controller.shutdown()
    (found,) = journal.find(tmp_path)
    assert found.closed
    second = make(kept_in=Journal(tmp_path))
    second.controller.reopen(journal.read(found.path), found.path)
    second.wait_for(RunPhase.PAUSED)
    assert second.text() == "abcde"
    assert not found.path.exists()  # another one has taken over
    marks = second.controller.keeping.revision.marks
    assert (marks.names, marks.hidden) == (((4, "with z"),), (2,))
    second.controller.step()
    second.wait_for(RunPhase.PAUSED)
    second.qtbot.waitUntil(lambda: second.text() == "abcdez", timeout=PATIENCE_MS)
    second.controller.reset()
    second.controller.shutdown()
    assert journal.find(tmp_path) == []


def test_an_exploration_whose_journal_cannot_be_written_says_so_once_and_goes_on(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    driver = make(kept_in=Journal(tmp_path / "file" / "below"))
    finished(driver)
    assert [type(error).__name__ for error in driver.errors] == ["StorageError"]
    assert driver.text() == "abcdefg"


def search(driver: Driver, kind: SearchKind, node: int = 1, *, length: int = 3) -> None:
    """Search to the end."""
    driver.controller.search(SearchAsk(node=node, kind=kind, count=2, length=length))
    driver.qtbot.waitUntil(lambda: not driver.controller.branches.newest.busy, timeout=PATIENCE_MS)
    driver.settle_view()


def found(driver: Driver) -> list[dict[str, object]]:
    """The searches that lie over the tree."""
    return [searched(one) for one in driver.controller.branches.searches.found]


@pytest.mark.parametrize("title", ["Scripted", "Another"])
def test_beams_and_draws_are_there_again_with_and_without_their_model(make: Make, title: str) -> None:
    first = make()
    finished(first)
    search(first, SearchKind.BEAMS)
    search(first, SearchKind.DRAWS, 2)
    first.controller.branches.rename((Ref(1, 0),), "likely")
    first.controller.branches.delete((Ref(2, 1),))
    kept = first.controller.keeping.snapshot()
    assert kept is not None
    second = make(title)
    shown: list[object] = []
    second.controller.branches.picture_changed.connect(shown.append)
    second.controller.branches.search_changed.connect(shown.append)
    second.controller.branches.show(True)
    second.controller.reopen(reread(kept, first.controller.keeping.token_table))
    second.qtbot.waitUntil(lambda: isinstance(shown[-1], BranchPicture), timeout=PATIENCE_MS)
    assert second.controller.branches.newest in shown  # the form says what was searched last
    assert found(second) == found(first)
    tree = shown[-1].tree
    assert Ref(1, 0) in tree.at
    assert Ref(2, 1) not in tree.at
    assert "likely" in {node.name for node in tree.nodes}
    assert second.controller.keeping.revision.searches == (1, 2)
    if title == "Scripted":
        second.wait_for(RunPhase.FINISHED)
        search(second, SearchKind.BEAMS)
        assert [one.wish.number for one in second.controller.branches.searches.found] == [1, 2, 3]


def test_the_tree_is_written_with_its_own_tokens_although_another_model_is_opened_after_it(make: Make) -> None:
    first = make()
    kept = finished(first)
    second = make("Another", loaded=False)
    own = second.session.tokenizer.token
    second.session.tokenizer.token = lambda token_id: replace(own(token_id), data=b"?", text="?")
    pictures: list[BranchPicture | None] = []
    second.controller.branches.picture_changed.connect(pictures.append)
    second.controller.reopen(kept)
    second.open()
    second.controller.branches.show(True)
    second.qtbot.waitUntil(lambda: bool(pictures and pictures[-1]), timeout=PATIENCE_MS)
    assert [node.text for node in pictures[-1].tree.nodes] == ["", "d", "e", "f", "g"]


def test_a_journal_has_the_searches_that_were_not_undone_and_one_that_was_at_work_when_it_closed(
    make: Make, tmp_path: Path
) -> None:
    first = make(kept_in=Journal(tmp_path))
    finished(first)
    search(first, SearchKind.DRAWS)
    search(first, SearchKind.BEAMS)
    (written,) = tmp_path.iterdir()  # a crash now would lose neither
    first.qtbot.waitUntil(lambda: len(journal.read(written).searches) == 2, timeout=PATIENCE_MS)
    first.controller.undo()
    first.settle_view()
    first.controller.search(SearchAsk(node=0, kind=SearchKind.BEAMS, count=2, length=200))
    first.qtbot.waitUntil(lambda: bool(first.controller.branches.newest.found), timeout=PATIENCE_MS)
    first.controller.shutdown()
    (left,) = journal.find(tmp_path)
    again = journal.read(left.path)
    assert [(one.wish.number, one.phase) for one in again.searches] == [
        (1, SearchPhase.FINISHED),
        (3, SearchPhase.STOPPED),
    ]


def test_what_a_text_that_gave_way_still_searched_does_not_land_in_the_one_that_came(make: Make) -> None:
    first = make()
    finished(first)
    search(first, SearchKind.BEAMS)
    kept = first.controller.keeping.snapshot()
    assert kept is not None
    second = make()
    finished(second)
    second.controller.search(SearchAsk(node=0, kind=SearchKind.DRAWS, count=2, length=200))
    second.qtbot.waitUntil(lambda: bool(second.controller.branches.newest.found), timeout=PATIENCE_MS)
    second.controller.reopen(reread(kept, first.controller.keeping.token_table))
    second.wait_for(RunPhase.FINISHED)
    assert found(second) == found(first)

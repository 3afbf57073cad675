"""What undo does with files: a text that comes back is its file's again, and its journal outlives a crash."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration import journal, storage
from canopy_desktop.exploration.branches import RECORDED, Ref
from canopy_desktop.exploration.journal import Journal
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.searching import SearchAsk, SearchKind
from canopy_ui.controller import Controller
from canopy_ui.deed_words import redo_words, undo_words
from canopy_ui.files import Files
from canopy_ui.state import RunPhase
from tests.support.driving import PATIENCE_MS, PREFERENCES
from tests.support.keeping import facts
from tests.support.scripted import ScriptedSession, opener_of

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from tests.ui.test_undo_of_files import Kept, changed_and_opened

app = QCoreApplication([])
kept = Kept(Path(sys.argv[1]) / "journals", app.processEvents)
changed_and_opened(kept, Path(sys.argv[1]))
kept.controller.undo()
if sys.argv[2] == "stands":
    kept.rest()
print(kept.controller.state.generated, flush=True)
sys.stdin.read()
"""


class Kept:
    """A controller with a scripted model, its files, and a folder of journals: a window without its panels."""

    def __init__(self, folder: Path, turn: Callable[[], object], title: str = "Scripted") -> None:
        self._turn = turn
        kept_in, self.session = Journal(folder), ScriptedSession()
        self.session.card = replace(self.session.card, title=title)
        self.controller = Controller(opener_of(self.session), PREFERENCES, kept_in)
        self.files = Files(self.controller, journal=kept_in, folder=folder)
        self.controller.open()
        self.until(lambda: self.controller.session is not None)

    def close(self) -> None:
        self.files.close()
        self.controller.shutdown()

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_MS / 1000
        while not holds():
            self._turn()
            assert time.monotonic() < end, "what was waited for did not come"

    def rest(self) -> None:
        """Until the text stands where it stood."""
        self.until(lambda: self.controller.state.phase in (RunPhase.FINISHED, RunPhase.PAUSED, RunPhase.READY))

    def run(self, text: str | None = None) -> None:
        """On from where one stands; or a text of its own."""
        if text is not None:
            self.controller.draft.edit(PromptRequest(text=text))
        before = self.controller.keeping.revision
        self.controller.run()
        self.until(lambda: self.controller.keeping.revision != before)
        self.rest()

    def save(self, file: Path) -> None:
        self.files.save(file)
        self.until(lambda: self.files.file == file and not self.files.modified)

    def open(self, file: Path) -> None:
        number = self.controller.keeping.revision.exploration
        self.files.open(file)
        self.until(lambda: self.controller.keeping.revision.exploration != number)
        self.rest()

    def undo(self) -> None:
        self.controller.undo()
        self.rest()

    def redo(self) -> None:
        self.controller.redo()
        self.rest()

    def offered(self) -> list[tuple[str, int]]:
        """The prompts, and how many tokens follow; of what was taken away meanwhile, nothing."""
        there = [journal.read(one.path) for one in self.files.offers if one.path.exists()]
        return [(one.beginning.request.text, len(one.steps)) for one in there]

    def facts(self) -> tuple[object, ...]:
        kept = self.controller.keeping.snapshot()
        assert kept is not None
        return facts(kept)


def changed_and_opened(kept: Kept, folder: Path) -> None:
    """A text of 8 tokens, of which its file has 4, gives way to another file's."""
    kept.run("xy")
    kept.save(folder / "waves.canopy")
    kept.run("abc")
    kept.save(folder / "sea.canopy")
    kept.run()
    kept.open(folder / "waves.canopy")


@pytest.fixture
def keep(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    made: list[Kept] = []

    def make(title: str = "Scripted") -> Kept:
        made.append(Kept(tmp_path / "journals", lambda: qtbot.wait(1), title))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_opening_is_undone_with_all_that_was_there(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep()
    controller, files = kept.controller, kept.files
    kept.run("xy")
    kept.save(tmp_path / "waves.canopy")
    kept.run("abc")
    controller.go_to(1)
    controller.choose(1, 5)
    kept.until(lambda: controller.state.generated == 7)
    kept.rest()
    kept.save(tmp_path / "sea.canopy")
    controller.branches.rename((Ref(RECORDED, 0),), "mine")
    controller.branches.fold((Ref(RECORDED, 1),))
    controller.search(SearchAsk(node=1, kind=SearchKind.BEAMS, count=2, length=2))
    kept.until(lambda: controller.branches.newest and not controller.branches.newest.busy)
    controller.draft.edit(PromptRequest(text="typed since"))
    controller.sight.select(4)
    before, searches, folding = kept.facts(), controller.branches.searches, controller.branches.folding
    revision = controller.keeping.revision
    kept.open(tmp_path / "waves.canopy")
    assert undo_words(controller.state.undoes) == "Undo opening waves.canopy"
    assert (files.file, files.modified) == (tmp_path / "waves.canopy", False)
    opened = kept.facts()
    kept.undo()
    assert kept.facts() == before
    assert controller.keeping.revision == revision
    assert (files.file, files.modified) == (tmp_path / "sea.canopy", True)
    assert (controller.branches.searches, controller.branches.folding) == (searches, folding)
    assert controller.draft.request.text == "typed since"
    assert controller.sight.selection.position == 4
    assert undo_words(controller.state.undoes) == "Undo search"
    assert redo_words(controller.state.redoes) == "Redo opening waves.canopy"
    kept.redo()
    assert kept.facts() == opened
    assert (files.file, files.modified) == (tmp_path / "waves.canopy", False)
    kept.undo()
    kept.save(files.file or tmp_path)
    assert len(storage.load(tmp_path / "sea.canopy").steps) == len(kept.facts()[2])  # type: ignore[arg-type]


def test_after_a_reset_is_undone_the_text_is_its_files_again(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep()
    kept.run("abc")
    kept.save(tmp_path / "sea.canopy")
    kept.controller.reset()
    assert kept.files.file is None
    kept.undo()
    assert (kept.files.file, kept.files.modified) == (tmp_path / "sea.canopy", False)
    kept.run()
    assert kept.files.modified
    kept.files.save(kept.files.file or tmp_path)
    kept.until(lambda: not kept.files.modified)
    assert len(storage.load(tmp_path / "sea.canopy").steps) == 8


def test_a_file_that_another_text_was_saved_in_lacks_the_one_that_comes_back(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    kept = keep()
    kept.run("abc")
    kept.save(tmp_path / "sea.canopy")
    kept.run("xy")
    kept.save(tmp_path / "sea.canopy")
    kept.undo()
    assert (kept.files.file, kept.files.modified) == (tmp_path / "sea.canopy", True)


def test_a_text_that_comes_back_is_offered_no_more_and_the_journal_has_it(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    kept = keep()
    changed_and_opened(kept, tmp_path)
    kept.until(lambda: len(kept.files.offers) == 1)
    kept.undo()
    kept.until(lambda: not kept.files.offers)
    before = kept.facts()
    kept.close()
    (found,) = journal.find(tmp_path / "journals")
    assert found.closed
    assert facts(journal.read(found.path)) == before


def test_what_was_done_in_an_opened_text_is_offered_once_its_opening_is_undone(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    kept = keep()
    changed_and_opened(kept, tmp_path)
    kept.run()
    kept.undo()  # the run
    kept.undo()
    kept.until(lambda: kept.offered() == [("xy", 8)])
    kept.redo()
    kept.redo()
    kept.until(lambda: kept.offered() == [("abc", 8)])
    assert kept.files.file == tmp_path / "waves.canopy"
    assert kept.files.modified


def test_an_offered_journal_that_was_opened_goes_back_to_the_offers(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep()
    changed_and_opened(kept, tmp_path)
    kept.until(lambda: kept.files.offers)
    kept.files.recover(kept.files.offers[0])
    kept.until(lambda: kept.controller.state.generated == 8)
    kept.rest()
    assert undo_words(kept.controller.state.undoes) == "Undo opening what was not saved"
    kept.undo()
    assert kept.files.file == tmp_path / "waves.canopy"
    kept.until(lambda: len(kept.files.offers) == 1)


def test_what_another_model_made_comes_back_to_be_read_and_is_in_the_journal(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    first = keep()
    first.run("abc")
    first.save(tmp_path / "sea.canopy")
    first.close()
    for found in journal.find(tmp_path / "journals"):
        journal.discard(found.path)
    second = keep("Another")
    second.open(tmp_path / "sea.canopy")
    before = second.facts()
    second.run("xy")
    assert not second.controller.keeping.alone
    second.undo()
    assert second.controller.keeping.alone
    assert second.facts() == before
    assert (second.files.file, second.files.modified) == (tmp_path / "sea.canopy", False)
    second.close()
    (found,) = journal.find(tmp_path / "journals")
    assert facts(journal.read(found.path)) == before


def test_deeds_outlive_another_model(keep: Callable[..., Kept]) -> None:
    kept = keep()
    controller = kept.controller
    kept.run("abc")
    controller.go_to(1)
    kept.rest()
    other = ScriptedSession()
    other.card = replace(other.card, title="Another")
    controller.change_model(opener_of(other))
    kept.until(lambda: controller.session is other)
    assert undo_words(controller.state.undoes) == "Undo going to another token"
    controller.undo()
    assert controller.state.generated == 4
    controller.undo()
    assert controller.state.phase is RunPhase.READY
    controller.redo()
    assert controller.keeping.alone
    assert controller.state.generated == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("when", ["at once", "stands"])
def test_a_program_that_is_killed_after_an_opening_was_undone_loses_nothing(tmp_path: Path, when: str) -> None:
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), when],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "8\n"
        process.send_signal(signal.SIGKILL)
    begun = [one.path for one in journal.find(tmp_path / "journals") if one.path.stat().st_size]
    found = [journal.read(path) for path in begun]
    assert [len(one.steps) for one in found if one.beginning.request.text == "abc"].count(8) >= 1

"""What is in the journal when a program is killed, closed, or has no room to write."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration import journal
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.journal import Journal
from canopy_desktop.exploration.records import PROMPT_NODE
from tests.support.keeping import begin, beginning, chosen, facts, kept
from tests.support.scripted import ScriptedSession

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[[Path], Journal]
LONG = DecodingSettings(max_tokens=250, temperature=1.0, seed=4)

KILLED = """
import sys
from pathlib import Path
from canopy_desktop.exploration.journal import Journal
from tests.core.test_journal import LONG, written

def told(events):
    print(events, flush=True)

written(Journal(Path(sys.argv[1])), told, 250)
"""


def written(kept_in: Journal, told=None, events: int = 8) -> tuple[Generation, ScriptedSession]:
    """A run whose events go into the journal before `told` hears of them."""
    session = ScriptedSession()
    begun = beginning(session, "abc", LONG)
    generation = session.new_generation()
    begin(generation, begun)
    kept_in.begin(begun, session.tokenizer)
    for number in range(events):
        kept_in.note(generation.advance())
        if told is not None:
            told(number + 1)
    return generation, session


@pytest.fixture
def opened() -> Iterator[Open]:
    """Journals in a folder; they are left at the end."""
    made: list[Journal] = []

    def make(folder: Path) -> Journal:
        made.append(Journal(folder))
        return made[-1]

    yield make
    for one in made:
        one.discard()


def only(folder: Path) -> journal.FoundJournal:
    (found,) = journal.find(folder)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_program_loses_no_step_that_anybody_heard_of(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "40\n":
                process.send_signal(signal.SIGKILL)
                break
        heard = [40, *(int(line) for line in process.stdout)][-1]
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        found = only(tmp_path)  # also before anybody has asked how the process ended
    assert not found.closed
    steps = journal.read(found.path).steps
    assert heard - 1 <= len(steps) <= heard  # the first event is the prompt's; the step in progress may be there
    session = ScriptedSession()
    generation = session.new_generation()
    begin(generation, beginning(session, "abc", LONG))
    same = [generation.advance() for _ in range(len(steps) + 1)][1:]
    assert chosen(list(steps)) == chosen(same)  # type: ignore[arg-type]


def test_a_torn_last_line_is_dropped(tmp_path: Path, opened: Open) -> None:
    open_journal = opened(tmp_path)
    written(open_journal)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last, last + 1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert len(journal.read(path).steps) == 6
    path.write_bytes(whole)
    assert len(journal.read(path).steps) == 7


def test_going_back_branching_and_walking_are_in_the_journal(tmp_path: Path, opened: Open) -> None:
    kept_in = opened(tmp_path)
    generation, _ = written(kept_in)
    tree = generation.exploration
    assert tree is not None
    generation.go_to(2)
    kept_in.went_to(2)
    kept_in.note(generation.choose(2, 2, 40))
    generation.go_to(PROMPT_NODE)
    kept_in.went_to(PROMPT_NODE)
    for _ in range(2):
        kept_in.note(generation.advance())  # along what is recorded
    generation.leave_branch(1)
    kept_in.left_branch(1)
    again = journal.read(next(tmp_path.iterdir()))
    assert (again.stand.cursor, dict(again.stand.forward)) == (1, dict(tree.stand.forward))
    assert len(again.steps) == 8


def test_a_journal_that_is_taken_up_replaces_the_old_one_and_goes_on(tmp_path: Path, opened: Open) -> None:
    first = opened(tmp_path)
    generation, session = written(first)
    first.close()
    found = only(tmp_path)
    assert found.closed
    again, second = journal.read(found.path), opened(tmp_path)
    second.take_up(again, session.tokenizer, found.path)
    second.note(generation.advance())
    (path,) = tmp_path.iterdir()
    read = journal.read(path)
    assert len(read.steps) == 8
    assert facts(again)[2] == facts(read)[2][:7]  # type: ignore[index]


def test_the_journal_of_a_running_program_is_nobody_elses(tmp_path: Path, opened: Open) -> None:
    written(opened(tmp_path))
    assert journal.find(tmp_path) == []
    (path,) = tmp_path.iterdir()
    for name in (f"{os.getpid()}-1000-1.open", "999999999-1000-1.open", "nonsense.open"):
        path = path.rename(tmp_path / name)  # the number of a process that began at another time, or of none
        assert only(tmp_path).path == path


def test_the_next_exploration_and_a_wish_remove_the_journal_before(tmp_path: Path, opened: Open) -> None:
    kept_in = opened(tmp_path)
    written(kept_in)
    written(kept_in, events=3)
    (path,) = tmp_path.iterdir()
    assert len(journal.read(path).steps) == 2
    kept_in.discard()
    assert list(tmp_path.iterdir()) == []
    kept_in.close()
    assert journal.find(tmp_path) == []


def test_a_full_disk_stops_the_journal_and_not_the_run(tmp_path: Path, opened: Open) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    kept_in = opened(tmp_path)
    generation, _ = written(kept_in)
    assert kept_in._file is not None
    kept_in._file.close()
    kept_in._file = Path("/dev/full").open("wb")  # noqa: SIM115
    kept_in.note(generation.advance())
    assert kept_in.problem is not None
    assert "crash" in str(kept_in.problem)
    kept_in.note(generation.advance())
    assert generation.exploration is not None
    assert len(generation.exploration) == 9
    (path,) = tmp_path.iterdir()
    assert len(journal.read(path).steps) == 7


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "file").write_text("")
    kept_in = opened(tmp_path / "file" / "below")
    written(kept_in)
    assert isinstance(kept_in.problem, StorageError)
    assert journal.find(tmp_path / "file") == []


def test_a_journal_that_nothing_came_into_is_not_offered(tmp_path: Path) -> None:
    killed, full = tmp_path / "999999-1-1.open", tmp_path / "999999-1-2.open"
    killed.touch()
    full.write_bytes(b"{}\n")
    assert [found.path for found in journal.find(tmp_path)] == [full]
    assert not killed.exists()


def test_a_damaged_journal_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "1-1-1.closed"
    for lines in ([], [{"canopy": 1}], [{"step": 5}]):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(StorageError, match="damaged"):
            journal.read(path)


def test_what_was_written_reaches_the_disk_when_it_is_asked_to(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    kept_in = opened(tmp_path)
    kept_in.sync()
    written(kept_in)
    kept_in.sync()
    kept_in.sync()  # nothing new
    assert len(synced) == 1


def test_the_exploration_in_a_journal_is_the_one_that_was_made(tmp_path: Path, opened: Open) -> None:
    kept_in = opened(tmp_path)
    generation, session = written(kept_in)
    begun = beginning(session, "abc", LONG)
    (path,) = tmp_path.iterdir()
    beginning_, _, *rest = facts(journal.read(path))
    wanted, _, *others = facts(kept(begun, generation))
    assert (beginning_, rest) == (wanted, others)

"""The environment for exports: made once, when a person asks, and whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

import pytest

from canopy_desktop import paths
from canopy_desktop.errors import ExportSetupError
from canopy_desktop.model.export_environment import STAMP, ExportEnvironment, export_python, make_environment
from tests.core.command import Cli
from tests.core.fake_environment import write_environment, write_python

ROOT = Path(__file__).resolve().parents[2]
PLAYS_ALL = """
def run(name, arguments):
    with open(os.environ["HEARD"], "a") as file:
        print(name, *arguments, file=file)
    if name == "pip":
        print("Collecting one==1.0", "Downloading one", "Installing collected packages: one", sep="\\n", flush=True)
"""
SAYS = "def run(name, arguments):\n    name == {name!r} and (print({said!r}, file=sys.stderr), sys.exit(1))"
TORCH = "ERROR: No matching distribution found for torch==2.13.0+cpu"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment is made: nothing is there."""
    monkeypatch.setenv("CANOPY_EXPORT", str(tmp_path / "place" / "export"))
    monkeypatch.setenv("HEARD", str(tmp_path / "heard"))
    return tmp_path / "place" / "export"


def base(folder: Path, play: str) -> Path:
    return write_python(folder / "python", folder / "play.py", play)


def make(folder: Path, play: str) -> tuple[ExportEnvironment, list[str]]:
    """The environment, and the words of its progress."""
    words = list[str]()
    made = make_environment(lambda doing, part: words.append(doing), base=base(folder, play))
    return made, words


def left_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.parent.iterdir()) if place.parent.is_dir() else []


def programs(folder: Path) -> list[Sequence[str]]:
    return [line.split(" ") for line in (folder / "heard").read_text().splitlines()]


def test_it_is_made_of_what_is_pinned_and_tried(place: Path, tmp_path: Path) -> None:
    assert export_python() is None
    made, words = make(tmp_path, PLAYS_ALL)
    assert made == ExportEnvironment(place, True)
    assert list(dict.fromkeys(words)) == ["preparing", "fetching", "installing", "checking", "done"]
    venv, torch, others, tried = programs(tmp_path)
    assert (venv[0], torch[0], others[0], tried) == ("venv", "pip", "pip", ["optimum_export.py"])
    assert torch[-1] == str(paths.export_locks() / "torch.txt")
    assert others[-3:] == ["--require-hashes", "--requirement", str(paths.export_locks() / "requirements.lock")]
    assert all({"--no-deps", "--only-binary", "--no-cache-dir"} <= set(pip) for pip in (torch, others))
    assert export_python() == place / "bin" / "python"
    assert left_in(place) == ["export"]


def test_the_second_time_nothing_is_run(place: Path, tmp_path: Path) -> None:
    make(tmp_path, PLAYS_ALL)
    again, words = make(tmp_path, SAYS.format(name="venv", said="not again"))
    assert (again, words) == (ExportEnvironment(place, False), [])


def test_one_of_other_versions_is_made_anew(place: Path, tmp_path: Path) -> None:
    make(tmp_path, PLAYS_ALL)
    (place / STAMP).write_text("0" * 64)
    (place / "old").touch()
    assert export_python() is None
    assert make(tmp_path, PLAYS_ALL)[0].is_new
    assert (export_python(), (place / "old").exists(), left_in(place)) == (place / "bin" / "python", False, ["export"])


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("venv", "No module named ensurepip", "python3-venv"),
        ("pip", f"WARNING: Retrying after connection broken\n{TORCH}", "Check the network"),
        ("pip", TORCH, "PIP_EXTRA_INDEX_URL"),
        ("pip", "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that is pinned"),
        ("pip", "ERROR: [Errno 28] No space left on device", "it takes 2.0 GB"),
        ("pip", "something else", "export.log"),
        ("optimum_export.py", "ImportError: libtorch.so", "export.log"),
    ],
)
def test_a_failure_is_one_sentence_with_the_way_out_and_leaves_nothing(
    place: Path, tmp_path: Path, name: str, said: str, words: str
) -> None:
    with pytest.raises(ExportSetupError) as caught:
        make(tmp_path, SAYS.format(name=name, said=said))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_in(place) == []
    if words != "it takes 2.0 GB":
        assert said.splitlines()[0] in paths.export_log().read_text()


def test_too_little_room_is_said_with_numbers_before_anything_is_run(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 700_000_000))
    with pytest.raises(ExportSetupError, match=r"it takes 2\.0 GB in .*, and 0\.7 GB are free there"):
        make(tmp_path, PLAYS_ALL)
    assert not (tmp_path / "heard").exists()


def test_a_place_that_cannot_be_written_is_named(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CANOPY_EXPORT", str(tmp_path / "file" / "export"))
    with pytest.raises(ExportSetupError, match="CANOPY_EXPORT"):
        make(tmp_path, PLAYS_ALL)


SETUP_IN_A_PROCESS = """
import os, signal, sys
from pathlib import Path
from canopy_desktop.model.export_environment import make_environment

signal.signal(signal.SIGINT, signal.default_int_handler)
how = signal.Signals[sys.argv[2]]
make_environment(lambda doing, part: doing == "installing" and os.kill(os.getpid(), how), base=Path(sys.argv[1]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_one_that_is_ended_on_the_way_is_not_there(place: Path, tmp_path: Path, how: signal.Signals) -> None:
    python = base(tmp_path, PLAYS_ALL)
    command = [sys.executable, "-c", SETUP_IN_A_PROCESS, str(python), how.name]
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == -how
    left = left_in(place)
    assert (left == []) if how is signal.SIGINT else all(name.startswith(".") for name in left)
    assert export_python() is None
    make(tmp_path, PLAYS_ALL)
    assert left_in(place) == ["export"]


def test_a_python_that_is_gone_is_no_environment(place: Path, tmp_path: Path) -> None:
    write_environment(place, PLAYS_ALL)
    assert export_python() == place / "bin" / "python"
    (place / "bin" / "python").unlink()
    assert export_python() is None


# --- the command


def test_setup_says_where_it_is(command: Cli, place: Path) -> None:
    write_environment(place, PLAYS_ALL)
    status, out, err = command.run("models", "import", "--setup", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {"environment": str(place), "made": False}
    assert command.run("models", "import", "--setup")[1] == f"What exports need is in {place} already\n"


def test_an_import_of_nothing_is_wrong_use(command: Cli, place: Path) -> None:
    status, out, err = command.run("models", "import")
    assert (status, out) == (2, "")
    assert "--setup" in err


def test_a_checkout_has_a_place_of_its_own_and_the_log_is_the_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANOPY_EXPORT")
    assert paths.export_environment() == ROOT / ".venv-export"
    assert os.path.commonpath([paths.export_log(), Path.home()]) == str(Path.home())

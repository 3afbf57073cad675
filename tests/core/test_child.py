"""Another Python at work: it ends with the one that started it, in time, and what it says is heard whatever it is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from canopy_desktop.model.child import MAX_LINE, Ended, run_child

PATIENCE_S = 30.0
WAITS = "import os, sys, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
STARTER = """
import os, sys
from pathlib import Path
from canopy_desktop.model.child import run_child

program, log = map(Path, sys.argv[1:])
run_child(Path(sys.executable), [program], os.environ, log, lambda line: print(line, flush=True), limit_s=600)
"""


def run(folder: Path, program: str, *arguments: str, limit_s: float = PATIENCE_S) -> tuple[Ended, list[str], str]:
    """How a program ended, the lines that it said, and the log."""
    path, log, heard = folder / "program.py", folder / "log", list[str]()
    path.write_text(program)
    ended = run_child(Path(sys.executable), [path, *arguments], os.environ, log, heard.append, limit_s=limit_s)
    return ended, heard, log.read_text("utf-8", "replace")


def test_its_lines_are_heard_and_all_that_it_says_is_in_the_log(tmp_path: Path) -> None:
    program = "import sys\nprint(*sys.argv[1:])\nprint('why', file=sys.stderr)\nsys.exit(3)\n"
    ended, heard, log = run(tmp_path, program, "a", "b c")
    assert (ended, heard) == (Ended(3, True), ["a b c"])
    assert sorted(log.splitlines()) == ["a b c", "why"]


def test_a_module_is_run_by_its_name(tmp_path: Path) -> None:
    heard = list[str]()
    ended = run_child(Path(sys.executable), ["calendar", "2026"], {}, tmp_path / "log", heard.append, limit_s=60)
    assert (ended, heard[0]) == (Ended(0, True), "2026")


def test_it_does_not_import_what_lies_beside_it_or_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "colorsys.py").write_text("print('foreign')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run(tmp_path, "import colorsys\nprint('own')\n")[1] == ["own"]


def test_garbage_is_heard_in_pieces_as_text(tmp_path: Path) -> None:
    ended, heard, _ = run(tmp_path, "import sys\nsys.stdout.buffer.write(b'\\xff\\x00' * 10_000)\n")
    assert ended == Ended(0, True)
    assert len(heard) == 20_000 // MAX_LINE
    assert set("".join(heard)) == {"\ufffd", "\0"}


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    ended, heard, _ = run(tmp_path, WAITS, limit_s=0.5)
    assert (ended.in_time, ended.status) == (False, -signal.SIGKILL)
    assert not any(psutil.pid_exists(int(number)) for number in heard)


def test_it_is_ended_where_the_starter_is_interrupted(tmp_path: Path) -> None:
    heard = list[int]()

    def interrupt(line: str) -> None:
        heard.append(int(line))
        raise KeyboardInterrupt

    (tmp_path / "program.py").write_text(WAITS)
    with pytest.raises(KeyboardInterrupt):
        run_child(Path(sys.executable), [tmp_path / "program.py"], os.environ, tmp_path / "log", interrupt, limit_s=600)
    assert not psutil.pid_exists(heard[0])


def test_it_ends_by_itself_where_the_starter_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WAITS)
    command = [sys.executable, "-c", STARTER, str(tmp_path / "program.py"), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        child = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
        child.wait(PATIENCE_S)
    assert not child.is_running()

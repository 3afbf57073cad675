"""The real program on a real X server with a window manager, driven from outside."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NEEDED = ("Xvfb", "openbox", "xdotool")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
PATIENCE_S = 60.0
MAIN = "import sys; from canopy_ui.app import main; sys.exit(main())"

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Another process cannot send us a signal, so look again until it holds."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)


class Desktop:
    """An X server with a window manager, and a person at it."""

    def __init__(self, display: str) -> None:
        self.environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}

    def xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments], env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout.strip()

    def window(self) -> str:
        """The program's visible window; empty while there is none."""
        found = self.xdotool("search", "--onlyvisible", "--name", "^Canopy").splitlines()
        return found[0] if found else ""

    def title(self) -> str:
        return self.xdotool("getwindowname", self.window())

    def press(self, *keys: str) -> None:
        self.xdotool("key", "--clearmodifiers", *keys)


def numbers_in(title: str) -> list[int]:
    return [int(word) for word in title.split() if word.isdigit()]


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        display = f":{pipe.readline().strip()}"
    desktop = Desktop(display)
    manager = subprocess.Popen(
        ["openbox"], env=desktop.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: bool(desktop.xdotool("get_num_desktops")), "the window manager")
        yield desktop
    finally:
        for process in (manager, server):
            process.terminate()
            process.wait(10)


@pytest.fixture
def program(desktop: Desktop, built_model: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "--model", str(built_model)],
        env=desktop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: bool(desktop.window()) or process.poll() is not None, "the window")
        assert process.poll() is None, process.communicate()[1]
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_person_types_runs_steps_and_closes(desktop: Desktop, program: subprocess.Popen[str]) -> None:
    desktop.xdotool("windowactivate", "--sync", desktop.window())
    geometry = desktop.xdotool("getwindowgeometry", "--shell", desktop.window())
    size = dict(line.split("=") for line in geometry.splitlines())
    assert int(size["WIDTH"]) <= 1280
    desktop.xdotool("mousemove", "--window", desktop.window(), "120", "150", "click", "1")
    desktop.press("ctrl+a")
    desktop.xdotool("type", "--delay", "5", "The capital of France is")
    eventually(lambda: desktop.title() == "Canopy", "the model")
    desktop.press("ctrl+Return")
    eventually(lambda: len(numbers_in(desktop.title())) == 2, "the first token")
    eventually(lambda: numbers_in(desktop.title())[0] == 5, "the typed prompt's tokens")
    eventually(lambda: numbers_in(desktop.title())[1] >= 32, "the end of the run")
    generated = numbers_in(desktop.title())[1]
    desktop.press("F10")
    eventually(lambda: numbers_in(desktop.title())[1] == generated + 1, "one more token")
    desktop.press("alt+F4")  # the window manager asks the program to close
    assert program.wait(10) == 0
    assert "Traceback" not in program.communicate()[1]

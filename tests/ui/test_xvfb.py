"""The real program on a real X server with a window manager, driven from outside."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canopy_desktop import paths, settings
from canopy_ui.workspaces import NAMES, WORKSPACES, unpacked

NEEDED = ("Xvfb", "openbox", "xdotool")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
PATIENCE_S = 60.0
SETTLE_S = 0.2  # docks follow panels once more, 100 ms after another workspace was opened
ROOT = Path(__file__).resolve().parents[2]

PROMPT = "The capital of France is"  # 5 tokens
TEMPERATURE = 0.8
STAGE, FURTHER = "What happens at this stage", "Zoom out (−)"

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

    def type(self, text: str) -> None:
        self.xdotool("type", "--delay", "5", text)

    def click(self, place: list[int]) -> None:
        """In the middle of a place on the screen."""
        x, y, width, height = place
        self.xdotool("mousemove", str(x + width // 2), str(y + height // 2), "click", "1")


class Program:
    """The running program, and a spectator in it who says where things are and what they show."""

    def __init__(self, desktop: Desktop, model: Path) -> None:
        self.desktop = desktop
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.spectator", "--model", str(model)],
            cwd=ROOT,
            env=desktop.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: bool(desktop.window()) or self.process.poll() is not None, "the window")
        assert self.process.poll() is None, self.process.communicate()[1]
        desktop.xdotool("windowactivate", "--sync", desktop.window())

    def ask(self, named: str, ask: str = "place", *arguments: object) -> Any:
        """What `ask` of the widget says; None where it cannot be seen."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"named": named, "ask": ask, "with": arguments}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.process.communicate()[1]
        said = json.loads(answer)
        assert "error" not in said, said["error"]
        return said["answer"]

    def click(self, named: str) -> None:
        eventually(lambda: self.ask(named) is not None, f"“{named}” to be seen")
        self.desktop.click(self.ask(named))

    def says(self, named: str, ask: str, wanted: object, *arguments: object) -> None:
        eventually(lambda: self.ask(named, ask, *arguments) == wanted, f"{named}.{ask}() to be {wanted!r}")

    def generated(self) -> int:
        """Tokens from the prompt to where one stands; 0 before a run."""
        return ([*numbers_in(self.desktop.title()), 0, 0])[1]

    def open_workspace(self, name: str) -> None:
        self.desktop.press(f"ctrl+{NAMES.index(name) + 1}")
        self.shows_workspace(name)

    def shows_workspace(self, name: str) -> None:
        wanted = set(WORKSPACES[NAMES.index(name)].docks)
        every = {dock for workspace in WORKSPACES for dock in workspace.docks}
        eventually(
            lambda: {dock for dock in every if self.ask(f"#{dock}") is not None} == wanted, f"the docks of {name}"
        )
        steady = [self.ask(f"#{dock}") for dock in wanted]

        def stands() -> bool:
            nonlocal steady
            before, steady = steady, [self.ask(f"#{dock}") for dock in wanted]
            return before == steady

        time.sleep(SETTLE_S)
        eventually(stands, "the docks to stand still")

    def close(self) -> None:
        """As a person does it; the program has to end by itself and without complaint."""
        self.desktop.press("alt+F4")
        assert self.process.wait(30) == 0
        assert "Traceback" not in self.process.communicate()[1]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


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
def start(desktop: Desktop, built_model: Path) -> Iterator[Callable[[], Program]]:
    """Starts the program, as often as it was closed."""
    started: list[Program] = []

    def begin() -> Program:
        started.append(Program(desktop, built_model))
        return started[-1]

    yield begin
    for program in started:
        program.kill()


def test_a_person_goes_through_the_program_and_finds_it_again_as_it_was_left(
    desktop: Desktop, start: Callable[[], Program]
) -> None:
    program = start()
    geometry = desktop.xdotool("getwindowgeometry", "--shell", desktop.window())
    size = dict(line.split("=") for line in geometry.splitlines())
    assert int(size["WIDTH"]) <= 1280
    type_a_prompt(program)
    step_by_stage(program)
    change_the_temperature(program)
    run_and_stop(program)
    look_at_another_token(program)
    zoom_into_the_attention(program)
    walk_in_the_tree(program)
    program.open_workspace("lens")
    generated = program.generated()
    program.close()
    kept = settings.load(paths.settings_file())
    assert kept.prompt.text == PROMPT
    assert kept.decoding.temperature == TEMPERATURE
    assert unpacked(kept.docks).workspace == "lens"
    again = start()
    again.shows_workspace("lens")
    eventually(lambda: numbers_in(desktop.title()) == [5, generated], "the text that was left")
    again.open_workspace("choose")
    again.says("Temperature", "value", TEMPERATURE)
    again.close()


def type_a_prompt(program: Program) -> None:
    program.click("Prompt")
    program.desktop.press("ctrl+a")
    program.desktop.type(PROMPT)
    program.says("Prompt", "toPlainText", PROMPT)
    eventually(lambda: program.desktop.title() == "Canopy", "the model")


def step_by_stage(program: Program) -> None:
    """The first press takes the step, and stands at its first stage; each one after goes on by one."""
    lines = []
    for number in range(9):
        program.desktop.press("F8")
        eventually(
            lambda: program.generated() == 1 and program.ask(STAGE, "whole_text") not in ("", None, *lines),
            f"stage {number + 1}",
        )
        lines.append(program.ask(STAGE, "whole_text"))
    assert len(set(lines)) == 9
    program.desktop.press("F8")
    eventually(lambda: program.generated() == 2, "the next token's first stage")


def change_the_temperature(program: Program) -> None:
    program.open_workspace("choose")
    program.click("Temperature")
    program.desktop.press("ctrl+a")
    program.desktop.type(str(TEMPERATURE))
    program.desktop.press("Tab")
    program.says("Temperature", "value", TEMPERATURE)


def run_and_stop(program: Program) -> None:
    program.desktop.press("ctrl+Return")
    eventually(lambda: program.generated() > 12, "more tokens")
    program.desktop.press("Escape")


def look_at_another_token(program: Program) -> None:
    program.open_workspace("generate")
    program.desktop.click(program.ask("Text as tokens", "rect_of", 7))  # the third token after five of the prompt
    eventually(lambda: program.ask("#probabilities", "subtitle").startswith("after step 2 "), "its probabilities")
    assert "position 7" in program.ask("Selected token", "text")


def zoom_into_the_attention(program: Program) -> None:
    program.open_workspace("attend")
    program.click("Attention matrix")
    program.says(FURTHER, "isEnabled", False)
    program.desktop.press("plus")
    program.says(FURTHER, "isEnabled", True)
    program.desktop.press("0")
    program.says(FURTHER, "isEnabled", False)


def walk_in_the_tree(program: Program) -> None:
    """To the root with the keyboard, and along the branch again."""
    program.open_workspace("search")
    program.click("Tree of branches")
    program.desktop.press("Home", "Return")
    eventually(lambda: program.generated() == 0, "the root of the tree")
    program.desktop.press("Right", "Right", "Right", "Return")
    eventually(lambda: program.generated() == 3, "the third token")

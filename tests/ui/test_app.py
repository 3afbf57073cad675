"""The program's entry, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from canopy_desktop import cli
from canopy_ui.app import main

MAIN = "import sys; from canopy_ui.app import main; sys.exit(main())"


def run(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


def test_a_command_that_needs_no_window_never_imports_qt(built_model: Path) -> None:
    code = (
        "import sys\n"
        "from canopy_ui.app import main\n"
        f"status = main(['tokens', 'a b', '--json', '--model', {str(built_model)!r}])\n"
        "assert not [name for name in sys.modules if name.startswith(('PySide6', 'shiboken'))]\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["tokens"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [["missing.canopy"], ["lesson.txt"], ["trase", "x"], ["--provider", "tpu"], ["--zoom", "3"], ["--model"]],
)
def test_wrong_use_is_one_sentence_and_exit_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(command in said for command in {*cli.SUBCOMMANDS, "snapshot"})


def test_importing_the_window_imports_no_engine() -> None:
    code = (
        "import sys, canopy_ui.program\n"
        "print([name for name in ('onnxruntime', 'onnx', 'pyqtgraph') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_closing_ends_the_program_although_other_windows_are_open() -> None:
    code = (
        "import sys\n"
        "from canopy_ui import main_window, program\n"
        "from canopy_ui.actions import Command\n"
        "def show(self, event):\n"
        "    if not event.spontaneous():\n"
        "        self.docks['metrics'].setFloating(True)\n"
        "        self.commands[Command.SHORTCUTS].trigger()\n"
        "        self._controller.failed.connect(self.close)\n"
        "main_window.MainWindow.showEvent = show\n"
        "sys.exit(program.run_window('no-such-model', 'auto'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_and_keeps_the_settings(number: signal.Signals) -> None:
    code = (
        "import sys\n"
        "from canopy_ui import controller, program\n"
        "real = controller.Controller.open\n"
        "def opened(self):\n"
        "    self.failed.connect(lambda error: print('ready', flush=True))\n"
        "    real(self)\n"
        "controller.Controller.open = opened\n"
        "sys.exit(program.run_window('no-such-model', 'auto'))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 0
    assert (Path(os.environ["XDG_CONFIG_HOME"]) / "canopy-desktop" / "settings.json").is_file()


def test_broken_settings_and_a_missing_model_still_open_a_window(tmp_path: Path) -> None:
    """The window says what is missing, and closes with status 0."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "canopy-desktop"
    config.mkdir(parents=True)
    (config / "settings.json").write_text('{"zoom": "huge", "geometry": 5, "docks": "AAAA", "theme": []', "utf-8")
    code = (
        "import sys\n"
        "from PySide6.QtCore import QTimer\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from canopy_ui import controller, program\n"
        "def leave(error):\n"
        "    print(type(error).__name__, flush=True)\n"
        "    QTimer.singleShot(0, QApplication.closeAllWindows)\n"
        "real = controller.Controller.open\n"
        "def opened(self):\n"
        "    self.failed.connect(leave)\n"
        "    real(self)\n"
        "controller.Controller.open = opened\n"
        "sys.exit(program.run_window('no-such-model', 'auto'))\n"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ModelNotFoundError"
    assert json.loads((config / "settings.json").read_text("utf-8"))["zoom"] == 100

"""packaging/run.py: when a window can be opened, and when pictures are made instead."""

import importlib.util
import os
import stat
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("canopy_run", ROOT / "packaging" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A stand-in for canopy-desktop that does what PROGRAM_SCRIPT says with the folder it is given."""
    path = tmp_path / "canopy-desktop"
    path.write_text('#!/bin/sh\nout=$3\nmkdir -p "$out"\neval "$PROGRAM_SCRIPT"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_without_a_display_named_none_is_tried(run: ModuleType) -> None:
    assert not run.display_is_reachable({"DISPLAY": "", "PATH": os.defpath})


def test_a_display_that_does_not_answer_is_not_reachable(run: ModuleType) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    assert not run.display_is_reachable({**environment, "DISPLAY": ":987654", "WAYLAND_DISPLAY": ""})


def test_a_new_picture_is_success(run: ModuleType, program: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.defpath, "PROGRAM_SCRIPT": 'echo x > "$out/Generate.png"'}
    assert run.make_pictures(program, environment, tmp_path / "pictures") == 0


@pytest.mark.parametrize("script", ["true", 'touch "$out/empty.png"', 'echo x > "$out/Generate.png"; exit 3'])
def test_a_missing_picture_or_a_failed_run_is_a_failure(
    run: ModuleType, program: Path, tmp_path: Path, script: str
) -> None:
    (tmp_path / "pictures").mkdir()
    old = tmp_path / "pictures" / "old.png"
    old.write_text("x", encoding="utf-8")
    os.utime(old, (1, 1))
    environment = {"PATH": os.defpath, "PROGRAM_SCRIPT": script}
    assert run.make_pictures(program, environment, tmp_path / "pictures") == 1

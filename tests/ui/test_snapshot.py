"""Pictures of the window, taken by the command."""

import json
from itertools import combinations
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from canopy_desktop.errors import UsageError
from canopy_ui.snapshot import pictures_of, snapshot, snapshot_parser
from canopy_ui.workspaces import NAMES
from tests.core import odd
from tests.ui.test_app import run


def names(*arguments: str) -> list[str]:
    return [picture.name for picture in pictures_of(snapshot_parser().parse_args(["--out", "x", *arguments]))]


def test_without_a_size_there_are_two_pictures() -> None:
    assert names("--workspace", "generate") == ["generate-1280x720-light.png", "generate-1920x1080-light.png"]


def test_without_a_name_there_are_pictures_of_every_workspace() -> None:
    assert names("--size", "1280x720") == [f"{name}-1280x720-light.png" for name in NAMES]
    assert names("--size", "1280x720", "--workspace", "all") == names("--size", "1280x720")


def test_a_picture_is_named_after_workspace_size_and_theme() -> None:
    wanted = ("--size", "1024x768", "--theme", "dark", "--scale", "2", "--workspace", "attend")
    assert names(*wanted) == ["attend-1024x768-dark.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--out", "x", "--size", "big"],
        ["--out", "x", "--size", "10x10"],
        ["--out", "x", "--size", "99999x99999"],
        ["--out", "x", "--scale", "3"],
        ["--out", "x", "--theme", "pink"],
        ["--out", "x", "--workspace", "kitchen"],
    ],
)
def test_wrong_use_is_refused_before_anything_runs(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        snapshot(arguments)


def test_pictures_are_of_the_size_asked_for_and_of_a_finished_run(built_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    done = run(
        "snapshot", "--out", str(out), "--json", "--scale", "2", "--size", "2048x1400", "--model", str(built_model)
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    paths = json.loads(done.stdout)["pictures"]
    assert paths == [str(out / f"{name}-2048x1400-light.png") for name in NAMES]
    images = [QImage(path) for path in paths]
    assert all((image.width(), image.height()) == (2048, 1400) for image in images)
    assert all(one != other for one, other in combinations(images, 2))


def test_a_folder_that_cannot_be_written_to_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("snapshot", "--out", str(tmp_path / "file" / "pictures"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_model_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    done = run("snapshot", "--out", str(tmp_path), "--model", "no-such-model")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.glob("*.png")) == []


def test_a_display_that_cannot_be_reached_does_not_matter(
    built_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM")
    monkeypatch.setenv("DISPLAY", ":987")
    done = run(
        "snapshot", "--out", str(tmp_path), "--size", "1280x720", "--workspace", "generate", "--model", str(built_model)
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["generate-1280x720-light.png"]


def test_every_workspace_shows_a_model_of_other_numbers_than_the_default_one(tmp_path: Path) -> None:
    model, out = odd.build(tmp_path / "models"), tmp_path / "pictures"
    done = run("snapshot", "--out", str(out), "--size", "1280x720", "--model", str(model))
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{name}-1280x720-light.png" for name in NAMES)

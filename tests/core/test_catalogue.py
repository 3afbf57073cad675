"""The models that are here: listed with whose they are, one of them the default, renamed and removed."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canopy_desktop import paths, settings
from canopy_desktop.errors import ModelKeptError
from canopy_desktop.exploration.kept import ModelIdentity
from canopy_desktop.model import catalogue
from canopy_desktop.model.bundle import DEFAULT_MODEL, Bundle, Default, default_model, find_bundle
from canopy_desktop.model.card import read_card
from canopy_desktop.model.working import sweep
from tests.core.command import Cli, assert_one_sentence

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's own models: one called "mine"."""
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(paths, "checkout_models", lambda: None)
    shutil.copytree(model, tmp_path / "models" / "mine")
    return tmp_path / "models"


@pytest.fixture
def system(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's: one called "shared"."""
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "site"))
    return Path(shutil.copytree(model, tmp_path / "site/canopy-desktop/models/shared"))


def run(command: Cli, *arguments: str) -> Any:
    status, out, err = command.run("models", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def refused(command: Cli, *arguments: str) -> str:
    status, out, err = command.run("models", *arguments, "--json")
    assert (status, out) == (1, "")
    assert_one_sentence(err)
    return err


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_list_says_whose_each_model_is_and_what_it_takes(command: Cli, folder: Path, system: Path) -> None:
    found = run(command, "list")
    models = {model["id"]: model for model in found["models"]}
    assert found["default"] == DEFAULT_MODEL
    assert {name: (model["own"], model["default"]) for name, model in models.items()} == {
        "mine": (True, False), "shared": (False, False),
    }  # fmt: skip
    mine, card = models["mine"], read_card(folder / "mine")
    assert (mine["licence"], mine["source"], mine["folder"]) == (card.licence, card.source, str(folder / "mine"))
    assert mine["bytes"] == sum(entry.bytes for entry in card.files)
    memory = mine["memory"]
    assert memory["context"] == card.architecture.context
    assert memory["total_bytes"] == sum(memory[f"{part}_bytes"] for part in ("weights", "cache", "columns", "runtime"))
    text = command.run("models", "list")[1]
    assert str(system) in text
    assert "read-only" in text
    assert card.licence in text


def test_a_default_is_kept_with_the_settings_and_opens_where_no_model_is_named(command: Cli, folder: Path) -> None:
    settings.save(paths.settings_file(), replace(settings.Preferences(), zoom=150))
    assert run(command, "default", "mine") == {"default": "mine"}
    assert find_bundle(None) == folder / "mine"
    assert run(command, "default") == {"default": "mine"}
    assert settings.load(paths.settings_file()).zoom == 150
    status, out, _ = command.run("tokens", "a", "--json")
    assert (status, json.loads(out)["model"]) == (0, read_card(folder / "mine").id)
    assert [model["default"] for model in run(command, "list")["models"]] == [True]


def test_a_default_that_has_vanished_gives_way_to_the_built_in_one_with_a_note(
    command: Cli, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(command, "default", "mine")
    shutil.rmtree(folder / "mine")
    found = default_model()
    assert (found.id, found.vanished) == (DEFAULT_MODEL, "mine")
    assert found.note in caplog.messages
    assert found.note.endswith(".")


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, '{"model": 3}', '{"model": ""}', '{"new": 1}', "\udcff"])
def test_settings_that_say_nothing_of_a_model_leave_the_built_in_default_and_no_word(
    content: str, caplog: pytest.LogCaptureFixture
) -> None:
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text(content, "utf-8", "surrogateescape")
    assert default_model() == Default(DEFAULT_MODEL)
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["../mine", "a b", "\0", "/"])
def test_a_default_that_is_no_name_has_vanished(folder: Path, name: str) -> None:
    settings.save(paths.settings_file(), replace(settings.Preferences(), model=name))
    assert default_model() == Default(DEFAULT_MODEL, name)


def test_no_model_that_is_not_there_becomes_the_default(command: Cli, folder: Path) -> None:
    for name in ("nothing", "../mine", str(folder / "mine")):
        refused(command, "default", name)
    assert settings.load(paths.settings_file()).model == ""


def test_a_renamed_model_is_the_same_model(command: Cli, folder: Path) -> None:
    before = read_card(folder / "mine")
    run(command, "default", "mine")
    found = run(command, "rename", "mine", "ours")
    assert found == {"id": "ours", "was": "mine", "folder": str(folder / "ours")}
    after = Bundle.open(folder / "ours").card
    assert (after.id, default_model().id, names_in(folder)) == ("ours", "ours", ["ours"])
    assert ModelIdentity.of(before).is_of(after)
    assert ModelIdentity.of(after).is_of(before)
    run(command, "rename", "ours", "theirs")
    assert ModelIdentity.of(before).is_of(read_card(folder / "theirs"))
    run(command, "rename", "theirs", before.id)
    assert read_card(folder / before.id) == before


def test_a_rename_that_was_killed_leaves_a_whole_model_and_the_same_again_completes_it(folder: Path) -> None:
    before = read_card(folder / "mine")
    command = [sys.executable, "-c", RENAME_KILLED]
    assert subprocess.run(command, cwd=ROOT, check=False, env=dict(os.environ)).returncode == -signal.SIGKILL
    assert names_in(folder) == ["mine"]
    assert ModelIdentity.of(before).is_of(Bundle.open(folder / "mine").card)
    catalogue.rename("mine", "ours")
    after = read_card(folder / "ours")
    assert (after.id, after.as_built) == ("ours", before)


def test_another_model_is_another_model_whatever_it_is_called(folder: Path) -> None:
    card = read_card(folder / "mine")
    other = replace(card, recipe_sha256="2" * 64).renamed("mine")
    assert not ModelIdentity.of(card).is_of(other)


@pytest.mark.parametrize("new", ["shared", "other", "mine", "../x", "a b", ""])
def test_a_name_that_is_taken_or_none_is_refused_and_nothing_changes(
    command: Cli, folder: Path, system: Path, new: str
) -> None:
    (folder / "other").write_text("no model")
    before = files_in(folder / "mine")
    refused(command, "rename", "mine", new)
    assert names_in(folder) == ["mine", "other"]
    assert files_in(folder / "mine") == before


def test_where_the_folder_cannot_be_renamed_the_card_is_as_it_was(
    command: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(folder / "mine")
    refuse = OSError(13, "Permission denied")
    whole = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == "mine":
            raise refuse
        return whole(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert "Permission denied" in refused(command, "rename", "mine", "ours")
    assert files_in(folder / "mine") == before


def test_a_removed_model_is_gone_from_the_disk(command: Cli, folder: Path) -> None:
    assert run(command, "remove", "mine", "--yes") == {"id": "mine", "folder": str(folder / "mine"), "removed": True}
    assert names_in(folder) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False)])
def test_on_a_terminal_the_person_is_asked(
    command: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, removed: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    status, out, err = command.run("models", "remove", "mine", "--json")
    assert (status, json.loads(out)["removed"]) == (0, removed)
    assert str(folder / "mine") in err
    assert (folder / "mine").exists() is not removed


def test_where_nobody_can_be_asked_nothing_is_removed(
    command: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    status, err = command.refused("models", "remove", "mine", model=None)
    assert (status, "--yes" in err) == (2, True)
    assert names_in(folder) == ["mine"]


@pytest.mark.parametrize("action", [("remove", "shared", "--yes"), ("rename", "shared", "ours")])
def test_a_system_model_stays(command: Cli, folder: Path, system: Path, action: tuple[str, ...]) -> None:
    before = files_in(system)
    assert "system" in refused(command, *action)
    assert files_in(system) == before


def test_nothing_outside_the_models_folders_is_removed_or_renamed(
    command: Cli, folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path(shutil.copytree(model, tmp_path / "outside"))
    monkeypatch.chdir(tmp_path)
    for name in (str(outside), "outside", "../outside", "..", ".", "mine/../../outside"):
        refused(command, "remove", name, "--yes")
        refused(command, "rename", name, "ours")
    (folder / "linked").symlink_to(outside)
    before = files_in(outside)
    run(command, "remove", "linked", "--yes")
    assert files_in(outside) == before
    assert names_in(folder) == ["mine"]


def test_a_model_that_was_set_aside_comes_back_unless_its_place_is_taken(folder: Path) -> None:
    before = files_in(folder / "mine")
    aside = catalogue.set_aside("mine")
    assert [model.id for model in catalogue.catalogue().models] == []
    sweep(folder)  # this process still has it
    catalogue.bring_back(aside)
    assert files_in(folder / "mine") == before
    aside = catalogue.set_aside("mine")
    shutil.copytree(aside.hidden, folder / "mine")
    with pytest.raises(ModelKeptError):
        catalogue.bring_back(aside)
    catalogue.discard(aside)
    assert names_in(folder) == ["mine"]


RENAME_KILLED = """
import os, signal
from pathlib import Path
from canopy_desktop.model import catalogue
Path.rename = lambda path, target: os.kill(os.getpid(), signal.SIGKILL)
catalogue.rename("mine", "ours")
"""

KILLED = """
import os, shutil, signal, sys
from canopy_desktop.model import catalogue
shutil.rmtree = lambda path: os.kill(os.getpid(), signal.SIGKILL)
catalogue.discard(catalogue.set_aside("mine"))
"""


def test_a_removal_that_is_killed_leaves_nothing_half(folder: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    assert catalogue.catalogue().models == ()
    sweep(folder)
    assert names_in(folder) == []

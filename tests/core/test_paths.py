"""Where bundles are looked for, and which of several is taken."""

import json
import shutil
from pathlib import Path

import pytest

from canopy_desktop import paths
from canopy_desktop.errors import ModelNotFoundError
from canopy_desktop.model.bundle import find_bundle, installed_bundles


def place(folder: Path, card: str = "{}") -> Path:
    """A folder that looks like a bundle to who searches for one."""
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(card)
    return folder


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders of models, and a working directory beside them."""
    first, second, here = tmp_path / "first", tmp_path / "second", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("CANOPY_MODELS", f"{first}:{second}")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "site"))
    return first, second


def test_folders_are_searched_in_their_order(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = folders
    assert paths.model_folders()[:4] == (
        first, second, tmp_path / "data/canopy-desktop/models", tmp_path / "site/canopy-desktop/models",
    )  # fmt: skip
    later = place(second / "own")
    assert find_bundle("own") == later
    earlier = place(first / "own")
    assert find_bundle("own") == earlier
    assert [listed.folder for listed in installed_bundles() if listed.id == "own"] == [earlier]


@pytest.mark.parametrize("where", ["data/canopy-desktop/models", "site/canopy-desktop/models"])
def test_the_users_and_the_systems_models_are_found(folders: tuple[Path, Path], tmp_path: Path, where: str) -> None:
    placed = place(tmp_path / where / "own")
    assert find_bundle("own") == placed


def test_an_id_means_the_same_in_every_working_directory(folders: tuple[Path, Path], tmp_path: Path) -> None:
    own = place(folders[0] / "own")
    place(tmp_path / "here" / "own")
    assert find_bundle("own") == own
    assert find_bundle("./own") in (Path("own"), Path("./own"))
    assert find_bundle(str(tmp_path / "here" / "own")) == tmp_path / "here" / "own"


def test_a_folder_in_the_working_directory_is_taken_where_no_model_is_called_so(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    place(tmp_path / "here" / "own")
    assert find_bundle("own").resolve() == tmp_path / "here" / "own"
    assert find_bundle("own/").resolve() == tmp_path / "here" / "own"


def test_the_default_model_is_never_a_folder_of_the_working_directory(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    place(tmp_path / "here" / "smollm2-135m-instruct")
    assert tmp_path / "here" not in find_bundle(None).resolve().parents


@pytest.mark.parametrize("name", ["../first", "own/..", "a/b", "."])
def test_a_name_does_not_lead_out_of_the_folders_of_models(
    folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    place(folders[0] / "own")
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(ModelNotFoundError):
        find_bundle(name)


def test_two_dots_are_the_folder_above_and_no_id(folders: tuple[Path, Path], tmp_path: Path) -> None:
    place(folders[0] / "own")
    (tmp_path / "card.json").write_text("{}")
    assert find_bundle("..") == Path("..")


def test_a_broken_card_is_listed_with_its_problem_and_hides_no_other(folders: tuple[Path, Path]) -> None:
    place(folders[0] / "broken", "{")
    place(folders[1] / "other", json.dumps({"format": 9}))
    place(folders[0] / ".building-1-1-x")
    (folders[0] / "empty").mkdir()
    (folders[0] / "file").write_text("")
    listed = {listed.id: listed.problem for listed in installed_bundles() if listed.folder.parent in folders}
    assert listed.keys() == {"broken", "other"}
    assert all(problem and "\n" not in problem for problem in listed.values())


def test_a_folder_of_models_that_is_not_there_or_is_a_file_is_passed_over(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    folders[0].write_text("a file")
    own = place(folders[1] / "own")
    assert find_bundle("own") == own
    shutil.rmtree(folders[1])
    with pytest.raises(ModelNotFoundError, match=r"first.*second"):
        find_bundle("own")


def test_models_are_built_in_the_first_folder_that_is_given(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.build_folder() == folders[0]
    monkeypatch.delenv("CANOPY_MODELS")
    assert paths.build_folder() in (paths.checkout_models(), paths.user_models())

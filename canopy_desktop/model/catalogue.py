"""The models that are here: whose each is, which is the default, and renaming and removing the person's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from canopy_desktop import paths, settings
from canopy_desktop.atomic import replacing
from canopy_desktop.errors import ModelKeptError, ModelNotFoundError
from canopy_desktop.model.bundle import DEFAULT_MODEL, Default, Listed, default_model, installed_bundles
from canopy_desktop.model.card import CARD_FILE, is_name
from canopy_desktop.model.working import working_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All models that are found, the first of each id, and the one that opens where none is named."""

    models: tuple[Listed, ...]
    default: Default

    def find(self, name: str) -> Listed:
        """The model with this id. Raises `ModelNotFoundError`."""
        for model in self.models:
            if model.id == name:
                return model
        raise ModelNotFoundError(name, paths.model_folders())


@dataclass(frozen=True, slots=True)
class SetAside:
    """A model that was taken out of the catalogue and still lies on the disk, out of sight."""

    id: str
    folder: Path  # where it belongs
    hidden: Path  # where it is; gone when the process that took it out has ended


def catalogue() -> Catalogue:
    """What is there now; cards are read, files not verified."""
    return Catalogue(models=installed_bundles(), default=default_model())


def is_own(folder: Path) -> bool:
    """Whether a bundle is the person's, to be renamed or removed: it lies in an own folder, which can be written."""
    return folder.parent in paths.own_model_folders() and os.access(folder.parent, os.W_OK)


def choose_default(name: str) -> None:
    """Open this model where none is named. Raises `ModelNotFoundError` or `StorageError`."""
    catalogue().find(name)
    _remember(name)


def rename(name: str, new: str) -> Path:
    """Give an own model another id; explorations still know it, and a default stays one. Returns its folder.

    The card is replaced first, and the folder renamed then: killed in between, the model is whole under its old id, and
    the same again completes it. Raises `ModelNotFoundError`, `ModelKeptError` or `StorageError`.
    """
    found = catalogue()
    model = _own(found, name)
    if not is_name(new):
        raise ModelKeptError(name, "an id is of letters, digits, '.', '_' and '-', and begins with a letter or digit")
    target = model.folder.with_name(new)
    if any(other.id == new for other in found.models) or os.path.lexists(target):
        raise ModelKeptError(name, f"there is another one called {new!r}")
    if model.card is None:
        raise ModelKeptError(name, "its card cannot be read, so verify it first")
    with _refused(name):
        _write_card(model.folder, model.card.renamed(new).to_json())
        try:
            model.folder.rename(target)
        except OSError:
            _write_card(model.folder, model.card.to_json())
            raise
    if found.default.id == name:
        _remember(new)
    return target


def set_aside(name: str) -> SetAside:
    """Take an own model out of the catalogue in one step. Raises `ModelNotFoundError` or `ModelKeptError`."""
    model = _own(catalogue(), name)
    hidden = model.folder.with_name(f"{working_name()}{model.folder.name}")
    with _refused(name):
        model.folder.rename(hidden)
    return SetAside(name, model.folder, hidden)


def bring_back(aside: SetAside) -> None:
    """Put a model back that was set aside. Raises `ModelKeptError`."""
    if os.path.lexists(aside.folder):
        raise ModelKeptError(aside.id, "another one has taken its place")
    with _refused(aside.id):
        aside.hidden.rename(aside.folder)


def discard(aside: SetAside) -> None:
    """Free the disk of a model that was set aside; of a link the link alone. Raises `ModelKeptError`."""
    with _refused(aside.id):
        if aside.hidden.is_symlink():
            aside.hidden.unlink()
        else:
            shutil.rmtree(aside.hidden)


def _own(found: Catalogue, name: str) -> Listed:
    model = found.find(name)
    if not is_own(model.folder):
        raise ModelKeptError(name, f"it lies in {model.folder.parent}, which is the system's or cannot be written")
    return model


def _remember(name: str) -> None:
    path = paths.settings_file()
    settings.save(path, replace(settings.load(path), model="" if name == DEFAULT_MODEL else name))


def _write_card(folder: Path, text: str) -> None:
    with replacing(folder / CARD_FILE) as file:
        file.write(text.encode())


@contextmanager
def _refused(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelKeptError(name, f"the system does not allow it ({error.strerror or error})") from error

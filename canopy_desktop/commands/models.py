"""`models`: what is there, whether it is whole, and how it gets there."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from canopy_desktop import paths
from canopy_desktop.commands.catalogue import default, list_models, remove_model, rename_model
from canopy_desktop.errors import BuildError, CanopyError, UsageError
from canopy_desktop.model.bundle import DEFAULT_MODEL, Bundle, find_bundle, installed_bundles
from canopy_desktop.model.card import CARD_FILE, WeightForm, is_name
from canopy_desktop.model.checkpoint_json import CONFIG

BAR = 30


def models(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is there, whether it is whole, and how it gets there."""
    match arguments.action:
        case "list":
            return list_models()
        case "default":
            return default(arguments.id)
        case "rename":
            return rename_model(arguments.id, arguments.new)
        case "remove":
            return remove_model(arguments.id, sure=arguments.yes)
        case "verify":
            return verify(arguments.id or arguments.model)
        case "build":
            name = arguments.id or arguments.model or DEFAULT_MODEL
            return build_model(name, arguments.precision, accepts=arguments.accept_licence)
        case _:
            made = set_up_exports(percent=arguments.progress) if arguments.setup else None
            if arguments.path is not None:
                path = Path(arguments.path)
                return import_model(path, arguments.name, arguments.precision, percent=arguments.progress)
            if made is None:
                raise UsageError("Name a file or folder to import, or make what exports need with --setup.")
            return made


def verify(name: str | None) -> dict[str, Any]:
    """Check every file of one bundle, or of all."""
    folders = [find_bundle(name)] if name else [listed.folder for listed in installed_bundles()]
    results: list[dict[str, Any]] = []
    for folder in folders:
        try:
            results.append({"id": Bundle.open(folder).card.id, "folder": str(folder), "problem": None})
        except CanopyError as error:
            results.append({"id": folder.name, "folder": str(folder), "problem": str(error)})
    return {"models": results, "failed": int(any(result["problem"] for result in results))}


def build_model(name: str, precision: str | None, *, accepts: bool = False) -> dict[str, Any]:
    """Build a bundle from its recipe; nothing is done where it is there already.

    `accepts` are the terms of a model that has some of its own: without it nothing is fetched.
    """
    from canopy_desktop.model.build import build, is_built
    from canopy_desktop.model.recipe import find_recipe

    if precision is None and name.endswith("-fp32"):
        name, precision = name.removesuffix("-fp32"), "fp32"
    recipe = find_recipe(name)
    if recipe.terms is not None:
        if not accepts:
            raise UsageError(f"{recipe.title} has terms of its own: read {recipe.terms}, then add --accept-licence.")
        sys.stderr.write(f"The terms of {recipe.title}, which you accept: {recipe.terms}\n")
    form = WeightForm(precision) if precision else recipe.form
    folder = paths.build_folder()
    target = folder / recipe.bundle_id(form)
    built = not is_built(recipe, form, target)
    if built:
        progress = ProgressBar(recipe.bundle_id(form))
        try:
            build(recipe, form, folder, progress.show)
        finally:
            progress.close()
    return {"id": recipe.bundle_id(form), "folder": str(target), "built": built}


def import_model(path: Path, name: str | None, precision: str | None, *, percent: bool = False) -> dict[str, Any]:
    """Make a bundle of a GGUF file, a checkpoint or an ONNX decoder, or copy the folder of one built elsewhere."""
    is_bundle = (path / CARD_FILE).exists()
    if not path.exists() or (path.is_dir() and not is_bundle and not (path / CONFIG).exists()):
        has = f"of a checkpoint or an ONNX model, which has a {CONFIG}, or of a model bundle, which has a {CARD_FILE}"
        raise UsageError(f"{path} is neither a GGUF file nor the folder {has}.")
    if is_bundle:
        if name is not None or precision is not None:
            raise UsageError("--name and --precision are for models that are built: a bundle keeps its own.")
        return import_bundle(path)
    from canopy_desktop.model.model_import import bundle_id, import_source, runs_as_it_is

    if precision is not None and runs_as_it_is(path):
        raise UsageError(
            "--precision is for models that are built: this one is run as its own graph, with its own weights."
        )
    if name is not None and not is_name(name):
        raise UsageError(f"--name must be of letters, digits, '.', '_' and '-', not {name[:100]!r}.")
    form = WeightForm(precision or WeightForm.INT8)
    name = name or bundle_id(path, form)
    progress = ProgressBar(name, percent=percent)
    try:
        imported = import_source(path, form, name, paths.build_folder(), progress.show)
    finally:
        progress.close()
    return {"id": imported.id, "folder": str(imported.folder), "imported": imported.is_new}


def set_up_exports(*, percent: bool = False) -> dict[str, Any]:
    """Make the environment in which optimum exports checkpoints; nothing is done where it is there already."""
    from canopy_desktop.model.export_environment import make_environment

    progress = ProgressBar("exports", percent=percent)
    try:
        made = make_environment(progress.show)
    finally:
        progress.close()
    return {"environment": str(made.folder), "made": made.is_new}


def import_bundle(path: Path) -> dict[str, Any]:
    """Copy a bundle that was built elsewhere to where models are built, and verify it there."""
    from canopy_desktop.model.build import working_folder

    bundle = Bundle.open(path)
    folder = paths.build_folder()
    target = folder / bundle.card.id
    if target.exists():
        raise BuildError(f"{target} is there already", "Remove it first.")
    with working_folder(folder) as work:
        copy = work / "bundle"
        copy.mkdir()
        for name in (CARD_FILE, *(entry.name for entry in bundle.card.files)):  # and nothing else that lies there
            shutil.copyfile(path / name, copy / name, follow_symlinks=False)
        Bundle.open(copy)
        copy.rename(target)
    return {"id": bundle.card.id, "folder": str(target)}


class ProgressBar:
    """One line on standard error that is written anew, or plain lines where that is no terminal.

    With `percent` each is a whole number of percent and what is being done, for another program to read.
    """

    def __init__(self, name: str, *, percent: bool = False) -> None:
        self._name = name
        self._last = ""
        self._percent = percent
        self._live = not percent and sys.stderr.isatty()

    def show(self, doing: str, part: float) -> None:
        """Show what is being done, and the part of the whole that is done."""
        if self._percent:
            doing = f"{round(100 * part)} {doing}"
        if self._live:
            filled = round(part * BAR)
            self._write(f"\r{self._name} [{'#' * filled}{'.' * (BAR - filled)}] {doing:<12}")
        elif doing != self._last:
            self._write(f"{doing}\n" if self._percent else f"{self._name}: {doing}\n")
        self._last = doing

    def close(self) -> None:
        """End the line."""
        if self._live:
            self._write("\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

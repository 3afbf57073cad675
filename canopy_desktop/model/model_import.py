"""A model that a person has, turned into a bundle: offline, and whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from canopy_desktop.errors import BuildError, CanopyError, SourceError
from canopy_desktop.model.build import FULL_REMEDY, Origin, Progress, Source, make, working_folder, write_graphs
from canopy_desktop.model.bundle import Bundle, file_sum, installed_bundles
from canopy_desktop.model.card import WeightForm, read_card
from canopy_desktop.model.checkpoint import SUFFIX, checkpoint_files, checkpoint_name, open_checkpoint
from canopy_desktop.model.decoder import CHECK_TEXT, OnnxDecoder
from canopy_desktop.model.export import is_exported, open_exported
from canopy_desktop.model.families import expected_shapes
from canopy_desktop.model.gguf_file import check_header, open_gguf
from canopy_desktop.model.graph import PLACES
from canopy_desktop.model.onnx_folder import (
    GRAPH_SUFFIX,
    OnnxModel,
    has_decoder,
    onnx_files,
    onnx_name,
    open_onnx_model,
)
from canopy_desktop.model.onnx_given import GivenModel, is_foreign, open_given_model
from canopy_desktop.model.onnx_witness import compare
from canopy_desktop.model.recipe import BUILDER

logger = logging.getLogger(__name__)

MAX_NAME = 80  # characters of an id that is made from a file's name
BYTES_PER_WEIGHT = {WeightForm.INT8: 1 + 4 / 32, WeightForm.FP32: 4}


@dataclass(frozen=True, slots=True)
class Imported:
    """Where a model is, and whether it was not there before."""

    id: str
    folder: Path
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Kind:
    """A form that models come in."""

    name: Callable[[Path], str]  # what one is called
    files: Callable[[Path], Sequence[Path]]  # all that decide what is built
    open: Callable[[Path, Path, Progress], Source | GivenModel]  # the second is a folder to work in
    keeps_graph: bool = False  # it is run as it is, whatever its form


def _gguf_files(path: Path) -> tuple[Path]:
    check_header(path)
    return (path,)


def _open_onnx(path: Path) -> OnnxModel | GivenModel:
    """The weights of a graph of a known class; the graph itself where they are kept in a way that is not known."""
    try:
        return open_onnx_model(path)
    except SourceError as error:
        logger.info("%s is run as its own graph, if it can be: %s", path, error.reason)
        return open_given_model(path)


_GGUF = _Kind(lambda path: path.name, _gguf_files, lambda path, *_: open_gguf(path))
_CHECKPOINT = _Kind(checkpoint_name, checkpoint_files, lambda path, *_: open_checkpoint(path))
_EXPORTED = _Kind(checkpoint_name, checkpoint_files, open_exported, keeps_graph=True)
_ONNX = _Kind(onnx_name, onnx_files, lambda path, *_: _open_onnx(path))
_GIVEN = _Kind(onnx_name, onnx_files, lambda path, *_: open_given_model(path), keeps_graph=True)


def _kind_of(path: Path) -> _Kind:
    """A folder with both is taken as a checkpoint, if it need not be exported: nothing was rounded or written anew."""
    needs_export = path.is_dir() and is_exported(path)
    if path.is_dir():
        is_onnx = has_decoder(path) and (needs_export or not any(path.glob(f"*{SUFFIX}")))
    else:
        is_onnx = path.suffix.lower() == GRAPH_SUFFIX
    if is_onnx:
        return _GIVEN if is_foreign(path) else _ONNX
    if needs_export:
        return _EXPORTED
    return _CHECKPOINT if path.is_dir() else _GGUF


def runs_as_it_is(path: Path) -> bool:
    """Whether a model's graph is run as it is, for it is of a kind that cannot be built. Raises `SourceError`."""
    return _kind_of(path).keeps_graph


def bundle_id(path: Path, form: WeightForm) -> str:
    """An id from a file's or folder's name: lower case, and `-fp32` behind the exact form."""
    kind = _kind_of(path)
    name = path.stem if kind is _GGUF else kind.name(path).rpartition("--")[2]
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")[:MAX_NAME] or "model"
    return f"{plain}-{form.value}" if form is WeightForm.FP32 and not kind.keeps_graph else plain


def import_source(path: Path, form: WeightForm, name: str, folder: Path, progress: Progress) -> Imported:
    """Build the bundle of a GGUF, a checkpoint folder or an ONNX decoder in `folder` / `name`.

    A graph that is run as it is keeps its own form. Nothing is built where one of the same files and form is there
    already. Raises `CanopyError`.
    """
    kind = _kind_of(path)
    form = WeightForm.GIVEN if kind.keeps_graph else form
    files = kind.files(path)
    progress("reading", 0.0)
    try:
        source_sha256 = _sum(files)
    except OSError as error:
        raise SourceError(path, f"it cannot be read ({error.strerror})") from error
    digest = hashlib.sha256(f"{source_sha256} {form.value} {BUILDER}".encode()).hexdigest()
    same = _installed(digest)
    if same is not None:
        return same
    target = folder / name
    if target.exists() and _digest_of(target) != digest:
        raise BuildError(f"{target} is there already", "Choose another name with --name, or remove it first.")
    progress("reading", 0.1)
    with working_folder(folder) as work:
        model = kind.open(path, work, progress)
        trial = partial(compare, model) if isinstance(model, OnnxModel) else _try_out
        if isinstance(model, GivenModel):
            form, trial, write = WeightForm.GIVEN, model.compare, model.write
            needed: float = sum(part.stat().st_size for part in (model.file.path, *model.file.data_files))
        else:
            write = partial(write_graphs, model, form)
            needed = _bytes_needed(model, form)
        _check_space(needed, folder)
        origin = Origin(
            id=name,
            title=model.title or path.stem,
            licence=model.licence or "not stated",
            source=kind.name(path),
            source_sha256=source_sha256,
            recipe_sha256=digest,
        )
        return Imported(name, make(origin, form, model, folder, progress, work, trial, write), True)


def _sum(files: Sequence[Path]) -> str:
    """The sum of a file, or of the names and sums of several."""
    sums = [file_sum(path) for path in files]
    if len(sums) == 1:
        return sums[0].sha256
    return hashlib.sha256("\n".join(f"{entry.sha256} {entry.name}" for entry in sums).encode()).hexdigest()


def _installed(digest: str) -> Imported | None:
    """The bundle that was made of the same file in the same form, if it is whole."""
    for listed in installed_bundles():
        if listed.card is not None and listed.card.recipe_sha256 == digest:
            try:
                return Imported(listed.id, Bundle.open(listed.folder).folder, False)
            except CanopyError:
                continue
    return None


def _digest_of(folder: Path) -> str | None:
    try:
        return read_card(folder).recipe_sha256
    except CanopyError:
        return None


def _bytes_needed(model: Source, form: WeightForm) -> float:
    a = model.architecture
    weights = sum(int(np.prod(shape)) for name, shape in expected_shapes(a).items() if name != PLACES)
    return weights * BYTES_PER_WEIGHT[form] + a.position_bytes


def _check_space(needed: float, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BuildError(
            f"it takes {needed / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free there", FULL_REMEDY
        )


def _try_out(folder: Path) -> None:
    """Pass a chunk and a single token through a new bundle. Raises `CanopyError`."""
    bundle = Bundle.open(folder)
    decoder = OnnxDecoder(bundle, context=len(CHECK_TEXT))
    text = [token_id % decoder.architecture.vocabulary for token_id in CHECK_TEXT[: decoder.context]]
    for token_ids in (text[:-1], text[-1:]):
        if token_ids and not np.isfinite(decoder.feed(token_ids)[0]).all():
            raise BuildError("what it computes are no finite numbers", "The file is damaged: fetch it again.")

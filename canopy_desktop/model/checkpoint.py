"""A checkpoint folder as transformers writes it: config.json, safetensors and a tokenizer, read with care."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.checkpoint_config import read_architecture
from canopy_desktop.model.checkpoint_json import CONFIG, one_line, own_file, read_text, read_values
from canopy_desktop.model.checkpoint_tokenizer import TOKENIZER_FILES, read_tokenizer
from canopy_desktop.model.families import (
    PUBLISHED_OUTPUT,
    Family,
    Shape,
    check_shapes,
    expected_shapes,
    kept,
    published_name,
)
from canopy_desktop.model.graph import EMBEDDING
from canopy_desktop.model.safetensors_file import StoredTensor, stored_tensors
from canopy_desktop.model.tokenizer_build import GgufTokenizerFields

SUFFIX = ".safetensors"
WEIGHTS, INDEX = f"model{SUFFIX}", f"model{SUFFIX}.index.json"
README = "README.md"
MAX_FILES = 1_000
_PICKLES = {".bin", ".pt", ".pth", ".ckpt"}
_LICENCE = re.compile(r"---\n(?:(?!---)[^\n]*\n)*?license: *([^\n]+)")
# Of old files; computed, not read: what a rotation turns by, and the causal mask.
_COMPUTED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq|transformer\.h\.\d+\.attn\.(masked_)?bias")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An open checkpoint whose files agree. Weights stay on disk until asked for."""

    path: Path
    title: str | None
    licence: str | None
    family: Family
    architecture: Architecture
    tokenizer: GgufTokenizerFields
    tensors: Mapping[str, StoredTensor]

    def matrix(self, name: str) -> FloatArray:
        """A matrix or vector by its GGUF name, (outputs, inputs). Raises `SourceError`."""
        place = kept(self.family, self.architecture, name)
        values = self.tensors[published_name(self.family, place.name)].values()
        values = (values.T if _is_transposed(self.family, name, values.shape) else values)[place.rows]
        return values + 1 if self.family.raised_norms and name.endswith("norm.weight") else values


def checkpoint_name(folder: Path) -> str:
    """What a checkpoint is called: as its folder, or as the hub calls the model whose cache it lies in."""
    home = folder.resolve()
    return home.parent.parent.name.removeprefix("models--") if home.parent.name == "snapshots" else home.name


def checkpoint_files(folder: Path) -> tuple[Path, ...]:
    """All files of a checkpoint that decide what is built. Raises `SourceError`."""
    names = (CONFIG, *TOKENIZER_FILES, INDEX)
    others = [path for path in (own_file(folder, name) for name in names) if path is not None]
    return (*others, *_weight_files(folder))


def open_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint of one of the families. Raises `SourceError` for anything wrong with it."""
    config = read_values(folder, CONFIG)
    family, architecture = read_architecture(config)
    tensors: dict[str, StoredTensor] = {}
    for path in _weight_files(folder):
        more = stored_tensors(path)
        if twice := sorted(tensors.keys() & more.keys()):
            raise SourceError(folder, f"its tensor {twice[0][:100]!r} is in two files")
        tensors |= more
    tensors = _with_base(tensors, family)
    expected = {
        published_name(family, name): shape[::-1] if _is_transposed(family, name, shape) else shape
        for name, shape in expected_shapes(architecture, fused_qkv=family.fused_qkv).items()
    }
    unread = {name for name in tensors if _COMPUTED.fullmatch(name)}
    if architecture.tied:
        unread.add(PUBLISHED_OUTPUT)  # the embedding takes its place, as in transformers
    check_shapes({name: tensor.shape for name, tensor in tensors.items()}, expected, unread, folder)
    return Checkpoint(
        path=folder,
        title=one_line(checkpoint_name(folder).replace("--", "/")),
        licence=stated_licence(folder),
        family=family,
        architecture=architecture,
        tokenizer=read_tokenizer(folder, config, architecture.vocabulary),
        tensors=tensors,
    )


def _is_transposed(family: Family, name: str, shape: Shape) -> bool:
    """Whether a checkpoint has the rows of a tensor as columns."""
    return family.transposed and name.startswith("blk.") and len(shape) == 2


def _with_base(tensors: dict[str, StoredTensor], family: Family) -> dict[str, StoredTensor]:
    """The tensors as a whole model's, also where it was saved without its head, as transformers reads it too."""
    if published_name(family, EMBEDDING).removeprefix(family.base) not in tensors:
        return tensors
    return {name if name == PUBLISHED_OUTPUT else f"{family.base}{name}": tensor for name, tensor in tensors.items()}


def _weight_files(folder: Path) -> tuple[Path, ...]:
    index = read_values(folder, INDEX)
    named = index.part("weight_map").all().values()
    if not all(isinstance(name, str) and Path(name).name == name and name.endswith(SUFFIX) for name in named):
        raise index.refuse(f"names other files than *{SUFFIX} of this folder")
    names = sorted(set(named)) or _lone_weights(folder)
    if len(names) > MAX_FILES:
        raise index.refuse(f"names more than {MAX_FILES} files")
    return tuple(_weight_file(folder, name) for name in names)


def _weight_file(folder: Path, name: str) -> Path:
    path = own_file(folder, name)
    if path is None:
        raise SourceError(folder, f"it lacks the file {name[:100]!r} with a part of its weights")
    return path


def _lone_weights(folder: Path) -> list[str]:
    """The one file of weights where no index says more."""
    try:
        there = list(folder.iterdir())
    except OSError as error:
        raise SourceError(folder, f"it cannot be read ({error.strerror})") from error
    names = {path.name for path in there if path.suffix == SUFFIX}
    if WEIGHTS in names:
        return [WEIGHTS]
    if len(names) > 1:
        raise SourceError(folder, f"it has {len(names)} files of weights and no {INDEX} that says which belong to it")
    if not names and any(path.suffix in _PICKLES for path in there):
        way_out = "save the model as safetensors, or import a GGUF of it"
        raise SourceError(folder, f"its weights are pickles, which can run programs of their own: {way_out}")
    return [*names] or [WEIGHTS]


def stated_licence(folder: Path) -> str | None:
    """What the description of the model says about its licence, if there is one that can be read."""
    try:
        found = _LICENCE.match(read_text(folder, README) or "")
    except SourceError:
        return None
    return None if found is None else one_line(found[1])

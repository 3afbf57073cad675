"""A folder with an ONNX decoder as optimum and transformers.js write it: config.json, a tokenizer, and graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import SourceError
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.checkpoint import checkpoint_name, stated_licence
from canopy_desktop.model.checkpoint_config import read_architecture
from canopy_desktop.model.checkpoint_json import CONFIG, one_line, own_file, read_values
from canopy_desktop.model.checkpoint_tokenizer import TOKENIZER_FILES, read_tokenizer
from canopy_desktop.model.families import Family, check_shapes, expected_shapes, kept, published_name
from canopy_desktop.model.graph import EMBEDDING, OUTPUT_MATRIX
from canopy_desktop.model.onnx_file import OnnxFile, open_onnx
from canopy_desktop.model.onnx_weights import Rounding, Weight, find_weights, split_fused
from canopy_desktop.model.tokenizer_build import GgufTokenizerFields

GRAPH_SUFFIX = ".onnx"
BELOW = "onnx"  # where transformers.js keeps the graphs
# What decoders are called, and behind it how exact they are, the most exact first.
NAMES = ("model", "decoder_model_merged", "decoder_with_past_model")
FORMS = ("", "_fp16", "_quantized", "_int8", "_uint8", "_q4", "_q4f16")


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """An open ONNX decoder whose graph and config.json agree. Weights are read when asked for."""

    path: Path
    title: str | None
    licence: str | None
    family: Family
    architecture: Architecture
    tokenizer: GgufTokenizerFields
    file: OnnxFile
    weights: Mapping[str, Weight]  # by the names that a checkpoint has for them

    @property
    def rounding(self) -> Rounding:
        """How its graph multiplies where it is roughest."""
        return max(weight.rounding for weight in self.weights.values())

    def matrix(self, name: str) -> FloatArray:
        """A matrix or vector by its GGUF name, (outputs, inputs). Raises `SourceError`."""
        place = kept(self.family, self.architecture, name)
        values = self.weights[published_name(self.family, place.name)].values()[place.rows]
        if not np.isfinite(values).all():
            raise SourceError(self.path, f"its weight {name} holds values that are no finite numbers")
        return values


def find_decoder(path: Path) -> tuple[Path, str]:
    """The folder with the model's config.json, and its decoder's path in there. Raises `SourceError`.

    `path`: a graph, or a folder, of whose graphs the most exact one is taken.
    """
    if path.is_dir():
        return path, _most_exact(path)
    folder = path.parent if (path.parent / CONFIG).exists() or path.parent.name != BELOW else path.parent.parent
    return folder, path.relative_to(folder).as_posix()


def has_decoder(folder: Path) -> bool:
    """Whether there are ONNX graphs in a folder."""
    return bool(_graphs(folder))


def onnx_files(path: Path) -> tuple[Path, ...]:
    """All files of an ONNX model that decide what is built. Raises `SourceError`."""
    folder, name = find_decoder(path)
    others = [found for found in (own_file(folder, other) for other in (CONFIG, *TOKENIZER_FILES)) if found is not None]
    file = open_onnx(folder, name)
    return (*others, file.path, *file.data_files)


def onnx_name(path: Path) -> str:
    """What the model is called: as its folder, and as the graph, where a person chose one."""
    if path.is_dir():
        return checkpoint_name(path)
    return f"{checkpoint_name(find_decoder(path)[0])}-{path.stem}"


def open_onnx_model(path: Path) -> OnnxModel:
    """Open the decoder of a folder, or the one that is named. Raises `SourceError` for anything wrong with it."""
    folder, name = find_decoder(path)
    config = read_values(folder, CONFIG)
    if not config.all():
        raise SourceError(path, f"it has no {CONFIG} beside it, which says what it computes")
    family, architecture = read_architecture(config)
    file = open_onnx(folder, name)
    a = architecture
    rows = [count * a.head_size for count in (a.heads, a.kv_heads, a.kv_heads)]
    found = split_fused(find_weights(file), rows)
    embedding, output = (published_name(family, part) for part in (EMBEDDING, OUTPUT_MATRIX))
    if a.tied and {embedding, output} <= found.keys() and not _same(found[embedding], found[output]):
        architecture = replace(a, tied=False)  # quantised apart
    shapes = expected_shapes(architecture, fused_qkv=family.fused_qkv)
    expected = {published_name(family, part): shape for part, shape in shapes.items()}
    weights = {part: weight for part, weight in found.items() if part in expected}
    check_shapes({part: weight.shape for part, weight in weights.items()}, expected, (), file.path)
    return OnnxModel(
        path=file.path,
        title=one_line(checkpoint_name(folder).replace("--", "/")),
        licence=stated_licence(folder),
        family=family,
        architecture=architecture,
        tokenizer=read_tokenizer(folder, config, architecture.vocabulary),
        file=file,
        weights=weights,
    )


def _same(embedding: Weight, output: Weight) -> bool:
    return embedding.kept == output.kept or np.array_equal(embedding.values(), output.values())


def _graphs(folder: Path) -> list[str]:
    """The paths in the folder of all graphs where decoders lie."""
    try:
        return [
            path.relative_to(folder).as_posix()
            for part in (folder, folder / BELOW)
            if part.is_dir()
            for path in sorted(part.iterdir())
            if path.suffix == GRAPH_SUFFIX
        ]
    except OSError as error:
        raise SourceError(folder, f"it cannot be read ({error.strerror})") from error


def _most_exact(folder: Path) -> str:
    graphs = _graphs(folder)
    wanted = (f"{part}{name}{form}{GRAPH_SUFFIX}" for form in FORMS for name in NAMES for part in ("", f"{BELOW}/"))
    found = graphs[0] if len(graphs) == 1 else next((name for name in wanted if name in graphs), None)
    if found is None:
        raise SourceError(
            folder, f"it has {len(graphs)} graphs and none is called as decoders are: name the file itself"
        )
    return found

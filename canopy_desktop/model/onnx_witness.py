"""An ONNX decoder as the witness of the bundle that was made of its weights: both read the same text.

So nothing that the graph computes is guessed: what was taken for granted about it shows in its keys, values and logits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Protocol

import numpy as np
import onnxruntime as ort
from onnx import ValueInfoProto, helper

from canopy_desktop.arrays import AnyArray, DoubleArray, FloatArray
from canopy_desktop.errors import BuildError, EngineError, SourceError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Architecture, WeightForm
from canopy_desktop.model.decoder import CHECK_TEXT, OnnxDecoder
from canopy_desktop.model.device import on_host
from canopy_desktop.model.given_graph import LOGITS, asked_by
from canopy_desktop.model.given_pass import PARTS, PAST, present_name, supplied
from canopy_desktop.model.onnx_file import OnnxFile
from canopy_desktop.model.onnx_folder import OnnxModel
from canopy_desktop.model.onnx_weights import Rounding
from canopy_desktop.model.provider import open_session

TEXTS = 3  # times CHECK_TEXT
CHUNK, SINGLE = 8, 4  # tokens that pass together over a past, and then tokens that pass one by one, at the end
LAYERS = 2  # whose keys and values are compared: rounding has not grown yet, and a block lies between them
LOGIT, RELATIVE = 1e-3, 1e-4  # of the largest logit: what two ways of computing in 32 bits may be apart
# Of a layer's keys or values: the coarsest rounding gave 0.09, another rotation or order of weights 0.25 and more.
CACHE = 0.15
# Nats a token. For SmolLM2 rounding to 8 bits gives 0.006, activations of 8 bits with one scale 0.51.
DIVERGENCE = {Rounding.NONE: 0.1, Rounding.FINE: 0.1, Rounding.COARSE: 1.0}
PATIENCE_S = 600.0  # far longer than a model that fits into memory takes for so short a text
REMEDY = "Its graph does something that is not known: import the model's checkpoint, or a GGUF of it."
logger = logging.getLogger(__name__)


class CacheNumbers(Protocol):
    """What is known of the cache before a graph has run."""

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""

    @property
    def head_size(self) -> int:
        """Numbers of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a decoder makes of a text."""

    logits: FloatArray  # (tokens, vocabulary)
    cache: tuple[FloatArray, ...]  # key and value of the first layers, (kv_heads, tokens, head_size) each


def text_for(a: Architecture) -> list[int]:
    """The text that bundle and original read."""
    return [token_id % a.vocabulary for token_id in TEXTS * CHECK_TEXT][: a.context]


def compare(model: OnnxModel, folder: Path) -> None:
    """Pass a short text through a new bundle and through its original. Raises `BuildError` where they differ."""
    expected = read_by_original(model, text_for(model.architecture))
    compare_with(expected, model.rounding, folder)


def compare_with(expected: Reading, rounding: Rounding, folder: Path) -> None:
    """Pass the text through a new bundle. Raises `BuildError` where it differs from what its original made of it."""
    bundle = Bundle.open(folder)
    text = text_for(bundle.card.architecture)
    try:
        found = _read_by(OnnxDecoder(bundle, context=len(text)), text)
    except EngineError as error:
        logger.warning("%s does not run: %s", folder, error)
        raise BuildError("it does not run where something was read before", REMEDY) from error
    if reason := difference(expected, found, rounding, is_exact=bundle.card.weights is not WeightForm.INT8):
        raise BuildError(reason, REMEDY)


def divergence(expected: FloatArray, found: FloatArray) -> float:
    """The mean Kullback–Leibler divergence of probabilities from the expected ones, nats a row."""
    first, second = _log_softmax(expected), _log_softmax(found)
    return float((np.exp(first) * (first - second)).sum(axis=-1).mean())


def read_by_original(model: OnnxModel, token_ids: Sequence[int], *, patience_s: float = PATIENCE_S) -> Reading:
    """What the graph itself makes of a text. Raises `SourceError` or `BuildError`."""
    a, file = model.architecture, model.file
    outputs = outputs_of(file, file.path, a, token_ids, layers=min(LAYERS, a.layers), patience_s=patience_s)
    return reading_of(file, a, outputs, len(token_ids))


def outputs_of(
    file: OnnxFile,
    graph: Path | bytes,
    numbers: CacheNumbers,
    token_ids: Sequence[int],
    *,
    layers: int,
    more: Sequence[str] = (),
    patience_s: float = PATIENCE_S,
) -> list[AnyArray]:
    """Logits, `more`, and keys and values of the first layers that a graph makes of a text with nothing before it.

    `graph`: the file's own path, or what it holds with `more` among its outputs. Raises `SourceError` or `BuildError`.
    """
    names = [LOGITS, *more, *(present_name(layer, part) for layer in range(layers) for part in PARTS)]
    if missing := set(names) - {value.name for value in file.model.graph.output} - set(more):
        raise SourceError(file.path, f"its graph does not give {min(missing)}: export it with past")
    inputs = {value.name: _input(file, numbers, value, token_ids) for value in asked_by(file.model.graph)}
    options = ort.RunOptions()
    timer = Timer(patience_s, setattr, (options, "terminate", True))
    timer.start()
    try:
        beside = None if isinstance(graph, Path) else file.path.parent
        found: list[AnyArray] = open_session(graph, as_written=True, beside=beside).run(names, inputs, options)
    except Exception as error:  # onnxruntime has no public base class of its errors
        logger.warning("%s does not run: %s", file.path, error)
        raise BuildError(f"its original does not run in onnxruntime within {patience_s:.0f} s", REMEDY) from error
    finally:
        timer.cancel()
    return found


def reading_of(file: OnnxFile, a: Architecture, outputs: Sequence[AnyArray], count: int) -> Reading:
    """Logits, and keys and values of layers, as a graph gave them of `count` tokens.

    Raises `SourceError` for other shapes.
    """
    logits, *cache = (np.asarray(output, np.float32)[0] for output in outputs)
    if {logits.shape, *(part.shape for part in cache)} != {(count, a.vocabulary), (a.kv_heads, count, a.head_size)}:
        raise SourceError(file.path, "its graph gives logits, keys or values of other shapes than config.json says")
    return Reading(logits, tuple(cache[: 2 * LAYERS]))


def difference(expected: Reading, found: Reading, rounding: Rounding, *, is_exact: bool = True) -> str:
    """Why a reading is not the expected one; nothing where it is, but for rounding. `is_exact`: ours rounds nothing."""
    if not all(np.isfinite(part).all() for read in (expected, found) for part in (read.logits, *read.cache)):
        return "what it computes are no finite numbers"
    apart = float(np.abs(found.logits - expected.logits).max())
    limit = LOGIT + RELATIVE * float(np.abs(expected.logits).max())
    if is_exact and rounding is Rounding.NONE and apart > limit:
        return f"its logits are {apart:.4f} away from its original's, more than {limit:.4f}"
    for place, (own, other) in enumerate(zip(found.cache, expected.cache, strict=True)):
        if (share := float(np.linalg.norm(own - other) / (np.linalg.norm(other) or 1.0))) > CACHE:
            part = "values" if place % 2 else "keys"
            return f"the {part} of layer {place // 2} are {share:.0%} away from its original's"
    if (distance := divergence(expected.logits, found.logits)) > DIVERGENCE[rounding]:
        return f"its probabilities are {distance:.3f} nats away from its original's"
    return ""


def _input(file: OnnxFile, numbers: CacheNumbers, value: ValueInfoProto, token_ids: Sequence[int]) -> AnyArray:
    """What a graph is given that has read nothing before. Raises `SourceError`."""
    past = np.zeros((1, numbers.kv_heads, 0, numbers.head_size)) if PAST.fullmatch(value.name) else None
    found = supplied(value.name, np.array([token_ids]), len(token_ids)) if past is None else past
    try:
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    except KeyError:
        found = None
    if found is None:
        raise SourceError(file.path, f"its graph asks for {value.name[:100]!r}, which is not known")
    return found.astype(kind)


def _read_by(decoder: OnnxDecoder, token_ids: Sequence[int]) -> Reading:
    """What a bundle makes of a text, in chunks and single tokens."""
    chunks = [token_ids[: -CHUNK - SINGLE], token_ids[-CHUNK - SINGLE : -SINGLE]]
    parts = [*chunks, *([token_id] for token_id in token_ids[-SINGLE:])]
    columns = [on_host(decoder.feed(part)[1].last).copy() for part in parts if part]
    layers = zip(decoder.cache.keys[:LAYERS], decoder.cache.values[:LAYERS], strict=True)
    cache = [on_host(part[0, :, : decoder.length]) for layer in layers for part in layer]
    return Reading(decoder.head.logits(np.concatenate(columns)), tuple(cache))


def _log_softmax(logits: FloatArray) -> DoubleArray:
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=-1, keepdims=True)
    found: DoubleArray = exact - np.log(np.exp(exact).sum(axis=-1, keepdims=True))
    return found

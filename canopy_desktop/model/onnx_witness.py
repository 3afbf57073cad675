"""An ONNX decoder as the witness of the bundle that was made of its weights: both read the same text.

So nothing that the graph computes is guessed: what was taken for granted about it shows in its keys, values and logits.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import numpy as np
import onnxruntime as ort
from onnx import ValueInfoProto, helper

from canopy_desktop.arrays import AnyArray, DoubleArray, FloatArray
from canopy_desktop.errors import BuildError, SourceError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import WeightForm
from canopy_desktop.model.decoder import CHECK_TEXT, OnnxDecoder
from canopy_desktop.model.device import on_host
from canopy_desktop.model.onnx_folder import OnnxModel
from canopy_desktop.model.onnx_weights import Rounding
from canopy_desktop.model.provider import open_session

TEXTS = 3  # times CHECK_TEXT
SINGLE = 4  # tokens at the end that pass one by one
LAYERS = 2  # whose keys and values are compared: rounding has not grown yet, and a block lies between them
LOGIT, RELATIVE = 1e-3, 1e-4  # of the largest logit: what two ways of computing in 32 bits may be apart
# Of a layer's keys or values: the coarsest rounding gave 0.09, another rotation or order of weights 0.25 and more.
CACHE = 0.15
# Nats a token. For SmolLM2 rounding to 8 bits gives 0.006, activations of 8 bits with one scale 0.51.
DIVERGENCE = {Rounding.NONE: 0.1, Rounding.FINE: 0.1, Rounding.COARSE: 1.0}
PATIENCE_S = 600.0  # far longer than a model that fits into memory takes for so short a text
REMEDY = "Its graph does something that is not known: import the model's checkpoint, or a GGUF of it."
logger = logging.getLogger(__name__)
_PAST = re.compile(r"past_key_values\.\d+\.(key|value)")


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a decoder makes of a text."""

    logits: FloatArray  # (tokens, vocabulary)
    cache: tuple[FloatArray, ...]  # key and value of the first layers, (kv_heads, tokens, head_size) each


def compare(model: OnnxModel, folder: Path) -> None:
    """Pass a short text through a new bundle and through its original. Raises `BuildError` where they differ."""
    bundle = Bundle.open(folder)
    decoder = OnnxDecoder(bundle, context=TEXTS * len(CHECK_TEXT))
    text = [token_id % model.architecture.vocabulary for token_id in TEXTS * CHECK_TEXT][: decoder.context]
    found, expected = _read_by(decoder, text), read_by_original(model, text)
    is_exact = model.rounding is Rounding.NONE and bundle.card.weights is WeightForm.FP32
    if reason := _difference(expected, found, DIVERGENCE[model.rounding], is_exact=is_exact):
        raise BuildError(reason, REMEDY)


def divergence(expected: FloatArray, found: FloatArray) -> float:
    """The mean Kullback–Leibler divergence of probabilities from the expected ones, nats a row."""
    first, second = _log_softmax(expected), _log_softmax(found)
    return float((np.exp(first) * (first - second)).sum(axis=-1).mean())


def read_by_original(model: OnnxModel, token_ids: Sequence[int], *, patience_s: float = PATIENCE_S) -> Reading:
    """What the graph itself makes of a text. Raises `SourceError` or `BuildError`."""
    a, graph = model.architecture, model.file.model.graph
    layers = min(LAYERS, a.layers)
    names = ["logits", *(f"present.{layer}.{part}" for layer in range(layers) for part in ("key", "value"))]
    if missing := set(names) - {value.name for value in graph.output}:
        raise SourceError(model.path, f"its graph does not give {min(missing)}: export it with past")
    own = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: _input(model, value, token_ids) for value in graph.input if value.name not in own}
    options = ort.RunOptions()
    timer = Timer(patience_s, setattr, (options, "terminate", True))
    timer.start()
    try:
        outputs = open_session(model.path, as_written=True).run(names, inputs, options)
    except Exception as error:  # onnxruntime has no public base class of its errors
        logger.warning("%s does not run: %s", model.path, error)
        raise BuildError(f"its original does not run in onnxruntime within {patience_s:.0f} s", REMEDY) from error
    finally:
        timer.cancel()
    logits, *cache = (np.asarray(output, np.float32)[0] for output in outputs)
    shapes = {logits.shape, *(part.shape for part in cache)}
    if shapes != {(len(token_ids), a.vocabulary), (a.kv_heads, len(token_ids), a.head_size)}:
        raise SourceError(model.path, "its graph gives logits, keys or values of other shapes than config.json says")
    return Reading(logits, tuple(cache))


def _difference(expected: Reading, found: Reading, divergence_limit: float, *, is_exact: bool) -> str:
    """Why a reading is not the expected one; nothing where it is, but for rounding."""
    if not all(np.isfinite(part).all() for read in (expected, found) for part in (read.logits, *read.cache)):
        return "what it computes are no finite numbers"
    apart = float(np.abs(found.logits - expected.logits).max())
    limit = LOGIT + RELATIVE * float(np.abs(expected.logits).max())
    if is_exact and apart > limit:
        return f"its logits are {apart:.4f} away from its original's, more than {limit:.4f}"
    for place, (own, other) in enumerate(zip(found.cache, expected.cache, strict=True)):
        if (share := float(np.linalg.norm(own - other) / (np.linalg.norm(other) or 1.0))) > CACHE:
            part = "values" if place % 2 else "keys"
            return f"the {part} of layer {place // 2} are {share:.0%} away from its original's"
    if (distance := divergence(expected.logits, found.logits)) > divergence_limit:
        return f"its probabilities are {distance:.3f} nats away from its original's"
    return ""


def _input(model: OnnxModel, value: ValueInfoProto, token_ids: Sequence[int]) -> AnyArray:
    """What a graph is given that has read nothing before. Raises `SourceError`."""
    a, count = model.architecture, len(token_ids)
    known: dict[str, AnyArray] = {
        "input_ids": np.array([token_ids]),
        "attention_mask": np.ones((1, count)),
        "position_ids": np.arange(count)[None],
        "use_cache_branch": np.zeros(1),
    }
    past = np.zeros((1, a.kv_heads, 0, a.head_size)) if _PAST.fullmatch(value.name) else None
    found = known.get(value.name, past)
    try:
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    except KeyError:
        found = None
    if found is None:
        raise SourceError(model.path, f"its graph asks for {value.name[:100]!r}, which is not known")
    return found.astype(kind)


def _read_by(decoder: OnnxDecoder, token_ids: Sequence[int]) -> Reading:
    """What a bundle makes of a text, in a chunk and single tokens."""
    parts = [token_ids[:-SINGLE], *([token_id] for token_id in token_ids[-SINGLE:])]
    columns = [on_host(decoder.feed(part)[1].last).copy() for part in parts if part]
    layers = zip(decoder.cache.keys[:LAYERS], decoder.cache.values[:LAYERS], strict=True)
    cache = [on_host(part[0, :, : decoder.length]) for layer in layers for part in layer]
    return Reading(decoder.head.logits(np.concatenate(columns)), tuple(cache))


def _log_softmax(logits: FloatArray) -> DoubleArray:
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=-1, keepdims=True)
    found: DoubleArray = exact - np.log(np.exp(exact).sum(axis=-1, keepdims=True))
    return found

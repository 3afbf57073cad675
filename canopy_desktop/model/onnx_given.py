"""An ONNX decoder of a kind that cannot be built here, opened to be run as it is: what it is, and what it computes.

Whatever its graph is, it is asked for the same: logits and a cache. Numbers come from the graph and from config.json,
and one reading of a short text tells whether they are true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto

from canopy_desktop.errors import BuildError, SourceError
from canopy_desktop.model.card import CARD_FILE, Architecture, Positions, read_card
from canopy_desktop.model.checkpoint import checkpoint_name, stated_licence
from canopy_desktop.model.checkpoint_config import read_architecture
from canopy_desktop.model.checkpoint_json import CONFIG, Values, one_line, read_values
from canopy_desktop.model.checkpoint_tokenizer import read_tokenizer
from canopy_desktop.model.given_graph import LOGITS, Ends, asked_by, write_graphs
from canopy_desktop.model.given_pass import PARTS, PAST, past_name
from canopy_desktop.model.given_probe import recognised
from canopy_desktop.model.graph_check import Shape, value_of
from canopy_desktop.model.onnx_file import OnnxFile, open_onnx
from canopy_desktop.model.onnx_folder import find_decoder
from canopy_desktop.model.onnx_weights import FLOAT_LEVELS, Rounding
from canopy_desktop.model.onnx_witness import Reading, compare_with, outputs_of, reading_of, text_for
from canopy_desktop.model.tokenizer_build import GgufTokenizerFields

# What classes of transformers call the same number.
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", *_HEADS)
_HIDDEN = ("hidden_size", "n_embd", "d_model", "n_embed")
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "n_ctx", "seq_length")
_WINDOWS = ("sliding_window", "window_size", "local_window_size", "attention_window", "attention_chunk_size")
_LAYER_KINDS, _FULL = ("layer_types", "attention_types", "attention_layers"), "full_attention"
_ROUNDS_ACTIVATIONS = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "QLinearMatMul", "QuantizeLinear"})


@dataclass(frozen=True, slots=True, eq=False)
class GivenModel:
    """An open decoder that is run as it is, and what it made of a short text."""

    path: Path
    title: str | None
    licence: str | None
    architecture: Architecture
    tokenizer: GgufTokenizerFields
    file: OnnxFile
    ends: Ends
    reading: Reading
    rounding: Rounding

    def write(self, folder: Path) -> Iterator[float]:
        """Put its graphs and weights into a folder, once; yields the part done, 0 to 1."""
        return write_graphs(self.file, self.ends, self.architecture, folder)

    def compare(self, folder: Path) -> None:
        """Let a bundle read the same text; its card says then whether chunks can pass over a past.

        Decoders of older exports were made for one token there. Raises `BuildError` where it computes something else.
        """
        try:
            compare_with(self.reading, self.rounding, folder)
        except BuildError as error:
            card = read_card(folder)
            alone = replace(card, architecture=replace(card.architecture, steps_alone=True))
            (folder / CARD_FILE).write_text(alone.to_json(), encoding="utf-8")
            try:
                compare_with(self.reading, self.rounding, folder)
            except BuildError:
                raise error from None


@dataclass(frozen=True, slots=True)
class _Cache:
    """What a graph's inputs say of its cache."""

    layers: int
    kv_heads: int
    head_size: int


def is_foreign(path: Path) -> bool:
    """Whether what config.json says of an ONNX decoder, or of a folder of one, cannot be built here.

    Raises `SourceError`.
    """
    config = read_values(find_decoder(path)[0], CONFIG)
    if not config.all():
        return False
    try:
        read_architecture(config)
    except SourceError:
        return True
    return False


def open_given_model(path: Path) -> GivenModel:
    """Open the decoder of a folder, or the one that is named, and let it read a text.

    Raises `SourceError` for anything wrong with it, or `BuildError` where it does not run.
    """
    folder, name = find_decoder(path)
    config, file = read_values(folder, CONFIG), open_onnx(folder, name)
    cache = _cache_of(file, config)
    vocabulary = _vocabulary(file, config)
    tokenizer = read_tokenizer(folder, config, vocabulary)
    numbers = partial(
        _architecture, config, cache, heads=_number(config, _HEADS), vocabulary=vocabulary,
        context=_number(config, _CONTEXT),
    )  # fmt: skip
    plain = numbers(hidden=vocabulary)
    text, rounding = text_for(plain), _rounding(file)
    outputs = outputs_of(file, file.path, plain, text, layers=plain.layers)
    reading = reading_of(file, plain, outputs, len(text))
    file, probe = recognised(file, plain, text, reading, rounding, partial(open_onnx, folder, name))
    if not (probe.is_finite and all(np.isfinite(part).all() for part in outputs)):
        raise SourceError(file.path, "what its graph computes are no finite numbers")
    last, stream = probe.last()
    scale = None if _slides(config, plain.context) else probe.scale(rounding)
    architecture = numbers(
        hidden=probe.made[last].shape[-1], residuals=bool(stream), queries=scale is not None, scale=scale or 0.0
    )
    is_half = probe.made[last].dtype == np.float16
    ends = Ends(
        last=last,
        kind=TensorProto.FLOAT16 if is_half else TensorProto.FLOAT,
        queries=() if scale is None else tuple(query.queries for query in probe.queries),
        stream=stream[:-1],
    )
    return GivenModel(
        path=file.path,
        title=one_line(checkpoint_name(folder).replace("--", "/")),
        licence=stated_licence(folder),
        architecture=architecture,
        tokenizer=tokenizer,
        file=file,
        ends=ends,
        reading=reading,
        rounding=rounding,
    )


def _architecture(
    config: Values,
    cache: _Cache,
    *,
    heads: int,
    vocabulary: int,
    context: int,
    hidden: int,
    residuals: bool = False,
    queries: bool = False,
    scale: float = 0.0,
) -> Architecture:
    try:
        return Architecture(
            layers=cache.layers, heads=heads, kv_heads=cache.kv_heads, head_size=cache.head_size, hidden=hidden,
            feed_forward=0, vocabulary=vocabulary, context=context, epsilon=0.0, positions=Positions.GIVEN,
            queries=queries, residuals=residuals, attention_scale=scale,
        )  # fmt: skip
    except ValueError as error:
        raise config.refuse(f"and its graph do not fit together: {error}") from error


def _slides(config: Values, context: int) -> bool:
    """Whether some layers do not look at all that is before, as far as a model's config.json tells."""
    windows = (config.get(name) for name in _WINDOWS if config.get("use_sliding_window") is not False)
    kinds = {str(kind) for name in _LAYER_KINDS for kind in config.items(name)}
    return any(isinstance(size, int) and size < context for size in windows) or not kinds <= {_FULL}


def _cache_of(file: OnnxFile, config: Values) -> _Cache:
    """Layers, heads and their size, as the inputs say them, or config.json where they do not."""
    asked = {value.name: value for value in asked_by(file.model.graph)}
    pasts = {name: value_of(asked[name]).shape for name in asked if PAST.fullmatch(name)}
    layers = len(pasts) // len(PARTS)
    if not pasts:
        raise SourceError(file.path, "its graph takes no keys and values from before: export it with past")
    for name in (past_name(layer, part) for layer in range(layers) for part in PARTS):
        if name not in pasts:
            raise SourceError(file.path, f"its graph takes keys and values of {layers} layers, and no {name}")
    shapes = {(len(shape), shape[1:2], shape[3:]) for shape in pasts.values()}
    if len(shapes) > 1 or {len(shape) for shape in pasts.values()} != {4}:
        raise SourceError(
            file.path,
            f"its graph keeps keys and values as {_words(next(iter(pasts.values())))}, or not alike in all layers, and "
            "only (texts, heads, length, size of a head) can be run",
        )
    _, kv_heads, _, head_size = pasts[past_name(0, PARTS[0])]
    return _Cache(
        layers=layers,
        kv_heads=kv_heads or _number(config, _KV_HEADS),
        head_size=head_size or _head_size(config),
    )


def _head_size(config: Values) -> int:
    return config.whole("head_dim") if config.get("head_dim") else _number(config, _HIDDEN) // _number(config, _HEADS)


def _vocabulary(file: OnnxFile, config: Values) -> int:
    said = next((value_of(value).shape for value in file.model.graph.output if value.name == LOGITS), None)
    if said is None:
        raise SourceError(file.path, f"its graph does not give {LOGITS}")
    vocabulary = config.whole("vocab_size") if config.get("vocab_size") else said[-1] if said else None
    if not vocabulary:
        raise config.refuse("does not say vocab_size, and neither does its graph")
    if said and said[-1] not in (None, vocabulary):
        raise config.refuse(f"says {vocabulary} tokens, and its graph gives logits of {said[-1]}")
    return vocabulary


def _number(config: Values, names: Sequence[str]) -> int:
    """A number that config.json says under one of these names. Raises `SourceError`."""
    said = next((name for name in names if config.get(name) is not None), None)
    if said is None:
        raise config.refuse(f"says none of {', '.join(names)}, and its graph does not tell it")
    return config.whole(said)


def _rounding(file: OnnxFile) -> Rounding:
    """How the graph multiplies where it is roughest."""
    nodes = [node for scope in file.scopes for node in scope.nodes]
    if any(node.op_type in _ROUNDS_ACTIVATIONS for node in nodes):
        return Rounding.COARSE
    has_halves = any(tensor.data_type == TensorProto.FLOAT16 for scope in file.scopes for tensor in scope.tensors)
    return Rounding.FINE if has_halves or any(map(_rounds_finely, nodes)) else Rounding.NONE


def _rounds_finely(node: NodeProto) -> bool:
    levels = (attribute.i for attribute in node.attribute if attribute.name == "accuracy_level")
    return any(level not in FLOAT_LEVELS for level in levels)


def _words(shape: Shape) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"

"""Does a graph keep its contract, and stay in its folder? Asked before onnxruntime sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, TensorProto

from canopy_desktop.errors import BundleError
from canopy_desktop.model.card import Architecture

MAX_GRAPH_BYTES = 64_000_000
ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})


def check_graph(folder: Path, name: str, expected: Mapping[str, tuple[int | None, ...]], weights: Path) -> None:
    """Check inputs and outputs against `expected` (None: any size) and that all weights lie inside `weights`.

    Raises `BundleError`.
    """
    path = folder / name
    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise BundleError(folder, f"{name} is larger than {MAX_GRAPH_BYTES} bytes")
        model = onnx.load_model(str(path), load_external_data=False)
    except BundleError:
        raise
    except Exception as error:  # protobuf raises its own kinds for broken bytes
        raise BundleError(folder, f"{name} is not an ONNX graph") from error
    _check_contract(folder, name, model, expected)
    size = weights.stat().st_size
    for tensor in _tensors(model.graph):
        _check_tensor(folder, name, tensor, weights.name, size)
    if any(node.domain not in ALLOWED_DOMAINS for node in model.graph.node) or model.functions:
        raise BundleError(folder, f"{name} uses operators from outside")


def decoder_contract(a: Architecture) -> dict[str, tuple[int | None, ...]]:
    """What the decoder's graph must offer."""
    cache = (None, a.kv_heads, None, a.head_size)
    contract: dict[str, tuple[int | None, ...]] = {
        "input_ids": (None, None),
        "seqlens_k": (None,),
        "total": (),
        "logit_rows": (None,),
        "logits": (None, None, a.vocabulary),
    }
    for layer in range(a.layers):
        for part in ("key", "value"):
            contract[f"past.{layer}.{part}"] = cache
            contract[f"present.{layer}.{part}"] = cache
        contract[f"attention_bias.{layer}"] = (None, None, None, None)
        contract[f"query.{layer}"] = (None, None, a.heads * a.head_size)
    for row in range(2 * a.layers + 1):
        contract[f"residual.{row}"] = (None, None, a.hidden)
    return contract


def head_contract(a: Architecture) -> dict[str, tuple[int | None, ...]]:
    """What the head's graph must offer."""
    return {"residual": (1, None, a.hidden), "zero": (1, None, a.hidden), "logits": (1, None, a.vocabulary)}


def _check_contract(folder: Path, name: str, model: ModelProto, expected: Mapping[str, tuple[int | None, ...]]) -> None:
    found: dict[str, tuple[int | None, ...]] = {}
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        found[value.name] = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
    for missing in expected.keys() - found.keys():
        raise BundleError(folder, f"{name} has no {missing}")
    for other in found.keys() - expected.keys():
        raise BundleError(folder, f"{name} asks for {other}, which is not known")
    for key, shape in expected.items():
        if found[key] != shape:
            raise BundleError(folder, f"{name} and the card disagree about the shape of {key}")


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)


def _check_tensor(folder: Path, name: str, tensor: TensorProto, weights: str, size: int) -> None:
    if tensor.data_location != TensorProto.EXTERNAL:
        return
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if entries.get("location") != weights:
        raise BundleError(folder, f"{name} points at a file other than {weights}")
    try:
        offset, length = int(entries.get("offset", "0")), int(entries["length"])
    except (KeyError, ValueError) as error:
        raise BundleError(folder, f"{name} has a weight without a place") from error
    if offset < 0 or length < 0 or offset + length > size:
        raise BundleError(folder, f"{name} has a weight outside of {weights}")

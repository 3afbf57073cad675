"""Where a decoder's weights are in a graph that optimum or transformers.js wrote, and how they are kept there.

A weight is known by the node that uses it: exporters call a node after the module that it came from, as
`/model/layers.0/self_attn/q_proj/MatMul`, which is also what a checkpoint calls the weight. Quantised forms are
onnxruntime's (ContribOperators.md, "MatMulNBits"; ONNX, "MatMulInteger" and "DequantizeLinear").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.errors import SourceError
from canopy_desktop.model.families import Shape
from canopy_desktop.model.onnx_file import OnnxFile, Scope

MAX_STEPS = 8  # from a node back to what is kept
FLOAT_LEVELS = (0, 1)  # of `MatMulNBits`: what it multiplies with is not rounded further
FUSED = "self_attn.qkv_proj"
NORMS = ("norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight")  # how the names of gains end
_MODULE = re.compile(r"/?(.+)/[^/]+")
# Where onnxruntime-genai's builder, which writes for transformers.js, says otherwise than the checkpoint.
_OTHERWISE = (
    (re.compile(r"(layers\.\d+)\.attn\."), r"\1.self_attn."),
    (re.compile(r"model\.layers\.\d+\.final_norm_layernorm"), "model.norm"),
)


class Rounding(IntEnum):
    """How a graph multiplies with a weight."""

    NONE = 0  # in 32 bits
    FINE = 1  # in 16 bits, or with activations in blocks of 8 bits
    COARSE = 2  # with activations of 8 bits that share one scale


@dataclass(frozen=True, slots=True)
class Weight:
    """A matrix, (outputs, inputs), or a vector of the graph, read when asked for."""

    shape: Shape
    kept: tuple[str, ...]  # the names of what it is made of
    rounding: Rounding
    load: Callable[[], AnyArray]

    def values(self) -> FloatArray:
        """Its numbers. Raises `SourceError`."""
        return np.asarray(self.load(), np.float32)

    def transposed(self) -> Weight:
        """The same matrix with rows for columns."""
        return replace(self, shape=self.shape[::-1], load=lambda: self.load().T)

    def rows(self, first: int, end: int) -> Weight:
        """Some of its rows."""
        return replace(self, shape=(end - first, *self.shape[1:]), load=lambda: self.load()[first:end])


def find_weights(file: OnnxFile) -> dict[str, Weight]:
    """Every weight of the graph by the name that a checkpoint has for it. Raises `SourceError`."""
    found: dict[str, Weight] = {}
    for scope in file.scopes:
        for node in scope.nodes:
            module = _MODULE.fullmatch(node.name)
            if module is None:
                continue
            for kind, read in _READERS.get(node.op_type, ()):
                name = f"{_published(module[1])}.{kind}"
                if (read in (_of_gain, _of_layer_gain)) != name.endswith(NORMS):
                    continue
                weight = _read(file, scope, node, read)
                if weight is not None and found.setdefault(name, weight).kept != weight.kept:
                    raise SourceError(file.path, f"it has two weights for {name[:100]!r}")
    return found


def split_fused(found: dict[str, Weight], heads: Sequence[int]) -> dict[str, Weight]:
    """The weights with query, key and value apart, each of so many rows, where one matrix holds them."""
    split: dict[str, Weight] = {}
    for name, weight in found.items():
        if FUSED not in name or weight.shape[0] != sum(heads):
            split[name] = weight
            continue
        ends = np.cumsum(heads).tolist()
        for part, count, end in zip("qkv", heads, ends, strict=True):
            split[name.replace(FUSED, f"self_attn.{part}_proj")] = weight.rows(end - count, end)
    return split


def _published(module: str) -> str:
    name = module.replace("/", ".")
    for pattern, said in _OTHERWISE:
        name = pattern.sub(said, name)
    return name


def _read(file: OnnxFile, scope: Scope, node: NodeProto, read: _Reader) -> Weight | None:
    try:
        return read(scope, node)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise SourceError(
            file.path, f"its node {node.name[:100]!r} keeps a weight in a way that is not known"
        ) from error


_Reader = Callable[[Scope, NodeProto], Weight | None]


def _of_matmul(scope: Scope, node: NodeProto) -> Weight | None:
    weight = _constant(scope, node.input[1])
    return None if weight is None or len(weight.shape) != 2 else weight.transposed()


def _of_gemm(scope: Scope, node: NodeProto) -> Weight | None:
    said = _attributes(node)
    if said.get("transA", 0) or (said.get("alpha", 1.0), said.get("beta", 1.0)) != (1.0, 1.0):
        raise ValueError
    weight = _of_matmul(scope, node)
    return weight.transposed() if weight is not None and said.get("transB", 0) else weight


def _of_bias(scope: Scope, node: NodeProto) -> Weight | None:
    """The third of what a node takes, if it is kept."""
    weight = _constant(scope, node.input[2]) if len(node.input) > 2 else None
    return None if weight is None or len(weight.shape) != 1 else weight


def _of_layer_gain(scope: Scope, node: NodeProto) -> Weight | None:
    """Beside the gain such a norm takes a bias."""
    weight = _constant(scope, node.input[1])
    return None if weight is None or len(weight.shape) != 1 else weight


def _of_rows(scope: Scope, node: NodeProto) -> Weight | None:
    """An embedding: looked up as it is, or quantised and put right for the rows that were looked up."""
    table = scope.arrays.get(node.input[0])
    after = scope.user(node.output[0], "DequantizeLinear")
    if table is not None and after is not None and len(table.shape) == 2:
        if scope.arrays[after.input[1]].shape not in ((), (1,)):
            raise ValueError
        return _dequantized(scope, after, node.input[0])
    weight = _constant(scope, node.input[0])
    return None if weight is None or len(weight.shape) != 2 else weight


def _of_vector(scope: Scope, node: NodeProto) -> Weight | None:
    weights = [weight for name in node.input if (weight := _constant(scope, name)) is not None]
    return weights[0] if len(weights) == 1 and len(weights[0].shape) == 1 else None


def _of_gain(scope: Scope, node: NodeProto) -> Weight | None:
    return _of_vector(scope, node)


def _of_integers(scope: Scope, node: NodeProto) -> Weight | None:
    """int8 (inputs, outputs), whose scale multiplies the product; activations are rounded too."""
    if node.input[1] not in scope.arrays:
        return None
    cast = scope.user(node.output[0], "Cast")
    product = cast and scope.user(cast.output[0], "Mul")
    if cast is None or product is None:
        raise ValueError
    (factor,) = (scope.makers[name] for name in product.input if name != cast.output[0])
    (scale,) = (name for name in factor.input if name in scope.arrays)
    weight = _steps(scope, node.input[1], scale, node.input[3] if len(node.input) > 3 else "")
    return replace(weight.transposed(), rounding=Rounding.COARSE)


def _of_bits(scope: Scope, node: NodeProto) -> Weight:
    """Blocks of 4 or 8 bits along the inputs, each with a scale and perhaps a zero point."""
    said = _attributes(node)
    names = [*node.input[1:3], *(name for name in node.input[3:] if name)]
    weight = _blocks(scope, names, said["N"], said["K"], said["block_size"], said.get("bits", 4))
    is_float = said.get("accuracy_level", 0) in FLOAT_LEVELS
    return weight if is_float else replace(weight, rounding=Rounding.FINE)


def _of_block_rows(scope: Scope, node: NodeProto) -> Weight:
    """An embedding in the same blocks, as bytes or as numbers of 4 bits."""
    said = _attributes(node)
    size, bits, (table, _, scale, *zero) = said.get("block_size", 128), said.get("bits", 4), node.input
    rows, width = scope.arrays[table].shape
    if said.get("gather_axis", 0) != 0 or said.get("quantize_axis", 1) not in (1, -1):
        raise ValueError
    if scope.arrays[table].kind == np.uint8:
        return _blocks(scope, [table, scale, *zero], rows, width * 8 // bits, size, bits)
    return _steps(scope, table, scale, "".join(zero), size=size)


def _blocks(scope: Scope, names: Sequence[str], rows: int, width: int, size: int, bits: int) -> Weight:
    """(rows, width) numbers in blocks of `size`; `names`: of the bytes, of the scales, and perhaps of zero points."""
    steps, scales, *zeros = (scope.arrays[name] for name in names)
    blocks = -(-width // size)
    if bits not in (4, 8) or steps.shape not in ((rows, blocks, size * bits // 8), (rows, blocks * size * bits // 8)):
        raise ValueError
    each = [(rows, blocks), (rows * blocks,)]
    packed = [(rows, -(-blocks * bits // 8)), (rows * -(-blocks * bits // 8),)]
    if scales.shape not in each or len(zeros) > 1:
        raise ValueError
    if any(zero.shape not in (packed if zero.kind == np.uint8 else each) for zero in zeros):
        raise ValueError

    def load() -> AnyArray:
        numbers = _unpacked(steps.load(), bits).reshape(rows, blocks, size).astype(np.float32)
        middle: AnyArray = np.array(1 << (bits - 1))
        for zero in zeros:
            said = zero.load().reshape(rows, -1)
            middle = (_unpacked(said, bits)[:, :blocks] if zero.kind == np.uint8 else said)[..., None]
        factors = scales.load().reshape(rows, blocks, 1).astype(np.float32)
        return ((numbers - middle.astype(np.float32)) * factors).reshape(rows, -1)[:, :width]

    return Weight((rows, width), tuple(names), Rounding.NONE if scales.is_exact else Rounding.FINE, load)


# What a node of each kind takes that is a weight: what a checkpoint would call it, and how it is read.
_READERS: dict[str, tuple[tuple[str, _Reader], ...]] = {
    "MatMul": (("weight", _of_matmul),),
    "Gemm": (("weight", _of_gemm), ("bias", _of_bias)),
    "MatMulInteger": (("weight", _of_integers),),
    "MatMulNBits": (("weight", _of_bits),),
    "Gather": (("weight", _of_rows),),
    "GatherBlockQuantized": (("weight", _of_block_rows),),
    "Mul": (("weight", _of_gain),),
    "LayerNormalization": (("weight", _of_layer_gain), ("bias", _of_bias)),
    "SimplifiedLayerNormalization": (("weight", _of_gain),),
    "SkipSimplifiedLayerNormalization": (("weight", _of_gain),),
    "Add": (("bias", _of_vector),),
}


def _constant(scope: Scope, name: str, steps: int = MAX_STEPS) -> Weight | None:
    """A value that is kept, or made of what is kept without computing more than its form."""
    if (array := scope.arrays.get(name)) is not None:
        return Weight(array.shape, (name,), Rounding.NONE if array.is_exact else Rounding.FINE, array.load)
    node = scope.makers.get(name)
    if node is None or not steps:
        return None
    match node.op_type:
        case "Cast" | "Identity":
            return _constant(scope, node.input[0], steps - 1)
        case "Transpose":
            weight = _constant(scope, node.input[0], steps - 1)
            return None if weight is None or len(weight.shape) != 2 else weight.transposed()
        case "DequantizeLinear":
            return _dequantized(scope, node, node.input[0]) if node.input[0] in scope.arrays else None
        case _:
            return None


def _dequantized(scope: Scope, node: NodeProto, name: str) -> Weight:
    """What a `DequantizeLinear` makes of a kept array, along its rows or columns, or in blocks of them."""
    said = _attributes(node)
    zero = node.input[2] if len(node.input) > 2 else ""
    axis = said.get("axis", 1) % len(scope.arrays[name].shape)
    return _steps(scope, name, node.input[1], zero, axis=axis, size=said.get("block_size", 0))


def _steps(scope: Scope, name: str, scale: str, zero: str, *, axis: int = 1, size: int = 0) -> Weight:
    """(steps - zero point) · scale, one of each for all, for every place along `axis`, or for `size` of them."""
    steps, factor = scope.arrays[name], scope.arrays[scale]
    offset = scope.arrays[zero] if zero else None
    along = steps.shape[axis]
    spreads: list[Shape] = [(), (1,), (along,)]
    if size:
        spreads = [(*steps.shape[:axis], -(-along // size), *steps.shape[axis + 1 :])]
    if factor.shape not in spreads or (offset is not None and offset.shape != factor.shape):
        raise ValueError

    def spread(values: AnyArray) -> AnyArray:
        if size:
            return np.repeat(values, size, axis)[tuple(map(slice, steps.shape))]
        if values.size == 1:
            return values.reshape(())
        return values.reshape([-1 if place == axis else 1 for place in range(len(steps.shape))])

    def load() -> AnyArray:
        numbers = steps.load().astype(np.float32)
        if offset is not None:
            numbers -= spread(offset.load().astype(np.float32))
        return numbers * spread(factor.load().astype(np.float32))

    return Weight(steps.shape, (name, scale), Rounding.NONE if factor.is_exact else Rounding.FINE, load)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _unpacked(values: AnyArray, bits: int) -> AnyArray:
    """Bytes as numbers of `bits`, the lower ones first: (…, bytes) to (…, bytes · 8 / bits)."""
    if bits == 8:
        return values
    return np.stack([values & 0xF, values >> 4], axis=-1).reshape(*values.shape[:-1], -1)

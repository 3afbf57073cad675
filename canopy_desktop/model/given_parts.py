"""Where the queries and the residual stream are in a graph that another program made.

Names of values do not matter, only how they are made of one another: keys are multiplied by queries, and the stream is
what something that was made of it is added to. What is found here is held against what the graph computes before
anybody sees it (`given_probe.py`); where something is not found, or found twice, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from canopy_desktop.model.card import Architecture
from canopy_desktop.model.given_graph import LOGITS, branches, constants_of, end_of, in_order
from canopy_desktop.model.given_pass import present_name
from canopy_desktop.model.graph import MICROSOFT

POSITIONS, MERGED, QUERIES = "position_ids", "use_cache_branch", "canopy.query"
FIRST, WIDTH, AXIS, HEADS = (f"{QUERIES}.{name}" for name in ("first", "width", "axis", "shape"))

_SAME = frozenset({"Cast", "Identity"})  # the same numbers
_FORM = _SAME | {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}  # in the same order
_KEY_STEPS = _FORM | {"Div", "Expand", "Mul", "Transpose"}  # from the cache to the product with queries
_SCORE_STEPS = _FORM | {"Add", "Clip", "Div", "Max", "Mul", "Where"}  # from the product to the softmax


_SKIPS = frozenset({"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"})  # a sum, and its norm
_SUM = 3  # the place of the sum among what they give
_PLAIN = {"local_window_size": -1, "smooth_softmax": 0, "softcap": 0.0}  # how one operator for attention may look
_PLAIN_INPUTS = 9  # behind them stand positions, biases and sinks of its own


@dataclass(frozen=True, slots=True)
class Query:
    """A layer's queries as its keys are multiplied by them, and what is made of the products.

    `weights` are those of the softmax, (1, heads, queries, keys). Where one operator does it all there are none, but
    `attended`, (1, queries, heads · head_size), and `nodes` that make the queries of what the operator takes.
    """

    queries: str
    weights: str = ""
    attended: str = ""
    scale: float = 0.0  # of the products, where the operator says it
    nodes: tuple[NodeProto, ...] = ()

    @property
    def seen(self) -> str:
        """What is held against what is computed here."""
        return self.weights or self.attended


class Parts:
    """A graph's values by how they are made."""

    def __init__(self, graph: GraphProto, a: Architecture) -> None:
        self._nodes = in_order(graph)
        self._a = a
        self._layers = a.layers
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._constants = constants_of(graph, self._nodes, shapes=True)
        self._makers = {name: node for node in self._nodes for name in node.output if name}
        self._users: dict[str, list[NodeProto]] = {}
        for node in self._nodes:
            for name in dict.fromkeys(node.input):
                self._users.setdefault(name, []).append(node)

    def queries(self) -> tuple[Query, ...]:
        """Those of every layer; none where they are not found in all."""
        found = [self._query(layer) for layer in range(self._layers)]
        known = tuple(query for query in found if query is not None)
        return known if len(known) == len(found) else ()

    def stream(self) -> tuple[str, ...]:
        """The embedding, and what comes out of every block; none where it is not found."""
        found: dict[int, str] = {}
        place = self._last_sum()
        while place is not None:
            found.setdefault(self._depth(place), place)
            place = self._stream_of(place)
        depths = range(self._layers + 1)
        return tuple(found[depth] for depth in depths) if found.keys() == set(depths) else ()

    @cached_property
    def _read(self) -> Mapping[str, int]:
        """Of which layers' keys a value is made, a bit for each."""
        found: dict[str, int] = {}
        keys = {self._behind(present_name(layer, "key"), _SAME): 1 << layer for layer in range(self._layers)}
        for node in self._nodes:
            made = reduce(or_, (found.get(name, 0) for name in node.input), 0)
            made |= reduce(or_, (keys.get(name, 0) for name in node.output), 0)
            found.update(dict.fromkeys(node.output, made))
        return found

    def _depth(self, name: str) -> int:
        return self._read.get(name, 0).bit_count()

    def _dynamic(self, node: NodeProto) -> list[str]:
        return [name for name in node.input if name and name not in self._constants]

    def _behind(self, name: str, kinds: frozenset[str]) -> str:
        """The value that this one is another form of."""
        while (node := self._makers.get(name)) is not None and node.op_type in kinds and node.input[0] in self._makers:
            name = node.input[0]
        return name

    def _last_sum(self) -> str | None:
        """The last value that all logits are made of, and that is a sum."""
        open_ = {LOGITS}
        for node in reversed(self._nodes):
            if open_.isdisjoint(node.output):
                continue
            if branches(node):
                return None
            if len(open_) == 1 and self._sum(*open_):
                return open_.pop()
            open_ = (open_ - set(node.output)) | set(self._dynamic(node))
        return None

    def _sum(self, name: str) -> list[str]:
        """What a value is the sum of, if it is one of several that differ from pass to pass."""
        source = self._behind(name, _FORM)
        node = self._makers.get(source)
        terms = [] if node is None or not _is_sum(node, source) else self._dynamic(node)
        return terms if len(terms) > 1 else []

    def _stream_of(self, name: str) -> str | None:
        """The term of a sum that all other terms are made of."""
        terms = self._sum(name)
        while terms:
            above = {term: self._above(term) for term in terms}
            for term in terms:
                if all(self._behind(term, _FORM) in above[other] for other in terms if other != term):
                    return term
            inner = next((term for term in terms if self._sum(term)), None)
            if inner is None:
                return None
            terms = [term for term in terms if term != inner] + self._sum(inner)
        return None

    def _above(self, name: str) -> set[str]:
        """All values that one is made of."""
        found: set[str] = set()
        open_ = [name]
        while open_:
            node = self._makers.get(open_.pop())
            for source in () if node is None else node.input:
                if source not in found and source not in self._constants:
                    found |= {source, *self._beside(source)}
                    open_.append(source)
        return found

    def _beside(self, name: str) -> list[str]:
        """The sum that is given beside its norm."""
        node = self._makers.get(name)
        return [] if node is None or node.op_type not in _SKIPS else list(node.output[_SUM:])

    def _query(self, layer: int) -> Query | None:
        maker = self._makers.get(self._behind(present_name(layer, "key"), _SAME))
        if maker is not None and maker.op_type == "GroupQueryAttention":
            return self._fused(layer, maker)
        keys = set(self._forms(self._behind(present_name(layer, "key"), _SAME)))
        products = [
            node
            for node in self._nodes
            if node.op_type == "MatMul" and node.input[1] in keys and node.input[0] not in keys | self._constants
        ]
        if len(products) != 1:
            return None
        weights = self._softmax_of(products[0].output[0])
        return None if weights is None else Query(products[0].input[0], weights)

    def _fused(self, layer: int, node: NodeProto) -> Query | None:
        """Queries of what one operator for all of attention takes, rotated as it rotates them."""
        said = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if any(said.get(name, usual) != usual for name, usual in _PLAIN.items()) or any(node.input[_PLAIN_INPUTS:]):
            return None
        source, name = node.input[0], f"{QUERIES}.{layer}"
        steps = [f"{name}.{step}" for step in ("own", "heads", "turned")]
        nodes = []
        if not node.input[1]:  # queries, keys and values side by side
            nodes.append(helper.make_node("Slice", [source, FIRST, WIDTH, AXIS], steps[:1]))
            source = steps[0]
        nodes.append(helper.make_node("Reshape", [source, HEADS], steps[1:2]))
        if not said.get("do_rotary"):
            nodes.append(helper.make_node("Transpose", steps[1:2], [name], perm=[0, 2, 1, 3]))
            return Query(name, attended=node.output[0], scale=said.get("scale", 0.0), nodes=tuple(nodes))
        cosines = self._tensors.get(node.input[7])
        if cosines is None:
            return None
        turns = {"interleaved": said.get("rotary_interleaved", 0)}
        if 2 * cosines.dims[1] != self._a.head_size:
            turns |= {"num_heads": self._a.heads, "rotary_embedding_dim": 2 * cosines.dims[1]}
        nodes += [
            helper.make_node("Transpose", steps[1:2], steps[2:], perm=[0, 2, 1, 3]),
            helper.make_node(
                "RotaryEmbedding", [steps[2], POSITIONS, *node.input[7:9]], [name], domain=MICROSOFT, **turns
            ),
        ]
        return Query(name, attended=node.output[0], scale=said.get("scale", 0.0), nodes=tuple(nodes))

    def _forms(self, name: str) -> Iterator[str]:
        """A value and what is made of it alone by changing its form or scale."""
        yield name
        for node in self._users.get(name, ()):
            if node.op_type in _KEY_STEPS and self._dynamic(node) == [name]:
                yield from self._forms(node.output[0])

    def _softmax_of(self, name: str) -> str | None:
        for node in self._users.get(name, ()):
            if node.op_type == "Softmax":
                return str(node.output[0])
            if node.op_type in _SCORE_STEPS and (found := self._softmax_of(node.output[0])) is not None:
                return found
        return None


def take_past_branch(graph: GraphProto) -> bool:
    """Put the branch that takes a past in the place of both, in a decoder that was merged of two; or change nothing."""
    found = [(place, node) for place, node in enumerate(graph.node) if node.op_type == "If"]
    if len(found) != 1 or list(found[0][1].input) != [MERGED]:
        return False
    place, node = found[0]
    branch = next(attribute.g for attribute in node.attribute if attribute.name == "then_branch")
    ends = [(value.name, name) for value, name in zip(branch.output, node.output, strict=True) if value.name != name]
    nodes = [*branch.node, *(helper.make_node("Identity", [made], [name]) for made, name in ends)]
    tensors = list(branch.initializer)
    del graph.node[place]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    return True


def open_end(graph: GraphProto) -> None:
    """Make the sum a value of its own where the last norm of a graph adds first."""
    end = end_of(graph)
    place, node = next(((at, node) for at, node in enumerate(graph.node) if end in node.output[:1]), (0, None))
    if node is None or node.op_type not in _SKIPS or len(node.input) > (3 if "Simplified" in node.op_type else 4):
        return
    summed, zero = f"{end}.sum", f"{end}.zero"
    norm = NodeProto()
    norm.CopyFrom(node)
    norm.input[:2] = [summed, zero]
    del graph.node[place]
    graph.node.extend([
        helper.make_node("Add", node.input[:2], [summed]),
        helper.make_node("Sub", [summed, summed], [zero]),
        norm,
    ])  # fmt: skip


def add_queries(graph: GraphProto, a: Architecture, queries: Sequence[Query]) -> None:
    """Add the nodes that make queries, and what they take, where there are any."""
    if not any(query.nodes for query in queries):
        return
    graph.node.extend(node for query in queries for node in query.nodes)
    numbers = {
        FIRST: [0], WIDTH: [a.heads * a.head_size], AXIS: [-1], HEADS: [0, 0, a.heads, a.head_size],
    }  # fmt: skip
    graph.initializer.extend(numpy_helper.from_array(np.array(one, np.int64), name) for name, one in numbers.items())
    if POSITIONS not in [value.name for value in graph.input]:
        graph.input.append(helper.make_tensor_value_info(POSITIONS, TensorProto.INT64, (None, None)))


def _is_sum(node: NodeProto, name: str) -> bool:
    if node.op_type in _SKIPS:
        return name in node.output[_SUM:]
    return node.op_type in ("Add", "Sum")

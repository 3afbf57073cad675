"""Where the queries and the residual stream are in a graph that another program made.

Names of values do not matter, only how they are made of one another: keys are multiplied by queries, and the stream is
what something that was made of it is added to. What is found here is held against what the graph computes before
anybody sees it (`onnx_given.py`); where something is not found, or found twice, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

from onnx import GraphProto, NodeProto

from canopy_desktop.model.given_graph import LOGITS, branches, constants_of, in_order
from canopy_desktop.model.given_pass import present_name

_SAME = frozenset({"Cast", "Identity"})  # the same numbers
_FORM = _SAME | {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}  # in the same order
_KEY_STEPS = _FORM | {"Div", "Expand", "Mul", "Transpose"}  # from the cache to the product with queries
_SCORE_STEPS = _FORM | {"Add", "Clip", "Div", "Max", "Mul", "Where"}  # from the product to the softmax


@dataclass(frozen=True, slots=True)
class Query:
    """A layer's queries as its keys are multiplied by them, and what the softmax makes of the products."""

    queries: str
    weights: str


class Parts:
    """A graph's values by how they are made."""

    def __init__(self, graph: GraphProto, layers: int) -> None:
        self._nodes = in_order(graph)
        self._layers = layers
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
        node = self._makers.get(self._behind(name, _FORM))
        terms = [] if node is None or node.op_type not in ("Add", "Sum") else self._dynamic(node)
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
                    found.add(source)
                    open_.append(source)
        return found

    def _query(self, layer: int) -> Query | None:
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

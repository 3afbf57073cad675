"""What is recognised in a graph that another program made, held against what the graph computes of a short text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from onnx import ValueInfoProto

from canopy_desktop.arrays import AnyArray
from canopy_desktop.errors import BuildError, SourceError
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.given_graph import LOGITS, end_of, is_end
from canopy_desktop.model.given_parts import Parts, Query, add_queries, open_end, take_past_branch
from canopy_desktop.model.onnx_file import OnnxFile
from canopy_desktop.model.onnx_weights import Rounding
from canopy_desktop.model.onnx_witness import Reading, difference, outputs_of, reading_of

# What shares of attention may be apart, computed here and in a graph that rounds so.
LEAST = 1e-6  # share whose logarithm says something
SHARES = {Rounding.NONE: 1e-4, Rounding.FINE: 5e-3, Rounding.COARSE: 1e-4}


class Probe:
    """What a graph makes of a short text, at its outputs and at the values that seem to be its queries and stream."""

    def __init__(
        self, file: OnnxFile, a: Architecture, text: Sequence[int], stream: tuple[str, ...], queries: tuple[Query, ...]
    ) -> None:
        self._a, self._tokens = a, len(text)
        self._end, self._stream, self.queries = end_of(file.model.graph), stream, queries
        wanted = [self._end, *stream, *(name for query in queries for name in (query.queries, query.seen))]
        more = tuple(name for name in dict.fromkeys(wanted) if name != LOGITS)
        outputs = _outputs(file, a, text, more)
        self.made = dict(zip((LOGITS, *more), outputs, strict=False))
        self.outputs = [outputs[0], *outputs[1 + len(more) :]]  # logits, and keys and values of every layer

    @property
    def is_finite(self) -> bool:
        """Whether everything that is kept is."""
        kept = (self._end, *self._stream, *(query.queries for query in self.queries))
        return all(np.isfinite(part).all() for part in (*self.outputs, *(self.made[name] for name in kept)))

    def last(self) -> tuple[str, tuple[str, ...]]:
        """What the head takes, and the stream up to there, if it is one of rows of one width."""
        widths = {self.made[name].shape[-1:] for name in self._stream}
        sizes = {self.made[name].size for name in self._stream}
        if (
            len(widths) == 1
            and sizes == {self._tokens * width for (width,) in widths}
            and self._is_row(self._stream[-1])
        ):
            return self._stream[-1], self._stream
        return (self._end if self._is_row(self._end) else LOGITS), ()

    def scale(self, rounding: Rounding) -> float | None:
        """By what products of queries and keys are multiplied so that their softmax is the graph's own.

        None where there is no such number: the graph looks in another way, or what was found are not its queries.
        """
        size, apart = self._a.head_size, SHARES[rounding]
        said = {query.scale for query in self.queries if query.scale} | self._fitted()
        scales = (size**-0.5, 1.0, size**-0.25, 1 / size, *sorted(said))
        return next((scale for scale in scales if self.queries and self._distance(scale) <= apart), None)

    def _is_row(self, name: str) -> bool:
        return self.made[name].shape[:-1] == (1, self._tokens)

    def _fitted(self) -> set[float]:
        """The scale by which the logarithms of a layer's shares are differences of its products, if there is one."""
        a, (query, *_) = self._a, [*self.queries, Query("")]
        if not query.weights or self.made[query.queries].shape != (1, a.heads, self._tokens, a.head_size):
            return set()
        keys = np.repeat(self.outputs[1], a.heads // a.kv_heads, axis=1).astype(np.float64)
        products = self.made[query.queries].astype(np.float64) @ keys.swapaxes(-1, -2)
        shares = self.made[query.weights].astype(np.float64)
        if shares.shape != products.shape:
            return set()
        seen = (shares > LEAST) & (shares[..., :1] > LEAST)
        apart, logarithms = (np.where(seen, one - one[..., :1], 0.0) for one in (products, np.log(shares.clip(LEAST))))
        scale = float((apart * logarithms).sum() / (np.square(apart).sum() or 1.0))
        return {scale} if scale > 0 else set()

    def _distance(self, scale: float) -> float:
        """The largest difference of a share of attention."""
        a, count = self._a, self._tokens
        seen = np.tri(count, dtype=np.bool_)
        apart = 0.0
        for layer, query in enumerate(self.queries):
            queries, expected = (self.made[name].astype(np.float64) for name in (query.queries, query.seen))
            if queries.shape != (1, a.heads, count, a.head_size):
                return np.inf
            keys, values = (
                np.repeat(part, a.heads // a.kv_heads, axis=1).astype(np.float64)
                for part in self.outputs[1 + 2 * layer : 3 + 2 * layer]
            )
            scores = np.where(seen, queries @ keys.swapaxes(-1, -2) * scale, -np.inf)
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            found, unit = powers / powers.sum(axis=-1, keepdims=True), 1.0
            if query.attended:
                found, unit = (found @ values).swapaxes(1, 2).reshape(1, count, -1), float(np.abs(values).max())
            if found.shape != expected.shape:
                return np.inf
            apart = max(apart, float(np.abs(found - expected).max()) / (unit or 1.0))
        return apart


def recognised(
    file: OnnxFile,
    a: Architecture,
    text: Sequence[int],
    reading: Reading,
    rounding: Rounding,
    reopen: Callable[[], OnnxFile],
) -> tuple[OnnxFile, Probe]:
    """What is recognised in the graph, or of a merged one in its branch with a past, if that can do without a past.

    `reading` is what the graph makes of the text as it is, and `reopen` gives it so again; `file` has more nodes then.
    Raises `SourceError` or `BuildError`.
    """
    if not take_past_branch(file.model.graph):
        return file, _probe(file, a, text)
    with suppress(BuildError, SourceError):
        probe = _probe(file, a, text)
        if not difference(reading, reading_of(file, a, probe.outputs, len(text)), rounding):
            return file, probe
    whole = reopen()
    return whole, _probe(whole, a, text)


def _probe(file: OnnxFile, a: Architecture, text: Sequence[int]) -> Probe:
    """With all that is recognised in the graph, or without it, where that does not run."""
    graph = file.model.graph
    open_end(graph)
    parts = Parts(graph, a)
    stream, queries = parts.stream(), parts.queries()
    if stream and not is_end(graph, stream[-1], stream):
        stream = ()
    add_queries(graph, a, queries)
    try:
        return Probe(file, a, text, stream, queries)
    except BuildError:
        return Probe(file, a, text, (), ())


def _outputs(file: OnnxFile, a: Architecture, text: Sequence[int], more: Sequence[str]) -> list[AnyArray]:
    """Logits, `more`, and all keys and values."""
    graph, count = file.model.graph, len(file.model.graph.output)
    graph.output.extend(ValueInfoProto(name=name) for name in more)
    try:
        whole = file.model.SerializeToString()
    finally:
        del graph.output[count:]
    return outputs_of(file, whole, a, text, layers=a.layers, more=more)

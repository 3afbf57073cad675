"""Inside one step: how a token's residual comes through one block, number by number, in one head.

The token passes through the model once more, as it did the first time (`TokenSequence.replay`), and what a pass does
not give is made by the block alone (`model/block_replay.py`): so every number has the bits that it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.errors import ColumnsGoneError
from canopy_desktop.exploration.attention import softmax
from canopy_desktop.exploration.intervention import head_bias
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.model.block_replay import BlockPass, BlockReplay
from canopy_desktop.model.card import Architecture, LayerAttention
from canopy_desktop.model.decoder import AttentionBias
from canopy_desktop.model.head import Head
from canopy_desktop.model.rope import turned
from canopy_desktop.model.weight_map import WeightMap

REPLAYS = 3  # blocks whose sessions are kept: 4 MB each with 8-bit weights, 14 MB with fp32


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is added to the residual stream."""

    norm: float  # Euclidean
    cosine: float  # with the stream that it is added to; 0 where one of both is zero
    effect: float  # on the chosen token's logit, directly; see `Readout`


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """From a part of the last residual to its share of a token's logit: direct logit attribution.

    logit(x) = (x / rms(x)) · (gain ∘ row), so with the scale 1 / rms(x) held fixed at that of the whole residual x,
    effect(part) = part · (gain ∘ row) / rms(x), and the effects of parts that sum to x sum to the logit. A LayerNorm
    takes each part's mean off, which is linear too, divides by x's deviation, and adds bias · row whatever x is.
    Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (direct paths); TransformerLens'
    `logit_attrs`. What later blocks make of the part is not in it, and only differences between tokens' logits matter
    to the probability.
    """

    token_id: int
    direction: FloatArray  # (hidden,): gain ∘ row / rms(x); of a LayerNorm less its mean, and over the deviation
    constant: float = 0.0  # bias · row of a LayerNorm: with the effects of all parts it sums to the logit

    def effect(self, part: FloatArray) -> float:
        """The share of the logit, from (hidden,)."""
        return float(part.astype(np.float64) @ self.direction.astype(np.float64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InsideStep:
    """One token in one layer and head. Arrays are read-only; keys are counted over the whole text that was given."""

    position: int
    layer: int
    head: int
    kv_head: int  # whose keys and values the head shares
    in_chunk: bool  # passed through the model with others, not as a single step
    architecture: Architecture = field(repr=False)  # of the model
    logit: float  # the model's own, of the readout's token
    readout: Readout
    query: FloatArray = field(repr=False)  # (head_size,), before rotation
    query_rotated: FloatArray = field(repr=False)
    key: FloatArray = field(repr=False)  # (head_size,), before rotation: the cached one turned back
    keys: FloatArray = field(repr=False)  # (keys, head_size), all rotated
    products: FloatArray = field(repr=False)  # (keys,): q·k
    scaled: FloatArray = field(repr=False)  # (keys,): q·k · the layer's scale, 1 / √head_size as a rule
    masked: FloatArray = field(repr=False)  # (keys,): with the bias; minus infinity where a key is unseen or blocked
    weights: FloatArray = field(repr=False)  # (keys,): after the softmax
    values: FloatArray = field(repr=False)  # (keys, head_size)
    weighted: FloatArray = field(repr=False)  # (keys, head_size): weights · values
    attended: FloatArray = field(repr=False)  # (heads, head_size): every head's sum, from the block itself
    head_outputs: FloatArray = field(repr=False)  # (heads, hidden): what each adds; with the bias that is `attention`
    stream: FloatArray = field(repr=False)  # (layers + 1, hidden): the embedding, then after each block
    attention: FloatArray = field(repr=False)  # (hidden,): what attention adds
    middle: FloatArray = field(repr=False)  # (hidden,): the stream then
    feed_forward: FloatArray = field(repr=False)  # (hidden,): what the feed-forward adds
    output_bias: FloatArray | None = field(default=None, repr=False)  # (hidden,): what attention adds beside its heads
    token_row: FloatArray | None = field(default=None, repr=False)  # (hidden,): where positions are learned, the
    place_row: FloatArray | None = field(default=None, repr=False)  # token's own and its place's: they sum to stream[0]

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def how(self) -> LayerAttention:
        """How the layer's heads look."""
        return self.architecture.attention(self.layer)

    @property
    def key_rotated(self) -> FloatArray:
        """The token's own, (head_size,)."""
        found: FloatArray = self.keys[self.position]
        return found

    @property
    def before(self) -> FloatArray:
        """The stream at the block's beginning, (hidden,)."""
        found: FloatArray = self.stream[self.layer]
        return found

    @property
    def after(self) -> FloatArray:
        """The stream at the block's end, (hidden,)."""
        found: FloatArray = self.stream[self.layer + 1]
        return found

    def part(self, added: FloatArray, stream: FloatArray) -> Part:
        """Size, direction and effect of what is added to a stream, both (hidden,)."""
        length, other = float(np.linalg.norm(added)), float(np.linalg.norm(stream))
        cosine = float(added @ stream) / (length * other) if length and other else 0.0
        return Part(length, cosine, self.readout.effect(added))

    def blocks(self) -> tuple[Part, ...]:
        """What each whole block adds, attention and feed-forward together, in order of layers."""
        return tuple(
            self.part(after - before, before) for before, after in zip(self.stream, self.stream[1:], strict=False)
        )


class InsideReader:
    """Looks into single steps. For the thread that owns the decoder."""

    def __init__(self, sequence: TokenSequence, head: Head, weights: WeightMap) -> None:
        self._sequence = sequence
        self._head = head
        self._weights = weights
        self._replays: dict[int, BlockReplay] = {}

    def step(
        self,
        slots: IntArray,
        position: int,
        layer: int,
        head: int,
        token_id: int,
        bias: AttentionBias | None = None,
    ) -> InsideStep:
        """The token at `position` of a text in one layer and head; effects are on the logit of `token_id` next.

        `bias` is what the columns were made with. Raises `EngineError`, `InterruptedStepError` or `ProviderError`, and
        `LookupError` for columns that are forgotten.
        """
        sequence, a = self._sequence, self._sequence.decoder.architecture
        kv_head = head // (a.heads // a.kv_heads)
        first, columns = sequence.replay(slots, position, bias=bias)
        passed = columns.stream()
        row, in_chunk = position - first, passed.shape[1] > 1
        stream = passed[:, row].copy()
        token = int(sequence.columns.token_ids(slots[position : position + 1])[0])
        place_row = self._weights.place_row(position)
        run = self._replayed(slots, layer, first, passed[layer], bias)
        keys, values = (_held(read(slots, layer, kv_head)).copy() for read in (sequence.keys, sequence.values))
        query = run.query[row].reshape(a.heads, a.head_size)[head]
        rotated = self._turned(query, layer, position)
        products = keys @ rotated
        scaled = products * np.float32(a.attention(layer).scale)
        masked = self._masked(scaled, position, layer, head, bias)
        weights = softmax(masked.copy())
        return InsideStep(
            position=position, layer=layer, head=head, kv_head=kv_head, in_chunk=in_chunk, architecture=a,
            logit=float(self._head.logits(stream[-1:])[0, token_id]), readout=self._readout(stream[-1], token_id),
            query=query, query_rotated=rotated,
            key=self._turned(keys[position], layer, position, back=True), keys=keys,
            products=products, scaled=scaled, masked=masked, weights=weights,
            values=values, weighted=weights[:, None] * values,
            attended=run.attended[row].reshape(a.heads, a.head_size),
            head_outputs=self._replay(layer).heads(run.attended[row]), output_bias=self._replay(layer).output_bias,
            token_row=None if place_row is None else self._weights.token_row(token), place_row=place_row,
            stream=stream, attention=run.attention[row], middle=run.middle[row], feed_forward=run.feed_forward[row],
        )  # fmt: skip

    def head_output(self, step: InsideStep, attended: FloatArray) -> FloatArray:
        """What the step's head would add to the stream, (hidden,), if its sum were `attended`, (head_size,)."""
        changed = step.attended.copy()
        changed[step.head] = attended
        output: FloatArray = self._replay(step.layer).heads(changed.reshape(-1))[step.head]
        return output

    def likeliest(self, slots: IntArray, position: int) -> int:
        """The likeliest token after a position; of equal ones the lower id."""
        return int(self._head.logits(self._sequence.columns.residuals(slots[position : position + 1], -1))[0].argmax())

    def lens(self, stream: FloatArray) -> FloatArray:
        """What the model's end makes of a token's (layers + 1, hidden) residuals: (layers + 1, vocabulary).

        Of what columns keep of them, as the lens has it, so that both say the same.
        """
        return self._head.logits(self._sequence.columns.as_kept(stream))

    def streams(self, slots: IntArray, layer: int) -> FloatArray | None:
        """The residuals before a layer that were kept of these columns, (slots, hidden); None where they are gone."""
        try:
            found: FloatArray = self._sequence.columns.residuals(slots, layer).astype(np.float32)
        except ColumnsGoneError:
            return None
        return found

    def turned_back(self, vectors: FloatArray, layer: int, positions: IntArray) -> FloatArray:
        """A layer's rotated queries or keys as they were before the rotation, both (positions, head_size)."""
        return turned(vectors, self._sequence.decoder.architecture, layer, positions, back=True)

    def _replayed(
        self, slots: IntArray, layer: int, first: int, stream: FloatArray, bias: AttentionBias | None
    ) -> BlockPass:
        """The block once more for the rows of a stream from position `first` on, with what was cached before them."""
        sequence, a = self._sequence, self._sequence.decoder.architecture
        shape = (a.kv_heads, first, a.head_size)
        keys, values = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for kv_head in range(a.kv_heads if first else 0):
            keys[kv_head] = _held(sequence.keys(slots[:first], layer, kv_head))
            values[kv_head] = _held(sequence.values(slots[:first], layer, kv_head))
        given = None if bias is None else bias.of_layer(layer, first, len(stream))
        return self._replay(layer).run(stream, keys, values, given)

    def _replay(self, layer: int) -> BlockReplay:
        replay = self._replays.pop(layer, None)
        if replay is None:
            replay = BlockReplay(self._weights, self._sequence.decoder.architecture, layer)
        self._replays[layer] = replay  # the last used one comes last
        if len(self._replays) > REPLAYS:
            del self._replays[next(iter(self._replays))]
        return replay

    def _turned(self, vector: FloatArray, layer: int, position: int, *, back: bool = False) -> FloatArray:
        places = slice(position, position + 1)
        found: FloatArray = turned(vector[None], self._sequence.decoder.architecture, layer, places, back=back)[0]
        return found

    def _masked(
        self, scaled: FloatArray, position: int, layer: int, head: int, bias: AttentionBias | None
    ) -> FloatArray:
        masked = scaled.copy()
        masked[position + 1 :] = -np.inf
        masked[: self._sequence.decoder.architecture.attention(layer).first_seen(position)] = -np.inf
        added = head_bias(bias, layer, head, position)
        if added is not None:
            masked[: position + 1] += added[0]
        return masked

    def _readout(self, last: FloatArray, token_id: int) -> Readout:
        """The final norm (see `card.Norm`) has the model's epsilon inside the root."""
        a, weights = self._sequence.decoder.architecture, self._weights
        row, exact = weights.output_row(token_id), last.astype(np.float64)
        bias = weights.output_norm_bias()
        centred = exact if bias is None else exact - exact.mean()
        direction: FloatArray = weights.output_norm() * row
        direction *= np.float32(1.0 / np.sqrt(np.mean(centred**2) + a.epsilon))
        if bias is None:
            return Readout(token_id, direction)
        direction -= direction.mean()
        return Readout(token_id, direction, float(bias.astype(np.float64) @ row))


def _held(vectors: FloatArray | None) -> FloatArray:
    if vectors is None:  # the thread that owns the decoder is the only one that moves them
        raise RuntimeError("keys and values moved while they were read")
    return vectors


def without_renormalising(weights: FloatArray, keys: Sequence[int]) -> FloatArray:
    """A row of probabilities with those of some keys set to 0 and the others left as they are: a copy.

    The row no longer sums to one. Blocking, which the network itself can do, rescales the rest instead.
    """
    found = weights.copy()
    found[list(keys)] = 0.0
    return found

"""A model that follows a script, behind the real generation: for tests alone, the program cannot reach it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.decoding.beams import BeamSettings, Endings, advance, begin
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ColumnsGoneError, ContextFullError, InterruptedStepError
from canopy_desktop.exploration.attention_view import AttentionReading, Look, RowReading
from canopy_desktop.exploration.decision import Decision, decide
from canopy_desktop.exploration.decision_view import DrawsReading
from canopy_desktop.exploration.draws import DrawnToken, DrawProgress, first_draws
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.inside import InsideStep, Readout
from canopy_desktop.exploration.inside_view import InsideLooker
from canopy_desktop.exploration.kept_attention import AttentionNote, KeptAttention
from canopy_desktop.exploration.lens_view import LensCell, LensColumn, LensWish, cell_of
from canopy_desktop.exploration.records import Kept, Slot
from canopy_desktop.exploration.searching import Searched, SearchKind, SearchRecorder, SearchWish
from canopy_desktop.exploration.squares import Square
from canopy_desktop.model.cache import Cache
from canopy_desktop.model.card import Architecture, Card, WeightForm
from canopy_desktop.model.decoder import AttentionBias
from canopy_desktop.model.provider import ProviderReport
from canopy_desktop.model.tokenizer import Tokenizer

SCRIPT = "abcdefghijklmnopqrstuvwxyz"
ARCHITECTURE = Architecture(
    layers=3,
    heads=4,
    kv_heads=2,
    head_size=2,
    hidden=8,
    feed_forward=16,
    vocabulary=256,
    context=300,
    rope_base=10_000.0,
    epsilon=1e-5,
)


def byte_tokenizer() -> Tokenizer:
    """One token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return Tokenizer(inner)


SIBLINGS_FIRST = 10_000  # columns of a sibling have numbers far from those that are there


class ScriptedSequence:
    """After any n tokens the likeliest next one is letter n of the script, the second likeliest the letter after."""

    def __init__(self, tokenizer: Tokenizer, script: str, context: int) -> None:
        self._held = threading.Event()
        self.decoder = SimpleNamespace(
            context=context,
            architecture=ARCHITECTURE,
            cache=Cache(ARCHITECTURE, context),
            hold=self._held.set,
            release=self._held.clear,
            length=0,
        )
        self.columns = SimpleNamespace(bytes=0, residuals=lambda slots, row: np.array(slots, np.float32)[:, None])
        self.budget = 2_000_000_000
        self.gone: set[Slot] = set()  # columns that a remake brings back, one a pass
        self.fed: list[tuple[int, ...]] = []
        self.gate = threading.Event()  # a pass waits until it is set, or interrupted
        self.gate.set()
        self.waiting = threading.Event()  # a pass has reached the gate
        self._ids = [tokenizer.encode(letter).ids[0] for letter in script]
        self._slots: list[Slot] = []
        self._next_slot = 0
        self._lengths: dict[Slot, int] = {}  # tokens up to and with that column

    def sibling(self) -> "ScriptedSequence":
        """One with a cache and columns of its own, behind the same gate; what has its columns can be read here too."""
        other = copy(self)
        other.decoder = SimpleNamespace(**vars(self.decoder) | {"cache": Cache(ARCHITECTURE, self.decoder.context)})
        other.columns = SimpleNamespace(bytes=0, residuals=self.columns.residuals)
        other.fed, other._slots = [], []
        other._next_slot = SIBLINGS_FIRST + max(self._lengths, default=0)
        return other

    def __len__(self) -> int:
        return len(self._slots)

    def feed(self, token_ids: Sequence[int]) -> tuple[tuple[Slot, ...], FloatArray]:
        self.pass_gate()
        self.fed.append(tuple(token_ids))
        slots = tuple(range(self._next_slot, self._next_slot + len(token_ids)))
        self._next_slot += len(token_ids)
        for slot in slots:
            self._slots.append(slot)
            self._lengths[slot] = len(self._slots)
        self.columns.bytes += 100 * len(token_ids)
        self._fill_cache()
        return slots, self.logits(np.array([[slots[-1]]]))[0]

    def logits(self, residuals: FloatArray) -> FloatArray:
        logits = np.zeros((len(residuals), ARCHITECTURE.vocabulary), np.float32)
        for row, slot in enumerate(residuals[:, 0]):
            length = self._lengths[int(slot)]
            logits[row, self._ids[(length + 1) % len(self._ids)]] = 5.0
            logits[row, self._ids[length % len(self._ids)]] = 6.0
        return logits

    def go_to(self, slots: IntArray) -> None:
        self._slots = [int(slot) for slot in slots]
        self._fill_cache()

    def remake(self, slots: IntArray, kind: Kept) -> Iterator[tuple[int, int]]:
        wanted = [int(slot) for slot in slots if int(slot) in self.gone]
        for done, slot in enumerate(wanted, 1):
            self.pass_gate()
            self.gone.discard(slot)
            yield done, len(wanted)

    def _fill_cache(self) -> None:
        """As many positions as there are tokens; nothing stands in them."""
        self.decoder.length = len(self._slots)
        self.decoder.cache.reserve(len(self._slots), 0)

    def script_id(self, length: int) -> int:
        return self._ids[length % len(self._ids)]

    def forget(self) -> None:
        self._slots = []

    def pass_gate(self) -> None:
        while not self._held.is_set():
            if self.gate.is_set():
                return
            self.waiting.set()
            self._held.wait(0.001)
        raise InterruptedStepError


class ScriptedReader:
    """Readings that are easy to tell: every earlier token gets the same attention, every token two bits."""

    def __init__(self, session: "ScriptedSession") -> None:
        self._session = session

    def picture(self, slots: IntArray, look: Look, part: Square | None = None) -> AttentionReading | None:
        self._session.asked.append(("attention", len(slots), look, part))
        if gone := self._session.sequence.gone.intersection(slots.tolist()):
            raise ColumnsGoneError(Kept.QUERIES.value, len(gone))
        rows = np.tril(np.ones((len(slots), len(slots)), np.float32))
        values = np.where(rows > 0, rows / rows.sum(axis=1, keepdims=True), np.nan).astype(np.float32)
        if part is not None:
            values = values[slice(*part.rows), slice(*part.columns)].copy()
        return AttentionReading(
            layer=look.layer,
            head=look.head,
            hide_first=look.hide_first,
            length=len(slots),
            cell=1,
            values=values,
            part=part,
        )

    def keep(self, slots: IntArray, node: int) -> KeptAttention | None:
        """What gives every earlier token the same attention: queries of zeros."""
        self._session.asked.append(("keep", len(slots), node))
        if gone := self._session.sequence.gone.intersection(slots.tolist()):
            raise ColumnsGoneError(Kept.QUERIES.value, len(gone))
        note = AttentionNote(node=node, tokens=len(slots), architecture=ARCHITECTURE)
        queries, keys = (np.zeros(shape, np.float32) for shape in note.shapes)
        return KeptAttention(note=note, queries=queries, keys=keys)

    def row(self, slots: IntArray, query: int, *, rollout: bool = False) -> RowReading | None:
        self._session.asked.append(("row", query))
        shape = (ARCHITECTURE.layers, ARCHITECTURE.heads, query + 1)
        flow = np.full(query + 1, 1 / (query + 1), np.float32) if rollout else None
        return RowReading(query=query, weights=np.full(shape, 1 / (query + 1), np.float32), flow=flow)

    def decision(
        self,
        slot: Slot,
        settings: DecodingSettings,
        history: History,
        position: int,
        *,
        shown: int,
        also: Sequence[int] = (),
    ) -> Decision | None:
        self._session.asked.append(("decision", slot, settings))
        logits = self._session.sequence.logits(np.array([[slot]]))[0]
        return decide(logits, settings, history, slot=slot, position=position, shown=shown, also=also)

    def draws(
        self, slot: Slot, settings: DecodingSettings, history: History, *, count: int, listed: int
    ) -> DrawsReading | None:
        self._session.asked.append(("draws", slot, settings))
        drawn = first_draws(self._session.sequence.logits(np.array([[slot]]))[0], history, settings, count)
        return DrawsReading(slot, settings, drawn.token_ids, drawn.frequencies(listed))

    def lens(self, slots: IntArray) -> tuple[LensColumn, ...] | None:
        """Layer by layer another letter; after the last the one that the script has."""
        self._session.asked.append(("lens", tuple(slots.tolist())))
        if gone := self._session.sequence.gone.intersection(slots.tolist()):
            raise ColumnsGoneError(Kept.RESIDUALS.value, len(gone))
        rows = ARCHITECTURE.layers + 1
        last = self._session.sequence.logits(np.array(slots)[:, None]).argmax(axis=-1)
        return tuple(
            LensColumn(np.array([*range(30, 29 + rows), top]), np.linspace(0.1, 0.9, rows, dtype=np.float32))
            for top in last.tolist()
        )

    def lens_cell(self, wish: LensWish) -> LensCell | None:
        self._session.asked.append(("cell", wish))
        if wish.slot in self._session.sequence.gone:
            raise ColumnsGoneError(Kept.RESIDUALS.value, 1)
        return cell_of(self._session.sequence.logits(np.array([[wish.slot]]))[0], wish)

    def surprisal(self, slots: IntArray, token_ids: Sequence[int], first: int, last: int) -> FloatArray | None:
        self._session.asked.append(("surprisal", first, last))
        bits = np.full(last - first, 2.0, np.float32)
        if first == 0:
            bits[0] = np.nan
        return bits


class ScriptedTrial:
    """With a block the likeliest and the second likeliest token change places."""

    def __init__(self, session: "ScriptedSession") -> None:
        self.decoder = session.sequence.decoder
        self._sequence = session.sequence

    def logits(
        self, ids: Sequence[int], *, bias: AttentionBias | None = None, first: int = 0, last: float = 0.0
    ) -> FloatArray:
        self._sequence.pass_gate()
        likeliest, second = (self._sequence.script_id(len(ids) + ahead) for ahead in range(2))
        logits = np.zeros(ARCHITECTURE.vocabulary, np.float32)
        logits[second if bias else likeliest] = 6.0 + last
        logits[likeliest if bias else second] = 5.0
        return logits

    def last_alone(self, ids: Sequence[int]) -> FloatArray:
        return self.logits(ids, last=0.01)


class ScriptedSearcher:
    """Beams over the script's own probabilities; every other draw takes the second likeliest token."""

    def __init__(self, session: "ScriptedSession") -> None:
        self._sequence = session.sequence

    def run(self, wish: SearchWish) -> Iterator[Searched]:
        before = len(wish.text.prompt) + len(wish.text.generated)
        self._sequence.pass_gate()
        yield Searched(wish=wish, done=before, total=before)
        recorder, settings = SearchRecorder(wish), BeamSettings(beams=wish.count, length_penalty=wish.penalty)
        length = wish.settings.max_tokens
        if before + length > self._sequence.decoder.context:
            raise ContextFullError(self._sequence.decoder.context)
        if wish.kind is SearchKind.DRAWS:
            for place in range(length):
                self._sequence.pass_gate()
                ids = [self._sequence.script_id(before + place + draw % 2) for draw in range(wish.count)]
                drawn = tuple(DrawnToken(draw, token_id, -1.0) for draw, token_id in enumerate(ids))
                yield recorder.take_draws(DrawProgress(wish.count * (place + 1), (), drawn))
            yield recorder.finish(())
            return
        state = begin(settings)
        while state.running:
            self._sequence.pass_gate()
            scores = np.full((len(state.running), ARCHITECTURE.vocabulary), -50.0)
            scores[:, self._sequence.script_id(before + state.length)] = np.log(0.7)
            scores[:, self._sequence.script_id(before + state.length + 1)] = np.log(0.3)
            step, state = advance(state, scores, settings, Endings(length))
            yield recorder.take_step(step)
        yield recorder.finish(state.best(settings))


class ScriptedInside:
    """Every step has numbers of its own that add up as those of a model do."""

    def __init__(self, session: "ScriptedSession") -> None:
        self._session = session

    def step(self, slots: IntArray, position: int, layer: int, head: int, token_id: int) -> InsideStep:
        self._session.asked.append(("inside", position, layer, head))
        self._session.sequence.pass_gate()
        a, count = ARCHITECTURE, len(slots)
        numbers = np.random.default_rng([position, layer, head])
        query, keys, values = (
            numbers.normal(size=shape).astype(np.float32)
            for shape in (a.head_size, (count, a.head_size), (count, a.head_size))
        )
        products = keys @ query
        scaled = products / np.float32(np.sqrt(a.head_size))
        masked = np.where(np.arange(count) > position, np.float32(-np.inf), scaled)
        weights = np.exp(masked - masked.max())
        weights /= weights.sum()
        weighted = weights[:, None] * values
        attended = numbers.normal(size=(a.heads, a.head_size)).astype(np.float32)
        attended[head] = weighted.sum(axis=0)
        heads, parts = numbers.normal(size=(a.heads, a.hidden)), numbers.normal(size=(a.layers, a.hidden))
        stream = np.cumsum(np.vstack([np.full(a.hidden, float(slots[position])), parts]), axis=0).astype(np.float32)
        attention = heads.sum(axis=0).astype(np.float32)
        middle = stream[layer] + attention
        return InsideStep(
            position=position, layer=layer, head=head, kv_head=head // 2, in_chunk=True,
            architecture=a, logit=6.0,
            readout=Readout(token_id, np.full(a.hidden, 0.1, np.float32)), query=query, query_rotated=query.copy(),
            key=keys[position].copy(), keys=keys, products=products, scaled=scaled, masked=masked, weights=weights,
            values=values, weighted=weighted, attended=attended, head_outputs=heads.astype(np.float32), stream=stream,
            attention=attention, middle=middle, feed_forward=stream[layer + 1] - middle,
        )  # fmt: skip

    def likeliest(self, slots: IntArray, position: int) -> int:
        return int(self._session.sequence.logits(np.array([[float(slots[position])]]))[0].argmax())

    def lens(self, stream: FloatArray) -> FloatArray:
        slot = stream[0, 0]
        return self._session.sequence.logits(np.full((len(stream), 1), slot))

    def streams(self, slots: IntArray, layer: int) -> FloatArray | None:
        if self._session.sequence.gone.intersection(slots.tolist()):
            return None
        return np.tile(np.asarray(slots, np.float32)[:, None], ARCHITECTURE.hidden)

    def turned_back(self, vectors: FloatArray, layer: int, positions: IntArray) -> FloatArray:
        return vectors[:, ::-1].copy()


class ScriptedSession:
    """Stands for a loaded model; has what the window uses of one."""

    def __init__(self, *, script: str = SCRIPT, context: int = ARCHITECTURE.context, title: str = "Scripted") -> None:
        self.card = Card(
            id="scripted",
            title=title,
            licence="Apache-2.0",
            source="tests",
            source_sha256="",
            recipe_sha256="",
            weights=WeightForm.FP32,
            architecture=ARCHITECTURE,
            end_ids=(),
            chat_template=None,
            files=(),
        )
        self.provider = ProviderReport("cpu", "The CPU was asked for.")
        self.tokenizer = byte_tokenizer()
        self.template = None
        self.bundle = SimpleNamespace(weight_bytes=50_000_000, folder=Path("models") / self.card.id)
        self.sequence = ScriptedSequence(self.tokenizer, script, context)
        self.asked: list[tuple[object, ...]] = []  # what readers were asked
        numbers = ARCHITECTURE.heads + ARCHITECTURE.kv_heads
        self.attention_bytes_per_token = 4 * ARCHITECTURE.layers * ARCHITECTURE.head_size * numbers

    def new_generation(self) -> Generation:
        return Generation(self.sequence, self.sequence, (), self.tokenizer)  # type: ignore[arg-type]

    def new_trial(self) -> ScriptedTrial:
        return ScriptedTrial(self)

    @property
    def head(self) -> ScriptedSequence:
        return self.sequence

    def new_sequence(self) -> ScriptedSequence:
        return self.sequence.sibling()

    def new_searcher(self) -> ScriptedSearcher:
        return ScriptedSearcher(self)

    def new_looker(self) -> InsideLooker:
        return InsideLooker(ScriptedInside(self), self.tokenizer)

    def new_reader(self) -> ScriptedReader:
        return ScriptedReader(self)


def opener_of(session: ScriptedSession) -> Callable[[Callable[[float], None]], ScriptedSession]:
    """Opens it at once."""

    def open_scripted(progress: Callable[[float], None]) -> ScriptedSession:
        progress(1.0)
        return session

    return open_scripted

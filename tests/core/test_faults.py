"""What goes wrong in the middle of a run: the exploration stays valid, the message is clear, the next step goes on."""

from collections.abc import Sequence

import numpy as np
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError, OutOfMemoryError, ProviderError
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.records import PrefillProgress, RunFinished, StepRecord
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.model.cache import Cache
from canopy_desktop.model.decoder import PassColumns
from tests.core.engine import left_by, plain_prompt
from tests.support.scripted import ARCHITECTURE, byte_tokenizer


class FailingDecoder:
    """Logits that follow from the ids in the cache; fails where it is told to, after it has spoilt what it may."""

    def __init__(self) -> None:
        self.architecture = ARCHITECTURE
        self.context = ARCHITECTURE.context
        self.cache = Cache(ARCHITECTURE, self.context)
        self.length = 0
        self.ids: list[int] = []
        self.fail: Exception | None = None
        self.broken_logits = False

    def feed(self, token_ids: Sequence[int], *, bias=None) -> tuple[FloatArray, PassColumns]:
        self.reserve(self.length + len(token_ids))
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error
        self.ids = [*self.ids[: self.length], *token_ids]
        self.length += len(token_ids)
        columns = left_by(ARCHITECTURE, np.zeros(len(token_ids)))
        if self.broken_logits:
            self.broken_logits = False
            return np.full(ARCHITECTURE.vocabulary, np.nan, np.float32), columns
        logits = np.random.default_rng(self.ids).normal(size=ARCHITECTURE.vocabulary) * 4
        return logits.astype(np.float32), columns

    def reserve(self, length: int) -> None:
        self.cache.reserve(length, self.length)

    def truncate(self, length: int) -> None:
        self.length = length

    def interrupt(self) -> None:
        pass


class NoHead:
    def logits(self, residuals: FloatArray) -> FloatArray:
        raise AssertionError("the fake keeps no residuals")


SETTINGS = DecodingSettings(max_tokens=12)


def start() -> tuple[Generation, FailingDecoder]:
    decoder = FailingDecoder()
    sequence = TokenSequence(decoder, ColumnStore(ARCHITECTURE))
    generation = Generation(sequence, NoHead(), (255,), byte_tokenizer())
    generation.begin(1, plain_prompt([1, 2, 3]), SETTINGS)
    return generation, decoder


def run(generation: Generation) -> list[int]:
    ids = []
    while not isinstance(event := generation.advance(), RunFinished):
        if isinstance(event, StepRecord):
            ids.append(event.chosen.token_id)
    return ids


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(MemoryError(), OutOfMemoryError), (ProviderError("cpu", "it broke"), ProviderError)],
)
@pytest.mark.parametrize("after", [0, 2, 5])  # the second event, the first token, needs no pass of its own
def test_a_pass_that_fails_changes_nothing_and_the_next_one_goes_on(fault, kind, after: int) -> None:
    undisturbed = run(start()[0])
    generation, decoder = start()
    done = []
    for _ in range(after):
        event = generation.advance()
        assert isinstance(event, StepRecord | PrefillProgress)
        if isinstance(event, StepRecord):
            done.append(event.chosen.token_id)
    decoder.fail = fault
    with pytest.raises(kind) as caught:
        generation.advance()
    assert isinstance(caught.value, CanopyError)
    assert len(generation.exploration.path(generation.exploration.cursor)) == len(done)
    assert [*done, *run(generation)] == undisturbed


def test_logits_that_are_no_numbers_stop_the_step_and_not_the_exploration() -> None:
    undisturbed = run(start()[0])
    generation, decoder = start()
    done = []
    while len(done) < 4:
        if isinstance(event := generation.advance(), StepRecord):
            done.append(event.chosen.token_id)
    decoder.broken_logits = True
    with pytest.raises(ProviderError):
        generation.advance()
    assert [*done, *run(generation)] == undisturbed


def test_a_cache_that_cannot_grow_keeps_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(ARCHITECTURE, 300)
    cache.reserve(10, 0)
    keys, capacity = cache.keys, cache.capacity
    cache.keys[0][:] = 7

    def no_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(np, "zeros", no_memory)
        with pytest.raises(MemoryError):
            cache.reserve(capacity + 1, 10)
    assert cache.keys is keys
    assert cache.capacity == capacity

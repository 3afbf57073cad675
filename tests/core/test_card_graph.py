"""The graph for a card, run on the CPU: its numbers, and that everything it keeps stays on the card until looked at."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import CardMemoryError, ProviderError
from canopy_desktop.exploration import session as session_module
from canopy_desktop.exploration.attention import attention_rows
from canopy_desktop.exploration.cache_size import cache_size
from canopy_desktop.exploration.intervention import Block, Blocks
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.batch import BatchDecoder
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import BUILT_FORMS
from canopy_desktop.model.decoder import PassRunner, check_runner
from canopy_desktop.model.device import DeviceArray
from canopy_desktop.model.provider import CudaProblem, ProviderChoice, ProviderReport
from canopy_desktop.model.rope import rope_tables, rotate
from tests.core import tiny
from tests.core.engine import all_logits, go_on, log_softmax, one_by_one, prefill, session_of
from tests.core.fake_card import CARD, FakeCardMemory, cuda_session, runner_in_half, runner_on_fake_card
from tests.reference import fixtures

ON_CARD = ProviderReport("cuda", "a test", card=CARD)
IDS = list(range(2, 42))


# the numbers


@pytest.fixture(scope="module")
def exact(built_fp32_model: Path) -> FloatArray:
    """Log probabilities after every token of the prose, without rounding."""
    session = session_of(built_fp32_model)
    prefill(session, fixtures.prompt_logits("prose").ids)
    return log_softmax(all_logits(session))


def assert_close(found: FloatArray, exact: FloatArray, *, kl: float, agreement: float) -> None:
    rounded = log_softmax(found)
    divergence = (np.exp(exact) * (exact - rounded)).sum(axis=-1).mean()
    agreed = (exact.argmax(axis=-1) == rounded.argmax(axis=-1)).mean()
    print(f"mean KL {divergence:.2e}, top-1 agreement {agreed:.1%}")
    assert divergence <= kl
    assert agreed >= agreement


def in_half(folder: Path) -> ModelSession:
    bundle = Bundle.open(folder)
    return ModelSession(bundle, ON_CARD, runner_in_half(bundle))


@pytest.mark.parametrize(("form", "kl", "agreement"), [("int8", 0.006, 0.96), ("fp32", 1e-5, 0.99)])
def test_16_bits_of_attention_stay_close_to_fp32_over_500_tokens_of_prose(
    built_model: Path, built_fp32_model: Path, exact: FloatArray, form: str, kl: float, agreement: float
) -> None:
    session = in_half(built_model if form == "int8" else built_fp32_model)
    prefill(session, fixtures.prompt_logits("prose").ids)
    assert_close(all_logits(session), exact, kl=kl, agreement=agreement)


def test_single_steps_stay_as_close(built_fp32_model: Path, exact: FloatArray) -> None:
    session, ids = in_half(built_fp32_model), fixtures.prompt_logits("prose").ids
    prefill(session, ids[:20])
    assert_close(one_by_one(session, ids[20:120]), exact[20:120], kl=1e-5, agreement=0.99)


# the memory


@pytest.fixture(scope="module", params=BUILT_FORMS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny model with a context of 48."""
    return Bundle.open(tiny.build(tmp_path_factory.mktemp("models"), request.param))


@pytest.fixture
def half(bundle: Bundle) -> ModelSession:
    """The same graph in the machine's memory: what the card has to compute bit for bit."""
    return ModelSession(bundle, ON_CARD, runner_in_half(bundle))


@pytest.fixture
def on_card(bundle: Bundle) -> ModelSession:
    return ModelSession(bundle, ON_CARD, runner_on_fake_card(bundle))


def memory_of(session: ModelSession) -> FakeCardMemory:
    found = session.sequence.decoder.cache.memory
    assert isinstance(found, FakeCardMemory)
    return found


def test_chunks_and_single_steps_give_the_bits_of_the_same_graph_on_the_host(
    half: ModelSession, on_card: ModelSession
) -> None:
    for session in (half, on_card):
        prefill(session, IDS[:30])
    assert np.array_equal(one_by_one(on_card, IDS[30:]), one_by_one(half, IDS[30:]))
    assert np.array_equal(all_logits(on_card), all_logits(half))


def test_cache_and_columns_lie_on_the_card_in_16_bits(on_card: ModelSession) -> None:
    prefill(on_card, IDS[:8])
    on_card.sequence.go_to(on_card.sequence.slots[:4].copy())
    go_on(on_card, [7, 8])
    decoder, columns = on_card.sequence.decoder, on_card.sequence.columns
    block, _ = columns.locate(int(on_card.sequence.slots[0]))
    parts = [part for kind in Kept if (part := block.part(kind))]
    away = columns.swap.runs(np.arange(4, 8))
    assert away
    kept = [*decoder.cache.buffers, *(part.vectors for part in parts), *(run.vectors for run in away)]
    assert len(kept) >= 2 * tiny.LAYERS + 3
    assert all(isinstance(array, DeviceArray) and array.dtype == np.float16 for array in kept)
    assert isinstance(block.last, DeviceArray)
    assert block.last.dtype == np.float32
    size, a = cache_size(decoder), on_card.card.architecture
    assert size.used == size.predicted == len(on_card.sequence) * a.kv_bytes_per_token // 2
    assert size.allocated == decoder.cache.bytes


def test_growing_the_cache_keeps_what_it_holds(half: ModelSession, on_card: ModelSession) -> None:
    for session in (half, on_card):
        cache = session.sequence.decoder.cache
        prefill(session, IDS[:6])
        cache.capacity = 6  # as if that were all
        before = [layer[:, :, :6] for layer in cache.buffers]
        session.sequence.decoder.reserve(7)
        assert cache.capacity > 6
        assert all(after is not old for after, old in zip(cache.buffers, before, strict=True))
    assert np.array_equal(go_on(on_card, IDS[6:20]), go_on(half, IDS[6:20]))


def test_a_left_branch_comes_back_bit_for_bit(half: ModelSession, on_card: ModelSession) -> None:
    found = []
    for session in (half, on_card):
        prefill(session, IDS[:10])
        one_by_one(session, IDS[10:14])
        left = session.sequence.slots.copy()
        session.sequence.go_to(left[:5])
        go_on(session, [60, 61, 62])
        other = session.sequence.slots.copy()
        session.sequence.go_to(left)
        back = one_by_one(session, IDS[14:17])
        session.sequence.go_to(other)
        found.append(np.concatenate([back, one_by_one(session, [63])]))
    assert np.array_equal(*found)


def test_attention_that_is_read_is_the_softmax_of_what_the_card_holds(
    half: ModelSession, on_card: ModelSession
) -> None:
    rows = []
    for session in (half, on_card):
        prefill(session, IDS[:20])
        session.sequence.go_to(session.sequence.slots[:12].copy())
        go_on(session, [50, 51])
        reader, slots = session.new_reader(), session.sequence.slots
        rows.append([reader.attention_row(slots, 1, head, 13) for head in range(tiny.HEADS)])
        away = np.arange(20)
        assert reader.attention(away, 0, 0, hide_first=False) is not None
        assert reader.all_heads(slots, 13) is not None
    assert np.array_equal(*rows)
    sequence, a = on_card.sequence, on_card.card.architecture
    cosines, sines = rope_tables(a)
    keys = sequence.decoder.cache.keys[1][0, 0, :14]
    assert isinstance(keys, DeviceArray)
    query = sequence.columns.queries(sequence.slots[13:], 1)[:, : a.head_size]
    turned = rotate(query, cosines[13:14], sines[13:14])
    assert np.allclose(rows[1][0], attention_rows(turned, keys.on_host().astype(np.float32), 13, a.attention(1))[0])


def test_a_block_forbids_on_the_card_what_it_forbids_on_the_host(half: ModelSession, on_card: ModelSession) -> None:
    blocks = (Block((8, 9), (3,), 1, 2), Block((9,), (4,)))
    found = []
    for session in (half, on_card):
        session.sequence.forget()
        plain = session.sequence.feed(IDS[:10])[1]
        session.sequence.forget()
        bias = Blocks(blocks, session.card.architecture)
        found.append(session.sequence.feed(IDS[:10], bias=bias)[1])
        assert not np.array_equal(found[-1], plain)
    assert np.array_equal(*found)


def test_what_was_given_up_is_made_again_with_the_same_bits(on_card: ModelSession) -> None:
    sequence = on_card.sequence
    prefill(on_card, IDS[:9])
    one_by_one(on_card, IDS[9:12])
    slots = sequence.slots.copy()
    before = [sequence.columns.queries(slots, 1), sequence.columns.residuals(slots, 1)]
    sequence.columns.room(64)  # the block in hand is another one now
    sequence.columns.evict(1 << 40, slots)
    assert all(sequence.columns.gone(slots, kind).any() for kind in Kept)
    for kind in Kept:
        assert list(sequence.remake(slots, kind))
    after = [sequence.columns.queries(slots, 1), sequence.columns.residuals(slots, 1)]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_batch_gives_each_row_the_bits_it_has_on_the_host(half: ModelSession, on_card: ModelSession) -> None:
    found = []
    for session in (half, on_card):
        prefill(session, IDS[:8])
        row_bytes = 48 * session.sequence.decoder.cache.bytes_per_token
        for budget in (1 << 30, 2 * row_bytes):
            batch = BatchDecoder.forked(session.sequence.decoder, 3, budget=budget)
            batch.feed([20, 21, 22])
            batch.reorder([2, 0, 0, 1])
            logits, columns = batch.feed([30, 31, 32, 33])
            assert columns.stream().shape == (tiny.LAYERS + 1, 4, tiny.HIDDEN)
            found.append([logits, columns.stream(), *batch.export(1, 8)])
    for one, other in zip(found[:2], found[2:], strict=True):
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_inside_trial_and_race_start_from_what_the_card_left(on_card: ModelSession) -> None:
    prefill(on_card, IDS[:10])
    slots = on_card.sequence.slots.copy()
    step = on_card.new_inside().step(slots, 9, 1, 2, 5)
    assert step.weights.sum() == pytest.approx(1, abs=1e-5)
    assert np.abs(step.stream[1] + step.attention + step.feed_forward - step.stream[2]).max() < 0.02
    trial = on_card.new_trial()
    trial.adopt(on_card.sequence, IDS[:10])
    assert trial.logits(IDS[:12]).shape == (len(tiny.TOKENS),)
    queries, keys = trial.head_vectors(IDS[:6], 1, 3)
    assert (queries.dtype, keys.dtype) == (np.float32, np.float32)


def test_a_step_copies_no_more_back_than_the_last_residual(on_card: ModelSession) -> None:
    prefill(on_card, IDS[:8])
    one_by_one(on_card, IDS[8:9])
    library = memory_of(on_card).library
    library.calls.clear()
    one_by_one(on_card, IDS[9:10])
    sizes = [int(call[1]) * int(call[2] if len(call) > 2 else 1) for call in library.calls if "Memcpy" in call[0]]
    a = on_card.card.architecture
    kept = (a.layers * a.heads * a.head_size + a.layers * a.hidden) * 2 + a.hidden * 4  # card to card
    ids_and_lengths, last = 8 + 4, a.hidden * 4
    assert sum(sizes) == kept + ids_and_lengths + last


# when something is wrong


def test_a_card_that_is_full_leaves_everything_as_it_was(on_card: ModelSession, half: ModelSession) -> None:
    for session in (half, on_card):
        prefill(session, IDS[:8])
    library = memory_of(on_card).library
    library.room = 0
    before = on_card.sequence.slots.copy()
    with pytest.raises(CardMemoryError):
        on_card.sequence.feed(IDS[8:20])
    with pytest.raises(CardMemoryError):
        on_card.sequence.go_to(before[:3])
    assert np.array_equal(on_card.sequence.slots, before)
    assert on_card.sequence.decoder.length == 8
    library.room = 1 << 40
    assert np.array_equal(go_on(on_card, IDS[8:20]), go_on(half, IDS[8:20]))


@pytest.mark.parametrize("function", ["cudaMemcpy", "cudaMemcpy2D", "cudaStreamSynchronize"])
def test_a_card_that_fails_in_a_step_leaves_the_exploration_valid(
    on_card: ModelSession, half: ModelSession, function: str
) -> None:
    for session in (half, on_card):
        prefill(session, IDS[:8])
    library = memory_of(on_card).library
    library.failing = (function, 719)
    with pytest.raises(ProviderError, match="something is wrong"):
        on_card.sequence.feed(IDS[8:10])
    assert len(on_card.sequence) == on_card.sequence.decoder.length == 8
    library.failing = ("", 0)
    assert np.array_equal(go_on(on_card, IDS[8:20]), go_on(half, IDS[8:20]))
    assert np.array_equal(all_logits(on_card), all_logits(half))


@pytest.mark.parametrize(("wrong", "distance"), [(np.nan, "nan"), (0.0, "0\\.")])
def test_a_card_that_does_not_compute_what_the_cpu_does_is_found_out(
    bundle: Bundle, wrong: float, distance: str
) -> None:
    runner, witness = runner_on_fake_card(bundle), PassRunner.open(bundle)
    check_runner(runner, witness, bundle)
    vocabulary = bundle.card.architecture.vocabulary
    runner.head.logits = lambda residuals: np.full((1, vocabulary), wrong, np.float32)  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match=f"{distance}.* away from the CPU's"):
        check_runner(runner, witness, bundle)


@pytest.fixture
def _card_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "choose_provider", lambda choice, **_: ON_CARD)


@pytest.mark.usefixtures("_card_is_chosen")
def test_a_model_runs_on_the_card_that_was_chosen(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = runner_on_fake_card(bundle)
    monkeypatch.setattr(PassRunner, "open", lambda bundle, card=None: runner)
    session = ModelSession.open(bundle, exact=True)
    assert session.provider == ON_CARD
    assert session.sequence.decoder.cache.memory is runner.memory
    prefill(session, IDS[:4])


@pytest.mark.usefixtures("_card_is_chosen")
@pytest.mark.parametrize(
    ("error", "detail"), [(CardMemoryError(), "its memory is full"), (ProviderError("cuda", "no kernel"), "no kernel")]
)
def test_a_card_that_does_not_work_after_all_gives_way_to_the_cpu_with_its_words(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
) -> None:
    really = PassRunner.open

    def fail(bundle: Bundle, card: object = None) -> PassRunner:
        if card is not None:
            raise error
        return really(bundle)

    monkeypatch.setattr(PassRunner, "open", fail)
    session = ModelSession.open(bundle, ProviderChoice.CUDA)
    assert session.provider.name == "cpu"
    assert session.provider.refusal is not None
    assert (session.provider.refusal.problem, session.provider.refusal.detail) == (CudaProblem.FAILED, detail)
    assert prefill(session, IDS[:4]).shape == (len(tiny.TOKENS),)


def test_the_session_of_the_cards_graph_is_of_that_graph(bundle: Bundle) -> None:
    kinds = {value.name: value.type for value in cuda_session(bundle).get_outputs()}
    assert kinds["qkv.0"] == kinds["residual.0"] == "tensor(float16)"
    assert kinds[f"residual.{2 * tiny.LAYERS}"] == "tensor(float)"

"""A batch gives every branch the bits that it would have alone, and moves only what lies after the fork."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import ContextFullError, InterruptedStepError
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.batch import BatchDecoder, Past
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import one_by_one, prefill, session_of
from tests.reference import fixtures

IDS = fixtures.prompt_logits("prose").ids
FORK = 40


@pytest.fixture(params=["int8", "fp32"])
def real(request: pytest.FixtureRequest, built_model: Path, built_fp32_model: Path) -> ModelSession:
    return session_of(built_model if request.param == "int8" else built_fp32_model)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def alone(session: ModelSession, fork: int, branch: list[int]) -> FloatArray:
    """Logits after each token of a branch that is fed by itself."""
    session.sequence.go_to(session.sequence.slots[:fork].copy())
    return one_by_one(session, branch)


def assert_branches_as_alone(session: ModelSession, batch: BatchDecoder, branches: list[list[int]]) -> None:
    expected = [alone(session, batch.fork, branch) for branch in branches]
    for step, token_ids in enumerate(zip(*branches, strict=True)):
        logits = batch.feed(token_ids)[0]
        for row, single in enumerate(expected):
            assert np.array_equal(logits[row], single[step]), (step, row)


def test_branches_of_a_shared_past_give_the_bits_of_single_steps(real: ModelSession) -> None:
    prefill(real, IDS[:FORK])
    batch = BatchDecoder.forked(real.sequence.decoder, 4)
    assert (batch.fork, batch.lengths) == (FORK, (FORK,) * 4)
    assert_branches_as_alone(real, batch, [list(IDS[first : first + 6]) for first in (40, 100, 200, 300)])


def test_rows_with_pasts_of_different_length_give_the_bits_of_single_runs(real: ModelSession) -> None:
    pasts, expected = [], []
    for first, length in ((0, 17), (30, 120), (100, 2), (7, 45)):
        prefill(real, IDS[first : first + length])
        pasts.append(Past.of(real.sequence.decoder.cache, length).copied())
        expected.append(one_by_one(real, IDS[300:304]))
    batch = BatchDecoder(real.sequence.decoder, pasts)
    for step, token_id in enumerate(IDS[300:304]):
        assert np.array_equal(batch.feed([token_id] * 4)[0], np.stack([rows[step] for rows in expected]))
    assert batch.lengths == (21, 124, 6, 49)


def test_a_batch_in_parts_gives_the_bits_of_a_whole_one(real: ModelSession) -> None:
    prefill(real, IDS[:FORK])
    row_bytes = 128 * real.card.architecture.kv_bytes_per_token  # 40 positions and room for 64 make 128
    parted = BatchDecoder.forked(real.sequence.decoder, 5, budget=2 * row_bytes)
    whole = BatchDecoder.forked(real.sequence.decoder, 5)
    assert [part.stop - part.start for part in parted.parts] == [1, 2, 2]
    assert whole.parts == [slice(0, 5)]
    for step in range(4):
        token_ids = [IDS[50 * row + step] for row in range(5)]
        assert np.array_equal(parted.feed(token_ids)[0], whole.feed(token_ids)[0])
        for batch in (parted, whole):
            batch.reorder([4, 0, 0, 3, 2])


@pytest.mark.parametrize("budget", [1, 1 << 30])
def test_reordered_rows_go_on_from_their_parents(small: ModelSession, budget: int) -> None:
    prefill(small, range(10, 16))
    batch = BatchDecoder.forked(small.sequence.decoder, 3, budget=budget)
    texts: list[list[int]] = [[], [], []]
    random = np.random.default_rng(1)
    for _ in range(12):
        token_ids = random.integers(5, 100, 3).tolist()
        logits = batch.feed(token_ids)[0]
        texts = [[*text, token_id] for text, token_id in zip(texts, token_ids, strict=True)]
        for row, text in enumerate(texts):
            assert np.array_equal(logits[row], alone(small, 6, text)[-1])
        parents = random.integers(0, 3, 3).tolist()
        batch.reorder(parents)
        texts = [texts[parent] for parent in parents]


@pytest.mark.parametrize("budget", [1, 1 << 30])
def test_rows_are_added_and_dropped_by_reordering(small: ModelSession, budget: int) -> None:
    prefill(small, range(10, 16))
    batch = BatchDecoder.forked(small.sequence.decoder, 1, budget=budget)
    batch.feed([20])
    batch.reorder([0, 0, 0, 0])
    logits = batch.feed([30, 31, 32, 33])[0]
    assert batch.rows == 4
    for row, token_id in enumerate((30, 31, 32, 33)):
        assert np.array_equal(logits[row], alone(small, 6, [20, token_id])[-1])
    batch.reorder([3, 1])
    assert batch.lengths == (8, 8)
    last = batch.feed([40, 41])[0]
    assert np.array_equal(last[0], alone(small, 6, [20, 33, 40])[-1])
    assert np.array_equal(last[1], alone(small, 6, [20, 31, 41])[-1])


def test_reordering_touches_nothing_before_the_fork(small: ModelSession) -> None:
    prefill(small, range(10, 30))
    batch = BatchDecoder.forked(small.sequence.decoder, 3)
    batch.feed([40, 41, 42])
    for buffer in batch._work.buffers:
        buffer[:, :, :20].fill(np.nan)
    batch.reorder([2, 2, 0])
    assert all(np.isnan(buffer[:, :, :20]).all() for buffer in batch._work.buffers)
    assert not any(np.isnan(buffer[:, :, 20:21]).any() for buffer in batch._work.buffers)


@pytest.mark.parametrize("budget", [1, 1 << 30])
def test_rows_that_outgrow_their_room_keep_their_bits(built_model: Path, budget: int) -> None:
    session = session_of(built_model)
    prefill(session, IDS[:60])
    batch = BatchDecoder.forked(session.sequence.decoder, 2, room=1, budget=budget)
    before = batch.bytes
    assert_branches_as_alone(session, batch, [list(IDS[60:67]), list(IDS[100:107])])
    assert batch.bytes > before


def test_a_batch_fills_the_context_and_says_so(small: ModelSession) -> None:
    prefill(small, range(10, 10 + tiny.CONTEXT - 1))
    batch = BatchDecoder.forked(small.sequence.decoder, 2)
    batch.feed([40, 41])
    with pytest.raises(ContextFullError):
        batch.feed([40, 41])
    assert batch.lengths == (tiny.CONTEXT, tiny.CONTEXT)


def test_the_decoders_own_cache_is_left_alone(small: ModelSession) -> None:
    prefill(small, range(10, 16))
    undisturbed = alone(small, 6, [20, 21, 22])
    small.sequence.go_to(small.sequence.slots[:6].copy())
    batch = BatchDecoder.forked(small.sequence.decoder, 2)
    one = small.sequence.feed([20])[1]
    batch.feed([30, 31])
    two = small.sequence.feed([21])[1]
    batch.feed([32, 33])
    assert np.array_equal(np.stack([one, two, small.sequence.feed([22])[1]]), undisturbed)
    assert np.array_equal(batch.feed([34, 35])[0][1], alone(small, 6, [31, 33, 35])[-1])


@pytest.mark.parametrize("budget", [1, 1 << 30])
def test_columns_of_a_batch_are_those_of_single_steps(small: ModelSession, budget: int) -> None:
    prefill(small, range(10, 16))
    batch = BatchDecoder.forked(small.sequence.decoder, 3, budget=budget)
    _, columns = batch.feed([20, 21, 22])
    queries, residuals = columns.queries.copy(), columns.stream()
    for row, token_id in enumerate((20, 21, 22)):
        alone(small, 6, [token_id])
        single = small.sequence.decoder.replay(6, [token_id])
        assert np.array_equal(queries[:, row], single.queries[:, 0])
        assert np.array_equal(residuals[:, row], single.stream()[:, 0])
        for mine, single in zip(batch.export(row, 6), small.sequence.decoder.cache.export(6, 7), strict=True):
            assert np.array_equal(mine, single)


def test_an_interrupt_of_the_decoder_ends_a_batch_pass_and_changes_nothing(built_model: Path) -> None:
    session = session_of(built_model)
    prefill(session, IDS[:FORK])
    row_bytes = 128 * session.card.architecture.kv_bytes_per_token
    batch = BatchDecoder.forked(session.sequence.decoder, 6, budget=2 * row_bytes)
    undisturbed = BatchDecoder.forked(session.sequence.decoder, 6)
    done = threading.Event()

    def disturb() -> None:
        random = np.random.default_rng(3)
        while not done.wait(float(random.uniform(0.001, 0.02))):
            session.sequence.decoder.interrupt()

    thread = threading.Thread(target=disturb)
    thread.start()
    ended, deadline = 0, time.monotonic() + 30
    while ended < 3 and time.monotonic() < deadline:
        try:
            batch.feed(IDS[50:56])
        except InterruptedStepError:
            ended += 1
    done.set()
    thread.join()
    assert ended == 3
    while undisturbed.lengths != batch.lengths:
        undisturbed.feed(IDS[50:56])
    assert np.array_equal(batch.feed(IDS[60:66])[0], undisturbed.feed(IDS[60:66])[0])

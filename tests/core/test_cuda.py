"""The model on a real card. Skipped where there is none; docs/cuda.md says whether they have ever run."""

import json
from pathlib import Path

import numpy as np
import psutil
import pytest

from canopy_desktop.cli import main
from canopy_desktop.errors import CardMemoryError
from canopy_desktop.exploration.attention import attention_rows
from canopy_desktop.exploration.intervention import Block, Blocks
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.batch import BatchDecoder
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.device import CudaMemory, DeviceArray
from canopy_desktop.model.nvidia import GraphicsCard, card_memory
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.rope import rope_tables, rotate
from tests.core.engine import all_logits, go_on, log_softmax, one_by_one, prefill, session_of
from tests.reference import fixtures

pytestmark = pytest.mark.cuda

PROSE = fixtures.prompt_logits("prose").ids


def open_on_card(folder: Path, context: int | None = None) -> ModelSession:
    session = ModelSession.open(Bundle.open(folder), ProviderChoice.CUDA, context=context)
    assert session.provider.name == "cuda", session.provider.reason
    return session


@pytest.fixture(scope="module")
def session(built_model: Path) -> ModelSession:
    return open_on_card(built_model)


@pytest.fixture(scope="module")
def card(session: ModelSession) -> GraphicsCard:
    assert session.provider.card is not None
    return session.provider.card


@pytest.mark.parametrize("form", ["int8", "fp32"])
def test_the_card_stays_close_to_fp32_over_500_tokens_of_prose(
    built_model: Path, built_fp32_model: Path, form: str
) -> None:
    exact_session = session_of(built_fp32_model)
    prefill(exact_session, PROSE)
    exact = log_softmax(all_logits(exact_session))
    on_card = open_on_card(built_model if form == "int8" else built_fp32_model)
    prefill(on_card, PROSE[:300])
    go_on(on_card, PROSE[300:400])
    one_by_one(on_card, PROSE[400:])
    found = log_softmax(all_logits(on_card))
    divergence = (np.exp(exact) * (exact - found)).sum(axis=-1).mean()
    agreement = (exact.argmax(axis=-1) == found.argmax(axis=-1)).mean()
    print(f"mean KL {divergence:.2e}, top-1 agreement {agreement:.1%}")
    assert divergence <= (0.006 if form == "int8" else 1e-5)
    assert agreement >= (0.96 if form == "int8" else 0.99)


def test_a_repeat_gives_the_same_bits(session: ModelSession) -> None:
    found = []
    for _ in range(2):
        prefill(session, PROSE[:100])
        found.append(one_by_one(session, PROSE[100:110]))
    assert np.array_equal(*found)


def test_a_left_branch_comes_back_with_the_same_bits(session: ModelSession) -> None:
    prefill(session, PROSE[:60])
    one_by_one(session, PROSE[60:64])
    left = session.sequence.slots.copy()
    expected = one_by_one(session, PROSE[64:66])
    session.sequence.go_to(left[:30])
    go_on(session, PROSE[200:220])
    session.sequence.go_to(left)
    assert np.array_equal(one_by_one(session, PROSE[64:66]), expected)


def test_branches_in_a_batch_choose_what_they_choose_alone(session: ModelSession) -> None:
    prefill(session, PROSE[:40])
    batch = BatchDecoder.forked(session.sequence.decoder, 3)
    logits, _ = batch.feed(PROSE[100:103])
    for row, token_id in enumerate(PROSE[100:103]):
        session.sequence.go_to(session.sequence.slots[:40].copy())
        alone = one_by_one(session, [token_id])[0]
        assert np.abs(log_softmax(logits[row : row + 1]) - log_softmax(alone[None])).max() <= 0.05


def test_what_a_token_leaves_takes_the_cards_memory_and_not_the_machines(
    session: ModelSession, card: GraphicsCard
) -> None:
    prefill(session, PROSE[:300])  # what the first passes need for good
    session.sequence.forget()
    before, host = card_memory(card.uuid), psutil.Process().memory_info().rss
    assert before is not None
    go_on(session, [*PROSE[:500]] * 4)
    after = card_memory(card.uuid)
    assert after is not None
    kept = session.sequence.columns.bytes
    assert kept > 100e6
    assert after.used - before.used >= 0.9 * kept
    assert psutil.Process().memory_info().rss - host <= 0.3 * kept


def test_attention_read_back_is_the_softmax_of_what_the_card_holds(session: ModelSession) -> None:
    prefill(session, PROSE[:80])
    slots, a = session.sequence.slots, session.card.architecture
    cosines, sines = rope_tables(a)
    row = session.new_reader().attention_row(slots, 3, 5, 79)
    keys = session.sequence.decoder.cache.keys[3][0, 5 // (a.heads // a.kv_heads), :80]
    assert isinstance(keys, DeviceArray)
    query = session.sequence.columns.queries(slots[79:], 3)[:, 5 * a.head_size : 6 * a.head_size]
    turned = rotate(query, cosines[79:80], sines[79:80])
    expected = attention_rows(turned, keys.on_host().astype(np.float32), 79, a.attention(3))[0]
    assert row is not None
    assert np.allclose(row, expected, atol=1e-6)


def test_a_blocked_key_has_no_effect_on_the_card_either(session: ModelSession, built_model: Path) -> None:
    france = fixtures.prompt_logits("france").ids
    paris = 7042
    for run in (session, session_of(built_model)):
        bias = Blocks((Block((4,), (3,)),), run.card.architecture)
        run.sequence.forget()
        plain = np.exp(log_softmax(run.sequence.feed(france)[1][None]))[0, paris]
        run.sequence.forget()
        blocked = np.exp(log_softmax(run.sequence.feed(france, bias=bias)[1][None]))[0, paris]
        assert plain > 0.7
        assert blocked < 0.1


def test_what_is_written_to_the_card_is_read_back(card: GraphicsCard) -> None:
    memory, values = CudaMemory(card), np.arange(4 * 6 * 10, dtype=np.float16).reshape(4, 6, 10)
    array = memory.zeros((4, 6, 10), np.float16)
    array[1:, 2:5, :7] = values[1:, 2:5, :7]
    other = memory.zeros((4, 3, 7), np.float16)
    other[...] = array[:, 2:5, :7]
    expected = values[:, 2:5, :7].copy()
    expected[0] = 0
    assert np.array_equal(other.on_host(), expected)


def test_memory_that_the_card_does_not_have_is_told_as_such(card: GraphicsCard) -> None:
    with pytest.raises(CardMemoryError, match="smaller context, or the CPU"):
        CudaMemory(card).empty((1 << 50,), np.uint8)


def test_bench_runs_on_the_card_and_finds_what_was_kept(built_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "--json", "--model", str(built_model), "--provider", "cuda", "--contexts", "16,512,2048"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    print(found)
    assert found["provider"] == "cuda"
    assert [entry["context"] for entry in found["contexts"]] == [16, 512, 2048]

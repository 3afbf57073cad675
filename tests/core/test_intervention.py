"""Cause: what the model says when a token cannot be looked at, or is not there."""

import threading
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.errors import InterruptedStepError, UsageError
from canopy_desktop.exploration.intervention import Block, Blocks, blocked_attention, blocked_head, blocked_step
from canopy_desktop.exploration.leave_out import leave_out
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.card import LayerAttention
from tests.core.engine import log_softmax, one_by_one, prefill, session_of
from tests.reference import fixtures

FRANCE, IS, PARIS = 3, 4, 7042


@pytest.fixture(params=["int8", "fp32"])
def session(request: pytest.FixtureRequest, built_model: Path, built_fp32_model: Path) -> ModelSession:
    return session_of(built_model if request.param == "int8" else built_fp32_model)


@pytest.fixture
def france() -> tuple[int, ...]:
    return fixtures.prompt_logits("france").ids


@pytest.fixture
def prose() -> tuple[int, ...]:
    return fixtures.prompt_logits("prose").ids


class Interrupting:
    """No bias; each pass is interrupted from another thread soon after it has begun."""

    def __init__(self, session: ModelSession) -> None:
        self._session = session

    def of_layer(self, layer: int, first: int, new: int) -> np.ndarray | None:
        if layer == 0:
            threading.Timer(0.02, self._session.sequence.decoder.interrupt).start()
        return None


def probability(logits: np.ndarray, token_id: int) -> float:
    return float(np.exp(log_softmax(logits)[token_id]))


# blocking


def test_without_looking_at_france_the_model_does_not_say_paris(session, france) -> None:
    found = blocked_step(session.new_trial(), france, [Block((IS,), (FRANCE,))])
    assert np.exp(found.shift(PARIS).before) > 0.7
    assert np.exp(found.shift(PARIS).after) < 0.05
    assert found.shifts(1)[0].token_id == PARIS
    assert found.divergence_bits > 100 * found.floor_bits


def test_one_head_of_every_layer_takes_a_part_of_paris(session, france) -> None:
    found = blocked_step(session.new_trial(), france, [Block((IS,), (FRANCE,), head=2)])
    assert np.exp(found.shift(PARIS).after) == pytest.approx(0.65, abs=0.03)


def test_blocks_of_every_layer_together_are_the_block_of_all(session, france) -> None:
    layers = [Block((IS,), (FRANCE,), layer=layer) for layer in range(30)]
    heads = [Block((IS,), (FRANCE,), head=head) for head in range(9)]
    trial = session.new_trial()
    whole = blocked_step(trial, france, [Block((IS,), (FRANCE,))])
    for parts in (layers, heads):
        assert np.array_equal(blocked_step(trial, france, parts).after.logits, whole.after.logits)


def test_before_is_the_prompt_in_chunks_bit_for_bit(session, france) -> None:
    found = blocked_step(session.new_trial(), france, [Block((IS,), (FRANCE,))])
    assert np.array_equal(found.before.logits, prefill(session, france))


def test_a_block_that_changes_nothing_that_counts_is_within_no_bit_of_before(session, prose) -> None:
    later = [Block((3,), (9,)), Block((3,), (2,), layer=29)]  # one pair is never seen, the other is not asked after
    with pytest.raises(UsageError):
        Blocks(later[:1], session.card.architecture)
    found = blocked_step(session.new_trial(), prose[:12], later[1:])
    assert np.array_equal(found.before.logits, found.after.logits)
    assert (found.divergence_bits, found.largest_logit_difference) == (0.0, 0.0)


def test_the_floor_is_what_a_single_last_step_differs_by(session, prose) -> None:
    found = blocked_step(session.new_trial(), prose[:20], [Block((19,), (3,))])
    whole = prefill(session, prose[:20])
    prefill(session, prose[:19])
    single = one_by_one(session, prose[19:20])[0]
    assert found.floor_logit == float(np.abs(whole - single).max())
    exact, other = log_softmax(whole), log_softmax(single)
    assert found.floor_bits == pytest.approx((np.exp(exact) * (exact - other)).sum() / np.log(2), abs=1e-9)


def test_a_kept_trial_gives_the_bits_of_a_new_one(session, prose) -> None:
    kept = session.new_trial()
    for length, query, key in ((30, 29, 4), (30, 12, 3), (24, 23, 4), (30, 29, 4)):
        blocks = [Block((query,), (key,))]
        again, new = (blocked_step(trial, prose[:length], blocks) for trial in (kept, session.new_trial()))
        assert np.array_equal(again.before.logits, new.before.logits)
        assert np.array_equal(again.after.logits, new.after.logits)
        assert again.floor_bits == new.floor_bits


def test_what_a_text_has_in_its_cache_is_taken_over_as_far_as_it_came_in_chunks(session, prose) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:24])
    generation, slots = session.sequence.generation, session.sequence.slots.copy()
    trial = session.new_trial()
    trial.adopt(session.sequence, prose[:24])
    assert trial.decoder.length == 20
    assert np.array_equal(trial.logits(prose[:24]), session.new_trial().logits(prose[:24]))
    assert session.sequence.generation == generation
    assert np.array_equal(session.sequence.slots, slots)


def test_a_trial_whose_pass_failed_goes_on_with_the_same_bits(session, prose) -> None:
    class Failing:
        def of_layer(self, layer: int, first: int, new: int) -> np.ndarray | None:
            raise RuntimeError("broken")

    trial = session.new_trial()
    before = trial.logits(prose[:20])
    with pytest.raises(RuntimeError):
        trial.logits(prose[:16], bias=Failing(), first=3)
    assert np.array_equal(trial.logits(prose[:20]), before)
    assert np.array_equal(
        trial.logits([*prose[:5], *prose[6:20]]), session.new_trial().logits([*prose[:5], *prose[6:20]])
    )


def test_a_running_trial_is_interrupted_with_the_decoder_it_came_from(built_model: Path, prose) -> None:
    session = session_of(built_model)
    trial, bias = session.new_trial(), Interrupting(session)
    before = trial.logits(prose[:20])
    with pytest.raises(InterruptedStepError):
        trial.logits(prose[:400], bias=bias)
    assert np.array_equal(trial.logits(prose[:20]), before)


def test_attention_with_a_block_is_the_masked_softmax_of_the_witness(built_fp32_model: Path) -> None:
    """transformers' own weights, blocked in their logarithms and normalised again: softmax forgets a row's constant."""
    session, witness = session_of(built_fp32_model), fixtures.attentions()
    trial = session.new_trial()
    length = len(witness.ids)
    for head in (0, 4, 8):  # in the first layer queries and keys do not depend on the block
        bias = Blocks([Block((5, length - 1), (0, 3), head=head)], session.card.architecture)
        found = blocked_head(trial, witness.ids, bias, 0, head)
        expected = witness.weights[0, head].astype(np.float64).copy()
        for query in (5, length - 1):
            expected[query, [0, 3]] = 0
            expected[query] /= expected[query].sum()
            assert (found[query, [0, 3]] == 0).all()
        assert np.abs(found - expected).max() <= 1e-4


def test_attention_of_a_blocked_run_is_exactly_0_in_blocked_cells_of_every_layer(session, france) -> None:
    trial = session.new_trial()
    bias = Blocks([Block((IS,), (0, FRANCE))], session.card.architecture)
    for layer in (0, 13, 29):
        found = blocked_head(trial, france, bias, layer, 5)
        assert (found[IS, [0, FRANCE]] == 0).all()
        assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        assert (found[np.triu_indices(5, 1)] == 0).all()


def test_blocked_attention_is_the_definition() -> None:
    random = np.random.default_rng(3)
    queries, keys = random.normal(size=(2, 30, 16)).astype(np.float32)
    bias = np.where(random.random((30, 30)) < 0.3, -np.inf, 0).astype(np.float32)
    np.fill_diagonal(bias, 0)
    scores = queries.astype(np.float64) @ keys.T.astype(np.float64) / 4 + bias
    scores[np.triu_indices(30, 1)] = -np.inf
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = blocked_attention(queries[10:], keys, bias[10:], 10, LayerAttention(10_000.0, (), 0.25, None))
    assert np.abs(found - expected[10:]).max() <= 1e-6
    assert (found[expected[10:] == 0] == 0).all()


def test_a_bias_is_the_same_however_the_text_is_cut(session) -> None:
    bias = Blocks([Block((3, 9), (0, 2)), Block((7,), (1, 6), head=4)], session.card.architecture)
    whole = bias.of_layer(0, 0, 12)
    assert whole is not None
    assert whole.shape == (1, 9, 12, 12)
    for first in range(11):
        part = bias.of_layer(0, first, 12 - first)
        rows = whole[:, :, first:]
        assert (rows == 0).all() if part is None else np.array_equal(np.broadcast_to(part, rows.shape), rows)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([], "Nothing is blocked"),
        ([Block((), (1,))], "at least one query"),
        ([Block((2,), (0, 1, 2))], "nothing at all"),
        ([Block((0,), (0,))], "nothing at all"),
        ([Block((2,), (0, 1)), Block((2,), (2,), layer=3)], "nothing at all"),
        ([Block((2,), (0, 1), layer=3), Block((2,), (2,), head=1)], "nothing at all"),
        ([Block((2,), (3,))], "never sees"),
        ([Block((-1,), (0,))], "from 0"),
        ([Block((2,), (0,), layer=30)], "0 to 29"),
        ([Block((2,), (0,), head=9)], "0 to 8"),
        ([Block((9,), (0,))], "0 to 4"),
        ([Block((4,), (0, 7))], "0 to 4"),
    ],
)
def test_blocks_that_cannot_be_are_refused_in_one_sentence(built_model: Path, france, blocks, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        blocked_step(session_of(built_model).new_trial(), france, blocks)
    assert str(refused.value).count(". ") == 0


def test_blocks_of_different_layers_or_heads_may_hide_different_keys(built_model: Path) -> None:
    a = session_of(built_model).card.architecture
    Blocks([Block((2,), (0, 1), layer=3), Block((2,), (2,), layer=4)], a)
    Blocks([Block((2,), (0, 1), head=3), Block((2,), (2,), layer=4, head=2)], a)


# leaving out


def test_each_effect_is_that_of_the_text_without_the_token(session, prose) -> None:
    ids = prose[:12]
    found = leave_out(session.new_trial(), ids)
    whole = log_softmax(prefill(session, ids))
    assert found.chosen == int(whole.argmax())
    assert [effect.position for effect in found.effects] == list(range(12))
    for effect in found.effects:
        without = log_softmax(prefill(session, ids[: effect.position] + ids[effect.position + 1 :]))
        assert effect.logprob == pytest.approx(without[found.chosen], abs=1e-9)
        assert effect.delta_nats == pytest.approx(without[found.chosen] - whole[found.chosen], abs=1e-9)
        assert effect.delta_bits == pytest.approx(effect.delta_nats / np.log(2), abs=1e-9)
        assert effect.top_id == int(without.argmax())
        assert effect.rank == 1 + np.count_nonzero(without > without[found.chosen])


def test_a_replaced_token_is_the_text_with_the_other_one(session, france) -> None:
    italy = session.tokenizer.encode(" Italy").ids[0]
    found = leave_out(session.new_trial(), france, positions=[FRANCE], replacement=italy)
    (effect,) = found.effects
    logits = prefill(session, (*france[:FRANCE], italy, *france[FRANCE + 1 :]))
    assert found.chosen == PARIS
    assert np.exp(effect.logprob) == pytest.approx(probability(logits, PARIS), abs=1e-9)
    assert session.tokenizer.token(effect.top_id).text == " Rome"
    assert effect.delta_nats < -3


def test_paris_hangs_on_capital_and_on_france(session, france) -> None:
    found = leave_out(session.new_trial(), france, chosen=PARIS, positions=[1, 2, 3])
    capital, of, country = (effect.delta_bits for effect in found.effects)
    assert max(capital, country) < -7
    assert of > -5


def test_of_two_tokens_one_can_be_left_out_and_of_one_none(session, france) -> None:
    assert len(leave_out(session.new_trial(), france[:2]).effects) == 2
    with pytest.raises(UsageError, match="one token"):
        leave_out(session.new_trial(), france[:1])
    assert len(leave_out(session.new_trial(), france[:1], replacement=IS).effects) == 1
    with pytest.raises(UsageError, match="0 to 4"):
        leave_out(session.new_trial(), france, positions=[5])

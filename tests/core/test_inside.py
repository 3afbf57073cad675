"""Inside a step: one block replayed alone, and everything that is shown of it consistent with what was kept."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.exploration.inside import InsideReader, InsideStep, without_renormalising
from canopy_desktop.exploration.intervention import Block, Blocks, blocked_head
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.block_replay import BlockReplay
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.weight_map import WeightMap
from tests.core import tiny
from tests.core.engine import one_by_one, prefill, session_of
from tests.reference import fixtures

PARTS = 1e-5  # of a vector's largest value
PARIS = 7042
LAYERS = (0, 1, 13, 29)  # the first token's residual reaches 24,505 in the middle ones


@pytest.fixture(params=["int8", "fp32"])
def session(request: pytest.FixtureRequest, built_model: Path, built_fp32_model: Path) -> ModelSession:
    return session_of(built_model if request.param == "int8" else built_fp32_model)


@pytest.fixture
def prose() -> tuple[int, ...]:
    return fixtures.prompt_logits("prose").ids


def step_of(session: ModelSession, reader: InsideReader, position: int, layer: int, head: int) -> InsideStep:
    return reader.step(session.sequence.slots, position, layer, head, PARIS)


def as_kept(session: ModelSession, vector: np.ndarray) -> np.ndarray:
    """In the precision in which queries and all residuals but the last are kept."""
    return vector if session.card.weights.value == "fp32" else vector.astype(np.float16).astype(np.float32)


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = PARTS) -> bool:
    return bool(np.abs(found - expected).max() <= tolerance * max(1e-3, float(np.abs(expected).max())))


def test_a_block_replayed_alone_gives_the_bits_of_the_pass(session, prose) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:24])
    sequence, cache = session.sequence, session.sequence.decoder.cache
    weights = WeightMap(session.bundle)
    for layer in LAYERS:
        replay = BlockReplay(weights, session.card.architecture, layer)
        for first, count in ((0, 2), (0, 20), (7, 3), (18, 2), (20, 1), (23, 1)):
            made = sequence.decoder.replay(first, prose[first : first + count])
            past = cache.keys[layer][0, :, :first], cache.values[layer][0, :, :first]
            found = replay.run(made.stream()[layer], *past, None)
            assert np.array_equal(found.after, made.stream()[layer + 1])
            assert np.array_equal(found.query, made.queries[layer])
            assert np.array_equal(found.keys, cache.keys[layer][0, :, : first + count])
            assert np.array_equal(found.values, cache.values[layer][0, :, : first + count])


@pytest.mark.parametrize("position", [0, 1, 12, 19, 20, 23])
def test_the_parts_sum_to_the_residual(session, prose, position: int) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:24])
    reader = session.new_inside()
    for layer in LAYERS:
        found = step_of(session, reader, position, layer, 4)
        assert found.in_chunk == (position < 20)
        assert close(found.before + found.attention, found.middle)
        assert close(found.middle + found.feed_forward, found.after)
        assert np.array_equal(found.middle + found.feed_forward, found.after)
        assert close(found.head_outputs.sum(axis=0), found.attention)
        changes = np.diff(found.stream.astype(np.float64), axis=0).sum(axis=0)
        assert close(found.stream[0] + changes, found.stream[-1])


def test_the_first_tokens_residual_is_the_large_one(session, prose) -> None:
    prefill(session, prose[:20])
    found = step_of(session, session.new_inside(), 0, 13, 0)
    assert np.abs(found.before).max() > 20_000


def test_weighted_values_sum_to_what_the_block_itself_attended_to(session, prose) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:24])
    reader = session.new_inside()
    for layer in LAYERS:
        for position, head in ((0, 0), (9, 4), (19, 8), (22, 2)):
            found = step_of(session, reader, position, layer, head)
            assert close(found.weighted.sum(axis=0), found.attended[head])
            assert found.weights.sum() == pytest.approx(1, abs=1e-6)
            assert (found.weights[position + 1 :] == 0).all()
            assert np.isneginf(found.masked[position + 1 :]).all()
            assert np.array_equal(found.masked[: position + 1], found.scaled[: position + 1])
            assert close(found.scaled * np.sqrt(64), found.products, 1e-6)


def test_the_row_is_the_one_that_the_attention_view_draws(session, prose) -> None:
    prefill(session, prose[:24])
    slots = session.sequence.slots
    row = session.new_reader().attention_row(slots, 13, 5, 17)
    assert row is not None
    tolerance = 1e-6 if session.card.weights.value == "fp32" else 2e-3  # the view's query was kept in 16 bits
    assert np.abs(step_of(session, session.new_inside(), 17, 13, 5).weights[:18] - row).max() <= tolerance


def test_query_and_key_are_turned_by_their_position_and_back(session, prose) -> None:
    prefill(session, prose[:24])
    reader = session.new_inside()
    first, later = (step_of(session, reader, position, 5, 3) for position in (0, 23))
    assert np.array_equal(first.query, first.query_rotated)
    assert np.array_equal(first.key, first.key_rotated)
    for plain, turned in ((later.query, later.query_rotated), (later.key, later.key_rotated)):
        pairs, angles = plain[:32] + 1j * plain[32:], 23 * 100_000.0 ** (-np.arange(32) / 32)
        expected = pairs * np.exp(1j * angles)
        assert close(turned, np.concatenate([expected.real, expected.imag]))
    slots = session.sequence.slots
    assert np.array_equal(as_kept(session, later.query), session.sequence.columns.queries(slots[23:], 5)[0, 192:256])


@pytest.mark.parametrize("position", [0, 1, 12, 19, 20, 23])
def test_a_token_that_passes_again_leaves_what_it_left_the_first_time(session, prose, position: int) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:25])
    sequence, cache = session.sequence, session.sequence.decoder.cache
    keys = [layer[0, :, :25].copy() for layer in cache.keys]
    slots = sequence.slots.copy()
    first, made = sequence.replay(slots, position)
    row = made.stream()[:, position - first]
    for place in range(31):
        kept = sequence.columns.residuals(slots[position : position + 1], place)[0]
        assert np.array_equal(row[place] if place == 30 else as_kept(session, row[place]), kept)
    assert all(np.array_equal(layer[0, :, :25], before) for layer, before in zip(cache.keys, keys, strict=True))
    assert np.array_equal(sequence.slots, slots)


def test_a_token_of_a_left_branch_passes_again_with_the_bits_that_it_had(session, prose) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:25])
    left = session.sequence.slots.copy()
    before = session.sequence.replay(left, 23)[1].stream()
    session.sequence.go_to(left[:21])
    one_by_one(session, prose[30:34])
    assert np.array_equal(session.sequence.replay(left, 23)[1].stream(), before)


def test_fp32_the_stream_in_the_middle_is_that_of_transformers(built_fp32_model: Path) -> None:
    session, witness = session_of(built_fp32_model), fixtures.residuals()
    prefill(session, witness.ids)
    reader = session.new_inside()
    for layer in (0, 1, 2, 10, 20, 28, 29):
        for position in (0, 4):
            found = step_of(session, reader, position, layer, 0)
            for vector, row in ((found.before, 0), (found.middle, 1), (found.after, 2)):
                expected = witness.stream[2 * layer + row, position]
                whole = float(np.abs(witness.stream[2 * layer + row]).max())
                assert np.abs(vector - expected).max() <= 1e-5 * max(1.0, whole)


def test_head_outputs_are_the_weighted_values_through_the_output_matrix(session, prose) -> None:
    """By numpy from the bundle's weights; int8 activations make the kernel's own sums differ by their rounding."""
    prefill(session, prose[:24])
    weights, reader = WeightMap(session.bundle), session.new_inside()
    tolerance = 1e-5 if session.card.weights.value == "fp32" else 0.02
    for layer in (0, 13):
        matrix = weights.matrix(f"blk.{layer}.attn_output.weight")
        found = step_of(session, reader, 17, layer, 0)
        for head in range(9):
            expected = matrix[:, head * 64 : (head + 1) * 64] @ found.attended[head]
            assert close(found.head_outputs[head], expected, tolerance)


def test_effects_of_all_parts_sum_to_the_chosen_tokens_logit(session) -> None:
    prefill(session, fixtures.prompt_logits("france").ids)
    found = step_of(session, session.new_inside(), 4, 20, 0)
    readout = found.readout
    total = readout.effect(found.stream[0]) + sum(part.effect for part in found.blocks())
    assert total == pytest.approx(readout.effect(found.stream[-1]), abs=1e-3)
    # the kernel rounds the normed residual to 8 bits, the effects do not
    assert total == pytest.approx(found.logit, abs=1e-3 if session.card.weights.value == "fp32" else 0.3)
    attention, feed_forward = (
        found.part(found.attention, found.before),
        found.part(found.feed_forward, found.middle),
    )
    assert attention.effect + feed_forward.effect == pytest.approx(found.blocks()[20].effect, abs=1e-3)
    assert attention.norm == pytest.approx(np.linalg.norm(found.attention), rel=1e-5)
    assert -1 <= attention.cosine <= 1


def test_fp32_the_output_row_and_norm_are_those_that_the_head_multiplies_with(built_fp32_model: Path) -> None:
    session, witness = session_of(built_fp32_model), fixtures.residuals()
    weights = WeightMap(session.bundle)
    normed = witness.normed[-1].astype(np.float64)
    logits = session.head.logits(witness.stream[-1, -1:])[0]
    for token_id in (0, PARIS, 49151):
        assert normed @ weights.output_row(token_id) == pytest.approx(logits[token_id], abs=2e-3)


def test_without_renormalising_only_the_blocked_cells_change(session) -> None:
    row = np.array([0.5, 0.3, 0.2], np.float32)
    assert without_renormalising(row, [1]).tolist() == pytest.approx([0.5, 0.0, 0.2])
    assert row.tolist() == pytest.approx([0.5, 0.3, 0.2])
    prefill(session, fixtures.prompt_logits("france").ids)
    reader = session.new_inside()
    found = step_of(session, reader, 4, 13, 2)
    assert close(reader.head_output(found, found.attended[2]), found.head_outputs[2])
    changed = without_renormalising(found.weights, [3]) @ found.values
    removed = reader.head_output(found, found.weighted[3])
    expected = found.head_outputs[2] - removed
    assert close(reader.head_output(found, changed), expected, 1e-4 if session.card.weights.value == "fp32" else 0.03)


def test_a_blocked_text_is_looked_into_with_its_bias(session) -> None:
    ids, a = fixtures.prompt_logits("france").ids, session.card.architecture
    bias = Blocks([Block((4,), (3,))], a)
    session.sequence.forget()
    session.sequence.feed(ids, bias=bias)
    drawn = blocked_head(session.new_trial(), ids, bias, 13, 2)
    found = session.new_inside().step(session.sequence.slots, 4, 13, 2, PARIS, bias)
    assert found is not None
    assert found.weights[3] == 0
    assert np.isneginf(found.masked[3])
    assert np.abs(found.weights - drawn[4]).max() <= 1e-6
    assert close(found.weighted.sum(axis=0), found.attended[2])
    assert np.array_equal(found.middle + found.feed_forward, found.after)


def test_a_left_branch_can_still_be_looked_into(session, prose) -> None:
    prefill(session, prose[:20])
    one_by_one(session, prose[20:24])
    branch = session.sequence.slots.copy()
    reader = session.new_inside()
    before = reader.step(branch, 22, 13, 5, PARIS)
    session.sequence.go_to(branch[:8])
    one_by_one(session, prose[30:33])
    after = reader.step(branch, 22, 13, 5, PARIS)
    assert np.array_equal(before.weighted, after.weighted)
    assert np.array_equal(before.middle, after.middle)
    session.sequence.forget()
    with pytest.raises(LookupError):
        reader.step(branch, 22, 13, 5, PARIS)


def test_a_text_of_one_token_is_looked_into_as_it_was_made(session, prose) -> None:
    prefill(session, prose[:1])
    found = step_of(session, session.new_inside(), 0, 2, 1)
    assert not found.in_chunk
    assert found.weights.tolist() == [1.0]
    assert np.array_equal(found.middle + found.feed_forward, found.after)


def test_a_model_of_another_shape_is_replayed_too(tmp_path: Path) -> None:
    session = ModelSession.open(Bundle.open(tiny.build(tmp_path)), ProviderChoice.CPU)
    prefill(session, tiny.PROMPT_IDS)
    for layer in range(tiny.LAYERS):
        found = session.new_inside().step(session.sequence.slots, 6, layer, 3, 40)
        assert found is not None
        assert np.array_equal(found.middle + found.feed_forward, found.after)
        assert close(found.head_outputs.sum(axis=0), found.attention, 0.02)  # two heads share a block of 32

"""Gemma 3 270M, where a person built it: `models build gemma3-270m --accept-licence` (models/gemma3-270m.toml)."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.exploration.budget import UNLIMITED
from canopy_desktop.exploration.memory_needed import memory_needed
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Tokenizer
from tests.core.engine import log_softmax, one_by_one, prefill
from tests.core.test_memory_needed import MEASURED, TOLERANCE
from tests.reference import fixtures

pytestmark = pytest.mark.slow
LOGIT, MARGIN, MEAN_KL = 1e-3, 0.5, 0.01  # the last in nats
FOLDER = Path(__file__).resolve().parents[2] / "models" / "built" / "gemma3-270m"


@pytest.fixture(scope="module")
def session() -> ModelSession:
    return opened(FOLDER)


def opened(folder: Path) -> ModelSession:
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not built: its terms are for a person to accept")
    return ModelSession.open(Bundle.open(folder), ProviderChoice.CPU)


def test_tokens_are_those_of_llama_cpp(session: ModelSession) -> None:
    tokenizer: Tokenizer = session.tokenizer
    found = [(text, tokenizer.encode(text, special=False).ids, ids) for text, ids in fixtures.gemma_texts()]
    assert [row for row in found if row[1] != row[2]] == []
    for text, ids, _ in found:
        assert "▁" in text or tokenizer.decode(ids) == text


def test_greedy_tokens_are_those_of_llama_cpp_wherever_they_are_clear(session: ModelSession) -> None:
    clear, differing = 0, []
    for prompt, answer in fixtures.gemma_prompts():
        rows = [prefill(session, prompt), *one_by_one(session, answer.ids[:-1])]
        for row, expected, margin in zip(rows, answer.ids, answer.margins, strict=True):
            clear += margin > MARGIN
            if margin > MARGIN and int(row.argmax()) != expected:
                differing.append((prompt, expected, float(margin)))
    assert clear >= 400
    assert differing == []


def test_8_bits_are_near_to_transformers_in_fp32_beyond_the_window(session: ModelSession) -> None:
    reference = fixtures.gemma_logits()
    assert len(reference.ids) > 2 * session.card.architecture.window
    prefill(session, reference.ids)
    residuals = session.sequence.columns.residuals(session.sequence.slots, -1)
    divergences = []
    for row, position in enumerate(reference.positions):
        found = log_softmax(session.head.logits(residuals[position : position + 1])[0])
        divergences.append(divergence(reference, row, found))
    assert np.mean(divergences) <= MEAN_KL
    assert np.mean(divergences) > 1e-5  # they are rounded


def test_fp32_logits_are_those_of_transformers_beyond_the_window() -> None:
    session, reference = opened(FOLDER.with_name(f"{FOLDER.name}-fp32")), fixtures.gemma_logits()
    prefill(session, reference.ids)
    residuals = session.sequence.columns.residuals(session.sequence.slots, -1)
    for row, position in enumerate(reference.positions):
        logits = session.head.logits(residuals[position : position + 1])[0]
        assert np.abs(logits[reference.top_ids[row]] - reference.top_logits[row]).max() <= LOGIT


def divergence(reference: fixtures.GemmaLogits, row: int, found: np.ndarray) -> float:
    """KL over the 256 likeliest tokens and all others as one, which is at most that over all of them, in nats."""
    before = reference.top_logits[row].astype(np.float64) - reference.log_sum_exp[row]
    after = found[reference.top_ids[row]]
    shares = [(np.exp(before), before - after)]
    rest, other = (max(1.0 - float(np.exp(part).sum()), 1e-12) for part in (before, after))
    shares.append((np.array([rest]), np.array([np.log(rest / other)])))
    return float(sum((weights * ratios).sum() for weights, ratios in shares))


@pytest.mark.parametrize("position", [0, 1, 63, 64, 130, 200, 598, 599, 600, 604])
def test_a_token_that_passes_again_leaves_what_it_left_the_first_time(session: ModelSession, position: int) -> None:
    ids = fixtures.gemma_logits().ids
    prefill(session, ids[:600])  # three chunks, which do not agree with others (exploration/passes.py)
    one_by_one(session, ids[600:605])
    sequence, a = session.sequence, session.card.architecture
    slots, cache = sequence.slots, sequence.decoder.cache
    before = [[np.array(part[0, 0, :605]) for part in (cache.keys[layer], cache.values[layer])] for layer in (0, 9, 17)]
    first, columns = sequence.replay(slots, position)
    stream = columns.stream()[:, position - first]
    kept = [sequence.columns.residuals(slots[position : position + 1], row)[0] for row in range(a.layers + 1)]
    assert np.array_equal(stream, kept)
    after = [[part[0, 0, :605] for part in (cache.keys[layer], cache.values[layer])] for layer in (0, 9, 17)]
    assert np.array_equal(np.array(before), np.array(after))


def test_columns_that_were_given_up_come_back_with_the_same_bits(session: ModelSession) -> None:
    ids = fixtures.gemma_logits().ids
    prefill(session, ids[:450])
    one_by_one(session, ids[450:454])
    sequence = session.sequence
    slots, columns = sequence.slots.copy(), sequence.columns
    before = [columns.residuals(slots, row) for row in range(18)]
    one_by_one(session, ids[454:520])  # the block that is being filled stays
    columns.evict(10**12, slots[:0])
    assert columns.gone(slots, Kept.RESIDUALS)[:450].all()
    list(sequence.remake(slots, Kept.RESIDUALS))
    assert all(np.array_equal(columns.residuals(slots, row), before[row]) for row in range(18))


def test_the_memory_that_it_takes_is_known_before(session: ModelSession) -> None:
    command = [sys.executable, "-c", MEASURED, str(FOLDER), "2000"]
    found = subprocess.run(command, cwd=FOLDER.parents[2], check=True, capture_output=True, text=True)
    needed = memory_needed(session.card, 2_000, budget=UNLIMITED).total
    assert needed == pytest.approx(json.loads(found.stdout), rel=TOLERANCE)


def test_residuals_beyond_16_bits_are_finite_in_all_that_looks_at_them(session: ModelSession) -> None:
    prompt, _ = fixtures.gemma_prompts()[0]
    prefill(session, prompt)
    slots, a = session.sequence.slots, session.card.architecture
    stream = np.stack([session.sequence.columns.residuals(slots, row) for row in range(a.layers + 1)])
    assert np.isfinite(stream).all()
    assert np.abs(stream).max() > np.finfo(np.float16).max
    step = session.new_inside().step(slots, 3, 6, 2, prompt[-1])
    assert np.isfinite(step.stream).all()
    assert np.abs(step.head_outputs.sum(axis=0) - step.attention).max() <= 1e-3 * np.abs(step.attention).max()

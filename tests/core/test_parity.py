"""The engine against independent programs: transformers in fp32, and optimum's own export."""

from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.pipeline import top_ids
from tests.core.engine import all_logits, log_softmax, one_by_one, prefill, session_of
from tests.reference import fixtures

LOGIT, ATTENTION = 2e-3, 1e-4


@pytest.mark.parametrize("name", fixtures.PROMPTS)
def test_fp32_logits_are_those_of_transformers_at_every_position(built_fp32_model: Path, name: str) -> None:
    session, reference = session_of(built_fp32_model), fixtures.prompt_logits(name)
    prefill(session, reference.ids)
    assert reference.logits.greatest_difference(all_logits(session)) <= LOGIT


@pytest.mark.parametrize("name", fixtures.SHORT_PROMPTS)
def test_fp32_continues_greedily_as_transformers(built_fp32_model: Path, name: str) -> None:
    session, reference = session_of(built_fp32_model), fixtures.prompt_logits(name)
    assert reference.greedy is not None
    sure = reference.greedy.surely(LOGIT)
    found, logits = [], prefill(session, reference.ids)
    for _ in sure:
        found.append(int(np.argmax(logits)))
        _, logits = session.sequence.feed(found[-1:])
    assert tuple(found) == sure
    assert sure


@pytest.mark.parametrize("witness", [fixtures.cached_logits, fixtures.onnx_logits], ids=["transformers", "optimum"])
def test_fp32_decoding_with_a_cache_agrees_with_other_programs_caches(built_fp32_model: Path, witness) -> None:
    session, reference = session_of(built_fp32_model), witness()
    prefill(session, reference.ids[: reference.prefill])
    one_by_one(session, reference.ids[reference.prefill :])
    assert reference.logits.greatest_difference(all_logits(session)) <= LOGIT


def test_fp32_attention_is_that_of_transformers_in_every_head(built_fp32_model: Path) -> None:
    session, reference = session_of(built_fp32_model), fixtures.attentions()
    prefill(session, reference.ids)
    reader, slots = session.new_reader(), session.sequence.slots
    worst = 0.0
    for layer, heads in enumerate(reference.weights):
        for head, weights in enumerate(heads):
            reading = reader.attention(slots, layer, head, hide_first=False)
            assert reading is not None
            worst = max(worst, float(np.abs(np.nan_to_num(reading.values) - weights).max()))
    assert worst <= ATTENTION


def test_fp32_attention_rows_of_a_long_text_are_those_of_transformers(built_fp32_model: Path) -> None:
    session = session_of(built_fp32_model)
    prefill(session, fixtures.prompt_logits("prose").ids)
    reader, slots = session.new_reader(), session.sequence.slots
    for row in fixtures.prose_attention_rows():
        found = reader.attention_row(slots, row.layer, row.head, row.query)
        assert found is not None
        assert np.abs(found - row.weights).max() <= ATTENTION


def test_fp32_residuals_are_those_of_transformers_after_every_block(built_fp32_model: Path) -> None:
    session, reference = session_of(built_fp32_model), fixtures.residuals()
    prefill(session, reference.ids)
    for layer, expected in enumerate(reference.stream[::2]):
        found = session.sequence.columns.residuals(session.sequence.slots, layer)
        assert np.abs(found - expected).max() <= 1e-5 * max(1.0, float(np.abs(expected).max()))


@pytest.mark.parametrize("name", fixtures.SHORT_PROMPTS)
def test_fp32_lens_has_the_same_three_likeliest_tokens_at_every_layer(built_fp32_model: Path, name: str) -> None:
    session, reference = session_of(built_fp32_model), fixtures.lens(name)
    prefill(session, reference.ids)
    last = session.sequence.slots[-1:]
    for layer, expected in enumerate(reference.top_ids):
        logits = session.head.logits(session.sequence.columns.residuals(last, layer))
        assert top_ids(logits[0], 3).tolist() == expected[:3].tolist()
        logprobs = log_softmax(logits)[0][expected]
        assert np.abs(logprobs - reference.top_logprobs[layer]).max() <= LOGIT


def test_8_bit_stays_close_to_fp32_over_500_tokens_of_prose(built_model: Path, built_fp32_model: Path) -> None:
    ids = fixtures.prompt_logits("prose").ids
    assert len(ids) >= 500
    logprobs = []
    for folder in (built_fp32_model, built_model):
        session = session_of(folder)
        prefill(session, ids)
        logprobs.append(log_softmax(all_logits(session)))
    exact, rounded = logprobs
    divergence = (np.exp(exact) * (exact - rounded)).sum(axis=-1).mean()
    agreement = (exact.argmax(axis=-1) == rounded.argmax(axis=-1)).mean()
    print(f"mean KL {divergence:.4f}, top-1 agreement {agreement:.1%}")
    assert divergence <= 0.006
    assert agreement >= 0.96

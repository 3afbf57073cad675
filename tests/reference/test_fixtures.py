"""The fixtures are whole, small, and say what they should."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference import fixtures


def test_every_fixture_is_smaller_than_two_megabytes() -> None:
    sizes = {path.name: path.stat().st_size for path in fixtures.DATA.iterdir()}
    assert sizes
    assert max(sizes.values()) < 2_000_000


def test_there_are_ten_thousand_random_texts_of_one_to_twelve_code_points() -> None:
    texts = fixtures.random_texts()
    assert len(texts) == 10_000
    assert {len(text.text) for text in texts} == set(range(1, 13))
    assert any(text.lost for text in texts)


def test_the_text_of_special_tokens_alone_makes_plain_and_special_tokens_differ() -> None:
    special = fixtures.special_tokens().values()
    for text in fixtures.tokenized_texts():
        assert (text.plain != text.special) == any(token in text.text for token in special)


def test_a_conversation_has_special_tokens_only_where_the_template_puts_them() -> None:
    special = fixtures.special_tokens()
    for chat in fixtures.chat_texts():
        marks = [special[i] for i in chat.ids if i in special]
        turns = sum(mark == "<|im_end|>" for mark in marks)
        assert turns in (len(chat.messages), len(chat.messages) + 1)  # the template may add a system message
        assert marks == ["<|im_start|>", "<|im_end|>"] * turns + ["<|im_start|>"] * chat.add_generation_prompt


@pytest.mark.parametrize("name", fixtures.PROMPTS)
def test_kept_logits_agree_with_their_log_sum_exp(name: str) -> None:
    prompt = fixtures.prompt_logits(name)
    assert len(prompt.logits) == len(prompt.ids)
    mass = np.exp(prompt.logits.top_logits - prompt.logits.log_sum_exp[:, None]).sum(axis=1)
    assert ((mass > 0.05) & (mass < 1)).all()
    assert (np.diff(prompt.logits.top_logits, axis=1) <= 0).all()


@pytest.mark.parametrize("name", fixtures.SHORT_PROMPTS)
def test_the_last_layer_of_the_lens_and_the_first_greedy_token_are_the_models_answer(name: str) -> None:
    prompt, lens = fixtures.prompt_logits(name), fixtures.lens(name)
    assert prompt.greedy is not None
    best = prompt.logits.top_ids[-1]
    assert lens.top_ids[-1].tolist() == best[:5].tolist()
    assert prompt.greedy.ids[0] == best[0]


def test_the_reference_programs_agree_with_each_other_on_the_same_tokens() -> None:
    prose, cached = fixtures.prompt_logits("prose"), fixtures.cached_logits()
    student, onnx = fixtures.prompt_logits("student"), fixtures.onnx_logits()
    assert student.greedy is not None
    assert prose.ids[:40] == cached.ids
    assert student.ids + student.greedy.ids[:8] == onnx.ids
    for whole, other in ((prose.logits[:40], cached.logits), (student.logits, onnx.logits[: onnx.prefill])):
        np.testing.assert_allclose(whole.log_sum_exp, other.log_sum_exp, atol=2e-4)
        np.testing.assert_allclose(whole.probe_logits, other.probe_logits, atol=2e-4)


def test_every_attention_row_sums_to_one_and_no_later_token_is_seen() -> None:
    attentions = fixtures.attentions()
    assert attentions.weights.shape == (30, 9, 14, 14)
    assert not np.triu(attentions.weights, 1).any()
    np.testing.assert_allclose(attentions.weights.sum(axis=-1), 1, atol=1e-5)
    for row in fixtures.prose_attention_rows():
        assert row.weights.shape == (row.query + 1,)
        np.testing.assert_allclose(row.weights.sum(), 1, atol=1e-5)


def test_greatest_difference_finds_a_changed_logit() -> None:
    ids = fixtures.prompt_logits("single")
    logits = np.full((1, 49152), -1e9, np.float32)
    logits[0, ids.logits.top_ids[0]] = ids.logits.top_logits[0]
    logits[0, ids.logits.probe_ids] = ids.logits.probe_logits[0]
    logits[0, ids.logits.top_ids[0, 0]] += 3
    assert ids.logits.greatest_difference(logits) == pytest.approx(3, abs=1e-4)

"""Forced scoring: transformers' numbers, the window's surprisal, and the border of prompt and continuation."""

import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.errors import EmptyPromptError, InterruptedStepError, PromptTooLongError
from canopy_desktop.exploration.score import ROWS, Border, TokenScore, border, score, summed
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from tests.core import tiny
from tests.core.engine import all_logits, log_softmax, prefill, session_of
from tests.reference import fixtures
from tests.support.scripted import byte_tokenizer

SCORED = [name for name in fixtures.PROMPTS if name != "single"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def scored(session: ModelSession, ids: Sequence[int], first: int = 0) -> list[TokenScore]:
    pieces = list(score(session.sequence.decoder.sibling(), ids, first))
    assert all(0 < len(piece) <= ROWS for piece in pieces)
    return [token for piece in pieces for token in piece]


@pytest.mark.parametrize("name", SCORED)
def test_fp32_scores_are_those_of_transformers(built_fp32_model: Path, name: str) -> None:
    reference = fixtures.scores(name)
    found = scored(session_of(built_fp32_model), reference.ids)
    assert [token.token_id for token in found] == list(reference.ids[1:])
    assert [token.position for token in found] == list(range(1, len(reference.ids)))
    assert np.abs([token.logprob for token in found] - reference.logprobs).max() <= 1e-3
    assert np.abs([token.entropy_bits for token in found] - reference.entropy_bits).max() <= 1e-3
    assert np.mean([token.rank for token in found] == reference.ranks) >= 0.95  # the others are nearly equal logits
    sums = summed(found)
    assert sums is not None
    assert sums.perplexity == pytest.approx(math.exp(-reference.logprobs.mean()), rel=1e-3)
    assert sums.total_bits == pytest.approx(-reference.logprobs.sum() / math.log(2), abs=1e-2)


def test_the_surprisal_of_a_long_text_has_the_bits_that_are_shown_for_a_prompt(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.scores("prose").ids
    found = scored(session, ids)
    prefill(session, ids)
    shown = session.new_reader().surprisal(session.sequence.slots, ids, 0, len(ids))
    assert shown is not None
    assert np.allclose([token.surprisal_bits for token in found], shown[1:], rtol=0, atol=2e-5)
    logits = all_logits(session)[:-1]
    assert [token.likeliest_id for token in found] == logits.argmax(axis=1).tolist()
    exact = log_softmax(logits)
    assert np.allclose([token.likeliest_logprob for token in found], exact.max(axis=1), rtol=0, atol=1e-12)
    assert np.allclose([token.logprob for token in found], exact[range(len(found)), ids[1:]], rtol=0, atol=1e-12)


def test_a_continuation_is_scored_as_the_end_of_the_whole_text(small: ModelSession) -> None:
    ids = list(range(40, 75))
    whole = scored(small, ids)
    for first in (1, 2, 17, 34):
        assert scored(small, ids, first) == whole[first - 1 :]
    assert scored(small, ids, len(ids)) == []


def test_ranks_and_probabilities_agree_with_one_another(small: ModelSession) -> None:
    for token in scored(small, list(range(60, 90))):
        assert 0 < token.probability <= math.exp(token.likeliest_logprob) <= 1
        assert (token.rank == 1) == (token.token_id == token.likeliest_id)
        assert token.surprisal_bits == pytest.approx(-math.log2(token.probability))
        assert 0 < token.entropy_bits < math.log2(len(tiny.TOKENS))


def test_the_first_token_of_a_text_has_no_score_and_no_tokens_have_no_sums(small: ModelSession) -> None:
    assert scored(small, [40]) == []
    assert [token.position for token in scored(small, [40, 41])] == [1]
    assert summed([]) is None


def test_the_whole_context_can_be_scored_and_no_more(small: ModelSession) -> None:
    assert len(scored(small, [40] * tiny.CONTEXT)) == tiny.CONTEXT - 1
    decoder = small.sequence.decoder.sibling()
    with pytest.raises(PromptTooLongError):
        score(decoder, [40] * (tiny.CONTEXT + 1))
    with pytest.raises(EmptyPromptError):
        score(decoder, [])


def test_perplexity_of_certain_tokens_is_one_and_of_hopeless_ones_infinite(small: ModelSession) -> None:
    def sums_of(logprob: float) -> float:
        sums = summed([TokenScore(position=1, token_id=1, logprob=logprob, rank=1, entropy_bits=0.0,
                                  likeliest_id=1, likeliest_logprob=0.0)] * 3)  # fmt: skip
        assert sums is not None
        return sums.perplexity

    assert sums_of(0.0) == 1.0
    assert sums_of(math.log(1 / 8)) == pytest.approx(8)
    assert sums_of(-1e4) == sums_of(-math.inf) == math.inf


def test_scoring_leaves_the_sessions_cache_alone_and_an_interrupt_ends_it(built_model: Path) -> None:
    session, ids = session_of(built_model), fixtures.scores("prose").ids
    prefill(session, ids[:20])
    kept = session.sequence.decoder.cache.keys[3][0, :, :20].copy()
    decoder = session.sequence.decoder.sibling()
    done = threading.Event()

    def interrupt() -> None:
        while not done.is_set():
            session.sequence.decoder.interrupt()
            time.sleep(0.001)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(InterruptedStepError):
        list(score(decoder, ids))
    done.set()
    thread.join()
    pieces = score(decoder, ids[:20])  # the same decoder begins anew
    assert [token.position for piece in pieces for token in piece] == list(range(1, 20))
    assert np.array_equal(session.sequence.decoder.cache.keys[3][0, :, :20], kept)


# the border


def test_a_word_after_its_blank_has_the_same_tokens_apart_and_together(built_model: Path) -> None:
    tokenizer = session_of(built_model).tokenizer
    found = border(tokenizer, "The capital of France is", " Paris.")
    assert found.differing is None
    assert (found.apart_first, found.together_first) == (5, 5)


@pytest.mark.parametrize(
    ("prompt", "continuation", "apart", "together", "first"),
    [
        ("The capital of Fran", "ce is Paris", [" Fran", "ce"], [" France"], 3),
        ("The capital of France is ", "Paris", [" ", "Paris"], [" Paris"], 5),
        ("naïve caf", "é", [" caf", "é"], [" café"], 2),
    ],
)
def test_the_border_tells_where_the_tokens_differ(
    built_model: Path, prompt: str, continuation: str, apart: list[str], together: list[str], first: int
) -> None:
    tokenizer = session_of(built_model).tokenizer
    found = border(tokenizer, prompt, continuation)
    assert tokenizer.decode(found.apart) == tokenizer.decode(found.together) == prompt + continuation
    assert found.differing is not None
    one, other = found.differing
    assert [token.text for token in tokenizer.tokens(found.apart[one])] == apart
    assert [token.text for token in tokenizer.tokens(found.together[other])] == together
    assert found.together_first == first


@given(st.text(max_size=12), st.text(max_size=12))
def test_one_token_a_byte_never_differs_at_the_border(prompt: str, continuation: str) -> None:
    found = border(byte_tokenizer(), prompt, continuation)
    assert found.differing is None
    assert found.apart_first == found.together_first == len(prompt.encode())


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_the_differing_stretch_is_all_that_differs(one: list[int], other: list[int]) -> None:
    found = Border(tuple(one), 0, tuple(other), 0)
    if found.differing is None:
        assert one == other
        return
    apart, together = found.differing
    assert one[: apart.start] == other[: together.start]
    assert one[apart.stop :] == other[together.stop :]
    mine, theirs = one[apart], other[together]
    assert mine != theirs
    assert not (mine and theirs and (mine[0] == theirs[0] or mine[-1] == theirs[-1]))

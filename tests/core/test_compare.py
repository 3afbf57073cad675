"""Two runs side by side: what differs, where the texts part, and the figures of every step until then."""

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import PromptTooLongError
from canopy_desktop.exploration.compare import (
    BesideRunner,
    Comparison,
    compare,
    same_vocabulary,
    step_pairs,
)
from canopy_desktop.exploration.compared import ComparedRun, Relation, SettingDifference
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import GenerationEvent, PrefillProgress, PromptAccepted, RunFinished, StepRecord
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Tokenizer
from tests.core import tiny
from tests.core.engine import log_softmax, plain_prompt, prefill, session_of

SETTINGS = DecodingSettings(temperature=0.8, repetition_penalty=1.3, frequency_penalty=0.2, max_tokens=8, seed=3)
FRANCE, SPAIN = "The capital of France is", "The capital of Spain is"


@pytest.fixture
def session(built_model: Path) -> ModelSession:
    return session_of(built_model)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def run(
    session: ModelSession, text: str, settings: DecodingSettings, window: ContextWindow | None = None
) -> ComparedRun:
    prompt = PromptRequest(text=text).encoded(session.tokenizer, None)
    found: list[ComparedRun] = []

    def whole() -> Iterator[GenerationEvent]:
        found.append((yield from BesideRunner(session).run(1, prompt, settings, window or ContextWindow())))

    assert [type(event) for event in whole()][-1] is RunFinished
    return found[0]


def compared(session: ModelSession, a: ComparedRun, b: ComparedRun) -> Comparison:
    return compare(a, b, tuple(step_pairs(a, b, (session.head, session.head), listed=5)))


def test_the_same_twice_is_equal_in_every_figure(session: ModelSession) -> None:
    runs = [run(session, FRANCE, SETTINGS) for _ in range(2)]
    found = compared(session, *runs)
    assert found.settings == ()
    assert found.prompt.relation is found.generated.relation is Relation.EQUAL
    assert len(found.steps) == len(runs[0].steps) == 8
    for pair in found.steps:
        assert pair.a_chosen == pair.b_chosen
        for figures in (pair.raw, pair.final):
            assert (figures.a_b_bits, figures.b_a_bits, figures.total_variation) == (0.0, 0.0, 0.0)


def test_the_figures_are_those_that_the_tokens_were_chosen_with(session: ModelSession) -> None:
    a = run(session, FRANCE, SETTINGS)
    b = run(session, FRANCE, replace(SETTINGS, top_k=5, banned_tokens=(a.ids[3],)))
    found = compared(session, a, b)
    assert len(found.steps) > 1
    for pair, one, other in zip(found.steps, a.steps, b.steps, strict=False):
        assert (pair.a_chosen.a, pair.b_chosen.b) == (one.chosen, other.chosen)
        assert (pair.a_chosen.a_rank, pair.b_chosen.b_rank) == (one.rank, other.rank)
        assert {c.token_id for c in one.candidates[:5]} <= {token.a.token_id for token in pair.top}


def test_the_steps_end_where_the_texts_part(session: ModelSession) -> None:
    a = run(session, FRANCE, DecodingSettings(max_tokens=8))
    b = run(session, FRANCE, DecodingSettings(max_tokens=8, banned_tokens=(a.ids[2],)))
    found = compared(session, a, b)
    assert found.generated.relation is Relation.PARTED
    assert found.generated.tokens == next(
        i for i, pair in enumerate(zip(a.ids, b.ids, strict=True)) if len({*pair}) == 2
    )
    assert [pair.index for pair in found.steps] == list(range(1, found.generated.tokens + 2))
    last = found.steps[-1]
    assert last.a_chosen != last.b_chosen
    assert last.raw.total_variation == 0.0
    assert last.final.a_b_bits == math.inf
    assert a.text[: found.generated.characters] == b.text[: found.generated.characters]
    assert found.settings == (SettingDifference("banned_tokens", (), (a.ids[2],)),)


def test_two_prompts_part_where_their_tokens_do_and_the_distance_is_that_of_their_logits(session: ModelSession) -> None:
    a, b = (run(session, text, DecodingSettings(max_tokens=4)) for text in (FRANCE, SPAIN))
    found = compared(session, a, b)
    assert (found.prompt.relation, found.prompt.tokens, found.prompt.tokens_at_end) == (Relation.PARTED, 3, 1)
    assert found.prompt.characters == len("The capital of ")
    one, other = (log_softmax(prefill(session, side.prompt.ids)) for side in (a, b))
    assert found.steps[0].raw.a_b_bits == pytest.approx(float((np.exp(one) * (one - other)).sum()) / math.log(2.0))
    assert found.steps[0].raw.total_variation == pytest.approx(float(np.abs(np.exp(one) - np.exp(other)).sum()) / 2)


def test_a_run_that_is_cut_short_begins_the_other(session: ModelSession) -> None:
    a, b = (run(session, FRANCE, DecodingSettings(max_tokens=count)) for count in (3, 6))
    assert (compared(session, a, b).generated.relation, compared(session, b, a).generated.relation) == (
        Relation.A_BEGINS_B,
        Relation.B_BEGINS_A,
    )
    found = compared(session, a, b)
    assert (found.generated.tokens, len(found.steps)) == (3, 3)
    assert found.settings == (SettingDifference("max_tokens", 3, 6),)


def test_every_setting_that_differs_is_named(session: ModelSession) -> None:
    a = run(session, FRANCE, DecodingSettings(max_tokens=2))
    other = DecodingSettings(
        temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, typical_p=0.9, repetition_penalty=1.1, presence_penalty=0.1,
        frequency_penalty=0.1, logit_bias=((5, 1.0),), banned_tokens=(6,), min_tokens=1, max_tokens=1, stop=("x",),
        keep_stop=True, seed=1,
    )  # fmt: skip
    found = compare(a, run(session, FRANCE, other))
    assert [difference.name for difference in found.settings] == [entry.name for entry in fields(DecodingSettings)]
    assert all(difference.b == getattr(other, difference.name) for difference in found.settings)


def test_a_stop_text_and_an_end_token_are_not_in_the_answer(session: ModelSession) -> None:
    stopped = run(session, FRANCE, DecodingSettings(max_tokens=8, stop=("Paris",)))
    assert (stopped.reason, stopped.text) == (StopReason.STOP_SEQUENCE, " ")
    end = session.card.end_ids[0]
    ended = run(session, FRANCE, DecodingSettings(max_tokens=8, logit_bias=((end, 1000.0),)))
    assert (ended.reason, ended.text, ended.ids) == (StopReason.END_TOKEN, "", (end,))


def test_what_was_recorded_is_left_alone(session: ModelSession) -> None:
    generation = session.new_generation()
    generation.begin(1, plain_prompt(session.tokenizer.encode("Once upon a").ids), DecodingSettings(max_tokens=3))
    while not isinstance(generation.advance(), StepRecord):
        pass
    slots, number = session.sequence.slots.tolist(), session.sequence.generation
    run(session, FRANCE, DecodingSettings(max_tokens=2))
    assert (session.sequence.slots.tolist(), session.sequence.generation) == (slots, number)
    assert isinstance(generation.advance(), StepRecord)


def test_a_run_is_that_of_the_main_cache_and_tells_its_events(session: ModelSession) -> None:
    prompt = PromptRequest(text=FRANCE).encoded(session.tokenizer, None)
    events = list(BesideRunner(session).run(7, prompt, SETTINGS))
    steps = [event for event in events if isinstance(event, StepRecord)]
    assert [type(event) for event in events[:2]] == [PromptAccepted, PrefillProgress]
    assert isinstance(events[-1], RunFinished)
    assert {event.run_id for event in events} == {7}
    generation = session.new_generation()
    generation.begin(1, prompt, SETTINGS)
    alone = []
    while not isinstance(event := generation.advance(), RunFinished):
        alone.append(event)
    assert [step.chosen for step in alone if isinstance(step, StepRecord)] == [step.chosen for step in steps]


def test_after_a_slide_of_the_window_the_figures_are_still_those_of_the_steps(small: ModelSession) -> None:
    settings = replace(SETTINGS, max_tokens=12)
    sliding = run(small, "the cat", settings, ContextWindow(size=16, when_full=WhenFull.SLIDE))
    whole = run(small, "the cat", settings)
    assert len(sliding.steps) == 12
    for a, b in ((sliding, sliding), (whole, whole)):
        found = compared(small, a, b)
        assert [pair.a_chosen.a for pair in found.steps] == [step.chosen for step in a.steps]


def test_a_prompt_that_fills_the_context_leaves_nothing_to_compare_but_itself(small: ModelSession) -> None:
    full = run(small, "1" * tiny.CONTEXT, DecodingSettings())
    assert (full.reason, full.steps, full.text) == (StopReason.CONTEXT_FULL, (), "")
    found = compared(small, full, run(small, "1" * (tiny.CONTEXT - 1), DecodingSettings()))
    assert (found.prompt.relation, found.prompt.tokens) == (Relation.B_BEGINS_A, tiny.CONTEXT - 1)
    assert (found.generated.relation, found.generated.tokens, found.steps) == (Relation.A_BEGINS_B, 0, ())


def test_a_prompt_that_does_not_fit_is_refused_and_the_next_one_runs(small: ModelSession) -> None:
    runner = BesideRunner(small)
    with pytest.raises(PromptTooLongError):
        list(runner.run(1, plain_prompt(range(2, 51)), DecodingSettings()))
    assert isinstance(list(runner.run(2, plain_prompt((2, 3)), DecodingSettings(max_tokens=1)))[-1], RunFinished)


def test_other_vocabularies_are_compared_by_text_alone(session: ModelSession, small: ModelSession) -> None:
    assert same_vocabulary(session.tokenizer, Tokenizer.open(session.bundle.tokenizer))
    assert not same_vocabulary(session.tokenizer, small.tokenizer)
    settings = DecodingSettings(max_tokens=2)
    found = compare(run(session, "the cat", settings), run(small, "the cat", settings), same_vocabulary=False)
    assert found.prompt.relation is Relation.EQUAL
    assert (found.prompt.tokens, found.prompt.tokens_at_end, found.prompt.characters) == (None, None, 7)
    assert found.steps == ()


def test_a_vocabulary_with_another_token_in_a_place_is_another(small: ModelSession, tmp_path: Path) -> None:
    tokens = list(tiny.TOKENS)
    tokens[5], tokens[6] = tokens[6], tokens[5]
    other = Bundle.open(tiny.build(tmp_path, tokenizer__ggml__tokens=tokens))
    assert not same_vocabulary(small.tokenizer, Tokenizer.open(other.tokenizer))

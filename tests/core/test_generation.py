"""Generating with the real model: runs, going back, branches, ends and interruptions."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import EmptyPromptError, InterruptedStepError, PromptTooLongError
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    ChosenBy,
    PrefillProgress,
    RunFinished,
    StepRecord,
    StopReason,
)
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.chat import encode_completion
from tests.core.engine import plain_prompt, session_of

FRANCE = "The capital of France is"
HOT = DecodingSettings(temperature=0.9, top_k=50, top_p=0.95, seed=6, max_tokens=12)


@pytest.fixture
def session(built_model: Path) -> ModelSession:
    return session_of(built_model)


@pytest.fixture
def generation(session: ModelSession) -> Generation:
    return session.new_generation()


def run(generation: Generation) -> tuple[list[StepRecord], StopReason]:
    steps = []
    while True:
        match generation.advance():
            case StepRecord() as step:
                steps.append(step)
            case RunFinished(reason=reason):
                return steps, reason
            case PrefillProgress():
                pass


def begin(generation: Generation, session: ModelSession, text: str, settings: DecodingSettings) -> None:
    generation.begin(1, encode_completion(session.tokenizer, text), settings)


def ids(steps: list[StepRecord]) -> list[int]:
    return [step.chosen.token_id for step in steps]


def test_the_model_says_paris(generation, session) -> None:
    begin(generation, session, FRANCE, DecodingSettings(max_tokens=1))
    steps, reason = run(generation)
    assert session.tokenizer.decode(ids(steps)) == " Paris"
    assert reason is StopReason.MAX_TOKENS


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(generation, session) -> None:
    found = []
    for seed in (5, 5, 6):
        settings = DecodingSettings(temperature=0.9, top_k=50, top_p=0.95, seed=seed, max_tokens=12)
        begin(generation, session, "Once upon a time", settings)
        found.append(ids(run(generation)[0]))
    assert found[0] == found[1] != found[2]


def test_a_record_says_what_the_logits_of_its_source_say(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    for step in run(generation)[0]:
        residual = session.sequence.columns.residuals(np.array([step.source]), -1)
        logits = session.head.logits(residual)[0]
        assert step.chosen.logit == logits[step.chosen.token_id]
        assert step.candidates[0].logit == logits.max()
        assert step.rank == 1 + np.count_nonzero(logits > step.chosen.logit)
        assert step.chosen.probability > 0


def test_stepping_after_going_back_walks_the_known_way_and_runs_nothing(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    steps, _ = run(generation)
    generation.go_to(steps[3].node)
    passes = len(session.sequence)
    generation.resume(2, HOT)
    again = [generation.advance() for _ in range(4)]
    assert again == steps[4:8]
    assert len(session.sequence) == passes


def test_going_on_after_coming_back_gives_what_never_leaving_gives(generation, session) -> None:
    long = DecodingSettings(temperature=0.9, top_k=50, top_p=0.95, seed=6, max_tokens=20)
    begin(generation, session, FRANCE, long)
    straight, _ = run(generation)
    begin(generation, session, FRANCE, HOT)
    first, _ = run(generation)
    generation.go_to(first[2].node)
    generation.choose(2, first[2].node, 1000)
    generation.resume(2, HOT)
    run(generation)
    generation.go_to(first[-1].node)
    generation.resume(3, long)
    rest = [generation.advance() for _ in range(8)]
    assert ids(rest) == ids(straight[12:])
    assert [step.chosen.logit for step in rest] == [step.chosen.logit for step in straight[12:]]


def test_another_token_branches_and_nothing_is_lost(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    steps, _ = run(generation)
    other = next(c.token_id for c in steps[4].candidates if c.token_id != steps[4].chosen.token_id)
    branch = generation.choose(2, steps[4].parent, other)
    exploration = generation.exploration
    assert branch.chosen.token_id == other
    assert branch.chosen_by is ChosenBy.PERSON
    assert branch.parent == steps[3].node
    assert branch.source == steps[4].source
    assert set(exploration.children(steps[3].node)) == {steps[4].node, branch.node}
    assert exploration.path(steps[-1].node) == steps
    assert generation.choose(3, steps[4].parent, other) is branch


def test_stepping_after_going_back_over_a_chosen_token_returns_to_its_branch(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    steps, _ = run(generation)
    other = next(c.token_id for c in steps[4].candidates if c.token_id != steps[4].chosen.token_id)
    branch = generation.choose(2, steps[4].parent, other)
    generation.resume(3, HOT)
    after = generation.advance()
    generation.go_to(steps[3].node)
    generation.resume(4, HOT)
    assert [generation.advance(), generation.advance()] == [branch, after]


def test_new_settings_after_going_back_decide_anew_from_the_same_logits(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    steps, _ = run(generation)
    generation.go_to(steps[5].node)
    generation.resume(2, DecodingSettings(max_tokens=1))
    anew = generation.advance()
    assert anew.chosen_by is ChosenBy.GREEDY
    assert anew.parent == steps[5].node
    assert anew.source == steps[6].source
    assert [c.logit for c in anew.candidates] == [c.logit for c in steps[6].candidates]


def test_the_first_step_can_be_decided_anew(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    steps, _ = run(generation)
    generation.go_to(PROMPT_NODE)
    branch = generation.choose(2, PROMPT_NODE, 260)
    assert branch.position == steps[0].position
    assert branch.rank == 2


def test_a_run_stops_at_an_end_token(generation, session) -> None:
    prompt = "<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\n"
    begin(generation, session, prompt, DecodingSettings(max_tokens=200))
    steps, reason = run(generation)
    assert reason is StopReason.END_TOKEN
    assert steps[-1].chosen.token_id in session.card.end_ids
    assert not set(ids(steps[:-1])) & set(session.card.end_ids)


def test_a_run_stops_at_a_text_that_spans_tokens(generation, session) -> None:
    begin(generation, session, FRANCE, DecodingSettings(max_tokens=40))
    text = session.tokenizer.decode(ids(run(generation)[0]))
    stop = text[4:17]
    begin(generation, session, FRANCE, DecodingSettings(max_tokens=40, stop=("never", stop)))
    steps, reason = run(generation)
    assert reason is StopReason.STOP_SEQUENCE
    written = session.tokenizer.decode(ids(steps))
    assert stop in written
    assert stop not in session.tokenizer.decode(ids(steps[:-1]))


def test_a_small_context_fills_up_and_the_run_says_so(built_model: Path) -> None:
    small = ModelSession.open(Bundle.open(built_model), context=9)
    generation = small.new_generation()
    begin(generation, small, FRANCE, DecodingSettings(max_tokens=50))
    steps, reason = run(generation)
    assert reason is StopReason.CONTEXT_FULL
    assert len(steps) == 4
    begin(generation, small, "one two three four five six seven eight nine", DecodingSettings())
    assert run(generation) == ([], StopReason.CONTEXT_FULL)
    with pytest.raises(PromptTooLongError) as caught:
        begin(generation, small, "one two three four five six seven eight nine ten", DecodingSettings())
    assert (caught.value.length, caught.value.context) == (10, 9)


def test_an_empty_prompt_is_refused_and_white_space_is_a_prompt(generation, session) -> None:
    with pytest.raises(EmptyPromptError):
        begin(generation, session, "", DecodingSettings())
    begin(generation, session, " \n\t ", DecodingSettings(max_tokens=2))
    assert len(run(generation)[0]) == 2


def test_a_refused_prompt_leaves_the_exploration_as_it_was(generation, session) -> None:
    begin(generation, session, FRANCE, HOT)
    steps, _ = run(generation)
    with pytest.raises(EmptyPromptError):
        begin(generation, session, "", HOT)
    generation.resume(2, DecodingSettings(temperature=0.9, top_k=50, top_p=0.95, seed=6, max_tokens=1))
    assert generation.advance().parent == steps[-1].node


def test_an_interrupt_ends_a_prefill_of_8000_tokens_at_once_and_the_decoder_stays_usable(session) -> None:
    generation = session.new_generation()
    many = np.random.default_rng(1).integers(100, 40_000, 8000).tolist()
    generation.begin(1, plain_prompt(many), DecodingSettings())
    generation.advance()
    ended: list[float] = []

    def prefill() -> None:
        try:
            while isinstance(generation.advance(), PrefillProgress):
                pass
        except InterruptedStepError:
            ended.append(time.perf_counter())

    thread = threading.Thread(target=prefill)
    thread.start()
    while len(session.sequence) < 1024:
        time.sleep(0.001)
    asked = time.perf_counter()
    while not ended and thread.is_alive():  # between two passes there is none to interrupt
        generation.interrupt()
        time.sleep(0.001)
    thread.join()
    assert ended
    assert ended[0] - asked < 3  # 0.3 s on a machine that does nothing else; the prefill takes ten times as long
    begin(generation, session, FRANCE, DecodingSettings(max_tokens=1))
    assert session.tokenizer.decode(ids(run(generation)[0])) == " Paris"


def test_no_pass_begins_while_the_decoder_is_held(session) -> None:
    generation = session.new_generation()
    begin(generation, session, FRANCE, DecodingSettings(max_tokens=1))
    generation.hold()
    for _ in range(2):
        with pytest.raises(InterruptedStepError):
            generation.advance()
    generation.release()
    assert session.tokenizer.decode(ids(run(generation)[0])) == " Paris"


@pytest.mark.parametrize("interrupts", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_an_interrupted_pass_changes_nothing(session, interrupts: int) -> None:
    """At random moments of prompts, steps and branches; every text is what it is without them."""
    generation = session.new_generation()
    settings = DecodingSettings(max_tokens=12)
    texts = [ids(events) for events in explored(generation, session, settings)]
    done, left = threading.Event(), [interrupts]

    def disturb() -> None:
        random = np.random.default_rng(2)
        while left[0] and not done.wait(float(random.uniform(0.0, 0.02))):
            left[0] -= 1
            generation.interrupt()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        while left[0]:
            assert [ids(events) for events in explored(generation, session, settings)] == texts
    finally:
        done.set()
        thread.join()


def explored(generation, session, settings: DecodingSettings) -> list[list[StepRecord]]:
    """The steps of a run from the prompt, and of one from another second token, however often they are interrupted."""
    begin(generation, session, FRANCE, settings)
    first = uninterrupted(generation)
    fork = first[1]
    while True:
        try:
            generation.choose(2, fork.parent, fork.candidates[3].token_id)
            break
        except InterruptedStepError:
            continue
    generation.resume(2, settings)
    return [first, uninterrupted(generation)]


def uninterrupted(generation) -> list[StepRecord]:
    steps = []
    while True:
        try:
            event = generation.advance()
        except InterruptedStepError:
            continue
        if isinstance(event, RunFinished):
            return steps
        if isinstance(event, StepRecord):
            steps.append(event)


def test_a_walk_chooses_token_by_token_and_runs_only_what_has_no_column_yet(generation, session) -> None:
    begin(generation, session, FRANCE, DecodingSettings(max_tokens=4))
    steps, _ = run(generation)
    way = [*ids(steps)[:2], 260, 261, 262]
    walked = list(generation.walk(2, PROMPT_NODE, way))
    assert ids(walked) == way
    assert walked[:2] == steps[:2]  # the same records
    assert [step.chosen_by for step in walked[2:]] == [ChosenBy.PERSON] * 3
    assert walked[2].source == steps[2].source
    prompt = len(generation.exploration.prompt.ids)
    assert len(session.sequence) == prompt + 4  # the last one has not passed
    assert generation.exploration.cursor == walked[-1].node
    again = list(generation.walk(3, PROMPT_NODE, way))
    assert all(one is other for one, other in zip(again, walked, strict=True))
    assert len(session.sequence) == prompt + 4

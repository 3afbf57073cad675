"""The context window: planning a slide, generating with one, and finding what was dropped."""

import threading
from pathlib import Path

import numpy as np
import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ContextFullError, InterruptedStepError, PromptTooLongError, UsageError
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    ChosenBy,
    RunFinished,
    SlideProgress,
    StepRecord,
    StopReason,
    WindowSlid,
)
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import SMALLEST, ContextWindow, WhenFull, dropped_by_slide
from canopy_desktop.model.chat import SystemChoice, TemplatedPrompt, encode_completion
from canopy_desktop.model.decoder import CHUNK
from tests.core.engine import plain_prompt, session_of

SIZE = 24
SLIDE = ContextWindow(size=SIZE, when_full=WhenFull.SLIDE)
LONG = DecodingSettings(max_tokens=60)
STORY = "Once upon a time there was a small village by the sea, where"


@pytest.fixture
def session(built_model: Path) -> ModelSession:
    return session_of(built_model)


@pytest.fixture
def generation(session: ModelSession) -> Generation:
    return session.new_generation()


def steps_and_slides(generation: Generation) -> tuple[list[StepRecord], list[WindowSlid], StopReason]:
    steps: list[StepRecord] = []
    slides: list[WindowSlid] = []
    while True:
        match generation.advance():
            case StepRecord() as step:
                steps.append(step)
            case WindowSlid() as slide:
                slides.append(slide)
            case RunFinished(reason=reason):
                return steps, slides, reason


def story(session: ModelSession) -> TemplatedPrompt:
    return encode_completion(session.tokenizer, STORY)


def ids(steps: list[StepRecord]) -> list[int]:
    return [step.chosen.token_id for step in steps]


def logits(steps: list[StepRecord]) -> list[tuple[float, ...]]:
    return [tuple(candidate.logit for candidate in step.candidates) for step in steps]


@pytest.mark.parametrize(
    ("length", "size", "kept", "dropped"),
    [
        (64, 64, 0, 16),
        (64, 64, 20, 16),
        (64, 64, 46, 16),
        (64, 64, 47, 15),  # two are left to pass through the model again
        (64, 64, 61, 1),
        (64, 64, 62, 0),
        (64, 64, 64, 0),
        (16, 16, 0, 4),
        (17, 17, 0, 4),
        (3, 3, 0, 0),  # a model's own context so small that a quarter is no token
    ],
)
def test_a_slide_drops_a_quarter_of_the_size_and_leaves_the_kept_prefix_and_two_tokens(
    length: int, size: int, kept: int, dropped: int
) -> None:
    assert dropped_by_slide(length, size, kept) == dropped


@pytest.mark.parametrize("size", [-1, 0, SMALLEST - 1])
def test_a_window_that_no_model_can_have_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"at least {SMALLEST} tokens.* not {size}") as caught:
        ContextWindow(size=size)
    assert caught.value.exit_status == 2


def test_a_window_larger_than_the_models_is_refused_with_the_limits() -> None:
    with pytest.raises(UsageError, match=f"{SMALLEST} to 100 tokens, not 101"):
        ContextWindow(size=101).tokens(100)


def test_a_window_without_a_size_is_the_models_context() -> None:
    assert ContextWindow().tokens(9) == 9
    assert ContextWindow(size=SMALLEST).tokens(SMALLEST) == SMALLEST


def test_a_refused_window_leaves_the_exploration_as_it_was(generation, session) -> None:
    generation.begin(1, story(session), LONG, SLIDE)
    before = generation.exploration
    with pytest.raises(UsageError):
        generation.begin(2, story(session), LONG, ContextWindow(size=1_000_000))
    with pytest.raises(PromptTooLongError) as caught:
        generation.begin(3, plain_prompt(range(100, 100 + SIZE + 1)), LONG, SLIDE)
    assert (caught.value.length, caught.value.context) == (SIZE + 1, SIZE)
    assert generation.exploration is before
    assert generation.context == SIZE


def test_a_full_window_ends_the_run_where_it_does_not_slide(generation, session) -> None:
    prompt = story(session)
    generation.begin(1, prompt, LONG, ContextWindow(size=SIZE))
    steps, slides, reason = steps_and_slides(generation)
    assert reason is StopReason.CONTEXT_FULL
    assert len(prompt.ids) + len(steps) == SIZE
    assert slides == []
    with pytest.raises(ContextFullError):
        generation.choose(2, steps[-1].node, 1000)


def test_a_window_as_large_as_the_model_changes_nothing(generation, session) -> None:
    found = []
    for window in (ContextWindow(), ContextWindow(size=session.card.architecture.context, when_full=WhenFull.SLIDE)):
        generation.begin(1, story(session), DecodingSettings(max_tokens=8), window)
        steps, slides, reason = steps_and_slides(generation)
        found.append((logits(steps), slides, reason))
    assert found[0] == found[1]


def test_after_each_slide_the_steps_are_those_of_a_fresh_text_of_the_windows_tokens(generation, session) -> None:
    prompt = story(session)
    generation.begin(1, prompt, LONG, SLIDE)
    steps, slides, reason = steps_and_slides(generation)
    assert (len(steps), reason) == (60, StopReason.MAX_TOKENS)
    assert len(slides) > 5
    text = [*prompt.ids, *ids(steps)]
    for slide, following in zip(slides, [*slides[1:], None], strict=True):
        begins = steps[slide.node].position + 1
        ends = len(text) if following is None else steps[following.node].position + 1
        window = text[slide.last + 1 : begins]
        assert len(window) == slide.prefilled == SIZE - SIZE // 4
        generation.begin(2, plain_prompt(window), DecodingSettings(max_tokens=ends - begins))
        fresh, _, _ = steps_and_slides(generation)
        own = steps[begins - len(prompt.ids) : ends - len(prompt.ids)]
        assert ids(fresh) == ids(own)
        assert logits(fresh) == logits(own)


def test_slides_in_a_row_drop_one_quarter_after_another_and_positions_go_on(generation, session) -> None:
    prompt = story(session)
    generation.begin(1, prompt, LONG, SLIDE)
    steps, slides, _ = steps_and_slides(generation)
    quarter = SIZE // 4
    assert [(slide.first, slide.last, slide.dropped) for slide in slides] == [
        (number * quarter, (number + 1) * quarter - 1, quarter) for number in range(len(slides))
    ]
    assert [step.position for step in steps] == list(range(len(prompt.ids), len(prompt.ids) + len(steps)))
    assert all(slide.ms > 0 for slide in slides)


def test_the_tree_knows_the_window_of_every_node(generation, session) -> None:
    prompt = story(session)
    generation.begin(1, prompt, LONG, SLIDE)
    steps, slides, _ = steps_and_slides(generation)
    tree = generation.exploration
    for step in steps:
        dropped = tree.dropped(step.node)
        positions = tree.positions(step.node)
        assert positions.size == tree.slots(step.node).size
        assert tree.window_length(step.node) == step.position + 1 - len(dropped)
        assert tree.window_length(step.node) <= SIZE
        assert not set(positions.tolist()) & set(dropped)
        assert positions[-1] == step.position - (tree.own_slot(step.node) is None)
    assert tree.slides(steps[-1].node) == slides
    assert tree.slides(steps[slides[0].node].parent) == []
    assert tree.slots(steps[-1].node).tolist() == session.sequence.slots.tolist()


@pytest.fixture
def chat(session: ModelSession) -> tuple[TemplatedPrompt, int]:
    """A short chat with a system message of its own, and how many tokens that is."""
    request = PromptRequest(text="Tell me a story.", chat=True, system=SystemChoice.CUSTOM, system_text="Be brief.")
    prompt = request.encoded(session.tokenizer, session.template)
    return prompt, request.system_tokens(session.tokenizer, session.template)


def test_the_system_prompt_is_still_there_after_slides_and_its_columns_are_the_old_ones(
    generation, session, chat
) -> None:
    prompt, kept = chat
    window = ContextWindow(size=40, when_full=WhenFull.SLIDE, keep_system=True)
    generation.begin(1, prompt, LONG, window, kept=kept)
    steps, slides, _ = steps_and_slides(generation)
    assert len(slides) > 2
    tree = generation.exploration
    text = [*prompt.ids, *ids(steps)]
    for slide in slides:
        assert slide.kept == kept
        assert tree.slots(slide.node)[:kept].tolist() == tree.prompt_slots[:kept]
    last = slides[-1]
    after = len(prompt.ids) + last.node + 1
    seen = [*text[:kept], *text[last.last + 1 : after]]
    assert session.tokenizer.decode(seen[:kept]) == "<|im_start|>system\nBe brief.<|im_end|>\n"
    generation.begin(2, plain_prompt(seen), DecodingSettings(max_tokens=len(text) - after))
    fresh, _, _ = steps_and_slides(generation)
    assert logits(fresh) == logits(steps[last.node + 1 :])


def test_a_kept_prompt_that_leaves_nothing_to_drop_ends_the_run(generation, session, chat) -> None:
    prompt, kept = chat
    generation.begin(1, prompt, LONG, ContextWindow(size=len(prompt.ids), when_full=WhenFull.SLIDE), kept=kept)
    assert isinstance(steps_and_slides(generation)[1][0], WindowSlid)
    generation.begin(
        2, prompt, LONG, ContextWindow(size=len(prompt.ids), when_full=WhenFull.SLIDE), kept=len(prompt.ids) - 2
    )
    assert steps_and_slides(generation) == ([], [], StopReason.CONTEXT_FULL)


@pytest.mark.parametrize(
    ("request_", "kept_text"),
    [
        (PromptRequest(text="Hi"), ""),
        (PromptRequest(text="Hi", chat=True, system=SystemChoice.NONE), ""),
        (
            PromptRequest(text="Hi", chat=True, system=SystemChoice.CUSTOM, system_text="Be brief."),
            "<|im_start|>system\nBe brief.<|im_end|>\n",
        ),
    ],
)
def test_the_system_message_is_what_stands_before_the_first_turn(session, request_, kept_text) -> None:
    prompt = request_.encoded(session.tokenizer, session.template)
    count = request_.system_tokens(session.tokenizer, session.template)
    assert session.tokenizer.decode(prompt.ids[:count]) == kept_text


def test_the_templates_own_system_message_is_found_too(session) -> None:
    request = PromptRequest(text="Hi", chat=True)
    prompt = request.encoded(session.tokenizer, session.template)
    count = request.system_tokens(session.tokenizer, session.template)
    assert session.tokenizer.decode(prompt.ids[:count]).endswith(f"{session.template.default_system}<|im_end|>\n")
    assert session.tokenizer.decode(prompt.ids[count:]).startswith("<|im_start|>user\nHi")


def test_a_prompt_that_fills_the_window_slides_before_its_first_token(generation, session) -> None:
    prompt = plain_prompt(story(session).ids[:1] * 4 + story(session).ids[:12])
    generation.begin(1, prompt, DecodingSettings(max_tokens=2), ContextWindow(size=16, when_full=WhenFull.SLIDE))
    steps, slides, _ = steps_and_slides(generation)
    assert [(slide.node, slide.first, slide.last, slide.prefilled) for slide in slides] == [(PROMPT_NODE, 0, 3, 12)]
    assert steps[0].source == slides[0].slots[-1]
    assert steps[0].position == 16
    generation.begin(2, plain_prompt(prompt.ids[4:]), DecodingSettings(max_tokens=2))
    assert logits(steps_and_slides(generation)[0]) == logits(steps)


def test_going_back_before_a_slide_and_forward_again_runs_nothing(generation, session) -> None:
    generation.begin(1, story(session), LONG, SLIDE)
    steps, slides, _ = steps_and_slides(generation)
    passed = generation.columns_bytes
    generation.go_to(steps[slides[0].node - 1].node)
    generation.resume(2, LONG)
    again = [generation.advance() for _ in range(12)]
    assert again == steps[slides[0].node : slides[0].node + 12]
    assert generation.columns_bytes == passed


def test_another_token_after_a_slide_shares_the_slide(generation, session) -> None:
    generation.begin(1, story(session), LONG, SLIDE)
    steps, slides, _ = steps_and_slides(generation)
    first = steps[slides[0].node + 1]  # the first token after the first slide
    other = first.candidates[1].token_id
    branch = generation.choose(2, first.parent, other)
    assert branch.source == first.source == slides[0].slots[-1]
    generation.resume(3, DecodingSettings(max_tokens=4))
    more, later, _ = steps_and_slides(generation)
    assert later == []
    tree = generation.exploration
    window = [tree.token_ids(branch.node)[position] for position in tree.positions(branch.node)]
    generation.begin(4, plain_prompt(window[:-1]), DecodingSettings(max_tokens=4))
    generation.advance()
    assert generation.choose(5, PROMPT_NODE, other).chosen_by is ChosenBy.PERSON
    generation.resume(6, DecodingSettings(max_tokens=4))
    assert logits(steps_and_slides(generation)[0]) == logits(more)


def test_a_branch_from_before_a_slide_slides_by_itself_and_the_other_goes_on_as_if_never_left(
    generation, session
) -> None:
    generation.begin(1, story(session), LONG, SLIDE)
    straight, _, _ = steps_and_slides(generation)
    generation.begin(2, story(session), DecodingSettings(max_tokens=45), SLIDE)
    steps, slides, _ = steps_and_slides(generation)
    before = steps[slides[0].node - 1]
    branch = generation.choose(3, before.parent, before.candidates[1].token_id)
    generation.resume(4, DecodingSettings(max_tokens=4))
    _, own, _ = steps_and_slides(generation)
    assert [(slide.first, slide.last) for slide in own] == [(slides[0].first, slides[0].last)]
    assert own[0].node > branch.node
    generation.go_to(steps[-1].node)
    generation.resume(5, DecodingSettings(max_tokens=15))
    rest, later, _ = steps_and_slides(generation)
    assert logits(rest) == logits(straight[45:])
    assert generation.exploration.slides(rest[-1].node) == [*slides, *later]
    assert len(later) > 1


def test_a_long_slide_goes_chunk_by_chunk_and_can_be_left_and_taken_up_again(generation, session) -> None:
    size = 2 * CHUNK
    many = np.random.default_rng(3).integers(100, 40_000, size).tolist()
    window = ContextWindow(size=size, when_full=WhenFull.SLIDE)
    few = DecodingSettings(max_tokens=2)
    generation.begin(1, plain_prompt(many), few, window)
    undisturbed, slides, _ = steps_and_slides(generation)
    generation.begin(2, plain_prompt(many), few, window)
    events = [generation.advance() for _ in range(3)]
    assert events[-1] == SlideProgress(run_id=2, done=CHUNK, total=slides[0].prefilled)
    tree = generation.exploration
    assert (tree.slides(tree.cursor), tree.slots(tree.cursor).tolist()) == ([], tree.prompt_slots)
    generation.hold()
    with pytest.raises(InterruptedStepError):
        generation.advance()
    generation.release()
    assert tree.slides(tree.cursor) == []
    generation.resume(3, few)
    steps, later, _ = steps_and_slides(generation)
    assert [(slide.first, slide.last, slide.prefilled) for slide in later] == [(0, size // 4 - 1, size * 3 // 4)]
    assert logits(steps) == logits(undisturbed)


def test_interrupts_at_random_moments_change_nothing_of_a_sliding_text(generation, session) -> None:
    generation.begin(1, story(session), LONG, SLIDE)
    undisturbed, _, _ = steps_and_slides(generation)
    generation.begin(2, story(session), LONG, SLIDE)
    done = threading.Event()

    def disturb() -> None:
        random = np.random.default_rng(2)
        while not done.wait(float(random.uniform(0.001, 0.12))):
            generation.interrupt()

    thread = threading.Thread(target=disturb)
    thread.start()
    steps: list[StepRecord] = []
    try:
        while len(steps) < len(undisturbed):
            try:
                event = generation.advance()
            except InterruptedStepError:
                continue
            if isinstance(event, StepRecord):
                steps.append(event)
    finally:
        done.set()
        thread.join()
    assert logits(steps) == logits(undisturbed)

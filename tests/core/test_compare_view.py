"""What is shown of two runs: sides that follow one another, prompts side by side, and one step of both."""

from dataclasses import replace
from pathlib import Path

import pytest

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import SettingsError
from canopy_desktop.exploration.compare import BesideRunner, step_pairs
from canopy_desktop.exploration.compare_view import (
    AROUND,
    LONGEST,
    PAIRS,
    PairedToken,
    SideChoice,
    SideReading,
    SideWish,
    paired_prompt,
    paired_steps,
    step_picture,
)
from canopy_desktop.exploration.compared import ComparedRun
from canopy_desktop.exploration.prompt import PromptRequest, Turn
from canopy_desktop.exploration.records import RunFinished, StepRecord
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.model.tokenizer import Token
from tests.core import tiny

SETTINGS = DecodingSettings(temperature=0.9, top_k=20, max_tokens=4, seed=5)
WINDOW = SideWish(request=PromptRequest(text="the cat", chat=True, history=(Turn("a", "b"),)), settings=SETTINGS)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ModelSession:
    """A tiny model with a context of 48."""
    return ModelSession.open(Bundle.open(tiny.build(tmp_path_factory.mktemp("models"))), ProviderChoice.CPU)


def reading(session: ModelSession, text: str, settings: DecodingSettings = SETTINGS) -> SideReading:
    events = BesideRunner(session).run(1, PromptRequest(text=text).encoded(session.tokenizer, None), settings)
    while True:
        try:
            next(events)
        except StopIteration as end:
            run: ComparedRun = end.value
            return SideReading(run, session.head, session.tokenizer)


def tokens(text: str) -> tuple[Token, ...]:
    return tuple(Token(ord(letter), letter, letter.encode(), False) for letter in text)


def written(pairs: tuple[PairedToken, ...]) -> list[str]:
    return [
        f"…{pair.gap}" if pair.gap else "".join(token.text if token else "_" for token in (pair.a, pair.b))
        for pair in pairs
    ]


def test_a_side_follows_the_other_but_for_what_was_chosen() -> None:
    assert SideChoice().over(WINDOW) == WINDOW
    chosen = SideChoice(text="a dog", history=False, changes={"seed": 9}, model=Path("other")).over(WINDOW)
    assert chosen.request == replace(WINDOW.request, text="a dog", with_history=False)
    assert chosen.settings == replace(SETTINGS, seed=9)
    assert chosen.model == Path("other")


def test_facts_can_be_left_out_on_one_side() -> None:
    window = replace(WINDOW, request=replace(WINDOW.request, facts=("Cats purr.",)))
    assert SideChoice(facts=False).over(window).request == WINDOW.request


def test_settings_that_contradict_those_that_are_followed_are_refused() -> None:
    with pytest.raises(SettingsError):
        SideChoice(changes={"min_tokens": 9}).over(WINDOW)


def test_a_cut_on_greedy_settings_samples() -> None:
    greedy = replace(WINDOW, settings=DecodingSettings())
    assert SideChoice(changes={"top_k": 5}).over(greedy).settings == DecodingSettings(temperature=1.0, top_k=5)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_every_pair_to_begin_with_can_be_run(pair) -> None:
    a = pair.a.over(WINDOW)
    assert pair.b.over(a).settings.max_tokens == SETTINGS.max_tokens


def test_equal_prompts_need_no_picture() -> None:
    assert paired_prompt(tokens("abc"), tokens("abc")) == ()


def test_what_prompts_share_is_left_out_but_for_what_stands_around_the_difference() -> None:
    pairs = paired_prompt(tokens("0123456xyabcdef"), tokens("0123456zabcdef"))
    assert written(pairs) == ["…4", "44", "55", "66", "xz", "y_", "aa", "bb", "cc", "…3"]
    assert AROUND == 3


def test_a_single_token_is_not_left_out() -> None:
    assert written(paired_prompt(tokens("0123x"), tokens("0123z"))) == ["00", "11", "22", "33", "xz"]


def test_a_prompt_that_goes_on_where_the_other_ends_stands_against_nothing() -> None:
    assert written(paired_prompt(tokens("ab"), tokens("abc"))) == ["aa", "bb", "_c"]


def test_a_long_difference_is_cut() -> None:
    pairs = paired_prompt(tokens("a" * (LONGEST + 7)), ())
    assert (len(pairs), pairs[-1].gap) == (LONGEST + 1, 7)


def test_steps_stand_side_by_side_to_the_end_of_the_longer_text() -> None:
    pairs = paired_steps(tokens("ab"), tokens("xyz"))
    assert written(pairs) == ["ax", "by", "_z"]
    assert [pair.step for pair in pairs] == [0, 1, 2]
    assert [pair.same for pair in paired_steps(tokens("ab"), tokens("a"))] == [True, False]


def test_a_step_has_the_figures_that_it_was_chosen_with(session: ModelSession) -> None:
    a, b = reading(session, "the cat"), reading(session, "the dog")
    for place in range(4):
        picture = step_picture(a, b, place, same_vocabulary=True)
        for run, shares in ((a.run, [bar.a for bar in picture.bars]), (b.run, [bar.b for bar in picture.bars])):
            step = run.steps[place]
            row = [bar.token.id for bar in picture.bars].index(step.chosen.token_id)
            share = shares[row]
            assert share is not None
            assert share.final == step.chosen.probability
        for side, rest in (("a", picture.a_rest), ("b", picture.b_rest)):
            assert rest is not None
            assert rest.tokens == session.tokenizer.vocabulary_size - len(picture.bars)
            for form in ("raw", "final"):
                drawn = sum(getattr(getattr(bar, side), form) for bar in picture.bars)
                assert drawn + getattr(rest.share, form) == pytest.approx(1.0, abs=1e-9)


def test_a_step_is_as_far_apart_as_the_command_says(session: ModelSession) -> None:
    a, b = reading(session, "the cat"), reading(session, "the cat", replace(SETTINGS, temperature=1.4))
    for pair in step_pairs(a.run, b.run, (session.head, session.head), listed=3):
        picture = step_picture(a, b, pair.index - 1, same_vocabulary=True)
        assert (picture.raw, picture.final) == (pair.raw, pair.final)


def test_a_side_that_has_ended_has_no_bars(session: ModelSession) -> None:
    a, b = reading(session, "the cat"), reading(session, "the cat", replace(SETTINGS, max_tokens=2))
    picture = step_picture(a, b, 3, same_vocabulary=True)
    assert {bar.b for bar in picture.bars} == {None}
    assert (picture.b_rest, picture.raw, picture.final) == (None, None, None)
    assert all(bar.a is not None for bar in picture.bars)


def test_tokens_of_two_vocabularies_are_paired_by_their_bytes(session: ModelSession) -> None:
    a, b = reading(session, "the cat"), reading(session, "the dog")
    known, paired = (step_picture(a, b, 0, same_vocabulary=same) for same in (True, False))
    assert (paired.raw, paired.final) == (None, None)
    by_token = {bar.token.id: bar for bar in known.bars}
    both = [bar for bar in paired.bars if bar.token.id in by_token and bar.a is not None and bar.b is not None]
    assert both
    assert all(bar == by_token[bar.token.id] for bar in both)


def test_a_run_that_is_left_has_what_it_made(session: ModelSession) -> None:
    runner = BesideRunner(session)
    events = runner.run(1, PromptRequest(text="the cat").encoded(session.tokenizer, None), SETTINGS)
    made = []
    for event in events:
        assert not isinstance(event, RunFinished)
        if isinstance(event, StepRecord):
            made.append(event.chosen.token_id)
        if len(made) == 2:
            break
    left = runner.left(SETTINGS)
    assert (left.ids, left.reason) == (tuple(made), StopReason.CANCELLED)
    assert left.residuals.shape == (2, session.card.architecture.hidden)

"""The output filter at work in a run, over a model that writes the alphabet."""

from dataclasses import replace

import pytest

from canopy_desktop.decoding.output_filter import MAX_REDRAWS, FilterAction, FilterList, OutputFilter
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.answer import Answer, answer_of
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.records import RunFinished, StepRecord
from canopy_desktop.model.chat import encode_completion
from tests.support.scripted import ScriptedSession

EIGHT = DecodingSettings(max_tokens=8)


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


def filter_of(entries: str, action: FilterAction) -> OutputFilter:
    return OutputFilter(FilterList.parse(entries), action)


def began(
    session: ScriptedSession, output_filter: OutputFilter | None, settings: DecodingSettings = EIGHT
) -> Generation:
    generation = session.new_generation()
    generation.begin(1, encode_completion(session.tokenizer, "a"), settings, output_filter=output_filter)
    return generation


def run(generation: Generation) -> tuple[list[StepRecord], RunFinished]:
    steps: list[StepRecord] = []
    while not isinstance(event := generation.advance(), RunFinished):
        steps += [event] if isinstance(event, StepRecord) else []
    return steps, event


def answer(
    session: ScriptedSession, output_filter: OutputFilter | None, settings: DecodingSettings = EIGHT
) -> tuple[Answer, list[StepRecord], RunFinished]:
    steps, end = run(began(session, output_filter, settings))
    return answer_of(steps, end, settings, session.tokenizer), steps, end


def test_without_a_filter_nothing_is_said_of_one(session: ScriptedSession) -> None:
    told, steps, end = answer(session, None)
    assert (told.written, told.shown, told.hits) == ("bcdefghi", "bcdefghi", ())
    assert {step.guarding for step in steps} == {None}
    assert end.guarding is None


def test_a_filter_that_stops_ends_the_run_and_the_shown_text_before_the_hit(session: ScriptedSession) -> None:
    told, steps, end = answer(session, filter_of("/de/", FilterAction.STOP))
    assert (end.reason, told.written, told.shown) == (StopReason.FILTERED, "bcdef", "bc")
    guarding = steps[-1].guarding
    assert guarding is not None
    assert [(hit.text, hit.start, hit.end) for hit in guarding.hits] == [("de", 2, 4)]
    assert steps[-1].check.reason is StopReason.FILTERED


def test_a_masking_filter_covers_the_text_and_leaves_the_tokens_as_they_are(session: ScriptedSession) -> None:
    told, steps, end = answer(session, filter_of("/de/\n/hi/", FilterAction.MASK))
    assert (end.reason, told.written, told.shown) == (StopReason.MAX_TOKENS, "bcdefghi", "bc██fg██")
    assert end.guarding is not None
    assert [hit.text for hit in end.guarding.hits] == ["hi"]  # whole only because the text ends there
    assert [step.chosen.token_id for step in steps] == [step.chosen.token_id for step in answer(session, None)[1]]


def test_a_filter_that_redraws_rejects_the_token_that_completes_a_hit(session: ScriptedSession) -> None:
    told, steps, end = answer(session, filter_of("/de/", FilterAction.REDRAW))
    assert (told.written, told.shown, end.reason) == ("bcdffghi", "bcdffghi", StopReason.MAX_TOKENS)
    guarding = steps[3].guarding
    assert guarding is not None
    assert [session.tokenizer.token(rejection.token_id).text for rejection in guarding.rejected] == ["e"]
    assert all(not step.guarding.rejected for step in steps if step is not steps[3] and step.guarding)


def test_a_redraw_takes_the_number_of_the_next_attempt(session: ScriptedSession) -> None:
    hot = replace(EIGHT, temperature=0.5, seed=3)
    steps, _ = run(began(session, filter_of("/[c-z]/", FilterAction.REDRAW), hot))
    guarding = steps[0].guarding
    free, _ = run(began(session, None, hot))
    assert guarding is not None
    tried = [*(rejection.uniform for rejection in guarding.rejected), steps[0].uniform]
    assert tried[0] == free[0].uniform
    assert len(set(tried)) == len(tried)


def test_where_no_token_is_let_through_the_run_ends_and_says_which_were_tried(session: ScriptedSession) -> None:
    _, steps, end = answer(session, filter_of(r"/[\s\S]$/", FilterAction.REDRAW))
    assert (steps, end.reason) == ([], StopReason.FILTERED)
    assert end.guarding is not None
    assert len(end.guarding.rejected) == MAX_REDRAWS + 1
    one_left = replace(EIGHT, temperature=1.0, top_k=1)
    assert answer(session, filter_of("/b/", FilterAction.REDRAW), one_left)[2].reason is StopReason.FILTERED


def test_going_back_walks_what_the_same_filter_let_through_and_decides_anew_under_another(
    session: ScriptedSession,
) -> None:
    first = filter_of("/de/", FilterAction.REDRAW)
    generation = began(session, first)
    steps, _ = run(generation)
    generation.go_to(steps[1].node)
    passes = len(session.sequence.fed)
    generation.resume(2, EIGHT, filter_of("/de/", FilterAction.REDRAW))
    assert [generation.advance() for _ in range(3)] == steps[2:5]
    assert len(session.sequence.fed) == passes
    generation.go_to(steps[2].node)
    generation.resume(3, EIGHT, None)
    other = generation.advance()
    assert isinstance(other, StepRecord)
    assert session.tokenizer.token(other.chosen.token_id).text == "e"


def test_the_filter_reads_what_was_written_before_the_run(session: ScriptedSession) -> None:
    generation = began(session, None, replace(EIGHT, max_tokens=3))
    run(generation)
    generation.resume(2, EIGHT, filter_of("/de/", FilterAction.REDRAW))
    record = generation.advance()
    assert isinstance(record, StepRecord)
    assert session.tokenizer.token(record.chosen.token_id).text == "f"


def test_a_token_that_a_person_chose_is_let_through_and_its_hit_is_told(session: ScriptedSession) -> None:
    generation = began(session, filter_of("/bx/", FilterAction.REDRAW))
    generation.advance()
    first = generation.advance()
    assert isinstance(first, StepRecord)
    record = generation.choose(2, first.node, session.tokenizer.encode("x").ids[0])
    assert record.guarding is not None
    assert [hit.text for hit in record.guarding.hits] == ["bx"]


def test_a_pattern_that_takes_too_long_is_left_out_and_told_once() -> None:
    session = ScriptedSession(script="a" * 60 + "!!!de")
    searched = filter_of("/de/\n/(a|aa)+$/", FilterAction.MASK)
    told, steps, _ = answer(session, searched, replace(EIGHT, max_tokens=65))
    failures = [failure for step in steps if step.guarding for failure in step.guarding.failures]
    assert [failure.line for failure in failures] == [2]
    assert told.written.endswith("!!!dea")
    assert told.shown.endswith("!!!██a")

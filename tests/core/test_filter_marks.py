"""Tokens that the output filter hit, found again from the spans in the records."""

from canopy_desktop.decoding.output_filter import FilterAction, FilterHit, FilterList, OutputFilter
from canopy_desktop.exploration.filter_marks import filter_marks, pending_guarding
from canopy_desktop.exploration.records import Candidate, Guarding, StepRecord
from tests.support.records import step_record

WORDS = FilterList.parse("secret\n")


def steps(texts: list[bytes], hits: dict[int, FilterHit]) -> list[StepRecord]:
    """A step for each text, which is also its id; hits by the step that completed them."""
    return [
        step_record(
            node=number,
            chosen=Candidate(number, 0.0, 0.0, 1.0),
            guarding=Guarding(OutputFilter(WORDS, FilterAction.MASK), hits=(hits[number],) if number in hits else ()),
        )
        for number, _ in enumerate(texts)
    ]


def hit(start: int, end: int, action: FilterAction = FilterAction.MASK) -> FilterHit:
    return FilterHit("secret", 1, start, end, "secret", action)


def test_a_hit_masks_its_own_characters_of_every_token_that_it_touches() -> None:
    texts = [b"a se", b"cr", b"et!", b" b"]
    marks = filter_marks(steps(texts, {3: hit(2, 8)}), lambda number: texts[number])
    assert {place: mark.shown for place, mark in marks.items()} == {0: "a ██", 1: "██", 2: "██!"}


def test_what_is_not_masked_is_marked_and_shown_as_it_is() -> None:
    texts = [b"se", b"cret"]
    marks = filter_marks(steps(texts, {1: hit(0, 6, FilterAction.STOP)}), lambda number: texts[number])
    assert [(mark.shown, mark.action) for mark in marks.values()] == [
        ("se", FilterAction.STOP), ("cret", FilterAction.STOP)
    ]  # fmt: skip


def test_spans_count_characters_and_not_bytes() -> None:
    texts = ["é".encode()[:1], "é".encode()[1:], b" secret"]
    marks = filter_marks(steps(texts, {2: hit(2, 8)}), lambda number: texts[number])
    assert {place: mark.shown for place, mark in marks.items()} == {2: " ██████"}


def test_what_is_a_hit_because_the_text_ends_is_marked_too() -> None:
    texts = [b"secret"]
    made = steps(texts, {})
    assert filter_marks(made, lambda number: texts[number]) == {}
    end = Guarding(OutputFilter(WORDS, FilterAction.MASK), hits=(hit(0, 6),))
    assert filter_marks(made, lambda number: texts[number], end)[0].shown == "██████"


def test_a_word_that_may_still_grow_is_masked_until_it_has() -> None:
    texts = [b"a ", b"secret", b"ary"]
    made = steps(texts, {})
    pending = pending_guarding(made[:2], lambda number: texts[number])
    assert filter_marks(made[:2], lambda number: texts[number], pending)[1].shown == "██████"
    assert pending_guarding(made, lambda number: texts[number]).hits == ()


def test_only_masking_hides_what_may_become_a_hit() -> None:
    output_filter = OutputFilter(WORDS, FilterAction.STOP)
    made = [step_record(chosen=Candidate(0, 0.0, 0.0, 1.0), guarding=Guarding(output_filter))]
    assert pending_guarding(made, lambda number: b"secret") is None
    assert pending_guarding([step_record()], lambda number: b"secret") is None

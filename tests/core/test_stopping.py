"""Whether a run goes on: stop texts in bytes, characters that are split, and what is checked."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import (
    ContinuationCheck,
    RunWatch,
    StopFound,
    StopReason,
    StopWatch,
    TextStream,
    answer_bytes,
)
from tests.support.records import GOES_ON

TEXTS = st.text(alphabet="ab€🙂\n", min_size=0, max_size=30)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[first:last] for first, last in itertools.pairwise(ends)]


def watched(stops: Sequence[str], tokens: Sequence[bytes], before: bytes = b"") -> tuple[int, StopFound | None]:
    """The number of tokens until a stop text was found, and what it was."""
    watch = StopWatch(DecodingSettings(stop=tuple(stops)), before)
    for count, token in enumerate(tokens, 1):
        if (found := watch.add(token)) is not None:
            return count, found
    return len(tokens), None


@given(TEXTS, st.lists(st.integers(0, 200), max_size=12), st.text(alphabet="ab€🙂\n", min_size=1, max_size=6))
def test_a_stop_text_is_found_wherever_tokens_are_cut(text: str, cuts: list[int], stop: str) -> None:
    data = text.encode()
    tokens = pieces(data, cuts)
    count, found = watched([stop], tokens)
    place = data.find(stop.encode())
    if place < 0:
        assert found is None
        return
    assert found == StopFound(stop, place, place + len(stop.encode()))
    assert len(b"".join(tokens[:count])) >= found.end  # not before it was whole
    assert len(b"".join(tokens[: count - 1])) < found.end  # and not a token later


def test_of_two_stop_texts_the_one_that_begins_first_counts_and_of_those_the_longer() -> None:
    assert watched(["c", "bc", "bcd"], [b"a", b"bcd"])[1] == StopFound("bcd", 1, 4)


def test_a_stop_text_may_begin_before_the_run_but_not_end_there() -> None:
    assert watched(["END"], [b"x", b"y"], before=b"The END") == (2, None)
    assert watched(["END"], [b"x", b"y"], before=b"The EN")[1] is None
    assert watched(["END"], [b"D!"], before=b"The EN") == (1, StopFound("END", 4, 7))


@given(TEXTS, st.lists(st.integers(0, 200), max_size=12))
def test_streamed_text_is_the_text_and_never_shows_a_broken_character(text: str, cuts: list[int]) -> None:
    stream, shown = TextStream(), ""
    for piece in pieces(text.encode(), cuts):
        expected = stream.preview(piece)
        shown += stream.add(piece)
        assert "\ufffd" not in stream.text
        assert text.startswith(stream.text)
        assert (stream.text, shown) == (expected, expected)
    assert (stream.text, stream.pending) == (text, b"")


def test_bytes_that_begin_no_character_are_shown_as_what_they_are() -> None:
    stream = TextStream(b"a\xe2\x82")
    assert (stream.text, stream.pending) == ("a", b"\xe2\x82")
    assert stream.add(b"x") == "\ufffdx"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"tokens": 32}, StopReason.MAX_TOKENS),
        ({"window_used": 100}, StopReason.CONTEXT_FULL),
        ({"window_used": 100, "slides": True}, None),
        ({"filtered": True, "tokens": 32}, StopReason.FILTERED),
        ({"stop": StopFound("x", 0, 1), "filtered": True}, StopReason.STOP_SEQUENCE),
        ({"end_token": True, "stop": StopFound("x", 0, 1)}, StopReason.END_TOKEN),
    ],
)
def test_the_first_that_holds_ends_the_run(changes: dict[str, object], reason: StopReason | None) -> None:
    facts = {name: getattr(GOES_ON, name) for name in GOES_ON.__slots__}
    assert ContinuationCheck(**(facts | changes)).reason is reason


def test_a_watch_counts_this_runs_tokens_and_knows_end_tokens() -> None:
    watch = RunWatch(DecodingSettings(max_tokens=2), (7,), b"before")
    room = {"window_used": 3, "window": 10, "slides": False}
    assert watch.after(1, b"a", **room).reason is None
    assert watch.after(7, b"", **room).reason is StopReason.END_TOKEN
    assert watch.after(1, b"b", **room).tokens == 3


def test_an_answer_leaves_out_the_end_token_and_the_stop_text_unless_it_is_kept() -> None:
    tokens = [b"one ", b"two", b" three"]
    facts = {name: getattr(GOES_ON, name) for name in GOES_ON.__slots__}
    stopped = ContinuationCheck(**(facts | {"stop": StopFound("wo t", 5, 9)}))
    ended = ContinuationCheck(**(facts | {"end_token": True}))
    assert answer_bytes(tokens, stopped, keep_stop=False) == b"one t"
    assert answer_bytes(tokens, stopped, keep_stop=True) == b"one two t"
    assert answer_bytes(tokens, ended, keep_stop=True) == b"one two"
    assert answer_bytes(tokens, None, keep_stop=False) == b"one two three"

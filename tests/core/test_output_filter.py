"""The output filter: what is a hit and when, what a hit does, and lists that are wrong or hostile."""

import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop import list_file
from canopy_desktop.decoding import output_filter
from canopy_desktop.decoding.output_filter import (
    MASK_SIGN,
    MAX_PATTERNS,
    REACH,
    FilterAction,
    FilterFailure,
    FilterHit,
    FilterList,
    OutputFilter,
    mask,
)
from canopy_desktop.errors import SettingsError, StorageError


def filter_of(*lines: str, action: FilterAction = FilterAction.STOP) -> OutputFilter:
    return OutputFilter(FilterList.parse("\n".join(lines), "list.txt"), action)


def written(searched: OutputFilter, *tokens: str) -> list[list[str]]:
    """The hits' text after each token, and after the end."""
    texts = ["".join(tokens[:count]) for count in range(len(tokens) + 1)]
    found = [[hit.text for hit in searched.check(before, after).hits] for before, after in pairwise(texts)]
    return [*found, [hit.text for hit in searched.check(texts[-1], texts[-1], final=True).hits]]


@pytest.mark.parametrize(
    ("tokens", "hits"),
    [
        (("the cat", " sat"), [[], ["cat"], []]),
        (("the cat", "egory"), [[], [], []]),
        (("the cat",), [[], ["cat"]]),
        (("the c", "at", "."), [[], [], ["cat"], []]),
        (("con", "cat", " it"), [[], [], [], []]),
        (("CAT! Cat?",), [["CAT", "Cat"], []]),
        (("cat_", "x"), [[], [], []]),
        (("cat", "'s"), [[], ["cat"], []]),
        (("", "cat ", "", ""), [[], ["cat"], [], [], []]),
        (("cat cat",), [["cat"], ["cat"]]),
    ],
)
def test_a_word_is_a_hit_as_soon_as_the_next_character_or_the_end_shows_it_whole(
    tokens: tuple[str, ...], hits: list[list[str]]
) -> None:
    assert written(filter_of("cat"), *tokens) == hits


@pytest.mark.parametrize(
    ("entry", "text", "hit"),
    [
        ("New York", "in new   york.", "new   york"),
        ("new york", "in New\nYork.", "New\nYork"),
        ("straße", "die STRASSE.", "STRASSE"),
        ("C++", "in c++ or", "c++"),
        ("ﬁsh", "a FISH.", "FISH"),
        (".net", "on asp.net.", ".net"),
        ("cafe\u0301", "a café.", "café"),
        ("/c.t/", "a cut.", "cut"),
        ("/(?i)c.t/", "a CUT.", "CUT"),
        (r"/\d{3}-\d{4}/", "call 555-0199 now", "555-0199"),
        ("/#/", "a #.", "#"),
    ],
)
def test_what_an_entry_finds(entry: str, text: str, hit: str) -> None:
    assert [found.text for found in filter_of(entry).check("", text).hits] == [hit]


@pytest.mark.parametrize(
    ("entry", "text"), [("York", "Yorkshire."), ("/c.t/", "a CUT."), ("/x*/", "abc."), ("a b", "ab.")]
)
def test_what_an_entry_does_not_find(entry: str, text: str) -> None:
    assert not filter_of(entry).check("", text, final=True).hits


def test_a_pattern_is_reported_at_the_length_at_which_it_is_seen_to_end() -> None:
    assert written(filter_of(r"/\d+/"), "in 19", "69", ", then") == [[], [], ["1969"], []]


def test_a_pattern_that_looks_behind_sees_what_stands_before_its_reach() -> None:
    text = "x" * REACH + "cat"
    assert not filter_of(r"/(?<!x)cat/").check(text, text + ".").hits
    assert filter_of(r"/(?<=x)cat/").check(text, text + ".").hits


def test_each_entry_that_matches_is_a_hit_of_its_own_with_its_line() -> None:
    hits = filter_of("# animals", "", "cat", "cat food", "/f.*d/").check("", "cat food!").hits
    assert hits == (
        FilterHit("cat", 3, 0, 3, "cat", FilterAction.STOP),
        FilterHit("cat food", 4, 0, 8, "cat food", FilterAction.STOP),
        FilterHit("/f.*d/", 5, 4, 8, "food", FilterAction.STOP),
    )


def test_a_hit_begins_and_ends_where_it_stands_in_a_long_text() -> None:
    before = "word " * 10_000
    (hit,) = filter_of("cat").check(before, before + "cat,").hits
    assert (hit.start, hit.end) == (50_000, 50_003)


@pytest.mark.parametrize(("distance", "found"), [(0, True), (1, False)])
def test_a_pattern_does_not_begin_further_back_than_its_reach(distance: int, found: bool) -> None:
    before = "a" + "x" * (REACH - 1 + distance)
    assert bool(filter_of("/ax+b/").check(before, before + "b.").hits) is found


def test_redrawing_takes_every_text_as_if_it_ended_there() -> None:
    searched = filter_of("cat", action=FilterAction.REDRAW)
    assert [hit.text for hit in searched.check("the", "the cat").hits] == ["cat"]
    assert not searched.check("the", "the category").hits


def test_redrawing_does_not_blame_a_token_for_a_word_that_stood_before_it() -> None:
    searched = filter_of("cat", action=FilterAction.REDRAW)
    assert not searched.check("the cat", "the cat sat").hits
    assert not searched.check("the cat", "the cat", final=True).hits
    assert [hit.start for hit in searched.check("the cat", "the cat, a cat").hits] == [11]


@given(
    pieces=st.lists(st.sampled_from(["cat", " ", "cat food", "egory", "s", ".", "12", "\n", "dog"]), max_size=12),
    entries=st.sets(st.sampled_from(["cat", "cat food", "dog", r"/\d+/", "/s/", "/[a-z]+/"]), min_size=1),
)
def test_however_the_text_comes_the_words_in_it_are_hit_once_each(pieces: list[str], entries: set[str]) -> None:
    searched = filter_of(*sorted(entries))
    texts = ["".join(pieces[:count]) for count in range(len(pieces) + 1)]
    hits = [hit for before, after in pairwise(texts) for hit in searched.check(before, after).hits]
    hits += searched.check(texts[-1], texts[-1], final=True).hits
    at_once = searched.check("", texts[-1], final=True).hits
    assert len(set(hits)) == len(hits)
    assert set(at_once) == set(hits)


def test_a_mask_has_a_block_for_each_character_and_leaves_the_rest() -> None:
    searched = filter_of("cat", "cat food", action=FilterAction.MASK)
    text = "my cat food, my cat: catalogue"
    hits = searched.check("", text).hits
    assert mask(text, hits) == f"my {MASK_SIGN * 8}, my {MASK_SIGN * 3}: catalogue"
    assert searched.shown(text, hits) == mask(text, hits)


def test_a_mask_covers_a_word_before_it_is_known_to_be_whole() -> None:
    searched = filter_of("cat", action=FilterAction.MASK)
    assert searched.shown("the cat", ()) == f"the {MASK_SIGN * 3}"
    assert searched.shown("the category", ()) == "the category"


def test_a_stop_shows_the_text_before_the_first_hit() -> None:
    searched = filter_of("cat", "dog")
    text = "a dog, a cat."
    assert searched.shown(text, searched.check("", text).hits) == "a "
    assert searched.shown("the category", ()) == "the category"


BAD_PATTERN = r"/(a|aa)+$/"


def test_a_pattern_that_takes_too_long_is_a_failure_and_the_others_are_still_searched_for() -> None:
    searched = filter_of("cat", BAD_PATTERN, r"/d.g/")
    text = "a dog, a cat, " + "a" * 200 + "!"
    found = searched.check("", text)
    assert [hit.text for hit in found.hits] == ["dog", "cat"]
    assert found.failures == (FilterFailure(BAD_PATTERN, 2, output_filter.SEARCH_SECONDS),)


def test_a_pattern_that_was_left_out_takes_no_time_any_more() -> None:
    searched = filter_of(BAD_PATTERN)
    text = "a" * 200 + "!"
    searched = searched.without(searched.check("", text).failures)
    started = time.thread_time()
    assert searched.check("", text).failures == ()
    assert time.thread_time() - started < output_filter.SEARCH_SECONDS / 2


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(?R)",
        r"(?:a?){50}a{20}x",
        r"(?p)(a|aa|aaa)+$",
        r"(?b)(?:aaaabaaaacaaaad){e<=9}",
        r"(a(?1)?b)",
        r"(.*)*\1x",
    ],
)
def test_a_hostile_pattern_ends_in_time(pattern: str) -> None:
    searched = filter_of(f"/{pattern}/")
    started = time.thread_time()
    searched.check("a" * 5000, "a" * 5000 + "!")
    assert time.thread_time() - started < 5 * output_filter.SEARCH_SECONDS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/(/", "missing )"),
        ("/[/", "unterminated"),
        ("//", "two slashes"),
        ("/abc", "two slashes"),
        ("/", "two slashes"),
        ("/((((a{100}){100}){100}){100})/", "repeats"),
        ("/a{1000000000}/", "repeats"),
        ("/(?x)a{ 1 0 0 0 0 }/", "repeats"),
        ("x" * 301, "301 characters"),
        ("a\0b", "control character"),
    ],
)
def test_a_line_that_cannot_be_used_is_one_sentence_with_its_number(line: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        FilterList.parse(f"# list\nfirst\n{line}\n", "list.txt")
    message = str(caught.value)
    assert message.startswith("list.txt, line 3, ")
    assert words in message
    assert "\n" not in message


def test_a_pattern_that_is_nested_deeper_than_the_stack_is_refused() -> None:
    def parse(frames: int) -> FilterList:
        return parse(frames - 1) if frames else FilterList.parse("/" + "(" * 140 + "a" + ")" * 140 + "/")

    with pytest.raises(SettingsError, match="nested"):
        parse(sys.getrecursionlimit() - 200)


def test_no_more_patterns_are_taken_than_can_be_searched_for_in_time() -> None:
    patterns = [f"/{number}/" for number in range(MAX_PATTERNS)]
    assert len(FilterList.parse("\n".join(patterns)).entries) == MAX_PATTERNS
    with pytest.raises(SettingsError, match="patterns"):
        FilterList.parse("\n".join([*patterns, "/one more/"]))


def test_the_longest_list_of_words_is_read_and_searched_for_in_time() -> None:
    line = "a " * 120
    started = time.thread_time()
    searched = filter_of(*(f"{line}{number}" for number in range(list_file.MAX_ENTRIES)))
    assert [hit.line for hit in searched.check(line * 20, f"{line * 20}7.").hits] == [8]
    assert time.thread_time() - started < 2


@pytest.mark.parametrize("data", [b"cat\r\ndog\r\n", b"\xef\xbb\xbfcat\ndog", b"cat\rdog\r", b"  cat\t\n\n# no\n  dog"])
def test_a_list_may_come_from_any_editor(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    assert [entry.text for entry in FilterList.read(path).entries] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", SettingsError, "no entry"),
        (b"# only a comment\n", SettingsError, "no entry"),
        (b"caf\xe9\n", StorageError, "UTF-8"),
        (b"\xff\xfec\0a\0t\0", StorageError, "UTF-8"),
        (b"x" * (list_file.MAX_BYTES + 1), StorageError, "KiB"),
        (b"x\n" * (list_file.MAX_ENTRIES + 1), SettingsError, "entries"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, data: bytes, kind: type[Exception], words: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    with pytest.raises(kind, match=words):
        FilterList.read(path)


def test_what_is_no_plain_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing", Path("a\0b")):
        with pytest.raises(StorageError):
            FilterList.read(path)

"""An output filter: a list of words and patterns that the written text is searched for, after each token.

It looks at text that is already there, so it comes after the draw. Banning a token comes before the draw: it takes the
token's probability away, but a word that other tokens can spell gets through. The filter sees the word however it is
spelled in tokens, but only once it has been written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import regex

from canopy_desktop.errors import SettingsError
from canopy_desktop.list_file import Entry, bad_line, parse_entries, read_entries

MAX_PATTERNS = 50
MAX_REPEATS = 1000  # {n} in a pattern, multiplied: the compiled form is that much longer
SEARCH_SECONDS = 0.05  # for one search for one pattern
REACH = 1000  # characters before the newest token in which a hit may begin
MAX_REDRAWS = 20  # tokens rejected at one position before the run stops
MASK_SIGN = "█"
WORD_SLACK = 100  # characters of space that a phrase may have in the text beyond those in the list

_REPEAT = regex.compile(r"\{([0-9]+)")


class FilterAction(Enum):
    """What a hit does."""

    STOP = "stop"  # the run ends, and the shown text ends where the hit begins
    MASK = "mask"  # the shown text has a block for each character; the model still sees its own token
    REDRAW = "redraw"  # the token that completed the hit is rejected, and another one is drawn


@dataclass(frozen=True, slots=True)
class FilterEntry:
    """A line of the list: a word or phrase, or a pattern."""

    line: int
    text: str  # as it stands in the list
    folded: str = field(default="", repr=False, compare=False)  # a word as it is compared
    pattern: regex.Pattern | None = field(default=None, repr=False, compare=False)


_Span = tuple[FilterEntry, int, int]  # an entry, and where it begins and ends in the text


@dataclass(frozen=True, slots=True)
class FilterHit:
    """A stretch of the text that an entry matches; `start` and `end` count its characters."""

    entry: str
    line: int
    start: int
    end: int
    text: str
    action: FilterAction


@dataclass(frozen=True, slots=True)
class FilterFailure:
    """A pattern that took longer than `seconds`; it is left out from then on."""

    entry: str
    line: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FilterCheck:
    """What one look at the text found: hits in the order of the text, and patterns that took too long."""

    hits: tuple[FilterHit, ...] = ()
    failures: tuple[FilterFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterList:
    """The entries of a list file.

    `/…/` is a regular expression, as written (`(?i)` at its beginning: in any case). Anything else is a word or phrase:
    it is found whole, in upper and lower case, with any space between its words.
    """

    name: str
    entries: tuple[FilterEntry, ...]
    _word_reach: int = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: Path) -> FilterList:
        """Read a file. Raises `StorageError` for the file, and `SettingsError` for what stands in it."""
        return cls._of(read_entries(path), path.name)

    @classmethod
    def parse(cls, text: str, name: str = "The list") -> FilterList:
        """Read text. Raises `SettingsError` that names the line."""
        return cls._of(parse_entries(text, name), name)

    @classmethod
    def _of(cls, lines: tuple[Entry, ...], name: str) -> FilterList:
        entries = tuple(_entry(line, name) for line in lines)
        if sum(entry.pattern is not None for entry in entries) > MAX_PATTERNS:
            raise SettingsError(name, f"has more than {MAX_PATTERNS} patterns: leave some out, or join them with |")
        return cls(name, entries, max(len(entry.folded) for entry in entries) + WORD_SLACK)

    def spans(self, text: str, since: int, without: frozenset[int]) -> tuple[set[_Span], tuple[FilterFailure, ...]]:
        """Where entries match in `text`, a stretch before `since` included, but for the lines in `without`.

        Also the patterns that took too long.
        """
        found: set[_Span] = set()
        failures: list[FilterFailure] = []
        folded = _Folded(text, max(0, since - self._word_reach))
        for entry in self.entries:
            if entry.pattern is None:
                found |= {(entry, *span) for span in folded.places_of(entry.folded)}
            elif entry.line not in without:
                try:
                    found |= {(entry, *span) for span in _matches(entry.pattern, text, max(0, since - REACH))}
                except TimeoutError:
                    failures.append(FilterFailure(entry.text, entry.line, SEARCH_SECONDS))
        return found, tuple(failures)


@dataclass(frozen=True, slots=True)
class OutputFilter:
    """A list, what a hit does, and the patterns that were left out because they took too long."""

    entries: FilterList
    action: FilterAction
    left_out: tuple[FilterFailure, ...] = ()

    def check(self, before: str, after: str, *, final: bool = False) -> FilterCheck:
        """The hits that the newest token completed; `after` is the written text with it, `before` the one without.

        A hit is complete when a later character shows that it does not go on, or at the end of the text (`final`):
        "cat" is no hit in "cat", which may become "category"; it is one in "cat." Re-drawing cannot wait for that,
        because by then another token would be rejected in its place: it takes every text as if it ended there. With
        `final` and no new text, hits are those that only the end completes. A pattern that looks ahead further than
        one character is taken as it looks now. What begins more than `REACH` characters before the newest token is
        not found.

        A pattern that takes longer than `SEARCH_SECONDS` is a failure; hand it to `without`.
        """
        redraws = self.action is FilterAction.REDRAW
        skipped = frozenset(failure.line for failure in self.left_out)
        found, failures = self.entries.spans(after, len(before), skipped)
        found = {span for span in found if final or redraws or span[2] < len(after)}
        if found:
            skipped |= {failure.line for failure in failures}
            known, late = self.entries.spans(before, len(before), skipped)
            found -= {span for span in known if redraws or span[2] < len(before)}
            failures += late
        return FilterCheck(tuple(self._hit(span, after) for span in sorted(found, key=_by_place)), failures)

    def without(self, failures: Iterable[FilterFailure]) -> OutputFilter:
        """The same filter without the patterns that took too long."""
        return replace(self, left_out=(*self.left_out, *failures))

    def shown(self, text: str, hits: Iterable[FilterHit]) -> str:
        """The written text as it is shown, given all hits in it.

        Masking also covers what would be a hit if the text ended here, so that no word is seen before it is whole.
        """
        match self.action:
            case FilterAction.STOP:
                return text[: min((hit.start for hit in hits), default=len(text))]
            case FilterAction.MASK:
                return mask(text, (*hits, *self.check(text, text, final=True).hits))
            case FilterAction.REDRAW:
                return text

    def _hit(self, span: _Span, text: str) -> FilterHit:
        entry, start, end = span
        return FilterHit(entry.text, entry.line, start, end, text[start:end], self.action)


def mask(text: str, hits: Iterable[FilterHit]) -> str:
    """`text` with a block for each character of a hit.

    Only what a person reads is masked: the model's own tokens stay in its context, and it goes on from them.
    """
    characters = list(text)
    for hit in hits:
        characters[hit.start : hit.end] = MASK_SIGN * (hit.end - hit.start)
    return "".join(characters)


def _entry(entry: Entry, name: str) -> FilterEntry:
    """Read one line of a list. Raises `SettingsError`."""
    if not entry.text.startswith("/"):
        return FilterEntry(entry.line, entry.text, folded=_Folded(entry.text).text)
    if len(entry.text) < 3 or not entry.text.endswith("/"):
        raise bad_line(name, entry.line, "begins with / and is no pattern: write it between two slashes")
    try:
        return FilterEntry(entry.line, entry.text, pattern=_compiled(entry.text[1:-1]))
    except ValueError as error:
        raise bad_line(name, entry.line, f"is no regular expression that can be used: {error}") from error


def _compiled(pattern: str) -> regex.Pattern:
    """Raises `ValueError` with the reason why a pattern cannot be used."""
    if math.prod(int(count) or 1 for count in _REPEAT.findall("".join(pattern.split()))) > MAX_REPEATS:
        raise ValueError(f"its repeats multiply to more than {MAX_REPEATS}")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class _Folded:
    """Text as words are compared: case folded, one space for any; and where each character stands in the original."""

    def __init__(self, text: str, start: int = 0) -> None:
        """Only what follows `start`, and one character before it to see whether a word begins there."""
        self._places: list[int] = []
        characters: list[str] = []
        for place in range(max(0, start - 1), len(text)):
            folded = " " if text[place].isspace() else text[place].casefold()
            if folded == " " and characters and characters[-1] == " ":
                continue
            characters += folded
            self._places += [place] * len(folded)
        self.text = "".join(characters)
        self._first = 1 if start else 0

    def places_of(self, word: str) -> Iterator[tuple[int, int]]:
        """Where a folded word stands in the original and no letter, digit or underscore makes it longer."""
        start = self.text.find(word, self._first)
        while start >= 0:
            end = start + len(word)
            if not (_joined(self.text[start - 1 : start + 1]) or _joined(self.text[end - 1 : end + 1])):
                yield self._places[start], self._places[end - 1] + 1
            start = self.text.find(word, start + 1)


def _joined(pair: str) -> bool:
    return len(pair) == 2 and all(character.isalnum() or character == "_" for character in pair)


def _matches(pattern: regex.Pattern, text: str, start: int) -> Iterator[tuple[int, int]]:
    """Spans that are not empty. Raises `TimeoutError` where that takes longer than `SEARCH_SECONDS`."""
    deadline = time.thread_time() + SEARCH_SECONDS
    for match in pattern.finditer(text, pos=start, timeout=SEARCH_SECONDS):
        if time.thread_time() > deadline:  # `timeout` is for each match anew
            raise TimeoutError
        if match.end() > match.start():
            yield match.span()


def _by_place(span: _Span) -> tuple[int, int, int]:
    entry, start, end = span
    return start, end, entry.line

"""What an English text says to somebody who only compares words: its sentences, and their names, numbers and words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

_LITTLE = """
a about above across after again against all along also although always am among an and another any are around as at
be because been before behind being below between both but by can could did do does doing done down during each either
else even ever every few for from further had has have having he her here hers him his how however i if in indeed into
is it its itself just least less like many may me might more most much must my of off often on once only onto or other
our out over own per quite rather really s same shall she should since so some still such than that the their them
then there these they this those though through throughout thus to together too toward under until up upon usually
very via was we well were what when where whether which while who whom whose why will with within would yes yet you
your
"""
LITTLE_WORDS = frozenset(_LITTLE.split())
NEGATIONS = frozenset(("cannot", "never", "no", "nobody", "none", "nor", "not", "nothing", "nowhere", "without"))
_NO_CONTENT = LITTLE_WORDS | NEGATIONS
_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""
_TENS = "thirty forty fifty sixty seventy eighty ninety"
SCALES = {"hundred": Decimal(10**2), "thousand": Decimal(10**3), "million": Decimal(10**6), "billion": Decimal(10**9)}
COUNTS = {
    **{word: Decimal(value) for value, word in enumerate(_NUMBERS.split())},
    **{word: Decimal(10 * value) for value, word in enumerate(_TENS.split(), 3)},
    **SCALES,
}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth"
ORDINALS = {word: str(value) for value, word in enumerate(_ORDINALS.split(), 1)}

_CALENDAR = """
january february march april june july august september october november december
monday tuesday wednesday thursday friday saturday sunday
"""
CALENDAR = frozenset(_CALENDAR.split())

_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|vs|approx|ca|e\.g|i\.e)|(?<![\w'’])[A-Z]|^[ \t]*\d{1,2})\.$", re.MULTILINE
)
_LIST_SIGN = re.compile(r"\s*(?:[-*•]\s+|\d{1,2}[.)]\s+)?")
_TOKEN = re.compile(
    r"(?P<ordinal>\d+)(?:st|nd|rd|th)\b|(?P<number>\d+(?:[.,]\d+)*)|(?P<word>[^\W\d_][^\W_]*(?:['’][^\W\d_]+)?)",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CUT = re.compile(r",\s+(?=(?:but|which|who|whose|where|while|whereas|although|because|an?)\s)|;\s+", re.IGNORECASE)
_AFTER_PRONOUN = re.compile(rf"\s*(?:$|[^\w\s]|(?:{'|'.join(sorted(LITTLE_WORDS))})\b)", re.IGNORECASE)
_ENDING = re.compile(r"['’](?:s|d|m|ll|re|ve)$", re.IGNORECASE)
_NOT = re.compile(r"n['’]t$", re.IGNORECASE)
_NO_NEGATION = re.compile(r"^\W*no\s*[,:;–—]|\bnot\s+(?:the\s+)?(?:only|just)\b", re.IGNORECASE)  # "No, it is so"
_YEAR = re.compile(r"1\d{3}|20\d{2}")


class WordKind(Enum):
    """What a word can stand against: a name against a name, a year against a year."""

    PLAIN = "word"
    NAME = "name"
    NUMBER = "number"
    ORDINAL = "ordinal"
    YEAR = "year"
    CALENDAR = "calendar"  # a month or a day of the week


@dataclass(frozen=True, slots=True)
class Word:
    """A content word: `form` is compared, `written` is shown."""

    form: str
    written: str
    kind: WordKind


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence as its content words, each once, in their order."""

    words: dict[str, Word]  # by form
    negated: bool


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and where it stands in the text."""

    text: str
    start: int
    end: int


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text but for questions, which claim nothing, cut before ", but", ", which" and the like.

    A line's end is a sentence's end.
    """
    found: list[Sentence] = []
    start = 0
    for end in [*_ends(text), len(text)]:
        if sign := _LIST_SIGN.match(text, start, end):
            start = sign.end()
        sentence = text[start:end].rstrip()
        if sentence and not sentence.rstrip("\"'”’)]!.").endswith("?"):
            found += _parts(sentence, start)
        start = end
    return tuple(found)


def statement(sentence: str) -> Statement:
    """The content words of a sentence: without little words, plural endings and case; numbers in digits."""
    words: dict[str, Word] = {}
    for word in _words(sentence):
        words.setdefault(word.form, word)
    spoken = [match["word"] for match in _TOKEN.finditer(_NO_NEGATION.sub("", sentence)) if match["word"]]
    return Statement(words, any(word.casefold() in NEGATIONS or _NOT.search(word) for word in spoken))


def singular(word: str) -> str:
    """A word without its plural ending, in lower case: the S-stemmer (Harman 1991)."""
    word = word.casefold()
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word


def _ends(text: str) -> Iterator[int]:
    for match in _END.finditer(text):
        if not _ABBREVIATION.search(text, max(0, match.start() - 10), match.end()):
            yield match.end()


def _parts(sentence: str, start: int) -> Iterator[Sentence]:
    begin = 0
    for cut in _CUT.finditer(sentence):
        yield Sentence(sentence[begin : cut.start()], start + begin, start + cut.start())
        begin = cut.end()
    yield Sentence(sentence[begin:], start + begin, start + len(sentence))


def _words(sentence: str) -> Iterator[Word]:
    number: tuple[Decimal, str] | None = None  # waits for "thousand" and the like
    for match in _TOKEN.finditer(sentence):
        written = match.group()
        lower = written.casefold()
        if number is not None and lower in SCALES:
            number = number[0] * SCALES[lower], f"{number[1]} {written}"
            continue
        if number is not None:
            yield _number(*number)
            number = None
        if match["number"]:
            number = _value(written), written
        elif match["ordinal"] or lower in ORDINALS:
            yield Word(f"{match['ordinal'] or ORDINALS[lower]}.", written, WordKind.ORDINAL)
        elif lower == "one" and _AFTER_PRONOUN.match(sentence, match.end()):
            pass  # "one of the largest", "the red one"
        elif lower in COUNTS:
            number = COUNTS[lower], written
        elif not _NOT.search(written) and (plain := _ENDING.sub("", written)).casefold() not in _NO_CONTENT:
            yield Word(singular(plain), plain, _kind(plain))
    if number is not None:
        yield _number(*number)


def _kind(word: str) -> WordKind:
    if not word[0].isupper():
        return WordKind.PLAIN
    return WordKind.CALENDAR if word.casefold() in CALENDAR else WordKind.NAME


def _value(digits: str) -> Decimal:
    """A number as English writes it: commas between thousands; any other comma is a decimal point."""
    if _THOUSANDS.fullmatch(digits):
        return Decimal(digits.replace(",", ""))
    whole, *rest = re.split("[.,]", digits)
    return Decimal(f"{whole}.{''.join(rest) or 0}")


def _number(value: Decimal, written: str) -> Word:
    form = f"{value:f}"
    form = form.rstrip("0").rstrip(".") if "." in form else form
    return Word(form or "0", written, WordKind.YEAR if _YEAR.fullmatch(written) else WordKind.NUMBER)

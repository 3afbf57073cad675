"""Comparing an answer with facts, sentence by sentence, by a rule that one can follow with a pencil.

It compares words and knows nothing about the world. It does not see who does what to whom ("the Moon orbits the Earth"
and the reverse have the same words), other words for the same thing, units, or what "it" stands for; it takes every
fact for the only truth of its kind. docs/guardrails.md has examples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile

from canopy_desktop.exploration.content_words import Sentence, Statement, Word, WordKind, sentences, statement

ABOUT = 0.5  # a sentence must have more than this share of a fact's words to contradict it
ON_TOPIC = 1 / 3  # and the fact at least this share of the sentence's
OWN = 0.25  # share of its words that a sentence may have beside a whole fact
LEAST_SHARED = 2  # words

_SUPPORTED = (
    "Supported: the fact has every word of the sentence, or the sentence has every word of the fact and at most a "
    "quarter of its own words beside, no name, number or date among them."
)
_CONTRADICTED = (
    "Contradicted: the sentence has more than half of the fact's words, these are at least a third of its own, and it "
    "has a name, number or date that the fact lacks, where the fact has another. Or it would be supported, but only "
    "one of the two says not, no or never."
)
_COMPARED = (
    "Content words are compared: without little words, capitals and plural endings, numbers in digits. A sentence is "
    "cut before “, but”, “, which” and the like."
)
_ABOUT = (
    "A sentence is about a fact if it shares two words with it, one of them what the fact begins with (of a name, any "
    "word)."
)
RULE = (
    _COMPARED,
    _ABOUT,
    _SUPPORTED,
    _CONTRADICTED,
    "Unknown: anything else. Questions are left out.",
)


class Verdict(Enum):
    """What the facts say of a sentence."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a facts file."""

    line: int
    text: str
    statement: Statement = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaim:
    """A sentence of the answer, and how it compares with the fact that decided, or else with the nearest one."""

    sentence: Sentence
    own: tuple[str, ...]  # words that the fact lacks, as the sentence writes them
    verdict: Verdict = Verdict.UNKNOWN
    fact: Fact | None = None  # None: no fact shares a word with it
    shared: tuple[str, ...] = ()  # words of both
    lacking: tuple[str, ...] = ()  # words of the fact that the sentence lacks
    against: tuple[tuple[str, str], ...] = ()  # values of the same kind: (the sentence's, the fact's)
    only_one_negated: bool = False

    @property
    def share_of_fact(self) -> float:
        """How much of the fact the sentence has, 0 to 1."""
        return _share(len(self.shared), len(self.lacking))

    @property
    def share_of_sentence(self) -> float:
        """How much of the sentence the fact has, 0 to 1."""
        return _share(len(self.shared), len(self.own))


def check_answer(answer: str, facts: Iterable[Fact]) -> tuple[CheckedClaim, ...]:
    """Every sentence of `answer` that is no question, checked by `RULE`."""
    facts = tuple(facts)
    return tuple(_checked(sentence, facts) for sentence in sentences(answer))


def _checked(sentence: Sentence, facts: tuple[Fact, ...]) -> CheckedClaim:
    said = statement(sentence.text)
    compared = [_compared(sentence, said, fact) for fact in facts if said.words.keys() & fact.statement.words.keys()]
    decided = max(compared, key=_decides, default=None)
    return decided or CheckedClaim(sentence=sentence, own=tuple(word.written for word in said.words.values()))


def _decides(claim: CheckedClaim) -> tuple[bool, bool, float, float]:
    """Support comes before contradiction, then the nearest fact."""
    supported, contradicted = claim.verdict is Verdict.SUPPORTED, claim.verdict is Verdict.CONTRADICTED
    return supported, contradicted, claim.share_of_fact, claim.share_of_sentence


def _compared(sentence: Sentence, said: Statement, fact: Fact) -> CheckedClaim:
    known = fact.statement.words
    shared = [word for form, word in said.words.items() if form in known]
    own = [word for form, word in said.words.items() if form not in known]
    lacking = [word for form, word in known.items() if form not in said.words]
    against = _against(own, lacking)
    only_one_negated = said.negated is not fact.statement.negated
    if not _is_about(shared, fact):
        verdict = Verdict.UNKNOWN
    elif _says_the_same(shared, own, lacking):
        verdict = Verdict.CONTRADICTED if only_one_negated else Verdict.SUPPORTED
    elif against and not only_one_negated and _is_comparable(len(shared), len(own), len(lacking)):
        verdict = Verdict.CONTRADICTED
    else:
        verdict = Verdict.UNKNOWN
    return CheckedClaim(
        sentence=sentence,
        verdict=verdict,
        fact=fact,
        shared=tuple(word.written for word in shared),
        own=tuple(word.written for word in own),
        lacking=tuple(word.written for word in lacking),
        against=against,
        only_one_negated=only_one_negated,
    )


def _says_the_same(shared: list[Word], own: list[Word], lacking: list[Word]) -> bool:
    adds_little = not lacking and len(own) <= OWN * (len(shared) + len(own))
    return not own or (adds_little and all(word.kind is WordKind.PLAIN for word in own))


def _is_comparable(shared: int, own: int, lacking: int) -> bool:
    return _share(shared, lacking) > ABOUT and _share(shared, own) >= ON_TOPIC


def _is_about(shared: list[Word], fact: Fact) -> bool:
    first, *others = fact.statement.words.values()
    subject = {first.form}
    if first.kind is WordKind.NAME:
        subject |= {word.form for word in takewhile(lambda word: word.kind is WordKind.NAME, others)}
    return len(shared) >= LEAST_SHARED and any(word.form in subject for word in shared)


_VALUES = tuple(kind for kind in WordKind if kind is not WordKind.PLAIN)


def _against(own: list[Word], lacking: list[Word]) -> tuple[tuple[str, str], ...]:
    """Values of the same kind, the sentence's and the fact's, each kind's written together."""
    found = []
    for kind in _VALUES:
        ours = " ".join(word.written for word in own if word.kind is kind)
        theirs = " ".join(word.written for word in lacking if word.kind is kind)
        if ours and theirs:
            found.append((ours, theirs))
    return tuple(found)


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part else 0.0

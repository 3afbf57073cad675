"""A small file of facts, one a line: searched for what a prompt needs, and compared with an answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from canopy_desktop.exploration.content_words import statement
from canopy_desktop.exploration.fact_check import CheckedClaim, Fact, check_answer
from canopy_desktop.list_file import Entry, bad_line, parse_entries, read_entries

if TYPE_CHECKING:
    import bm25s

K1, B = 1.5, 0.75  # how soon a repeated word counts no more, and how much a long fact is held back


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A fact that a search found; `score` has no unit and orders the facts of one search."""

    fact: Fact
    score: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a file, at least one."""

    name: str
    facts: tuple[Fact, ...]
    _index: bm25s.BM25 = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: Path) -> Facts:
        """Read a file. Raises `StorageError` for the file, and `SettingsError` for what stands in it."""
        return cls._of(read_entries(path), path.name)

    @classmethod
    def parse(cls, text: str, name: str = "The list") -> Facts:
        """Read text. Raises `SettingsError` that names the line."""
        return cls._of(parse_entries(text, name), name)

    @classmethod
    def _of(cls, lines: tuple[Entry, ...], name: str) -> Facts:
        facts = tuple(Fact(line.line, line.text, statement(line.text)) for line in lines)
        for fact in facts:
            if not fact.statement.words:
                raise bad_line(name, fact.line, "says nothing that can be compared: write a whole sentence")
        import bm25s  # loading it takes as long as loading numpy: only who has facts waits for it

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it tells of every index that it builds
        index = bm25s.BM25(method="lucene", k1=K1, b=B, dtype="float64")
        index.index([list(fact.statement.words) for fact in facts], show_progress=False)
        return cls(name, facts, index)

    def search(self, query: str, count: int) -> tuple[FoundFact, ...]:
        """The `count` facts that fit `query` best, best first; fewer where no other shares a content word with it.

        BM25 (Robertson and Zaragoza 2009) as Lucene has it, over content words; of equal scores the earlier line first.
        """
        words = list(statement(query).words)
        if not words:
            return ()
        scores = self._index.get_scores(words)
        order = np.argsort(-scores, kind="stable")[:count]
        return tuple(FoundFact(self.facts[place], float(scores[place])) for place in order if scores[place] > 0)

    def check(self, answer: str) -> tuple[CheckedClaim, ...]:
        """Every sentence of `answer` that is no question, compared with the facts by `fact_check.RULE`."""
        return check_answer(answer, self.facts)

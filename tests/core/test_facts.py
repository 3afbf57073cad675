"""Facts: the file, and the search in it."""

import math
from pathlib import Path

import pytest

from canopy_desktop.errors import SettingsError, StorageError
from canopy_desktop.exploration.content_words import statement
from canopy_desktop.exploration.facts import K1, B, Facts

FACTS = """# Small
Canberra is the capital of Australia.
Paris is the capital of France.
Australia is a country and a continent.

The Moon orbits the Earth.
"""


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts.parse(FACTS, "facts.txt")


def test_facts_keep_the_number_of_their_line(facts: Facts) -> None:
    assert [fact.line for fact in facts.facts] == [2, 3, 4, 6]
    assert facts.facts[3].text == "The Moon orbits the Earth."


def bm25(query: str, texts: list[str]) -> list[float]:
    """Robertson and Zaragoza 2009, equation 3.15, with Lucene's idf and without its constant factor k1 + 1."""
    documents = [list(statement(text).words) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for word in statement(query).words:
            having = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            count = document.count(word)
            score += idf * count / (count + K1 * (1 - B + B * len(document) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize(
    "query", ["What is the capital of Australia?", "continents", "the MOON and the earth", "France"]
)
def test_scores_are_those_of_the_formula(facts: Facts, query: str) -> None:
    expected = bm25(query, [fact.text for fact in facts.facts])
    found = facts.search(query, 10)
    assert {hit.fact.line: hit.score for hit in found} == pytest.approx(
        {fact.line: score for fact, score in zip(facts.facts, expected, strict=True) if score > 0}
    )
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_the_best_fact_comes_first_and_no_more_come_than_asked_for(facts: Facts) -> None:
    assert [hit.fact.line for hit in facts.search("What is the capital of Australia?", 3)] == [2, 3, 4]
    assert [hit.fact.line for hit in facts.search("What is the capital of Australia?", 1)] == [2]


def test_of_equal_scores_the_earlier_line_comes_first() -> None:
    facts = Facts.parse("Mars is red.\nVenus is hot.\nMars is red.\nMars is cold.")
    assert [hit.fact.line for hit in facts.search("Mars", 4)] == [1, 3, 4]


@pytest.mark.parametrize("query", ["", "what is it?", "tea", "?!", "\0"])
def test_a_query_that_shares_no_word_finds_nothing(facts: Facts, query: str) -> None:
    assert facts.search(query, 5) == ()


def test_one_fact_is_enough() -> None:
    facts = Facts.parse("Mars has two moons.")
    assert [hit.fact.line for hit in facts.search("How many moons has Mars?", 5)] == [1]


def test_a_line_that_says_nothing_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        Facts.parse("Mars is red.\nIt is.\n", "facts.txt")
    assert str(caught.value).startswith("facts.txt, line 2, says nothing")


def test_facts_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "facts.txt"
    path.write_text(FACTS, encoding="utf-8")
    assert Facts.read(path) == Facts.parse(FACTS, "facts.txt")
    path.write_bytes(b"\xff")
    with pytest.raises(StorageError):
        Facts.read(path)

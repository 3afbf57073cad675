"""The checker's rule on sentences that were written by hand, its mistakes included."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.exploration.content_words import sentences, singular, statement
from canopy_desktop.exploration.fact_check import Verdict
from canopy_desktop.exploration.facts import Facts

FACTS = """
The capital of Australia is Canberra.
The capital of France is Paris.
The capital of Germany is Berlin.
The Eiffel Tower is 330 metres tall.
The Eiffel Tower was finished in 1889.
Mount Everest is 8,849 metres high.
The Solar System has eight planets.
Mars has two moons.
The Moon orbits the Earth.
The largest planet is Jupiter.
Jupiter is a gas giant.
The Sun is a star.
Water boils at 100 degrees Celsius at sea level.
Marie Curie was born in Warsaw in 1867.
Marie Curie won the Nobel Prize in Physics in 1903.
Marie Curie won the Nobel Prize in Chemistry in 1911.
Neil Armstrong first walked on the Moon in 1969.
Neil Armstrong flew with Apollo 11.
The first president of the United States was George Washington.
Marie Curie studied in Paris.
Tokyo is the capital of Japan.
The Great Wall of China is 21,196 kilometres long.
A spider has eight legs.
An insect has six legs.
The adult human skeleton has 206 bones.
The primary colours of paint are red, yellow and blue.
Light travels at about 300,000 kilometres per second.
Whales are not fish.
"""
SUPPORTED, CONTRADICTED, UNKNOWN = Verdict.SUPPORTED, Verdict.CONTRADICTED, Verdict.UNKNOWN

# What a careful reader of FACTS would say too.
AGREED = [
    ("The capital of Australia is Canberra.", SUPPORTED),
    ("Canberra is Australia's capital.", SUPPORTED),
    ("Canberra is the capital city of Australia.", SUPPORTED),
    ("the capital of australia is canberra", SUPPORTED),
    ("The capital of Australia is Sydney.", CONTRADICTED),
    ("Sydney is the capital of Australia.", CONTRADICTED),
    ("The capital city of Australia is Sydney on the coast.", CONTRADICTED),
    ("Sydney is not the capital of Australia.", UNKNOWN),
    ("Canberra is not the capital of Australia.", CONTRADICTED),
    ("Canberra isn't Australia's capital.", CONTRADICTED),
    ("Paris is the capital of Germany.", CONTRADICTED),
    ("Paris is a city in France.", UNKNOWN),
    ("Lyon is a city in France.", UNKNOWN),
    ("The capital of Germany is Berlin.", SUPPORTED),
    ("Jupiter is the largest planet.", SUPPORTED),
    ("The capital of Spain is Madrid.", UNKNOWN),
    ("Canberra, the capital of Australia, has 450,000 inhabitants.", UNKNOWN),
    ("The Eiffel Tower is 330 m tall.", UNKNOWN),
    ("The Eiffel Tower is 330 metres tall.", SUPPORTED),
    ("The Eiffel Tower is 300 metres tall.", CONTRADICTED),
    ("The Eiffel Tower has 1,665 steps.", UNKNOWN),
    ("The Eiffel Tower was finished in 1890.", CONTRADICTED),
    ("The Eiffel Tower was built by a bakery.", UNKNOWN),
    ("Mount Everest is 8849 metres high.", SUPPORTED),
    ("Mount Everest is 8,848 metres high.", CONTRADICTED),
    ("The Solar System has 8 planets.", SUPPORTED),
    ("There are nine planets in the Solar System.", CONTRADICTED),
    ("Mars has 2 moons.", SUPPORTED),
    ("Mars has one moon.", CONTRADICTED),
    ("Mars has no moons.", CONTRADICTED),
    ("It is not the only planet in our Solar System.", SUPPORTED),
    ("Marie Curie was never in Berlin.", UNKNOWN),
    ("Venus has two moons.", UNKNOWN),
    ("The Earth is orbited by the Moon.", UNKNOWN),
    ("The largest planet is Saturn.", CONTRADICTED),
    ("Saturn is the largest planet.", CONTRADICTED),
    ("Saturn is a gas giant.", UNKNOWN),
    ("The Sun is a planet.", UNKNOWN),
    ("Water boils at 90 degrees Celsius.", CONTRADICTED),
    ("Water boils at 100 degrees Celsius.", SUPPORTED),
    ("Water freezes at 100 degrees Celsius at sea level.", UNKNOWN),
    ("Marie Curie was born in Warsaw.", SUPPORTED),
    ("Marie Curie was born in Paris.", CONTRADICTED),
    ("Marie Curie was born in Warsaw and loved cats.", UNKNOWN),
    ("Albert Einstein was born in Ulm in 1879.", UNKNOWN),
    ("Marie Curie won the Nobel Prize in Chemistry in 1911.", SUPPORTED),
    ("Marie Curie won the Nobel Prize in Chemistry in 1912.", CONTRADICTED),
    ("Marie Curie won two Nobel Prizes.", UNKNOWN),
    ("Neil Armstrong walked on the Moon in 1969.", SUPPORTED),
    ("Neil Armstrong walked on the Moon in 1968.", CONTRADICTED),
    ("John Adams was the first president of the United States.", CONTRADICTED),
    ("Thomas Jefferson was the third president of the United States.", UNKNOWN),
    ("The Great Wall of China has ten thousand steps.", UNKNOWN),
    ("The Great Wall of China is one of the longest buildings.", UNKNOWN),
    ("Spiders have 8 legs.", SUPPORTED),
    ("Spiders have six legs.", CONTRADICTED),
    ("A dog has four legs.", UNKNOWN),
    ("Buzz Aldrin walked on the Moon in 1969.", UNKNOWN),
    ("Michael Collins flew with Apollo 11.", UNKNOWN),
    ("Everest is 8,848 metres high.", CONTRADICTED),
    ("Alcohol boils at 78 degrees Celsius at sea level.", UNKNOWN),
    ("Albert Einstein was born in Warsaw in 1879.", UNKNOWN),
    ("Light travels at about 300 thousand kilometres per second.", SUPPORTED),
    ("Light travels at 150,000 kilometres per second.", CONTRADICTED),
    ("Whales are fish.", CONTRADICTED),
    ("It has two moons.", UNKNOWN),
    ("The largest one is Saturn.", UNKNOWN),
    ("Neptune is the eighth planet in the Solar System.", UNKNOWN),
    ("The Eiffel Tower was finished in 1889 on a windy Sunday in March.", UNKNOWN),
    ("I like tea.", UNKNOWN),
    ("Canberra.", UNKNOWN),
]

# What a careful reader would not say: the mistakes that docs/guardrails.md names.
MISTAKES = [
    ("The Earth orbits the Moon.", SUPPORTED),  # who does what to whom
    ("Mars has not two but one moon.", UNKNOWN),  # what "not" belongs to
    ("Marie Curie studied in Warsaw.", CONTRADICTED),  # a fact need not be the only truth
    ("The Nobel Prize of 1903 made Marie Curie, Pierre Curie and Henri Becquerel of Paris known.", CONTRADICTED),
    ("It is 330 metres tall.", UNKNOWN),  # what "it" is
    ("Australia is governed from Canberra.", UNKNOWN),  # other words for the same
    ("The Eiffel Tower is 1,083 feet tall.", CONTRADICTED),  # units
    ("The primary colours of paint are red, green and blue.", UNKNOWN),  # a wrong word that is neither name nor number
    ("The human skeleton has 300 bones.", UNKNOWN),  # the fact begins with another word
    ("The capital of Japan is Kyoto.", UNKNOWN),  # a fact that begins with its value
    ("The biggest planet is Saturn.", UNKNOWN),
    ("The Eiffel Tower was finished before 1889.", SUPPORTED),  # little words that matter
]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts.parse(FACTS, "facts.txt")


@pytest.mark.parametrize(("sentence", "verdict"), AGREED + MISTAKES)
def test_the_verdict_on_a_sentence(facts: Facts, sentence: str, verdict: Verdict) -> None:
    (claim,) = facts.check(sentence)
    assert claim.verdict is verdict, claim


def test_the_table_has_every_verdict_often() -> None:
    assert all(sum(verdict is wanted for _, wanted in AGREED) >= 15 for verdict in Verdict)


def test_a_verdict_comes_with_the_fact_and_the_figures_that_made_it(facts: Facts) -> None:
    (claim,) = facts.check("The Eiffel Tower in Lyon is 300 metres tall.")
    assert claim.fact is not None
    assert (claim.fact.line, claim.fact.text) == (5, "The Eiffel Tower is 330 metres tall.")
    assert claim.shared == ("Eiffel", "Tower", "metres", "tall")
    assert (claim.own, claim.lacking, claim.against) == (("Lyon", "300"), ("330",), (("300", "330"),))
    assert (claim.share_of_fact, claim.share_of_sentence) == (4 / 5, 4 / 6)


def test_what_shares_no_word_with_any_fact_is_unknown_without_a_fact(facts: Facts) -> None:
    (claim,) = facts.check("I like tea.")
    assert claim.fact is None
    assert claim.own == ("tea",)
    assert (claim.share_of_fact, claim.share_of_sentence) == (0, 0)


def test_one_fact_that_supports_outweighs_another_that_contradicts(facts: Facts) -> None:
    (claim,) = facts.check("Marie Curie won the Nobel Prize in Chemistry in 1911.")
    assert claim.verdict is SUPPORTED
    assert facts.facts[15] == claim.fact


def test_every_fact_supports_itself(facts: Facts) -> None:
    for fact in facts.facts:
        (claim,) = facts.check(fact.text)
        assert (claim.verdict, claim.fact) == (SUPPORTED, fact)


def test_an_answer_is_checked_sentence_by_sentence_at_its_places(facts: Facts) -> None:
    answer = "Sure! Is it Sydney? No: the capital of Australia is Canberra.\nThe Solar System has nine planets"
    claims = facts.check(answer)
    assert [claim.verdict for claim in claims] == [UNKNOWN, SUPPORTED, CONTRADICTED]
    assert all(answer[claim.sentence.start : claim.sentence.end] == claim.sentence.text for claim in claims)


def test_what_is_added_to_a_sentence_is_a_claim_of_its_own(facts: Facts) -> None:
    claims = facts.check(
        "The largest planet is Saturn, a cold place, but the largest planet isn't Mars, which has 2 moons."
    )
    assert [claim.verdict for claim in claims] == [CONTRADICTED, UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is 3.5 m. Dr. Curie and J. Smith agree. Yes!", ["It is 3.5 m.", "Dr. Curie and J. Smith agree.", "Yes!"]),
        ("1. Mars is red.\n2. Venus is hot.\n- The end", ["Mars is red.", "Venus is hot.", "The end"]),
        ('He said "Stop." Then he left...', ['He said "Stop."', "Then he left..."]),
        ("Is it? (Really?) Yes.", ["Yes."]),
        ("in the year 12. Then", ["in the year 12.", "Then"]),
        (
            "It is big, but not red, which is odd; red, white, and blue.",
            ["It is big", "but not red", "which is odd", "red, white, and blue."],
        ),
        (" \n\n ", []),
    ],
)
def test_where_sentences_end(text: str, found: list[str]) -> None:
    assert [sentence.text for sentence in sentences(text)] == found


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("The cities' boxes of Jesus", {"city": "word", "boxe": "word", "jesus": "name"}),
        ("1,000.50 or 2,5 or 1000", {"1000.5": "number", "2.5": "number", "1000": "year"}),
        ("1,969 m in 1969", {"1969": "number", "m": "word"}),
        ("two hundred of 1.5 million", {"200": "number", "1500000": "number"}),
        ("the 2nd, the second", {"2.": "ordinal"}),
        ("one of many, the red one.", {"red": "word"}),
        ("one moon in July", {"1": "number", "moon": "word", "july": "calendar"}),
        ("O’Brien's H2O isn't 330m", {"o’brien": "name", "h2o": "name", "330": "number", "m": "word"}),
    ],
)
def test_the_forms_in_which_words_are_compared(text: str, forms: dict[str, str]) -> None:
    assert {word.form: word.kind.value for word in statement(text).words.values()} == forms


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("It is not so", True),
        ("It isn’t", True),
        ("NEVER", True),
        ("Not only he", False),
        ("No, it is so", False),
        ("It's not the only one", False),
        ("a knot", False),
    ],
)
def test_what_counts_as_a_negation(text: str, negated: bool) -> None:
    assert statement(text).negated is negated


def test_the_plural_ending_is_taken_off_by_the_rules_of_the_s_stemmer() -> None:
    pairs = [
        ("bodies", "body"),
        ("planes", "plane"),
        ("goes", "goe"),
        ("moons", "moon"),
        ("glass", "glass"),
        ("virus", "virus"),
    ]
    assert [singular(word) for word, _ in pairs] == [form for _, form in pairs]


@given(st.text(st.sampled_from("aA1.,!? '\n-not"), max_size=80) | st.text(max_size=80))
def test_any_text_can_be_checked(text: str) -> None:
    claims = Facts.parse(FACTS).check(text)
    assert all(text[claim.sentence.start : claim.sentence.end] == claim.sentence.text for claim in claims)
    assert all(0 <= claim.share_of_fact <= 1 and 0 <= claim.share_of_sentence <= 1 for claim in claims)


def test_a_long_run_of_one_sign_takes_no_longer_than_its_length(facts: Facts) -> None:
    for text in (
        "." * 100_000,
        "\n" * 100_000,
        "1" * 100_000,
        "1," * 50_000,
        "a'" * 50_000,
        " " * 100_000,
        "not " * 25_000,
    ):
        started = time.thread_time()
        facts.check(text)
        assert time.thread_time() - started < 2, text[:5]

"""The example lists that come with the program, and the examples in docs/guardrails.md."""

import re
from pathlib import Path

import pytest

from canopy_desktop.decoding.output_filter import FilterAction, FilterList, OutputFilter
from canopy_desktop.exploration.fact_check import Verdict
from canopy_desktop.exploration.facts import Facts
from canopy_desktop.paths import resources


@pytest.mark.parametrize("path", sorted((resources() / "facts").iterdir()), ids=lambda path: path.name)
def test_example_facts_support_themselves_and_do_not_contradict_one_another(path: Path) -> None:
    facts = Facts.read(path)
    assert len(facts.facts) >= 10
    for fact in facts.facts:
        (claim,) = facts.check(fact.text)
        assert claim.verdict is Verdict.SUPPORTED
        others = Facts.parse("\n".join(other.text for other in facts.facts if other != fact))
        assert others.check(fact.text)[0].verdict is not Verdict.CONTRADICTED


def test_the_verdicts_in_the_documentation_are_the_rules() -> None:
    text = (Path(__file__).parents[2] / "docs" / "guardrails.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| ([A-Z][^|]+\.) \| ([A-Z][^|]+\.) \| (\w+) \|$", text, re.MULTILINE)
    assert len(rows) == 9
    assert [(sentence, Facts.parse(fact).check(sentence)[0].verdict.value) for fact, sentence, _ in rows] == [
        (sentence, verdict) for _, sentence, verdict in rows
    ]


def test_the_example_filter_finds_what_its_comments_promise() -> None:
    path = resources() / "filters" / "example.txt"
    searched = OutputFilter(FilterList.read(path), FilterAction.MASK)
    text = "Shut up! Go shut upstairs. Write to a.b@c.org or 555-0199 since 1969, STUPID."
    assert [hit.text for hit in searched.check("", text).hits] == ["Shut up", "a.b@c.org", "555-0199", "1969", "STUPID"]

"""`facts search` and `facts check`: a facts file without a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from canopy_desktop.commands.loading import in_range, read_text, valid_text
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.content_words import statement
from canopy_desktop.exploration.fact_check import RULE, CheckedClaim, Fact, Verdict
from canopy_desktop.exploration.facts import Facts
from canopy_desktop.list_file import MAX_ENTRIES

LONGEST_TEXT = 100_000  # bytes of an answer or a query, more than a context holds


def facts(arguments: argparse.Namespace) -> dict[str, Any]:
    """Search a file of facts, or compare an answer with it."""
    if arguments.action == "search":
        return search(arguments)
    answer = _text("ANSWER", arguments.answer)
    listed = Facts.read(Path(arguments.facts))
    return {"facts": listed.name, "answer": answer, **checked(listed, answer)}


def search(arguments: argparse.Namespace) -> dict[str, Any]:
    """The facts that fit a query best."""
    in_range("--count", arguments.count, 1, MAX_ENTRIES)
    query = _text("QUERY", arguments.query)
    listed = Facts.read(Path(arguments.facts))
    return {
        "facts": listed.name,
        "query": query,
        "words": [word.written for word in statement(query).words.values()],
        "results": [_fact(hit.fact) | {"score": hit.score} for hit in listed.search(query, arguments.count)],
    }


def checked(listed: Facts, answer: str) -> dict[str, Any]:
    """An answer compared with facts: the rule, every claim, and how many there are of each verdict."""
    claims = listed.check(answer)
    return {
        "rule": list(RULE),
        "claims": [_claim(claim) for claim in claims],
        "counts": {verdict.value: sum(claim.verdict is verdict for claim in claims) for verdict in Verdict},
    }


def _claim(claim: CheckedClaim) -> dict[str, Any]:
    return {
        "text": claim.sentence.text,
        "start": claim.sentence.start,
        "end": claim.sentence.end,
        "verdict": claim.verdict.value,
        "fact": None if claim.fact is None else _fact(claim.fact),
        "shared": list(claim.shared),
        "own": list(claim.own),
        "lacking": list(claim.lacking),
        "against": [{"sentence": ours, "fact": theirs} for ours, theirs in claim.against],
        "only_one_negated": claim.only_one_negated,
        "share_of_fact": claim.share_of_fact,
        "share_of_sentence": claim.share_of_sentence,
    }


def _fact(fact: Fact) -> dict[str, Any]:
    return {"line": fact.line, "text": fact.text}


def _text(name: str, given: str) -> str:
    """An argument, or standard input where it is "-". Raises `PromptError`, `StorageError` or `UsageError`."""
    text = read_text(name, Path(given), LONGEST_TEXT) if given == "-" else valid_text(given)
    if len(text.encode()) > LONGEST_TEXT:
        raise UsageError(f"{name} has more than {LONGEST_TEXT:,} bytes: shorten it.")
    return text

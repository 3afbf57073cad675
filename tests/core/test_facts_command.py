"""`facts search` and `facts check` on the command line."""

import io
import sys
from pathlib import Path

import pytest

from canopy_desktop import cli
from tests.core.command import Cli, assert_one_sentence, assert_record

FACTS = "# Capitals\nThe capital of Australia is Canberra.\nThe capital of France is Paris.\nMars has two moons.\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "facts.txt"
    path.write_text(FACTS, encoding="utf-8")
    return str(path)


def from_standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_search_lists_the_best_facts_with_line_and_score(command: Cli, file: str) -> None:
    found = command.json("facts", "search", "What is the capital of Australia?", "--facts", file, "--count", "2")
    assert_record(found, {"facts": str, "query": str, "words": list, "results": list})
    assert found["words"] == ["capital", "Australia"]
    assert [(hit["line"], hit["text"]) for hit in found["results"]] == [
        (2, "The capital of Australia is Canberra."),
        (3, "The capital of France is Paris."),
    ]
    assert found["results"][0]["score"] > found["results"][1]["score"] > 0


def test_a_check_has_the_rule_and_every_claim_with_its_figures(command: Cli, file: str) -> None:
    answer = "Canberra is the capital of Australia. Mars has nine moons."
    found = command.json("facts", "check", answer, "--facts", file)
    assert_record(found, {"facts": str, "answer": str, "rule": list, "claims": list, "counts": dict})
    assert found["counts"] == {"supported": 1, "contradicted": 1, "unknown": 0}
    wrong = found["claims"][1]
    assert answer[wrong["start"] : wrong["end"]] == wrong["text"] == "Mars has nine moons."
    assert wrong["fact"] == {"line": 4, "text": "Mars has two moons."}
    assert wrong["against"] == [{"sentence": "nine", "fact": "two"}]
    assert (wrong["shared"], wrong["own"], wrong["lacking"]) == (["Mars", "moons"], ["nine"], ["two"])
    assert (wrong["share_of_fact"], wrong["share_of_sentence"]) == (2 / 3, 2 / 3)


def test_an_answer_may_come_from_standard_input(command: Cli, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from_standard_input(monkeypatch, b"Mars has two moons.\n")
    assert command.json("facts", "check", "-", "--facts", file)["counts"]["supported"] == 1


def test_a_terminal_reads_verdict_fact_and_what_stands_against_what(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = "Mars has nine moons. Mars doesn't have two moons. I like tea."
    assert cli.main(["facts", "check", answer, "--facts", file]) == 0
    out = capsys.readouterr().out
    assert "contradicted  Mars has nine moons.\n" in out
    assert "line 4: Mars has two moons. (67 % of the fact's words, 67 % of the sentence's; nine against two)" in out
    assert "only one of the two says not" in out
    assert "unknown       I like tea.\n              no fact shares a word with it" in out
    assert out.endswith("0 supported, 2 contradicted, 1 unknown\n")
    assert cli.main(["facts", "search", "capital of France", "--facts", file, "--count", "1"]) == 0
    assert "line 3: The capital of France is Paris." in capsys.readouterr().out
    assert cli.main(["facts", "search", "tea", "--facts", file]) == 0
    assert "No fact shares" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("facts",),
        ("facts", "check", "Mars has two moons."),
        ("facts", "search", "Mars", "--facts", "FILE", "--count", "0"),
        ("facts", "search", "Mars", "--facts", "FILE", "--count", "1001"),
        ("facts", "check", "a" * 100_001, "--facts", "FILE"),
    ],
)
def test_wrong_use_is_one_sentence(file: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([file if part == "FILE" else part for part in arguments]) == 2
    assert_one_sentence(capsys.readouterr().err)


def test_a_file_that_cannot_be_used_is_one_sentence(command: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    assert command.refused("facts", "check", "Mars.", "--facts", str(empty))[0] == 2
    assert command.refused("facts", "check", "Mars.", "--facts", str(tmp_path / "missing.txt"))[0] == 1


def test_standard_input_that_is_no_text_is_refused(command: Cli, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from_standard_input(monkeypatch, b"\xff\xfe")
    assert command.refused("facts", "check", "-", "--facts", file)[0] == 2

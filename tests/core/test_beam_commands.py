"""`beams`: what it prints, and what it refuses."""

import re
from pathlib import Path

import pytest

from tests.core import tiny
from tests.core.command import Cli, assert_record

CANDIDATE = {
    "id": int,
    "text": str,
    "parent": int,
    "beam": int | None,
    "group": int,
    "logprob": float,
    "cumulative": float,
    "fate": str,
}


def test_beams_prints_the_best_texts_best_first(command: Cli) -> None:
    found = command.json("beams", "the cat", "--num-beams", "3", "--length-penalty", "0.5", "--max-tokens", "5")
    assert list(found) == ["model", "provider", "weights", "prompt_ids", "stop_reason", "sequences"]
    assert found["stop_reason"] in ("finished", "max_tokens")
    assert len(found["sequences"]) == 3
    for sequence in found["sequences"]:
        assert list(sequence) == ["ids", "text", "score", "finished"]
        assert 1 <= len(sequence["ids"]) <= 5
        assert sequence["finished"] is (sequence["ids"][-1] == 0)
    scores = [sequence["score"] for sequence in found["sequences"]]
    assert scores == sorted(scores, reverse=True)


def test_the_score_is_the_sum_of_log_probabilities_over_a_power_of_the_length(command: Cli) -> None:
    arguments = ("beams", "the cat", "--num-beams", "1", "--max-tokens", "4", "--ban", "#0", "--tree")
    sequence = command.json(*arguments)["sequences"][0]
    trace = command.json("trace", "the cat", "--max-tokens", "4", "--ban", "#0")
    assert sequence["ids"] == [step["token_id"] for step in trace["steps"]]
    total = sum(step["raw_logprob"] for step in trace["steps"])
    assert sequence["score"] == pytest.approx(total / 4, abs=1e-4)
    other = command.json(*arguments, "--length-penalty", "2")["sequences"][0]
    assert other["score"] == pytest.approx(total / 16, abs=1e-4)


def test_the_tree_leads_from_every_text_to_the_prompt(command: Cli) -> None:
    found = command.json("beams", "the cat", "--num-beams", "4", "--max-tokens", "6", "--tree")
    for number, step in enumerate(found["steps"], 1):
        assert list(step) == ["length", "candidates"]
        assert step["length"] == number
        for candidate in step["candidates"]:
            assert_record(candidate, CANDIDATE)
            assert candidate["fate"] in ("kept", "pruned", "finished")
    for sequence in found["sequences"]:
        ids, fate = sequence["ids"], "finished" if sequence["finished"] else "kept"
        total = sequence["score"] * len(ids)
        candidates = found["steps"][len(ids) - 1]["candidates"]
        (last,) = (
            c for c in candidates if c["id"] == ids[-1] and c["fate"] == fate and abs(c["cumulative"] - total) < 1e-9
        )
        way, parent = [last["id"]], last["parent"]
        for step in reversed(found["steps"][: len(ids) - 1]):
            (before,) = (c for c in step["candidates"] if c["beam"] == parent)
            way.append(before["id"])
            parent = before["parent"]
        assert way[::-1] == ids


def test_num_return_shortens_the_list_alone(command: Cli) -> None:
    arguments = ("beams", "the cat", "--max-tokens", "4")
    every = command.json(*arguments)["sequences"]
    assert command.json(*arguments, "--num-return", "2")["sequences"] == every[:2]


def test_sample_draws_and_so_do_the_sampling_flags(command: Cli) -> None:
    arguments = ("beams", "the cat", "--max-tokens", "4")
    drawn = command.json(*arguments, "--sample", "--seed", "3")
    assert drawn == command.json(*arguments, "--temperature", "1", "--seed", "3")
    assert drawn["sequences"] != command.json(*arguments, "--sample", "--seed", "4")["sequences"]
    assert drawn["sequences"] != command.json(*arguments)["sequences"]
    cut = command.json(*arguments, "--sample", "--top-k", "1", "--tree")
    assert [len(step["candidates"]) for step in cut["steps"]] == [1] * len(cut["steps"])


def test_groups_are_in_the_tree(command: Cli) -> None:
    arguments = ("--num-beams", "4", "--groups", "2", "--diversity", "2", "--max-tokens", "3", "--tree")
    found = command.json("beams", "the cat", *arguments)
    assert {candidate["group"] for step in found["steps"] for candidate in step["candidates"]} == {0, 1}


def test_a_chat_is_answered_and_its_end_token_is_no_text(real: Cli) -> None:
    found = real.json("beams", "Say hello.", "--chat", "--num-beams", "3", "--max-tokens", "48")
    assert found["stop_reason"] == "finished"
    assert "ello" in found["sequences"][0]["text"]
    for sequence in found["sequences"]:
        assert sequence["finished"]
        assert "<|im_end|>" not in sequence["text"]


def test_plain_text_shows_the_tree_and_the_texts(command: Cli, model: Path) -> None:
    status, out, err = command.run("beams", "the cat", "--max-tokens", "2", "--tree", "--model", str(model))
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "step 1"
    assert re.fullmatch(r"  kept +beam 0 → 0 +['\"].+['\"] +-\d+\.\d{3}  sum +-\d+\.\d{3}", lines[1])
    assert any(line.startswith("  pruned") for line in lines)
    assert lines[-1] == "stopped: max_tokens"
    assert re.fullmatch(r" +-\d\.\d{4}  (cut|finished) +['\"].+['\"]", lines[-2])


def test_a_prompt_that_leaves_room_for_two_tokens_says_that_the_context_is_full(command: Cli) -> None:
    prompt = "a" * (tiny.CONTEXT - 2)
    assert len(command.json("tokens", prompt)["tokens"]) == tiny.CONTEXT - 2
    found = command.json("beams", prompt)
    assert found["stop_reason"] == "context_full"
    assert {len(sequence["ids"]) for sequence in found["sequences"]} <= {1, 2}
    found = command.json("beams", "a" * tiny.CONTEXT)
    assert (found["stop_reason"], found["sequences"]) == ("context_full", [])


@pytest.mark.parametrize(
    "wrong",
    [
        ("--num-beams", "0"),
        ("--num-beams", "11"),
        ("--num-beams", "x"),
        ("--length-penalty", "nan"),
        ("--early-stopping", "soon"),
        ("--num-return", "5"),
        ("--groups", "3", "--diversity", "1"),
        ("--groups", "2"),
        ("--diversity", "1"),
        ("--sample", "--greedy"),
        ("--sample", "--temperature", "0"),
        ("--max-tokens", "0"),
    ],
)
def test_wrong_use_is_refused_before_a_model_is_looked_for(command: Cli, wrong: tuple[str, ...]) -> None:
    status, _ = command.refused("beams", "the cat", *wrong, model="nowhere")
    assert status == 2


def test_a_prompt_that_cannot_be_run_is_refused_with_its_lengths(command: Cli) -> None:
    assert command.refused("beams", "")[0] == 1
    status, err = command.refused("beams", "a" * (tiny.CONTEXT + 1))
    assert status == 1
    assert str(tiny.CONTEXT + 1) in err
    assert str(tiny.CONTEXT) in err

"""`draws` and `score` on the command line."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from canopy_desktop.decoding.frequencies import wilson_interval
from tests.core import tiny
from tests.core.command import Cli, assert_record
from tests.reference import fixtures

COUNTS = {"predicted": float, "count": int, "share": float, "low": float, "high": float}
DRAWS = {
    "model": str, "provider": str, "weights": str, "prompt_ids": list, "settings": dict, "count": int, "tokens": list,
    "other": dict, "chi_square": float, "degrees_of_freedom": int, "p_value": (float, type(None)),
}  # fmt: skip
CONTINUATION = {"draw": int, "ids": list, "text": str, "logprob": float, "stop_reason": str, "equal": int}
SCORE = {
    "model": str, "provider": str, "weights": str, "prompt_ids": list, "tokens": list, "sums": dict,
    "border": (dict, type(None)), "lost": list,
}  # fmt: skip
TOKEN = {
    "position": int, "id": int, "text": str, "logprob": float, "probability": float, "rank": int,
    "surprisal_bits": float, "entropy_bits": float, "likeliest": dict,
}  # fmt: skip
SUMS = {"tokens": int, "logprob": float, "bits": float, "perplexity": float, "mean_rank": float}


def assert_counts_agree(found: Any) -> None:
    """Everything that is said about the counts says the same."""
    parts = [*found["tokens"], found["other"]]
    assert sum(part["count"] for part in parts) == found["count"]
    assert sum(part["predicted"] for part in parts) == pytest.approx(1)
    for part in parts:
        assert part["share"] == part["count"] / found["count"]
        assert (part["low"], part["high"]) == wilson_interval(part["count"], found["count"])
        assert part.pop("agrees") is (part["low"] <= part["predicted"] <= part["high"])
    for token in found["tokens"]:
        assert_record(token, {"id": int, "text": str} | COUNTS)
    assert_record(found["other"], {"tokens": int} | COUNTS)


# draws


def test_draws_have_their_keys_and_agree_with_themselves(command: Cli) -> None:
    found = command.json("draws", "the cat")
    assert_record(found, DRAWS)
    assert_counts_agree(found)
    assert (found["count"], len(found["tokens"])) == (100, 10)
    assert found["settings"]["temperature"] == 1.0
    assert found["other"]["tokens"] == len(tiny.TOKENS) - 10


def test_draws_of_a_length_tell_each_continuation_and_the_first_is_the_trace(command: Cli) -> None:
    flags = ("--temperature", "1.3", "--seed", "5", "--repetition-penalty", "1.2")
    found = command.json("draws", "the cat", "--count", "9", "--length", "7", *flags)
    assert_counts_agree(found)
    assert [one["draw"] for one in found["continuations"]] == list(range(9))
    for one in found["continuations"]:
        assert_record(one, CONTINUATION)
        assert one["logprob"] < 0
    firsts = [one["ids"][0] for one in found["continuations"]]
    assert [token["count"] for token in found["tokens"]] == [firsts.count(token["id"]) for token in found["tokens"]]
    assert found["distinct"] == len({tuple(one["ids"]) for one in found["continuations"]})
    trace = command.json("trace", "the cat", "--max-tokens", "7", *flags)
    first = found["continuations"][0]
    assert first["ids"] == [step["token_id"] for step in trace["steps"]]
    assert (first["text"], first["stop_reason"]) == (trace["text"], trace["stop_reason"])
    assert first["logprob"] == pytest.approx(sum(step["raw_logprob"] for step in trace["steps"]))


def test_draws_of_the_real_model_begin_as_its_trace_does(real: Cli) -> None:
    found = real.json("draws", "The capital of France is", "--count", "3", "--length", "6", "--seed", "1")
    trace = real.json(
        "trace", "The capital of France is", "--max-tokens", "6", "--seed", "1", "--temperature", "1", "--top", "1"
    )
    assert found["continuations"][0]["ids"] == [step["token_id"] for step in trace["steps"]]
    assert found["tokens"][0]["text"] == " Paris"
    assert found["tokens"][0]["predicted"] == pytest.approx(trace["steps"][0]["top"][0]["probability"])


def test_greedy_draws_are_certain_and_all_equal(command: Cli) -> None:
    found = command.json("draws", "the cat", "--greedy", "--count", "20", "--length", "4")
    assert [(token["predicted"], token["count"]) for token in found["tokens"]] == [(1.0, 20)]
    assert (found["chi_square"], found["degrees_of_freedom"], found["p_value"]) == (0.0, 0, None)
    assert found["distinct"] == 1
    assert {one["equal"] for one in found["continuations"]} == {20}


def test_a_files_settings_keep_their_temperature_and_a_cut_has_one(command: Cli, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"temperature": 0.25}))
    assert command.json("draws", "a", "--settings", str(path))["settings"]["temperature"] == 0.25
    found = command.json("draws", "a", "--top-k", "2")
    assert found["settings"]["temperature"] == 1.0
    assert found["other"]["tokens"] == 0
    assert len(found["tokens"]) == 2


def test_draws_of_a_chat_go_on_from_the_template(command: Cli) -> None:
    chat = ("--chat", "--system", "a", "--seed", "3")
    found = command.json("draws", "b", *chat, "--count", "2", "--length", "3")
    trace = command.json("trace", "b", *chat, "--max-tokens", "3", "--temperature", "1")
    assert found["prompt_ids"] == trace["prompt_ids"]
    assert found["continuations"][0]["ids"] == [step["token_id"] for step in trace["steps"]]


def test_draws_end_where_the_context_does(command: Cli) -> None:
    found = command.json("draws", "1" * (tiny.CONTEXT - 2), "--count", "3", "--length", "9")
    assert [(len(one["ids"]), one["stop_reason"]) for one in found["continuations"]] == [(2, "context_full")] * 3
    status, err = command.refused("draws", "1" * tiny.CONTEXT)
    assert (status, str(tiny.CONTEXT) in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--count", "0"), "--count"),
        (("--count", "201"), "1 to 200"),
        (("--length", "0"), "Maximum of tokens"),
        (("--top", "-1"), "--top"),
        (("--greedy", "--top-k", "3"), "--greedy"),
        (("--min-tokens", "4"), "Minimum of tokens"),
        (("--temperature", "nan"), "Temperature"),
    ],
)
def test_draws_that_cannot_be_are_refused_as_wrong_use(command: Cli, arguments: Sequence[str], named: str) -> None:
    status, err = command.refused("draws", "the cat", *arguments)
    assert status == 2
    assert named in err


# score


def test_a_score_has_its_keys_and_agrees_with_itself(command: Cli) -> None:
    found = command.json("score", "the cat", " the cat")
    assert_record(found, SCORE)
    assert_record(found["sums"], SUMS)
    first = len(found["prompt_ids"])
    assert [token["position"] for token in found["tokens"]] == list(range(first, first + len(found["tokens"])))
    for token in found["tokens"]:
        assert_record(token, TOKEN)
        assert_record(token["likeliest"], {"id": int, "text": str, "logprob": float})
        assert token["probability"] == pytest.approx(2 ** -token["surprisal_bits"])
        assert (token["rank"] == 1) == (token["likeliest"]["id"] == token["id"])
    sums, count = found["sums"], len(found["tokens"])
    assert sums["tokens"] == count
    assert sums["bits"] == pytest.approx(sum(token["surprisal_bits"] for token in found["tokens"]))
    assert sums["perplexity"] == pytest.approx(math.exp(-sums["logprob"] / count))
    assert sums["mean_rank"] == pytest.approx(sum(token["rank"] for token in found["tokens"]) / count)
    assert found["border"] is None


def test_the_first_token_of_a_whole_text_has_no_figures(command: Cli) -> None:
    found = command.json("score", "the cat")
    nothing, *others = found["tokens"]
    assert found["prompt_ids"] == []
    assert [key for key, value in nothing.items() if value is None] == list(TOKEN)[3:]
    assert others == command.json("score", "t", "he cat")["tokens"]
    alone = command.json("score", "t")
    assert (len(alone["tokens"]), alone["sums"]) == (1, None)


def test_a_score_finds_what_the_model_says_itself_likely(real: Cli) -> None:
    found = real.json("score", "The capital of France is", " Paris")
    said = real.json("trace", "The capital of France is", "--max-tokens", "1")["steps"][0]
    (token,) = found["tokens"]
    assert (token["id"], token["rank"], token["text"]) == (said["token_id"], 1, " Paris")
    assert token["logprob"] == pytest.approx(said["raw_logprob"], abs=0.2)  # a chunk of six rounds otherwise
    other = real.json("score", "The capital of France is", " London")["tokens"][0]
    assert other["likeliest"] == {"id": token["id"], "text": " Paris", "logprob": token["likeliest"]["logprob"]}
    assert other["surprisal_bits"] > 3 > token["surprisal_bits"]


def test_fp32_scores_on_the_command_line_are_those_of_transformers(
    capsys: pytest.CaptureFixture[str], built_fp32_model: Path
) -> None:
    reference, text = fixtures.scores("student"), fixtures.prompt_logits("student").text
    found = Cli(capsys, built_fp32_model).json("score", text)
    assert [token["id"] for token in found["tokens"]] == list(reference.ids)
    for token, logprob in zip(found["tokens"][1:], reference.logprobs.tolist(), strict=True):
        assert token["logprob"] == pytest.approx(logprob, abs=1e-3)
    assert found["sums"]["perplexity"] == pytest.approx(math.exp(-reference.logprobs.mean()), rel=1e-3)


def test_where_the_border_cuts_a_token_both_ways_are_told_and_can_be_scored(command: Cli) -> None:
    apart = command.json("score", "a t", "he")
    together = command.json("score", "a t", "he", "--together")
    assert [token["text"] for token in apart["tokens"]] == ["he"]
    assert [token["text"] for token in together["tokens"]] == [" the"]
    assert apart["border"] == together["border"]
    assert apart["border"]["position"] == 1
    assert [token["text"] for token in apart["border"]["apart"]] == [" t", "he"]
    assert [token["text"] for token in apart["border"]["together"]] == [" the"]
    assert together["prompt_ids"] == apart["prompt_ids"][:1]


def test_an_answer_in_a_chat_is_scored_after_the_template(command: Cli) -> None:
    chat = ("--chat", "--system", "a")
    found = command.json("score", "b", f"cc{tiny.END}", *chat)
    assert found["prompt_ids"] == command.json("trace", "b", *chat, "--max-tokens", "1")["prompt_ids"]
    assert [token["text"] for token in found["tokens"]] == ["c", "c", tiny.END]


def test_bytes_without_a_token_are_told_with_their_place_in_the_whole_text(real: Cli) -> None:
    found = real.json("score", "a\x04", "é\x06b")
    assert found["lost"] == [{"offset": 1, "byte": 4}, {"offset": 4, "byte": 6}]


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (("a", ""), 2, "continuation is empty"),
        (("a", "--together"), 2, "--together"),
        (("a", "b", "--chat", "--together"), 2, "--together"),
        (("a", "--chat"), 2, "--chat"),
        (("",), 1, "empty"),
        (("1" * 40, "2" * 9), 1, "49"),
        (("a", "b", "--system", "c"), 2, "--system"),
    ],
)
def test_texts_that_cannot_be_scored_are_refused(
    command: Cli, arguments: Sequence[str], status: int, named: str
) -> None:
    found, err = command.refused("score", *arguments)
    assert found == status
    assert named in err


def test_the_whole_context_can_be_scored(command: Cli) -> None:
    assert command.json("score", "1" * 40, "2" * 8)["sums"]["tokens"] == 8


# for people


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("draws", "the cat"), "100 draws"),
        (("draws", "the cat", "--count", "3", "--length", "3"), "3 different continuations"),
        (("draws", "the cat", "--greedy"), "one class"),
        (("draws", "the cat", "--top-k", "3", "--count", "60"), "degrees of freedom"),
        (("score", "the cat"), "nothing stands before it"),
        (("score", "a t", "he"), "' the' together"),
    ],
)
def test_draws_and_scores_speak_to_people(command: Cli, model: Path, arguments: Sequence[str], said: str) -> None:
    status, out, err = command.run(*arguments, "--model", str(model))
    assert (status, err) == (0, "")
    assert said in out

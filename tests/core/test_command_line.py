"""The command line keeps its contract: JSON keys and types, one sentence for an error, and the exit status."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canopy_desktop.commands.race import default_tokens
from tests.core import tiny
from tests.core.command import Cli, assert_one_sentence, assert_record
from tests.core.engine import log_softmax

ROOT = Path(__file__).resolve().parents[2]
NUMBER = (int, float)
NONE = type(None)
TOKEN = {"id": int, "text": str, "bytes": str}
CANDIDATE = {"id": int, "text": str, "logit": float, "raw_logprob": float, "probability": float}
STEP = {
    "position": int, "token_id": int, "text": str, "probability": float, "raw_logprob": float, "rank": int,
    "end_probability": float, "top": list, "ms": float,
    "rank_after": int, "surprisal_bits": float, "entropy_bits": float, "perplexity": float, "kept": int,
    "not_listed": dict, "stages": list, "draw": dict, "end": dict, "check": dict, "filter": NONE,
}  # fmt: skip
METRICS = {
    "ttft_ms": NUMBER, "tpot_ms_median": NUMBER, "tpot_ms_p95": NUMBER, "prefill_tokens_per_s": NUMBER, "kv_bytes": int,
}  # fmt: skip
TRACE = {
    "model": str, "provider": str, "weights": str, "prompt_ids": list, "prompt_parts": list, "context": int,
    "steps": list, "slides": list, "text": str, "stop_reason": str, "metrics": dict, "settings": dict, "filter": NONE,
    "fact_check": NONE,
}  # fmt: skip


def assert_steps_agree(found: Any) -> None:
    """Everything that a trace says about a step says the same."""
    first = len(found["prompt_ids"])
    assert [step["position"] for step in found["steps"]] == list(range(first, first + len(found["steps"])))
    for step in found["steps"]:
        assert_record(step, STEP)
        assert 0 <= step["end_probability"] <= 1
        assert 0 < step["probability"] <= 1 + 1e-12
        logits = [top["logit"] for top in step["top"]]
        assert logits == sorted(logits, reverse=True)
        assert len({top["id"] for top in step["top"]}) == len(step["top"])
        assert sum(math.exp(top["raw_logprob"]) for top in step["top"]) <= 1 + 1e-9
        assert sum(top["probability"] for top in step["top"]) <= 1 + 1e-9
        for top in step["top"]:
            assert_record(top, CANDIDATE)
            assert top["raw_logprob"] - top["logit"] == pytest.approx(
                step["top"][0]["raw_logprob"] - step["top"][0]["logit"], abs=1e-6
            )
        if step["rank"] <= len(step["top"]):
            chosen = step["top"][step["rank"] - 1]
            assert (chosen["id"], chosen["text"]) == (step["token_id"], step["text"])
            assert (chosen["raw_logprob"], chosen["probability"]) == (step["raw_logprob"], step["probability"])
        else:
            assert step["token_id"] not in [top["id"] for top in step["top"]]


# what a command prints


def test_tokens_have_ids_texts_and_bytes(command: Cli) -> None:
    found = command.json("tokens", f" the 1é{tiny.END}")
    assert_record(found, {"model": str, "tokens": list, "lost": list})
    for token in found["tokens"]:
        assert_record(token, TOKEN)
    assert bytes.fromhex("".join(token["bytes"] for token in found["tokens"])) == f" the 1é{tiny.END}".encode()
    assert found["tokens"][-1] == {"id": 0, "text": tiny.END, "bytes": tiny.END.encode().hex()}
    assert found["model"] == "tiny"


def test_tokens_of_nothing_are_none(command: Cli) -> None:
    assert command.json("tokens", "") == {"model": "tiny", "tokens": [], "lost": []}


def test_no_special_makes_special_token_text_plain(command: Cli) -> None:
    found = command.json("tokens", tiny.END, "--no-special")
    assert [token["text"] for token in found["tokens"]] == list(tiny.END)


def test_tokens_name_the_bytes_that_have_none(real: Cli) -> None:
    found = real.json("tokens", "a\x04é\x06")
    assert found["lost"] == [{"offset": 1, "byte": 4}, {"offset": 4, "byte": 6}]
    assert "".join(token["bytes"] for token in found["tokens"]) == "61c3a9"


def test_a_trace_has_its_keys_and_agrees_with_itself(command: Cli) -> None:
    found = command.json("trace", "the cat", "--max-tokens", "6")
    assert_record(found, TRACE)
    assert_record(found["metrics"], METRICS)
    assert_steps_agree(found)
    assert (found["provider"], found["weights"]) == ("cpu", "int8")
    assert all(len(step["top"]) == 5 for step in found["steps"])
    assert all((step["rank"], step["token_id"]) == (1, step["top"][0]["id"]) for step in found["steps"])
    written = "".join(step["text"] for step in found["steps"])
    assert found["text"] == written or "\ufffd" in written
    cached = len(found["prompt_ids"]) + len(found["steps"]) - 1
    assert found["metrics"]["kv_bytes"] == cached * 2 * tiny.LAYERS * tiny.KV_HEADS * tiny.HEAD_SIZE * 4


def test_a_trace_lists_the_whole_distribution_that_the_witness_computes(command: Cli) -> None:
    found = command.json("trace", "the cat", "--max-tokens", "1", "--top", "50")
    expected = log_softmax(tiny.forward(tiny.weights(), found["prompt_ids"]))[-1]
    assert max(abs(top["raw_logprob"] - expected[top["id"]]) for top in found["steps"][0]["top"]) < 0.5


def test_a_trace_of_one_token_has_null_for_the_time_between_tokens(command: Cli) -> None:
    metrics = command.json("trace", "the cat", "--max-tokens", "1")["metrics"]
    assert metrics["tpot_ms_median"] is None
    assert metrics["tpot_ms_p95"] is None
    assert metrics["ttft_ms"] > 0


def without_times(found: Any) -> Any:
    steps = [{key: value for key, value in step.items() if key != "ms"} for step in found["steps"]]
    return found | {"metrics": None, "steps": steps}


def test_the_same_seed_gives_the_same_trace_and_another_seed_another(command: Cli) -> None:
    sampled = ("trace", "the cat", "--max-tokens", "12", "--temperature", "1.5", "--top-p", "0.95", "--seed")
    one, again, other = (command.json(*sampled, seed) for seed in ("7", "7", "8"))
    assert without_times(one) == without_times(again)
    assert [step["token_id"] for step in one["steps"]] != [step["token_id"] for step in other["steps"]]
    assert_steps_agree(one)


@pytest.mark.parametrize("flags", [("--greedy",), ("--greedy", "--seed", "5"), ("--seed", "5"), ("--temperature", "0")])
def test_greedy_is_what_no_sampling_flag_gives(command: Cli, flags: Sequence[str]) -> None:
    plain = command.json("trace", "the cat", "--max-tokens", "5")
    found = command.json("trace", "the cat", "--max-tokens", "5", *flags)
    assert found.pop("settings")["temperature"] == plain.pop("settings")["temperature"] == 0
    assert without_times(found) == without_times(plain)


def test_top_k_leaves_that_many_probabilities_which_sum_to_one(command: Cli) -> None:
    found = command.json("trace", "the cat", "--max-tokens", "4", "--top-k", "3", "--top", "10")
    for step in found["steps"]:
        assert [top["probability"] > 0 for top in step["top"]] == [True] * 3 + [False] * 7
        assert sum(top["probability"] for top in step["top"]) == pytest.approx(1)
        assert step["rank"] <= 3


def test_attention_has_ragged_rows_that_sum_to_one(command: Cli) -> None:
    found = command.json("attention", "the cat sat")
    assert list(found) == ["ids", "attention"]
    assert (len(found["attention"]), len(found["attention"][0])) == (tiny.LAYERS, tiny.HEADS)
    for layer in found["attention"]:
        for head in layer:
            assert [len(row) for row in head] == list(range(1, len(found["ids"]) + 1))
            assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in head)
    one = command.json("attention", "the cat sat", "--layer", "1", "--head", "3")
    assert one == {"ids": found["ids"], "attention": found["attention"][1][3]}


def test_the_lens_goes_from_the_embedding_to_the_models_own_answer(command: Cli) -> None:
    found = command.json("lens", "the cat")
    assert list(found) == ["ids", "layers"]
    assert [layer["layer"] for layer in found["layers"]] == list(range(tiny.LAYERS + 1))
    for layer in found["layers"]:
        for top in layer["top"]:
            assert_record(top, {"id": int, "text": str, "logprob": float})
    answer = command.json("trace", "the cat", "--max-tokens", "1")["steps"][0]["top"]
    assert [(top["id"], top["logprob"]) for top in found["layers"][-1]["top"]] == [
        (top["id"], top["raw_logprob"]) for top in answer
    ]


def test_bench_measures_each_context_and_checks_what_was_kept(command: Cli) -> None:
    found = command.json("bench", "--contexts", "1,2,16")
    assert {"contexts", "memory_mb", "load_ms", "kept_bytes"} <= found.keys()
    assert [row["context"] for row in found["contexts"]] == [1, 2, 16]
    for row in found["contexts"]:
        assert_record(row, {"context": int, "ttft_ms": float, "tpot_ms": float})
    assert found["memory_mb"] > 0
    assert found["kept_bytes"] > 0


def test_bench_measures_concurrent_requests_when_it_is_asked_to(command: Cli) -> None:
    assert "throughput" not in command.json("bench", "--contexts", "2")
    found = command.json("bench", "--contexts", "2", "--concurrency", "1,3")["throughput"]
    assert [row["requests"] for row in found] == [1, 3]
    for row in found:
        assert_record(row, {"requests": int, "tokens_per_s": float})
        assert row["tokens_per_s"] > 0


RACE = {
    "model": str, "provider": str, "weights": str, "prompt_ids": list, "steps": list, "text": str, "stop_reason": str,
    "sums": dict, "cache": dict,
}  # fmt: skip
LAP = {"token_id": int, "ms": float, "difference": float}
CACHE = {
    "positions": int, "capacity": int, "predicted_bytes_per_position": int, "predicted_bytes": int, "used_bytes": int,
    "allocated_bytes": int, "layers": list,
}  # fmt: skip


def test_a_race_has_its_keys_and_agrees_with_itself(command: Cli) -> None:
    found = command.json("race", "the cat", "--max-tokens", "5")
    assert_record(found, RACE)
    assert_record(found["cache"], CACHE)
    first = len(found["prompt_ids"])
    assert [step["position"] for step in found["steps"]] == list(range(first, first + len(found["steps"])))
    for step in found["steps"]:
        for runner in ("without_cache", "refed", "cached"):
            assert_record(step[runner], LAP)
        assert step["token_id"] == step["without_cache"]["token_id"] == step["refed"]["token_id"]
        assert step["without_cache"]["difference"] == step["refed"]["difference"] == 0
    for runner, found_sum in found["sums"].items():
        assert found_sum["ms"] == pytest.approx(sum(step[runner]["ms"] for step in found["steps"][1:]))
    cache = found["cache"]
    assert cache["positions"] == first + len(found["steps"]) - 1
    assert cache["predicted_bytes"] == cache["used_bytes"] == sum(layer["used_bytes"] for layer in cache["layers"])
    assert len(cache["layers"]) == tiny.LAYERS


def test_a_race_is_shorter_after_a_long_prompt_unless_told_otherwise(real: Cli) -> None:
    assert [default_tokens(count) for count in (1, 250, 251, 2048, 4000, 4001, 8192)] == [32, 32, 31, 3, 2, 1, 1]
    found = real.json("race", "The capital of France is", "--max-tokens", "2")
    assert (len(found["steps"]), found["text"][:6]) == (2, " Paris")


def test_doctor_says_what_is_there(command: Cli) -> None:
    found = command.json("doctor")
    assert found["provider"] == "cpu"
    assert found["provider_reason"].endswith(".")
    assert found["model"]["problem"] is None
    assert found["libraries"]["numpy"] == np.__version__


def test_models_are_listed_verified_and_built_once(command: Cli, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(model.parent))
    listed = command.json("models", "list")
    assert listed["models"][0]["id"] == "tiny"
    assert listed["models"][0]["folder"] == str(model)
    assert command.json("models", "verify", "tiny")["models"] == [
        {"id": "tiny", "folder": str(model), "problem": None}
    ]  # fmt: skip


def test_verifying_a_broken_model_fails_and_says_why(
    command: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_MODELS", str(tmp_path))
    folder = tiny.build(tmp_path)
    (folder / "weights.bin").write_bytes(b"")
    status, out, err = command.run("models", "verify", "tiny", "--json")
    assert (status, err) == (1, "")
    assert "weights.bin has 0 bytes" in json.loads(out)["models"][0]["problem"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("tokens", "the"), ("trace", "the cat", "--max-tokens", "2"), ("attention", "the"), ("lens", "the"),
        ("trace", "the cat", "--context", "16", "--slide"),
        ("lens", "the cat", "--grid"), ("block", "the cat", "--query", "2", "--key", "0"), ("leave-out", "the cat"),
        ("inside", "the cat", "--position", "1", "--layer", "1", "--head", "0"),
        ("race", "the cat", "--max-tokens", "2"), ("bench", "--contexts", "2", "--concurrency", "2"),
        ("doctor",), ("models", "list"), ("models", "verify"),
    ],
)  # fmt: skip
def test_every_command_also_speaks_to_people(command: Cli, model: Path, arguments: Sequence[str]) -> None:
    status, out, err = command.run(*arguments, "--model", str(model))
    assert (status, err) == (0, "")
    assert out.strip()


# how a run ends


def test_an_end_token_ends_the_text_without_being_in_it(command: Cli, tmp_path: Path) -> None:
    sampled = ("trace", "the cat", "--max-tokens", "12", "--temperature", "3", "--seed", "1")
    ids = [step["token_id"] for step in command.json(*sampled)["steps"]]
    ending = tiny.build(tmp_path, tokenizer__ggml__eos_token_id=ids[5])
    found = json.loads(command.run(*sampled, "--json", "--model", str(ending))[1])
    assert [step["token_id"] for step in found["steps"]] == ids[: ids.index(ids[5]) + 1]
    assert found["stop_reason"] == "end_token"
    assert len(found["text"]) <= len(found["steps"]) - 1
    assert found["steps"][-1]["end_probability"] >= math.exp(found["steps"][-1]["raw_logprob"])


@pytest.mark.parametrize(("stop", "text"), [("is.", " Par"), ("ari", " P")])
def test_a_stop_text_is_found_across_tokens_and_inside_of_one_and_cut_or_kept(real: Cli, stop: str, text: str) -> None:
    arguments = ("trace", "The capital of France is", "--stop", "never", "--stop", stop)
    found, kept = real.json(*arguments), real.json(*arguments, "--keep-stop")
    assert (found["stop_reason"], found["text"], kept["text"]) == ("stop_sequence", text, text + stop)
    assert found["steps"][-1]["check"]["stop"] == stop


def test_a_filter_stops_masks_or_redraws_and_says_what_it_did(real: Cli, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# a comment\nparis\n")
    arguments = ("trace", "The capital of France is", "--max-tokens", "6", "--filter", str(listed))
    stopped = real.json(*arguments)
    assert (stopped["stop_reason"], stopped["text"], stopped["filter"]["written"]) == ("filtered", " ", " Paris.")
    masked = real.json(*arguments, "--filter-action", "mask")
    assert (masked["stop_reason"], masked["text"][:7]) == ("max_tokens", " █████.")
    hit = {"entry": "paris", "line": 2, "start": 1, "end": 6, "text": "Paris", "action": "mask"}
    assert masked["filter"]["hits"] == masked["steps"][1]["filter"]["hits"] == [hit]
    drawn = real.json(*arguments, "--filter-action", "redraw")
    assert [token["text"] for token in drawn["steps"][0]["filter"]["rejected"]] == [" Paris"]
    assert "Paris" not in drawn["text"]
    assert len(drawn["steps"]) == 6
    assert real.refused("trace", "a", "--filter-action", "mask")[0] == 2
    assert real.refused("trace", "a", "--filter", str(tmp_path / "none.txt"))[0] == 1


def test_an_answer_is_checked_against_facts(real: Cli, tmp_path: Path) -> None:
    facts = tmp_path / "facts.txt"
    facts.write_text("The capital of France is Lyon.\n")
    found = real.json("trace", "The capital of France is", "--max-tokens", "2", "--check", str(facts))["fact_check"]
    assert [claim["text"] for claim in found["claims"]] == ["Paris."]


def test_a_full_context_ends_the_run(command: Cli) -> None:
    for length in (tiny.CONTEXT - 1, tiny.CONTEXT):
        found = command.json("trace", "1" * length, "--max-tokens", "30")
        assert found["stop_reason"] == "context_full"
        assert len(found["prompt_ids"]) + len(found["steps"]) == tiny.CONTEXT


def test_a_small_window_ends_the_run_or_slides_and_says_what_was_dropped(command: Cli) -> None:
    arguments = ("trace", "1" * 14, "--max-tokens", "12")
    stopped = command.json(*arguments, "--context", "16")
    assert (stopped["stop_reason"], len(stopped["steps"]), stopped["slides"]) == ("context_full", 2, [])
    found = command.json(*arguments, "--context", "16", "--slide")
    assert_record(found, TRACE)
    assert_steps_agree(found)
    assert (found["stop_reason"], found["context"]) == ("max_tokens", 16)
    assert [step["check"]["reason"] for step in stopped["steps"]] == [None, "context_full"]
    run_alone = {"ms", "check"}
    for before, after in zip(stopped["steps"], found["steps"], strict=False):
        assert {key: before[key] for key in before.keys() - run_alone} == {
            key: after[key] for key in after.keys() - run_alone
        }
    for slide in found["slides"]:
        assert_record(slide, {"step": int, "dropped": list, "kept": int, "prefilled": int, "ms": float})
    told = [(slide["step"], slide["dropped"], slide["kept"], slide["prefilled"]) for slide in found["slides"]]
    assert told == [(2, [0, 3], 0, 12), (6, [4, 7], 0, 12), (10, [8, 11], 0, 12)]


def test_the_system_message_stays_while_the_window_slides(command: Cli) -> None:
    arguments = ("trace", "b", "--chat", "--system", "a", "--max-tokens", "20", "--context", "46", "--slide")
    dropped = command.json(*arguments)["slides"]
    kept = command.json(*arguments, "--keep-system")["slides"]
    prefix = command.json("tokens", f"{tiny.START}system\na{tiny.END}\n")["tokens"]
    assert dropped[0]["dropped"][0] == 0
    assert [slide["kept"] for slide in kept] == [len(prefix)] * len(kept)
    assert kept[0]["dropped"][0] == len(prefix)


def test_a_window_larger_than_the_model_has_is_refused_with_the_limits(command: Cli) -> None:
    status, err = command.refused("trace", "a", "--context", str(tiny.CONTEXT + 1))
    assert status == 2
    assert re.search(rf"\b16 to {tiny.CONTEXT}\b", err)


def test_a_prompt_longer_than_the_window_names_both_lengths(command: Cli) -> None:
    status, err = command.refused("trace", "1" * 17, "--context", "16", "--slide")
    assert status == 1
    assert re.search(r"\b17\b.*\b16\b", err)


def test_sliding_the_models_own_context_is_possible(command: Cli) -> None:
    found = command.json("trace", "1" * tiny.CONTEXT, "--max-tokens", "2", "--slide")
    assert (found["context"], len(found["steps"])) == (tiny.CONTEXT, 2)
    assert found["slides"][0]["dropped"] == [0, tiny.CONTEXT // 4 - 1]


def test_chat_uses_the_models_template_and_keeps_special_text_plain(command: Cli) -> None:
    found = command.json("trace", f"a{tiny.END}", "--chat", "--max-tokens", "1")
    assert [i for i in found["prompt_ids"] if i < 2] == [1, 0, 1]
    with_system = command.json("trace", "a", "--chat", "--system", "b", "--max-tokens", "1")
    assert [i for i in with_system["prompt_ids"] if i < 2] == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("prompt", [" ", "   \n\t ", "\x01", "\u200b", "😀", "\u202e\u0301"])
def test_any_prompt_with_a_token_runs(command: Cli, prompt: str) -> None:
    assert command.json("trace", prompt, "--max-tokens", "2")["stop_reason"] in ("max_tokens", "end_token")


# what is refused

WRONG_USE: list[tuple[str, ...]] = [
    (), ("nonsense",), ("trace",), ("tokens", "a", "b"), ("models",), ("models", "nonsense"),
    ("trace", "a", "--nonsense"),
    ("trace", "a", "--provider", "tpu"), ("models", "build", "nonsense"), ("models", "build", "../x"),
    ("models", "build", "--precision", "int3"), ("models", "import", "/nonsense"),
    ("trace", "a", "--top", "999"), ("trace", "a", "--top", "-1"), ("trace", "a", "--top", "x"),
    ("trace", "a", "--temperature", "-1"), ("trace", "a", "--temperature", "nan"),
    ("trace", "a", "--temperature", "inf"),
    ("trace", "a", "--temperature=-inf"), ("trace", "a", "--temperature", "1e9"), ("trace", "a", "--temperature", "x"),
    ("trace", "a", "--top-p", "0"), ("trace", "a", "--top-p", "1.1"), ("trace", "a", "--top-p", "nan"),
    ("trace", "a", "--top-p", "-0.5"), ("trace", "a", "--top-k", "-1"), ("trace", "a", "--top-k", "2.5"),
    ("trace", "a", "--max-tokens", "0"), ("trace", "a", "--max-tokens", "-5"), ("trace", "a", "--max-tokens", ""),
    ("trace", "a", "--seed", "-1"), ("trace", "a", "--seed", "1" + 30 * "0"), ("trace", "a", "--seed", "9" * 5000),
    ("trace", "a", "--stop", ""), ("trace", "a", "--system", "b"), ("trace", "a", "--greedy", "--temperature", "1"),
    ("trace", "a", "--greedy", "--top-k", "5"),
    ("trace", "a", "--context", "15"), ("trace", "a", "--context", "0"), ("trace", "a", "--context", "-64"),
    ("trace", "a", "--context", "x"), ("trace", "a", "--keep-system"),
    ("trace", "a", "--keep-system", "--context", "32"),
    ("attention", "a", "--layer", "0"), ("attention", "a", "--head", "0"),
    ("attention", "a", "--layer", "99", "--head", "0"),
    ("attention", "a", "--layer", "0", "--head", "99"), ("attention", "a", "--layer", "-1", "--head", "0"),
    ("lens", "a", "--top", "0"), ("lens", "a", "--top", "999999"),
    ("block", "the cat"), ("block", "the cat", "--query", "1"), ("block", "the cat", "--query", "", "--key", "0"),
    ("block", "the cat", "--query", "x", "--key", "0"), ("block", "the cat", "--query", "1", "--key", "0,"),
    ("block", "the cat", "--query", "99", "--key", "0"), ("block", "the cat", "--query", "1", "--key", "0,99"),
    ("block", "the cat", "--query", "-1", "--key", "0"), ("block", "the cat", "--query=-1", "--key", "0"),
    ("block", "the cat", "--query", "1", "--key", "0,1"), ("block", "the cat", "--query", "0", "--key", "0"),
    ("block", "the cat", "--query", "1", "--key", "2"), ("block", "the cat", "--query", "9" * 5000, "--key", "0"),
    ("block", "the cat", "--query", "1", "--key", "0", "--layer", "99"),
    ("block", "the cat", "--query", "1", "--key", "0", "--head", "-1"),
    ("block", "the cat", "--query", "1", "--key", "0", "--top", "0"),
    ("leave-out", "a"), ("leave-out", "the cat", "--position", "99"), ("leave-out", "the cat", "--position", "-1"),
    ("leave-out", "the cat", "--replace", ""), ("leave-out", "the cat", "--replace", "xyz"),
    ("inside", "the cat"), ("inside", "the cat", "--position", "0", "--layer", "0"),
    ("inside", "the cat", "--position", "99", "--layer", "0", "--head", "0"),
    ("inside", "the cat", "--position", "0", "--layer", "99", "--head", "0"),
    ("inside", "the cat", "--position", "0", "--layer", "0", "--head", "99"),
    ("inside", "the cat", "--position", "0", "--layer", "0", "--head", "0", "--without", "1"),
    ("bench", "--contexts", ""), ("bench", "--contexts", "a"), ("bench", "--contexts", "0"),
    ("bench", "--contexts", "-4"),
    ("bench", "--contexts", "1,,2"), ("bench", "--contexts", "1e3"), ("bench", "--contexts", "48"),
    ("race", "a", "--max-tokens", "0"), ("race", "a", "--max-tokens", "x"), ("race",),
    ("bench", "--concurrency", ""), ("bench", "--concurrency", "0"), ("bench", "--concurrency", "1,a"),
    ("bench", "--concurrency", "65"), ("bench", "--concurrency", "1,-2"),
    ("bench", "--contexts", "9" * 30), ("bench", "--contexts", "9" * 5000),
]  # fmt: skip

ONE_HEAD = ("--layer", "0", "--head", "0")


@pytest.mark.parametrize("arguments", WRONG_USE, ids=lambda arguments: " ".join(arguments)[:60])
def test_wrong_use_is_one_sentence_and_status_2(command: Cli, model: Path, arguments: Sequence[str]) -> None:
    status, out, err = command.run(*arguments, *(("--model", str(model)) if arguments[1:] else ()))
    assert (status, out) == (2, "")
    assert_one_sentence(err)


@pytest.mark.parametrize(
    "arguments", [arguments for arguments in WRONG_USE if arguments[:1] == ("trace",)], ids=lambda a: " ".join(a)[:60]
)
def test_a_setting_out_of_range_is_refused_before_a_model_is_looked_for(command: Cli, arguments: Sequence[str]) -> None:
    assert command.run(*arguments, *(("--model", "/nonsense") if arguments[1:] else ()))[0] == 2


def test_all_heads_of_a_long_text_are_refused_and_one_is_given(real: Cli) -> None:
    status, err = real.refused("attention", "1" * 257)
    assert status == 2
    assert "257" in err
    assert len(real.json("attention", "1" * 257, "--layer", "29", "--head", "8")["attention"]) == 257


def test_a_grid_or_leaving_out_every_token_of_a_long_text_is_refused(real: Cli) -> None:
    for arguments, length in ((("lens", "1" * 1025, "--grid"), 1025), (("leave-out", "1" * 201), 201)):
        status, err = real.refused(*arguments)
        assert status == 2
        assert str(length) in err


def test_an_empty_prompt_is_a_failure(command: Cli) -> None:
    cause = ("leave-out",), ("block", "--query", "1", "--key", "0"), ("inside", *("--position", "0"), *ONE_HEAD)
    for name, *flags in (("trace",), ("attention",), ("lens",), ("race",), *cause):
        status, err = command.refused(name, "", *flags)
        assert status == 1
        assert "0 tokens" in err


def test_a_prompt_longer_than_the_context_names_both_lengths(command: Cli) -> None:
    cause = ("leave-out",), ("block", "--query", "1", "--key", "0"), ("inside", *("--position", "0"), *ONE_HEAD)
    for name, *flags in (("trace",), ("lens",), ("attention",), ("race",), *cause):
        status, err = command.refused(name, "1" * (tiny.CONTEXT + 1), *flags)
        assert status == 1
        assert re.search(rf"\b{tiny.CONTEXT + 1}\b.*\b{tiny.CONTEXT}\b", err)


@pytest.mark.parametrize("name", ["tokens", "trace", "attention", "lens", "leave-out", "race"])
def test_text_that_is_no_text_is_a_failure(command: Cli, name: str) -> None:
    assert command.refused(name, "a\udcff")[0] == 1


@pytest.mark.parametrize("model_name", ["nonsense", "/nonsense", "..", "a\0b", "\udcff", "x" * 5000, "~", "a/../b"])
def test_a_model_that_is_not_there_is_a_failure(command: Cli, model_name: str) -> None:
    for arguments in (("tokens", "a"), ("models", "verify")):
        status, err = command.refused(*arguments, model=model_name)
        assert status == 1
        assert "models build" in err


@pytest.mark.parametrize("arguments", [("tokens", "a"), ("trace", "a"), ("lens", "a"), ("bench",)])
def test_a_broken_bundle_is_a_failure(command: Cli, tmp_path: Path, arguments: Sequence[str]) -> None:
    folder = tiny.build(tmp_path)
    (folder / "tokenizer.json").write_text("{}")
    status, err = command.refused(*arguments, model=str(folder))
    assert status == 1
    assert "tokenizer.json" in err


def test_asking_for_cuda_where_it_is_not_used_is_said(model: Path) -> None:
    done = python("trace", "a", "--max-tokens", "1", "--json", "--provider", "cuda", "--model", str(model))
    assert json.loads(done.stdout)["provider"] in done.stderr.lower()
    assert done.stderr.count("\n") == 1


# a process of its own


def python(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "canopy_desktop", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60, encoding="utf-8", **options
    )


def test_a_terminal_that_knows_only_ascii_is_given_escapes_and_gives_bytes(model: Path) -> None:
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    for flags in ((), ("--json",)):
        done = python("tokens", "é 😀", *flags, "--model", str(model), env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()
        assert "c3" in done.stdout


def test_a_reader_that_goes_away_is_not_an_error(model: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-m", "canopy_desktop", "tokens", "x" * 100_000, "--model", str(model)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr is not None
    assert writer.stderr.read() == b""
    writer.stderr.close()
    writer.wait(30)


def test_a_result_that_cannot_be_written_is_one_sentence(model: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "canopy_desktop", "tokens", "a", "--model", str(model)],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert_one_sentence(done.stderr)


def test_invalid_bytes_as_an_argument_are_one_sentence(model: Path) -> None:
    command = [sys.executable, "-m", "canopy_desktop", "tokens", b"\xff\xfe", "--model", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_sentence(done.stderr)


@pytest.mark.parametrize("home", ["/proc/nonsense", "/dev/null"])
def test_a_home_that_cannot_be_written_does_not_matter(home: str, model: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | {"HOME": home}
    done = python("trace", "a", "--max-tokens", "1", "--json", "--model", str(model), env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_leaves_nothing_in_the_home(tmp_path: Path, model: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    done = python("trace", "a", "--json", "--model", str(model), env=environment | {"HOME": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("trace", "--help")])
def test_help_needs_no_engine(arguments: Sequence[str]) -> None:
    code = (
        "import sys, canopy_desktop.cli as cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as end: print('onnx' in sys.modules, end.code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.rstrip().endswith("False 0")


# the real model


def test_the_real_model_answers_and_agrees_with_itself(real: Cli) -> None:
    found = real.json("trace", "The capital of France is", "--max-tokens", "3", "--top", "50")
    assert_steps_agree(found)
    assert found["prompt_ids"] == [504, 3575, 282, 4649, 314]
    assert found["text"].startswith(" Paris")


def test_the_real_model_ends_a_chat_by_itself(real: Cli) -> None:
    found = real.json("trace", "Say hi.", "--chat", "--max-tokens", "64")
    assert found["stop_reason"] == "end_token"
    assert "<|im_end|>" not in found["text"]
    none = real.json("trace", "Say hi.", "--chat", "--system", "", "--max-tokens", "1")
    assert len(none["prompt_ids"]) < len(found["prompt_ids"])


@pytest.mark.slow
def test_a_prompt_just_under_the_real_context_fills_it(real: Cli) -> None:
    found = real.json("trace", "1" * 8190, "--max-tokens", "8")
    assert (found["stop_reason"], len(found["steps"])) == ("context_full", 2)
    status, err = real.refused("trace", "1" * 8193)
    assert status == 1
    assert "8193" in err
    assert "8192" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("bench",), ("race", "1" * 250), ("attention", "1" * 256), ("doctor",), ("models", "verify")]
)
def test_each_command_with_its_defaults_ends_within_45_seconds(built_model: Path, arguments: Sequence[str]) -> None:
    done = python(*arguments, "--json")
    assert done.returncode == 0

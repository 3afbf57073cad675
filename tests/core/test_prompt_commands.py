"""The prompt's flags, and `compare`: two prompts, settings or models on the command line."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.core import tiny
from tests.core.command import Cli, assert_record

CONTEXT = 200
FRANCE, SPAIN = "The capital of France is", "The capital of Spain is"
SIDE = {
    "model": str, "provider": str, "weights": str, "prompt_ids": list, "prompt_parts": list, "settings": dict,
    "steps": list, "text": str, "stop_reason": str,
}  # fmt: skip
PAIR = {"index": int, "a_chosen": dict, "b_chosen": dict, "raw": dict, "final": dict, "top": list}
TOKEN = {"id": int, "text": str, "a": dict, "b": dict}
FIGURES = {"raw_logprob": float, "probability": float, "rank": int}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a context that holds a short chat."""
    return tiny.build(tmp_path_factory.mktemp("models"), llama__context_length=CONTEXT)


@pytest.fixture
def history(tmp_path: Path) -> str:
    path = tmp_path / "history.json"
    path.write_text(json.dumps([{"user": "a", "assistant": "b"}, {"user": f"c{tiny.END}", "assistant": "d"}]))
    return str(path)


@pytest.fixture
def facts(tmp_path: Path) -> str:
    path = tmp_path / "facts.txt"
    path.write_text("# what nobody knows\nThe capital of Zubrowka is Lutz.\n\nThe library opens at nine.\n")
    return str(path)


def ids_of(parts: Sequence[Any]) -> list[int]:
    return [token["id"] for part in parts for token in part["tokens"]]


# --- the prompt of a trace


def test_the_parts_make_up_the_prompt(command: Cli, history: str) -> None:
    found = command.json("trace", "e", "--chat", "--system", "s", "--history", history, "--max-tokens", "1")
    parts = found["prompt_parts"]
    for part in parts:
        assert_record(
            {name: value for name, value in part.items() if name != "history"},
            {"role": str, "text": str, "tokens": list},
        )
    assert ids_of(parts) == found["prompt_ids"]
    assert "".join(part["text"] for part in parts) == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|><|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n"
        "<|im_start|>user\ne<|im_end|>\n<|im_start|>assistant\n"
    )
    said = [(part["role"], part["history"], part["text"]) for part in parts if part["role"] != "template"]
    assert said == [
        ("system", False, "s"), ("user", True, "a"), ("assistant", True, "b"), ("user", True, f"c{tiny.END}"),
        ("assistant", True, "d"), ("user", False, "e"),
    ]  # fmt: skip
    assert sum(token == 0 for token in found["prompt_ids"]) == 6  # the template's end tokens; the history's is text


def test_without_the_history_the_trace_is_that_of_a_first_turn(command: Cli, history: str) -> None:
    first = command.json("trace", "e", "--chat", "--max-tokens", "1")
    later = command.json("trace", "e", "--chat", "--max-tokens", "1", "--history", history, "--no-history")
    assert later["prompt_parts"] == first["prompt_parts"]


CHATS = (
    ("trace", "e", "--max-tokens", "1"), ("draws", "e", "--count", "2"), ("score", "e", "f"),
    ("beams", "e", "--num-beams", "2", "--max-tokens", "2"),
)  # fmt: skip


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was never taught to chat."""
    return tiny.build(tmp_path_factory.mktemp("base"), tokenizer__chat_template=None, llama__context_length=CONTEXT)


@pytest.mark.parametrize("arguments", CHATS, ids=lambda arguments: arguments[0])
def test_a_chat_with_a_model_without_a_template_goes_in_plain_with_a_note(
    capsys: pytest.CaptureFixture[str], base_model: Path, arguments: tuple[str, ...]
) -> None:
    command = Cli(capsys, base_model)
    plain, chat = command.json(*arguments), command.json(*arguments, "--chat")
    assert chat["prompt_ids"] == plain["prompt_ids"]
    assert "plain text" in chat["note"]
    assert "note" not in plain
    status, out, _ = command.run(*arguments, "--chat", "--model", str(base_model))
    assert (status, out.splitlines()[0]) == (0, chat["note"])


def test_each_side_of_a_comparison_has_its_own_note(
    capsys: pytest.CaptureFixture[str], base_model: Path, model: Path
) -> None:
    arguments = ("compare", "e", "--chat", "--model-b", str(base_model), "--max-tokens", "1")
    found = Cli(capsys, model).json(*arguments)
    assert ["note" in found[side] for side in "ab"] == [False, True]
    assert Cli(capsys, model).run(*arguments, "--model", str(model))[1].startswith("B: This model has no chat template")


def test_a_completion_is_one_part(command: Cli) -> None:
    (part,) = command.json("trace", "the cat", "--max-tokens", "1")["prompt_parts"]
    assert (part["role"], part["text"], part["history"]) == ("completion", "the cat", False)


@pytest.mark.parametrize("chat", [(), ("--chat",)])
def test_facts_of_a_file_stand_before_the_prompt(real: Cli, facts: str, chat: Sequence[str]) -> None:
    found = real.json("trace", "When does the library open?", *chat, "--facts", facts, "--max-tokens", "1")
    said = [(part["role"], part["text"]) for part in found["prompt_parts"] if part["role"] != "template"]
    assert said == [
        ("facts", "Use these facts:\n- The capital of Zubrowka is Lutz.\n- The library opens at nine.\n\n"),
        ("user" if chat else "completion", "When does the library open?"),
    ]
    assert ids_of(found["prompt_parts"]) == found["prompt_ids"]


def test_the_search_engine_tells_nothing_of_its_own(command: Cli, facts: str, caplog: pytest.LogCaptureFixture) -> None:
    command.json("trace", "Zubrowka", "--facts", facts, "--facts-count", "1", "--max-tokens", "1")
    assert not [record for record in caplog.records if record.name.startswith("bm25s")]


def test_only_the_facts_that_fit_the_prompt_can_be_put_in(real: Cli, facts: str) -> None:
    for prompt, fact in (
        ("When does the library open?", "- The library opens at nine."),
        ("What is the capital?", "Lutz."),
    ):
        found = real.json("trace", prompt, "--facts", facts, "--facts-count", "1", "--max-tokens", "1")
        (put,) = [part["text"] for part in found["prompt_parts"] if part["role"] == "facts"]
        assert fact in put
        assert put.count("\n- ") == 1
    none = real.json("trace", "Xyzzy", "--facts", facts, "--facts-count", "1", "--max-tokens", "1")
    assert [part["role"] for part in none["prompt_parts"]] == ["completion"]


def test_each_of_two_prompts_has_the_facts_that_fit_it(real: Cli, facts: str) -> None:
    found = real.json(
        "compare", "The capital is", "--and", "The library opens", "--facts", facts, "--facts-count", "1",
        "--max-tokens", "1",
    )  # fmt: skip
    first = [found[side]["prompt_parts"][0]["text"] for side in ("a", "b")]
    assert ["Lutz" in text for text in first] == [True, False]
    assert "nine" in first[1]


def test_with_and_without_the_facts_is_a_pair(real: Cli, facts: str) -> None:
    question = "The capital of Zubrowka is"
    found = real.json("compare", question, "--facts", facts, "--no-facts-b", "--max-tokens", "4")
    assert found["a"]["text"].startswith(" Lutz")
    assert not found["b"]["text"].startswith(" Lutz")
    lutz = found["steps"][0]["a_chosen"]
    assert lutz["a"]["probability"] > 10 * lutz["b"]["probability"]


def test_a_prompt_that_is_too_long_names_its_history(command: Cli, tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text(json.dumps([{"user": "1" * 130, "assistant": "2" * 70}]))
    status, err = command.refused("trace", "e", "--chat", "--history", str(path))
    assert (status, "; 200 are history." in err) == (1, True)


@pytest.mark.parametrize(
    ("content", "reason"), [("{}", "list"), ('[{"user": "a"}]', "turn 1"), ("[", "line 1"), ("\udcff", "UTF-8")]
)
def test_a_history_that_cannot_be_used_is_wrong_use(command: Cli, tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    status, err = command.refused("trace", "e", "--chat", "--history", str(path), model="/nonsense")
    assert status == 2
    assert reason in err


# --- compare


def test_two_prompts_have_the_traces_of_each_and_part_where_their_tokens_do(real: Cli) -> None:
    found = real.json("compare", FRANCE, "--and", SPAIN, "--max-tokens", "4")
    for side, prompt in (("a", FRANCE), ("b", SPAIN)):
        assert_record(found[side], SIDE)
        alone = real.json("trace", prompt, "--max-tokens", "4")
        for steps in (alone["steps"], found[side]["steps"]):
            for step in steps:
                step.pop("ms")
        assert {name: found[side][name] for name in ("prompt_ids", "prompt_parts", "steps", "stop_reason")} == {
            name: alone[name] for name in ("prompt_ids", "prompt_parts", "steps", "stop_reason")
        }
    assert found["prompt"] == {"relation": "parted", "tokens": 3, "tokens_at_end": 1, "characters": 15}
    assert (found["same_vocabulary"], found["settings"]) == (True, [])
    assert_steps_agree(found)


def assert_steps_agree(found: Any) -> None:
    """Every figure of a step is that of the runs, and the texts are equal before it."""
    chosen = [[step["token_id"] for step in found[side]["steps"]] for side in ("a", "b")]
    for number, pair in enumerate(found["steps"]):
        assert_record(pair, PAIR)
        assert pair["index"] == number + 1
        assert chosen[0][:number] == chosen[1][:number]
        for side in ("a", "b"):
            step, token = found[side]["steps"][number], pair[f"{side}_chosen"]
            assert_record(token, TOKEN)
            assert_record(token[side], FIGURES)
            assert (token["id"], token["text"]) == (step["token_id"], step["text"])
            assert token[side] == {name: step[name] for name in FIGURES}
            listed = {top["id"]: top[side] for top in pair["top"]}
            for top in step["top"]:
                assert listed[top["id"]]["raw_logprob"] == top["raw_logprob"]
                assert listed[top["id"]]["probability"] == top["probability"]
    shared = found["text"]["tokens"]
    assert len(found["steps"]) == min(shared + 1, len(chosen[0]), len(chosen[1]))


def test_two_settings_move_what_is_left_and_not_what_the_model_assigned(real: Cli) -> None:
    found = real.json(
        "compare", FRANCE, "--temperature", "1", "--seed", "5", "--max-tokens", "6",
        "--settings-b", '{"top_k": 3, "logit_bias": {"5": 1.5}}',
    )  # fmt: skip
    assert found["settings"] == [
        {"name": "top_k", "a": 0, "b": 3},
        {"name": "logit_bias", "a": {}, "b": {"5": 1.5}},
    ]
    assert found["prompt"]["relation"] == "equal"
    assert_steps_agree(found)
    first = found["steps"][0]
    assert first["raw"] == {"a_b_bits": 0.0, "b_a_bits": 0.0, "total_variation": 0.0}
    assert first["final"]["a_b_bits"] is None
    kept = sum(math.exp(top["a"]["raw_logprob"]) for top in sorted(first["top"], key=lambda top: top["a"]["rank"])[:3])
    assert first["final"]["b_a_bits"] == pytest.approx(-math.log2(kept), abs=1e-6)


def test_a_cut_of_b_alone_makes_b_sample(command: Cli) -> None:
    found = command.json("compare", "the cat", "--max-tokens", "2", "--settings-b", '{"top_p": 0.9}')
    assert [found[side]["settings"]["temperature"] for side in ("a", "b")] == [0.0, 1.0]


def test_bs_settings_can_stand_in_a_file(command: Cli, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text('{"max_tokens": 1}')
    found = command.json("compare", "the cat", "--max-tokens", "3", "--settings-b", str(path))
    assert (found["text"]["relation"], found["text"]["tokens"], len(found["steps"])) == ("b_begins_a", 1, 1)


def test_with_and_without_the_history_is_a_pair(command: Cli, history: str) -> None:
    arguments = ("compare", "e", "--chat", "--history", history, "--no-history-b", "--max-tokens", "2")
    found = command.json(*arguments)
    assert [any(part["history"] for part in found[side]["prompt_parts"]) for side in ("a", "b")] == [True, False]
    assert found["prompt"]["relation"] == "parted"


def test_a_system_message_of_bs_own_is_bs_alone(command: Cli) -> None:
    found = command.json("compare", "e", "--chat", "--system", "s", "--system-b", "", "--max-tokens", "1")
    roles = [[part["role"] for part in found[side]["prompt_parts"]] for side in ("a", "b")]
    assert ["system" in each for each in roles] == [True, False]


def test_two_forms_of_one_model_are_compared_step_by_step(real: Cli, built_model: Path, built_fp32_model: Path) -> None:
    found = real.json("compare", FRANCE, "--model-b", str(built_fp32_model), "--max-tokens", "3")
    assert [found[side]["weights"] for side in ("a", "b")] == ["int8", "fp32"]
    assert found["same_vocabulary"]
    assert_steps_agree(found)
    assert 0.0 < found["steps"][0]["raw"]["a_b_bits"] < 0.1


def test_models_with_other_vocabularies_are_compared_by_text(command: Cli, built_model: Path) -> None:
    found = command.json("compare", "the cat", "--model-b", str(built_model), "--max-tokens", "2")
    assert (found["same_vocabulary"], found["steps"]) == (False, [])
    assert found["prompt"] == {"relation": "equal", "tokens": None, "tokens_at_end": None, "characters": 7}


def test_the_terminal_says_what_differs_and_where_the_texts_part(command: Cli, model: Path) -> None:
    status, out, _ = command.run(
        "compare",
        "the cat",
        "--settings-b",
        '{"temperature": 2, "top_k": 2}',
        "--max-tokens",
        "3",
        "--model",
        str(model),
    )
    assert status == 0
    assert "temperature: 0.0 in A, 2.0 in B\n" in out
    assert "the prompts are equal" in out
    assert "∞" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("compare", "a"), "--and"),
        (("compare", "a", "--and", "a"), "--and"),
        (("compare", "a", "--settings-b", "{"), "--settings-b"),
        (("compare", "a", "--settings-b", '{"warmth": 1}'), "warmth"),
        (("compare", "a", "--settings-b", '{"temperature": "hot"}'), "temperature"),
        (("compare", "a", "--system-b", "b"), "--chat"),
        (("compare", "a", "--no-history-b"), "--history"),
        (("compare", "a", "--no-facts-b"), "--facts"),
        (("compare", "a", "--and", "b", "--top", "51"), "--top"),
        (("trace", "a", "--history", "x"), "--chat"),
        (("trace", "a", "--chat", "--no-history"), "--history"),
        (("trace", "a", "--facts-count", "2"), "--facts"),
    ],
)
def test_wrong_use_is_refused_before_a_model_is_looked_for(command: Cli, arguments: Sequence[str], named: str) -> None:
    status, err = command.refused(*arguments, model="/nonsense")
    assert status == 2
    assert named in err


def test_settings_of_b_out_of_range_are_refused_before_anything_runs(command: Cli) -> None:
    for changes in ('{"temperature": -1}', '{"banned_tokens": [99999]}', '{"min_tokens": 99}'):
        assert command.refused("compare", "a", "--settings-b", changes)[0] == 2


def test_a_prompt_of_b_that_does_not_fit_is_said(command: Cli) -> None:
    status, err = command.refused("compare", "a", "--and", "1" * (CONTEXT + 1))
    assert (status, f"{CONTEXT + 1} tokens" in err) == (1, True)

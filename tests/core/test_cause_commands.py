"""The commands about cause keep their contract: the lens as a grid, `block`, `leave-out` and `inside`."""

import math

import numpy as np
import pytest

from tests.core import tiny
from tests.core.command import Cli, assert_record

LIKELY = {"id": int, "text": str, "logprob": float, "probability": float}
PART = {"norm": float, "cosine": float, "effect": float}


def test_the_lens_as_a_grid_has_a_cell_for_every_layer_and_position(command: Cli) -> None:
    found = command.json("lens", "the cat sat", "--grid")
    assert list(found) == ["ids", "layers"]
    assert [layer["layer"] for layer in found["layers"]] == list(range(tiny.LAYERS + 1))
    for layer in found["layers"]:
        assert len(layer["cells"]) == len(found["ids"])
        for cell in layer["cells"][:-1]:
            assert_record(cell, {"id": int, "text": str, "probability": float, "rank_of_next": int})
            assert 1 <= cell["rank_of_next"] <= len(tiny.TOKENS)
        assert layer["cells"][-1]["rank_of_next"] is None
    one = command.json("lens", "the cat sat", "--top", "1")
    for layer, cells in zip(one["layers"], found["layers"], strict=True):
        (top,) = layer["top"]
        assert top["id"] == cells["cells"][-1]["id"]
        assert math.exp(top["logprob"]) == pytest.approx(cells["cells"][-1]["probability"], rel=1e-4)


def test_a_block_has_both_sides_what_changed_and_the_floor(command: Cli) -> None:
    found = command.json("block", "the cat sat", "--query", "3,2,3", "--key", "0", "--top", "4")
    assert (found["queries"], found["keys"], found["layer"], found["head"]) == ([2, 3], [0], None, None)
    assert "attention" not in found
    for side in ("before", "after"):
        assert len(found[side]) == 4
        for token in found[side]:
            assert_record(token, LIKELY)
    for change in found["changes"]:
        assert_record(change, {"id": int, "text": str, "before": float, "after": float})
    moved = [abs(change["after"] - change["before"]) for change in found["changes"]]
    assert moved == sorted(moved, reverse=True)
    assert found["divergence_bits"] > 0
    for measured in (found, found["noise_floor"]):
        assert isinstance(measured["divergence_bits"], float)
        assert isinstance(measured["largest_logit_difference"], float)
    answer = command.json("lens", "the cat sat", "--top", "4")["layers"][-1]["top"]
    assert [(token["id"], token["logprob"]) for token in found["before"]] == [
        (token["id"], pytest.approx(token["logprob"], abs=1e-9)) for token in answer
    ]


def test_a_block_in_one_head_also_has_that_heads_rows(command: Cli) -> None:
    found = command.json("block", "the cat sat", "--query", "3", "--key", "0,1", "--layer", "0", "--head", "2")
    (row,) = found["attention"]
    assert row["query"] == 3
    plain = command.json("attention", "the cat sat", "--layer", "0", "--head", "2")["attention"][3]
    assert row["before"] == pytest.approx(plain, abs=1e-6)
    assert row["after"][:2] == [0, 0]
    rest = sum(plain[2:])
    assert row["after"][2:] == pytest.approx([weight / rest for weight in plain[2:]], abs=1e-5)


def test_leaving_out_has_an_effect_for_every_token(command: Cli) -> None:
    found = command.json("leave-out", "the cat sat")
    assert list(found) == ["ids", "replacement", "chosen", "effects"]
    assert found["replacement"] is None
    assert_record(found["chosen"], LIKELY)
    assert [(effect["position"], effect["id"]) for effect in found["effects"]] == list(enumerate(found["ids"]))
    for effect in found["effects"]:
        assert effect["delta_nats"] == pytest.approx(effect["logprob"] - found["chosen"]["logprob"], abs=1e-9)
        assert effect["delta_bits"] == pytest.approx(effect["delta_nats"] / math.log(2), abs=1e-9)
        assert_record(effect["top"], LIKELY)
        assert (effect["rank"] == 1) == (effect["top"]["id"] == found["chosen"]["id"])
    one = command.json("leave-out", "the cat sat", "--position", "2")
    assert one["effects"] == [found["effects"][2]]


def test_a_token_replaced_by_itself_changes_nothing(command: Cli) -> None:
    found = command.json("leave-out", "the cat", "--position", "2", "--replace", "a")
    assert found["ids"][2] != found["replacement"]
    letter = command.json("tokens", "the cat")["tokens"][3]["text"]
    same = command.json("leave-out", "the cat", "--position", "3", "--replace", letter)
    assert same["ids"][3] == same["replacement"]
    assert same["effects"][0]["delta_nats"] == 0


def test_inside_a_step_everything_adds_up(command: Cli) -> None:
    found = command.json("inside", "the cat sat", "--position", "4", "--layer", "1", "--head", "3", "--without", "1,2")
    assert (found["position"], found["layer"], found["head"], found["kv_head"]) == (4, 1, 3, 1)
    assert found["chosen"]["id"] == found["ids"][5]
    assert len(found["keys"]) == len(found["ids"])
    seen = found["keys"][:5]
    assert seen[4]["product"] == pytest.approx(np.dot(found["query_rotated"], found["key_rotated"]), abs=1e-4)
    for key in seen:
        assert key["scaled"] == pytest.approx(key["product"] / tiny.HEAD_SIZE**0.5, abs=1e-5)
        assert key["masked"] == key["scaled"]
    assert all((key["masked"], key["weight"]) == (None, 0) for key in found["keys"][5:])
    plain = command.json("attention", "the cat sat", "--layer", "1", "--head", "3")["attention"][4]
    assert [key["weight"] for key in seen] == pytest.approx(plain, abs=1e-6)
    assert np.sum([key["weighted_value"] for key in seen], axis=0) == pytest.approx(found["attended"], abs=1e-5)
    stream = {name: np.array(vector) for name, vector in found["stream"].items()}
    assert stream["before"] + stream["attention"] == pytest.approx(stream["middle"], abs=1e-5)
    assert stream["middle"] + stream["feed_forward"] == pytest.approx(stream["after"], abs=1e-5)
    for part in (found["attention"], found["feed_forward"], found["without"]["output"], *found["heads"]):
        assert_record(part, PART)
    assert len(found["heads"]) == tiny.HEADS
    assert len(found["blocks"]) == tiny.LAYERS
    both = found["attention"]["effect"] + found["feed_forward"]["effect"]
    assert both == pytest.approx(found["blocks"][1]["effect"], abs=1e-4)
    weights = found["without"]["weights"]
    assert [weights[key] for key in (1, 2)] == [0, 0]
    assert [weights[key] for key in (0, 3, 4)] == [found["keys"][key]["weight"] for key in (0, 3, 4)]


def test_inside_the_last_token_the_likeliest_next_is_chosen(command: Cli) -> None:
    found = command.json("inside", "the cat", "--position", "4", "--layer", "0", "--head", "0")
    assert len(found["ids"]) == 5
    assert found["chosen"]["id"] == command.json("lens", "the cat", "--top", "1")["layers"][-1]["top"][0]["id"]

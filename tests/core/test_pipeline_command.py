"""`pipeline`: logits and settings in, stages and probabilities out, without a model."""

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canopy_desktop.decoding.pipeline import History, StageName, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from tests.core.command import Cli, assert_record
from tests.reference import fixtures

RESULT = {"stages": list, "kept": int, "probabilities": dict, "draw": dict}
STAGE = {"name": str, "removed": int, "kept": int}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """A command line whose model does not exist."""
    return Cli(capsys, tmp_path / "no-model")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "input.json"


def written(source: Path, **given: Any) -> str:
    source.write_text(json.dumps(given))
    return str(source)


def test_stages_counts_and_probabilities_are_the_pipelines(cli: Cli, source: Path) -> None:
    logits = [1.5, None, 2.0, 0.3, -1.0, 0.3]
    settings = {"temperature": 0.8, "top_k": 4, "frequency_penalty": 0.5, "banned_tokens": [4], "logit_bias": {"3": 1}}
    name = written(source, logits=logits, prompt=[0], generated=[2, 2], settings=settings)
    found = cli.json("pipeline", "--input", name)
    expected = pipeline(
        np.array([-math.inf if logit is None else logit for logit in logits]),
        DecodingSettings(
            temperature=0.8, top_k=4, frequency_penalty=0.5, banned_tokens=(4,), logit_bias=((3, 1.0),)
        ),
        History(prompt=(0,), generated=(2, 2)),
    )  # fmt: skip
    assert_record(found, RESULT)
    assert [stage["name"] for stage in found["stages"]] == [name.value for name in StageName]
    for stage, fact in zip(found["stages"], expected.stages, strict=True):
        assert_record({key: stage[key] for key in STAGE}, STAGE)
        assert (stage["kept"], stage["removed"]) == (fact.kept, fact.removed)
        assert (stage["active"], stage["changed"]) == (fact.active, fact.changed)
    assert found["kept"] == expected.kept == 4
    assert found["probabilities"] == {str(i): expected.probabilities[i] for i in (0, 3, 2, 5)}
    assert list(found["probabilities"].values()) == sorted(found["probabilities"].values(), reverse=True)


@pytest.mark.parametrize("number", range(0, 264, 12))
def test_transformers_cases_come_out_of_the_command(cli: Cli, source: Path, number: int) -> None:
    case = fixtures.pipeline_cases()[number]
    name = written(
        source,
        logits=[float(logit) if math.isfinite(logit) else None for logit in case.logits],
        prompt=case.prompt,
        generated=case.generated,
        end_ids=case.end_ids,
        settings={"max_tokens": 100} | case.settings,
    )
    found = cli.json("pipeline", "--input", name)
    assert [stage["kept"] for stage in found["stages"]] == list(case.counts)
    assert {int(i) for i in found["probabilities"]} == set(np.flatnonzero(case.kept).tolist())
    for token_id, probability in zip(case.ids.tolist(), case.probabilities, strict=True):
        assert found["probabilities"][str(token_id)] == pytest.approx(probability, abs=1e-9)


def test_without_settings_it_is_greedy_and_with_a_cut_it_samples(cli: Cli, source: Path) -> None:
    greedy = cli.json("pipeline", "--input", written(source, logits=[1, 3, 2]))
    assert (greedy["draw"]["token_id"], greedy["draw"]["uniform"], greedy["kept"]) == (1, None, 3)
    sampled = cli.json("pipeline", "--input", written(source, logits=[1, 3, 2], settings={"top_k": 2, "seed": 4}))
    assert 0 <= sampled["draw"]["uniform"] < 1
    assert sampled["draw"]["low"] <= sampled["draw"]["uniform"] <= sampled["draw"]["high"]
    assert list(sampled["probabilities"]) == ["1", "2"]
    assert math.log(sampled["probabilities"]["1"] / sampled["probabilities"]["2"]) == pytest.approx(1.0)


def test_equal_probabilities_come_lowest_id_first(cli: Cli, source: Path) -> None:
    found = cli.json("pipeline", "--input", written(source, logits=[0] * 12, settings={"top_k": 11}))
    assert list(found["probabilities"]) == [str(i) for i in range(11)]


def test_a_whole_large_vocabulary_goes_through_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).standard_normal(262_144).tolist()
    data = json.dumps({"logits": logits, "settings": {"temperature": 1.0}}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    found = cli.json("pipeline", "--input", "-")
    assert found["kept"] == len(found["probabilities"]) == 262_144
    assert sum(found["probabilities"].values()) == pytest.approx(1.0)


def test_plain_text_names_the_stages_that_did_something_and_the_token(cli: Cli, source: Path) -> None:
    name = written(source, logits=[0.0] * 30, settings={"top_k": 25, "temperature": 1})
    status, out, err = cli.run("pipeline", "--input", name)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["raw", "top_k"]
    assert lines[-2].split() == ["5", "more"]
    assert lines[-1].startswith("token ")


WRONG = [
    ("logits", {}), ("logits", {"logits": []}), ("logits", {"logits": "1"}), ("logits", {"logits": [1, "2"]}),
    ("logits", {"logits": [None, None]}), ("logits", {"logits": [1, True]}), ("logits", {"logits": [10**399]}),
    ("prompt", {"prompt": [3]}), ("prompt", {"prompt": [1.0]}), ("prompt", {"prompt": "the cat"}),
    ("generated", {"generated": [-1]}), ("generated", {"generated": None}), ("end_ids", {"end_ids": [3]}),
    ("beams", {"beams": 3}), ("settings", {"settings": [1]}), ("heat", {"settings": {"heat": 1}}),
    ("temperature", {"settings": {"temperature": -1}}), ("temperature", {"settings": {"temperature": "1"}}),
    ("top_k", {"settings": {"top_k": 1.5}}), ("top_p", {"settings": {"top_p": 0}}),
    ("min_p", {"settings": {"min_p": 2}}),
    ("typical_p", {"settings": {"typical_p": 0}}), ("repetition_penalty", {"settings": {"repetition_penalty": -1}}),
    ("logit_bias", {"settings": {"logit_bias": {"3": 1}}}), ("banned_tokens", {"settings": {"banned_tokens": [3]}}),
    ("max_tokens", {"settings": {"max_tokens": 0}}), ("min_tokens", {"settings": {"min_tokens": 99}}),
    ("token", {"settings": {"banned_tokens": [0, 1, 2]}}), ("seed", {"settings": {"seed": -1}}),
]  # fmt: skip


@pytest.mark.parametrize(("named", "given"), WRONG, ids=str)
def test_a_wrong_input_is_refused_in_one_sentence_that_names_the_key(
    cli: Cli, source: Path, named: str, given: dict[str, Any]
) -> None:
    whole = given if named == "logits" else {"logits": [1, 2, 3]} | given
    status, err = cli.refused("pipeline", "--input", written(source, **whole))
    assert status == 2
    assert named in err


NO_OBJECTS = [
    "",
    "{",
    "[]",
    "null",
    '{"logits": [NaN]}',
    '{"logits": [1e999]}',
    '{"a": -Infinity}',
    "[" * 99_999,
    "\xff",
]


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_an_input_that_is_no_json_object_is_refused(cli: Cli, source: Path, text: str) -> None:
    source.write_bytes(text.encode("latin-1"))
    status, _ = cli.refused("pipeline", "--input", str(source))
    assert status == 2


def test_a_file_that_is_too_large_is_refused_and_one_that_is_missing_cannot_be_read(cli: Cli, source: Path) -> None:
    with source.open("wb") as file:
        file.truncate(32_000_001)
    status, err = cli.refused("pipeline", "--input", str(source))
    assert status == 2
    assert "32,000,000" in err
    assert cli.refused("pipeline", "--input", str(source.with_name("missing")))[0] == 1
    assert cli.refused("pipeline")[0] == 2

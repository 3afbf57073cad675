"""Settings from flags, a file and a preset, and the tokens that flags name."""

import argparse
import json
from pathlib import Path

import pytest

from canopy_desktop import cli
from canopy_desktop.commands.settings import settings_of
from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.presets import PRESETS, preset
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError
from tests.core import tiny
from tests.core.command import Cli

EVERY_FLAG = (
    "--temperature", "0.7", "--top-k", "40", "--top-p", "0.9", "--min-p", "0.05", "--typical-p", "0.95",
    "--repetition-penalty", "1.1", "--presence-penalty", "-0.5", "--frequency-penalty", "0.25", "--min-tokens", "2",
    "--max-tokens", "64", "--stop", "a", "--stop", "b", "--keep-stop", "--seed", "7",
)  # fmt: skip
EVERY = DecodingSettings(
    temperature=0.7, top_k=40, top_p=0.9, min_p=0.05, typical_p=0.95, repetition_penalty=1.1, presence_penalty=-0.5,
    frequency_penalty=0.25, min_tokens=2, max_tokens=64, stop=("a", "b"), keep_stop=True, seed=7,
)  # fmt: skip


def parsed(*flags: str) -> argparse.Namespace:
    return cli.parser().parse_args(["trace", "a", *flags])


def test_every_setting_has_a_flag() -> None:
    assert settings_of(parsed(*EVERY_FLAG)) == EVERY


def test_without_flags_it_is_greedy_with_the_defaults() -> None:
    assert settings_of(parsed()) == settings_of(parsed("--greedy")) == DecodingSettings()


@pytest.mark.parametrize("flag", ["--top-k=5", "--top-p=0.5", "--min-p=0.5", "--typical-p=0.5"])
def test_a_cut_samples_at_temperature_one_unless_it_is_named(flag: str) -> None:
    assert settings_of(parsed(flag)).temperature == 1.0
    assert settings_of(parsed(flag, "--temperature", "0.5")).temperature == 0.5


@pytest.mark.parametrize("flag", ["--repetition-penalty=1.5", "--presence-penalty=1", "--min-tokens=3", "--seed=5"])
def test_penalties_and_lengths_stay_greedy(flag: str) -> None:
    assert settings_of(parsed(flag)).greedy
    assert settings_of(parsed(flag, "--greedy")).greedy


def test_flags_go_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(settings_json.dumps(EVERY), encoding="utf-8")
    assert settings_of(parsed("--settings", str(file))) == EVERY
    found = settings_of(parsed("--settings", str(file), "--top-k", "3", "--seed", "1", "--stop", "c"))
    assert (found.top_k, found.seed, found.stop, found.temperature) == (3, 1, ("c",), 0.7)
    assert settings_of(parsed("--settings", str(file), "--greedy")).greedy
    file.write_text("\ufeff" + json.dumps({"top_k": 2}), encoding="utf-8")
    assert settings_of(parsed("--settings", str(file))) == DecodingSettings(temperature=1.0, top_k=2)


@pytest.mark.parametrize("name", [known.id for known in PRESETS])
def test_a_preset_is_taken_by_its_id_and_flags_go_over_it(name: str) -> None:
    assert settings_of(parsed("--preset", name)) == preset(name).settings
    assert settings_of(parsed("--preset", name, "--temperature", "0.33")).temperature == 0.33


def test_a_wrong_setting_in_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"top_q": 1}')
    with pytest.raises(SettingsError, match="top_q"):
        settings_of(parsed("--settings", str(file)))


# with a model


def written(command: Cli, *flags: str) -> list[int]:
    return [step["token_id"] for step in command.json("trace", "the cat", "--max-tokens", "8", *flags)["steps"]]


def test_a_banned_token_never_comes(command: Cli) -> None:
    first = written(command)[0]
    assert first not in written(command, "--ban", f"#{first}")
    assert written(command, "--ban", f"#{first}", "--ban", f"#{first}") == written(command, "--ban", f"#{first}")


def test_a_boosted_token_comes_always_and_an_id_says_the_same_as_its_text(command: Cli) -> None:
    the = tiny.TOKENS.index("Ġthe")
    assert written(command, "--bias", " the=1000") == written(command, "--bias", f"#{the}=1000") == [the] * 8


def test_end_tokens_wait_for_the_minimum(command: Cli) -> None:
    found = command.json("trace", "a", "--bias", f"{tiny.END}=1000", "--min-tokens", "3", "--max-tokens", "8")
    assert (len(found["steps"]), found["stop_reason"]) == (4, "end_token")
    assert [step["token_id"] == 0 for step in found["steps"]] == [False, False, False, True]


def test_a_bias_on_a_token_of_the_file_replaces_its_own(command: Cli, tmp_path: Path) -> None:
    file, the = tmp_path / "settings.json", tiny.TOKENS.index("Ġthe")
    file.write_text(json.dumps({"logit_bias": {str(the): -1000, "40": 900}, "max_tokens": 8}))
    assert written(command, "--settings", str(file)) == [40] * 8
    assert written(command, "--settings", str(file), "--bias", " the=1000") == [the] * 8


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--ban", "the cat"), "--ban"),
        (("--ban", ""), "--ban"),
        (("--ban", "#99999"), "99999"),
        (("--ban", "#" + "9" * 30), "--ban"),
        (("--bias", "the"), "--bias"),
        (("--bias", "=2"), "--bias"),
        (("--bias", "a=x"), "--bias"),
        (("--bias", "a=nan"), "--bias"),
        (("--bias", "a=1001"), "Logit bias"),
        (("--bias", "a=1", "--ban", "a"), "Banned"),
        (("--settings", "{file}"), "vocabulary"),
    ],
    ids=str,
)
def test_tokens_that_cannot_be_named_are_refused_before_anything_runs(
    command: Cli, tmp_path: Path, flags: tuple[str, ...], named: str
) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"banned_tokens": [99999]}')
    status, err = command.refused("trace", "a", *(flag.format(file=file) for flag in flags))
    assert status == 2
    assert named in err


@pytest.mark.parametrize(
    "flags",
    [
        ("--greedy", "--min-p", "0.1"),
        ("--greedy", "--typical-p", "0.5"),
        ("--min-p", "2"),
        ("--typical-p", "0"),
        ("--repetition-penalty", "0"),
        ("--presence-penalty", "nan"),
        ("--frequency-penalty", "x"),
        ("--min-tokens", "33"),
        ("--bias", "a"),
        ("--preset", "cold"),
        ("--preset", "precise", "--settings", "-"),
    ],
)
def test_wrong_flags_are_refused_before_a_model_is_looked_for(command: Cli, flags: tuple[str, ...]) -> None:
    assert command.refused("trace", "a", *flags, model="nowhere")[0] == 2

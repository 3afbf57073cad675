"""Decoding settings as JSON: what comes back, what is refused, and what a preset leaves alone."""

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.presets import PRESETS, preset
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError

EVERY = DecodingSettings(
    temperature=0.7,
    top_k=40,
    top_p=0.9,
    min_p=0.05,
    typical_p=0.95,
    repetition_penalty=1.1,
    presence_penalty=0.5,
    frequency_penalty=-0.25,
    logit_bias=((3, 1.5), (12, -2.0)),
    banned_tokens=(4, 9),
    min_tokens=2,
    max_tokens=64,
    stop=("\n\n", "é"),
    keep_stop=True,
    seed=2**63 - 1,
)
SETTINGS = st.builds(
    DecodingSettings,
    temperature=st.floats(0, 100),
    top_k=st.integers(0),
    top_p=st.floats(0, 1, exclude_min=True),
    min_p=st.floats(0, 1),
    typical_p=st.floats(0, 1, exclude_min=True),
    repetition_penalty=st.floats(0, 100, exclude_min=True),
    presence_penalty=st.floats(-1000, 1000),
    frequency_penalty=st.floats(-1000, 1000),
    logit_bias=st.dictionaries(st.integers(0, 99), st.floats(-1000, 1000)).map(
        lambda found: tuple(sorted(found.items()))
    ),
    banned_tokens=st.sets(st.integers(100, 2**40)).map(lambda found: tuple(sorted(found))),
    min_tokens=st.integers(0, 10),
    max_tokens=st.integers(10),
    stop=st.lists(st.text(min_size=1), max_size=3).map(tuple),
    keep_stop=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
)


@given(SETTINGS)
def test_settings_come_back_from_their_own_json(settings: DecodingSettings) -> None:
    assert settings_json.loads(settings_json.dumps(settings)) == settings


def test_every_setting_has_a_key_of_its_own_name() -> None:
    stored = settings_json.to_json(EVERY)
    assert list(stored) == [entry.name for entry in fields(DecodingSettings)]
    assert all(stored[name] != value for name, value in settings_json.to_json(DecodingSettings()).items())
    assert stored["logit_bias"] == {"3": 1.5, "12": -2.0}
    assert stored["stop"] == ["\n\n", "é"]


@pytest.mark.parametrize("cut", [{"top_k": 5}, {"top_p": 0.5}, {"min_p": 0.1}, {"typical_p": 0.5}])
def test_a_cut_without_a_temperature_samples_at_one(cut: dict[str, float]) -> None:
    assert settings_json.from_json(cut).temperature == 1.0
    assert settings_json.from_json(cut | {"temperature": 0}).greedy


@pytest.mark.parametrize("named", [{}, {"seed": 5}, {"repetition_penalty": 1.2}, {"stop": ["a"]}])
def test_without_a_temperature_and_a_cut_it_is_greedy(named: dict[str, object]) -> None:
    assert settings_json.from_json(named).greedy


def test_ids_come_in_any_order_and_whole_numbers_may_stand_for_others() -> None:
    found = settings_json.from_json({"banned_tokens": [9, 4], "logit_bias": {"12": -2, "3": 1.5}, "temperature": 1})
    assert (found.banned_tokens, found.logit_bias) == ((4, 9), ((3, 1.5), (12, -2.0)))
    assert isinstance(found.temperature, float)


WRONG = [
    ("temperature", "hot"), ("temperature", None), ("temperature", True), ("temperature", -1), ("temperature", 101),
    ("temperature", math.inf), ("temperature", math.nan), ("temperature", 10**399), ("top_k", 1.0), ("top_k", -1),
    ("top_k", True), ("top_p", 0), ("top_p", 1.5), ("min_p", -0.1), ("min_p", [1]), ("typical_p", 0), ("typical_p", 2),
    ("repetition_penalty", 0), ("repetition_penalty", 101), ("presence_penalty", 1001), ("frequency_penalty", -1001),
    ("frequency_penalty", math.nan), ("logit_bias", []), ("logit_bias", {"a": 1}), ("logit_bias", {"5": "x"}),
    ("logit_bias", {"-5": 1}), ("logit_bias", {"5": 1, "05": 1}), ("logit_bias", {"5": 2000}),
    ("logit_bias", {"9" * 19: 1}), ("banned_tokens", 5), ("banned_tokens", ["5"]), ("banned_tokens", [-1]),
    ("banned_tokens", [5, 5]), ("banned_tokens", [True]), ("min_tokens", -1), ("min_tokens", 33), ("min_tokens", "1"),
    ("max_tokens", 0), ("max_tokens", 2.5), ("stop", "x"), ("stop", [""]), ("stop", [1]), ("stop", ["\ud800"]),
    ("keep_stop", 1), ("seed", -1), ("seed", 2**63), ("seed", 1.5), ("beams", 5),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG, ids=str)
def test_a_wrong_setting_is_refused_in_one_sentence_with_its_key(key: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_json.from_json({key: value})
    assert f'"{key}"' in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_token_that_is_banned_and_boosted_is_a_contradiction() -> None:
    with pytest.raises(SettingsError, match="token 5"):
        settings_json.from_json({"banned_tokens": [5], "logit_bias": {"5": 1}})


NO_SETTINGS = [
    "",
    "{",
    "[]",
    "5",
    "null",
    '{"top_p": NaN}',
    '{"top_p": Infinity}',
    f'{{"seed": {"9" * 5000}}}',
    "[" * 99_999,
]


@pytest.mark.parametrize("text", NO_SETTINGS)
def test_a_text_that_is_no_json_object_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_json.loads(text)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(settings_json.NAMES, JSON)))
def test_any_json_gives_settings_or_a_sentence(stored: dict[str, object]) -> None:
    try:
        found = settings_json.from_json(stored)
    except SettingsError:
        return
    assert settings_json.from_json(settings_json.to_json(found)) == found


# presets


def test_presets_have_ids_and_names_of_their_own_and_differ() -> None:
    assert len({known.id for known in PRESETS}) == len({known.name for known in PRESETS}) == len(PRESETS) == 8
    assert len({json.dumps(settings_json.to_json(known.settings)) for known in PRESETS}) == len(PRESETS)


def test_a_preset_keeps_seed_lengths_stop_texts_bias_and_bans() -> None:
    found = preset("creative").over(EVERY)
    own = preset("creative").settings
    assert found == replace(
        EVERY,
        **{
            name: getattr(own, name)
            for name in (
                "temperature", "top_k", "top_p", "min_p", "typical_p",
                "repetition_penalty", "presence_penalty", "frequency_penalty",
            )
        },
    )  # fmt: skip


def test_one_paragraph_brings_its_length_and_its_stop_text() -> None:
    found = preset("one-paragraph").over(EVERY)
    assert (found.max_tokens, found.stop, found.seed, found.min_tokens) == (
        100,
        ("\n\n",),
        EVERY.seed,
        EVERY.min_tokens,
    )


def test_the_exercise_has_its_three_temperatures_and_changes_nothing_else() -> None:
    found = [preset(f"temperature-{temperature}").settings for temperature in (0.1, 0.7, 1.2)]
    assert found == [DecodingSettings(temperature=temperature) for temperature in (0.1, 0.7, 1.2)]


def test_a_token_outside_the_vocabulary_is_named() -> None:
    EVERY.check_vocabulary(13)
    for size, token in ((12, 12), (9, 12), (3, 3)):
        with pytest.raises(SettingsError, match=f"token {token}"):
            EVERY.check_vocabulary(size)
    with pytest.raises(SettingsError, match=r"Banned tokens must .* token 9"):
        replace(EVERY, logit_bias=()).check_vocabulary(9)

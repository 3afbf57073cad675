"""Preferences survive anything that happens to their file."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop import settings
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration.prompt import PromptRequest, Turn
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.chat import SystemChoice
from canopy_desktop.settings import Preferences

OTHERS = Preferences(
    model="mine",
    theme="dark",
    zoom=150,
    prompt=PromptRequest(
        text="Is 水 wet?\n",
        chat=True,
        system=SystemChoice.CUSTOM,
        system_text="Be brief.",
        history=(Turn("Hi", "Hello."), Turn("", "…")),
        with_history=False,
        facts=("Water is wet.",),
    ),
    decoding=DecodingSettings(temperature=0.7, top_k=40, top_p=0.9, seed=7, max_tokens=99, stop=("\n\n", ".")),
    window=ContextWindow(size=64, when_full=WhenFull.SLIDE, keep_system=True),
    layer=3,
    head=4,
    hide_first=False,
    shown=25,
    speed_ms=250,
    memory_budget_mb=512,
    geometry=b"\x00\xff\x01",
    docks=b"docks",
)


def test_saved_preferences_come_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.json"
    settings.save(path, OTHERS)
    assert settings.load(path) == OTHERS


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "settings.json") == Preferences()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"NaN"])
def test_a_broken_file_gives_the_defaults_and_a_log_line(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert settings.load(path) == Preferences()
    assert caplog.records


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", "pink"),
        ("theme", 1),
        ("zoom", 10_000),
        ("zoom", "100"),
        ("zoom", True),
        ("prompt", "text"),
        ("prompt", {"text": 5}),
        ("prompt", {"text": "a", "system": "loud"}),
        ("prompt", {"chat": True}),
        ("prompt", {"text": "a" * 200_001}),
        ("prompt", {"text": "a", "history": [{"user": "Hi"}]}),
        ("prompt", {"text": "a", "history": [{"user": "a" * 100_001, "assistant": "a" * 100_000}]}),
        ("prompt", {"text": "a", "facts": "wet"}),
        ("decoding", {"temperature": "hot"}),
        ("decoding", {"temperature": float("nan")}),
        ("decoding", {"top_p": 0}),
        ("decoding", {"max_tokens": 0}),
        ("decoding", {"stop": "x"}),
        ("window", {"size": 15}),
        ("window", {"size": "64"}),
        ("window", {"when_full": "wait"}),
        ("window", {"keep_system": 1}),
        ("layer", -1),
        ("hide_first", 1),
        ("shown", 9),
        ("speed_ms", 3),
        ("memory_budget_mb", -1),
        ("memory_budget_mb", "512"),
        ("geometry", "é"),
        ("docks", ["x"]),
    ],
)
def test_one_broken_entry_takes_its_default_and_the_others_stay(
    name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    stored = settings.to_json(OTHERS) | {name: value}
    with caplog.at_level(logging.WARNING):
        read = settings.from_json(stored)
    assert getattr(read, name) == getattr(Preferences(), name)
    assert settings.to_json(read) | {name: None} == settings.to_json(OTHERS) | {name: None}
    assert name in caplog.text


def test_an_unknown_entry_is_ignored_with_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    stored = settings.to_json(OTHERS) | {"from_the_future": 1}
    stored["decoding"] = stored["decoding"] | {"beams": 5}
    with caplog.at_level(logging.WARNING):
        assert settings.from_json(stored) == OTHERS
    assert "from_the_future" in caplog.text
    assert "beams" in caplog.text


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StorageError):
        settings.save(blocked / "settings.json", OTHERS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_saving_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings.save(path, OTHERS)
    settings.save(path, Preferences())
    assert settings.load(path) == Preferences()
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_surrogate_pair_in_the_prompt_can_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings.save(path, Preferences(prompt=PromptRequest(text="a\ud800b")))
    assert settings.load(path).prompt.text.startswith("a")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(settings.to_json(Preferences()), JSON)))
def test_any_json_can_be_read(stored: dict[str, Any]) -> None:
    read = settings.from_json(json.loads(json.dumps(stored)))
    assert isinstance(read, Preferences)

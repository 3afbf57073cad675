"""The workspaces as data, and what is remembered of them."""

import pytest

from canopy_ui.docks import DOCKS
from canopy_ui.workspaces import NAMES, WORKSPACES, Remembered, packed, unpacked, workspace_named


def test_every_workspace_shows_docks_that_exist_and_each_of_them_once() -> None:
    known = {spec.key for spec in DOCKS}
    for workspace in WORKSPACES:
        assert set(workspace.docks) <= known
        assert len(set(workspace.docks)) == len(workspace.docks)


def test_names_of_workspaces_and_docks_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({spec.key for spec in DOCKS}) == len(DOCKS)


def test_every_panel_is_part_of_a_workspace() -> None:
    assert {spec.key for spec in DOCKS} == {key for workspace in WORKSPACES for key in workspace.docks}


def test_what_was_remembered_comes_back() -> None:
    remembered = Remembered(workspace="attend", layouts={"generate": b"\x00\xff", "attend": b""})
    assert unpacked(packed(remembered)) == remembered


def test_a_layout_from_before_there_were_workspaces_is_that_of_the_first() -> None:
    assert unpacked(b"\x00\x00\x00\xff") == Remembered(layouts={"generate": b"\x00\x00\x00\xff"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}",
        b'{"workspace": 3, "layouts": {}}',
        b'{"workspace": "gone", "layouts": {"gone": ""}}',
        b'{"workspace": "generate", "layouts": []}',
        b'{"workspace": "generate", "layouts": {"generate": 5}}',
        b'{"workspace": "generate", "layouts": {"generate": "x"}}',
        b"{" * 100_000,
        b'{"\xff": 1}',
    ],
)
def test_what_cannot_be_read_takes_its_default(data: bytes) -> None:
    assert unpacked(data) == Remembered()


def test_an_unknown_workspace_is_the_first() -> None:
    assert workspace_named("gone") is WORKSPACES[0]


@pytest.mark.parametrize("spec", DOCKS, ids=lambda spec: spec.key)
def test_the_help_of_a_panel_is_three_short_sentences(spec) -> None:
    assert len(spec.help) == 3
    for sentence in spec.help:
        assert sentence.endswith(".")
        assert ". " not in sentence
        assert len(sentence.split()) <= 22
        assert "confidence" not in sentence
        assert "think" not in sentence

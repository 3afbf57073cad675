"""Colours that carry meaning together are told apart by people who lack the receptor for green, too."""

from itertools import combinations

import pytest
from PySide6.QtGui import QColor

from canopy_desktop.exploration.view import TokenRole
from canopy_desktop.settings import THEMES
from canopy_ui.theme import theme_named
from canopy_ui.widgets.inside_colours import InsideColours
from canopy_ui.widgets.inside_layout import Hue
from canopy_ui.widgets.role_colours import role_ground
from tests.support.colour_vision import difference

LEAST = 20.0  # ΔE; side by side 2 is seen, ten times as much across a room
ROLES = (TokenRole.TEMPLATE, TokenRole.SYSTEM, TokenRole.USER, TokenRole.ASSISTANT, TokenRole.FACTS)
_GROUND = "on pale grounds stands text: its source is named in brackets before it, in the legend and in the tool tip"
# Pairs that are closer in a theme, and by what else they are told apart.
OTHER_SIGNS = {
    "grounds of template and system": _GROUND,
    "grounds of template and user": _GROUND,
    "grounds of template and assistant": _GROUND,
    "grounds of system and user": _GROUND,
    "grounds of system and assistant": _GROUND,
    "grounds of user and assistant": _GROUND,
    "inside, value and stream": "the stream is the band at both ends, and every station has its name above it",
    "inside, key and stream": "the stream is the band at both ends, and every station has its name above it",
}


def pairs(name: str) -> dict[str, tuple[QColor | str, QColor | str]]:
    """What is shown side by side in a theme, and means different things."""
    theme = theme_named(name)
    colours = InsideColours.of(theme)
    found: dict[str, tuple[QColor | str, QColor | str]] = {
        "chosen bar and other bars": (theme.accent, theme.bar),
        "chosen text and other text": (theme.accent, theme.text),
        "chosen and warning": (theme.accent, theme.warning),
        "warning and other text": (theme.warning, theme.text),
        "bar and panel": (theme.bar, theme.panel),
        "surprisal, low and high": (theme.surprisal_low, theme.surprisal_high),
        "attention, low and high": (theme.attention_low, theme.attention_high),
        "attention in the text, none and most": (theme.attention_low, theme.link_colour(1.0)),
    }
    for strong, what in ((True, "stretches"), (False, "grounds")):
        for one, other in combinations(ROLES, 2):
            both = role_ground(theme, one, strong=strong), role_ground(theme, other, strong=strong)
            found[f"{what} of {one.value} and {other.value}"] = both
    inside = {hue.value: colours.hues[hue] for hue in (Hue.QUERY, Hue.KEY, Hue.VALUE, Hue.STREAM)}
    for one, other in combinations([*inside.items(), ("below zero", colours.below)], 2):
        found[f"inside, {one[0]} and {other[0]}"] = one[1], other[1]
    return found


def too_close(name: str, *, deuteranopia: bool) -> dict[str, float]:
    """The pairs of a theme that are less than `LEAST` apart."""
    apart = {what: difference(*both, deuteranopia=deuteranopia) for what, both in pairs(name).items()}
    return {what: found for what, found in apart.items() if found < LEAST}


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("deuteranopia", [False, True])
def test_what_means_different_things_differs_in_colour_or_has_another_sign(name: str, deuteranopia: bool) -> None:
    close = too_close(name, deuteranopia=deuteranopia)
    assert {what: found for what, found in close.items() if what not in OTHER_SIGNS} == {}


def test_no_exception_is_without_need() -> None:
    assert {what for name in THEMES for what in too_close(name, deuteranopia=True)} == set(OTHER_SIGNS)


def test_red_and_green_of_one_lightness_are_found_to_be_close() -> None:
    red, green = "#C8553D", "#7D8F28"
    assert difference(red, green, deuteranopia=False) > 3 * difference(red, green, deuteranopia=True)
    assert difference("#000000", "#FFFFFF", deuteranopia=True) == pytest.approx(100, abs=0.1)

"""The theme's promises, and figures as they are read."""

from __future__ import annotations

import math

import pytest
from PySide6.QtGui import QColor, QFontDatabase
from pytestqt.qtbot import QtBot

from canopy_desktop.settings import THEMES
from canopy_ui.theme import SURPRISAL_BITS, load_fonts, mixed, theme_named
from canopy_ui.widgets.elided_label import PartsLabel
from canopy_ui.widgets.numbers import byte_size, milliseconds, percent, rate, token_count

READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3


def luminance(colour: QColor) -> float:
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str | QColor, other: str | QColor) -> float:
    lights = sorted((luminance(QColor(one)), luminance(QColor(other))))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_text_is_readable_on_every_ground_that_it_stands_on(name: str) -> None:
    theme = theme_named(name)
    for text, ground in [
        (theme.text, theme.panel),
        (theme.text, theme.window),
        (theme.text, theme.accent_soft),
        (theme.text, theme.warning_soft),
        (theme.secondary, theme.panel),
        (theme.secondary, theme.window),
        (theme.secondary, theme.hatch),
        (theme.accent, theme.panel),
        (theme.accent, theme.window),
        (theme.accent, theme.accent_soft),
        (theme.on_accent, theme.accent),
        (theme.warning, theme.panel),
    ]:
        assert contrast(text, ground) >= READABLE, (text, ground)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("bits", range(10))
def test_text_and_marks_are_readable_at_every_surprisal(name: str, bits: int) -> None:
    theme = theme_named(name)
    ground = theme.surprisal_colour(bits)
    assert contrast(theme.text, ground) >= READABLE
    assert contrast(theme.mark, ground) >= READABLE


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0, 7.0])
def test_text_is_readable_however_strong_a_link_is(name: str, share: float) -> None:
    theme = theme_named(name)
    assert contrast(theme.text, theme.link_colour(share)) >= READABLE


@pytest.mark.parametrize("name", THEMES)
def test_the_prompt_preview_is_readable(name: str) -> None:
    theme = theme_named(name)
    for share in (0.16, 0.30):
        assert contrast(theme.mark, mixed(theme.panel, theme.bar, share)) >= READABLE


@pytest.mark.parametrize("name", THEMES)
def test_controls_can_be_seen(name: str) -> None:
    theme = theme_named(name)
    assert contrast(theme.control_border, theme.panel) >= 3.0  # success criterion 1.4.11


def test_surprisal_beyond_the_scale_keeps_the_full_colour() -> None:
    theme = theme_named("light")
    assert theme.surprisal_colour(40.0) == theme.surprisal_colour(SURPRISAL_BITS)


def test_an_unknown_theme_is_the_light_one() -> None:
    assert theme_named("mauve").name == "light"


@pytest.mark.parametrize(("wish", "zoom"), [(0.1, 0.8), (1.0, 1.0), (9.0, 2.5)])
def test_zoom_stays_within_what_is_possible(wish: float, zoom: float) -> None:
    assert theme_named("dark", wish).zoom == zoom


@pytest.mark.parametrize("zoom", [0.8, 1.0, 2.5])
def test_no_text_is_under_twelve_pixels(qapp: object, zoom: float) -> None:
    assert theme_named("light", zoom).font(8).pixelSize() >= 12


def test_the_fonts_that_are_shipped_are_known_to_qt(qapp: object) -> None:
    load_fonts()
    assert {"Inter", "JetBrains Mono"} <= set(QFontDatabase.families())


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (0.133, "13.3 %"),
        (0.0004, "<0.1 %"),
        (0.9999, ">99.9 %"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (None, "–"),
    ],
)
def test_a_probability_is_never_rounded_to_none_or_all(probability: float | None, shown: str) -> None:
    assert percent(probability) == shown


def test_one_token_is_no_plural() -> None:
    assert [token_count(count) for count in (0, 1, 2, 8_192)] == ["0 tokens", "1 token", "2 tokens", "8,192 tokens"]


def test_figures_have_units_and_no_idle_digits() -> None:
    assert [milliseconds(value) for value in (8.44, 340.2, 12_000.0, None)] == ["8.4 ms", "340 ms", "12.0 s", "–"]
    assert [byte_size(size) for size in (950, 967_680, 412_000_000, 2_140_000_000)] == [
        "950 B",
        "968 kB",
        "412 MB",
        "2.14 GB",
    ]
    assert [rate(value) for value in (7.25, 119.2, math.pi * 1000)] == ["7.2", "119", "3,142"]


def test_a_title_loses_whole_parts_and_words_and_never_half_a_number(qtbot: QtBot) -> None:
    label = PartsLabel()
    qtbot.addWidget(label)
    whole = "after step 22 · entropy 3.0 bits · all"
    label.set_text(whole)
    label.show()
    seen = []
    for width in range(label.fontMetrics().horizontalAdvance(whole) + 5, 0, -1):
        label.resize(width, 20)
        assert label.fontMetrics().horizontalAdvance(label.text()) <= width
        if label.text() not in seen:
            seen.append(label.text())
    assert seen == [whole, "after step 22 · entropy 3.0 bits", "after step 22", "after step …", "after …", ""]
    assert label.whole_text() == label.toolTip() == whole

"""Every panel paints in every theme and at every size, empty or full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.model.tokenizer import LostByte
from canopy_desktop.settings import THEMES
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.sampling_panel import SamplingPanel
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.theme import Theme, apply_theme, load_fonts, theme_named
from tests.ui.support import (
    STUDENT,
    attention,
    distribution,
    metrics,
    part_of_character,
    row_of,
    templated,
    token,
    window_view,
)

SIZES = [(60, 60), (270, 520), (605, 520), (1240, 90)]


@pytest.fixture(params=[(name, zoom) for name in THEMES for zoom in (1.0, 2.0)], ids=str)
def theme(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[Theme]:
    load_fonts()
    theme = theme_named(*request.param)
    apply_theme(qapp, theme)
    yield theme
    qapp.setStyleSheet("")


def painted(qtbot: QtBot, panel: QWidget) -> None:
    qtbot.addWidget(panel)
    for size in SIZES:
        panel.resize(*size)
        picture = panel.grab()
        assert not picture.isNull()
    colours = {
        picture.toImage().pixel(x, y) for x in range(0, picture.width(), 3) for y in range(0, picture.height(), 3)
    }
    assert len(colours) > 1


def test_empty_panels_paint(qtbot: QtBot, theme: Theme) -> None:
    for panel in (PromptPanel, SamplingPanel, TokenPanel, ProbabilityPanel, AttentionPanel, MetricsPanel):
        painted(qtbot, panel(theme))


def test_the_token_panel_paints_every_kind_of_token(qtbot: QtBot, theme: Theme) -> None:
    panel = TokenPanel(theme)
    view = window_view(selected=3)
    odd = [
        token("<|im_start|>", 1, special=True),
        part_of_character(b"\xf0\x9f"),
        token("مرحبا", 2),
        token("你好", 3),
        token("_" * 3000, 4),
        token("\u202e\x00", 5),
        token("", 6),
    ]
    chips = tuple(
        replace(chip, token=odd[chip.position % len(odd)], lost=b"\x04\x06" if chip.position == 9 else b"")
        for chip in view.chips
    )
    panel.set_view(replace(view, chips=chips))
    panel.set_busy(512, 4_000)
    panel.set_message("The context is full.")
    painted(qtbot, panel)


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("bars", [0, 1, 10, 50])
def test_the_probability_panel_paints(qtbot: QtBot, theme: Theme, greedy: bool, bars: int) -> None:
    panel = ProbabilityPanel(theme)
    panel.set_distribution(distribution(greedy=greedy, bars=bars))
    painted(qtbot, panel)


@pytest.mark.parametrize(("length", "cell"), [(1, 1), (14, 1), (31, 1), (513, 1), (8_000, 16), (8_192, 16)])
def test_the_attention_panel_paints(qtbot: QtBot, theme: Theme, length: int, cell: int) -> None:
    panel = AttentionPanel(theme)
    panel.set_model(30, 9)
    panel.set_attention(attention(length, cell=cell, selected=length - 1), pending=False, row=row_of())
    for shown in range(3):
        panel._shown.setCurrentIndex(shown)
        painted(qtbot, panel)


def test_the_metrics_panel_paints(qtbot: QtBot, theme: Theme) -> None:
    panel = MetricsPanel(theme)
    for steps in (0, 1, 5_000):
        panel.set_metrics(metrics(steps))
        painted(qtbot, panel)


def test_the_prompt_panel_paints_a_chat_that_does_not_fit(qtbot: QtBot, theme: Theme) -> None:
    panel = PromptPanel(theme)
    prompt, tokens = templated(STUDENT, (LostByte(2, 4), LostByte(400, 6)))
    panel.set_prompt(PromptRequest(text=prompt.text, chat=True))
    panel.set_counted(prompt, 8, tokens)
    painted(qtbot, panel)


def test_a_panel_takes_another_theme_while_it_is_shown(qtbot: QtBot, qapp: QApplication) -> None:
    panel = TokenPanel(theme_named("light"))
    panel.set_view(window_view())
    painted(qtbot, panel)
    panel.set_theme(theme_named("dark", 2.5))
    painted(qtbot, panel)

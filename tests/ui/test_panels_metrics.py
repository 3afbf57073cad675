"""The metrics strip: measured figures, and dashes for what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.theme import apply_theme, load_fonts, theme_named
from canopy_ui.widgets.time_plot import axis_maximum
from tests.ui.support import metrics


def test_figures_that_are_not_measured_yet_are_dashes(qtbot: QtBot) -> None:
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    assert {figure.value() for figure in panel._figures()} == {"–"}
    panel.set_metrics(metrics())
    assert [figure.value() for figure in panel._figures()] == [
        "21.0 ms",
        "8.4 ms · p95 9.9",
        "119 tokens/s",
        "620 tokens/s",
        "21 of 8,192",
        "968 kB",
        "4.9 MB of 2.00 GB",
        "412 MB",
    ]


@pytest.mark.parametrize(
    ("slide_ms", "shown"), [((12.5,), "52 of 64 · 1 slide"), ((12.5, 11.0, 10.5), "52 of 64 · 3 slides")]
)
def test_slides_are_counted_beside_the_window_and_their_times_are_in_the_tip(
    qtbot: QtBot, slide_ms: tuple[float, ...], shown: str
) -> None:
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.set_metrics(replace(metrics(), context_used=52, context=64, slide_ms=slide_ms))
    assert panel._context.value() == shown
    assert f"{slide_ms[-1]:.1f} ms" in panel._context.toolTip()
    assert f"{sum(slide_ms):.1f} ms" in panel._context.toolTip()


def test_without_a_model_there_is_no_context(qtbot: QtBot) -> None:
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.set_metrics(replace(metrics(), context_used=0, context=0))
    assert panel._context.value() == "–"


def test_the_metrics_fit_one_strip_of_a_small_window(qtbot: QtBot, qapp: QApplication) -> None:
    load_fonts()
    apply_theme(qapp, theme_named("light"))
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.set_metrics(metrics())
    assert panel._flow.heightForWidth(1240) <= 60
    assert panel._flow.heightForWidth(1020) <= 60
    qapp.setStyleSheet("")


def test_figures_that_need_another_row_get_the_height_for_it(qtbot: QtBot, qapp: QApplication) -> None:
    load_fonts()
    apply_theme(qapp, theme_named("light"))
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.resize(1240, 90)
    panel.show()
    qapp.processEvents()
    one_row = panel.minimumSizeHint().height()
    panel.resize(600, 90)
    qapp.processEvents()
    assert panel.minimumSizeHint().height() >= 2 * (one_row - 10)
    qapp.setStyleSheet("")


def test_a_value_that_becomes_known_moves_nothing(qtbot: QtBot, qapp: QApplication) -> None:
    load_fonts()
    apply_theme(qapp, theme_named("light"))
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.resize(1240, 90)
    panel.show()
    qapp.processEvents()
    before = [figure.geometry() for figure in panel._figures()]
    panel.set_metrics(metrics())
    qapp.processEvents()
    assert [figure.geometry() for figure in panel._figures()] == before
    qapp.setStyleSheet("")


@pytest.mark.parametrize(("slowest", "end"), [(0.0, 1), (8.4, 10), (10.0, 10), (10.1, 20), (730.0, 1_000)])
def test_the_axis_of_times_ends_at_a_round_number(slowest: float, end: int) -> None:
    assert axis_maximum(slowest) == end

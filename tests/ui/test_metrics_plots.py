"""The plots below the figures: times with their limit, requests at once, and what would fit."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QAbstractItemModel, QPointF, QRect
from PySide6.QtGui import QColor, QImage, QRegion
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.bandwidth import Bandwidth
from canopy_desktop.exploration.measurements import Throughput, ThroughputProgress
from canopy_desktop.exploration.model_sizes import ModelSize, typical_sizes
from canopy_desktop.settings import THEMES
from canopy_ui.errands import BandwidthErrand, Errand, ErrandReport, RaceErrand, ThroughputErrand
from canopy_ui.light import DARK, Light
from canopy_ui.links.metrics_link import REQUESTS, MetricsLink
from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.qt_models.steps_table import StepsTable
from canopy_ui.theme import apply_theme, load_fonts, theme_named
from canopy_ui.widgets.metrics_plots import Machine, MetricsPlots, Shown
from canopy_ui.widgets.time_plot import TimePlot
from tests.support.driving import Driver
from tests.support.scripted import ScriptedSession
from tests.support.whole_window import hover, leave
from tests.ui.support import metrics

SMALL = ModelSize(
    name="small",
    parameters=134_515_008,
    weight_bytes=150_000_000,
    cache_bytes_per_token=46_080,
    tokens=8_192,
    installed=True,
)
MACHINE = Machine(weight_bytes=150_000_000, memory_bytes=16_000_000_000, sizes=(SMALL, *typical_sizes()))


@pytest.fixture
def plots(qtbot: QtBot) -> MetricsPlots:
    plots = MetricsPlots(theme_named("light"))
    qtbot.addWidget(plots)
    plots.resize(560, 360)
    plots.show()
    plots.set_machine(MACHINE)
    return plots


def choose(plots: MetricsPlots, shown: Shown) -> None:
    plots._choice._group.button(shown).click()


def cells(table: QAbstractItemModel, row: int) -> list[str]:
    return [table.index(row, column).data() for column in range(table.columnCount())]


def test_times_stand_between_median_p95_and_what_memory_allows(plots: MetricsPlots) -> None:
    plots.set_metrics(metrics(40))
    plots.set_bandwidth(Bandwidth(6, 6, 25e9))
    plot = plots._times.plot()
    assert plot is not None
    assert [level.name for level in plot.levels] == ["p95 9.9", "median 8.4", "memory limit 6.0"]
    assert (plot.lines[0].x[0], plot.lines[0].x[-1]) == (2, 41)  # the time of the first token is the TTFT
    assert plots._words.text().startswith("Weights ÷ bandwidth: 150 MB at 25.0 GB/s take 6.0 ms. No token is faster")
    table = plots._tables[Shown.TIMES].model()
    assert not table.rowCount()  # it costs nothing while nobody reads it
    plots._as_table.click()
    assert [cells(table, row) for row in range(4)] == [
        ["p95", "9.9"],
        ["median", "8.4"],
        ["memory limit", "6.0"],
        ["2", "8.4"],
    ]
    assert table.rowCount() == 43


def test_without_a_measurement_there_is_no_limit_but_a_button_for_it(plots: MetricsPlots, qtbot: QtBot) -> None:
    plots.set_metrics(metrics(5))
    assert "limit" not in " ".join(level.name for level in plots._times.plot().levels)
    with qtbot.waitSignal(plots.bandwidth_wished):
        plots._button.click()


def test_the_processor_s_memory_says_nothing_about_a_card(plots: MetricsPlots) -> None:
    plots.set_bandwidth(Bandwidth(6, 6, 25e9))
    plots.set_machine(replace(MACHINE, on_card=True))
    plots.set_metrics(metrics(5))
    assert not plots._button.isVisible()
    assert "from the card's memory" in plots._words.text()
    assert [level.name for level in plots._times.plot().levels] == ["p95 9.9", "median 8.4"]


def test_a_slide_is_named_where_the_step_after_it_is_short(plots: MetricsPlots) -> None:
    plots.set_metrics(replace(metrics(5), slide_ms=(12.0,)))
    assert "right after a slide" in plots._words.text()


def test_requests_at_once_are_shown_together_and_each(plots: MetricsPlots) -> None:
    choose(plots, Shown.REQUESTS)
    assert plots._page.isVisible()
    plots.begin_throughput()
    plots.set_progress(ThroughputProgress(2, 3, 27))
    assert plots._state.text() == "2 requests: 3 of 27 passes"
    for requests, speed in ((1, 100.0), (2, 150.0), (4, 200.0)):
        plots.add_throughput(Throughput(requests, speed))
    plot = plots._requests.plot()
    assert plot is not None
    assert plot.lines[0].y.tolist() == [100, 150, 200]
    assert plot.lines[1].y.tolist() == [100, 75, 50]
    assert plots._words.text().startswith("4 requests at once get 200 tokens a second together, 50 each; one alone ")
    assert cells(plots._tables[Shown.REQUESTS].model(), 1) == ["2", "150", "75"]
    plots.finish()
    assert plots._button.text() == "Measure requests at once"
    plots.begin_throughput()
    assert plots._tables[Shown.REQUESTS].model().rowCount() == 0


def test_while_something_is_measured_the_button_stops_it_wherever_one_looks(plots: MetricsPlots, qtbot: QtBot) -> None:
    plots.begin_bandwidth()
    for shown in Shown:
        choose(plots, shown)
        assert plots._button.text() == "Stop measuring"
        with qtbot.waitSignal(plots.stop_wished):
            plots._button.click()


def test_sizes_say_what_fits_this_machine(plots: MetricsPlots) -> None:
    choose(plots, Shown.SIZES)
    table = plots._tables[Shown.SIZES].model()
    found = [cells(table, row) for row in range(table.rowCount())]
    assert found[0] == ["small", "135 M", "150 MB", "377 MB", "527 MB", "3 %"]
    fitting = {row[0]: row[-1] for row in found}
    assert fitting["Llama 3.1 8B"] == "70 %"
    assert fitting["Llama 3.1 70B"] == "does not fit"
    assert "This machine has 16.00 GB of memory" in plots._words.text()
    assert "Installed: the first 1;" in plots._words.text()


@pytest.fixture
def look(qapp: QApplication) -> Iterator[None]:
    load_fonts()
    apply_theme(qapp, theme_named("light"))
    yield
    qapp.setStyleSheet("")


def test_the_plots_come_where_there_is_room_and_the_figures_keep_their_rows(
    qtbot: QtBot, qapp: QApplication, look: None
) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    panel = MetricsPanel(theme_named("light"), holder)
    panel.set_metrics(metrics())
    panel.resize(570, 440)
    holder.show()
    qapp.processEvents()
    assert panel.plots.isVisible()
    assert not panel._plot.isVisible()
    lowest = max(figure.mapTo(panel, figure.rect().bottomLeft()).y() for figure in panel._figures())
    assert lowest <= panel.plots.geometry().top()
    panel.resize(1_260, 60)
    qapp.processEvents()
    assert not panel.plots.isVisible()
    assert panel._plot.isVisible()


@pytest.mark.parametrize("name", THEMES)
def test_every_view_is_painted_at_every_zoom(plots: MetricsPlots, name: str) -> None:
    plots.set_metrics(metrics(40))
    plots.add_throughput(Throughput(1, 90.0))
    for zoom in (0.8, 2.5):
        plots.set_theme(theme_named(name, zoom))
        for shown in Shown:
            choose(plots, shown)
            plots.grab()
            plots._as_table.click()
            plots.grab()


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    yield driver
    driver.controller.shutdown()


def test_the_link_asks_for_what_was_wished_and_shows_what_came(driver: Driver, qtbot: QtBot) -> None:
    panel = MetricsPanel(theme_named("light"))
    qtbot.addWidget(panel)
    MetricsLink(panel, driver.controller)
    driver.open()
    asked: list[Errand] = []
    measuring = driver.controller.measuring
    measuring.errand_requested.disconnect()
    measuring.errand_requested.connect(asked.append)
    panel.plots.throughput_wished.emit()
    panel.plots.bandwidth_wished.emit()
    requests, bandwidth = asked
    assert isinstance(requests, ThroughputErrand)
    assert requests.requests == REQUESTS
    assert isinstance(bandwidth, BandwidthErrand)
    measuring.take_report(ErrandReport(errand=requests, value=Throughput(1, 90.0)))
    measuring.take_report(ErrandReport(errand=RaceErrand(ids=(1,), steps=1), ended=True))
    assert panel.plots._button.text() == "Stop measuring"
    measuring.take_report(ErrandReport(errand=bandwidth, value=Bandwidth(1, 1, 50e9)))
    measuring.take_report(ErrandReport(errand=bandwidth, ended=True))
    assert panel.plots._button.text() == "Measure how fast memory is read"
    assert panel.plots._words.text().startswith("Weights ÷ bandwidth: 50 MB at 50.0 GB/s take 1.0 ms.")
    choose(panel.plots, Shown.REQUESTS)
    assert cells(panel.plots._tables[Shown.REQUESTS].model(), 0) == ["1", "90", "90"]


def test_a_place_of_a_plot_over_steps_is_the_slowest_step_that_stands_there(plots: MetricsPlots, qtbot: QtBot) -> None:
    """With more steps than pixels a peak is what one sees."""
    many = metrics(4_000)
    step_ms = many.step_ms.copy()
    step_ms[2_001] = 50.0
    view = replace(many, step_ms=step_ms)
    plots.set_metrics(view)
    small = TimePlot(theme_named("light"))
    qtbot.addWidget(small)
    small.resize(300, 42)
    small.set_times(step_ms)
    told: list[object] = []
    for plot, signal in ((plots._times, plots.step_hovered), (small, small.step_hovered)):
        mark = plot.mark_of(2_001)
        assert mark is not None
        told.clear()
        signal.connect(told.append)
        hover(plot, mark.center())
        leave(plot)
        assert told == [2_001, None]


def test_outside_of_its_axes_a_plot_tells_no_step(plots: MetricsPlots) -> None:
    plots.set_metrics(metrics(5))
    told: list[object] = []
    plots.step_hovered.connect(told.append)
    mark = plots._times.mark_of(0)
    assert mark is not None
    hover(plots._times, QPointF(mark.center().x(), 2))
    hover(plots._times, QPointF(2, mark.center().y()))
    assert told == []
    assert plots._times.mark_of(5) is None


def test_the_times_as_a_table_are_told_apart_from_what_they_have_in_common(
    plots: MetricsPlots, qtmodeltester: ModelTester
) -> None:
    rows = StepsTable()
    qtmodeltester.check(rows)
    added: list[tuple[int, int]] = []
    rows.rowsInserted.connect(lambda parent, first, last: added.append((first, last)))
    for count in (3, 5):
        rows.set_steps([("median", 8.4)], metrics(count).step_ms, metrics(count).step_nodes)
    assert added == [(4, 5)]  # the levels are new at first, so all is
    assert [rows.light_of(rows.index(row, 0)) for row in range(3)] == [DARK, Light(node=1), Light(node=2)]
    assert cells(rows, 5) == ["6", f"{float(metrics(5).step_ms[4]):.1f}"]


@pytest.mark.parametrize("steps", [5, 4_000])
def test_a_part_of_a_plot_is_painted_as_in_the_whole(plots: MetricsPlots, steps: int) -> None:
    plots.set_metrics(metrics(steps))
    plot = plots._times
    whole = plot.grab().toImage()
    for left in range(0, plot.width() - 9, 37):
        part, place = QImage(whole), QRect(left, 0, 9, plot.height())
        part.setPixelColor(left + 4, plot.height() // 2, QColor("#123456"))
        plot.render(part, place.topLeft(), QRegion(place))
        assert part == whole

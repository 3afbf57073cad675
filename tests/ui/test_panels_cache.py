"""The cache panel: what it says of bytes and tokens, and the race as it comes."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.cache_size import CacheSize, LayerSize
from canopy_desktop.exploration.cache_view import CacheView
from canopy_desktop.exploration.measurements import Lap, RaceProgress, RaceStep
from canopy_desktop.settings import THEMES
from canopy_ui.errands import ErrandReport, RaceErrand
from canopy_ui.links.cache_link import CacheLink
from canopy_ui.panels.cache_panel import CachePanel
from canopy_ui.state import RunPhase
from canopy_ui.theme import theme_named
from canopy_ui.widgets.line_plot import Axis, LinePlot, Plot, PlotLevel, PlotLine, spread
from tests.support.driving import PATIENCE_MS, Driver
from tests.support.scripted import ARCHITECTURE, ScriptedSession
from tests.ui.support import ANSWER, STUDENT, chips_of

LAYER = LayerSize(key_bytes=768, value_bytes=768, used=28 * 1536, allocated=512 * 1536)
SIZE = CacheSize(positions=28, capacity=512, predicted_per_position=46_080, layers=(LAYER,) * 30)
VIEW = CacheView(
    chips=chips_of(STUDENT, ANSWER),
    prompt=len(STUDENT),
    dropped=range(0),
    read=28,
    selected=28,
    context=8_192,
    layers=30,
    kv_heads=3,
    head_size=64,
    size=SIZE,
)


def race_step(position: int, without: float, cached: float, difference: float = 0.0) -> RaceStep:
    return RaceStep(
        position=position,
        token_id=1,
        without_cache=Lap(1, without, 0.0),
        refed=Lap(1, cached + 1, 0.0),
        cached=Lap(1 if difference < 1 else 2, cached, difference),
    )


@pytest.fixture
def panel(qtbot: QtBot) -> CachePanel:
    panel = CachePanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.resize(680, 600)
    panel.show()
    return panel


def test_the_formula_stands_there_with_the_model_s_numbers_beside_what_was_measured(panel: CachePanel) -> None:
    panel.set_cache(VIEW)
    assert panel._words.text().splitlines() == [
        "2 (key, value) · 30 layers · 3 heads · 64 numbers · 4 bytes = 46,080 bytes a token.",
        "28 tokens: 1,290,240 bytes predicted, 1,290,240 measured. There is room for 512: 24 MB.",
        "It grows evenly, not with the square: the whole context of 8,192 takes 377 MB.",
    ]
    assert panel.title() == "28 tokens · 1.3 MB"
    assert panel._map.accessibleDescription() == panel._words.text()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ((12, 2), "layer 12, “·student” at position 2: key 768 B + value 768 B"),
        ((0, 28), "layer 0, “·student” at position 28: not read yet"),
    ],
)
def test_a_cell_says_what_it_holds(panel: CachePanel, cell: tuple[int, int], said: str) -> None:
    panel.set_cache(VIEW)
    panel._map.cell_hovered.emit(cell)
    assert panel._value.whole_text() == said


def test_what_has_left_the_window_is_said_to_be_gone(panel: CachePanel) -> None:
    panel.set_cache(replace(VIEW, dropped=range(8), size=replace(SIZE, positions=20)))
    assert panel._value.whole_text() == "hatched: 8 tokens have left the window"
    panel._map.cell_hovered.emit((3, 4))
    assert panel._value.whole_text() == "layer 3, “·the” at position 4: no longer in the window"


def test_after_going_back_it_is_said_what_the_cache_still_holds(panel: CachePanel) -> None:
    panel.set_cache(replace(VIEW, read=25, chips=VIEW.chips[:26], selected=25))
    assert panel._value.whole_text().startswith("3 more tokens, from which you went back, stay ")


def test_a_click_selects_the_token_of_a_column(panel: CachePanel, qtbot: QtBot) -> None:
    panel.set_cache(VIEW)
    with qtbot.waitSignal(panel.position_selected) as selected:
        middle = panel._map.column_rect(5).center().toPoint()
        qtbot.mouseClick(panel._map, Qt.MouseButton.LeftButton, pos=middle)
    assert selected.args == [5]


@pytest.mark.parametrize(
    ("key", "position"),
    [(Qt.Key.Key_Left, 27), (Qt.Key.Key_Right, 28), (Qt.Key.Key_Home, 0), (Qt.Key.Key_End, None)],
)
def test_keys_select_tokens(panel: CachePanel, qtbot: QtBot, key: Qt.Key, position: int | None) -> None:
    panel.set_cache(VIEW)
    with qtbot.waitSignal(panel.position_selected) as selected:
        qtbot.keyClick(panel._map, key)
    assert selected.args == [position]


def test_a_long_text_is_binned_so_that_every_token_has_a_place(panel: CachePanel) -> None:
    chips = chips_of([" a"] * 3_000, [])
    panel.set_cache(replace(VIEW, chips=chips, prompt=3_000, read=3_000, selected=2_999))
    bins = panel._map.tokens_per_column()
    assert bins > 1
    assert panel._map.column_rect(2_999).right() <= panel._map.width()
    cell = panel._map._cell_at(panel._map.column_rect(2_999).center())
    assert cell is not None
    assert cell[1] == 2_999


def test_the_newest_block_and_the_dropped_ones_look_different(panel: CachePanel) -> None:
    panel.set_cache(replace(VIEW, dropped=range(8), selected=20))
    picture = panel._map.grab().toImage()
    colours = {}
    for name, position in (("gone", 2), ("held", 15), ("newest", 27)):
        box = panel._map.column_rect(position).toRect().adjusted(1, 1, -3, -1)
        found = [picture.pixel(box.center().x(), y) for y in range(box.top(), box.bottom())]
        colours[name] = max(set(found), key=found.count)
    assert len(set(colours.values())) == 3


def test_the_table_has_each_layer_s_bytes(panel: CachePanel, qtmodeltester: ModelTester) -> None:
    panel.set_cache(VIEW)
    panel._as_table.click()
    assert panel._table.isVisible()
    assert panel._layers.rowCount() == 30
    assert [panel._layers.index(29, column).data() for column in range(5)] == [
        "29",
        "768 B",
        "768 B",
        "43,008 B",
        "786,432 B",
    ]
    qtmodeltester.check(panel._layers)


def test_a_race_is_drawn_as_it_comes_and_worded_with_its_largest_difference(panel: CachePanel) -> None:
    race = panel.race
    race.begin()
    race.add(race_step(14, 30, 30))
    assert race._page.isVisible()
    for length in range(15, 20):
        race.add(race_step(length, 2.0 * length, 8.0, 0.4 if length < 19 else 1.25))
    plot = race._plot.plot()
    assert plot is not None
    assert race._plot.isVisible()
    assert [line.name for line in plot.lines] == ["without cache", "refed", "with cache"]
    assert plot.lines[0].y.tolist() == [30, 32, 34, 36, 38]
    lines = race._words.text().splitlines()
    assert lines[0] == "At 19 tokens 34.0 ms a token without the cache, 8.0 ms with it: 4.2 times as fast."
    assert lines[1].startswith("Largest logit difference: 0 if the last two tokens pass together (refed), 1.2 if one ")
    assert lines[1].endswith("the likeliest token is the same at 4 of 5 steps.")
    assert "grows with the length" in lines[2]
    race._as_table.click()
    assert race._table.isVisible()
    assert [race._rows.index(4, column).data() for column in range(5)] == ["19", "38.0", "9.0", "8.0", "1.2"]


def test_the_race_s_button_stops_it_while_it_runs(panel: CachePanel, qtbot: QtBot) -> None:
    race = panel.race
    assert not race._button.isEnabled()
    race.set_possible(True)
    race._count.setValue(12)
    with qtbot.waitSignal(race.start_wished) as started:
        race._button.click()
    assert started.args == [12]
    race.begin()
    race.set_progress(RaceProgress(256, 600))
    assert race._state.text() == "256 of 600 tokens recomputed"
    with qtbot.waitSignal(race.stop_wished):
        race._button.click()
    race.finish()
    assert not race.running()
    assert race._button.text() == "Race without and with cache"


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    driver = Driver(qtbot, ScriptedSession())
    yield driver
    driver.session.sequence.gate.set()
    driver.controller.shutdown()


def test_what_was_measured_of_a_run_is_shown_and_a_hidden_panel_measures_nothing(
    driver: Driver, panel: CachePanel
) -> None:
    sizes: list[CacheSize] = []
    driver.controller.measuring.cache_measured.connect(sizes.append)
    CacheLink(panel, driver.controller)
    panel.hide()
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert not sizes
    panel.show()
    driver.wait_for(RunPhase.FINISHED)
    driver.wait_painted()
    assert sizes[-1].positions == 6
    assert panel._words.text().startswith(
        f"2 (key, value) · {ARCHITECTURE.layers} layers · {ARCHITECTURE.kv_heads} heads · 2 numbers · 4 bytes = 96 "
    )
    assert sizes[-1].used == 6 * 96


def test_a_size_that_changes_while_it_is_measured_is_measured_again(driver: Driver, panel: CachePanel) -> None:
    CacheLink(panel, driver.controller)
    panel.shown_changed.emit(True)
    driver.open()
    measuring, asked = driver.controller.measuring, []
    driver.wait_painted()
    driver.qtbot.waitUntil(lambda: measuring.idle, timeout=PATIENCE_MS)  # the link's own question was answered
    measuring.cache_size_requested.disconnect()
    measuring.cache_size_requested.connect(lambda: asked.append(driver.controller.state.phase))
    measuring.measure_cache()
    driver.controller.run()
    driver.qtbot.waitUntil(lambda: driver.controller.state.phase is RunPhase.FINISHED, timeout=PATIENCE_MS)
    driver.wait_painted()
    assert len(asked) == 1
    measuring.take_size(SIZE)  # from before the run
    driver.wait_painted()
    assert asked[1:] == [RunPhase.FINISHED]
    measuring.take_size(SIZE)


def test_a_race_goes_on_from_the_prompt_and_reports_of_others_are_not_its_own(
    driver: Driver, panel: CachePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    CacheLink(panel, driver.controller)
    driver.open()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    asked: list[RaceErrand] = []
    driver.controller.measuring.errand_requested.disconnect()
    driver.controller.measuring.errand_requested.connect(asked.append)
    panel.race.start_wished.emit(9)
    (errand,) = asked
    assert (driver.session.tokenizer.decode(errand.ids), errand.steps) == ("abc", 9)
    driver.controller.measuring.take_report(ErrandReport(errand=errand, value=race_step(3, 9, 9)))
    assert len(panel.race._steps) == 1
    driver.controller.measuring.take_report(ErrandReport(errand=errand, ended=True))
    assert not panel.race.running()


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        (0.0, 8.9, ["0", "2", "4", "6", "8", "10"]),
        (0.0, 0.9, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 4_100.0, ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]),
    ],
)
def test_an_axis_ends_at_a_round_number(first: float, last: float, ticks: list[str]) -> None:
    axis = Axis.of(first, last)
    assert [axis.label(tick) for tick in axis.ticks()] == ticks


def test_an_axis_of_whole_numbers_ends_where_the_points_end() -> None:
    axis = Axis.of(15.0, 38.0, whole=True)
    assert (axis.first, axis.last) == (15.0, 38.0)
    assert [axis.label(tick) for tick in axis.ticks()] == ["15", "20", "25", "30", "35"]


@pytest.mark.parametrize("heights", [[50.0, 51.0, 52.0], [0.0, 0.0, 99.0], [99.0, 98.0, 5.0]])
def test_names_of_lines_never_overlap_and_stay_inside(heights: list[float]) -> None:
    placed = spread(heights, 10.0, 0.0, 100.0)
    ordered = sorted(placed)
    assert all(after - before >= 10.0 for before, after in itertools.pairwise(ordered))
    assert ordered[0] >= 5.0
    assert ordered[-1] <= 95.0
    assert np.argsort(placed, kind="stable").tolist() == np.argsort(heights, kind="stable").tolist()


@pytest.mark.parametrize("name", THEMES)
def test_every_state_is_painted_at_every_zoom(panel: CachePanel, name: str) -> None:
    for zoom in (0.8, 1.0, 2.5):
        panel.set_theme(theme_named(name, zoom))
        for view in (None, VIEW, replace(VIEW, dropped=range(8)), replace(VIEW, selected=None)):
            panel.set_cache(view)
            panel.grab()
        panel.race.begin()
        for length in range(14, 60):
            panel.race.add(race_step(length, 2.0 * length, 8.0))
        panel.grab()


def test_a_plot_of_one_point_and_of_ten_thousand_keeps_its_peak_in_sight(qtbot: QtBot, qapp: QApplication) -> None:
    plot = LinePlot(theme_named("light"), "times")
    qtbot.addWidget(plot)
    plot.resize(400, 200)
    times = np.full(10_000, 5.0)
    times[7_000] = 90.0
    for values in (np.array([7.0]), times):
        x = np.arange(1.0, values.size + 1)
        plot.set_plot(Plot(x_name="step", y_name="ms", lines=(PlotLine("", x, values),), levels=(PlotLevel("m", 5.0),)))
        picture = plot.grab().toImage()
    accent = theme_named("light").accent.lower()
    rows = [y for y in range(200) for x in range(400) if picture.pixelColor(x, y).name() == accent]
    assert max(rows) - min(rows) > 80

"""The token under the mouse lights up wherever it is shown, and nothing is computed for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import QModelIndex, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QTreeView, QWidget

from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.view import WindowView
from canopy_ui.light import DARK
from canopy_ui.lighting import Lighting
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.branch_panel import BranchPanel
from canopy_ui.panels.cache_panel import CachePanel
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.panels.inside_panel import InsidePanel
from canopy_ui.panels.lens_panel import LensPanel
from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.qt_models.row_table import LitRows
from canopy_ui.qt_models.steps_table import StepsTable
from canopy_ui.widgets.attention_matrix import AttentionMatrix
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.branch_canvas import BranchCanvas
from canopy_ui.widgets.cache_map import CacheMap
from canopy_ui.widgets.candidate_rows import CandidateRows
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.draw_strip import DrawStrip
from canopy_ui.widgets.heads_grid import HeadsGrid
from canopy_ui.widgets.inside_flow import InsideFlow
from canopy_ui.widgets.inside_layout import Station
from canopy_ui.widgets.lens_grid import LensGrid
from canopy_ui.widgets.line_plot import LinePlot
from canopy_ui.widgets.mirror_chart import MirrorChart
from canopy_ui.widgets.paired_text import PairedText
from canopy_ui.widgets.shift_chart import ShiftChart
from canopy_ui.widgets.time_plot import TimePlot
from canopy_ui.widgets.token_preview import TokenPreview
from canopy_ui.widgets.token_text import TokenText
from tests.support.whole_window import Painted, WholeWindow, canvas_of, hover, leave, whole_window
from tests.ui.support import chips_of

NEWEST = 6  # of "abcdefg"


@pytest.fixture(scope="module")
def whole(qapp: QApplication) -> Iterator[WholeWindow]:
    with whole_window() as whole:
        yield whole


def shown(whole: WholeWindow, kind: type[QWidget]) -> QWidget:
    (found,) = [widget for widget in whole.window.findChildren(kind) if widget.isVisible()]
    return found


def picture(widget: QWidget) -> QImage:
    QApplication.processEvents()
    return canvas_of(widget).grab().toImage()


def over_chip(text: QWidget, position: int) -> QPointF:
    assert isinstance(text, TokenText | TokenPreview)
    return text.rect_of(position).center()


def over_matrix(matrix: QWidget, position: int) -> QPointF:
    """In the row of the last token that was read."""
    assert isinstance(matrix, AttentionMatrix)
    geometry = matrix.geometry_of_matrix()
    assert geometry is not None
    return geometry.cell(NEWEST - 1, position).center()


def over_cache(cache: QWidget, position: int) -> QPointF:
    assert isinstance(cache, CacheMap)
    return cache.column_rect(position).center()


def over_lens(lens: QWidget, position: int) -> QPointF:
    """The column in which it came next."""
    assert isinstance(lens, LensGrid)
    return QRectF(lens.visualRect(lens.model().index(0, position - 1))).center()


def over_lane(flow: QWidget, position: int) -> QPointF:
    assert isinstance(flow, InsideFlow)
    lane = flow._lane_of(position)
    assert lane is not None
    return lane.center()


def over_node(canvas: QWidget, position: int) -> QPointF:
    """The first token after the prompt has the number 1."""
    assert isinstance(canvas, BranchCanvas)
    tree = canvas.picture()
    assert tree is not None
    return canvas._geometry.on_screen(canvas._geometry.cell(*tree.cell_of(position - 2))).center()


def over_time(plot: QWidget, position: int) -> QPointF:
    """The fifth token's time is the first: that of the fourth is the TTFT."""
    assert isinstance(plot, TimePlot | LinePlot)
    mark = plot.mark_of(position - 4)
    assert mark is not None
    return mark.center()


def over_heads(grid: QWidget, position: int) -> QPointF:
    """In the strip of the last head."""
    assert isinstance(grid, HeadsGrid)
    geometry, row = grid.geometry_of_grid(), grid._row
    assert geometry is not None
    assert row is not None
    strip = geometry.strip(2, 3)
    return QPointF(strip.left() + (position + 0.5) / row.positions.size * strip.width(), strip.center().y())


PLACES: dict[type[QWidget], tuple[str, Callable[[QWidget, int], QPointF]]] = {
    TokenText: ("generate", over_chip),
    TokenPreview: ("generate", over_chip),
    AttentionMatrix: ("attend", over_matrix),
    CacheMap: ("cache", over_cache),
    LensGrid: ("lens", over_lens),
    InsideFlow: ("inside", over_lane),
    BranchCanvas: ("search", over_node),
    TimePlot: ("generate", over_time),
    LinePlot: ("cache", over_time),
    HeadsGrid: ("attend", over_heads),
}


@pytest.mark.parametrize("kind", [kind for kind in PLACES if kind is not TokenText])
def test_a_token_of_the_text_lights_up_in_another_panel_until_the_mouse_leaves(
    whole: WholeWindow, kind: type[QWidget]
) -> None:
    whole.show(PLACES[kind][0])
    text, other = shown(whole, TokenText), shown(whole, kind)
    before = picture(other)
    hover(text, over_chip(text, 1 if kind is TokenPreview else 4))
    lit = picture(other)
    assert lit != before
    leave(text)
    assert picture(other) == before


@pytest.mark.parametrize("kind", list(PLACES))
def test_every_panel_tells_which_token_is_under_the_mouse(whole: WholeWindow, kind: type[QWidget]) -> None:
    workspace, over = PLACES[kind]
    whole.show(workspace)
    widget, told = shown(whole, kind), []
    places = [1, 2] if kind is TokenPreview else [4, 5]
    whole.controller.lighting.position_lit.connect(told.append)
    for place in places:
        hover(widget, over(widget, place))
    leave(widget)
    whole.controller.lighting.position_lit.disconnect(told.append)
    assert told == [*places, None]


def test_a_prompt_that_was_edited_is_not_the_text_and_stays_dark(whole: WholeWindow) -> None:
    whole.show("generate")
    text, preview, panel = shown(whole, TokenText), shown(whole, TokenPreview), whole.window.panel(PromptPanel)
    request = panel.request()
    panel.set_prompt(replace(request, text="abd"))
    panel.changed.emit()
    whole.wait_until(lambda: whole.controller.state.edited)
    whole.settle()
    before, told = picture(preview), []
    whole.controller.lighting.position_lit.connect(told.append)
    hover(preview, over_chip(preview, 1))
    leave(preview)
    assert told == []
    hover(text, over_chip(text, 1))
    assert picture(preview) == before
    leave(text)
    whole.controller.lighting.position_lit.disconnect(told.append)
    panel.set_prompt(request)
    panel.changed.emit()
    whole.wait_until(lambda: not whole.controller.state.edited)


def test_the_newest_token_is_a_bar_and_a_stretch_of_the_draw_too(whole: WholeWindow) -> None:
    whole.show("choose")
    text, others = shown(whole, TokenText), [shown(whole, kind) for kind in (BarChart, DrawStrip)]
    before = [picture(other) for other in others]
    hover(text, over_chip(text, NEWEST))
    assert [picture(other) == was for other, was in zip(others, before, strict=True)] == [False, False]
    leave(text)
    assert [picture(other) for other in others] == before


def test_a_bar_lights_its_stretch_of_the_draw(whole: WholeWindow) -> None:
    whole.show("choose")
    chart, strip = shown(whole, BarChart), shown(whole, DrawStrip)
    assert isinstance(chart, BarChart)
    before = picture(strip)
    hover(chart, chart._rect_of(0).center())
    assert picture(strip) != before
    leave(chart)
    assert picture(strip) == before


@pytest.mark.parametrize("workspace", sorted({workspace for workspace, _ in PLACES.values()}))
def test_light_asks_nobody_and_paints_only_places(whole: WholeWindow, workspace: str) -> None:
    """Something else may want to be painted just then, but not every time."""
    whole.show(workspace)
    whole.wait_until(lambda: any(lit_quietly(whole) for _ in range(20)))


def lit_quietly(whole: WholeWindow) -> bool:
    """Whether a light was painted, and no panel whole, and nothing was asked or resolved for it."""
    whole.settle()
    text, asked, kinds = shown(whole, TokenText), len(whole.session.asked), tuple(PLACES)
    with Painted() as painted:
        hover(text, over_chip(text, 5))
        touched = whole.controller._repaint._timer.isActive()
        whole.wait_until(lambda: bool(painted.parts))
    leave(text)
    panels = [
        (widget, part)
        for widget, part in painted.parts
        if isinstance(widget, kinds) or isinstance(widget.parent(), kinds)
    ]
    places = all(part < 0.7 * widget.width() * widget.height() for widget, part in panels)
    return bool(panels) and places and not touched and len(whole.session.asked) == asked


@dataclass(frozen=True)
class Rows:
    """Where a table is, what shows it, and how the token of its second row is known."""

    workspace: str
    panel: type[QWidget]
    table: str
    shown: tuple[str, ...] = ()  # buttons that are pressed for it
    back: str = ""  # the last one's opposite, if it has one
    lit: str = "position"


TABLES = (
    Rows("attend", AttentionPanel, "Strongest links as a table"),
    Rows("attend", AttentionPanel, "All heads as a table"),
    Rows("cache", CachePanel, "The cache, token by token", ("The cache as a table",)),
    Rows("cache", MetricsPanel, "The figures as a table", ("The figures as a table",), lit="node"),
    Rows("generate", PromptPanel, "Tokens of the prompt, with ids and bytes", ("What goes in: Table",), "Tokens"),
    Rows("choose", ProbabilityPanel, "Next-token probabilities as a table", ("as table",), lit="token_id"),
    Rows("lens", LensPanel, "The likeliest tokens of the selected cell", lit="token_id"),
    Rows("search", BranchPanel, "Tree of branches as a table", ("How the branches are shown: Table",), "Tree", "node"),
    Rows("inside", InsidePanel, "Numbers of the operation", ("What is shown: Tables",), "Picture"),
)


def press(panel: QWidget, name: str) -> None:
    found = [
        button
        for button in panel.findChildren(QAbstractButton)
        if button.isVisible() and name in (button.accessibleName(), button.text())
    ]
    found[0].click()


@contextmanager
def table_of(whole: WholeWindow, rows: Rows) -> Iterator[QAbstractItemView]:
    """The table while it is shown."""
    whole.show(rows.workspace)
    panel = whole.window.panel(rows.panel)
    for name in rows.shown:
        press(panel, name)
    if isinstance(panel, AttentionPanel):
        panel._heads.set_as_table(rows.table == "All heads as a table")
    if isinstance(panel, InsidePanel):
        panel._card.open(Station.SOFTMAX)
    whole.settle()
    tables = [one for one in panel.findChildren(QAbstractItemView) if one.accessibleName() == rows.table]
    (table,) = [one for one in tables if one.isVisible()]
    yield table
    if isinstance(panel, AttentionPanel):
        panel._heads.set_as_table(False)
    for name in rows.shown:
        press(panel, f"{name.split(':')[0]}: {rows.back}" if rows.back else name)


def place_of(table: QAbstractItemView, row: int) -> QModelIndex:
    index = table.model().index(0, 0)
    for _ in range(row):
        index = table.indexBelow(index) if isinstance(table, QTreeView) else index.sibling(index.row() + 1, 0)
    return index


def framed(whole: WholeWindow, table: QAbstractItemView, index: QModelIndex) -> bool:
    """Whether the light's lines are above and below a cell, within the ground of a chosen one."""
    theme, image = whole.window._theme, picture(table)
    place, thin = table.visualRect(index), theme.px(1.5)
    chosen = table.selectionModel().isSelected(index)
    ink, inset = (theme.on_accent, thin) if chosen else (theme.text, 0)
    ends = (place.top() + inset, place.bottom() - inset)
    return all(image.pixelColor(place.center().x(), y) == QColor(ink) for y in ends)


@pytest.mark.parametrize("rows", TABLES, ids=lambda rows: rows.table)
def test_a_row_of_every_table_lights_its_token_and_is_lit_with_it(whole: WholeWindow, rows: Rows) -> None:
    lighting, told = whole.controller.lighting, []
    with table_of(whole, rows) as table:
        index = place_of(table, len(table.model()._levels) if isinstance(table.model(), StepsTable) else 1)
        model = table.model()
        assert isinstance(model, LitRows)
        light = model.light_of(index)
        known = getattr(light, rows.lit)
        assert known is not None
        assert not framed(whole, table, index)
        lighting.lit.connect(told.append)
        hover(table, QRectF(table.visualRect(index)).center())
        (lit,) = told
        assert getattr(lit, rows.lit) == known
        assert rows.lit == "token_id" or lit.position is not None
        assert framed(whole, table, index)
        leave(table)
        lighting.lit.disconnect(told.append)
        assert told == [lit, DARK]
        assert not framed(whole, table, index)
        lighting.light_row(lit)  # as another panel does
        assert framed(whole, table, index)
        lighting.light(None)
        assert not framed(whole, table, index)


def test_the_keyboard_in_a_table_lights_tokens_in_the_text(whole: WholeWindow) -> None:
    rows = TABLES[2]
    with table_of(whole, rows) as table:
        text = shown(whole, TokenText)
        table.setFocus()
        QTest.keyClick(table, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(table, Qt.Key.Key_Down)
        lit = picture(text)
        text.setFocus()
        assert picture(text) != lit


def test_candidates_of_a_comparison_and_of_a_forbidden_look_are_lit_too(whole: WholeWindow) -> None:
    whole.compare()
    whole.show("compare")
    whole.wait_until(lambda: whole.controller.comparison.view().picture is not None)
    whole.settle()
    check_candidates(whole, shown(whole, MirrorChart), shown(whole, PairedText))
    panel = whole.window.panel(ComparePanel)
    panel._as_table.click()
    for name, row in (("Both distributions as a table", 1), ("Both texts as a table", 2)):
        (table,) = [one for one in panel.findChildren(CopyableTable) if one.accessibleName() == name]
        light = table.model().light_of(table.model().index(row, 0))
        assert light.token_id is not None
        index = table.model().index(row, 0)
        assert not framed(whole, table, index)
        whole.controller.lighting.light_row(light)
        assert framed(whole, table, index)
        whole.controller.lighting.light_token(None)
    panel._as_table.click()
    whole.show("attend")
    attention = whole.window.panel(AttentionPanel)
    attention.try_block(BlockWish(query=5, key=2, column=False, layer=1, head=2))
    whole.wait_until(lambda: "bits" in attention._before_after.told())
    check_candidates(whole, shown(whole, ShiftChart))
    attention.try_block(None)


def check_candidates(whole: WholeWindow, chart: QWidget, *others: QWidget) -> None:
    assert isinstance(chart, CandidateRows)
    ids = chart.token_ids()
    before, told = picture(chart), []
    whole.controller.lighting.token_lit.connect(told.append)
    for row in (1, 0):
        hover(chart, chart.row_rect(row).center())
    lit = picture(chart)
    leave(chart)
    whole.controller.lighting.token_lit.disconnect(told.append)
    assert told == [ids[1], ids[0], None]
    assert lit != before
    for other in others:
        dark = picture(other)
        whole.controller.lighting.light_token(next(token.id for token in whole.controller.comparison.view().a.tokens))
        assert picture(other) != dark
        whole.controller.lighting.light_token(None)
        assert picture(other) == dark


def test_only_changes_are_told() -> None:
    lighting, told = Lighting(), []
    lighting.position_lit.connect(lambda position: told.append(("position", position)))
    lighting.token_lit.connect(lambda token_id: told.append(("token", token_id)))
    chips = chips_of(["a", "b"], [])
    lighting.take_view(WindowView(chips=chips))
    lighting.light(1)
    lighting.light(1)
    lighting.light_token(7)
    lighting.light_token(None)
    assert told == [("position", 1), ("token", chips[1].token.id), ("position", None), ("token", 7), ("token", None)]


def test_no_light_stays_on_a_place_where_another_token_stands_now() -> None:
    lighting, told = Lighting(), []
    lighting.position_lit.connect(told.append)
    lighting.take_view(WindowView(chips=chips_of(["a", "b"], [])))
    lighting.light(1)
    lighting.take_view(WindowView(chips=chips_of(["a", "b"], ["c"])))
    assert told == [1]
    lighting.take_view(WindowView(chips=chips_of(["a", "x"], [])))
    assert told == [1, None]
    lighting.light(2)  # there is none
    assert told == [1, None]

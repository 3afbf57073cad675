"""The token under the mouse lights up wherever it is shown, and nothing is computed for it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from canopy_desktop.exploration.view import WindowView
from canopy_ui.lighting import Lighting
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.widgets.attention_matrix import AttentionMatrix
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.branch_canvas import BranchCanvas
from canopy_ui.widgets.cache_map import CacheMap
from canopy_ui.widgets.draw_strip import DrawStrip
from canopy_ui.widgets.heads_grid import HeadsGrid
from canopy_ui.widgets.inside_flow import InsideFlow
from canopy_ui.widgets.lens_grid import LensGrid
from canopy_ui.widgets.line_plot import LinePlot
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
        touched = whole.controller._repaint.isActive()
        whole.wait_until(lambda: bool(painted.parts))
    leave(text)
    panels = [
        (widget, part)
        for widget, part in painted.parts
        if isinstance(widget, kinds) or isinstance(widget.parent(), kinds)
    ]
    places = all(part < 0.7 * widget.width() * widget.height() for widget, part in panels)
    return bool(panels) and places and not touched and len(whole.session.asked) == asked


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

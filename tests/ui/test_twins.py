"""Whatever paints figures has the same figures as a table: for the keyboard, for screen readers, and to be copied."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QTableView, QTreeView, QWidget

import canopy_ui
from canopy_desktop.exploration.blocking import BlockWish
from canopy_ui.export_menu import Export
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.widgets.attention_matrix import AttentionMatrix
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.branch_canvas import BranchCanvas
from canopy_ui.widgets.cache_map import CacheMap
from canopy_ui.widgets.chip_area import ChipArea
from canopy_ui.widgets.context_ruler import ContextRulerBar
from canopy_ui.widgets.draw_strip import DrawStrip
from canopy_ui.widgets.elided_label import LineLabel
from canopy_ui.widgets.heads_grid import HeadsGrid
from canopy_ui.widgets.inside_flow import InsideFlow
from canopy_ui.widgets.inside_legend import InsideLegend
from canopy_ui.widgets.legend import Legend
from canopy_ui.widgets.lens_grid import LensGrid
from canopy_ui.widgets.line_plot import LinePlot
from canopy_ui.widgets.look_menu import LookMenu
from canopy_ui.widgets.matrix_legend import MatrixLegend
from canopy_ui.widgets.mirror_chart import MirrorChart
from canopy_ui.widgets.paired_text import PairedText
from canopy_ui.widgets.progress_line import ProgressLine
from canopy_ui.widgets.shift_chart import ShiftChart
from canopy_ui.widgets.stage_cell import StageCell
from canopy_ui.widgets.time_plot import TimePlot
from canopy_ui.widgets.token_preview import TokenPreview
from canopy_ui.widgets.token_text import TokenText
from canopy_ui.widgets.variation_legend import VariationLegend
from tests.support.whole_window import WholeWindow, whole_window


def forbid(whole: WholeWindow) -> None:
    panel = whole.window.panel(AttentionPanel)
    panel.try_block(BlockWish(query=5, key=2, column=False, layer=1, head=2))
    whole.wait_until(lambda: "bits" in panel._before_after.told())


def allow(whole: WholeWindow) -> None:
    whole.window.panel(AttentionPanel).try_block(None)


def nothing(whole: WholeWindow) -> None:
    pass


@dataclass(frozen=True)
class Twin:
    """Where a table is, and the button that shows it."""

    dock: str
    table: str
    button: str = ""  # none: it is always there
    before: Callable[[WholeWindow], None] = nothing
    after: Callable[[WholeWindow], None] = nothing


TABLES = {
    BarChart: ("choose", Twin("probabilities", "Next-token probabilities as a table", "as table")),
    DrawStrip: ("choose", Twin("probabilities", "Next-token probabilities as a table", "as table")),
    AttentionMatrix: ("attend", Twin("attention", "Strongest links as a table")),
    ShiftChart: ("attend", Twin("attention", "Before and after as a table", "as table", forbid, allow)),
    CacheMap: ("cache", Twin("cache", "The cache, token by token", "The cache as a table")),
    LinePlot: ("cache", Twin("metrics", "The figures as a table", "The figures as a table")),
    LensGrid: ("lens", Twin("lens", "What the model would say after each layer")),
    BranchCanvas: ("search", Twin("branches", "Tree of branches as a table", "How the branches are shown: Table")),
    InsideFlow: ("inside", Twin("inside", "Numbers of the operation", "What is shown: Tables")),
    MirrorChart: ("compare", Twin("compare", "Both distributions as a table", "as tables")),
    PairedText: ("compare", Twin("compare", "Both texts as a table", "as tables")),
    TokenPreview: ("generate", Twin("prompt", "Tokens of the prompt, with ids and bytes", "What goes in: Table")),
    ContextRulerBar: ("generate", Twin("prompt", "Room in the context window, as a table", "What goes in: Room")),
}
BY_MENU = {
    HeadsGrid: "a choice in the menu of what is looked at",
    TimePlot: "the menu in the title of its dock copies the table of its steps",
}
IN_WORDS = {
    InsideLegend: "explains colours",
    Legend: "explains colours",
    MatrixLegend: "explains colours",
    VariationLegend: "explains colours",
    ProgressLine: "says one share in words",
    StageCell: "a button with its figure on it",
    TokenText: "is a text, to be walked through token by token, each with its figures",
    ChipArea: "what chips have in common",
    LineLabel: "is a line of text",
}
BACK = {
    "What goes in: Table": "What goes in: Tokens",
    "What goes in: Room": "What goes in: Tokens",
    "What is shown: Tables": "What is shown: Picture",
    "How the branches are shown: Table": "How the branches are shown: Tree",
}


@pytest.fixture(scope="module")
def whole(qapp: QApplication) -> Iterator[WholeWindow]:
    with whole_window() as whole:
        whole.compare()
        yield whole


def painting_classes() -> set[type]:
    """Every widget of the program that paints itself."""
    found = set()
    for module in pkgutil.walk_packages(canopy_ui.__path__, "canopy_ui."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(kind, QWidget) and kind.__module__ == module.name and "paintEvent" in vars(kind):
                found.add(kind)
    return found


def test_every_painted_widget_has_a_table_or_says_why_not() -> None:
    inherited = {TokenPreview, TokenText, LensGrid}  # these paint through what they are made of
    assert painting_classes() == {*TABLES, *BY_MENU, *IN_WORDS} - inherited


def press(panel: QWidget, name: str) -> None:
    """As the keyboard does it."""
    (button,) = [
        button
        for button in panel.findChildren(QAbstractButton)
        if button.isVisible() and name in (button.accessibleName(), button.text())
    ]
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    QTest.keyClick(button, Qt.Key.Key_Space)


def tables(panel: QWidget, name: str) -> list[QTableView | QTreeView]:
    views = panel.findChildren(QAbstractItemView)
    return [view for view in views if isinstance(view, QTableView | QTreeView) and view.accessibleName() == name]


@pytest.mark.parametrize("kind", TABLES)
def test_the_table_beside_a_picture_is_shown_and_copied_by_keyboard(whole: WholeWindow, kind: type[QWidget]) -> None:
    workspace, twin = TABLES[kind]
    whole.show(workspace)
    twin.before(whole)
    panel = whole.window.docks[twin.dock].panel
    assert any(widget.isVisible() for widget in panel.findChildren(kind))
    if twin.button:
        press(panel, twin.button)
    (table,) = [table for table in tables(panel, twin.table) if table.isVisible()]
    assert table.focusPolicy() & Qt.FocusPolicy.TabFocus
    QGuiApplication.clipboard().clear()
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = QGuiApplication.clipboard().text().splitlines()
    assert len(copied) > 1
    assert "\t" in copied[1]
    if twin.button:
        press(panel, BACK.get(twin.button, twin.button))
    twin.after(whole)


def test_all_heads_are_a_table_by_their_menu(whole: WholeWindow) -> None:
    whole.show("attend")
    panel = whole.window.panel(AttentionPanel)
    (choice,) = [
        action
        for action in panel.findChildren(LookMenu)[0].menu().actions()
        if action.text() == "All heads as a table" and action.isCheckable()
    ]
    choice.trigger()
    assert panel._heads.table.isVisible()
    assert len(panel._heads.table.copied_text().splitlines()) == 1 + 3 * 4
    choice.trigger()


def test_the_small_plot_of_times_is_copied_as_a_table(whole: WholeWindow) -> None:
    whole.show("generate")
    dock = whole.window.docks["metrics"]
    assert dock.panel.findChildren(TimePlot)[0].isVisible()
    dock.export_wanted.emit(dock, Export.COPY_TABLE)
    rows = QGuiApplication.clipboard().text().splitlines()
    assert rows[0] == "step,ms"
    assert [row.split(",")[0] for row in rows[-3:]] == ["2", "3", "4"]  # the time of the first token is the TTFT


def test_the_ruler_is_copied_in_words(whole: WholeWindow) -> None:
    whole.show("generate")
    dock = whole.window.docks["prompt"]
    dock.export_wanted.emit(dock, Export.COPY_TEXT)
    assert "3 of 300 positions are taken, 297 are free" in QGuiApplication.clipboard().text()

"""The probability chart: nothing is left out, and another token branches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.decision_view import ChartColumn
from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.qt_models.distribution_table import DistributionTable
from canopy_ui.qt_models.row_table import RecordRole
from canopy_ui.theme import theme_named
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.bar_columns import grouped_columns
from canopy_ui.widgets.bar_scale import BarScale, ScaleKind
from tests.support.painted import painted_texts
from tests.support.scripted import byte_tokenizer
from tests.ui.support import distribution


@pytest.fixture
def panel(qtbot: QtBot) -> ProbabilityPanel:
    panel = ProbabilityPanel(theme_named("light"))
    panel.resize(370, 360)
    qtbot.addWidget(panel)
    panel.show()
    return panel


def centre_of(chart: BarChart, row: int) -> QPoint:
    return chart._rect_of(row).center().toPoint()


def test_a_click_on_another_token_asks_for_a_branch(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    view = distribution()
    panel.set_distribution(view)
    with qtbot.waitSignal(panel.branch_requested) as branch:
        qtbot.mouseClick(panel._chart.viewport(), Qt.MouseButton.LeftButton, pos=centre_of(panel._chart, 2))
    assert branch.args == [(PROMPT_NODE, view.bars[2].token.id)]


def test_return_on_another_token_asks_for_a_branch(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    view = distribution(parent=4)
    panel.set_distribution(view)
    qtbot.keyClick(panel._chart, Qt.Key.Key_Down)
    qtbot.keyClick(panel._chart, Qt.Key.Key_Down)
    with qtbot.waitSignal(panel.branch_requested) as branch:
        qtbot.keyClick(panel._chart, Qt.Key.Key_Return)
    assert branch.args == [(4, view.bars[1].token.id)]


@pytest.mark.parametrize(("row", "parent"), [(0, PROMPT_NODE), (2, None)])
def test_the_chosen_token_and_a_step_of_the_prompt_branch_nowhere(
    panel: ProbabilityPanel, qtbot: QtBot, row: int, parent: int | None
) -> None:
    panel.set_distribution(distribution(parent=parent))
    with qtbot.assertNotEmitted(panel.branch_requested):
        qtbot.mouseClick(panel._chart.viewport(), Qt.MouseButton.LeftButton, pos=centre_of(panel._chart, row))


def test_the_longest_bar_sets_the_scale_and_others_count(panel: ProbabilityPanel) -> None:
    panel.set_distribution(distribution())
    assert panel._chart.scale().largest == pytest.approx(distribution().columns[0].others_probability)
    assert panel._note.text() == "full bar = 51.7 %"


def test_others_stay_in_sight_however_many_bars_there_are(panel: ProbabilityPanel) -> None:
    panel.set_distribution(distribution(bars=50))
    chart = panel._chart
    assert chart.verticalScrollBar().maximum() > 0
    assert chart._top + chart._rows_height() + chart._row_height <= chart.viewport().height()
    assert chart._rows_height() % chart._row_height == 0


@pytest.mark.parametrize("greedy", [True, False])
def test_ten_bars_and_the_others_are_in_sight_on_a_projector(qtbot: QtBot, greedy: bool) -> None:
    chart = BarChart(theme_named("light"))
    qtbot.addWidget(chart)
    chart.resize(380, 206)  # what a window of 1280×720 has for it
    chart.set_distribution(distribution(greedy=greedy))
    chart.show()
    assert chart.verticalScrollBar().maximum() == 0


def test_the_first_token_is_said_to_have_no_probability(panel: ProbabilityPanel) -> None:
    panel.set_distribution(None, first=True)
    assert "no probability" in panel._page.text()
    panel.set_distribution(None)
    assert "no probability" not in panel._page.text()


def test_the_title_says_after_which_step(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.title_changed) as title:
        panel.set_distribution(distribution())
    assert title.args == ["after the prompt"]


def test_a_count_that_is_shown_is_not_asked_for_again(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(panel.shown_changed):
        panel.set_shown(25)
    with qtbot.waitSignal(panel.shown_changed) as shown:
        panel._shown.setValue(30)
    assert shown.args == [30]


def test_the_table_keeps_the_rules_of_item_models(qtmodeltester: ModelTester) -> None:
    model = DistributionTable()
    qtmodeltester.check(model)
    model.set_distribution(distribution(greedy=False))
    qtmodeltester.check(model)


def test_the_table_ends_with_all_other_tokens() -> None:
    model = DistributionTable()
    view = distribution()
    model.set_distribution(view)
    assert model.rowCount() == len(view.bars) + 1
    assert model.index(0, 0).data(RecordRole) is view.bars[0]
    assert [model.index(10, column).data() for column in range(5)] == ["49,142 others", "", "", "", "51.7 %"]


def test_a_token_that_was_cut_is_said_to_be_removed_in_that_stages_column() -> None:
    model = DistributionTable()
    model.set_distribution(distribution(greedy=False))
    assert model.headerData(5, Qt.Orientation.Horizontal) == "top-k 6"
    assert model.index(9, 5).data() == "removed"


def test_the_table_is_copied_as_text_between_tabs(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    panel.set_distribution(distribution())
    panel._as_table.setChecked(True)
    panel._table.selectRow(1)
    qtbot.keyClick(panel._table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == ("token\tid\tlogit\trank\tmodel\n·not\t1731\t22.40\t2\t10.1 %\n")


def test_what_did_not_happen_is_said_with_what_the_step_used(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    view = distribution(greedy=False)
    panel.set_distribution(view)
    assert not panel._what_if.isVisible()
    shown = replace(view, settings=DecodingSettings(temperature=1.3, top_k=6))
    panel.set_distribution(shown)
    assert panel._what_if.text() == "These settings; the step used temperature 1"
    with qtbot.waitSignal(panel.from_here_requested) as wished:
        qtbot.mouseClick(panel._what_if._from_here, Qt.MouseButton.LeftButton)
    assert wished.args == [PROMPT_NODE]
    with qtbot.waitSignal(panel.settings_wished) as used:
        qtbot.mouseClick(panel._what_if._as_used, Qt.MouseButton.LeftButton)
    assert used.args == [view.used]


def test_any_token_is_found_by_text_or_id(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    panel.resize(700, 400)
    panel.set_tokenizer(byte_tokenizer())
    panel.set_distribution(distribution(bars=12))
    for name in ("a", f"#{byte_tokenizer().encode('a').ids[0]}"):
        panel._find.setText(name)
        with qtbot.waitSignal(panel.found_changed) as found:
            qtbot.keyClick(panel._find, Qt.Key.Key_Return)
        assert found.args == [byte_tokenizer().encode("a").ids[0]]
    panel._find.setText("ab")
    with qtbot.assertNotEmitted(panel.found_changed):
        qtbot.keyClick(panel._find, Qt.Key.Key_Return)
    assert "is 2 tokens" in panel._note.text()
    with qtbot.waitSignal(panel.found_changed) as found:
        panel._find.clear()
    assert found.args == [None]


def test_a_found_token_tells_its_rank_logit_and_probability(panel: ProbabilityPanel) -> None:
    view = distribution(greedy=False)
    bars = (*view.bars[:-1], replace(view.bars[-1], found=True))
    panel._found = bars[-1].token
    panel.set_distribution(replace(view, bars=bars))
    assert panel._note.text() == "↵: rank 10, logit 20.00, <0.1 % → 0 %"


def test_the_strip_needs_room_and_says_where_the_number_fell(panel: ProbabilityPanel) -> None:
    panel.set_distribution(distribution(greedy=False))
    assert not panel._strip.isVisible()
    panel.resize(700, 400)
    assert panel._strip.isVisible()
    assert panel._strip.sentence() == "u = 0.1370 falls on ·able: 0 % to 31.0 %"
    panel.set_distribution(distribution())
    assert panel._strip.sentence() == "Nothing was drawn: greedy took ·able, the likeliest"


def test_a_refusal_is_one_sentence_above_the_chart(panel: ProbabilityPanel) -> None:
    panel.set_refusal("No token is left.")
    assert panel._refusal.isVisible()
    panel.set_refusal("")
    assert not panel._refusal.isVisible()


def test_many_draws_are_wished_and_taken_back(panel: ProbabilityPanel, qtbot: QtBot) -> None:
    for wanted, count in ((True, 100), (False, 0)):
        with qtbot.waitSignal(panel.draws_wished) as wished:
            panel._many.setChecked(wanted)
        assert wished.args == [count]


@pytest.mark.parametrize(
    ("kind", "share"), [(ScaleKind.LINEAR, 0.002), (ScaleKind.LOGARITHMIC, 0.5), (ScaleKind.LOGITS, 0.002)]
)
def test_a_logarithmic_bar_shows_what_a_linear_one_cannot(kind: ScaleKind, share: float) -> None:
    scale = BarScale(kind, 0.5, (10.0, 20.0))
    assert scale.share(0.001) == pytest.approx(share)
    assert scale.share(0.0) == 0.0
    assert scale.logit_share(15.0) == pytest.approx(0.5)


def columns(*stages: StageName | None) -> list[ChartColumn]:
    return [ChartColumn(stage, 10, 0, 0, 0, 0.0) for stage in (StageName.RAW, *stages)]


@pytest.mark.parametrize(
    ("stages", "fitting", "wide", "groups"),
    [
        ((), 5, 5, ((0,),)),
        ((None,), 2, 2, ((0,), (1,))),
        ((StageName.TEMPERATURE, StageName.TOP_K, StageName.TOP_P), 6, 4, ((0,), (1,), (2,), (3,))),
        ((StageName.TEMPERATURE, StageName.TOP_K, StageName.TOP_P), 3, 3, ((0,), (1,), (2, 3))),
        (
            (StageName.PENALTIES, StageName.BIAS, StageName.TEMPERATURE, StageName.MIN_P),
            4,
            4,
            ((0,), (1, 2), (3,), (4,)),
        ),
        ((StageName.TEMPERATURE, StageName.TOP_K, StageName.TOP_P), 2, 2, ((0,), (1, 2, 3))),
        ((StageName.TEMPERATURE, StageName.TOP_K, StageName.TOP_P), 1, 1, ((0, 1, 2, 3),)),
    ],
)
def test_where_there_is_no_room_stages_of_a_kind_share_a_column(
    stages: tuple[StageName | None, ...], fitting: int, wide: int, groups: tuple[tuple[int, ...], ...]
) -> None:
    assert grouped_columns(columns(*stages), fitting, wide) == groups


@pytest.mark.parametrize("width", range(330, 700, 30))
def test_a_heading_that_does_not_fit_names_the_kind_instead_of_ending_in_dots(
    panel: ProbabilityPanel, width: int
) -> None:
    shown = distribution()
    stages = columns(StageName.TEMPERATURE, StageName.TOP_K, StageName.TOP_P)
    bars = tuple(replace(bar, probabilities=(bar.probability,) * len(stages)) for bar in shown.bars)
    settings = DecodingSettings(temperature=0.8, top_k=40, top_p=0.95)
    panel.resize(width, 360)
    panel.set_distribution(replace(shown, bars=bars, columns=tuple(stages), settings=settings))
    heads = [text.text for text in painted_texts(panel._chart.viewport()) if text.place[1] < panel._chart._top]
    assert any(head in {"cuts", "settings", "top-k 40, top-p 0.95", "top-p 0.95"} for head in heads)
    assert not [head for head in heads if "…" in head], heads

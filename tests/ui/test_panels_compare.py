"""The comparison as it is seen: what B follows, where texts part, and one selection for both."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.compare_view import (
    PAIRS,
    CompareStage,
    CompareView,
    ModelOffer,
    Side,
    SideWish,
    paired_steps,
)
from canopy_desktop.exploration.prompt import PromptRequest, Turn
from canopy_desktop.model.card import WeightForm
from canopy_desktop.settings import THEMES
from canopy_ui.links.compare_link import CompareLink
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.theme import apply_theme, load_fonts, theme_named
from canopy_ui.widgets.compare_words import difference_rows, parting_words, progress_words, prompt_words, step_words
from canopy_ui.widgets.mirror_chart import MirrorChart
from canopy_ui.widgets.paired_text import PairedText
from tests.support.driving import PATIENCE_MS, Driver
from tests.support.painted import painted_texts
from tests.support.scripted import ScriptedSession
from tests.ui.support import token

WINDOW = SideWish(request=PromptRequest(text="abc"), settings=DecodingSettings(max_tokens=5))
OFFER = ModelOffer("other", Path("other"), WeightForm.FP32, 541_000_000)


class Compared:
    """The panel on a controller with a scripted model."""

    def __init__(self, qtbot: QtBot) -> None:
        self.driver = Driver(qtbot, ScriptedSession())
        self.panel = ComparePanel(theme_named("light"))
        self.panel.resize(1250, 560)
        qtbot.addWidget(self.panel)
        CompareLink(self.panel, self.driver.controller)
        self.panel.show()
        self.driver.open()
        self.desk = self.driver.controller.comparison

    def run(self, b: SideWish = WINDOW, a: SideWish = WINDOW) -> CompareView:
        self.desk.compare(a, b)
        self.driver.qtbot.waitUntil(lambda: not self.desk.view().busy and self.desk.idle, timeout=PATIENCE_MS)
        return self.desk.view()

    def without(self, letter: str) -> SideWish:
        return replace(WINDOW, settings=replace(WINDOW.settings, banned_tokens=(self.driver.token(letter),)))


@pytest.fixture
def compared(qtbot: QtBot) -> Iterator[Compared]:
    compared = Compared(qtbot)
    yield compared
    compared.driver.controller.shutdown()


@pytest.fixture
def panel(qtbot: QtBot) -> ComparePanel:
    panel = ComparePanel(theme_named("light"))
    panel.resize(1250, 560)
    qtbot.addWidget(panel)
    panel.set_window(WINDOW)
    panel.show()
    return panel


def wished(panel: ComparePanel) -> tuple[SideWish, SideWish]:
    found = panel._form.wishes()
    assert found is not None
    return found


def test_both_sides_follow_the_window_until_something_is_chosen(panel: ComparePanel) -> None:
    assert wished(panel) == (WINDOW, WINDOW)
    other = replace(WINDOW, request=PromptRequest(text="another"), settings=DecodingSettings(temperature=0.5))
    panel.set_window(other)
    assert wished(panel) == (other, other)
    assert [text.text() for text in panel._form._texts] == ["another", "another"]


def test_b_follows_what_is_typed_for_a_until_it_has_words_of_its_own(panel: ComparePanel) -> None:
    a, b = panel._form._texts
    a.setPlainText("one")
    assert [side.request.text for side in wished(panel)] == ["one", "one"]
    b.setPlainText("two")
    a.setPlainText("three")
    assert [side.request.text for side in wished(panel)] == ["three", "two"]
    b.setPlainText("three")
    a.setPlainText("four")
    assert [side.request.text for side in wished(panel)] == ["four", "four"]


def test_a_setting_of_b_that_is_moved_back_follows_a_again(panel: ComparePanel) -> None:
    panel._form._settings.edited.emit("temperature", 1.2)
    assert wished(panel)[1].settings.temperature == 1.2
    assert panel._form._fold._button.text().endswith("Settings of B: temperature 1.2")
    panel._form._settings.edited.emit("temperature", 0.0)
    panel.set_window(replace(WINDOW, settings=replace(WINDOW.settings, temperature=0.7)))
    assert [side.settings.temperature for side in wished(panel)] == [0.7, 0.7]


def test_settings_of_b_can_be_copied_and_applied_as_json(panel: ComparePanel) -> None:
    QGuiApplication.clipboard().setText('{"temperature": 0.4, "seed": 8, "max_tokens": 5}')
    panel._form._settings._apply.click()
    assert wished(panel)[1].settings == DecodingSettings(temperature=0.4, seed=8, max_tokens=5)
    panel._form._settings._copy.click()
    assert '"seed": 8' in QGuiApplication.clipboard().text()
    QGuiApplication.clipboard().setText("{")
    panel._form._settings._apply.click()
    assert "cannot be read" in panel._form._notice.text()
    assert wished(panel)[1].settings.seed == 8


def test_settings_that_contradict_one_another_are_told_and_not_taken(panel: ComparePanel) -> None:
    QGuiApplication.clipboard().setText('{"min_tokens": 5, "max_tokens": 5}')
    panel._form._settings._apply.click()
    assert wished(panel)[1].settings.min_tokens == 5
    panel.set_window(replace(WINDOW, settings=replace(WINDOW.settings, max_tokens=2)))
    assert panel._form.wishes() is None
    assert not panel._form._compare.isEnabled()
    assert panel._form._notice.text()


def test_the_history_can_be_left_out_of_b_where_there_is_one(panel: ComparePanel) -> None:
    assert not panel._form._history.isVisible()
    chat = replace(WINDOW, request=PromptRequest(text="and now?", chat=True, history=(Turn("a", "b"),)))
    panel.set_window(chat)
    assert panel._form._history.isVisible()
    panel._form._history.setChecked(True)
    assert [side.request.with_history for side in wished(panel)] == [True, False]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_pair_is_taken_by_one_choice_and_left_by_another(panel: ComparePanel, pair) -> None:
    action = next(action for action in panel._form._pairs.menu().actions() if action.text() == pair.name)
    action.trigger()
    a = pair.a.over(WINDOW)
    assert wished(panel) == (a, pair.b.over(a))
    panel._form._anew.click()
    assert wished(panel) == (WINDOW, WINDOW)


def test_the_memory_of_another_model_is_told_before_it_is_opened(panel: ComparePanel) -> None:
    panel.set_models((OFFER,), 8_000_000_000, WeightForm.INT8)
    panel._form._precisions.trigger()
    assert wished(panel)[1].model == OFFER.folder
    assert "541 MB" in panel._form._memory.text()
    assert panel._form._compare.isEnabled()
    panel.set_models((OFFER,), 100_000_000, WeightForm.INT8)
    assert not panel._form._compare.isEnabled()
    assert "close other programs" in panel._form._memory.text()


def test_8_bit_and_fp32_takes_a_model_of_other_weights(panel: ComparePanel) -> None:
    like = replace(OFFER, id="like", folder=Path("like"), weights=WeightForm.INT8)
    panel.set_models((like,), 8_000_000_000, WeightForm.INT8)
    assert not panel._form._precisions.isEnabled()
    panel.set_models((like, OFFER), 8_000_000_000, WeightForm.INT8)
    panel._form._precisions.trigger()
    assert wished(panel)[1].model == OFFER.folder


def test_a_model_that_is_gone_is_no_longer_chosen(panel: ComparePanel) -> None:
    panel.set_models((OFFER,), 8_000_000_000, WeightForm.INT8)
    panel._form._precisions.trigger()
    panel.set_models((), 8_000_000_000, WeightForm.INT8)
    assert wished(panel)[1].model is None


def test_compare_runs_what_the_form_says_and_stop_ends_it(compared: Compared) -> None:
    form, qtbot = compared.panel._form, compared.driver.qtbot
    form._settings.edited.emit("frequency_penalty", 2.0)
    with qtbot.waitSignal(compared.desk.requested, timeout=PATIENCE_MS) as requested:
        form._compare.click()
    assert requested.args is not None
    assert requested.args[0].b.settings.frequency_penalty == 2.0
    assert form._stop.isEnabled()
    assert not form._compare.isEnabled()
    qtbot.waitUntil(lambda: not compared.desk.view().busy and compared.desk.idle, timeout=PATIENCE_MS)
    assert form._compare.isEnabled()
    compared.driver.session.sequence.gate.clear()
    form._compare.click()
    qtbot.waitUntil(compared.driver.session.sequence.waiting.is_set, timeout=PATIENCE_MS)
    form._stop.click()
    compared.driver.session.sequence.gate.set()
    qtbot.waitUntil(lambda: compared.desk.view().stage is CompareStage.DONE, timeout=PATIENCE_MS)


def test_where_the_texts_part_is_said_and_marked(compared: Compared) -> None:
    view = compared.run(compared.without("f"))
    assert parting_words(view) == "The texts are equal for 2 tokens, then “f” / “g”."
    assert prompt_words(view) == "The prompts are equal."
    assert compared.panel._headline.text() == parting_words(view)
    assert compared.panel._text._parts[-1].parted == 2
    assert set(compared.panel._text._shares) == {0, 1, 2}


def test_equal_texts_say_so(compared: Compared) -> None:
    view = compared.run()
    assert parting_words(view) == "Equal to the end: both wrote the same 5 tokens."
    assert compared.panel._text._parts[-1].parted is None


def test_a_text_that_goes_on_where_the_other_ends_says_so(compared: Compared) -> None:
    shorter = replace(WINDOW, settings=replace(WINDOW.settings, max_tokens=3))
    view = compared.run(shorter)
    assert parting_words(view) == "Equal for 3 tokens; there B ends, and A goes on with “g”."
    assert compared.panel._text._parts[-1].parted == 3


def test_prompts_that_differ_are_shown_and_said(compared: Compared) -> None:
    view = compared.run(replace(WINDOW, request=PromptRequest(text="abx")))
    assert prompt_words(view) == "The prompts are equal for 2 tokens, then “c” / “x”."
    parts = compared.panel._text._parts
    assert [part.heading for part in parts] == ["where the prompts differ", "generated"]
    assert parts[0].parted == 2


def test_a_click_on_a_step_selects_it_in_both_texts(compared: Compared) -> None:
    compared.run(compared.without("f"))
    text, qtbot = compared.panel._text, compared.driver.qtbot
    rect = text.rect_of(4)
    assert rect is not None
    for side in (rect.top() + 4, rect.bottom() - 4):
        compared.desk.select(None)
        point = QPointF(rect.center().x(), side).toPoint()
        qtbot.mouseClick(text.viewport(), Qt.MouseButton.LeftButton, pos=point)
        assert compared.desk.view().selected == 4
    qtbot.waitUntil(lambda: compared.desk.view().picture is not None, timeout=PATIENCE_MS)
    told = step_words(compared.desk.view(), final=True)
    assert told.startswith("Step 5: A took “h” (50.1 %), B took “h”")
    assert told.endswith("The texts before it differ, so each answers a question of its own.")


def test_the_keyboard_walks_along_the_steps(compared: Compared) -> None:
    compared.run(compared.without("f"))
    text, qtbot = compared.panel._text, compared.driver.qtbot
    seen = []
    for key in (Qt.Key.Key_Home, Qt.Key.Key_Right, Qt.Key.Key_End, Qt.Key.Key_Left, Qt.Key.Key_Escape):
        qtbot.keyClick(text, key)
        seen.append(compared.desk.view().selected)
    assert seen == [0, 1, 4, 3, 2]


def test_up_and_down_go_to_the_other_lines(compared: Compared) -> None:
    long = replace(WINDOW, settings=DecodingSettings(max_tokens=60))
    compared.run(long, long)
    text, qtbot = compared.panel._text, compared.driver.qtbot
    compared.desk.select(3)
    first = text.rect_of(3)
    qtbot.keyClick(text, Qt.Key.Key_Down)
    below = compared.desk.view().selected
    assert below is not None
    assert below > 3
    qtbot.keyClick(text, Qt.Key.Key_Up)
    assert compared.desk.view().selected == 3
    assert text.rect_of(3) == first


def test_no_token_is_cut_where_there_is_room(qtbot: QtBot) -> None:
    load_fonts()
    text = PairedText(theme_named("light"), str)
    qtbot.addWidget(text)
    text.resize(900, 200)
    words = [" The", " To", " AVA", " We", " Yes"]
    text.set_texts((), None, paired_steps([token(word) for word in words], []), None)
    text.show()
    painted = [found.text for found in painted_texts(text)]
    assert [word for word in painted if word != "·"] == ["generated", "A", "B", *(word.strip() for word in words)]


def test_the_tables_say_what_the_pictures_show(compared: Compared) -> None:
    compared.run(compared.without("f"))
    panel = compared.panel
    panel._as_table.setChecked(True)
    rows = panel._steps.copied_text().splitlines()
    assert rows[3].split("\t")[0:4:2] == ["3", "50.1 %"]
    assert rows[3].split("\t")[-1] == "∞"
    assert rows[4].split("\t")[-2:] == ["–", "–"]
    bars = [row.split("\t") for row in panel._bars.copied_text().splitlines()]
    assert bars[0] == ["token", "A", "B"]
    assert ["f", "0 %"] in [[name, b] for name, _, b in bars]
    panel._steps.clicked.emit(panel._step_rows.index(4, 0))
    assert compared.desk.view().selected == 4


def test_the_models_own_distributions_can_be_looked_at(compared: Compared) -> None:
    compared.run(compared.without("f"))
    panel = compared.panel
    assert panel._text._shares[2] == pytest.approx(0.5006, abs=1e-4)
    panel._which._group.button(1).click()
    assert panel._text._shares[2] == 0.0


def test_what_differs_is_a_table(compared: Compared) -> None:
    rows = difference_rows(compared.run(compared.without("f")))
    assert rows == [
        ("Banned tokens", "0", "1"),
        ("Generated tokens", "5", "5"),
        ("Ended by", "token limit", "token limit"),
    ]


def test_the_title_says_what_was_chosen_to_differ(compared: Compared) -> None:
    assert compared.panel.title() == "two runs, step by step"
    compared.run(replace(compared.without("f"), request=PromptRequest(text="abx")))
    assert compared.panel.title() == "two prompts, Banned tokens 0 / 1"
    compared.run()
    assert compared.panel.title() == "the same twice"


def test_how_far_the_runs_are_is_said(compared: Compared) -> None:
    session, qtbot = compared.driver.session, compared.driver.qtbot
    session.sequence.gate.clear()
    compared.desk.compare(WINDOW, WINDOW)
    qtbot.waitUntil(lambda: compared.desk.view().a is not None, timeout=PATIENCE_MS)
    assert (
        progress_words(compared.desk.view()) == "A reads its prompt, 0 of 3 tokens, B reads its prompt, 0 of 3 tokens"
    )
    qtbot.waitUntil(lambda: "reads its prompt" in compared.panel._page.text(), timeout=PATIENCE_MS)
    session.sequence.gate.set()
    qtbot.waitUntil(lambda: compared.desk.view().stage is CompareStage.DONE, timeout=PATIENCE_MS)


def test_a_comparison_that_failed_says_what_to_do(compared: Compared) -> None:
    compared.desk.compare(WINDOW, replace(WINDOW, request=PromptRequest(text="")))
    qtbot = compared.driver.qtbot
    qtbot.waitUntil(lambda: compared.desk.view().stage is CompareStage.FAILED, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "could not be made" in compared.panel._page.text(), timeout=PATIENCE_MS)


def test_bars_of_both_sides_are_on_one_scale(compared: Compared) -> None:
    view = compared.run(compared.without("f"))
    chart = compared.panel.findChild(MirrorChart)
    assert chart is not None
    assert view.picture is not None
    row = next(row for row, bar in enumerate(view.picture.bars) if bar.token.text == "g")
    bar = view.picture.bars[row]
    assert bar.a is not None
    assert bar.b is not None
    left, right = chart.bar_of(row, Side.A, bar.a), chart.bar_of(row, Side.B, bar.b)
    assert left.right() < right.left()
    assert left.width() / right.width() == pytest.approx(bar.a.final / bar.b.final, rel=0.02)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_the_comparison_can_be_read(compared: Compared, qapp: QApplication, name: str, zoom: float) -> None:
    load_fonts()
    theme = theme_named(name, zoom)
    apply_theme(qapp, theme)
    compared.panel.set_theme(theme)
    compared.run(compared.without("f"), replace(WINDOW, request=PromptRequest(text="xbc")))
    for size in ((60, 60), (500, 700), (round(1250 * zoom), round(560 * zoom))):
        compared.panel.resize(*size)
        QApplication.processEvents()
        found = painted_texts(compared.panel)
        assert [text for text in found if text.pixels < 12 or text.contrast < 4.5] == []
    assert len(found) > 20
    assert any(re.fullmatch(r"[\d,]+ others", text.text) for text in found)
    qapp.setStyleSheet("")

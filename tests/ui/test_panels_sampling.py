"""The sampling panel: every setting, valid or told why not, and nothing lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.output_filter import FilterAction, FilterList, OutputFilter
from canopy_desktop.decoding.presets import PRESETS
from canopy_desktop.decoding.settings import MAX_SEED, DecodingSettings
from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_ui.filter_choice import FilterChoice
from canopy_ui.links.sampling_link import SamplingLink
from canopy_ui.panels.sampling_panel import SamplingPanel
from canopy_ui.theme import theme_named
from canopy_ui.widgets.length_form import stop_lines, stops_of
from canopy_ui.widgets.slider_field import TICKS
from tests.support.driving import Driver
from tests.support.scripted import ScriptedSession, byte_tokenizer
from tests.ui.support import distribution

FULL = DecodingSettings(
    temperature=0.305,
    top_k=40,
    top_p=0.9,
    min_p=0.05,
    typical_p=0.8,
    repetition_penalty=1.1,
    presence_penalty=-0.5,
    frequency_penalty=0.25,
    logit_bias=((5, 1.5),),
    banned_tokens=(7, 9),
    min_tokens=2,
    max_tokens=50,
    stop=("\n\n", "a\\b"),
    keep_stop=True,
    seed=MAX_SEED,
)


@pytest.fixture
def panel(qtbot: QtBot) -> SamplingPanel:
    panel = SamplingPanel(theme_named("light"))
    panel.set_tokenizer(byte_tokenizer())
    panel.resize(290, 640)
    qtbot.addWidget(panel)
    panel.show()
    return panel


def field(panel: SamplingPanel, key: str):
    return panel._fields._fields[key]


def test_settings_that_are_shown_are_not_said_to_have_changed(panel: SamplingPanel, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(panel.settings_changed):
        panel.set_settings(FULL)
    assert panel.settings() == FULL


@pytest.mark.parametrize("key", ["top_p", "min_p", "typical_p", "presence_penalty", "max_tokens", "seed"])
def test_an_edit_changes_its_own_setting_and_no_other(panel: SamplingPanel, qtbot: QtBot, key: str) -> None:
    panel.set_settings(FULL)
    with qtbot.waitSignal(panel.settings_changed) as changed:
        match key:
            case "max_tokens":
                panel._length._most.setValue(60)
            case "seed":
                panel._seed._seed.clear()
                qtbot.keyClicks(panel._seed._seed, "12")
            case _:
                field(panel, key).field.setValue(0.5)
    value = {"max_tokens": 60, "seed": 1}.get(key, 0.5)
    if key == "seed":  # one signal a key
        value = panel.settings().seed
        assert value == 12
    else:
        assert changed.args == [replace(FULL, **{key: value})]
    assert panel.settings() == replace(FULL, **{key: value})


@pytest.mark.parametrize("key", ["temperature", "top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty"])
def test_slider_and_field_say_the_same(panel: SamplingPanel, key: str) -> None:
    panel.set_settings(DecodingSettings(temperature=1.0))
    both = field(panel, key)
    seen = set()
    for tick in range(0, TICKS + 1, 20):
        both.slider.setValue(tick)
        seen.add(both.field.value())
        assert getattr(panel.settings(), key) == pytest.approx(both.field.value())
        both.field.setValue(both.field.value())
        assert both.slider.value() == tick
    assert len(seen) > 5


def test_temperature_zero_is_greedy_and_what_only_sampling_uses_is_disabled(panel: SamplingPanel) -> None:
    panel.set_settings(DecodingSettings(temperature=1.0, top_k=5))
    field(panel, "temperature").slider.setValue(0)
    assert panel.settings().greedy
    assert field(panel, "temperature").field.text() == "greedy"
    assert not field(panel, "top_k").slider.isEnabled()
    assert field(panel, "repetition_penalty").slider.isEnabled()


def test_a_contradiction_is_one_sentence_and_what_was_typed_stays(panel: SamplingPanel, qtbot: QtBot) -> None:
    panel.set_settings(DecodingSettings(max_tokens=24))
    with qtbot.assertNotEmitted(panel.settings_changed):
        panel._length._least.setValue(50)
    assert panel._notice.text().startswith("Minimum of tokens (50) is above the maximum (24)")
    assert panel.settings() == DecodingSettings(max_tokens=24)
    panel._filter._example.click()
    assert panel._notice.text().startswith("Minimum of tokens (50)")
    with qtbot.waitSignal(panel.settings_changed) as changed:
        panel._length._most.setValue(80)
    assert changed.args == [DecodingSettings(min_tokens=50, max_tokens=80)]
    assert panel._notice.text() == ""


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_goes_over_what_is_there(panel: SamplingPanel, qtbot: QtBot, preset) -> None:
    panel.set_settings(FULL)
    (action,) = [action for action in panel._presets.menu().actions() if action.data() is preset]
    with qtbot.waitSignal(panel.settings_changed) as changed:
        action.trigger()
    assert changed.args == [preset.over(FULL)]


def test_copied_settings_can_be_applied(panel: SamplingPanel, qtbot: QtBot) -> None:
    panel.set_settings(FULL)
    qtbot.mouseClick(panel._copy, Qt.MouseButton.LeftButton)
    assert json.loads(QGuiApplication.clipboard().text())["top_k"] == 40
    panel.set_settings(DecodingSettings())
    qtbot.mouseClick(panel._apply, Qt.MouseButton.LeftButton)
    assert panel.settings() == FULL


@pytest.mark.parametrize("text", ["", "{", "[]", '{"temprature": 1}', '{"min_tokens": 5, "max_tokens": 2}'])
def test_json_that_is_no_settings_is_told_and_changes_nothing(panel: SamplingPanel, qtbot: QtBot, text: str) -> None:
    panel.set_settings(FULL)
    QGuiApplication.clipboard().setText(text)
    qtbot.mouseClick(panel._apply, Qt.MouseButton.LeftButton)
    assert panel._notice.text().endswith(".")
    assert panel.settings() == FULL


def test_a_token_is_banned_boosted_and_let_go_by_its_text(panel: SamplingPanel, qtbot: QtBot) -> None:
    token_id = byte_tokenizer().encode("a").ids[0]
    panel._rules._name.setText("a")
    panel._rules._ban.click()
    assert panel.settings().banned_tokens == (token_id,)
    panel._rules._name.setText(f"#{token_id}")
    panel._rules._amount.setValue(-2.5)
    panel._rules._boost.click()
    assert panel.settings().banned_tokens == ()
    assert panel.settings().logit_bias == ((token_id, -2.5),)
    (rule,) = [
        button for button in panel._rules.findChildren(QPushButton) if not button.isHidden() and "×" in button.text()
    ]
    assert rule.text() == "a  -2.5  ×"
    rule.click()
    assert panel.settings() == DecodingSettings()


@pytest.mark.parametrize(
    ("name", "told"), [("ab", "is 2 tokens"), ("", "Type a token"), ("#999999", "There is no token")]
)
def test_what_names_no_token_is_told(panel: SamplingPanel, name: str, told: str) -> None:
    panel._rules._name.setText(name)
    panel._rules._ban.click()
    assert told in panel._notice.text()
    assert panel.settings() == DecodingSettings()


def test_a_new_seed_is_asked_for(panel: SamplingPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.new_seeds_wanted) as wanted:
        panel._seed._way.chosen.emit(1)
    assert wanted.args == [True]


@pytest.mark.parametrize("stops", [(), ("\n\n",), ("end", "a\\n", "\t\r"), ("\\",)])
def test_stop_texts_come_back_from_their_lines(stops: tuple[str, ...]) -> None:
    assert stops_of(stop_lines(stops)) == stops


def test_stop_texts_are_taken_as_they_are_typed(panel: SamplingPanel) -> None:
    panel._length._stops.setPlainText("\\n\\n\nEND")
    assert panel.settings().stop == ("\n\n", "END")


def test_a_filter_comes_from_a_file_with_what_a_hit_does(panel: SamplingPanel, qtbot: QtBot, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("stupid\n/x+/\n")
    with qtbot.waitSignal(panel.filter_chosen) as chosen:
        panel.set_filter(FilterChoice(str(words), FilterAction.MASK))
    assert chosen.args[0].output_filter.action is FilterAction.MASK
    assert panel._filter._told.text() == "words.txt – words and phrases: 1, patterns: 1"
    with qtbot.waitSignal(panel.filter_chosen) as chosen:
        panel._filter._action.chosen.emit(2)
    assert chosen.args[0].output_filter.action is FilterAction.REDRAW
    with qtbot.waitSignal(panel.filter_chosen) as chosen:
        panel._filter._off.click()
    assert chosen.args[0].output_filter is None


def test_a_filter_that_cannot_be_read_is_told_and_the_one_before_stays(panel: SamplingPanel, tmp_path: Path) -> None:
    words, broken = tmp_path / "words.txt", tmp_path / "broken.txt"
    words.write_text("stupid\n")
    broken.write_text("/(/\n")
    panel._filter.read(words)
    panel._filter.read(broken)
    assert "broken.txt" in panel._notice.text()
    assert panel._filter.choice().output_filter is not None
    panel.set_filter(FilterChoice(str(tmp_path / "gone.txt")))
    assert "gone.txt" in panel._notice.text()


def test_a_filter_that_came_with_a_file_is_shown(panel: SamplingPanel, qtbot: QtBot) -> None:
    driver = Driver(qtbot, ScriptedSession())
    SamplingLink(panel, driver.controller)
    words = OutputFilter(FilterList.parse("rude\n/[0-9]/", "class.txt"), FilterAction.MASK)
    with qtbot.assertNotEmitted(panel.filter_chosen):
        driver.controller.wishes.filter_by(FilterChoice.of(words))
    assert panel._filter.choice().output_filter is words
    assert panel._filter._told.text() == "class.txt – words and phrases: 1, patterns: 1"
    driver.controller.wishes.filter_by(FilterChoice.of(None))
    assert panel._filter.choice() == FilterChoice()
    assert panel._filter._told.text().startswith("No filter")
    driver.controller.shutdown()


def test_the_step_leads_on_from_here_and_back_to_what_it_used(panel: SamplingPanel, qtbot: QtBot) -> None:
    panel.set_settings(DecodingSettings(temperature=2.0))
    panel.set_distribution(None)
    assert not panel._from_here.isEnabled()
    view = distribution(greedy=False)
    panel.set_distribution(view)
    assert panel.title() == "step 1"
    with qtbot.waitSignal(panel.from_here_requested) as wished:
        qtbot.mouseClick(panel._from_here, Qt.MouseButton.LeftButton)
    assert wished.args == [PROMPT_NODE]
    qtbot.mouseClick(panel._as_used, Qt.MouseButton.LeftButton)
    assert panel.settings() == view.used

"""The prompt panel: text and settings come back as they were typed."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.chat import SystemChoice
from canopy_desktop.model.tokenizer import LostByte
from canopy_desktop.paths import resources
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.theme import theme_named
from canopy_ui.widgets.examples import load_examples
from canopy_ui.widgets.token_preview import lost_at_end, preview_chips
from tests.ui.support import STUDENT, templated


@pytest.fixture
def panel(qtbot: QtBot) -> PromptPanel:
    panel = PromptPanel(theme_named("light"))
    panel.resize(270, 520)
    qtbot.addWidget(panel)
    panel.show()
    return panel


@pytest.mark.parametrize(
    "text", ["", " is", "a\nb\n", "no\u00a0break", "tab\there", "مرحبا 你好 👩‍💻", "line\u2028separator"]
)
def test_a_text_comes_back_character_for_character(panel: PromptPanel, text: str) -> None:
    panel.set_prompt(PromptRequest(text=text))
    assert panel.request() == PromptRequest(text=text)


@pytest.mark.parametrize(
    "request_",
    [
        PromptRequest(text="Hi", chat=True),
        PromptRequest(text="Hi", chat=True, system=SystemChoice.NONE),
        PromptRequest(text="Hi", chat=True, system=SystemChoice.CUSTOM, system_text="Be brief."),
    ],
)
def test_a_chat_comes_back_with_its_system_message(panel: PromptPanel, request_: PromptRequest) -> None:
    panel.set_prompt(request_)
    assert panel.request() == request_


def test_an_empty_system_field_means_the_templates_own(panel: PromptPanel) -> None:
    panel.set_default_system("You are helpful")
    panel.set_prompt(PromptRequest(text="Hi", chat=True))
    assert panel.request().system is SystemChoice.DEFAULT
    assert "You are helpful" in panel._system._text.placeholderText()


def test_one_types_on_after_a_prompt_that_was_put_there(panel: PromptPanel, qtbot: QtBot) -> None:
    panel.set_prompt(PromptRequest(text="Once upon"))
    qtbot.keyClicks(panel._text, " a time")
    assert panel.request().text == "Once upon a time"


def test_another_prompt_says_changed_once(panel: PromptPanel) -> None:
    said = []
    panel.changed.connect(lambda: said.append(1))
    panel.set_prompt(PromptRequest(text="Hi", chat=True, system=SystemChoice.CUSTOM, system_text="Be brief."))
    panel.set_prompt(panel.request())
    assert len(said) == 1


def test_typing_says_changed(panel: PromptPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.changed):
        qtbot.keyClicks(panel._text, "a")
    assert panel.request().text == "a"


def test_shift_and_return_is_a_newline_like_any_other(panel: PromptPanel, qtbot: QtBot) -> None:
    qtbot.keyClick(panel._text, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert panel.request().text == "\n"


@pytest.mark.parametrize(
    ("modifiers", "play"),
    [
        (Qt.KeyboardModifier.ControlModifier, True),
        (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier, False),
    ],
)
def test_control_and_return_submits(
    panel: PromptPanel, qtbot: QtBot, modifiers: Qt.KeyboardModifier, play: bool
) -> None:
    prompt, tokens = templated(STUDENT)
    panel.set_prompt(PromptRequest(text=prompt.text))
    panel.set_counted(prompt, 8_192, tokens)
    with qtbot.waitSignal(panel.submitted) as wish:
        qtbot.keyClick(panel._text, Qt.Key.Key_Return, modifiers)
    assert wish.args == [(PromptRequest(text=prompt.text), DecodingSettings(), play)]


@pytest.mark.parametrize(
    "settings",
    [
        DecodingSettings(),
        DecodingSettings(max_tokens=5, stop=("\n",)),
        DecodingSettings(temperature=0.8, top_k=40, top_p=0.9, seed=2**62, max_tokens=100),
    ],
)
def test_settings_come_back_as_they_were_given(panel: PromptPanel, qtbot: QtBot, settings: DecodingSettings) -> None:
    with qtbot.assertNotEmitted(panel.settings_changed):
        panel.set_settings(settings)
    assert panel.settings() == settings


def test_sampling_and_back_keeps_the_temperature(panel: PromptPanel) -> None:
    panel.set_settings(DecodingSettings(temperature=1.3))
    panel._decoding._way.chosen.emit(0)
    assert panel.settings().greedy
    panel._decoding._way.chosen.emit(1)
    assert panel.settings().temperature == 1.3


@pytest.mark.parametrize(
    ("window", "size", "summary"),
    [
        (ContextWindow(), 8_192, ""),
        (ContextWindow(when_full=WhenFull.SLIDE), 8_192, "the context window slides"),
        (ContextWindow(size=64), 64, "context window 64"),
        (ContextWindow(size=1_024, when_full=WhenFull.SLIDE, keep_system=True), 1_024, "context window 1,024, slides"),
    ],
)
def test_a_window_is_shown_as_it_was_given_and_named_where_it_is_not_the_models(
    panel: PromptPanel, qtbot: QtBot, window: ContextWindow, size: int, summary: str
) -> None:
    with qtbot.assertNotEmitted(panel.window_changed):
        panel.set_window(window, 8_192)
    assert panel._window._size.value() == size
    assert panel._fold.text().partition("\n")[2] == summary
    assert panel._window._keep.isVisibleTo(panel._window) is (window.when_full is WhenFull.SLIDE)


def test_each_part_of_the_window_is_told_when_it_is_set(panel: PromptPanel, qtbot: QtBot) -> None:
    panel.set_window(ContextWindow(), 8_192)
    told: list[ContextWindow] = []
    panel.window_changed.connect(told.append)
    panel._window._size.setValue(64)
    panel._window._way.chosen.emit(1)
    panel._window._keep.setChecked(True)
    panel._window._size.setValue(9_999)
    assert told == [
        ContextWindow(size=64),
        ContextWindow(size=64, when_full=WhenFull.SLIDE),
        ContextWindow(size=64, when_full=WhenFull.SLIDE, keep_system=True),
        ContextWindow(when_full=WhenFull.SLIDE, keep_system=True),
    ]


def test_the_window_cannot_be_set_to_what_no_model_or_this_model_cannot_have(panel: PromptPanel) -> None:
    assert not panel._window._size.isEnabled()
    panel.set_window(ContextWindow(), 100)
    panel._window._size.setValue(3)
    assert panel._window._size.value() == 16
    panel.set_window(ContextWindow(), 9)
    assert not panel._window._size.isEnabled()


def test_nothing_can_be_run_before_its_tokens_are_known_or_while_the_model_is_at_work(panel: PromptPanel) -> None:
    prompt, tokens = templated(STUDENT)
    assert not panel._run.isEnabled()
    panel.set_counted(prompt, 8_192, tokens)
    assert panel._run.isEnabled()
    panel.set_running(True)
    assert not panel._step.isEnabled()


def test_a_prompt_longer_than_the_context_says_by_how_much(panel: PromptPanel) -> None:
    prompt, tokens = templated(STUDENT)
    panel.set_counted(prompt, 10, tokens)
    assert panel._count.text() == "14 tokens: 4 more than the context holds"
    assert panel._count.property("look") == "warning"
    assert not panel._run.isEnabled()


def test_the_title_counts_tokens(panel: PromptPanel) -> None:
    panel.set_counted(*_counted(["When"]))
    assert panel.title() == "1 token"
    panel.set_counted(*_counted(STUDENT))
    assert panel.title() == "14 tokens"


def _counted(texts: list[str]) -> tuple[object, int, object]:
    prompt, tokens = templated(texts)
    return prompt, 8_192, tokens


def test_bytes_without_a_token_stand_before_the_token_that_follows() -> None:
    lost = (LostByte(0, 4), LostByte(2, 6), LostByte(3, 6), LostByte(5, 0x13))
    prompt, tokens = templated(["a", "b"], lost)  # 04 a 06 06 b 13
    assert [chip.lost for chip in preview_chips(prompt, tokens)] == [b"\x04", b"\x06\x06"]
    assert lost_at_end(prompt, tokens) == b"\x13"


def test_without_a_template_a_chat_is_plain_text_and_that_is_said(panel: PromptPanel) -> None:
    panel.set_prompt(PromptRequest(text="Hi", chat=True))
    assert not panel._plain.isVisible()
    panel.set_has_template(False)
    assert panel.request().chat
    assert "plain text" in panel._plain.text()
    assert panel._system.summary() == "none"
    assert panel._plain.isVisible()
    panel.set_prompt(PromptRequest(text="Hi"))
    assert not panel._plain.isVisible()


def test_an_empty_prompt_offers_examples_and_a_chosen_one_is_typed(panel: PromptPanel, qtbot: QtBot) -> None:
    assert panel._first_examples.isVisible()
    example = next(example for example in load_examples(resources() / "examples.toml") if example.chat)
    with qtbot.waitSignal(panel.changed):
        panel._examples.example_chosen.emit(example)
    assert panel.request() == PromptRequest(text=example.prompt, chat=True)
    assert panel._preview.isVisible()
    assert not panel._first_examples.isVisible()


@pytest.mark.parametrize(
    "prompt",
    [
        "unbelievable",
        "I'm learning AI",
        "Hello, world!",
        "The quick brown fox",
        " is",
        "The United States of",
        "Water boils at",
        "She is",
        "The capital of France is",
        "Photosynthesis is the process by which plants",
        "In my opinion, the best movie is",
        "Once upon a time",
        "What did you learn today?",
        "What did I say in the last message?",
        "Write a story",
        "Write a short story about a robot",
        "What is AI?",
        "Explain artificial intelligence in simple terms",
    ],
)
def test_the_examples_hold_every_prompt_of_the_lessons(prompt: str) -> None:
    assert prompt in {example.prompt for example in load_examples(resources() / "examples.toml")}


def test_broken_examples_are_left_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("examples") / "examples.toml"
    path.write_text('[[example]]\ntopic = 3\n[[example]]\ntopic="a"\nprompt="b"\nmode="chat"\nhint="c"\n', "utf-8")
    assert [example.prompt for example in load_examples(path)] == ["b"]
    path.write_text("[[", "utf-8")
    assert load_examples(path) == ()
    assert load_examples(path.parent / "none.toml") == ()

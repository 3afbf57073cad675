"""History, facts, sources and the window: from the prompt panel to the controller and back."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration.fact_check import RULE, Verdict
from canopy_desktop.exploration.facts import Facts
from canopy_desktop.exploration.prompt import FACTS_HEADING, PromptRequest, Turn
from canopy_desktop.exploration.ruler import ruler_of
from canopy_desktop.exploration.view import TokenRole
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.chat import ChatTemplate, PromptPart, TemplatedPrompt
from canopy_desktop.model.tokenizer import LostByte
from canopy_desktop.paths import resources
from canopy_desktop.settings import Preferences
from canopy_ui.background import Background
from canopy_ui.draft import SHORT
from canopy_ui.facts_desk import CheckedAnswer, FactsChoice, FactsDesk
from canopy_ui.light import DARK, Light
from canopy_ui.links.prompt_link import PromptLink
from canopy_ui.panel_content import table_of
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.qt_models.prompt_table import Column, PromptTable
from canopy_ui.state import RunPhase
from canopy_ui.theme import theme_named
from canopy_ui.widgets.context_ruler import ContextRulerBar, ruler_rows
from canopy_ui.widgets.examples import load_examples
from canopy_ui.widgets.fact_check_view import FactCheckView
from canopy_ui.widgets.prompt_preview import ROOM, TABLE, TEXT, TOKENS, PromptPreview
from canopy_ui.widgets.role_colours import role_ground
from canopy_ui.widgets.token_preview import preview_chips
from tests.support.driving import PATIENCE_MS, PREFERENCES, Driver
from tests.support.scripted import ScriptedSession
from tests.ui.support import token

TEMPLATE = (
    "{% for message in messages %}{{ message['role'][0] + ':' + message['content'] + ';' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'a:' }}{% endif %}"
)
TURNS = (Turn("Hello.", "Hi."), Turn("Tea?", "Yes."))
FACTS = "The largest planet is Jupiter.\nMars has two moons.\nThe library opens at nine.\n"
THEMES = ("light", "dark", "contrast")


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    path = tmp_path / "facts.txt"
    path.write_text(FACTS)
    return path


@pytest.fixture
def driver(qtbot: QtBot) -> Iterator[Driver]:
    session = ScriptedSession()
    session.template = ChatTemplate(TEMPLATE)
    driver = Driver(qtbot, session, replace(PREFERENCES, prompt=PromptRequest(text="abc", chat=True)))
    yield driver
    driver.controller.shutdown()


@pytest.fixture
def panel(driver: Driver) -> PromptPanel:
    """Of an open controller."""
    panel = PromptPanel(theme_named("light"))
    driver.qtbot.addWidget(panel)
    PromptLink(panel, driver.controller)
    panel.resize(270, 560)
    panel.show()
    driver.open()
    return panel


def prompt_of(*parts: tuple[str, str, bool]) -> TemplatedPrompt:
    """Parts of which each character is a token."""
    made = tuple(PromptPart(role, text, tuple(map(ord, text)), earlier) for role, text, earlier in parts)
    ids = tuple(token_id for part in made for token_id in part.ids)
    return TemplatedPrompt("".join(part.text for part in made), ids, made, ())


CHAT = prompt_of(
    ("template", "<s>", False), ("user", "Hello", True), ("assistant", "Hi", True), ("facts", "F.", False),
    ("user", "Tea?", False),
)  # fmt: skip
CHAT_TOKENS = tuple(token(chr(token_id), token_id) for token_id in CHAT.ids)


def test_an_answer_goes_into_the_history_once_and_the_next_message_is_typed(driver: Driver, panel: PromptPanel) -> None:
    assert panel._continue.isHidden()
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert not panel._continue.isHidden()
    panel._continue.click()
    request = panel.request()
    assert request == PromptRequest(text="", chat=True, history=(Turn("abc", driver.generated()),))
    assert panel._continue.isHidden()
    driver.qtbot.keyClicks(panel._text, "d")
    assert driver.controller.draft.request == replace(request, text="d")
    assert "abc" in driver.controller.draft.prompt().text
    panel._history._forget_last.click()
    assert panel.request().history == ()
    assert not panel._continue.isHidden()


def test_plain_text_has_nothing_to_continue_but_itself(driver: Driver, panel: PromptPanel) -> None:
    panel.set_prompt(PromptRequest(text="abc"))
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    assert panel._continue.isHidden()


def test_without_the_check_mark_the_model_does_not_see_the_history(driver: Driver, panel: PromptPanel) -> None:
    panel.set_prompt(PromptRequest(text="Now", chat=True, history=TURNS))
    assert driver.controller.draft.prompt().text == "u:Hello.;a:Hi.;u:Tea?;a:Yes.;u:Now;a:"
    assert "2 turns" in panel._folds[panel._history]._button.text()
    panel._history._seen.click()
    assert driver.controller.draft.prompt().text == "u:Now;a:"
    assert panel.request() == PromptRequest(text="Now", chat=True, history=TURNS, with_history=False)
    assert "not shown to the model" in panel._folds[panel._history]._button.text()
    panel._history._forget_all.click()
    assert panel.request().history == ()


def test_an_example_keeps_history_and_system_message(driver: Driver, panel: PromptPanel) -> None:
    panel.set_prompt(PromptRequest(text="Now", chat=True, history=TURNS))
    example = next(one for one in load_examples(resources() / "examples.toml") if one.chat)
    panel._examples.example_chosen.emit(example)
    assert panel.request() == PromptRequest(text=example.prompt, chat=True, history=TURNS)


def facts_become(driver: Driver, *facts: str) -> None:
    driver.qtbot.waitUntil(lambda: driver.controller.draft.request.facts == facts, timeout=PATIENCE_MS)


def test_the_facts_that_fit_the_text_best_go_in_and_follow_the_typing(
    driver: Driver, panel: PromptPanel, facts_file: Path
) -> None:
    panel._facts.best_wanted.emit(1)
    panel.set_prompt(PromptRequest(text="Which planet is the largest?", chat=True))
    panel._facts.file_wanted.emit(str(facts_file))
    facts_become(driver, "The largest planet is Jupiter.")
    assert FACTS_HEADING in driver.controller.draft.prompt().text
    assert "1 of 3 from facts.txt" in panel._folds[panel._facts]._button.text()
    panel._text.set_text("How many moons has Mars?")
    facts_become(driver, "Mars has two moons.")
    panel._facts._which._group.button(0).click()
    facts_become(driver, *FACTS.splitlines())
    panel._facts._off.click()
    facts_become(driver)
    assert FACTS_HEADING not in driver.controller.draft.prompt().text
    assert driver.controller.facts.choice.file == ""


def test_what_is_run_at_once_has_the_facts_of_what_is_typed(
    driver: Driver, panel: PromptPanel, facts_file: Path
) -> None:
    driver.controller.facts.take_best(1)
    driver.controller.facts.read(str(facts_file))
    driver.qtbot.waitUntil(lambda: driver.controller.facts.choice.facts is not None, timeout=PATIENCE_MS)
    driver.controller.draft.edit(PromptRequest(text="When does the library open?", chat=True))
    assert "opens at nine" in driver.controller.draft.prompt().text
    assert driver.controller.draft.request.facts == ("The library opens at nine.",)


def test_a_file_without_facts_is_told_and_changes_nothing(driver: Driver, panel: PromptPanel, tmp_path: Path) -> None:
    panel._facts.file_wanted.emit(str(tmp_path / "none.txt"))
    driver.qtbot.waitUntil(lambda: "none.txt" in panel._facts.told(), timeout=PATIENCE_MS)
    assert driver.controller.facts.choice == FactsChoice()
    assert not panel._facts.isHidden()


def test_the_file_of_the_last_time_is_read_at_the_start(qtbot: QtBot, facts_file: Path) -> None:
    preferences: Preferences = replace(PREFERENCES, facts_file=str(facts_file), facts_best=2)
    driver = Driver(qtbot, ScriptedSession(), preferences)
    driver.open()
    facts_become(driver)
    qtbot.waitUntil(lambda: driver.controller.facts.choice.facts is not None, timeout=PATIENCE_MS)
    assert driver.controller.facts.choice.best == 2
    driver.controller.shutdown()


def test_a_finished_answer_is_compared_and_going_on_takes_that_away(
    driver: Driver, panel: PromptPanel, facts_file: Path
) -> None:
    told: list[CheckedAnswer | None] = []
    driver.controller.facts.checked.connect(told.append)
    driver.controller.facts.read(str(facts_file))
    driver.qtbot.waitUntil(lambda: driver.controller.facts.choice.facts is not None, timeout=PATIENCE_MS)
    driver.controller.run()
    driver.wait_for(RunPhase.FINISHED)
    driver.qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE_MS)
    assert told[0] is not None
    assert told[0].name == "facts.txt"
    assert [claim.sentence.text for claim in told[0].claims] == [driver.generated()]
    driver.controller.run()
    assert told[-1] is None


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[FactsDesk]:
    facts = Facts.parse(FACTS, "facts.txt")
    desk = FactsDesk(FactsChoice("facts.txt", 1, facts))
    yield desk
    desk.close()


def test_the_verdicts_stand_below_the_answer_with_the_fact_and_the_rule(desk: FactsDesk, qtbot: QtBot) -> None:
    view = FactCheckView(theme_named("light"))
    qtbot.addWidget(view)
    assert view.isHidden()
    with qtbot.waitSignal(desk.checked, timeout=PATIENCE_MS) as checked:
        desk.check("The largest planet is Jupiter. Mars has three moons. It rains.")
    answer = checked.args[0]
    assert [claim.verdict for claim in answer.claims] == [Verdict.SUPPORTED, Verdict.CONTRADICTED, Verdict.UNKNOWN]
    view.set_checked(answer)
    assert not view.isHidden()
    assert "1 supported, 1 contradicted, 1 unknown" in view._head.text()
    assert "“three”" not in view._head.text()
    assert "Line 2: “Mars has two moons.”" in view.text()
    assert "No fact shares a word with it." in view.text()
    view._rule.click()
    assert all(line in view.text() for line in RULE)
    view.set_checked(None)
    assert view.isHidden()


def test_an_answer_without_a_sentence_says_so(desk: FactsDesk, qtbot: QtBot) -> None:
    view = FactCheckView(theme_named("light"))
    qtbot.addWidget(view)
    view.set_checked(CheckedAnswer("facts.txt", ()))
    assert view.text() == "The answer has no sentence that could be compared."


def test_the_exact_text_names_each_source_and_leaves_every_character(qtbot: QtBot) -> None:
    preview = PromptPreview(theme_named("light"))
    qtbot.addWidget(preview)
    preview.show()
    preview.set_prompt(CHAT, CHAT_TOKENS, ruler_of(CHAT, ContextWindow(), 100, 0))
    preview.show_view(TEXT)
    shown = preview._text.toPlainText()
    assert shown == "[template]<s>[user before]Hello[assistant before]Hi[facts]F.[user]Tea?"
    assert preview._legend.text() == "template 3, user before 5, assistant before 2, facts 2, user 4"


def test_one_source_needs_no_legend_and_no_names(qtbot: QtBot) -> None:
    preview = PromptPreview(theme_named("light"))
    qtbot.addWidget(preview)
    preview.show()
    plain = prompt_of(("completion", "Hi", False))
    preview.set_prompt(plain, CHAT_TOKENS[:2], ruler_of(plain, ContextWindow(), 100, 0))
    preview.show_view(TEXT)
    assert preview._text.toPlainText() == "Hi"
    assert preview._legend.isHidden()


def test_the_table_has_ids_bytes_sources_and_bytes_without_a_token(qtbot: QtBot, qtmodeltester: object) -> None:
    table = PromptTable()
    lost = replace(CHAT, lost=(LostByte(1, 0xFF),))
    table.set_chips(preview_chips(lost, CHAT_TOKENS))
    qtmodeltester.check(table)  # type: ignore[attr-defined]
    rows = [[table.index(row, column).data() for column in Column] for row in range(table.rowCount())]
    assert rows[0] == ["<", "60", "3C", "", "template"]
    assert rows[1] == ["s", "115", "73", "FF", "template"]
    assert rows[-1] == ["?", "63", "3F", "", "user"]


def test_the_table_is_made_when_it_is_looked_at(qtbot: QtBot) -> None:
    preview = PromptPreview(theme_named("light"))
    qtbot.addWidget(preview)
    preview.set_prompt(CHAT, CHAT_TOKENS)
    assert preview._model.rowCount() == 0
    preview.show_view(TABLE)
    assert preview._model.rowCount() == len(CHAT.ids)


def test_the_ruler_says_what_is_taken_what_is_free_and_what_leaves_first(qtbot: QtBot) -> None:
    bar = ContextRulerBar(theme_named("light"))
    qtbot.addWidget(bar)
    slides = ContextWindow(size=32, when_full=WhenFull.SLIDE)
    bar.set_ruler(ruler_of(CHAT, slides, 32, 3))
    said = bar.accessibleDescription()
    assert said.startswith("16 of 32 positions are taken, 16 are free")
    assert "facts: 2" in said
    assert "positions 3 to 10 leave it first" in said
    bar.set_ruler(ruler_of(CHAT, ContextWindow(), 10, 0))
    assert bar.accessibleDescription().startswith("6 tokens beyond the limit of 10")
    bar.set_ruler(ruler_of(CHAT, ContextWindow(), 100, 0))
    assert "the run ends" in bar.accessibleDescription()


@pytest.mark.parametrize(
    ("window", "size", "kept", "last"),
    [
        (ContextWindow(), 100, 0, [("free", "84", "84.0 %"), ("the whole window", "100", "100 %")]),
        (ContextWindow(), 10, 0, [("beyond the limit", "6", "60.0 %"), ("the whole window", "10", "100 %")]),
        (
            ContextWindow(size=32, when_full=WhenFull.SLIDE),
            32,
            3,
            [
                ("free", "16", "50.0 %"),
                ("the whole window", "32", "100 %"),
                ("leaves first: positions 3 to 10", "8", "25.0 %"),
            ],
        ),
    ],
)
def test_the_ruler_has_its_figures_as_rows_too(
    qtbot: QtBot, window: ContextWindow, size: int, kept: int, last: list[tuple[str, str, str]]
) -> None:
    rows = ruler_rows(ruler_of(CHAT, window, size, kept))
    assert [row[:2] for row in rows[:5]] == [
        ("template", "3"), ("user before", "5"), ("assistant before", "2"), ("facts", "2"), ("user", "4"),
    ]  # fmt: skip
    assert rows[5:] == last
    preview = PromptPreview(theme_named("light"))
    qtbot.addWidget(preview)
    preview.set_prompt(CHAT, CHAT_TOKENS, ruler_of(CHAT, window, size, kept))
    preview.show_view(ROOM)
    assert preview._room_table.copied_text().splitlines()[1:] == ["\t".join(row) for row in rows]


def test_more_than_the_whole_window_is_more_than_all_of_it() -> None:
    rows = ruler_rows(ruler_of(prompt_of(("completion", "abcdefgh", False)), ContextWindow(), 5, 0))
    assert rows[0] == ("your text", "8", "160.0 %")


def test_the_prompts_table_is_exported_whatever_is_looked_at(panel: PromptPanel) -> None:
    panel.set_counted(CHAT, 100, CHAT_TOKENS, ruler_of(CHAT, ContextWindow(), 100, 0))
    panel._preview.show_view(ROOM)
    assert [panel._preview._model.rowCount(), table_of(panel) is panel._preview._room] == [0, True]
    panel._preview.show_view(TOKENS)
    found = table_of(panel)
    assert found is panel._preview._model
    assert found.rowCount() == len(CHAT.ids)


def test_the_ruler_is_as_long_as_its_window_and_marks_what_is_beyond(qtbot: QtBot) -> None:
    theme = theme_named("light")
    bar = ContextRulerBar(theme)
    qtbot.addWidget(bar)
    bar.resize(322, 14)
    for size, place, colour in ((32, 300, QColor(theme.hatch)), (8, 300, QColor(theme.warning))):
        bar.set_ruler(ruler_of(CHAT, ContextWindow(), size, 0))
        assert bar.grab().toImage().pixelColor(place, 7) == colour
    assert bar.grab().toImage().pixelColor(10, 7) == role_ground(theme, TokenRole.TEMPLATE, strong=True)


def luminance(colour: QColor) -> float:
    """As WCAG 2 has it."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("role", TokenRole)
def test_text_is_legible_on_the_colour_of_every_source(name: str, role: TokenRole) -> None:
    theme = theme_named(name)
    values = sorted((luminance(role_ground(theme, role)), luminance(QColor(theme.text))))
    assert (values[1] + 0.05) / (values[0] + 0.05) >= 4.5


def test_of_many_jobs_the_newest_is_answered_and_a_failed_one_tells_why(qtbot: QtBot) -> None:
    background, answers, go_on = Background(), [], Event()
    background.answered.connect(answers.append)
    background.ask(lambda: go_on.wait(5) and "old")
    background.ask(lambda: "older")
    background.ask(lambda: 1 // 0)
    assert background.waiting
    go_on.set()
    qtbot.waitUntil(lambda: bool(answers), timeout=PATIENCE_MS)
    assert isinstance(answers[0], ZeroDivisionError)
    assert not background.waiting
    background.ask(lambda: "forgotten")
    background.forget()
    with qtbot.waitSignal(background.answered, timeout=PATIENCE_MS):
        background.ask(lambda: None)
    assert answers[1:] == [None]
    background.close()


def test_short_text_is_encoded_at_once_and_a_long_history_beside_the_window(driver: Driver, panel: PromptPanel) -> None:
    counted: list[TemplatedPrompt] = []
    driver.controller.draft.encoded.connect(counted.append)
    driver.controller.draft.edit(PromptRequest(text="x", chat=True))
    assert len(counted) == 1
    driver.controller.draft.edit(PromptRequest(text="x", chat=True, history=(Turn("y" * SHORT, "z"),)))
    assert len(counted) == 1
    driver.qtbot.waitUntil(lambda: len(counted) == 2, timeout=PATIENCE_MS)
    assert len(counted[1].ids) > SHORT


def test_the_keyboard_reaches_the_three_views_of_what_goes_in(driver: Driver, panel: PromptPanel) -> None:
    panel.activateWindow()
    driver.qtbot.waitUntil(panel.isActiveWindow, timeout=PATIENCE_MS)
    reached = set()
    panel._text.setFocus()
    for _ in range(30):
        widget = panel.focusWidget()
        reached.add(widget.accessibleName() if widget is not None else "")
        driver.qtbot.keyClick(widget, Qt.Key.Key_Tab)
    assert any(name.startswith("What goes in") for name in reached)
    assert "Tokens of the prompt" in reached


def test_the_rows_of_a_prompt_are_tokens_of_the_text_only_while_it_begins_with_the_prompt() -> None:
    table = PromptTable()
    table.set_chips(preview_chips(CHAT, CHAT_TOKENS))
    assert table.light_of(table.index(4, 0)) == DARK
    table.set_in_text(True)
    assert table.light_of(table.index(4, 0)) == Light(position=4)
    assert table.is_lit(table.index(4, 0), Light(4, None, 7))
    table.set_in_text(False)
    assert not table.is_lit(table.index(4, 0), Light(4, None, 7))


def test_the_views_of_a_prompt_stand_in_two_rows_where_one_has_no_room(qtbot: QtBot) -> None:
    preview = PromptPreview(theme_named("light"))
    qtbot.addWidget(preview)
    preview.show()
    buttons = preview._views._group.buttons()
    least = sum(button.sizeHint().width() for button in buttons)
    for width, rows in ((least + 41, 1), (least, 1), (least - 1, 2)):
        preview.resize(width, 300)
        preview.grab()  # lays it out
        tops = sorted({button.y() for button in buttons})
        assert len(tops) == rows
        for top in tops:
            row = [button.geometry() for button in buttons if button.y() == top]
            assert (row[0].left(), row[-1].right()) == (0, width - 1)
            assert all(one.right() + 1 == other.left() for one, other in pairwise(row))
        assert all(button.width() >= button.sizeHint().width() for button in buttons)

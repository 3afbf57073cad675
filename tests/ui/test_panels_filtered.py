"""What the window says of the output filter, and of the end of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.output_filter import FilterAction
from canopy_desktop.decoding.stopping import StopFound, StopReason
from canopy_desktop.exploration.filter_marks import FilterMark
from canopy_ui.theme import theme_named
from canopy_ui.widgets.facts_card import SHOWN, FactsCard
from canopy_ui.widgets.token_text import TokenText
from tests.support.records import GOES_ON
from tests.ui.support import facts_of, token, window_view


@pytest.fixture
def card(qtbot: QtBot) -> FactsCard:
    card = FactsCard(theme_named("light"))
    qtbot.addWidget(card)
    return card


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (StopReason.MAX_TOKENS, "The run ended here: 32 tokens, as many as asked for"),
        (StopReason.END_TOKEN, "The run ended here: this is an end token"),
        (StopReason.STOP_SEQUENCE, "The run ended here: the stop text “↵↵” is complete"),
        (StopReason.FILTERED, "The run ended here: the output filter found what it stops at"),
        (StopReason.CONTEXT_FULL, "The run ended here: the context window of 100 tokens is full"),
        (StopReason.CANCELLED, "The run was stopped here"),
    ],
)
def test_the_last_token_says_why_the_run_ended(card: FactsCard, reason: StopReason, told: str) -> None:
    facts = facts_of(window_view().chips[-1], 14)
    card.set_facts(replace(facts, stopped=reason, check=replace(GOES_ON, stop=StopFound("\n\n", 3, 5))))
    assert card._more.text() == told
    card.set_facts(facts)
    assert card._more.isHidden()


def test_no_token_that_was_let_through_is_told(card: FactsCard) -> None:
    facts = facts_of(window_view().chips[-1], 14)
    card.set_facts(replace(facts, stopped=StopReason.FILTERED, refused=True))
    assert card._more.text().endswith("let no token through after it")


def test_rejected_tokens_are_named_with_the_entry_that_rejected_them(card: FactsCard) -> None:
    facts = facts_of(window_view().chips[-1], 14)
    rejected = tuple((token(f" {number}"), "/[0-9]/") for number in range(SHOWN + 2))
    card.set_facts(replace(facts, rejected=rejected))
    assert card._more.text().startswith("The output filter rejected before it: ·0 (for “/[0-9]/”), ·1")
    assert card._more.text().endswith("and 2 more")


def test_a_masked_token_is_drawn_as_blocks_and_named_in_its_tool_tip(qtbot: QtBot) -> None:
    text = TokenText(theme_named("light"))
    qtbot.addWidget(text)
    text.resize(600, 400)
    view = window_view()
    mark = FilterMark("stupid", FilterAction.MASK, " ████")
    masked = replace(view, chips=(*view.chips[:-1], replace(view.chips[-1], mark=mark)))
    text.set_view(view)
    plain = text.grab().toImage()
    text.set_view(masked)
    assert text.grab().toImage() != plain
    assert masked.chips[-1].shown.text == " ████"
    told = text.description_of(len(view.chips) - 1)
    assert "student" in told
    assert "masks it for “stupid”; the model still sees it" in told

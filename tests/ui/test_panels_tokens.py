"""The token view: selection, following, and what it costs to add a token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.records import WindowSlid
from canopy_desktop.exploration.view import Colouring, WindowView
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.theme import Theme, apply_theme, theme_named
from canopy_ui.widgets.chip_layout import ChipLayout
from tests.ui.support import ANSWER, STUDENT, chips_of, row_of, surprisal_of, window_view


@pytest.fixture
def panel(qtbot: QtBot) -> TokenPanel:
    panel = TokenPanel(theme_named("light"))
    panel.resize(600, 500)
    qtbot.addWidget(panel)
    panel.show()
    return panel


def grown(view: WindowView, length: int) -> WindowView:
    return replace(view, chips=view.chips[:length], surprisal=view.surprisal[:length], selected=length - 1)


def test_without_a_text_the_panel_says_what_to_do(panel: TokenPanel) -> None:
    assert panel.title() == ""
    assert panel._page.text()


def test_a_message_stands_above_a_text_and_goes_with_the_next_prompt(panel: TokenPanel) -> None:
    panel.set_view(window_view())
    panel.set_message("It stopped.")
    assert panel._notice.text() == "It stopped."
    panel.set_view(window_view())
    assert panel._notice.text() == "It stopped."
    panel.set_view(window_view(prompt=["Water", " boils"]))
    assert panel._notice.text() == ""


def test_a_click_selects_the_token_under_it(panel: TokenPanel, qtbot: QtBot) -> None:
    panel.set_view(window_view())
    point = panel._text.rect_of(5).center().toPoint()
    with qtbot.waitSignal(panel.position_selected) as selected:
        qtbot.mouseClick(panel._text.viewport(), Qt.MouseButton.LeftButton, pos=point)
    assert selected.args == [5]


@pytest.mark.parametrize(
    ("key", "position"),
    [(Qt.Key.Key_Left, 4), (Qt.Key.Key_Right, 6), (Qt.Key.Key_Home, 0), (Qt.Key.Key_End, None)],
)
def test_keys_move_the_selection(panel: TokenPanel, qtbot: QtBot, key: Qt.Key, position: int | None) -> None:
    panel.set_view(window_view(selected=5))
    with qtbot.waitSignal(panel.position_selected) as selected:
        qtbot.keyClick(panel._text, key)
    assert selected.args == [position]


def test_right_on_the_last_token_but_one_follows_the_newest_again(panel: TokenPanel, qtbot: QtBot) -> None:
    view = window_view()
    panel.set_view(replace(view, selected=len(view.chips) - 2))
    with qtbot.waitSignal(panel.position_selected) as selected:
        qtbot.keyClick(panel._text, Qt.Key.Key_Right)
    assert selected.args == [None]


def test_the_newest_token_stays_in_sight_until_the_person_scrolls_up(panel: TokenPanel) -> None:
    view = window_view(generated=ANSWER * 40)
    bar = panel._text.verticalScrollBar()
    panel.set_view(grown(view, 400))
    assert bar.value() == bar.maximum() > 0
    assert not panel._text._newest.isVisible()
    bar.setValue(0)
    panel.set_view(grown(view, 500))
    assert bar.value() == 0
    assert panel._text._newest.isVisible()
    panel._text._newest.click()
    assert bar.value() == bar.maximum()
    panel.set_view(view)
    assert bar.value() == bar.maximum()


def test_a_token_that_is_selected_elsewhere_comes_into_sight(panel: TokenPanel) -> None:
    view = window_view(generated=ANSWER * 40)
    panel.set_view(view)
    panel.set_view(replace(view, selected=3))
    assert 0 <= panel._text.rect_of(3).top() < panel._text.viewport().height()
    panel._text.verticalScrollBar().setValue(panel._text.verticalScrollBar().maximum())
    panel.set_view(replace(view, selected=3))
    assert panel._text.rect_of(3).bottom() < 0  # the person scrolled away from it


def test_the_newest_token_comes_into_sight_when_it_is_selected_elsewhere(panel: TokenPanel) -> None:
    long = window_view(generated=["word"] * 300)
    for position in (None, 0, None):
        panel.set_view(replace(long, selected=len(long.chips) - 1 if position is None else position))
    bar = panel._text.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    bar.setValue(0)
    panel.set_view(grown(long, len(long.chips) - 1))
    panel.set_view(long)
    assert bar.value() == 0, "a run that goes on does not take the text away from a person who scrolled up"


@pytest.mark.parametrize(
    ("width", "height", "parts", "text"),
    [
        (600, 500, {"counts", "colours", "facts"}, 250),
        (600, 200, {"counts", "colours"}, 120),
        (320, 200, {"colours"}, 120),
        (600, 120, set(), 110),
    ],
)
def test_what_stands_below_the_text_gives_way_to_it(
    panel: TokenPanel, width: int, height: int, parts: set[str], text: int
) -> None:
    panel.set_view(window_view())
    panel.setMinimumSize(1, 1)  # as in a dock, which scrolls
    panel.resize(width, height)
    shown = {"counts": panel._counts, "colours": panel._legend, "facts": panel._card}
    assert {name for name, widget in shown.items() if widget.isVisible()} == parts
    QApplication.processEvents()
    assert panel._text.height() >= text


@pytest.fixture(params=[1.0, 2.0, 2.5])
def theme(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[Theme]:
    """A zoom that the whole program has."""
    font = qapp.font()
    theme = theme_named("light", request.param)
    apply_theme(qapp, theme)
    yield theme
    qapp.setStyleSheet("")
    qapp.setFont(font)


def test_the_card_of_facts_overlaps_nothing(panel: TokenPanel, theme: Theme) -> None:
    panel.set_theme(theme)
    panel.setMinimumSize(1, 1)
    view, seen = window_view(), set()
    assert view.facts is not None
    for width, height in ((1900, 1100), (900, 800), (700, 1100), (500, 600), (340, 900)):
        panel.resize(width, height)
        for stopped in (None, StopReason.CANCELLED):
            panel.set_view(replace(view, facts=replace(view.facts, stopped=stopped)))
            QApplication.processEvents()
            card = panel._card
            if card.isVisible():
                parts = [part.geometry() for part in (card._title, *card._figures(), card._more) if part.isVisible()]
                assert not any(one.intersects(other) for one, other in combinations(parts, 2))
                assert all(card.rect().contains(part) for part in parts)
                assert card.height() >= card.heightForWidth(card.width())
                assert card.geometry().bottom() < panel._explained.geometry().top()
                seen.add(width)
    assert len(seen) >= 3


def test_one_more_token_lays_out_one_chip(panel: TokenPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    view = window_view(generated=ANSWER * 100)
    panel.set_view(grown(view, 1_000))
    appended = []
    append = ChipLayout.append
    monkeypatch.setattr(ChipLayout, "append", lambda self, *args: (appended.append(args), append(self, *args)))
    panel.set_view(grown(view, 1_001))
    assert len(appended) == 1


def test_going_back_and_another_branch_keep_what_is_common(panel: TokenPanel) -> None:
    view = window_view()
    panel.set_view(view)
    branch = chips_of(STUDENT, [*ANSWER[:3], " nap"])
    panel.set_view(WindowView(chips=branch, surprisal=surprisal_of(len(branch)), selected=3))
    fresh = TokenPanel(theme_named("light"))
    fresh.resize(600, 500)
    fresh.show()
    fresh.set_view(WindowView(chips=branch, surprisal=surprisal_of(len(branch)), selected=3))
    assert [panel._text.rect_of(chip) for chip in range(len(branch))] == [
        fresh._text.rect_of(chip) for chip in range(len(branch))
    ]
    fresh.close()


def test_only_the_lines_in_sight_are_painted(panel: TokenPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.set_view(window_view(generated=ANSWER * 500))
    painted = []
    paint = type(panel._text)._paint_chip
    monkeypatch.setattr(
        type(panel._text),
        "_paint_chip",
        lambda self, painter, index, rect: (painted.append(index), paint(self, painter, index, rect)),
    )
    panel._text.viewport().repaint()
    assert 0 < len(painted) < 200


def test_the_tool_tip_has_id_bytes_and_probability(panel: TokenPanel) -> None:
    panel.set_view(window_view(selected=14))
    text = panel._text.description_of(14)
    assert "·able" in text
    assert "20 61 62 6C 65" in text
    assert "assigned" in text
    assert "rank 1" in text


def slid(view: WindowView, *, at: int, kept: int = 0) -> WindowView:
    """The same text where the window slid before the token at a position, and dropped four."""
    slide = WindowSlid(run_id=1, node=at - 1, kept=kept, first=kept, last=kept + 3, slots=(7, 8, 9), ms=12.34)
    chips = tuple(replace(chip, slide=slide) if chip.position == at else chip for chip in view.chips)
    return replace(view, chips=chips, dropped=range(kept, kept + 4))


def test_the_place_of_a_slide_is_marked_before_the_token_that_needed_it(panel: TokenPanel) -> None:
    view = window_view()
    panel.set_view(view)
    before = panel._text.rect_of(20).width()
    panel.set_view(slid(view, at=20, kept=2))
    assert panel._text._slide_label(panel._view.chips[20].slide) == "Window slid: 4 tokens dropped, 12.3 ms"
    assert panel._text.rect_of(20).width() > before + 100
    assert "positions 2 to 5 dropped, 3 tokens read again in 12.3 ms, 2 kept" in panel._text.description_of(20)
    assert "slid" not in panel._text.description_of(19)


def test_dropped_tokens_are_told_by_tip_legend_and_a_line_through_them(panel: TokenPanel) -> None:
    panel.resize(600, 1200)  # all of the text fits, also in the program's own style, so nothing scrolls
    view = window_view(selected=1)
    panel.set_view(view)
    plain = painted(panel)
    assert "dropped" not in panel._legend.accessibleDescription()
    panel.set_view(slid(view, at=20))
    assert "no longer in the window" in panel._text.description_of(3)
    assert "no longer in the window" not in panel._text.description_of(4)
    assert "4 dropped" in panel._legend.accessibleDescription()
    marked = painted(panel)
    for index, differs in ((2, True), (5, False)):
        rect = panel._text.rect_of(index).toAlignedRect()
        assert (marked.copy(rect) != plain.copy(rect)) is differs
    panel.set_view(view)
    assert painted(panel) == plain


def painted(panel: TokenPanel) -> QImage:
    """The text once the layout has come to rest."""
    QApplication.processEvents()
    return panel._text.grab().toImage()


def test_a_selected_token_that_was_dropped_says_so(panel: TokenPanel) -> None:
    view = window_view(selected=1)
    panel.set_view(replace(view, facts=replace(view.facts, dropped=True)))
    assert "left the window" in panel._card._title.text()


def test_a_mark_in_a_narrow_panel_leaves_room_for_its_token(panel: TokenPanel) -> None:
    panel.resize(220, 500)
    panel.set_view(slid(window_view(), at=14))
    assert panel._text.rect_of(14).width() <= panel._text.viewport().width()
    panel.grab()


def test_the_progress_of_a_slide_is_told_apart_from_a_prefills(panel: TokenPanel) -> None:
    panel.set_view(window_view())
    panel.set_busy(256, 384, sliding=True)
    assert "slides" in panel._progress.accessibleDescription()
    panel.set_busy(256, 384)
    assert "Reading the prompt" in panel._progress.accessibleDescription()


def test_prefill_progress_shows_while_tokens_are_left(panel: TokenPanel) -> None:
    panel.set_view(window_view())
    panel.set_busy(512, 4_000)
    assert panel._progress.isVisible()
    panel.set_busy(4_000, 4_000)
    assert not panel._progress.isVisible()


def by_attention(selected: int = 7, *, hide_first: bool = True) -> WindowView:
    row = row_of(selected, hide_first=hide_first)
    return replace(window_view(selected=selected), colouring=Colouring.ATTENTION, row=row)


def test_colours_of_attention_are_shares_of_the_strongest_link(panel: TokenPanel) -> None:
    view = by_attention()
    panel.set_view(view)
    row = view.row
    assert row is not None
    grounds = [panel._text._ground_of(index) for index in range(len(view.chips))]
    assert grounds[2] == panel._theme.link_colour(1.0)  # from "they" to "student"
    assert grounds[5] == panel._theme.link_colour(float(row.weights[5]) / row.largest)
    assert grounds[0] is None  # hidden
    assert grounds[8:] == [None] * (len(view.chips) - 8)  # later


def test_the_title_and_the_legend_name_who_looks_and_the_head_that_is_meant(panel: TokenPanel) -> None:
    view = by_attention()
    panel.set_view(view)
    assert panel.title() == "where “they” looks · layer 13 · head 8 · first token hidden"
    assert view.row is not None
    assert panel._legend.accessibleDescription().startswith(f"layer 13 · head 8: 0 – {100 * view.row.largest:.1f} %")
    panel.set_view(window_view())
    assert panel.title() == "coloured by surprisal"
    assert panel._legend.accessibleDescription().startswith("0 – 9 bits")


def test_the_tool_tip_of_a_token_that_is_looked_at_has_its_share(panel: TokenPanel) -> None:
    view = by_attention(hide_first=False)
    panel.set_view(view)
    assert view.row is not None
    assert f"“they” looks at it: {100 * view.row.largest:.1f} %" in panel._text.description_of(2).splitlines()
    assert "looks at it" not in panel._text.description_of(12)


def test_the_way_back_to_surprisal_paints_what_it_painted_before(panel: TokenPanel) -> None:
    panel.set_view(window_view(selected=7))
    before = panel._text.grab().toImage()
    panel.set_view(by_attention())
    assert panel._text.grab().toImage() != before
    panel.set_view(window_view(selected=7))
    assert panel._text.grab().toImage() == before


def test_a_row_that_is_not_there_yet_colours_nothing_and_says_so(panel: TokenPanel) -> None:
    panel.set_view(replace(window_view(selected=7), colouring=Colouring.ATTENTION))
    assert {panel._text._ground_of(index) for index in range(10)} == {None}
    assert panel._legend.accessibleDescription().startswith("computing")


def test_the_colouring_is_chosen_by_its_name(panel: TokenPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.colouring_chosen) as chosen:
        panel._colouring.activated.emit(panel._colouring.findText("attention"))
    assert chosen.args == [Colouring.ATTENTION]
    with qtbot.assertNotEmitted(panel.colouring_chosen):
        panel.set_view(by_attention())
    assert panel._colouring.currentText() == "attention"

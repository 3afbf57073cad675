"""What is written on chips, and where they stand."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from canopy_ui.theme import theme_named
from canopy_ui.widgets.chip_area import ChipArea
from canopy_ui.widgets.chip_label import LabelKind, label_of, marked
from canopy_ui.widgets.chip_layout import ChipLayout
from canopy_ui.widgets.token_preview import TokenPreview
from canopy_ui.widgets.token_text import TokenText
from tests.ui.support import chips_of, part_of_character, token


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" is", "·is"),
        ("is", "is"),
        ("\n", "↵"),
        ("\n\n", "↵↵"),
        ("\t", "→"),
        ("\r\n", "␍↵"),
        ("   ", "···"),
        ("a b", "a·b"),
        ("\x00", "U+0000"),
        ("\u200d", "U+200D"),
        ("\u202e", "U+202E"),
        ("\u0301", "◌\u0301"),
        ("مرحبا", "مرحبا"),
        ("\ufffd", "\ufffd"),
    ],
)
def test_what_cannot_be_seen_gets_a_mark(text: str, shown: str) -> None:
    assert marked(token(text)) == shown


def test_whitespace_marks_are_told_apart_from_the_same_characters_in_the_text() -> None:
    assert [piece.mark for piece in label_of(token(" ·")).pieces] == [True, False]


def test_a_piece_of_a_character_shows_its_bytes() -> None:
    label = label_of(part_of_character(b"\xe4\xbd"))
    assert (label.kind, label.text) == (LabelKind.BYTES, "E4 BD")


def test_a_special_token_is_written_as_it_is() -> None:
    label = label_of(token("<|im_end|>", special=True))
    assert (label.kind, label.text) == (LabelKind.SPECIAL, "<|im_end|>")


def test_the_same_text_typed_by_a_person_is_not_special() -> None:
    assert label_of(token("<|im_end|>")).kind is LabelKind.TEXT


def laid_out(widths: list[float], *, room: float = 100.0, ending_lines: tuple[int, ...] = ()) -> ChipLayout:
    layout = ChipLayout(room, 2.0)
    for number, width in enumerate(widths):
        layout.append(width, number in ending_lines)
    return layout


def test_a_chip_that_does_not_fit_begins_a_line() -> None:
    layout = laid_out([50, 48, 10])
    assert [layout.line_of(chip) for chip in range(3)] == [0, 0, 1]


def test_a_chip_wider_than_a_line_is_cut_to_it() -> None:
    assert laid_out([500.0]).span(0) == (0.0, 100.0)


def test_the_chip_after_a_newline_begins_a_line() -> None:
    layout = laid_out([10, 10, 10], ending_lines=(0,))
    assert [layout.chips_on(line) for line in range(2)] == [range(1), range(1, 3)]


@pytest.mark.parametrize("length", range(8))
def test_a_layout_cut_short_and_grown_again_is_the_same_as_a_new_one(length: int) -> None:
    widths = [30.0, 40.0, 20.0, 90.0, 10.0, 60.0, 70.0]
    layout = laid_out(widths, ending_lines=(1, 4))
    layout.truncate(length)
    for number in range(length, len(widths)):
        layout.append(widths[number], number in (1, 4))
    fresh = laid_out(widths, ending_lines=(1, 4))
    assert layout.lines == fresh.lines
    assert [(layout.line_of(chip), layout.span(chip)) for chip in range(len(widths))] == [
        (fresh.line_of(chip), fresh.span(chip)) for chip in range(len(widths))
    ]


def test_the_chip_under_a_point_is_found_on_its_line_only() -> None:
    layout = laid_out([50, 40, 30])
    assert [layout.chip_at(10, 0), layout.chip_at(60, 0), layout.chip_at(10, 1)] == [0, 1, 2]
    assert layout.chip_at(60, 1) is None
    assert layout.chip_at(10, 7) is None


@pytest.mark.parametrize("kind", [TokenPreview, TokenText])
def test_at_the_end_of_a_text_no_line_is_cut_off_however_high_its_place(qtbot: QtBot, kind: type[ChipArea]) -> None:
    area = kind(theme_named("light"))
    qtbot.addWidget(area)
    area.set_chips(chips_of([" word"] * 40, []))
    area.show()
    for height in range(96, 300, 7):
        area.resize(240, height)
        area.follow_newest()
        tops = [area.rect_of(chip) for chip in range(40)]
        seen = [rect for rect in tops if rect.bottom() > 0]
        assert min(rect.top() for rect in seen) >= 0
        assert tops[-1].bottom() <= height
        assert area.following
        bar = area.verticalScrollBar()
        one_more = tops[-1].bottom() + area._row
        assert bar.value() == 0 or one_more > height - (area._row - tops[-1].height())  # it would touch the edge


def test_a_text_that_fits_but_for_its_margin_is_not_scrolled(qtbot: QtBot) -> None:
    area = TokenPreview(theme_named("light"))
    qtbot.addWidget(area)
    area.set_chips(chips_of([" word"], []))
    area.show()
    for height, most in ((90, 0), (46, 0), (44, 4)):
        area.resize(240, height)
        assert area.verticalScrollBar().maximum() == most

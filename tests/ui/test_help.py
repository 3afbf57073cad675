"""The three sentences on each panel, and the way to them without a mouse."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QPushButton
from pytestqt.qtbot import QtBot

from canopy_ui.help_card import HelpCard
from canopy_ui.theme import theme_named

SENTENCES = ("One is first.", "Two is in the middle, and long enough to need more than one line of the card.", "Last.")


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QPushButton("Ask"))
    window.resize(700, 500)
    window.show()
    return window


@pytest.fixture
def card(window: QMainWindow, qtbot: QtBot) -> HelpCard:
    card = HelpCard("Attention", SENTENCES, window)
    card.show_below(window.mapToGlobal(window.rect().center()), theme_named("light"))
    qtbot.waitUntil(card.isActiveWindow)
    return card


def test_a_screen_reader_hears_the_title_and_comes_to_each_sentence(card: HelpCard, qtbot: QtBot) -> None:
    assert card.accessibleName() == "Attention"
    assert card.accessibleDescription() == " ".join(SENTENCES)
    reached = []
    for _ in SENTENCES:
        label = card.focusWidget()
        assert isinstance(label, QLabel)
        reached.append(label.text())
        qtbot.keyClick(label, Qt.Key.Key_Tab)
    assert reached == list(SENTENCES)


def test_escape_closes_it(card: HelpCard, qtbot: QtBot) -> None:
    qtbot.keyClick(card.focusWidget(), Qt.Key.Key_Escape)
    assert not card.isVisible()


def test_going_to_another_window_closes_it(card: HelpCard, window: QMainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.waitUntil(lambda: not card.isVisible())


@pytest.mark.parametrize("zoom", [0.8, 1.0, 2.5])
def test_no_sentence_is_cut_at_any_size_of_text(window: QMainWindow, zoom: float, qtbot: QtBot) -> None:
    theme = theme_named("light", zoom)
    font = QApplication.font()
    QApplication.setFont(theme.font())
    try:
        card = HelpCard("Attention", SENTENCES, window)
        card.show_below(window.mapToGlobal(window.rect().topRight()), theme)
        screen = card.screen().availableGeometry()
        assert screen.contains(card.geometry())
        for label in card.findChildren(QLabel):
            assert label.height() >= label.heightForWidth(label.width())
            assert card.rect().contains(label.geometry())
    finally:
        QApplication.setFont(font)

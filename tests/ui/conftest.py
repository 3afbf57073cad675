"""What tests of the window share."""

import gc
from collections.abc import Iterator

import pytest
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import QApplication

from canopy_ui.garbage import search_garbage
from canopy_ui.theme import load_fonts


@pytest.fixture(scope="session", autouse=True)
def _libraries_are_no_garbage() -> None:
    """What was imported is left out of every search: it takes longer to look through than all that a test makes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def plain_font(qapp: QApplication) -> QFont:
    """The font of a program without a theme; the program's own fonts are known from here on."""
    font = qapp.font()
    load_fonts()
    return font


@pytest.fixture(scope="module", autouse=True)
def _own_look(qapp: QApplication, plain_font: QFont) -> Iterator[None]:
    """A theme that one file's tests gave the whole program is not that of the next."""
    yield
    qapp.setStyleSheet("")
    qapp.setFont(plain_font)
    qapp.setPalette(QPalette())


@pytest.fixture(autouse=True)
def _garbage_ends_on_this_thread() -> Iterator[None]:
    """As in the program: a test's widgets must not be destroyed on the thread that loads the next test's model.

    A window that is left over would be styled again with every later one.
    """
    gc.disable()
    yield
    if QApplication.instance() is not None and QApplication.topLevelWidgets():
        gc.collect()
    else:
        search_garbage()

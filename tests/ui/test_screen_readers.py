"""What screen readers and the keyboard find in every workspace after a run."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

from canopy_ui.widgets.stage_cell import StageCell
from canopy_ui.workspaces import NAMES, workspace_named
from tests.support.whole_window import WholeWindow, painted_widgets, whole_window


@pytest.fixture(scope="module")
def whole(qapp: QApplication) -> Iterator[WholeWindow]:
    with whole_window() as whole:
        whole.compare()
        yield whole


def stops(window: QWidget) -> list[QWidget]:
    """Where the Tab key stops; a field of a spin box hands the keyboard on to it."""
    return [
        widget
        for widget in window.findChildren(QWidget)
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
    ]


def name_of(widget: QWidget) -> str:
    """Its own name; a button is called by what stands on it."""
    on_it = widget.text() if isinstance(widget, QAbstractButton) else ""
    return (widget.accessibleName() or on_it).strip()


def said(widget: QWidget) -> str:
    """What a screen reader says after the name; a button has its tool tip for that."""
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Description)


@pytest.mark.parametrize("workspace", NAMES)
def test_everything_that_takes_the_keyboard_has_a_name(whole: WholeWindow, workspace: str) -> None:
    whole.show(workspace)
    found = stops(whole.window)
    assert len(found) > 15
    kinds = {kind.__name__ for widget in found for kind in type(widget).__mro__}
    nameless = [widget for widget in found if not name_of(widget) or name_of(widget) in kinds]
    assert nameless == []


@pytest.mark.parametrize("workspace", NAMES)
def test_everything_that_is_painted_says_what_it_shows_now(whole: WholeWindow, workspace: str) -> None:
    whole.show(workspace)
    painted = [widget for widget in painted_widgets(whole.window) if widget.isVisible()]
    assert len(painted) > 10
    silent = [widget for widget in painted if not name_of(widget) or not said(widget)]
    assert silent == []


def test_what_is_painted_says_another_thing_about_another_token(whole: WholeWindow) -> None:
    """Of everything that belongs to a token."""
    told = {}
    for position in (4, 5):
        for workspace in NAMES:
            whole.show(workspace)
            whole.controller.sight.select(position)
            whole.settle()
            for widget in painted_widgets(whole.window):
                if widget.isVisible() and not isinstance(widget, StageCell):
                    told.setdefault(widget, {})[position] = said(widget)
    whole.controller.sight.select(None)
    changing = {type(widget).__name__ for widget, words in told.items() if words[4] != words[5]}
    assert changing >= {"TokenText", "BarChart", "DrawStrip", "AttentionMatrix", "HeadsGrid", "InsideFlow"}


@pytest.mark.parametrize("workspace", NAMES)
def test_the_tab_key_reaches_every_dock(whole: WholeWindow, workspace: str) -> None:
    whole.show(workspace)
    window, reached = whole.window, set()
    window.activateWindow()
    docks = [window.docks[key] for key in workspace_named(workspace).docks]
    docks[0].reveal()
    for _ in range(2 * len(stops(window))):
        widget = QApplication.focusWidget()
        assert widget is not None
        reached |= {dock.objectName() for dock in docks if dock.panel.isAncestorOf(widget)}
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    assert reached == {dock.objectName() for dock in docks}


def test_the_keyboard_goes_along_to_another_workspace(whole: WholeWindow) -> None:
    """Where its panel is no longer shown it goes to one that is, and not to a button that clears the text."""
    window = whole.window
    whole.show("generate")
    window.activateWindow()
    window.docks["tokens"].reveal()
    kept = QApplication.focusWidget()
    whole.show("attend")
    assert QApplication.focusWidget() is kept
    whole.show("generate")
    window.docks["prompt"].reveal()
    whole.show("lens")
    widget = QApplication.focusWidget()
    assert widget is not None
    assert window.docks["tokens"].panel.isAncestorOf(widget)

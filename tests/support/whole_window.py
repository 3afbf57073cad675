"""The whole window after a run of the scripted model, and a mouse that needs no screen."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QPaintEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget

from canopy_desktop.exploration.compare_view import CompareStage, SideWish
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.program import make_application
from canopy_ui.state import RunPhase
from tests.support.driving import PATIENCE_MS, PREFERENCES
from tests.support.scripted import ScriptedSession, opener_of


class WholeWindow:
    """From "abc" to "abcdefg", with everything painted that is looked at."""

    def __init__(self, preferences: Preferences = PREFERENCES) -> None:
        make_application()
        self.session = ScriptedSession()
        self.controller = Controller(opener_of(self.session), preferences)
        self.window = MainWindow(self.controller, preferences, lambda preferences: None)
        self.window.resize(1280, 720)
        self._settled = False
        self.controller.settled.connect(self._on_settled)

    def run(self) -> None:
        self.window.show()
        self.controller.open()
        self.wait_until(lambda: self.controller.state.phase is RunPhase.READY)
        self.controller.run()
        self.wait_until(lambda: self.controller.state.phase is RunPhase.FINISHED)
        self.settle()

    def show(self, workspace: str) -> None:
        """With the panels where they belong, and everything there that they show."""
        self.window.workspaces.show(workspace)
        self.window.workspaces.reset()
        for _ in range(3):
            QApplication.processEvents()
        self.settle()

    def compare(self) -> None:
        """The window's text with one of another prompt, to its end."""
        self.window.workspaces.show("compare")
        self.window.panel(ComparePanel).compare_wished.emit(
            SideWish(request=PromptRequest(text="abc"), settings=PREFERENCES.decoding),
            SideWish(request=PromptRequest(text="abx"), settings=PREFERENCES.decoding),
        )
        self.wait_until(lambda: self.controller.comparison.view().stage is CompareStage.DONE)

    def settle(self) -> None:
        self._settled = False
        self.controller.touch()
        self.wait_until(lambda: self._settled)
        QApplication.processEvents()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_MS / 1000
        while not condition():
            QApplication.processEvents()
            time.sleep(0.001)
            assert time.monotonic() < end, "what was waited for did not come"

    def _on_settled(self) -> None:
        self._settled = True


class Painted(QObject):
    """While it is entered: which widgets were painted, and how many pixels of them."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[QWidget, int]] = []

    def __enter__(self) -> "Painted":
        QCoreApplication.instance().installEventFilter(self)
        return self

    def __exit__(self, *error: object) -> None:
        QCoreApplication.instance().removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if isinstance(event, QPaintEvent) and isinstance(watched, QWidget):
            rects = list(event.region())
            self.parts.append((watched, sum(rect.width() * rect.height() for rect in rects)))
        return False


@contextmanager
def whole_window() -> Iterator[WholeWindow]:
    whole = WholeWindow()
    try:
        whole.run()
        yield whole
    finally:
        whole.session.sequence.gate.set()
        whole.window.close()
        whole.window.deleteLater()


def painted_widgets(window: QWidget) -> list[QWidget]:
    """Those of the program's own that paint themselves."""
    return [
        widget
        for widget in window.findChildren(QWidget)
        if any("paintEvent" in vars(kind) for kind in type(widget).__mro__ if kind.__module__.startswith("canopy_ui."))
    ]


def canvas_of(widget: QWidget) -> QWidget:
    """What the mouse is over."""
    return widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget


def hover(widget: QWidget, point: QPointF) -> None:
    """Move the mouse to a point of the widget, or of what it scrolls."""
    canvas, none = canvas_of(widget), Qt.MouseButton.NoButton
    where = QPointF(canvas.mapToGlobal(point.toPoint()))
    event = QMouseEvent(QEvent.Type.MouseMove, point, where, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)


def leave(widget: QWidget) -> None:
    """Take the mouse away."""
    QApplication.sendEvent(canvas_of(widget), QEvent(QEvent.Type.Leave))
    if canvas_of(widget) is not widget:
        QApplication.sendEvent(widget, QEvent(QEvent.Type.Leave))

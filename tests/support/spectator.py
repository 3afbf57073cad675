"""The program, run as it is, with somebody who looks on: says where things are and what they show, and touches nothing.

A question is a line of JSON, `{"named": …, "ask": …, "with": […]}`: a control's accessible name, or # and a dock's
object name, and "place" or one of its methods. The answer is one too: `{"answer": …}`, null where nothing of that name
can be seen, or `{"error": …}`, for who asks waits for a line.
"""

import json
import sys
import threading
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, QPoint, QRect, QRectF, Qt, Signal, Slot
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QDockWidget, QLabel, QWidget

from canopy_ui.app import main


class Spectator(QObject):
    """Reads on a thread of its own, and looks on the window's."""

    asked = Signal(object)  # the question

    def __init__(self) -> None:
        super().__init__()
        self.asked.connect(self._on_asked, Qt.ConnectionType.QueuedConnection)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self.asked.emit(json.loads(line))

    @Slot(object)
    def _on_asked(self, question: Mapping[str, Any]) -> None:
        try:
            said = {"answer": self._answer(question)}
        except Exception as error:
            said = {"error": f"{question}: {error!r}"}
        print(json.dumps(said), flush=True)

    def _answer(self, question: Mapping[str, Any]) -> object:
        for widget in QApplication.allWidgets():
            name = f"#{widget.objectName()}" if isinstance(widget, QDockWidget) else widget.accessibleName()
            meant = hasattr(widget, question["ask"]) or (question["ask"] == "place" and not isinstance(widget, QLabel))
            if name == question["named"] and meant and not _ground(widget).visibleRegion().isEmpty():
                if question["ask"] == "place":
                    return _on_screen(widget, widget.rect())
                found = getattr(widget, question["ask"])(*question["with"])
                return _on_screen(widget, found.toRect()) if isinstance(found, QRectF) else found
        return None


def _ground(widget: QWidget) -> QWidget:
    """What of the widget is painted on."""
    return widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget


def _on_screen(widget: QWidget, place: QRect) -> list[int]:
    corner = _ground(widget).mapToGlobal(QPoint(place.x(), place.y()))
    return [corner.x(), corner.y(), place.width(), place.height()]


if __name__ == "__main__":
    spectator = Spectator()
    sys.exit(main())

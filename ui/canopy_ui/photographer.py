"""Runs the real window and grabs it when everything in it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication

from canopy_desktop.errors import CanopyError, StorageError
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.program import make_application, write_log
from canopy_ui.scene import Scene
from canopy_ui.state import RunPhase, RunState
from canopy_ui.worker import Opener

if TYPE_CHECKING:
    from canopy_ui.snapshot import Picture

AGAIN_MS = 100  # until what is waited for beside the run is looked for again


class NoPictureError(CanopyError):
    """The window did not come to rest, so no picture could be taken."""


def _done() -> bool:
    return True


class Photographer(QObject):
    """Starts a run as soon as it can, and leaves its event loop when the window has settled or failed."""

    def __init__(self, controller: Controller, patience_ms: int) -> None:
        super().__init__()
        self._controller = controller
        self._loop = QEventLoop()
        self._error: Exception | None = None
        self._finished = False
        self._done: Callable[[], bool] = _done
        self._patience = QTimer(self, interval=patience_ms, singleShot=True)
        self._patience.timeout.connect(self._loop.quit)
        self._again = QTimer(self, interval=AGAIN_MS, singleShot=True)
        self._again.timeout.connect(controller.touch)
        controller.state_changed.connect(self._on_state_changed)
        controller.failed.connect(self._on_failed)
        controller.settled.connect(self._on_settled)

    def wait(self, done: Callable[[], bool] = _done) -> None:
        """Return when the run is over, everything is painted, and `done` holds.

        Raises what failed meanwhile, or `NoPictureError`.
        """
        self._finished, self._done = False, done
        self._controller.touch()  # what is looked at may be another than at the last time
        self._patience.start()
        self._loop.exec()
        self._patience.stop()
        if self._error is not None:
            raise self._error
        if not self._finished:
            raise NoPictureError("The window did not come to rest in time, so no picture was taken: try again.")

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        if state.phase is RunPhase.READY:
            self._controller.run()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._error = error
        self._loop.quit()

    @Slot()
    def _on_settled(self) -> None:
        if self._controller.state.phase is not RunPhase.FINISHED:
            return
        if self._done():
            self._finished = True
            self._loop.quit()
        else:
            self._again.start()  # it settles once more


def take(
    pictures: Sequence[Picture], folder: Path, *, opener: Opener, preferences: Preferences, patience_ms: int
) -> tuple[Path, ...]:
    """Play the scene once, and grab the window at every size. Returns the files.

    Raises what kept the run from ending, `NoPictureError`, or `StorageError`.
    """
    write_log()
    make_application()
    controller = Controller(opener, preferences)
    window = MainWindow(controller, preferences, _forget)
    window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)  # no screen and no window manager limits its size
    photographer = Photographer(controller, patience_ms)
    try:
        _fit(window, pictures[0])
        window.show()
        controller.open()
        photographer.wait()
        scene = Scene(window, controller, photographer.wait)
        scene.play({picture.workspace for picture in pictures})
        return tuple(_grab(window, scene, photographer, picture, folder) for picture in pictures)
    finally:
        window.close()


def _forget(preferences: Preferences) -> None:
    """A picture changes nothing that a person set."""


def _fit(window: MainWindow, picture: Picture) -> None:
    window.resize(picture.size[0] // picture.scale, picture.size[1] // picture.scale)
    window.workspaces.show(picture.workspace)
    window.workspaces.reset()


def _grab(window: MainWindow, scene: Scene, photographer: Photographer, picture: Picture, folder: Path) -> Path:
    _fit(window, picture)
    scene.turn_to(picture.workspace)
    for _ in range(3):  # layouts follow sizes, and panels follow layouts
        QApplication.processEvents()
    window.workspaces.reset()
    QApplication.processEvents()
    photographer.wait()
    image = window.grab().toImage()
    width, height = picture.size
    if (image.width(), image.height()) != (width, height):
        raise NoPictureError(
            f"The window became {image.width()}x{image.height()} and not {width}x{height}: choose a larger --size."
        )
    path = folder / picture.name
    if not image.save(str(path)):
        raise StorageError(path, "the picture cannot be written; check the folder's owner and the free disk space")
    return path

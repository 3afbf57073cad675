"""The running program: application, log, settings, and the window."""

from __future__ import annotations

import logging
import logging.handlers
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QMessageLogContext, QObject, Qt, QtMsgType, Signal, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from canopy_desktop import paths, settings
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration.journal import Journal
from canopy_ui.controller import Controller
from canopy_ui.files import Files
from canopy_ui.garbage import GarbageSearch, settle_garbage
from canopy_ui.interruptions import Interruptions
from canopy_ui.main_window import MainWindow
from canopy_ui.opening import opener_of
from canopy_ui.theme import load_fonts

LOG_BYTES = 1_000_000
logger = logging.getLogger(__name__)

_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class Mishaps(QObject):
    """Exceptions that nobody caught: written to the log, and told to the window."""

    happened = Signal(object)  # Exception

    def catch(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """To be `sys.excepthook`."""
        logger.error("Unhandled:\n%s", "".join(traceback.format_exception(kind, error, trace)))
        self.happened.emit(error)


def run_window(model: str | None, provider: str, file: Path | None = None) -> int:
    """Show the window, with the exploration in `file` or the last one, until it is closed. Returns the exit status."""
    write_log()
    app = make_application()
    preferences = settings.load(paths.settings_file())
    if model is not None:
        preferences = replace(preferences, model="")  # another one was asked for
    opener = opener_of(model, provider, memory_budget_mb=preferences.memory_budget_mb, tokens=preferences.window.size)
    journal = Journal(paths.journals())
    controller = Controller(opener, preferences, journal)
    files = Files(controller, recent=preferences.recent_files, journal=journal, folder=paths.journals())
    window = MainWindow(controller, preferences, _remember, provider, files)
    interruptions = Interruptions()
    interruptions.came.connect(window.close)
    controller.model_opened.connect(settle_garbage, Qt.ConnectionType.SingleShotConnection)
    mishaps = Mishaps()
    mishaps.happened.connect(window.report)
    sys.excepthook = mishaps.catch
    window.show()
    files.start(file, last=preferences.file, last_saved=preferences.file_saved)
    controller.open()
    try:
        return app.exec()
    finally:
        controller.shutdown()  # closing the window has done it, unless something else ended the loop
        interruptions.close()
        sys.excepthook = sys.__excepthook__
        qInstallMessageHandler(None)


def make_application() -> QApplication:
    """Qt's application object, with the program's name and fonts."""
    running = QApplication.instance()
    app = running if isinstance(running, QApplication) else QApplication(["canopy-desktop"])
    app.setApplicationName("canopy-desktop")
    app.setDesktopFileName("canopy-desktop")
    load_fonts()
    if app.findChild(GarbageSearch) is None:
        GarbageSearch(app)
    return app


def write_log() -> None:
    """Write the log, with what Qt has to say, to the user's folder; to standard error where that is not possible."""
    qInstallMessageHandler(_log_qt)
    handler: logging.Handler
    try:
        paths.log_file().parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            paths.log_file(), maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8"
        )
    except OSError:
        handler = logging.StreamHandler()
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _remember(preferences: settings.Preferences) -> None:
    path = paths.settings_file()
    try:  # the default model is written where it is chosen, which may have been elsewhere meanwhile
        settings.save(path, replace(preferences, model=settings.load(path).model))
    except StorageError as error:
        logger.warning("%s", error)


def _log_qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    logging.getLogger("qt").log(_QT_LEVELS.get(kind, logging.WARNING), "%s", text)

"""An import as a process of its own: it takes nothing from the window, and can be ended at any moment."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, QTimer, Signal, Slot

PATIENCE_MS = 3_000  # of a process that was asked to end
_PROGRESS = re.compile(r"(\d{1,3}) (.+)")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEnd:
    """What came of it: a model's id, or one sentence, or neither where it was cancelled."""

    id: str = ""
    is_new: bool = True
    error: str = ""


class ImportProcess(QObject):
    """Runs the command line's own `models import`. One at a time; lives on the GUI thread, which never waits for it."""

    progressed = Signal(int, str)  # percent, and what is being done
    ended = Signal(object)  # ImportEnd

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._said = ""  # on standard error, after the last line of progress
        self._begun = b""  # a line that is not whole yet
        self._cancelled = False
        self._patience = QTimer(self, interval=PATIENCE_MS, singleShot=True)
        self._patience.timeout.connect(self._on_patience_lost)

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._process is not None

    def start(self, source: Path) -> None:
        """Import a file or folder; `ended` follows once."""
        self._said, self._begun, self._cancelled = "", b"", False
        process = self._process = QProcess(self)
        process.readyReadStandardError.connect(self._on_said)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        process.start(sys.executable, ["-m", "canopy_desktop", "models", "import", "--json", "--progress", str(source)])

    @Slot()
    def cancel(self) -> None:
        """End it; what it has made so far goes."""
        process = self._process
        if process is None or self._cancelled:
            return
        self._cancelled = True
        self._patience.start()
        if sys.platform == "win32" or not process.processId():
            process.kill()
        else:
            os.kill(process.processId(), signal.SIGINT)  # as in a terminal: it cleans up

    def close(self) -> None:
        """End it and wait for it: the program ends."""
        process, self._process = self._process, None
        self._patience.stop()
        if process is not None:
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(PATIENCE_MS)

    @Slot()
    def _on_said(self) -> None:
        if self._process is None:
            return
        *lines, self._begun = (self._begun + bytes(self._process.readAllStandardError().data())).split(b"\n")
        for line in (one.decode("utf-8", "replace").strip() for one in lines):
            found = _PROGRESS.fullmatch(line)
            if found is None:
                self._said = line
            else:
                self.progressed.emit(min(100, int(found[1])), found[2])

    @Slot(int)
    def _on_finished(self, status: int) -> None:
        process = self._process
        if process is None:
            return
        self._on_said()
        said = bytes(process.readAllStandardOutput().data()).decode("utf-8", "replace")
        self._end(self._outcome(status, said))

    @Slot(QProcess.ProcessError)
    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            self._end(ImportEnd(error=self._process.errorString()))

    @Slot()
    def _on_patience_lost(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _outcome(self, status: int, said: str) -> ImportEnd:
        try:
            found = json.loads(said)
            return ImportEnd(id=found["id"], is_new=found.get("imported", True))  # cancelled too late is imported
        except (ValueError, KeyError):
            if self._cancelled:
                return ImportEnd()
            logger.warning("The import ended with %d: %s", status, self._said)
            return ImportEnd(error=self._said or self.tr("The import ended without a word."))

    def _end(self, end: ImportEnd) -> None:
        self._patience.stop()
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self.ended.emit(end)

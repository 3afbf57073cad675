"""Ctrl+C in the terminal and the end of a desktop session, brought into Qt's event loop."""

from __future__ import annotations

import signal
import socket

from PySide6.QtCore import QObject, QSocketNotifier, Signal, Slot

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruptions(QObject):
    """Python notices a signal only when Python code runs, so the signal has to wake the event loop."""

    came = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self._notifier = QSocketNotifier(self._reading.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_woken)
        self._old_handlers = [signal.signal(number, _do_nothing) for number in _SIGNALS]
        self._old_wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Give signals back their old meaning."""
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in zip(_SIGNALS, self._old_handlers, strict=True):
            signal.signal(number, handler)
        self._notifier.setEnabled(False)
        self._reading.close()
        self._writing.close()

    @Slot()
    def _on_woken(self) -> None:
        self._reading.recv(64)
        self.came.emit()


def _do_nothing(number: int, frame: object) -> None:
    """The byte in the socket says it all."""

"""Small jobs beside the window's own thread, of which only the newest matters."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal, Slot


class Background(QObject):
    """One thread. Lives on the thread that asks, where the answer is told. `close` must be called before it goes."""

    answered = Signal(object)  # what the newest job returned, or the exception that it raised
    _done = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._newest: Future[object] | None = None
        self._number = 0
        self._waiting = False
        self._done.connect(self._on_done, Qt.ConnectionType.QueuedConnection)

    @property
    def waiting(self) -> bool:
        """Whether an answer is on its way."""
        return self._waiting

    def ask(self, job: Callable[[], object]) -> None:
        """Do this next; the answer to an older job is not told any more."""
        self.forget()
        self._number += 1
        self._waiting = True
        self._newest = self._pool.submit(job)
        self._newest.add_done_callback(partial(self._tell, self._number))

    def forget(self) -> None:
        """Tell no answer to what was asked."""
        self._number += 1
        self._waiting = False
        if self._newest is not None:
            self._newest.cancel()
            self._newest = None

    def close(self) -> None:
        """End the thread, after the job in hand."""
        self.forget()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _tell(self, number: int, job: Future[object]) -> None:
        """On the thread of the job."""
        if not job.cancelled():
            self._done.emit(number, job.exception() or job.result())

    @Slot(int, object)
    def _on_done(self, number: int, answer: object) -> None:
        if number != self._number:
            return
        self._waiting = False
        self.answered.emit(answer)

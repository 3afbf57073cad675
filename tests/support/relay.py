"""Signals of other threads, brought to the test's thread."""

from PySide6.QtCore import QObject, Signal, Slot


class Relay(QObject):
    """Keeps what a signal brought, in order; a plain function would run on the sender's thread."""

    received = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.values: list[object] = []

    @Slot(object)
    def take(self, value: object) -> None:
        self.values.append(value)
        self.received.emit(value)

    @Slot(float)
    def take_number(self, value: float) -> None:
        self.take(value)

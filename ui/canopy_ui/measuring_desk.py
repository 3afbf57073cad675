"""Asks the inference thread for the cache's size, and for measurements beside the text."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.cache_size import CacheSize
from canopy_ui.errands import Errand, ErrandReport


class MeasuringDesk(QObject):
    """Lives on the GUI thread. One measurement at a time; another one, or any run, ends it."""

    changed = Signal()  # something is to be painted
    cache_measured = Signal(object)  # CacheSize
    reported = Signal(object)  # ErrandReport
    failed = Signal(object)  # Exception
    cache_size_requested = Signal()
    errand_requested = Signal(object)  # Errand
    errand_end_requested = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._awaited = False

    @property
    def idle(self) -> bool:
        """Whether no size is awaited."""
        return not self._awaited

    def measure_cache(self) -> None:
        """Ask how large the cache is; `cache_measured` follows."""
        if not self._awaited:
            self._awaited = True
            self.cache_size_requested.emit()

    def begin(self, errand: Errand) -> None:
        """Measure something; a run in hand pauses. `reported` follows, once for each pass and once for the end."""
        self.errand_requested.emit(errand)

    @Slot()
    def end(self) -> None:
        """Leave the measurement under way."""
        self.errand_end_requested.emit()

    @Slot(object)
    def take_size(self, size: CacheSize | None) -> None:
        """The cache was measured; None: there is no model."""
        self._awaited = False
        if size is not None:
            self.cache_measured.emit(size)
        self.changed.emit()

    @Slot(object)
    def take_report(self, report: ErrandReport) -> None:
        """A turn of a measurement was made."""
        self.reported.emit(report)
        if report.error is not None:
            self.failed.emit(report.error)

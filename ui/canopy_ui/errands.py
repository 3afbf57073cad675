"""Measurements beside the run, on the inference thread: one pass a turn of its event loop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, assert_never

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.errors import CanopyError, InterruptedStepError
from canopy_desktop.exploration.bandwidth import Bandwidth, read_passes
from canopy_desktop.exploration.measurements import RaceEvent, Throughput, ThroughputProgress

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RaceErrand:
    """Go on from these tokens with and without the cache."""

    ids: tuple[int, ...] = field(repr=False)
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThroughputErrand:
    """Decode for so many requests at once."""

    requests: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BandwidthErrand:
    """Read memory as fast as it goes."""


Errand: TypeAlias = RaceErrand | ThroughputErrand | BandwidthErrand
Measured: TypeAlias = RaceEvent | Throughput | ThroughputProgress | Bandwidth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrandReport:
    """What came of one turn; with `ended` nothing more comes: it was done, stopped, or failed."""

    errand: Errand
    value: Measured | None = None
    ended: bool = False
    error: Exception | None = None


class Errands(QObject):
    """Runs one errand at a time; the next one, and any run, ends it."""

    reported = Signal(object)  # ErrandReport

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._errand: Errand | None = None
        self._events: Iterator[Measured] = iter(())
        self._turns = QTimer(self, interval=0, singleShot=True)
        self._turns.timeout.connect(self._advance)

    def begin(self, errand: Errand, session: ModelSession) -> None:
        """Set out; the first event comes with the next turn."""
        self.end()
        self._errand = errand
        self._events = _events_of(errand, session)
        self._turns.start()

    def end(self) -> None:
        """Leave what is under way, if anything is."""
        if self._errand is not None:
            self._finish(None)

    @Slot()
    def _advance(self) -> None:
        errand = self._errand
        if errand is None:
            return
        try:
            value = next(self._events)
        except (StopIteration, InterruptedStepError):
            self._finish(None)
        except CanopyError as error:
            logger.warning("The measurement could not go on: %s", error)
            self._finish(error)
        except Exception as error:
            logger.exception("Unexpected error while measuring")
            self._finish(error)
        else:
            self.reported.emit(ErrandReport(errand=errand, value=value))
            self._turns.start()

    def _finish(self, error: Exception | None) -> None:
        errand, self._errand = self._errand, None
        self._events = iter(())  # its memory is free from here on
        self._turns.stop()
        if errand is not None:
            self.reported.emit(ErrandReport(errand=errand, ended=True, error=error))


def _events_of(errand: Errand, session: ModelSession) -> Iterator[Measured]:
    # imported here: nothing at the window's start needs onnxruntime
    from canopy_desktop.exploration.race import Race
    from canopy_desktop.exploration.throughput import throughput_passes

    match errand:
        case RaceErrand():
            yield from Race(session).run(errand.ids, errand.steps)
        case ThroughputErrand():
            yield from throughput_passes(session, errand.requests)
        case BandwidthErrand():
            yield from read_passes()
        case _:
            assert_never(errand)

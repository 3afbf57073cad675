"""Makes the distributions of compared steps again, on the reader thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.compare_view import SideReading, StepPicture, step_picture

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureRequest:
    """One step of two runs that are over."""

    number: int  # of the comparison
    a: SideReading = field(repr=False)
    b: SideReading = field(repr=False)
    same_vocabulary: bool
    place: int  # from 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureResult:
    """The answer; None where it could not be made."""

    request: PictureRequest
    picture: StepPicture | None


class CompareReader(QObject):
    """Answers each request with one result. Its slot runs on the reader thread; no exception leaves it."""

    result_ready = Signal(object)  # PictureResult

    @Slot(object)
    def read(self, request: PictureRequest) -> None:
        """Compute what is asked for."""
        picture = None
        try:
            picture = step_picture(request.a, request.b, request.place, same_vocabulary=request.same_vocabulary)
        except Exception:
            logger.exception("Unexpected error while reading %r", request)
        self.result_ready.emit(PictureResult(request=request, picture=picture))

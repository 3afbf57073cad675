"""Makes the distributions of compared steps again, on the reader thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import psutil
from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.compare_view import ModelOffer, SideReading, StepPicture, step_picture
from canopy_desktop.model.bundle import WEIGHTS_FILE, installed_bundles
from canopy_desktop.model.card import Card

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


@dataclass(frozen=True, slots=True)
class ModelsFound:
    """The models that are installed, and how much memory is free."""

    models: tuple[ModelOffer, ...]
    free_bytes: int


class CompareReader(QObject):
    """Answers each request with one result. Every slot runs on the reader thread; no exception leaves one."""

    result_ready = Signal(object)  # PictureResult
    models_found = Signal(object)  # ModelsFound

    @Slot()
    def find_models(self) -> None:
        """Look for models that can be compared with."""
        try:
            models = tuple(
                ModelOffer(found.id, found.folder, found.card.weights, _weight_bytes(found.card))
                for found in installed_bundles()
                if found.card is not None
            )
            self.models_found.emit(ModelsFound(models, psutil.virtual_memory().available))
        except Exception:
            logger.exception("Unexpected error while looking for models")

    @Slot(object)
    def read(self, request: PictureRequest) -> None:
        """Compute what is asked for."""
        picture = None
        try:
            picture = step_picture(request.a, request.b, request.place, same_vocabulary=request.same_vocabulary)
        except Exception:
            logger.exception("Unexpected error while reading %r", request)
        self.result_ready.emit(PictureResult(request=request, picture=picture))


def _weight_bytes(card: Card) -> int:
    return sum(entry.bytes for entry in card.files if entry.name == WEIGHTS_FILE)

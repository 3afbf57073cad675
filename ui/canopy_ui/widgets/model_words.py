"""How a model is named."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.model.card import Card, WeightForm


def model_name(card: Card) -> str:
    """Its title, and how its matrices are kept."""
    return f"{card.title} · {weights_name(card.weights)}"


def weights_name(weights: WeightForm) -> str:
    """How the matrices are kept."""
    names = {WeightForm.INT8: "8 bit", WeightForm.FP32: "fp32", WeightForm.GIVEN: "own graph"}
    return QCoreApplication.translate("ModelWords", names[weights])

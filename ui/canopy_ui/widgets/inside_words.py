"""What the operations inside a step are called, and a sentence on each."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.model.card import Activation, Norm
from canopy_ui.widgets.inside_layout import Station
from canopy_ui.widgets.numbers import grouped


def station_name(station: Station) -> str:
    """In one line."""
    return {
        Station.EMBEDDING: _tr("Embedding"),
        Station.POSITION: _tr("Position"),
        Station.PROJECTION: _tr("Query, key, value"),
        Station.ROTATION: _tr("Rotation"),
        Station.PRODUCT: _tr("Dot product"),
        Station.SCALE: _tr("Scale"),
        Station.MASK: _tr("Mask"),
        Station.SOFTMAX: _tr("Softmax"),
        Station.WEIGHTED: _tr("Weighted values"),
        Station.ATTENTION: _tr("Added by attention"),
        Station.FEED_FORWARD: _tr("Feed-forward"),
        Station.AFTER: _tr("Added by feed-forward"),
        Station.LOGITS: _tr("Logits"),
        Station.PROBABILITIES: _tr("Probabilities"),
        Station.HEADS: _tr("All heads"),
        Station.BLOCKS: _tr("All blocks"),
    }[station]


def station_head(station: Station) -> str:
    """Above the station's column, in two lines at most."""
    return {
        Station.POSITION: _tr("Position\nadded"),
        Station.PROJECTION: _tr("Query, key\nand value"),
        Station.PRODUCT: _tr("Dot\nproduct"),
        Station.SCALE: _tr("Scale"),
        Station.WEIGHTED: _tr("Weighted\nvalues"),
        Station.ATTENTION: _tr("Added to\nthe stream"),
        Station.FEED_FORWARD: _tr("Feed-\nforward"),
        Station.AFTER: _tr("Added\nagain"),
        Station.PROBABILITIES: _tr("Proba-\nbility"),
    }.get(station, station_name(station))


def norm_name(norm: Norm) -> str:
    """As papers call it."""
    return {Norm.RMS: "RMSNorm", Norm.LAYER: "LayerNorm"}[norm]


def activation_name(activation: Activation) -> str:
    """As papers call it."""
    return {Activation.SILU: "SiLU", Activation.GELU: "GELU"}[activation]


def short_number(value: float) -> str:
    """Three digits or so: 83.2, −1.09, 21,792, −∞."""
    if value == float("-inf"):
        return "−∞"
    size = abs(value)
    text = grouped(round(size)) if size >= 999.5 else f"{size:.0f}" if size >= 99.95 else f"{size:.1f}"
    if size < 9.95:
        text = f"{size:.2f}"
    return f"−{text}" if value < 0 and float(text.replace(",", "")) else text


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inside", text)

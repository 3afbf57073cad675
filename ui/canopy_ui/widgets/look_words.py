"""Which attention is meant, in words."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.exploration.attention_view import Look
from canopy_ui.widgets.chip_label import marked_text
from canopy_ui.widgets.numbers import grouped, percent


def look_name(look: Look) -> str:
    """Layer and head, or what stands for several."""
    if look.layer is None:
        return _tr("rollout through all layers")
    layer = _tr("layer {layer}").format(layer=look.layer)
    if look.head is None:
        return f"{layer} · " + _tr("mean of the heads")
    return f"{layer} · " + _tr("head {head}").format(head=look.head)


def look_title(look: Look, window: int | None = None) -> str:
    """The same, and what is left out of it; `window`: tokens that the layer sees at most, if not all."""
    parts = [look_name(look)]
    if window is not None:
        parts.append(_tr("sees {count} tokens back").format(count=grouped(window - 1)))
    if look.hide_first:
        parts.append(_tr("first token hidden"))
    return " · ".join(parts)


def share_text(share: float, look: Look) -> str:
    """A share of attention, and of what."""
    return _tr("{share} of the rest").format(share=percent(share)) if look.hide_first else percent(share)


def short_text(text: str, position: int) -> str:
    """A token's text without its leading space; its position in the text if it has none."""
    if not text or "\ufffd" in text:
        return f"[{position:,}]"
    bare = text.removeprefix(" ")
    return marked_text(bare if bare.strip() else text)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Attention", text)

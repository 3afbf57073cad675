"""What is shown of the cache: which tokens of the text are in it, and what they take."""

from __future__ import annotations

from dataclasses import dataclass, field

from canopy_desktop.exploration.cache_size import CacheSize
from canopy_desktop.exploration.view import Chip, MetricsView, WindowView
from canopy_desktop.model.card import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheView:
    """The text where we stand, beside the cache as it was measured last."""

    chips: tuple[Chip, ...] = field(repr=False)
    prompt: int  # tokens of it
    dropped: range  # positions that have left the window
    read: int  # positions before this one have passed through the model
    selected: int | None
    context: int  # tokens that the window holds
    layers: int
    kv_heads: int
    head_size: int
    size: CacheSize

    @property
    def used(self) -> int:
        """Tokens of the text where we stand that are in the cache."""
        return self.read - len(self.dropped)

    @property
    def ahead(self) -> int:
        """Tokens in the cache that the text has not, after going back: the next token drops them."""
        return max(0, self.size.positions - self.used)

    @property
    def number_bytes(self) -> int:
        """Bytes of one number in a key or a value."""
        return self.size.predicted_per_position // (2 * self.layers * self.kv_heads * self.head_size)


def cache_view(
    view: WindowView, metrics: MetricsView, architecture: Architecture, size: CacheSize | None
) -> CacheView | None:
    """Combine what the window shows with what was measured; None before there is any of it."""
    if size is None or not view.chips or not size.positions:
        return None
    return CacheView(
        chips=view.chips,
        prompt=sum(chip.node is None for chip in view.chips),
        dropped=view.dropped,
        read=metrics.context_used + len(view.dropped),
        selected=view.selected,
        context=metrics.context,
        layers=architecture.layers,
        kv_heads=architecture.kv_heads,
        head_size=architecture.head_size,
        size=size,
    )

"""How large the key/value cache is: by its formula, and by the memory that is really there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from canopy_desktop.model.decoder import DecoderSession


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """One layer's buffers, measured."""

    key_bytes: int  # of one position
    value_bytes: int
    used: int  # bytes of the positions that hold a token
    allocated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSize:
    """All layers, beside what the architecture's numbers predict."""

    positions: int
    capacity: int
    predicted_per_position: int  # 2 · layers · kv_heads · head_size · 4 bytes, on a card 2
    layers: tuple[LayerSize, ...]

    @property
    def predicted(self) -> int:
        """Bytes that the formula gives for the positions in use."""
        return self.positions * self.predicted_per_position

    @property
    def used(self) -> int:
        """Bytes measured of the positions in use."""
        return sum(layer.used for layer in self.layers)

    @property
    def allocated(self) -> int:
        """Bytes of the buffers; those of positions not yet in use count too."""
        return sum(layer.allocated for layer in self.layers)


def cache_size(decoder: DecoderSession) -> CacheSize:
    """Measure a decoder's cache. On its own thread, since the cache may grow."""
    length = decoder.length
    layers = tuple(
        LayerSize(
            key_bytes=keys[:, :, :1].nbytes,
            value_bytes=values[:, :, :1].nbytes,
            used=keys[:, :, :length].nbytes + values[:, :, :length].nbytes,
            allocated=keys.nbytes + values.nbytes,
        )
        for keys, values in zip(decoder.cache.keys, decoder.cache.values, strict=True)
    )
    return CacheSize(
        positions=length,
        capacity=decoder.cache.capacity,
        predicted_per_position=decoder.cache.bytes_per_token,
        layers=layers,
    )

"""The key/value cache: one buffer a layer, grown in steps, written in place by the decoder."""

from __future__ import annotations

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.model.card import Architecture, GraphForm
from canopy_desktop.model.device import HOST, Memory, Stored, on_host

STEP = 512  # positions that the cache grows by, at least


class Cache:
    """Keys and values of the current sequence.

    `keys[layer]` and `values[layer]` are (1, kv_heads, capacity, head_size), keys already rotated; on the CPU in
    float32, on a card in float16. Growing replaces the arrays; whoever still holds an old one keeps the positions it
    had.
    """

    def __init__(
        self, architecture: Architecture, context: int, form: GraphForm = GraphForm.CPU, memory: Memory = HOST
    ) -> None:
        self._a = architecture
        self._context = context
        self.precision = form.kept  # of keys and values
        self.memory = memory
        self.capacity = 0
        self.keys: list[Stored] = []
        self.values: list[Stored] = []

    @property
    def bytes_per_token(self) -> int:
        """Bytes that the keys and values of one position take."""
        return self._a.kv_bytes_per_token * np.dtype(self.precision).itemsize // np.dtype(np.float32).itemsize

    @property
    def buffers(self) -> list[Stored]:
        """Those of all layers, keys before values."""
        return [*self.keys, *self.values]

    @property
    def bytes(self) -> int:
        """Bytes that the buffers take."""
        return self.capacity * self.bytes_per_token

    def reserve(self, length: int, kept: int) -> bool:
        """Make room for `length` positions, keeping the first `kept`. Returns whether the buffers moved."""
        if length <= self.capacity:
            return False
        wanted = max(length, self.capacity + max(STEP, self.capacity // 2))
        capacity = min(self._context, -(-wanted // STEP) * STEP)
        shape = (1, self._a.kv_heads, capacity, self._a.head_size)
        grown = self._grown(shape, self.keys, kept), self._grown(shape, self.values, kept)
        self.keys, self.values = grown  # both or, where memory ends, neither
        self.capacity = capacity
        return True

    def export(self, first: int, last: int) -> tuple[FloatArray, FloatArray]:
        """Copies of the keys and values of positions first … last-1, each (layers, positions, kv_heads, head_size)."""
        keys = np.stack([on_host(layer[0, :, first:last]).transpose(1, 0, 2) for layer in self.keys])
        values = np.stack([on_host(layer[0, :, first:last]).transpose(1, 0, 2) for layer in self.values])
        return keys, values

    def copy(self, other: Cache, length: int) -> None:
        """Take over the first positions of another cache of the same model. There must be room."""
        for mine, theirs in zip(self.buffers, other.buffers, strict=True):
            mine[:, :, :length] = theirs[:, :, :length]

    def _grown(self, shape: tuple[int, int, int, int], old: list[Stored], kept: int) -> list[Stored]:
        grown = [self.memory.zeros(shape, self.precision) for _ in range(self._a.layers)]
        if kept:
            for new, before in zip(grown, old, strict=True):
                new[:, :, :kept] = before[:, :, :kept]
        return grown

"""Final norm and output matrix: logits of the newest residual, and of any kept one."""

from __future__ import annotations

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.nvidia import GraphicsCard
from canopy_desktop.model.provider import open_session, provider_error


class Head:
    """A session of the model's end, on the CPU or on a card. Thread-safe: onnxruntime's sessions are."""

    def __init__(self, bundle: Bundle, card: GraphicsCard | None = None) -> None:
        self._provider = "cpu" if card is None else "cuda"
        self._session = open_session(bundle.head, card=card)
        asked = {value.name: value.shape for value in self._session.get_inputs()}
        self._takes_zero = "zero" in asked
        self._takes_one = asked["residual"][1] == 1  # for it would round several rows otherwise

    def logits(self, residuals: FloatArray) -> FloatArray:
        """(rows, hidden) residuals to (rows, vocabulary) logits. Raises `ProviderError` or `CardMemoryError`."""
        if self._takes_one and len(residuals) > 1:
            return np.concatenate([self.logits(row[None]) for row in residuals])
        rows = np.ascontiguousarray(residuals, np.float32)[None]
        inputs = {"residual": rows, "zero": np.zeros_like(rows)} if self._takes_zero else {"residual": rows}
        try:
            (logits,) = self._session.run(["logits"], inputs)
        except Exception as error:  # onnxruntime has no public base class of its errors
            raise provider_error(self._provider, error) from error
        found: FloatArray = np.asarray(logits, np.float32)[0]
        return found

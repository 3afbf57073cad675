"""Final norm and output matrix: logits of the newest residual, and of any kept one."""

from __future__ import annotations

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.errors import ProviderError
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.provider import first_line, open_session


class Head:
    """A session of the model's end. Thread-safe: onnxruntime's sessions are."""

    def __init__(self, bundle: Bundle) -> None:
        self._session = open_session(bundle.head)

    def logits(self, residuals: FloatArray) -> FloatArray:
        """(rows, hidden) residuals to (rows, vocabulary) logits. Raises `ProviderError`."""
        rows = np.ascontiguousarray(residuals, np.float32)[None]
        try:
            (logits,) = self._session.run(["logits"], {"residual": rows, "zero": np.zeros_like(rows)})
        except Exception as error:  # onnxruntime has no public base class of its errors
            raise ProviderError("cpu", first_line(error)) from error
        found: FloatArray = np.asarray(logits, np.float32)[0]
        return found

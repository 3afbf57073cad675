"""The one file beside the graphs that holds every weight."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from onnx import StringStringEntryProto, TensorProto

from canopy_desktop.arrays import AnyArray
from canopy_desktop.model.bundle import WEIGHTS_FILE

ALIGNMENT = 4096  # a page, so that onnxruntime can map an array instead of reading it
_KINDS = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.uint8): TensorProto.UINT8,
}


class ExternalWeights:
    """Appends arrays to a file and describes each as an external initializer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, name: str, values: AnyArray) -> TensorProto:
        """Write `values` at the next page and return an initializer called `name` that points there."""
        data = np.ascontiguousarray(values)
        tensor = TensorProto(name=name, data_type=_KINDS[data.dtype], dims=data.shape)
        self.move(tensor, data)
        return tensor

    def move(self, tensor: TensorProto, data: AnyArray) -> None:
        """Write the bytes of an initializer at the next page, and make it point there."""
        self._file.write(b"\0" * (-self._file.tell() % ALIGNMENT))
        offset = self._file.tell()
        self._file.write(data.data)
        tensor.ClearField("raw_data")
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS_FILE), ("offset", offset), ("length", data.nbytes)):
            tensor.external_data.append(StringStringEntryProto(key=key, value=str(value)))

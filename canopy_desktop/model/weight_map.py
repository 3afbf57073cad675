"""A bundle's weights by name, mapped from its file: for looking at them, not for running."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from canopy_desktop.arrays import AnyArray, FloatArray
from canopy_desktop.model.bundle import WEIGHTS_FILE, Bundle
from canopy_desktop.model.card import Norm, Positions, WeightForm
from canopy_desktop.model.graph import EMBEDDING, OUTPUT_NORM, PLACES, ZERO_POINT, bias_of, output_matrix


class WeightMap:
    """Read-only arrays of a verified bundle. Thread-safe."""

    def __init__(self, bundle: Bundle) -> None:
        self.model: ModelProto = onnx.load_model(str(bundle.decoder), load_external_data=False)
        self._form = bundle.card.weights
        self._file = np.memmap(bundle.folder / WEIGHTS_FILE, np.uint8, "r")
        head = onnx.load_model(str(bundle.head), load_external_data=False)
        self._tensors = {tensor.name: tensor for part in (self.model, head) for tensor in part.graph.initializer}
        self._a = bundle.card.architecture

    def array(self, name: str) -> AnyArray:
        """An initializer as it lies in the file, or in the graph."""
        tensor = self._tensors[name]
        kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
        if tensor.data_location != TensorProto.EXTERNAL:
            return np.frombuffer(tensor.raw_data, kind).reshape(tensor.dims)
        place = {entry.key: entry.value for entry in tensor.external_data}
        first, size = int(place["offset"]), int(place["length"])
        return self._file[first : first + size].view(kind).reshape(tensor.dims)

    def matrix(self, name: str) -> FloatArray:
        """A matrix by its GGUF name, (outputs, inputs), as the model multiplies with it."""
        if self._form is WeightForm.FP32:
            return np.asarray(self.array(f"{name}.t").T, np.float32)
        return _dequantized(self.array(f"{name}.bytes"), self.array(f"{name}.scales"))

    def output_row(self, token_id: int) -> FloatArray:
        """What the normed residual is multiplied with to give a token's logit, (hidden,)."""
        return self._row(output_matrix(self._a), token_id)

    def token_row(self, token_id: int) -> FloatArray:
        """A token's row of the embedding, (hidden,)."""
        return self._row(EMBEDDING, token_id)

    def place_row(self, place: int) -> FloatArray | None:
        """What is added to the embedding of a token that stands there, (hidden,), if positions are learned."""
        if self._a.positions is not Positions.LEARNED:
            return None
        return np.array(self.array(PLACES)[place], np.float32)

    def output_norm(self) -> FloatArray:
        """The gain of the final norm, (hidden,)."""
        return np.array(self.array(OUTPUT_NORM), np.float32)

    def output_norm_bias(self) -> FloatArray | None:
        """The bias of the final norm, (hidden,), if it has one."""
        return None if self._a.norm is Norm.RMS else np.array(self.array(bias_of(OUTPUT_NORM)), np.float32)

    def copy_of(self, name: str) -> TensorProto:
        """The initializer with its values inside, for a graph that stands alone."""
        tensor = self._tensors[name]
        values = np.ascontiguousarray(self.array(name))
        return helper.make_tensor(name, tensor.data_type, tensor.dims, values.tobytes(), raw=True)

    def has(self, name: str) -> bool:
        """Whether there is an initializer of this name."""
        return name in self._tensors

    def _row(self, name: str, number: int) -> FloatArray:
        if self._form is WeightForm.FP32:
            return np.array(self.array(f"{name}.t")[:, number], np.float32)
        rows = slice(number, number + 1)
        steps, scales = (self.array(f"{name}.{part}")[rows] for part in ("bytes", "scales"))
        return _dequantized(steps, scales).reshape(-1)


def _dequantized(steps: AnyArray, scales: AnyArray) -> FloatArray:
    """uint8 (outputs, blocks, BLOCK) and scales (outputs, blocks) to float32 (outputs, inputs)."""
    values = (steps.astype(np.float32) - np.float32(ZERO_POINT)) * scales.reshape(*steps.shape[:2], 1)
    found: FloatArray = values.reshape(steps.shape[0], -1)
    return found

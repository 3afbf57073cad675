"""optimum's ONNX export of the same weights in fp32 on onnxruntime, which gets its past back at every pass."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.engine import THREADS, parser_of, serve


class OptimumEngine:
    """The export with past; its outputs go back in as they are, without a copy."""

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.log_severity_level = 3
        path = folder / "model.onnx"
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._empty = {
            i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32)
            for i in self._session.get_inputs()
            if i.name.startswith("past_key_values.")
        }
        self._past: dict[str, Any] = {}
        self._length = 0
        self.weight_bytes = sum(file.stat().st_size for file in folder.glob("model.onnx*"))
        self.kv_bytes = sum(4 * a.shape[1] * a.shape[3] for a in self._empty.values())
        self.versions = {"optimum": version("optimum"), "optimum-onnx": version("optimum-onnx")}

    def prefill(self, ids: Sequence[int]) -> int:
        """Pass the whole prompt through at once; the export computes the logits of every position."""
        self._past = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in self._empty.items()}
        self._length = 0
        return self._feed(list(ids))

    def step(self, token_id: int) -> int:
        """Pass one token through."""
        return self._feed([token_id])

    def check(self, ids: Sequence[int], prompt: int) -> dict[str, Any]:
        """Nothing is kept but the past."""
        return {}

    def _feed(self, ids: list[int]) -> int:
        stop = self._length + len(ids)
        arrays = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, stop), np.int64),
            "position_ids": np.arange(self._length, stop)[None],
        }
        fed = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        outputs = self._session.run_with_ort_values(self._outputs, fed | self._past)
        found = dict(zip(self._outputs, outputs, strict=True))
        logits = found.pop("logits").numpy()
        self._past = {name.replace("present", "past_key_values"): value for name, value in found.items()}
        self._length = stop
        return int(logits[0, -1].argmax())


def main() -> None:
    """Serve it."""
    arguments = parser_of(__doc__).parse_args()
    serve(lambda: OptimumEngine(Path(arguments.model)))


if __name__ == "__main__":
    main()

"""A second witness: optimum's ONNX export of the same weights, run by onnxruntime with its own past."""

from __future__ import annotations

import shutil

import numpy as np
import onnxruntime as ort
from optimum.exporters.onnx import main_export
from reduced import prompts, reduced
from source import HF_FOLDER, ONNX_FOLDER, made_with, write_npz

GREEDY_TOKENS = 8
LAYERS, KV_HEADS, HEAD_SIZE = 30, 3, 64

Past = dict[str, np.ndarray]


def no_past() -> Past:
    """Empty keys and values for each layer."""
    empty = np.zeros((1, KV_HEADS, 0, HEAD_SIZE), np.float32)
    return {f"past_key_values.{layer}.{part}": empty for layer in range(LAYERS) for part in ("key", "value")}


def feed(session: ort.InferenceSession, ids: list[int], past: Past) -> tuple[np.ndarray, Past]:
    """(position, vocabulary) logits of the new tokens, and the past that includes them."""
    start = past["past_key_values.0.key"].shape[2]
    stop = start + len(ids)
    inputs = {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, stop), np.int64),
        "position_ids": np.arange(start, stop)[None],
    }
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs | past), strict=True))
    logits = outputs.pop("logits")[0]
    return logits, {name.replace("present", "past_key_values"): value for name, value in outputs.items()}


def main() -> None:
    """Export, generate greedily after one prompt, and keep the logits of every position."""
    shutil.rmtree(ONNX_FOLDER, ignore_errors=True)
    main_export(str(HF_FOLDER), ONNX_FOLDER, task="text-generation-with-past", do_validation=False)
    session = ort.InferenceSession(ONNX_FOLDER / "model.onnx", providers=["CPUExecutionProvider"])
    ids = prompts()["student"].ids
    logits, past = feed(session, ids, no_past())
    rows = [logits]
    for _ in range(GREEDY_TOKENS):
        ids = [*ids, int(rows[-1][-1].argmax())]
        logits, past = feed(session, ids[-1:], past)
        rows.append(logits)
    programs = made_with("optimum", "optimum-onnx", "transformers", "torch", "onnx", "onnxruntime", "numpy")
    prompt_length = np.array(len(ids) - GREEDY_TOKENS)
    parts = reduced(np.concatenate(rows))
    write_npz("onnx_student.npz", programs, ids=np.array(ids, np.int32), prefill=prompt_length, **parts)


if __name__ == "__main__":
    main()

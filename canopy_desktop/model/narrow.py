"""Floating point numbers in half the memory: numpy takes ten times as long to round them as onnxruntime does."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime as ort

from canopy_desktop.model.device import DeviceArray, Stored
from canopy_desktop.model.provider import open_session

PIECE_BYTES = 1 << 19  # of float32 that are rounded at once: memory of that size is used again, and stays in the cache


def narrow_into(target: Stored, values: Stored) -> None:
    """Write (layers, rows, width) into an array of that shape, rounded to the nearest float16 if that is its type.

    Beyond 65,504 that is infinity. What is on a card must be of the target's type already.
    """
    on_card = isinstance(values, DeviceArray) or isinstance(target, DeviceArray)
    if on_card or values.dtype != np.float32 or target.dtype != np.float16:
        target[:] = values
        return
    step = max(1, PIECE_BYTES // max(1, values[0].nbytes))
    for first in range(0, len(values), step):
        layers = slice(first, first + step)
        (target[layers],) = _session().run(["narrow"], {"wide": np.ascontiguousarray(values[layers])})


@cache
def _session() -> ort.InferenceSession:
    from onnx import TensorProto, helper  # late: it takes a while, and most of the program does without it

    from canopy_desktop.model.graph import IR_VERSION, OPSET

    wide, narrow = (
        helper.make_tensor_value_info(name, kind, [None, None, None])
        for name, kind in (("wide", TensorProto.FLOAT), ("narrow", TensorProto.FLOAT16))
    )
    graph = helper.make_graph(
        [helper.make_node("Cast", ["wide"], ["narrow"], to=TensorProto.FLOAT16)], "narrow", [wide], [narrow]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return open_session(model.SerializeToString())

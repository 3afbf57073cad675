"""Floating point numbers in half the memory: numpy takes ten times as long to round them as onnxruntime does."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime as ort

from canopy_desktop.model.device import DeviceArray, Stored
from canopy_desktop.model.provider import open_session


def narrowed(values: Stored, precision: np.dtype[np.floating]) -> Stored:
    """The values as they are, or rounded from float32 to the nearest float16; beyond 65,504 that is infinity.

    What is on a card must be of that type already.
    """
    if isinstance(values, DeviceArray) or values.dtype == precision:
        return values
    if precision == np.float32:
        return values.astype(np.float32)
    (found,) = _session().run(["narrow"], {"wide": np.ascontiguousarray(values)})
    return np.asarray(found)


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

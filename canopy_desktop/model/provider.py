"""Which execution provider runs the model, and why."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import onnxruntime as ort

from canopy_desktop.errors import ProviderError

logger = logging.getLogger(__name__)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
QUIET = 3  # onnxruntime's severity "error"


class ProviderChoice(Enum):
    """What the person asks for."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What is really used."""

    name: str  # "cpu" or "cuda"
    reason: str  # one sentence


def choose_provider(choice: ProviderChoice) -> ProviderReport:
    """The provider that will run. Bundles of this version have kernels for the CPU alone, so it is always that one."""
    if choice is ProviderChoice.CPU:
        return ProviderReport("cpu", "The CPU was asked for.")
    reason = (
        "This model's attention and matrices are in a form that only the CPU can run, so the CPU is used."
        if CUDA in ort.get_available_providers()
        else "This onnxruntime was built without CUDA, so the CPU is used."
    )
    if choice is ProviderChoice.CUDA:
        logger.warning("CUDA was asked for. %s", reason)
    return ProviderReport("cpu", reason)


def open_session(path: Path, *, threads: int = 0) -> ort.InferenceSession:
    """A session on the CPU; `threads` 0 takes one a core. Raises `ProviderError`."""
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(str(path), options, providers=[CPU])
    except Exception as error:  # onnxruntime has no public base class of its errors
        raise ProviderError("cpu", first_line(error)) from error
    active = session.get_providers()
    if active[0] != CPU:
        logger.warning("Asked for %s, running on %s", CPU, active)
    return session


def first_line(error: Exception) -> str:
    """The first line of an error's text, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

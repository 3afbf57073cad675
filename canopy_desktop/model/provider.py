"""Which execution provider runs the model, and why."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from functools import cache
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


@cache
def share_threads(count: int = 0) -> None:
    """Make the threads that all sessions share, 0 for one a core; `count` counts before the first session alone.

    Sessions take turns: two pools of threads that wait for work in a loop would take the cores from one another.
    """
    ort.set_global_thread_pool_sizes(count, 1)


def open_session(model: Path | bytes) -> ort.InferenceSession:
    """A session on the CPU of a graph in a file or in memory. Raises `ProviderError`."""
    if not share_threads.cache_info().currsize:
        share_threads()
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    options.use_per_session_threads = False
    try:
        session = ort.InferenceSession(model, options, providers=[CPU])
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

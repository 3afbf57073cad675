"""What NVIDIA's driver and libraries say about this machine: the facts by which a card is chosen.

Cards come from the driver's CUDA library, which numbers them as onnxruntime does and heeds CUDA_VISIBLE_DEVICES; NVML,
which comes with every driver too, adds the driver's version and the memory. Nothing here raises: what cannot be asked
is None.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import onnxruntime as ort

logger = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
CUDA_LIBRARY, NVML_LIBRARY = (
    ("nvcuda.dll", "nvml.dll") if sys.platform == "win32" else ("libcuda.so.1", "libnvidia-ml.so.1")
)

Library = Any  # ctypes' functions have no types
Loader = Callable[[str], Library]

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # cuda.h: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
_NAME_BYTES = 96


@dataclass(frozen=True, slots=True)
class CardMemory:
    """A card's memory at one moment, in bytes, of all programs together."""

    total: int
    free: int

    @property
    def used(self) -> int:
        """What programs and the driver hold."""
        return self.total - self.free


@dataclass(frozen=True, slots=True)
class GraphicsCard:
    """A card that CUDA sees."""

    index: int  # CUDA's number of it, onnxruntime's device_id
    name: str
    capability: tuple[int, int]  # compute capability
    uuid: UUID
    memory: CardMemory | None  # None: NVML could not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaFacts:
    """What decides whether a model can run on a card."""

    built_in: bool  # this onnxruntime has the CUDA provider, which says nothing of whether it loads
    has_driver: bool  # the driver's CUDA library loads
    driver: str | None  # its version, such as "580.65.06"; None: NVML is missing or did not answer
    cards: tuple[GraphicsCard, ...]  # in CUDA's order
    missing_libraries: (
        tuple[str, ...] | None
    )  # file names that do not load; None: not tried, for no card would use them


def cuda_facts(*, load_libraries: bool = True, load: Loader = ctypes.CDLL) -> CudaFacts:
    """Ask onnxruntime, the driver and NVML; `load_libraries` loads NVIDIA's libraries too, where there is a card."""
    built_in = CUDA in ort.get_available_providers()
    cuda = _opened(CUDA_LIBRARY, load) if built_in else None
    nvml = Nvml.open(load) if cuda is not None else None
    cards = () if cuda is None else _cards(cuda, nvml)
    return CudaFacts(
        built_in=built_in,
        has_driver=cuda is not None,
        driver=None if nvml is None else nvml.driver_version(),
        cards=cards,
        missing_libraries=missing_libraries() if cards and load_libraries else None,
    )


@cache
def missing_libraries() -> tuple[str, ...]:
    """Load NVIDIA's libraries into this process, once; returns the file names of those that cannot be loaded."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ort.preload_dlls(cudnn=False)  # says what is missing on standard output, and raises nothing
    if printed.getvalue():
        logger.info("onnxruntime.preload_dlls: %s", printed.getvalue().strip())
    # A file that is there but broken is printed with its folder, and tried again by its name.
    return tuple(re.findall(r"^Failed to load ([^/\\:\n]+): ", printed.getvalue(), re.MULTILINE))


def card_memory(uuid: UUID) -> CardMemory | None:
    """The memory of a card now; takes well under a millisecond after the first call. None: NVML cannot tell."""
    nvml = _nvml()
    return None if nvml is None else nvml.memory(uuid)


class Nvml:
    """NVIDIA's management library, as far as it is needed here. Thread-safe, as NVML is."""

    def __init__(self, library: Library) -> None:
        """`library` is initialised."""
        self._library = library

    @classmethod
    def open(cls, load: Loader = ctypes.CDLL) -> Nvml | None:
        """None where it is missing or does not start."""
        library = _opened(NVML_LIBRARY, load)
        return None if library is None or library.nvmlInit_v2() else cls(library)

    def driver_version(self) -> str | None:
        """Such as "580.65.06"."""
        text = ctypes.create_string_buffer(_NAME_BYTES)
        failed = self._library.nvmlSystemGetDriverVersion(text, ctypes.c_uint(_NAME_BYTES))
        return None if failed else text.value.decode("ascii", "replace")

    def memory(self, uuid: UUID) -> CardMemory | None:
        """Of a card, or of a part of one (MIG)."""
        for kind in ("GPU", "MIG"):
            device, found = ctypes.c_void_p(), _NvmlMemory()
            if self._library.nvmlDeviceGetHandleByUUID(f"{kind}-{uuid}".encode(), ctypes.byref(device)):
                continue
            if not self._library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(found)):
                return CardMemory(found.total, found.free)
        return None


class _NvmlMemory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


@cache
def _nvml() -> Nvml | None:
    return Nvml.open()


def _opened(name: str, load: Loader) -> Library | None:
    try:
        return load(name)
    except OSError:
        return None


def _cards(cuda: Library, nvml: Nvml | None) -> tuple[GraphicsCard, ...]:
    """The cards that CUDA sees; none where it does not start."""
    count = ctypes.c_int()
    if cuda.cuInit(ctypes.c_uint(0)) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_card(cuda, index, nvml) for index in range(count.value))


def _card(cuda: Library, index: int, nvml: Nvml | None) -> GraphicsCard:
    device = ctypes.c_int()
    name, uuid = ctypes.create_string_buffer(_NAME_BYTES), (ctypes.c_ubyte * 16)()
    major, minor = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), ctypes.c_int(index))
    cuda.cuDeviceGetName(name, ctypes.c_int(_NAME_BYTES), device)
    cuda.cuDeviceGetUuid_v2(ctypes.byref(uuid), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), ctypes.c_int(_CAPABILITY_MAJOR), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), ctypes.c_int(_CAPABILITY_MINOR), device)
    known = UUID(bytes=bytes(uuid))
    memory = None if nvml is None else nvml.memory(known)
    return GraphicsCard(index, name.value.decode("utf-8", "replace"), (major.value, minor.value), known, memory)

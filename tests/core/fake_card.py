"""A card whose memory lies on this machine, behind the real copying code: what forgets to copy fails, as on a card."""

import ctypes
from typing import Any
from uuid import UUID

import onnxruntime as ort

from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import GraphForm
from canopy_desktop.model.decoder import PassRunner
from canopy_desktop.model.device import CudaMemory, CudaRuntime
from canopy_desktop.model.head import Head
from canopy_desktop.model.nvidia import GraphicsCard
from canopy_desktop.model.provider import open_session

CARD = GraphicsCard(0, "Pebble 4070", (8, 9), UUID(int=1), None)
EITHER_WAY = 4


class FakeRuntimeLibrary:
    """The functions of CUDA's runtime that are used, on this machine's memory; notes each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.failing: tuple[str, int] = ("", 0)  # a function's name, and the code that it returns
        self.cudaGetErrorString = lambda code: b"something is wrong"
        self.room = 1 << 62  # bytes that can still be taken
        self.taken: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.cudaSetDevice = self._set_device
        self.cudaMalloc = self._take
        self.cudaFree = self._free
        self.cudaMemcpy = self._copy
        self.cudaMemcpy2D = self._copy_rows
        self.cudaMemset = self._set
        self.cudaStreamSynchronize = self._synchronize

    @property
    def copied(self) -> int:
        """Calls that copied."""
        return sum(call[0].startswith("cudaMemcpy") for call in self.calls)

    def _take(self, to: Any, count: Any) -> int:
        code = self._answer("cudaMalloc", str(count.value)) or (2 if count.value > self.room else 0)
        if not code:
            found = ctypes.create_string_buffer(b"\xff" * count.value, count.value)
            self.room -= count.value
            self.taken[ctypes.addressof(found)] = found
            to._obj.value = ctypes.addressof(found)
        return code

    def _free(self, address: Any) -> int:
        self.room += len(self.taken.pop(address.value))
        return self._answer("cudaFree")

    def _set_device(self, card: ctypes.c_int) -> int:
        return self._answer("cudaSetDevice", str(card.value))

    def _copy(self, to: Any, given: Any, width: Any, way: Any) -> int:
        assert way.value == EITHER_WAY
        if not (code := self._answer("cudaMemcpy", str(width.value))):
            ctypes.memmove(to, given, width.value)
        return code

    def _copy_rows(self, to: Any, to_pitch: Any, given: Any, pitch: Any, width: Any, rows: Any, way: Any) -> int:
        assert way.value == EITHER_WAY
        assert min(to_pitch.value, pitch.value) >= width.value, "rows overlap"
        if not (code := self._answer("cudaMemcpy2D", str(width.value), str(rows.value))):
            for row in range(rows.value):
                ctypes.memmove(to.value + row * to_pitch.value, given.value + row * pitch.value, width.value)
        return code

    def _set(self, to: Any, byte: Any, count: Any) -> int:
        if not (code := self._answer("cudaMemset", str(count.value))):
            ctypes.memset(to, byte.value, count.value)
        return code

    def _synchronize(self, stream: Any) -> int:
        return self._answer("cudaStreamSynchronize")

    def _answer(self, *call: str) -> int:
        self.calls.append(call)
        return self.failing[1] if call[0] == self.failing[0] else 0


class FakeCardMemory(CudaMemory):
    """Memory that only the runtime library gets at; new memory is full of what is not a number."""

    device = "cpu"  # where onnxruntime is to find it

    def __init__(self) -> None:
        self.library = FakeRuntimeLibrary()
        super().__init__(CARD, CudaRuntime(self.library, CARD.index))

    def free(self) -> int:
        return self.library.room


def cuda_session(bundle: Bundle) -> ort.InferenceSession:
    """The card's graph on the CPU, which has the same operators in 16 bits."""
    assert bundle.cuda_decoder is not None
    return open_session(bundle.cuda_decoder)


def runner_on_fake_card(bundle: Bundle) -> PassRunner:
    """The card's graph on the CPU, with everything that it keeps on a card that is not there."""
    return PassRunner(cuda_session(bundle), Head(bundle), GraphForm.CUDA, FakeCardMemory())


def runner_in_half(bundle: Bundle) -> PassRunner:
    """The card's graph on the CPU, in the machine's own memory."""
    return PassRunner(cuda_session(bundle), Head(bundle), GraphForm.CUDA)

"""Memory that a model's arrays live in: the machine's, where they are numpy's, or a graphics card's.

A `DeviceArray` is a view, as numpy's slices are: taking a part of it copies nothing, assigning to a part copies into
it, and only `on_host` copies back. It is never turned into a numpy array by accident.

onnxruntime runs on a stream of its own, which is idle between two passes. What is copied here is complete before the
call returns, so neither waits for the other; reading a part that a pass does not write is safe at any moment.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NoReturn, Protocol, TypeAlias, cast

import numpy as np
import psutil
from numpy.typing import DTypeLike

from canopy_desktop.arrays import AnyArray
from canopy_desktop.errors import CardMemoryError, ProviderError
from canopy_desktop.model.nvidia import GraphicsCard, Library, Loader, card_memory, missing_libraries

RUNTIME_LIBRARY = "cudart64_13.dll" if sys.platform == "win32" else "libcudart.so.13"

_EITHER_WAY = 4  # cudaMemcpyDefault: the runtime tells from the addresses which way to copy
_NO_MEMORY = 2  # cudaErrorMemoryAllocation
_WIDEST_PITCH = 2**31 - 1  # bytes between two rows of one copy, on every card

Index: TypeAlias = int | slice
Key: TypeAlias = Any  # an index, or a tuple of them with at most one Ellipsis, as numpy has it


class Memory(Protocol):
    """Where arrays live."""

    @property
    def device(self) -> str:
        """onnxruntime's name of it: "cpu" or "cuda"."""

    def free(self) -> int | None:
        """Bytes that nobody has taken; None where that cannot be found out."""

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Stored:
        """An array of whatever was there. Raises `MemoryError`, or `CardMemoryError`."""

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Stored:
        """An array of zeros. Raises `MemoryError`, or `CardMemoryError`."""


class HostMemory:
    """The machine's own, as numpy arrays."""

    device = "cpu"

    def free(self) -> int:
        """See `Memory`."""
        return int(psutil.virtual_memory().available)

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> AnyArray:
        """See `Memory`."""
        return np.empty(shape, dtype)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> AnyArray:
        """See `Memory`."""
        return np.zeros(shape, dtype)


HOST = HostMemory()


class Runtime(Protocol):
    """Gives a card's memory, and moves bytes between any two addresses, of the card or of the machine.

    What comes to the machine is there when the call returns; all else is, once `finish` has been called.
    """

    def take(self, count: int) -> int:
        """The address of so many bytes. Raises `CardMemoryError`."""

    def give_back(self, address: int) -> None:
        """Free what was taken; raises nothing."""

    def copy(self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int) -> None:
        """Copy `rows` of `width` bytes each; a pitch is the distance in bytes from one row to the next."""

    def clear(self, address: int, count: int) -> None:
        """Set bytes to zero."""

    def finish(self) -> None:
        """Wait until everything is done."""


class CudaRuntime:
    """The few functions of CUDA's runtime library that are needed. Thread-safe, as the library is.

    Memory does not come from onnxruntime: its allocator for arrays from outside is an arena that grows by doubling,
    gives nothing back, and after a request that was too large takes whatever the card has left.
    """

    def __init__(self, library: Library, card: int) -> None:
        """`card` is CUDA's number of it."""
        self._library = library
        self._card = ctypes.c_int(card)
        library.cudaGetErrorString.restype = ctypes.c_char_p

    @classmethod
    def open(cls, card: int, load: Loader = ctypes.CDLL) -> CudaRuntime:
        """Raises `ProviderError`."""
        missing_libraries()  # loads what is there, this library too
        try:
            return cls(load(RUNTIME_LIBRARY), card)
        except OSError as error:
            raise ProviderError("cuda", f"{RUNTIME_LIBRARY} cannot be loaded") from error

    def take(self, count: int) -> int:
        """See `Runtime`. Raises `CardMemoryError` or `ProviderError`."""
        address = ctypes.c_void_p()
        self._enter()
        self._check(self._library.cudaMalloc(ctypes.byref(address), ctypes.c_size_t(count)))
        return address.value or 0

    def give_back(self, address: int) -> None:
        """See `Runtime`."""
        self._library.cudaSetDevice(self._card)
        self._library.cudaFree(ctypes.c_void_p(address))

    def copy(self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int) -> None:
        """See `Runtime`. Raises `CardMemoryError` or `ProviderError`."""
        to, given = ctypes.c_void_p(target), ctypes.c_void_p(source)
        one_way = ctypes.c_int(_EITHER_WAY)
        self._enter()
        if rows == 1:
            self._check(self._library.cudaMemcpy(to, given, ctypes.c_size_t(width), one_way))
            return
        pitches = ctypes.c_size_t(target_pitch), ctypes.c_size_t(source_pitch)
        size = ctypes.c_size_t(width), ctypes.c_size_t(rows)
        self._check(self._library.cudaMemcpy2D(to, pitches[0], given, pitches[1], *size, one_way))

    def clear(self, address: int, count: int) -> None:
        """See `Runtime`. Raises `ProviderError`."""
        self._enter()
        self._check(self._library.cudaMemset(ctypes.c_void_p(address), ctypes.c_int(0), ctypes.c_size_t(count)))

    def finish(self) -> None:
        """See `Runtime`. Raises `ProviderError`."""
        self._enter()
        self._check(self._library.cudaStreamSynchronize(ctypes.c_void_p()))

    def _enter(self) -> None:
        self._check(self._library.cudaSetDevice(self._card))  # each thread has a card of its own

    def _check(self, code: int) -> None:
        if code == _NO_MEMORY:
            raise CardMemoryError
        if code:
            said: bytes | None = self._library.cudaGetErrorString(ctypes.c_int(code))
            raise ProviderError("cuda", (said or b"unknown error").decode("ascii", "replace").rstrip("."))


class Allocation:
    """A card's memory for as long as somebody holds this."""

    def __init__(self, runtime: Runtime, count: int) -> None:
        """Takes so many bytes. Raises `CardMemoryError` or `ProviderError`."""
        self.address = runtime.take(count)
        self._give_back = runtime.give_back

    def __del__(self) -> None:
        if hasattr(self, "_give_back"):  # not where there was nothing to take
            self._give_back(self.address)


class CudaMemory:
    """A card's memory."""

    device = "cuda"

    def __init__(self, card: GraphicsCard, runtime: Runtime | None = None) -> None:
        """Raises `ProviderError` where CUDA's runtime library is missing."""
        self.card = card
        self.runtime = CudaRuntime.open(card.index) if runtime is None else runtime

    def free(self) -> int | None:
        """See `Memory`."""
        found = card_memory(self.card.uuid)
        return None if found is None else found.free

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> DeviceArray:
        """See `Memory`."""
        kind = np.dtype(dtype)
        whole = tuple(int(size) for size in shape)
        owner = Allocation(self.runtime, max(1, math.prod(whole)) * kind.itemsize)
        return DeviceArray(self, owner, owner.address, whole, kind, _packed(whole, kind.itemsize))

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> DeviceArray:
        """See `Memory`."""
        found = self.empty(shape, dtype)
        if found.nbytes:
            self.runtime.clear(found.address, found.nbytes)
            self.runtime.finish()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """An array on a card, or a part of one: its place, and how to get at it."""

    memory: CudaMemory
    owner: Allocation  # keeps the memory
    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]  # bytes

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Key) -> DeviceArray:
        """A part of it, by whole numbers and slices without steps."""
        address, shape, strides = self.address, [], []
        for size, stride, index in zip(self.shape, self.strides, _indices(key, len(self.shape)), strict=True):
            if isinstance(index, slice):
                first, last, step = index.indices(size)
                if step != 1:
                    raise IndexError(f"a part of an array on a card has no steps, not {step}")
                address += first * stride
                shape.append(max(0, last - first))
                strides.append(stride)
                continue
            if not -size <= index < size:
                raise IndexError(f"{index} is not one of {size}")
            address += (index % size) * stride
        return DeviceArray(self.memory, self.owner, address, tuple(shape), self.dtype, tuple(strides))

    def __setitem__(self, key: Key, values: Stored | float) -> None:
        """Copy `values`, which are stretched as numpy does if they are on the host, into a part of it.

        Those that are on a card must have the part's shape and type. Raises `ProviderError`.
        """
        part = self[key]
        if isinstance(values, DeviceArray):
            if (values.shape, values.dtype) != (part.shape, part.dtype):
                raise ValueError(f"{values.shape} {values.dtype} is not {part.shape} {part.dtype}")
            _copy(self.memory.runtime, part.layout, values.layout, part.shape, self.dtype.itemsize)
            self.memory.runtime.finish()
            return
        given = np.asarray(np.broadcast_to(np.asarray(values, self.dtype), part.shape), order="C")
        _copy(self.memory.runtime, part.layout, _layout(given), part.shape, self.dtype.itemsize)
        self.memory.runtime.finish()

    @property
    def layout(self) -> _Layout:
        """Its address, and the distances between neighbours."""
        return self.address, self.strides

    def reshape(self, *shape: int) -> DeviceArray:
        """The same elements in another shape, in which one size may be -1; only of one piece."""
        if self.strides != _packed(self.shape, self.dtype.itemsize):
            raise ValueError("a part of an array on a card is not of one piece")
        known = math.prod(size for size in shape if size != -1)
        whole = tuple(self.size // max(1, known) if size == -1 else size for size in shape)
        if math.prod(whole) != self.size:
            raise ValueError(f"{self.shape} cannot become {shape}")
        return DeviceArray(
            self.memory, self.owner, self.address, whole, self.dtype, _packed(whole, self.dtype.itemsize)
        )

    def copy(self) -> DeviceArray:
        """The same in memory of its own."""
        found = self.memory.empty(self.shape, self.dtype)
        found[...] = self
        return found

    def on_host(self) -> AnyArray:
        """A copy as a numpy array. Raises `ProviderError`."""
        found = np.empty(self.shape, self.dtype)
        _copy(self.memory.runtime, _layout(found), self.layout, self.shape, self.dtype.itemsize)
        return found

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("an array on a card is copied with `on_host`, never by accident")


Stored: TypeAlias = AnyArray | DeviceArray
_Layout: TypeAlias = tuple[int, tuple[int, ...]]


def on_host(array: Stored) -> AnyArray:
    """A numpy array as it is, or a copy of what is on a card."""
    return array.on_host() if isinstance(array, DeviceArray) else array


def place_of(array: Stored) -> tuple[str, int, int]:
    """Where an array of one piece lies: onnxruntime's device and its number, and the address."""
    if isinstance(array, DeviceArray):
        return array.memory.device, array.memory.card.index, array.address
    return "cpu", 0, array.ctypes.data


def _layout(array: AnyArray) -> _Layout:
    return array.ctypes.data, array.strides


def _packed(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """The strides of an array of one piece."""
    return tuple(itemsize * math.prod(shape[place + 1 :]) for place in range(len(shape)))


def _indices(key: Key, dimensions: int) -> list[Index]:
    """One index for each dimension."""
    given = list(key) if isinstance(key, tuple) else [key]
    at = next((place for place, index in enumerate(given) if index is Ellipsis), len(given))
    given = given if at < len(given) else [*given, Ellipsis]
    whole = [slice(None)] * (dimensions - len(given) + 1)
    found = [*given[:at], *whole, *given[at + 1 :]]
    if len(found) != dimensions or not all(isinstance(index, int | np.integer | slice) for index in found):
        raise IndexError(f"{key!r} is not a part of an array of {dimensions} dimensions on a card")
    return cast("list[Index]", found)


def _copy(runtime: Runtime, target: _Layout, source: _Layout, shape: Sequence[int], itemsize: int) -> None:
    """Copy between two layouts of one shape, in as few calls as rows of equal distance allow."""
    if not math.prod(shape):
        return
    (to, to_strides), (given, given_strides) = target, source
    width = itemsize
    outer = [axis for axis in zip(shape, to_strides, given_strides, strict=True) if axis[0] > 1]
    while outer and outer[-1][1] == outer[-1][2] == width:
        width *= outer.pop()[0]
    rows, to_pitch, given_pitch = _taken_at_once(outer)
    for places in product(*(range(axis[0]) for axis in outer)):
        steps = list(zip(places, outer, strict=True))
        runtime.copy(
            to + sum(place * axis[1] for place, axis in steps), to_pitch,
            given + sum(place * axis[2] for place, axis in steps), given_pitch,
            width, rows,
        )  # fmt: skip


def _taken_at_once(axes: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Take the longest of the axes, (size, stride, stride), that one call can walk along; (1, 0, 0) for none."""
    near = [axis for axis in axes if max(axis[1:]) <= _WIDEST_PITCH]
    if not near:
        return 1, 0, 0
    best = max(near)
    axes.remove(best)
    return best

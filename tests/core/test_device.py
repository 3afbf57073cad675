"""Arrays on a card: parts of them are numpy's parts, and nothing is copied unasked. The card is made up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canopy_desktop.errors import CardMemoryError, ProviderError
from canopy_desktop.model import device
from canopy_desktop.model.device import HOST, CudaMemory, CudaRuntime, DeviceArray, on_host, place_of
from tests.core.fake_card import FakeCardMemory, FakeRuntimeLibrary

KINDS = (np.float16, np.float32, np.int32, np.int64)


@pytest.fixture
def memory() -> FakeCardMemory:
    return FakeCardMemory()


def on_card(memory: CudaMemory, values: np.ndarray) -> DeviceArray:
    found = memory.empty(values.shape, values.dtype)
    found[...] = values
    return found


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=4)))
    return np.arange(np.prod(shape)).astype(draw(st.sampled_from(KINDS))).reshape(shape)


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A basic index: whole numbers, slices, and perhaps an Ellipsis in the place of some."""
    found: list[Any] = []
    for size in shape:
        edge = st.one_of(st.none(), st.integers(-size - 1, size + 1))
        whole = st.integers(-size, size - 1) if size else st.nothing()
        found.append(draw(st.one_of(st.builds(slice, edge, edge), whole)))
    if draw(st.booleans()):
        first = draw(st.integers(0, len(found)))
        found[first : draw(st.integers(first, len(found)))] = [Ellipsis]
    return tuple(found)


@given(arrays(), st.data())
def test_a_part_reads_as_numpys(values: np.ndarray, data: st.DataObject) -> None:
    mine, part = on_card(FakeCardMemory(), values), values
    for _ in range(2):  # a part, and a part of that
        key = data.draw(keys(part.shape))
        mine, part = mine[key], part[(*key, Ellipsis)] if Ellipsis not in key else part[key]
        assert (mine.shape, mine.nbytes, mine.size) == (part.shape, part.nbytes, part.size)
        assert np.array_equal(mine.on_host(), part)
        assert mine.on_host().dtype == part.dtype


@given(arrays(), st.data())
def test_writing_a_part_changes_that_part_alone(values: np.ndarray, data: st.DataObject) -> None:
    memory = FakeCardMemory()
    mine, expected = on_card(memory, values), values.copy()
    key = data.draw(keys(values.shape))
    key = key if Ellipsis in key else (*key, Ellipsis)
    given_ = (np.arange(expected[key].size) + 100).reshape(expected[key].shape).astype(values.dtype)
    source = data.draw(st.sampled_from(["host", "card", "one number"]))
    mine[key] = {"host": given_, "card": on_card(memory, given_), "one number": 7}[source]
    expected[key] = 7 if source == "one number" else given_
    assert np.array_equal(mine.on_host(), expected)


@given(arrays(), st.data())
def test_parts_are_copied_from_card_to_card(values: np.ndarray, data: st.DataObject) -> None:
    memory = FakeCardMemory()
    key = data.draw(keys(values.shape))
    part = on_card(memory, values)[key]
    assert np.array_equal(part.copy().on_host(), part.on_host())


def test_rows_of_equal_distance_take_one_call(memory: FakeCardMemory) -> None:
    column = memory.zeros((30, 64, 576), np.float16)
    made = memory.zeros((30, 1, 960), np.float16)
    memory.library.calls.clear()
    column[:, 5:6] = made[..., :576]
    assert [call for call in memory.library.calls if "Memcpy" in call[0]] == [("cudaMemcpy2D", "1152", "30")]


def test_a_copy_between_arrays_is_complete_when_it_returns(memory: FakeCardMemory) -> None:
    for values in (memory.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)):
        target = memory.zeros((4, 4), np.float32)
        target[...] = values
        assert memory.library.calls[-1] == ("cudaStreamSynchronize",)


def test_every_call_names_its_card_since_a_thread_begins_with_the_first() -> None:
    memory = FakeCardMemory()
    library = memory.library
    CudaRuntime(library, 3).finish()
    assert library.calls == [("cudaSetDevice", "3"), ("cudaStreamSynchronize",)]


def test_rows_too_far_apart_for_one_call_are_copied_one_by_one(memory: FakeCardMemory, monkeypatch) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    mine = on_card(memory, values)
    monkeypatch.setattr(device, "_WIDEST_PITCH", 40)
    memory.library.calls.clear()
    assert np.array_equal(mine[:, :, 1:3].on_host(), values[:, :, 1:3])
    assert memory.library.copied == 2


def test_taking_a_part_copies_nothing(memory: FakeCardMemory) -> None:
    array = memory.zeros((4, 6), np.float32)
    memory.library.calls.clear()
    assert array[1:, 2:4][..., 1].shape == (3,)
    assert array.reshape(2, 12).shape == (2, 12)
    assert memory.library.calls == []


@pytest.mark.parametrize(
    "turn", [np.asarray, np.sum, lambda array: np.ones(3) + array, lambda array: np.stack([array, array])]
)
def test_an_array_on_a_card_is_never_copied_by_accident(memory: FakeCardMemory, turn: Any) -> None:
    with pytest.raises(TypeError):
        turn(memory.zeros((3,), np.float32))


@pytest.mark.parametrize("key", [(slice(None, None, 2),), ([0, 1],), (np.array([0]),), (5,), (-6,), (0, 0, 0), ("a",)])
def test_what_is_not_a_plain_part_is_refused(memory: FakeCardMemory, key: Any) -> None:
    with pytest.raises(IndexError):
        memory.zeros((5, 2), np.float32)[key]


def test_a_card_converts_and_stretches_nothing(memory: FakeCardMemory) -> None:
    target = memory.zeros((2, 3), np.float16)
    for other in (memory.zeros((2, 3), np.float32), memory.zeros((1, 3), np.float16)):
        with pytest.raises(ValueError, match="is not"):
            target[...] = other
    target[...] = np.arange(3, dtype=np.float32)
    assert target.on_host().tolist() == [[0, 1, 2], [0, 1, 2]]


def test_another_shape_is_of_the_same_elements_in_one_piece(memory: FakeCardMemory) -> None:
    array = on_card(memory, np.arange(24, dtype=np.int32).reshape(2, 3, 4))
    assert np.array_equal(array.reshape(6, -1).on_host(), np.arange(24).reshape(6, 4))
    assert array[1].reshape(2, 6).on_host().tolist() == np.arange(12, 24).reshape(2, 6).tolist()
    with pytest.raises(ValueError, match="cannot become"):
        array.reshape(5, 5)
    with pytest.raises(ValueError, match="one piece"):
        array[:, 1].reshape(8)


def test_a_part_keeps_the_memory_of_the_whole(memory: FakeCardMemory) -> None:
    part = on_card(memory, np.arange(100, dtype=np.int64))[90:]
    for _ in range(20):
        memory.zeros((100,), np.int64)
    assert part.on_host().tolist() == list(range(90, 100))


def test_zeros_are_zeros_though_new_memory_is_not(memory: FakeCardMemory) -> None:
    assert np.isnan(memory.empty((3,), np.float16).on_host()).all()
    assert memory.zeros((2, 3), np.float16).on_host().tolist() == [[0] * 3] * 2
    assert memory.zeros((0, 3), np.float16).on_host().shape == (0, 3)


def test_the_host_is_left_as_it_is() -> None:
    array = HOST.zeros((2,), np.float32)
    assert on_host(array) is array
    assert place_of(array) == ("cpu", 0, array.ctypes.data)


@pytest.mark.parametrize("function", ["cudaSetDevice", "cudaMemcpy", "cudaStreamSynchronize"])
def test_an_error_of_the_runtime_is_told_with_its_words(memory: FakeCardMemory, function: str) -> None:
    array = memory.zeros((3,), np.float32)
    memory.library.failing = (function, 719)
    with pytest.raises(ProviderError, match="cuda provider failed: something is wrong"):
        array[...] = 1


@pytest.mark.parametrize("function", ["cudaSetDevice", "cudaMalloc", "cudaMemset"])
def test_a_full_card_is_told_as_such(memory: FakeCardMemory, function: str) -> None:
    memory.library.failing = (function, 2)
    with pytest.raises(CardMemoryError):
        memory.zeros((3,), np.float32)


def test_memory_that_the_card_does_not_have_is_told_as_such(memory: FakeCardMemory) -> None:
    memory.library.room = 10
    with pytest.raises(CardMemoryError):
        memory.empty((3,), np.float32)


def test_memory_is_given_back_when_no_part_of_it_is_held_any_more(memory: FakeCardMemory) -> None:
    whole = memory.empty((10, 10), np.float32)
    part = whole[2, 3:]
    del whole
    assert len(memory.library.taken) == 1
    del part
    assert memory.library.taken == {}


def test_a_missing_runtime_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_libraries", lambda: ())

    def load(name: str) -> None:
        raise OSError(name)

    with pytest.raises(ProviderError, match=r"cudart.*cannot be loaded"):
        CudaRuntime.open(0, load)


def test_the_runtime_library_is_opened_by_the_name_that_is_loaded_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_libraries", lambda: ())
    opened: list[str] = []

    def load(name: str) -> FakeRuntimeLibrary:
        opened.append(name)
        return FakeRuntimeLibrary()

    CudaRuntime.open(0, load).finish()
    assert opened == [device.RUNTIME_LIBRARY]

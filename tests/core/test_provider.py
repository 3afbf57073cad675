"""What runs the model, and what is said about it. Machines with cards are made up, but for the tests marked `cuda`."""

import argparse
import ctypes
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from canopy_desktop.commands import doctor  # the function: the package shows it instead of the module
from canopy_desktop.errors import CardMemoryError, ProviderError
from canopy_desktop.model import nvidia
from canopy_desktop.model.nvidia import CardMemory, CudaFacts, GraphicsCard, Nvml, card_memory, cuda_facts
from canopy_desktop.model.provider import (
    CudaProblem,
    ProviderChoice,
    Refusal,
    choose_provider,
    cpu_instead,
    judge,
    open_session,
    provider_error,
)

GB = 10**9
FIRST, SECOND = UUID(int=1), UUID(int=2)
OLD = GraphicsCard(0, "Pebble 1080", (6, 1), FIRST, CardMemory(8 * GB, 8 * GB))
CARD = GraphicsCard(0, "Pebble 4070", (8, 9), FIRST, CardMemory(12 * GB, 2 * GB))
ROOMY = GraphicsCard(1, "Pebble 2060", (7, 5), SECOND, CardMemory(6 * GB, 5 * GB))
UNKNOWN = GraphicsCard(2, "Pebble One", (12, 1), SECOND, None)
READY = {
    "built_in": True,
    "has_driver": True,
    "driver": "580.65.06",
    "cards": (CARD,),
    "missing_libraries": (),
}


def machine(**changes: Any) -> CudaFacts:
    return CudaFacts(**(READY | changes))


# which card, or why none


@pytest.mark.parametrize(
    ("changes", "problem", "detail"),
    [
        ({"built_in": False, "has_driver": False}, CudaProblem.NOT_BUILT_IN, ""),
        ({"has_driver": False, "driver": None, "cards": ()}, CudaProblem.NO_DRIVER, ""),
        ({"driver": "579.99"}, CudaProblem.OLD_DRIVER, "579.99"),
        ({"driver": "470.256.02", "cards": ()}, CudaProblem.OLD_DRIVER, "470.256.02"),
        ({"cards": ()}, CudaProblem.NO_CARD, ""),
        ({"cards": (OLD,)}, CudaProblem.OLD_CARD, "Pebble 1080: 6.1"),
        ({"missing_libraries": ("libcublas.so.13",)}, CudaProblem.MISSING_LIBRARY, "libcublas.so.13"),
        ({"cards": (OLD, CARD)}, CudaProblem.LITTLE_MEMORY, "Pebble 4070: 2,000 of 3,000 MB needed"),
    ],
)
def test_what_is_in_the_way_is_named(changes: dict[str, Any], problem: CudaProblem, detail: str) -> None:
    assert judge(machine(**changes), 3 * GB) == Refusal(problem, detail)


@pytest.mark.parametrize(
    ("cards", "chosen"), [((CARD,), CARD), ((OLD, CARD), CARD), ((CARD, ROOMY), CARD), ((ROOMY, CARD), ROOMY)]
)
def test_the_first_card_that_can_run_the_model_is_taken(cards: tuple[GraphicsCard, ...], chosen: GraphicsCard) -> None:
    assert judge(machine(cards=cards), 2 * GB) == chosen


def test_a_full_card_gives_way_to_the_next() -> None:
    assert judge(machine(cards=(CARD, ROOMY)), 4 * GB) == ROOMY


@pytest.mark.parametrize("changes", [{"driver": None}, {"driver": "unknown"}, {"missing_libraries": None}])
def test_what_could_not_be_found_out_is_not_in_the_way(changes: dict[str, Any]) -> None:
    assert judge(machine(**changes), GB) == CARD
    assert judge(machine(cards=(UNKNOWN,), **changes), 100 * GB) == UNKNOWN


# the report


@pytest.mark.parametrize("problem", CudaProblem)
def test_each_problem_is_one_sentence_with_the_detail_and_a_remedy(problem: CudaProblem) -> None:
    sentence = Refusal(problem, "its detail").sentence
    trouble, remedy = sentence.split(", so the CPU is used: ")
    assert re.fullmatch(r"[A-Z].*[^.]\.", sentence)
    assert len(remedy) > len("do it")
    without = {
        CudaProblem.NOT_BUILT_IN,
        CudaProblem.NO_DRIVER,
        CudaProblem.NO_CARD,
        CudaProblem.NO_FORM,
        CudaProblem.OWN_GRAPH,
    }
    assert ("its detail" in trouble) is (problem not in without)
    assert [other for other in CudaProblem if Refusal(other, "its detail").sentence == sentence] == [problem]


@pytest.mark.parametrize("choice", [ProviderChoice.AUTO, ProviderChoice.CUDA])
def test_a_machine_that_can_runs_the_model_on_its_card(choice: ProviderChoice) -> None:
    report = choose_provider(choice, has_cuda_form=True, needed_bytes=GB, gather=lambda **_: machine())
    assert (report.name, report.card, report.refusal) == ("cuda", CARD, None)
    assert "Pebble 4070" in report.reason


def test_a_model_without_a_form_for_the_card_is_to_be_built_again() -> None:
    report = choose_provider(ProviderChoice.AUTO, gather=lambda **_: machine())
    assert (report.name, report.card, report.refusal) == ("cpu", None, Refusal(CudaProblem.NO_FORM))
    assert "models build" in report.reason


def test_a_machine_without_a_driver_hears_of_the_driver_and_not_of_the_model() -> None:
    report = choose_provider(ProviderChoice.AUTO, gather=lambda **_: machine(has_driver=False, driver=None, cards=()))
    assert report.refusal == Refusal(CudaProblem.NO_DRIVER)


@pytest.mark.parametrize("has_form", [True, False])
def test_libraries_are_loaded_only_for_a_model_that_can_use_them(has_form: bool) -> None:
    asked = []

    def gather(**how: bool) -> CudaFacts:
        asked.append(how)
        return machine()

    choose_provider(ProviderChoice.AUTO, has_cuda_form=has_form, gather=gather)
    assert asked == [{"load_libraries": has_form}]


def test_nothing_is_asked_of_the_machine_when_the_cpu_is_wanted() -> None:
    def gather(**_: bool) -> CudaFacts:
        raise AssertionError("asked")

    report = choose_provider(ProviderChoice.CPU, has_cuda_form=True, gather=gather)
    assert (report.name, report.reason) == ("cpu", "The CPU was asked for.")


def test_asking_for_cuda_where_it_cannot_run_is_said_and_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    refusal = Refusal(CudaProblem.OLD_DRIVER, "570.1")
    with caplog.at_level(logging.WARNING):
        for choice in (ProviderChoice.AUTO, ProviderChoice.CUDA):
            report = choose_provider(choice, has_cuda_form=True, gather=lambda **_: machine(driver="570.1"))
            assert (report.name, report.reason, report.refusal) == ("cpu", refusal.sentence, refusal)
    assert [record.message for record in caplog.records] == [f"CUDA was asked for. {refusal.sentence}"]


def test_a_session_that_fails_after_all_is_said_with_its_error(caplog: pytest.LogCaptureFixture) -> None:
    report = cpu_instead(ProviderChoice.CUDA, Refusal(CudaProblem.FAILED, "CUDA failure 35"))
    assert "CUDA failure 35" in report.reason
    assert report.reason in caplog.text


@pytest.mark.parametrize("choice", ProviderChoice)
def test_this_very_machine_gets_a_provider_with_its_reason(choice: ProviderChoice) -> None:
    report = choose_provider(choice)
    assert report.name == "cpu"
    assert report.reason.endswith(".")
    assert "CPU" in report.reason


# errors


@pytest.mark.parametrize(
    "text",
    [
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=x",
        "bfc_arena.cc:359 Failed to allocate memory for requested buffer of size 1073741824",
        "Available memory of 5 is smaller than requested bytes of 7",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    ],
)
def test_a_full_card_is_told_from_other_failures(text: str) -> None:
    assert isinstance(provider_error("cuda", RuntimeError(text)), CardMemoryError)
    other = provider_error("cuda", RuntimeError("CUDA failure 700: illegal address\nmore"))
    assert isinstance(other, ProviderError)
    assert (other.provider, other.reason) == ("cuda", "CUDA failure 700: illegal address")
    assert isinstance(provider_error("cpu", RuntimeError(text)), ProviderError)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A graph of one MatMul in fp16, which both providers can run: (1, 2) by (2, 2)."""
    return graph(tmp_path, "MatMul", np.array([[1, 2], [3, 4]], np.float16), TensorProto.FLOAT16)


def graph(folder: Path, operator: str, weights: "np.ndarray[Any, Any]", form: int) -> Path:
    made = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", form, [1, 2])],
        [helper.make_tensor_value_info("y", form, [1, 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = folder / f"{operator}.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def test_a_session_on_a_card_that_is_not_there_is_an_error_and_never_a_session_on_the_cpu(product: Path) -> None:
    with pytest.raises(ProviderError) as caught:
        open_session(product, card=GraphicsCard(99, "none", (9, 9), FIRST, None))
    assert caught.value.provider == "cuda"
    assert open_session(product).get_providers() == ["CPUExecutionProvider"]


# what the machine is asked


class FakeCuda:
    """The driver's library with two cards."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def cuInit(self, flags: Any) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device: Any, index: Any) -> int:  # noqa: N802
        device._obj.value = 40 + index.value
        return 0

    def cuDeviceGetName(self, name: Any, size: Any, device: Any) -> int:  # noqa: N802
        name.value = f"Pebble {device.value}".encode()
        return 0

    def cuDeviceGetUuid_v2(self, uuid: Any, device: Any) -> int:  # noqa: N802
        uuid._obj[15] = device.value
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: Any, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 8, 76: 9}[attribute.value]
        return 0


class FakeNvml:
    """NVML that knows card 40 whole, and card 41 as a part of one."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.status

    def nvmlSystemGetDriverVersion(self, text: Any, size: Any) -> int:  # noqa: N802
        text.value = b"580.65.06"
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, device: Any) -> int:  # noqa: N802
        known = {f"GPU-{UUID(int=40)}": 1, f"MIG-{UUID(int=41)}": 2}
        device._obj.value = known.get(uuid.decode(), 0)
        return 0 if device._obj.value else 6

    def nvmlDeviceGetMemoryInfo(self, device: Any, found: Any) -> int:  # noqa: N802
        found._obj.total, found._obj.free = 10 * device.value, 3 * device.value
        return 0


def loader(**libraries: Any) -> Any:
    def load(name: str) -> Any:
        for part, library in libraries.items():
            if part in name:
                return library
        raise OSError(f"{name}: cannot open shared object file")

    return load


@pytest.fixture
def _with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [nvidia.CUDA])
    monkeypatch.setattr(nvidia, "missing_libraries", lambda: ("libcurand.so.10",))


@pytest.mark.usefixtures("_with_cuda")
def test_the_facts_come_from_the_driver_and_nvml() -> None:
    facts = cuda_facts(load=loader(cuda=FakeCuda(), ml=FakeNvml()))
    whole = GraphicsCard(0, "Pebble 40", (8, 9), UUID(int=40), CardMemory(10, 3))
    part = GraphicsCard(1, "Pebble 41", (8, 9), UUID(int=41), CardMemory(20, 6))
    assert facts == machine(cards=(whole, part), missing_libraries=("libcurand.so.10",))
    assert part.memory is not None
    assert part.memory.used == 14
    assert cuda_facts(load_libraries=False, load=loader(cuda=FakeCuda())).missing_libraries is None


@pytest.mark.usefixtures("_with_cuda")
@pytest.mark.parametrize("nvml", [{}, {"ml": FakeNvml(status=999)}])
def test_without_nvml_the_version_and_the_memory_are_unknown_and_the_cards_are_not(nvml: dict[str, Any]) -> None:
    facts = cuda_facts(load=loader(cuda=FakeCuda(), **nvml))
    assert (facts.driver, [card.memory for card in facts.cards]) == (None, [None, None])


@pytest.mark.usefixtures("_with_cuda")
def test_a_driver_that_does_not_start_has_no_cards() -> None:
    facts = cuda_facts(load=loader(cuda=FakeCuda(status=999), ml=FakeNvml()))
    assert judge(facts, 0) == Refusal(CudaProblem.NO_CARD)
    assert facts.missing_libraries is None


@pytest.mark.usefixtures("_with_cuda")
def test_without_a_driver_nothing_else_is_asked() -> None:
    assert judge(cuda_facts(load=loader(ml=FakeNvml())), 0) == Refusal(CudaProblem.NO_DRIVER)


def test_an_onnxruntime_without_cuda_is_not_asked_about_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    facts = cuda_facts(load=loader(cuda=FakeCuda(), ml=FakeNvml()))
    assert judge(facts, 0) == Refusal(CudaProblem.NOT_BUILT_IN)
    assert not facts.has_driver


def test_what_preloading_prints_becomes_the_names_of_the_libraries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def preload(**_: bool) -> None:
        print("Failed to load /a/site-packages/nvidia/cu13/lib/libcublas.so.13: file too short")
        print("Failed to load libcublas.so.13: file too short")
        print("Failed to load cudart64_13.dll: Could not find module 'cudart64_13.dll' (or one of its dependencies).")
        print("Please follow the instructions to install CUDA.")

    monkeypatch.setattr(ort, "preload_dlls", preload)
    assert nvidia.missing_libraries.__wrapped__() == ("libcublas.so.13", "cudart64_13.dll")
    assert capsys.readouterr().out == ""


# what doctor tells


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (
            machine(),
            {
                "driver": "580.65.06",
                "cards": [{"index": 0, "name": "Pebble 4070", "capability": "8.9", "total_mb": 12e3, "free_mb": 2e3}],
                "missing_libraries": [],
                "problem": None,
                "advice": None,
            },
        ),
        (
            machine(cards=(UNKNOWN,), driver=None, missing_libraries=("libcurand.so.10",)),
            {
                "driver": None,
                "cards": [{"index": 2, "name": "Pebble One", "capability": "12.1", "total_mb": None, "free_mb": None}],
                "missing_libraries": ["libcurand.so.10"],
                "problem": "missing_library",
                "advice": Refusal(CudaProblem.MISSING_LIBRARY, "libcurand.so.10").sentence,
            },
        ),
    ],
)
def test_doctor_tells_driver_cards_memory_and_libraries_even_without_a_model(
    facts: CudaFacts, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[doctor.__module__], "cuda_facts", lambda: facts)
    found = doctor(argparse.Namespace(model="no-such-model", provider="auto"))
    assert found["cuda"] == {"built_in": True, "has_driver": True} | told
    assert json.loads(json.dumps(found["cuda"], allow_nan=False)) == found["cuda"]
    assert found["failed"] == 1


# on a machine with a card


@pytest.fixture
def card() -> GraphicsCard:
    found = judge(cuda_facts(), GB)
    if isinstance(found, Refusal):
        pytest.skip(found.sentence)
    return found


@pytest.mark.cuda
def test_the_cards_are_those_that_nvidia_smi_lists() -> None:
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version,memory.total", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=True,
    )
    facts = cuda_facts()
    assert facts.cards
    rows = [line.split(", ") for line in listed.stdout.splitlines()]
    for card in facts.cards:
        assert card.memory is not None
        mib = round(card.memory.total / 2**20)
        assert [card.name, "{}.{}".format(*card.capability), facts.driver, str(mib)] in rows


@pytest.mark.cuda
def test_a_session_on_the_card_computes_there(card: GraphicsCard, product: Path) -> None:
    session = open_session(product, card=card)
    assert session.get_providers()[0] == "CUDAExecutionProvider"
    (found,) = session.run(None, {"x": np.array([[1, 10]], np.float16)})
    assert found.tolist() == [[31, 42]]


@pytest.mark.cuda
def test_a_graph_that_the_card_cannot_run_whole_is_refused(card: GraphicsCard, tmp_path: Path) -> None:
    path = graph(tmp_path, "BitwiseAnd", np.array([1, 2], np.int32), TensorProto.INT32)
    assert open_session(path).get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(ProviderError, match="every node"):
        open_session(path, card=card)


@pytest.mark.cuda
def test_memory_that_is_taken_on_the_card_is_seen(card: GraphicsCard, product: Path) -> None:
    open_session(product, card=card)  # the context is there, so only the array comes on top
    before = card_memory(card.uuid)
    taken = ort.OrtValue.ortvalue_from_shape_and_type([256, 2**20], np.float32, "cuda", card.index)
    after = card_memory(card.uuid)
    assert before is not None
    assert after is not None
    assert after.used - before.used >= taken.numpy().nbytes


@pytest.mark.cuda
def test_a_card_that_is_full_is_said(card: GraphicsCard, tmp_path: Path) -> None:
    huge = helper.make_graph(
        [helper.make_node("Expand", ["x", "size"], ["y"])],
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
        [numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "size")],  # 4 TiB
    )
    path = tmp_path / "huge.onnx"
    onnx.save(helper.make_model(huge, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    session = open_session(path, card=card)
    with pytest.raises(Exception, match=r"(?i)memory") as caught:
        session.run(None, {"x": np.ones(1, np.float32)})
    assert isinstance(provider_error("cuda", caught.value), CardMemoryError)


@pytest.mark.cuda
def test_nvml_answers_for_a_card_that_does_not_exist() -> None:
    nvml = Nvml.open(ctypes.CDLL)
    assert nvml is not None
    assert nvml.memory(UUID(int=7)) is None

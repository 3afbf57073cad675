"""What is packed, and that the wheel alone, with the locked packages that it names, can generate."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 300


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    for target in ("wheel", "sdist"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=WAIT_S,
        )
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def test_the_wheel_packs_two_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"canopy_desktop", "canopy_ui", "canopy_desktop-0.1.0.dist-info"}
    data = {name.removeprefix("canopy_desktop/_data/") for name in names if name.startswith("canopy_desktop/_data/")}
    recipes = {f"models/{path.name}" for path in (ROOT / "models").glob("*.toml")}
    assert "models/smollm2-135m-instruct.toml" in recipes
    assert {name for name in data if name.startswith("models/")} == recipes
    resources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "resources").rglob("*") if path.is_file()}
    assert {name for name in data if name.startswith("resources/")} == resources


def test_the_source_archive_builds_the_same_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert not (source / "models" / "built").exists()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path / "again"],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=WAIT_S,
    )
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(tmp_path / "again" / wheel.name) as other:
        assert {i.filename: i.CRC for i in one.infolist()} == {i.filename: i.CRC for i in other.infolist()}


def _runtime_lock(wheel: Path) -> str:
    """The lock's entries for what the wheel needs here, and for what that needs: no linters, no test tools."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        described = metadata.PathDistribution(zipfile.Path(archive, f"{name.rpartition('/')[0]}/"))
        waiting = [Requirement(text) for text in described.requires or []]
    found: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(text) for text in metadata.requires(name) or []]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = {entry[1]: entry[0] for entry in re.finditer(r"^(\S+?)==(?:.*\\\n)*.*\n", lock, re.MULTILINE)}
    return "".join(entries[name] for name in sorted(found))


def test_the_wheel_alone_generates_in_an_empty_environment(
    wheel: Path, built_model: Path, tmp_path: Path, own_environment: dict[str, str]
) -> None:
    lock = tmp_path / "runtime.lock"
    lock.write_text(_runtime_lock(wheel), encoding="utf-8")
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=False)
    python = empty / "bin" / "python"
    environment = {name: value for name, value in own_environment.items() if not name.startswith(("PYTHON", "CANOPY_"))}
    environment["HOME"] = environment.get("HOME", str(tmp_path))  # pip's cache makes this quick
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
    for arguments in (["--require-hashes", "--only-binary", ":all:", "-r", str(lock)], ["--no-deps", str(wheel)]):
        done = subprocess.run(
            [*install, *arguments], env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert done.returncode == 0, done.stderr

    options = ["--max-tokens", "3", "--json", "--model", built_model]
    traced = subprocess.run(
        [empty / "bin" / "canopy-desktop", "trace", "The capital of France is", *options],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert traced.returncode == 0, traced.stderr
    trace = json.loads(traced.stdout)
    assert len(trace["steps"]) == 3
    assert trace["text"].startswith(" Paris")

"""packaging/setup.sh, run for real on a small lock: how it fails, and that nothing half-made is left."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60
NO_SPACE = """
import errno, shutil
def copyfileobj(source, target, length=0):
    raise OSError(errno.ENOSPC, "No space left on device")
shutil.copyfileobj = copyfileobj
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with the script, a lock of one package, and an environment in which pip finds only that package."""

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return ["bash", str(self.folder / "packaging" / "setup.sh"), *arguments]

    def set_up(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"


@pytest.fixture
def checkout(tmp_path: Path, own_environment: dict[str, str]) -> Checkout:
    folder = tmp_path / "check out"
    (folder / "packaging").mkdir(parents=True)
    shutil.copy(ROOT / "packaging" / "setup.sh", folder / "packaging")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = _write_wheel(wheels, "pebble")
    _lock(folder, "requirements.lock", "pebble", hashlib.sha256(wheel.read_bytes()).hexdigest())
    library = _write_wheel(wheels, "nvidia_pebble")
    _lock(folder, "requirements-cuda.lock", "nvidia-pebble", hashlib.sha256(library.read_bytes()).hexdigest())
    environment = {name: value for name, value in own_environment.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment |= {
        "PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": wheels.as_uri(),
        "PIP_NO_CACHE_DIR": "1",
    }
    return Checkout(folder, environment)


def _write_wheel(folder: Path, name: str) -> Path:
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "WEIGHT = 1\n")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return wheel


def _lock(folder: Path, lock: str, package: str, digest: str) -> None:
    (folder / lock).write_text(f"{package}==1.0 --hash=sha256:{digest}\n", encoding="utf-8")


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def _only_sentence(result: subprocess.CompletedProcess[str]) -> str:
    """What a failed run says: one line on standard error, with status 1."""
    assert result.returncode == 1, result.stderr
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("setup: ")
    assert sentence.endswith(".")
    return sentence


def test_a_wrong_hash_is_named_and_leaves_no_environment(checkout: Checkout) -> None:
    _lock(checkout.folder, "requirements.lock", "pebble", "0" * 64)
    assert "wrong hash" in _only_sentence(checkout.set_up("environment"))
    assert not checkout.venv.exists()


def test_a_network_that_does_not_answer_is_named_and_leaves_no_environment(checkout: Checkout) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        unreachable = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": index, "PIP_FIND_LINKS": "", "PIP_RETRIES": "1"}
        assert "check the network" in _only_sentence(checkout.set_up("environment", **unreachable))
    assert not checkout.venv.exists()


def test_a_full_disk_is_named_and_leaves_no_environment(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "usercustomize").mkdir()
    (tmp_path / "usercustomize" / "sitecustomize.py").write_text(NO_SPACE, encoding="utf-8")
    result = checkout.set_up("environment", PYTHONPATH=str(tmp_path / "usercustomize"))
    assert "disk is full" in _only_sentence(result)
    assert not checkout.venv.exists()


def test_an_interrupted_run_leaves_no_environment(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        environment = {**checkout.environment, "PIP_NO_INDEX": "0", "PIP_INDEX_URL": index, "PIP_FIND_LINKS": ""}
        run = subprocess.Popen(
            checkout.command("environment"), env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        silent.settimeout(WAIT_S)
        connection, _ = silent.accept()  # pip waits for an answer now
        with connection:
            os.killpg(run.pid, signal.SIGINT)
            _, complaint = run.communicate(timeout=WAIT_S)
    assert run.returncode == 130
    assert "interrupted" in complaint
    assert not checkout.venv.exists()


def test_a_half_made_environment_is_made_anew_and_a_whole_one_left_alone(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    (checkout.venv / "left-by-a-killed-run").touch()
    assert checkout.set_up("environment").returncode == 0
    assert not (checkout.venv / "left-by-a-killed-run").exists()
    assert list(checkout.venv.glob("lib/python*/site-packages/pebble.py"))

    before = (checkout.venv / "pyvenv.cfg").stat().st_mtime_ns
    started = time.monotonic()
    again = checkout.set_up("environment")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert time.monotonic() - started < 2
    assert (checkout.venv / "pyvenv.cfg").stat().st_mtime_ns == before


def installed(checkout: Checkout) -> set[str]:
    return {path.stem for path in checkout.venv.glob("lib/python*/site-packages/*pebble.py")}


@pytest.fixture
def card_machine(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A checkout on Linux on x86-64, whatever this machine is."""
    _program(tmp_path / "bin", "uname", "echo Linux x86_64")
    checkout.environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{checkout.environment['PATH']}"
    return checkout


def test_the_libraries_for_a_card_come_beside_the_others_and_once(card_machine: Checkout) -> None:
    assert card_machine.set_up("environment").returncode == 0
    assert installed(card_machine) == {"pebble"}
    first = card_machine.set_up("environment", "cuda")
    assert (first.returncode, first.stderr) == (0, "")
    assert installed(card_machine) == {"pebble", "nvidia_pebble"}
    again = card_machine.set_up("environment", "cuda", "environment")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize(("value", "wanted"), [("1", True), ("0", False), ("", False)])
def test_only_cuda_1_asks_for_the_libraries_of_a_card(card_machine: Checkout, value: str, wanted: bool) -> None:
    said = card_machine.set_up(CUDA=value, PATH=with_all_system_packages(card_machine)).stdout
    assert "Installing the Python packages" in said
    assert ("NVIDIA's CUDA libraries" in said) is wanted


def with_all_system_packages(checkout: Checkout) -> str:
    """The PATH with a dpkg-query that knows every package as installed."""
    folder = checkout.folder.parent / "all"
    _program(folder, "dpkg-query", "echo 'installed '")
    return f"{folder}{os.pathsep}{checkout.environment['PATH']}"


def test_a_wrong_hash_of_a_library_is_named_and_leaves_the_environment(card_machine: Checkout) -> None:
    card_machine.set_up("environment")
    _lock(card_machine.folder, "requirements-cuda.lock", "nvidia-pebble", "0" * 64)
    sentence = _only_sentence(card_machine.set_up("cuda"))
    assert "requirements-cuda.lock" in sentence
    assert "wrong hash" in sentence
    assert installed(card_machine) == {"pebble"}


def test_a_machine_that_cannot_have_the_libraries_is_told_so(checkout: Checkout, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "uname", "echo Linux aarch64")
    checkout.set_up("environment")
    path = f"{tmp_path / 'bin'}{os.pathsep}{checkout.environment['PATH']}"
    sentence = _only_sentence(checkout.set_up("cuda", PATH=path))
    assert "Linux aarch64" in sentence
    assert "without CUDA=1" in sentence


def test_an_unfit_python_is_refused_before_anything_is_made(checkout: Checkout, tmp_path: Path) -> None:
    _program(tmp_path / "old", "python3", "exit 1")
    sentence = _only_sentence(checkout.set_up(PYTHON=str(tmp_path / "old" / "python3")))
    assert "Python 3.11" in sentence
    assert not checkout.venv.exists()


@pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="names Debian packages")
@pytest.mark.parametrize(("arguments", "test_tools"), [(["system"], False), (["--for-tests", "system"], True)])
def test_missing_packages_are_named_with_the_command_that_installs_them(
    checkout: Checkout, tmp_path: Path, arguments: list[str], test_tools: bool
) -> None:
    without = tmp_path / "no-ensurepip"
    without.mkdir()
    (without / "ensurepip.py").write_text("raise ImportError\n", encoding="utf-8")
    _program(tmp_path / "bin", "dpkg-query", "exit 1")
    _program(tmp_path / "bin", "apt-get", "exit 100")
    path = f"{tmp_path / 'bin'}{os.pathsep}{checkout.environment['PATH']}"
    sentence = _only_sentence(checkout.set_up(*arguments, PATH=path, PYTHONPATH=str(without)))
    assert "apt-get install --no-install-recommends python3-venv libegl1 " in sentence
    assert ("xvfb openbox xdotool" in sentence) is test_tools
    assert not checkout.venv.exists()

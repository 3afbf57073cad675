"""optimum's own environment: a Python with torch, transformers and optimum as they are pinned, made when a person asks.

The program needs none of them, and must not have them: optimum asks for an older transformers, and torch is a gigabyte.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from canopy_desktop import paths
from canopy_desktop.errors import ExportSetupError
from canopy_desktop.model import scripts
from canopy_desktop.model.child import run_child
from canopy_desktop.model.working import sweep, working_name

OPTIMUM_EXPORT = Path(scripts.__file__).with_name("optimum_export.py")
STAMP = ".canopy-export"
TORCH, OTHERS = "torch.txt", "requirements.lock"
DISK_BYTES = 2_000_000_000  # while it is made; what is fetched lies there too for a moment
LIMIT_S = 2 * 3600.0
AGAIN = "then try again"
_PIP = ("pip", "install", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--progress-bar", "off",
        "--no-deps", "--only-binary", ":all:")  # fmt: skip
_NO_NETWORK = re.compile(r"connection|timed out|retrying|could not fetch|SSLError|ProxyError|HTTP error", re.IGNORECASE)

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class ExportEnvironment:
    """Where the environment is, and whether it was not there before."""

    folder: Path
    is_new: bool


def export_python() -> Path | None:
    """The Python of the environment; None where none is there, or one of other versions."""
    folder = paths.export_environment()
    try:
        is_current = (folder / STAMP).read_text("ascii") == pinned()
    except (OSError, ValueError):
        return None
    python = _python_in(folder)
    return python if is_current and python.exists() else None


def make_environment(progress: Progress, *, base: Path | None = None) -> ExportEnvironment:
    """Make the environment unless it is there: fetches packages. Raises `ExportSetupError`.

    It is made in a folder beside its place, which is renamed at the end: killed at any moment, nothing of it is there.
    `base`: the Python that it is made of; None: this one.
    """
    target, log = paths.export_environment(), paths.export_log()
    if export_python() is not None:
        return ExportEnvironment(target, False)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        if shutil.disk_usage(target.parent).free < DISK_BYTES:
            raise _no_space(target.parent)
        name = working_name()
        with tempfile.TemporaryDirectory(prefix=name, dir=target.parent, ignore_cleanup_errors=True) as work:
            _Setup(Path(work), log, progress).run(base or Path(sys.executable))
            _put_in_place(Path(work), target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(target.parent) from error
        reason = f"{error.filename or target} cannot be used ({error.strerror})"
        raise ExportSetupError(reason, f"Mend that, or name another folder in CANOPY_EXPORT, {AGAIN}.") from error
    progress("done", 1.0)
    return ExportEnvironment(target, True)


class _Setup:
    """Makes the environment in a working folder."""

    def __init__(self, work: Path, log: Path, progress: Progress) -> None:
        self._made = work / "environment"
        self._temporary = work / "temporary"
        self._log = log
        self._progress = progress
        self._packages = (
            len(re.findall(r"^\S+==", (paths.export_locks() / OTHERS).read_text("ascii"), re.MULTILINE)) + 1
        )
        self._collected = 0

    def run(self, base: Path) -> None:
        """Raises `ExportSetupError` or `OSError`."""
        self._temporary.mkdir()
        self._progress("preparing", 0.0)
        self._step(base, ["venv", self._made])
        python, folder = _python_in(self._made), paths.export_locks()
        self._progress("fetching", 0.05)
        self._step(python, [*_PIP, "--requirement", folder / TORCH])
        self._step(python, [*_PIP, "--require-hashes", "--requirement", folder / OTHERS])
        self._progress("checking", 0.9)
        self._step(python, [OPTIMUM_EXPORT])
        (self._made / STAMP).write_text(pinned(), "ascii")

    def _step(self, python: Path, program: Sequence[Path | str]) -> None:
        environment = os.environ | {"TMPDIR": str(self._temporary)}
        ended = run_child(python, program, environment, self._log, self._on_line, limit_s=LIMIT_S)
        if ended.status or not ended.in_time:
            raise self._error(program[0])

    def _on_line(self, line: str) -> None:
        if line.startswith("Collecting "):
            self._collected += 1
        elif not line.startswith("Installing "):
            return
        doing = "fetching" if line.startswith("Collecting ") else "installing"
        self._progress(doing, 0.05 + 0.8 * min(1.0, self._collected / self._packages))

    def _error(self, program: Path | str) -> ExportSetupError:
        """Why a step did not succeed, from what it wrote."""
        said = self._log.read_text("utf-8", "replace")
        more = f"({self._log} says more)"
        if "No space left on device" in said:
            return _no_space(self._made.parent.parent)
        if program == "venv":
            return ExportSetupError(
                "Python's venv or pip is missing", f"Install it (Debian's package python3-venv), {AGAIN} {more}."
            )
        if "DO NOT MATCH THE HASHES" in said:
            return ExportSetupError(
                "a package that was fetched is not the one that is pinned", f"Check pip's settings, {AGAIN} {more}."
            )
        if _NO_NETWORK.search(said):
            return ExportSetupError(
                "its packages could not be fetched", f"Check the network and pip's settings, {AGAIN} {more}."
            )
        if found := re.search(r"No matching distribution found for (torch\S*)", said):
            return ExportSetupError(
                f"pip finds no {found[1]} for this system",
                f"Name PyTorch's own index of CPU builds in PIP_EXTRA_INDEX_URL, {AGAIN} {more}.",
            )
        return ExportSetupError("its packages could not be installed", f"Mend what {self._log} names, {AGAIN}.")


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def pinned() -> str:
    """The sum of all that says what the environment consists of."""
    folder = paths.export_locks()
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in (TORCH, OTHERS))).hexdigest()


def _no_space(folder: Path) -> ExportSetupError:
    free = shutil.disk_usage(folder).free
    return ExportSetupError(
        f"it takes {DISK_BYTES / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free there",
        f"Free some space, {AGAIN}.",
    )


def _put_in_place(work: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        target.rename(work / "old")
    (work / "environment").rename(target)

"""Another Python at work for this one: it ends with it, within its time, and what it says is kept in a log."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer

from canopy_desktop.model import scripts

TETHER = Path(scripts.__file__).with_name("tether.py")
MAX_LINE = 4_000  # bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: a negative status is the number of the signal that ended it."""

    status: int
    in_time: bool


def run_child(
    python: Path,
    program: Sequence[Path | str],
    environment: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None],
    *,
    limit_s: float,
) -> Ended:
    """Run `program` (a file or a module, and arguments) with `python` in isolated mode.

    `on_line` gets each line of its standard output; all that it says is appended to `log`. Whatever ends this
    function ends the child. Raises `OSError` where it cannot be started.
    """
    command = [python, "-I", TETHER, *program]
    with (
        log.open("ab") as said,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=dict(environment)
        ) as process,
    ):
        stdout, expired = process.stdout, Event()
        assert stdout is not None, "it is a pipe"
        timer = Timer(limit_s, _end, (process, expired))
        timer.daemon = True
        timer.start()
        try:
            for line in iter(lambda: stdout.readline(MAX_LINE), b""):
                said.write(line)
                on_line(line.decode("utf-8", "replace").strip())
            process.wait()
        finally:
            timer.cancel()
            process.kill()
    return Ended(process.returncode, not expired.is_set())


def _end(process: subprocess.Popen[bytes], expired: Event) -> None:
    expired.set()
    process.kill()

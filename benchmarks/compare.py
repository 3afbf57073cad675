"""Runs this program and its peers in turns on this machine, and writes a table, JSON and plots.

    benchmarks/run.sh [--quick] [--minutes N] [--output FOLDER]      or `make bench` and `make bench BENCH=--quick`

Each program is a process of its own that stays loaded and is asked, one after the other, for the same prompt. Exits
with 1 where what was kept is not what passes give; a goal that is missed is said in the table only.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.bandwidth import METHOD, read_bandwidth
from benchmarks.engine import STEPS, Measurement
from benchmarks.results import ATTENTIONS, DISCARDING, KEEPING, LLAMA, OPTIMUM, PLAIN, Program, Run

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = "models/built/smollm2-135m-instruct"
GGUF = "build/reference/SmolLM2-135M-Instruct.Q4_1.gguf"
HF, ONNX = "build/bench/hf", "build/bench/onnx"
OWN_PYTHON, PEERS_PYTHON = ".venv/bin/python", ".venv-bench/bin/python"

ROUNDS = {16: 7, 512: 5, 2048: 3, 4096: 2, 8000: 2}
QUICK_ROUNDS = {16: 2, 512: 2}
MINUTES = 12.0  # no further round begins after it
CHECKED_PROMPT = 512
SEED = 20261123
VOCABULARY = 49_152
FIRST_TEXT_ID = 100  # ids below are special


@dataclass(frozen=True, slots=True)
class Entry:
    """How a program is started, and the longest prompt that it is asked."""

    name: str
    command: tuple[str, ...]
    longest: int


ENTRIES = (
    Entry(KEEPING, (OWN_PYTHON, "-m", "benchmarks.engines.canopy", "--model", BUNDLE), 8000),
    Entry(DISCARDING, (OWN_PYTHON, "-m", "benchmarks.engines.canopy", "--model", BUNDLE, "--discard"), 8000),
    Entry(LLAMA, (PEERS_PYTHON, "-m", "benchmarks.engines.llama_cpp_python", "--model", GGUF), 8000),
    Entry(ATTENTIONS, (PEERS_PYTHON, "-m", "benchmarks.engines.hugging_face", "--model", HF, "--attentions"), 512),
    Entry(PLAIN, (PEERS_PYTHON, "-m", "benchmarks.engines.hugging_face", "--model", HF), 512),
    Entry(OPTIMUM, (PEERS_PYTHON, "-m", "benchmarks.engines.optimum_export", "--model", ONNX), 512),
)


class Worker:
    """A program in its process: one line of JSON in, one out."""

    def __init__(self, entry: Entry, process: subprocess.Popen[str]) -> None:
        self.entry = entry
        self._process = process
        self.program = Program(name=entry.name, **_renamed(self._answer()))

    def measure(self, ids: Sequence[int], length: int) -> None:
        """One turn."""
        found = self._ask({"what": "measure", "ids": list(ids[: length + STEPS]), "length": length})
        self.program.turns.append(Measurement(**found))

    def check(self, ids: Sequence[int], length: int) -> dict[str, Any]:
        """Prove what is kept of one more turn with all these tokens, and of a prompt of the first `length`."""
        return self._ask({"what": "check", "ids": list(ids), "length": length})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"make bench: {self.entry.name} ended; what it said stands above.")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def started(entry: Entry) -> Iterator[Worker]:
    """A loaded program; its process ends with the block."""
    command = [str(ROOT / entry.command[0]), *entry.command[1:]]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Worker(entry, process)
        finally:
            process.kill()


def turns(rounds: dict[int, int]) -> Iterator[tuple[int, int]]:
    """(round, length): every length once, short to long, then again, so that a drift of the machine meets all alike."""
    for number in range(max(rounds.values())):
        for length in sorted(rounds):
            if number < rounds[length]:
                yield number, length


def token_ids() -> list[int]:
    """The tokens that every program gets: random, the same every time."""
    found = np.random.default_rng(SEED).integers(FIRST_TEXT_ID, VOCABULARY, 8000 + STEPS)
    return [int(i) for i in found]


def compare(rounds: dict[int, int], minutes: float, command: str) -> Run:
    """Start everything, take turns, check, and gather."""
    began = time.perf_counter()
    load = psutil.getloadavg()[0]
    bandwidths = []
    ids = token_ids()
    with ExitStack() as stack:
        workers = []
        for entry in ENTRIES:
            _say(f"loading {entry.name}")
            workers.append(stack.enter_context(started(entry)))
        done: dict[int, int] = {}
        for number, length in turns(rounds):
            if number and time.perf_counter() - began > 60 * minutes:
                break
            _say(f"{length:,} tokens, round {number + 1}")
            bandwidths.append(read_bandwidth())
            asked = [worker for worker in workers if length <= worker.entry.longest]
            for worker in asked:
                worker.measure(ids, length)
            done[length] = number + 1
        _say("checking what was kept")
        kept = workers[0].check(ids[: max(done) + STEPS], CHECKED_PROMPT)
    return Run(
        date=date.today().isoformat(),
        command=command,
        machine=machine(),
        load_before=load,
        commit=commit(),
        seconds=time.perf_counter() - began,
        rounds=done,
        bandwidth=float(np.median(bandwidths)),
        bandwidth_method=f"{METHOD}; the median of {len(bandwidths)} turns, from {_gigabytes(min(bandwidths))} to "
        f"{_gigabytes(max(bandwidths))}",
        programs=tuple(worker.program for worker in workers),
        kept=kept,
        cut_short=done != rounds,
    )


def _gigabytes(bandwidth: float) -> str:
    return f"{bandwidth / 1e9:.1f}"


def machine() -> dict[str, str]:
    """What the figures depend on, and nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": f"{psutil.cpu_count(logical=False) or psutil.cpu_count()} cores ({psutil.cpu_count()} logical)",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}",
    }


def commit() -> str:
    """The commit's short name, with a word where files differ from it."""
    found = _output("git", "rev-parse", "--short", "HEAD")
    changed = _output("git", "status", "--porcelain", "--untracked-files=no")
    return (found or "unknown") + (" with changes" if changed else "")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="16 and 512 tokens only, in a minute; goes to build/bench")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin no further round after this many minutes")
    parser.add_argument("--output", type=Path, help="folder of the results (default benchmarks/results)")
    return parser.parse_args(arguments)


def main() -> None:
    """Run, and write the results."""
    arguments = parse(sys.argv[1:])
    folder = arguments.output or ROOT / ("build/bench" if arguments.quick else "benchmarks/results")
    folder.mkdir(parents=True, exist_ok=True)
    run = compare(
        QUICK_ROUNDS if arguments.quick else ROUNDS,
        arguments.minutes,
        f"benchmarks/run.sh{' --quick' if arguments.quick else ''}",
    )
    write(run, folder)


def write(run: Run, folder: Path) -> None:
    """Markdown, JSON and plots, named by the day."""
    from benchmarks.plots import draw
    from benchmarks.table import as_json, markdown

    stem = folder / run.date
    text = markdown(run)
    (folder / f"{run.date}.md").write_text(text, encoding="utf-8")
    (folder / f"{run.date}.json").write_text(as_json(run), encoding="utf-8")
    draw(run, stem)
    print(text)


def _renamed(loaded: dict[str, Any]) -> dict[str, Any]:
    return {("loaded_bytes" if key == "resident_bytes" else key): value for key, value in loaded.items()}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

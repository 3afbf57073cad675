"""What every program under comparison offers, and the one stopwatch that times them all."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

THREADS = 2
STEPS = 32  # tokens decoded after each prompt; the time per token is their median
WARM_UP = 16
SETTLE_S = 0.1  # so that the threads of the program before have stopped to spin


class Engine(Protocol):
    """One program with the model loaded. The same tokens go into each, and greedy choices come out."""

    weight_bytes: int  # read for every token
    kv_bytes: int  # read for every token, times the positions before it
    versions: dict[str, str]

    def prefill(self, ids: Sequence[int]) -> int:
        """Forget everything, pass a prompt through the model, and choose the likeliest next token."""

    def step(self, token_id: int) -> int:
        """Pass one more token through the model, and choose the likeliest next one."""

    def check(self, ids: Sequence[int], prompt: int) -> dict[str, Any]:
        """Prove that what should be kept is kept, from the last measured text and from a new one; raise if not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One program, one prompt, one turn."""

    length: int
    ttft_ms: float
    step_ms: tuple[float, ...]
    chosen: tuple[int, ...]  # likeliest tokens, after the prompt and after each step
    resident_bytes: int  # after the last step
    peak_bytes: int  # since the process began


def measure(engine: Engine, ids: Sequence[int], length: int) -> Measurement:
    """Time one prompt and `STEPS` tokens after it; the tokens are given, so that all programs do the same work."""
    engine.prefill(ids[:2])  # forgetting the text before is not timed
    time.sleep(SETTLE_S)
    began = time.perf_counter()
    chosen = [engine.prefill(ids[:length])]
    ttft_ms = _ms_since(began)
    step_ms = []
    for token_id in ids[length : length + STEPS]:
        began = time.perf_counter()
        chosen.append(engine.step(token_id))
        step_ms.append(_ms_since(began))
    return Measurement(
        length=length,
        ttft_ms=ttft_ms,
        step_ms=tuple(step_ms),
        chosen=tuple(chosen),
        resident_bytes=psutil.Process().memory_info().rss,
        peak_bytes=_peak_bytes(),
    )


def serve(load: Callable[[], Engine]) -> None:
    """Load, then answer one JSON request a line on standard input with one on standard output, until it closes.

    What libraries print goes to standard error.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    began = time.perf_counter()
    engine = load()
    load_ms = _ms_since(began)
    start_ms = 1000 * (time.time() - psutil.Process().create_time())
    engine.prefill(range(1000, 1000 + WARM_UP))
    engine.step(1000)
    loaded = {
        "load_ms": load_ms,
        "start_ms": start_ms,
        "resident_bytes": psutil.Process().memory_info().rss,
        "weight_bytes": engine.weight_bytes,
        "kv_bytes": engine.kv_bytes,
        "versions": engine.versions,
    }
    _answer(answers, loaded)
    for line in sys.stdin:
        request = json.loads(line)
        if request["what"] == "measure":
            _answer(answers, asdict(measure(engine, request["ids"], request["length"])))
        else:
            measure(engine, request["ids"], len(request["ids"]) - STEPS)
            _answer(answers, engine.check(request["ids"], request["length"]))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every program takes: where its model is."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", required=True)
    return parser


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the process that started this one had
        peaks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return 1024 * int(peaks[0])
    import resource  # not on Windows, where the comparison does not run but its tests do

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _answer(stream: Any, found: dict[str, Any]) -> None:
    stream.write(json.dumps(found) + "\n")
    stream.flush()


def _ms_since(began: float) -> float:
    return 1000 * (time.perf_counter() - began)

"""`bench`: times and memory of this machine, with everything kept, and proof that it was kept."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from canopy_desktop.commands.inside import feed_prompt
from canopy_desktop.commands.loading import open_bundle, open_session
from canopy_desktop.decoding.pipeline import choose, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import EngineError, UsageError
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.throughput import throughput

CONTEXTS = (16, 512, 2048)  # tokens, as far as the model's own context goes
STEPS = 24  # tokens decoded after each prompt; the time per token is their median
CHECKS = 20
MAX_REQUESTS = 64
SEED = 20261123
GREEDY = DecodingSettings()


def bench(arguments: argparse.Namespace, measure_window: Callable[[], dict[str, Any]] | None = None) -> dict[str, Any]:
    """Time to first token and per token at each context; then the check of what was kept, and at last the window."""
    if arguments.ui and measure_window is None:
        raise UsageError("--ui measures the window, which this command does not have: use 'canopy-desktop bench --ui'.")
    contexts = None if arguments.contexts is None else _whole_numbers("--contexts", arguments.contexts, "16,512,2048")
    counts = [] if arguments.concurrency is None else _whole_numbers("--concurrency", arguments.concurrency, "1,2,4,8")
    if counts and max(counts) > MAX_REQUESTS:
        raise UsageError(f"--concurrency can be up to {MAX_REQUESTS}, not {max(counts)}.")
    bundle = open_bundle(arguments)
    limit = bundle.card.architecture.context - STEPS - 1
    if contexts is None:
        contexts = [context for context in CONTEXTS if context <= limit] or [max(1, limit)]
    if max(contexts) > limit:
        raise UsageError(f"--contexts can be up to {limit} with this model, not {max(contexts)}.")
    began = time.perf_counter()
    session = open_session(bundle, arguments, max(contexts) + STEPS + 1, exact=False)
    load_ms = _ms_since(began)
    random = np.random.default_rng(SEED)
    vocabulary = bundle.card.architecture.vocabulary
    ids = tuple(int(i) for i in random.integers(min(100, vocabulary // 2), vocabulary, max(contexts)))
    feed_prompt(session, ids[: min(contexts)])
    measured = [_measure(session, ids[:context]) for context in contexts]
    kept = session.sequence.columns.bytes + len(session.sequence) * session.sequence.decoder.cache.bytes_per_token
    _check_kept(session, random)
    found = {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "contexts": measured,
        "memory_mb": peak_memory_bytes() / 1e6,
        "load_ms": load_ms,
        "kept_bytes": kept,
    }
    if counts:
        found["throughput"] = [
            {"requests": reading.requests, "tokens_per_s": reading.tokens_per_s}
            for reading in throughput(session, counts)
        ]
    if measure_window is not None:
        del session  # one model in memory at a time
        found["ui"] = measure_window()
    return found


def peak_memory_bytes() -> int:
    """The largest resident set that this program has had.

    On Linux not `ru_maxrss`: what a process had before it became this program, as its parent's copy, counts there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _whole_numbers(flag: str, text: str, example: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{flag} takes whole numbers with commas between, as {example}.") from error
    if min(numbers) < 1:
        raise UsageError(f"{flag} must be 1 or more.")
    return numbers


def _measure(session: ModelSession, ids: tuple[int, ...]) -> dict[str, Any]:
    began = time.perf_counter()
    logits = feed_prompt(session, ids)
    token = choose(pipeline(logits, GREEDY), GREEDY, len(ids)).token_id
    ttft_ms = _ms_since(began)
    times = []
    for step in range(STEPS):
        began = time.perf_counter()
        _, logits = session.sequence.feed([token])
        token = choose(pipeline(logits, GREEDY), GREEDY, len(ids) + step + 1).token_id
        times.append(_ms_since(began))
    return {"context": len(ids), "ttft_ms": ttft_ms, "tpot_ms": float(np.median(times))}


def _check_kept(session: ModelSession, random: np.random.Generator) -> None:
    """Decode once more from a shortened cache, and compare with attention and logits from what was kept before."""
    sequence, reader, a = session.sequence, session.new_reader(), session.card.architecture
    kept_slots = sequence.slots.copy()
    length = len(kept_slots)
    places = [
        (int(random.integers(a.layers)), int(random.integers(a.heads)), int(random.integers(length)))
        for _ in range(CHECKS if a.queries else 0)
    ]
    first = length - STEPS
    token_ids = [
        int(np.argmax(session.head.logits(sequence.columns.residuals(kept_slots[p - 1 : p], -1))[0]))
        for p in range(first, length)
    ]
    before = [reader.attention_row(kept_slots, layer, head, length - 1) for layer, head, _ in places]
    sequence.go_to(kept_slots[:first])
    for offset, token_id in enumerate(token_ids):
        _, logits = sequence.feed([token_id])
        position = first + offset
        kept = session.head.logits(sequence.columns.residuals(kept_slots[position : position + 1], -1))[0]
        if not np.array_equal(kept, logits):
            raise EngineError("Logits from what was kept differ from those of the pass; please report it.")
    for (layer, head, key), row in zip(places, before, strict=True):
        again = reader.attention_row(sequence.slots, layer, head, length - 1)
        if row is None or again is None or row[key] != again[key]:
            raise EngineError("Attention from what was kept differs from that of a second pass; please report it.")


def _ms_since(began: float) -> float:
    return 1000 * (time.perf_counter() - began)

"""Measures what it costs to go to another node of the tree, and prints one JSON object.

    .venv/bin/python benchmarks/going.py [--tokens 2000] [--rounds 15]

Two texts of so many tokens fork at some distance from their beginning. Times are of `TokenSequence.go_to`, which moves
keys and values and runs nothing: `first_ms` when a branch is left for the first time, into memory that is new (so is
the slowest `to_fork`, when both are left at once); then to and fro. At the end everything is compared with what was
first computed. Run it on a quiet machine.
"""

from __future__ import annotations

import canopy_desktop  # noqa: F401  (first: it keeps numpy to one thread)

# isort: split

import argparse
import json
import time

import numpy as np

from canopy_desktop.arrays import IntArray
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle, find_bundle
from canopy_desktop.model.decoder import chunks_of
from canopy_desktop.model.provider import ProviderChoice


def feed(sequence: TokenSequence, ids: list[int]) -> None:
    """Pass them in chunks."""
    done = 0
    for count in chunks_of(len(ids)):
        sequence.feed(ids[done : done + count])
        done += count


def going_ms(sequence: TokenSequence, slots: IntArray) -> float:
    """Go there once."""
    began = time.perf_counter()
    sequence.go_to(slots)
    return 1000 * (time.perf_counter() - began)


def measured(times: list[float]) -> dict[str, float]:
    """Median, fastest and slowest."""
    return {
        "median_ms": round(float(np.median(times)), 2),
        "min_ms": round(min(times), 2),
        "max_ms": round(max(times), 2),
    }


def fork(sequence: TokenSequence, tokens: int, at: int, rounds: int) -> dict[str, object]:
    """Two branches of `tokens` that share the first `at`: there, back, and to where they fork."""
    random = np.random.default_rng(at)
    sequence.forget()
    feed(sequence, random.integers(100, 40_000, tokens).tolist())
    one = sequence.slots.copy()
    first_ms = going_ms(sequence, one[:at])
    feed(sequence, random.integers(100, 40_000, tokens - at).tolist())
    other = sequence.slots.copy()
    before = [buffer[0, :, :tokens].copy() for buffer in sequence.decoder.cache.buffers]
    times: dict[str, list[float]] = {"to_first": [], "to_second": [], "to_fork": [], "from_fork": []}
    for _ in range(rounds):
        times["to_first"].append(going_ms(sequence, one))
        times["to_fork"].append(going_ms(sequence, one[:at]))
        times["from_fork"].append(going_ms(sequence, one))
        times["to_second"].append(going_ms(sequence, other))
    after = sequence.decoder.cache.buffers
    if not all(np.array_equal(old, new[0, :, :tokens]) for old, new in zip(before, after, strict=True)):
        raise SystemExit("The keys and values that came back are not those that left.")
    found: dict[str, object] = {name: measured(values) for name, values in times.items()}
    return {"fork": at, "first_ms": round(first_ms, 2), **found}


def main() -> None:
    """Measure at three distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    session = ModelSession.open(Bundle.open(find_bundle(arguments.model)), ProviderChoice.CPU)
    tokens = arguments.tokens
    forks = [fork(session.sequence, tokens, at, arguments.rounds) for at in (16, tokens // 2, tokens - 16)]
    print(json.dumps({"tokens": tokens, "rounds": arguments.rounds, "forks": forks}, indent=2))


if __name__ == "__main__":
    main()

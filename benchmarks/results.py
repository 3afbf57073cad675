"""What one run of the comparison found: records, ratios and the goals that they are held against. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.engine import Measurement

KEEPING, DISCARDING, LLAMA = "canopy", "canopy, nothing kept", "llama.cpp"
ATTENTIONS, PLAIN, OPTIMUM = "transformers, attentions kept", "transformers", "optimum on onnxruntime"


@dataclass(slots=True, kw_only=True)
class Program:
    """One program's load, and all its turns in order."""

    name: str
    load_ms: float  # importing not included
    start_ms: float  # from the start of the process to a loaded model
    loaded_bytes: int
    weight_bytes: int
    kv_bytes: int
    versions: dict[str, str]
    turns: list[Measurement] = field(default_factory=list)

    def at(self, length: int) -> list[Measurement]:
        """The turns with a prompt of this length, in the order of the rounds."""
        return [turn for turn in self.turns if turn.length == length]

    def lengths(self) -> list[int]:
        """Prompts measured, shortest first."""
        return sorted({turn.length for turn in self.turns})


def ttft(turn: Measurement) -> float:
    """Milliseconds to the first token."""
    return turn.ttft_ms


def tpot(turn: Measurement) -> float:
    """Milliseconds per token after it: the median."""
    return median(turn.step_ms)


def middle(program: Program, length: int, figure: Callable[[Measurement], float]) -> float | None:
    """The median of a figure over the rounds; None where this length was not measured."""
    turns = program.at(length)
    return median(figure(turn) for turn in turns) if turns else None


def ratio(one: Program, other: Program, length: int, figure: Callable[[Measurement], float]) -> float | None:
    """The median over the rounds of one program's figure ÷ the other's in the same round."""
    pairs = list(zip(one.at(length), other.at(length), strict=False))
    return median(figure(a) / figure(b) for a, b in pairs) if pairs else None


def floor_ms(program: Program, length: int, bandwidth: float) -> float:
    """Milliseconds that reading its weights and its cache once takes at least."""
    return 1000 * (program.weight_bytes + length * program.kv_bytes) / bandwidth


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One goal, and what was found; None where it was not measured."""

    measure: str
    against: str
    goal: float
    found: float | None
    unit: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the goal is reached."""
        return None if self.found is None else self.found <= self.goal


TPOT_GOALS = {16: 0.9, 512: 0.9, 2048: 0.95, 4096: 1.1}
TTFT_GOAL, TTFT_LENGTHS = 0.45, (512, 2048, 8000)
ATTENTIONS_GOAL, KEEPING_GOAL, BANDWIDTH_GOAL, SHORT = 0.15, 1.05, 1.6, 16
MEMORY_GOALS = {512: 450.0, 8000: 1500.0}  # MB


def outcomes(programs: Sequence[Program], bandwidth: float) -> list[Outcome]:
    """The goals of this program, each beside what this run found."""
    by_name = {program.name: program for program in programs}
    canopy, llama, discarding = by_name[KEEPING], by_name[LLAMA], by_name[DISCARDING]
    found = [
        Outcome(measure=f"TPOT at {n:,}", against=LLAMA, goal=goal, found=ratio(canopy, llama, n, tpot))
        for n, goal in TPOT_GOALS.items()
    ]
    found += [
        Outcome(measure=f"TTFT at {n:,}", against=LLAMA, goal=TTFT_GOAL, found=ratio(canopy, llama, n, ttft))
        for n in TTFT_LENGTHS
    ]
    attentions = ratio(canopy, by_name[ATTENTIONS], 512, tpot)
    found.append(Outcome(measure="TPOT at 512", against=ATTENTIONS, goal=ATTENTIONS_GOAL, found=attentions))
    for n in canopy.lengths():
        for name, figure in (("TPOT", tpot), ("TTFT", ttft)):
            kept = ratio(canopy, discarding, n, figure)
            found.append(Outcome(measure=f"{name} at {n:,}", against=DISCARDING, goal=KEEPING_GOAL, found=kept))
    short = middle(canopy, SHORT, tpot)
    floor = 1000 * canopy.weight_bytes / bandwidth
    found.append(
        Outcome(
            measure=f"TPOT at {SHORT}",
            against="8-bit weights ÷ bandwidth",
            goal=BANDWIDTH_GOAL,
            found=None if short is None else short / floor,
        )
    )
    for n, goal in MEMORY_GOALS.items():
        turns = canopy.at(n)
        resident = turns[0].resident_bytes / 1e6 if turns else None
        found.append(Outcome(measure=f"resident memory at {n:,}", against="–", goal=goal, found=resident, unit=" MB"))
    return found


def agreement(one: Program, other: Program, length: int) -> float | None:
    """The part of the likeliest tokens that two programs share."""
    if not one.at(length) or not other.at(length):
        return None
    a, b = one.at(length)[0].chosen, other.at(length)[0].chosen
    return sum(x == y for x, y in zip(a, b, strict=True)) / len(a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that goes into the table and the JSON."""

    date: str
    command: str
    machine: dict[str, str]
    load_before: float  # the system's load average of the last minute, before the run began
    commit: str
    seconds: float
    rounds: dict[int, int]
    bandwidth: float
    bandwidth_method: str
    programs: tuple[Program, ...]
    kept: dict[str, Any]
    cut_short: bool

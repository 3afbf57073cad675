"""The run as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.engine import STEPS, THREADS, Measurement
from benchmarks.results import KEEPING, PLAIN, Outcome, Program, Run, agreement, floor_ms, middle, outcomes, tpot, ttft

KL_TEST = "tests/core/test_parity.py"
MB = 1e6
QUIET_LOAD = 0.5


def markdown(run: Run) -> str:
    """The whole page."""
    lengths = sorted(run.rounds)
    by_name = {program.name: program for program in run.programs}
    parts = [
        f"# Side by side, {run.date}",
        _about(run),
        _warning(run.load_before),
        "## Goals",
        goal_table(outcomes(run.programs, run.bandwidth)),
        f"The mean KL of the 8-bit weights to fp32 (goal ≤ 0.006) is held by a test, `{KL_TEST}`.",
        _kept(run.kept),
        "## Time to first token (TTFT), ms",
        _figures(run.programs, lengths, ttft),
        "## Time per token after it (TPOT), ms",
        _figures(run.programs, lengths, tpot),
        "Reading weights and cache once, at the bandwidth measured, takes at least this many ms per token:",
        _table(
            ["program", *_heads(lengths)],
            [[p.name, *(f"{floor_ms(p, n, run.bandwidth):.1f}" for n in lengths)] for p in run.programs],
        ),
        "## Memory and load",
        "Resident MB after the last token of round 1, which goes from short to long; in brackets the peak so far.",
        _table(
            ["program", "load, s", "from start, s", "loaded", *_heads(lengths)],
            [_memory_row(program, lengths) for program in run.programs],
        ),
        "## The same work",
        "How many of the likeliest tokens, after the prompt and after each step, are those of transformers in fp32:",
        _table(
            ["program", *_heads(by_name[PLAIN].lengths())],
            [
                [p.name, *(_percent(agreement(p, by_name[PLAIN], n)) for n in by_name[PLAIN].lengths())]
                for p in run.programs
                if p.name != PLAIN
            ],
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def goal_table(found: Sequence[Outcome]) -> str:
    """Each goal with what was found, and whether it is reached."""
    return _table(
        ["measure, everything kept", "against", "goal", "found", ""],
        [[o.measure, o.against, f"≤ {_amount(o, o.goal)}", _amount(o, o.found), _verdict(o)] for o in found],
    )


def as_json(run: Run) -> str:
    """The same with every single time."""
    facts = asdict(run)
    facts["goals"] = [asdict(o) | {"passed": o.passed} for o in outcomes(run.programs, run.bandwidth)]
    for program in facts["programs"]:
        for turn in program["turns"]:
            turn["ttft_ms"] = round(turn["ttft_ms"], 3)
            turn["step_ms"] = [round(ms, 3) for ms in turn["step_ms"]]
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _about(run: Run) -> str:
    rounds = ", ".join(f"{count} × {length:,}" for length, count in sorted(run.rounds.items()))
    lines = [
        f"- Machine: {'; '.join(run.machine.values())}",
        f"- Commit {run.commit}; made by `{run.command}` in {run.seconds / 60:.1f} minutes"
        + (" (cut short: the time allowed was over)" if run.cut_short else ""),
        f"- {THREADS} threads each, the same tokens, in turns; rounds × prompt: {rounds}; {STEPS} tokens after each",
        f"- Read bandwidth {run.bandwidth / 1e9:.1f} GB/s: {run.bandwidth_method}",
    ]
    lines += [f"- {p.name}: {', '.join(f'{k} {v}' for k, v in p.versions.items())}" for p in run.programs]
    lines.append("- Figures are medians over the rounds; a ratio is the median of the ratios within each round.")
    return "\n".join(lines)


def _warning(load: float) -> str:
    if load <= QUIET_LOAD:
        return ""
    return f"**The machine was busy before the run began (load average {load:.1f}): these figures prove nothing.**"


def _kept(kept: dict[str, Any]) -> str:
    if not kept:
        return ""
    return (
        f"Kept means kept: after timing, the logits of the last {kept['steps']} steps and of {kept['prompt_logits']} "
        f"prompt positions, and {kept['attention_rows']} rows of attention, were computed from what {KEEPING} had kept "
        f"({kept['kept_bytes_per_token']:,} bytes a token), and are those of passes bit for bit."
    )


def _figures(programs: Iterable[Program], lengths: Sequence[int], figure: Callable[[Measurement], float]) -> str:
    rows = [[p.name, *(_number(middle(p, n, figure)) for n in lengths)] for p in programs]
    return _table(["program", *_heads(lengths)], rows)


def _memory_row(program: Program, lengths: Sequence[int]) -> list[str]:
    cells = [program.name, f"{program.load_ms / 1000:.2f}", f"{program.start_ms / 1000:.2f}"]
    cells.append(f"{program.loaded_bytes / MB:.0f}")
    for length in lengths:
        turns = program.at(length)
        cells.append(f"{turns[0].resident_bytes / MB:.0f} ({turns[0].peak_bytes / MB:.0f})" if turns else "–")
    return cells


def _heads(lengths: Sequence[int]) -> list[str]:
    return [f"{length:,}" for length in lengths]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.0f} %"


def _amount(outcome: Outcome, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}{outcome.unit}" if outcome.unit else f"{value:.2f}"


def _verdict(outcome: Outcome) -> str:
    return {None: "not measured", True: "reached", False: "**missed**"}[outcome.passed]

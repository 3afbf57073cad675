"""Plots of a run as PNG and SVG. The only module that needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.engine import Measurement
from benchmarks.results import KEEPING, Program, Run, floor_ms, middle, tpot, ttft

SIZE = (7.0, 4.2)  # inches
MARKS = "osD^v<"


def draw(run: Run, stem: Path) -> list[Path]:
    """TTFT, TPOT and memory against the length of the prompt; returns the files."""
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "canopy"
    lengths = sorted(run.rounds)
    made = []
    for name, label, figure in (
        ("ttft", "time to first token, ms", ttft),
        ("tpot", "time per token, ms", tpot),
        ("memory", "resident memory, MB", _resident),
    ):
        picture, axes = plt.subplots(figsize=SIZE, layout="constrained")
        for program, mark in zip(run.programs, MARKS, strict=False):
            _line(axes, program, mark, figure)
        if name == "tpot":
            canopy = next(p for p in run.programs if p.name == KEEPING)
            floors = [floor_ms(canopy, n, run.bandwidth) for n in lengths]
            axes.plot(lengths, floors, "k:", linewidth=1, label="canopy's bytes ÷ bandwidth")
        axes.set(xlabel="tokens of the prompt", ylabel=label, xscale="log", xticks=lengths)
        axes.set_yscale("log" if name == "ttft" else "linear")
        axes.set_xticks(lengths, [f"{n:,}" for n in lengths], minor=False)
        axes.minorticks_off()
        if name != "ttft":
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", frameon=False)
        for kind, metadata in (("png", None), ("svg", {"Date": None})):
            path = stem.with_name(f"{stem.name}-{name}.{kind}")
            picture.savefig(path, dpi=150, metadata=metadata)
            made.append(path)
        plt.close(picture)
    return made


def _line(axes: Axes, program: Program, mark: str, figure: Callable[[Measurement], float]) -> None:
    lengths = program.lengths()
    values = [middle(program, n, figure) for n in lengths]
    width = 2.4 if program.name == KEEPING else 1.2
    axes.plot(lengths, values, marker=mark, linewidth=width, label=program.name)


def _resident(turn: Measurement) -> float:
    return turn.resident_bytes / 1e6

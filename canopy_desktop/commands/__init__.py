"""The commands that need no window: each takes parsed arguments and returns one JSON object."""

from __future__ import annotations

from canopy_desktop.commands.beams import beams
from canopy_desktop.commands.cause import block, leave_out_tokens
from canopy_desktop.commands.compare import compare_runs
from canopy_desktop.commands.doctor import doctor
from canopy_desktop.commands.draws import draws
from canopy_desktop.commands.facts import facts
from canopy_desktop.commands.inside import attention, lens
from canopy_desktop.commands.measure import bench
from canopy_desktop.commands.models import models
from canopy_desktop.commands.pipeline import decide
from canopy_desktop.commands.race import race
from canopy_desktop.commands.score import score_text
from canopy_desktop.commands.step import inside
from canopy_desktop.commands.text import tokens
from canopy_desktop.commands.trace import trace

COMMANDS = {
    "tokens": tokens,
    "trace": trace,
    "attention": attention,
    "lens": lens,
    "block": block,
    "leave-out": leave_out_tokens,
    "inside": inside,
    "compare": compare_runs,
    "pipeline": decide,
    "race": race,
    "beams": beams,
    "draws": draws,
    "score": score_text,
    "facts": facts,
    "bench": bench,
    "doctor": doctor,
    "models": models,
}

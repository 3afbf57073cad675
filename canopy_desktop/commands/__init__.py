"""The commands that need no window: each takes parsed arguments and returns one JSON object."""

from __future__ import annotations

from canopy_desktop.commands.cause import block, leave_out_tokens
from canopy_desktop.commands.doctor import doctor
from canopy_desktop.commands.inside import attention, lens
from canopy_desktop.commands.measure import bench
from canopy_desktop.commands.models import models
from canopy_desktop.commands.race import race
from canopy_desktop.commands.step import inside
from canopy_desktop.commands.text import tokens, trace

COMMANDS = {
    "tokens": tokens,
    "trace": trace,
    "attention": attention,
    "lens": lens,
    "block": block,
    "leave-out": leave_out_tokens,
    "inside": inside,
    "race": race,
    "bench": bench,
    "doctor": doctor,
    "models": models,
}

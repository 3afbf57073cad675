"""`pipeline`: what settings make of given logits, stage by stage. Needs no model."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.commands.loading import read_json
from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.pipeline import KEPT, Distribution, History, choose, pipeline, top_ids
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError, UsageError

LARGEST_INPUT = 32_000_000  # bytes; 262,144 logits with all their digits take 6 million
KEYS = ("logits", "prompt", "generated", "end_ids", "settings")


def decide(arguments: argparse.Namespace) -> dict[str, Any]:
    """Logits, what stands before, and settings in; stages, probabilities and the token in this place out."""
    given = read_json("--input", Path(arguments.input), LARGEST_INPUT)
    if not isinstance(given, dict):
        raise UsageError(f"--input must be a JSON object with {', '.join(KEYS)}.")
    if unknown := given.keys() - set(KEYS):
        raise UsageError(f'"{min(unknown)}" is not known in --input; there are {", ".join(KEYS)}.')
    logits = _logits(given.get("logits"))
    prompt, generated, end_ids = (_ids(name, given.get(name, []), logits.size) for name in KEYS[1:4])
    settings = _settings(given.get("settings", {}), logits.size)
    found = pipeline(logits, settings, History(prompt, generated, end_ids))
    return _result(found, settings, len(prompt) + len(generated))


def _result(found: Distribution, settings: DecodingSettings, position: int) -> dict[str, Any]:
    choice = choose(found, settings, position)
    scores = np.where(found.removed_by == KEPT, found.stages[-1].scores, -np.inf)
    return {
        "stages": [
            {
                "name": stage.name.value,
                "removed": stage.removed,
                "kept": stage.kept,
                "active": stage.active,
                "changed": stage.changed,
            }
            for stage in found.stages
        ],
        "kept": found.kept,
        "probabilities": {
            str(token_id): float(found.probabilities[token_id]) for token_id in top_ids(scores, found.kept).tolist()
        },
        "draw": {
            "token_id": choice.token_id,
            "uniform": choice.uniform,
            "low": choice.low,
            "high": choice.high,
        },
    }


def _logits(value: object) -> DoubleArray:
    """(vocabulary,) logits, null as minus infinity."""
    if not isinstance(value, list) or not value:
        raise UsageError('"logits" must be a list of numbers or null, one for each token.')
    for token_id, logit in enumerate(value):
        if logit is not None and not _is_finite(logit):
            raise UsageError(f'"logits" must be numbers or null, and that of token {token_id} is neither.')
    logits = np.array([-math.inf if logit is None else logit for logit in value], np.float64)
    if np.isneginf(logits).all():
        raise UsageError('"logits" must have a number for at least one token.')
    return logits


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _ids(name: str, value: object, size: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(token_id) is int for token_id in value):
        raise UsageError(f'"{name}" must be a list of token ids.')
    for token_id in value:
        if not 0 <= token_id < size:
            raise UsageError(f'"{name}" names token {token_id}, and the ids of these logits go from 0 to {size - 1}.')
    return tuple(value)


def _settings(value: object, size: int) -> DecodingSettings:
    settings = settings_json.from_json(value)
    try:
        settings.check_vocabulary(size)
    except SettingsError as error:
        raise settings_json.keyed(error) from error
    return settings

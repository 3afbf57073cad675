"""`race`: the same text without the cache, with it bit for bit, and with it as usual."""

from __future__ import annotations

import argparse
from typing import Any

from canopy_desktop.commands.loading import in_range, open_bundle, open_session, prompt_ids, valid_text
from canopy_desktop.exploration.cache_size import CacheSize
from canopy_desktop.exploration.measurements import Lap, RaceFinished, RaceProgress, RaceStep
from canopy_desktop.exploration.race import Race
from canopy_desktop.model.tokenizer import Tokenizer

MAX_TOKENS = 32
RECOMPUTED = 8_000  # tokens that the runner without the cache passes again, about, unless --max-tokens says otherwise


def race(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every step of the three runners, their sums, and the size of the cache."""
    if arguments.max_tokens is not None:
        in_range("--max-tokens", arguments.max_tokens, 1, 1_000_000)
    text = valid_text(arguments.prompt)
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    ids = prompt_ids(bundle, tokenizer, text)
    wanted = arguments.max_tokens or default_tokens(len(ids))
    session = open_session(bundle, arguments, len(ids) + wanted)
    runners = Race(session)
    steps: list[RaceStep] = []
    reason = ""
    for event in runners.run(ids, wanted):
        match event:
            case RaceStep():
                steps.append(event)
            case RaceFinished():
                reason = event.reason.value
            case RaceProgress():
                pass
    written = [step.token_id for step in steps if step.token_id not in bundle.card.end_ids]
    return {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(ids),
        "steps": [_step(step, tokenizer) for step in steps],
        "text": tokenizer.decode(written),
        "stop_reason": reason,
        "sums": {
            "without_cache": _sum([step.without_cache for step in steps[1:]]),
            "refed": _sum([step.refed for step in steps[1:]]),
            "cached": _sum([step.cached for step in steps[1:]]),
        },
        "cache": _size(runners.cache_size()),
    }


def default_tokens(prompt_tokens: int) -> int:
    """How many steps end in reasonable time."""
    return max(1, min(MAX_TOKENS, RECOMPUTED // prompt_tokens))


def _step(step: RaceStep, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "position": step.position,
        "token_id": step.token_id,
        "text": tokenizer.token(step.token_id).text,
        "without_cache": _lap(step.without_cache),
        "refed": _lap(step.refed),
        "cached": _lap(step.cached),
    }


def _lap(lap: Lap) -> dict[str, Any]:
    return {"token_id": lap.token_id, "ms": lap.ms, "difference": lap.difference}


def _sum(laps: list[Lap]) -> dict[str, Any]:
    """Of the steps after the first, which is the same pass for all."""
    return {"ms": sum(lap.ms for lap in laps), "difference": max((lap.difference for lap in laps), default=0.0)}


def _size(size: CacheSize) -> dict[str, Any]:
    return {
        "positions": size.positions,
        "capacity": size.capacity,
        "predicted_bytes_per_position": size.predicted_per_position,
        "predicted_bytes": size.predicted,
        "used_bytes": size.used,
        "allocated_bytes": size.allocated,
        "layers": [
            {
                "layer": index,
                "key_bytes_per_position": layer.key_bytes,
                "value_bytes_per_position": layer.value_bytes,
                "used_bytes": layer.used,
                "allocated_bytes": layer.allocated,
            }
            for index, layer in enumerate(size.layers)
        ],
    }

"""`block` and `leave-out`: what tokens do for the next one."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from canopy_desktop.commands.loading import (
    in_range,
    one_token,
    open_bundle,
    open_session,
    positions_in,
    prompt_ids,
    valid_text,
)
from canopy_desktop.errors import NotGivenError, UsageError
from canopy_desktop.exploration.intervention import Block, Blocks, blocked_head, blocked_step, check_positions
from canopy_desktop.exploration.leave_out import LeftOut, check, leave_out
from canopy_desktop.exploration.trial import Trial
from canopy_desktop.model.given_pass import BLOCKING
from canopy_desktop.model.tokenizer import Tokenizer

LISTED = 1_000  # tokens at most whose change is listed
LEFT_OUT_TOKENS = 200  # beyond it one position must be named: each takes the time of half a prompt


def block(arguments: argparse.Namespace) -> dict[str, Any]:
    """The next token's distribution where some tokens may not look at others, beside the one where they may."""
    queries, keys = positions_in("--query", arguments.query), positions_in("--key", arguments.key)
    in_range("--top", arguments.top, 1, LISTED)
    bundle = open_bundle(arguments)
    a = bundle.card.architecture
    if a.is_given:
        raise NotGivenError(BLOCKING)
    blocks = (Block(queries, keys, arguments.layer, arguments.head),)
    bias = Blocks(blocks, a)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    ids = prompt_ids(bundle, tokenizer, valid_text(arguments.prompt))
    check_positions(blocks, len(ids))
    session = open_session(bundle, arguments, len(ids))
    trial = session.new_trial()
    found = blocked_step(trial, ids, blocks)
    result: dict[str, Any] = {
        "ids": list(ids),
        "queries": list(queries),
        "keys": list(keys),
        "layer": arguments.layer,
        "head": arguments.head,
        "divergence_bits": found.divergence_bits,
        "largest_logit_difference": found.largest_logit_difference,
        "noise_floor": {"divergence_bits": found.floor_bits, "largest_logit_difference": found.floor_logit},
    }
    for name, side in (("before", found.before), ("after", found.after)):
        result[name] = [_token(tokenizer, int(i), side.raw_logprob(int(i))) for i in side.top(arguments.top)]
    result["changes"] = [
        {
            "id": shift.token_id,
            "text": tokenizer.token(shift.token_id).text,
            "before": float(np.exp(shift.before)),
            "after": float(np.exp(shift.after)),
        }
        for shift in found.shifts(arguments.top)
    ]
    if arguments.layer is not None and arguments.head is not None:
        result["attention"] = _attention(trial, ids, bias, arguments.layer, arguments.head)
    return result


def _attention(trial: Trial, ids: tuple[int, ...], bias: Blocks, layer: int, head: int) -> list[dict[str, Any]]:
    """Where the blocked queries look in one head, without the block and with it."""
    queries = sorted({query for block in bias.blocks for query in block.queries})
    before, after = (blocked_head(trial, ids, side, layer, head, queries=queries) for side in (None, bias))
    return [
        {"query": query, "before": plain[: query + 1].tolist(), "after": blocked[: query + 1].tolist()}
        for query, plain, blocked in zip(queries, before, after, strict=True)
    ]


def leave_out_tokens(arguments: argparse.Namespace) -> dict[str, Any]:
    """For each token of a prompt, the chosen next token's log-probability without it, or with another there."""
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    replacement = (
        None if arguments.replace is None else one_token("--replace", tokenizer, valid_text(arguments.replace))
    )
    ids = prompt_ids(bundle, tokenizer, valid_text(arguments.prompt))
    positions = range(len(ids))
    if arguments.position is not None:
        in_range("--position", arguments.position, 0, len(ids) - 1)
        positions = range(arguments.position, arguments.position + 1)
    elif len(ids) > LEFT_OUT_TOKENS:
        raise UsageError(
            f"The prompt has {len(ids)} tokens; beyond {LEFT_OUT_TOKENS} name the one to leave out with --position."
        )
    check(ids, positions, replacement)
    session = open_session(bundle, arguments, len(ids))
    found = leave_out(session.new_trial(), ids, positions=positions, replacement=replacement)
    return {
        "ids": list(ids),
        "replacement": replacement,
        "chosen": _token(tokenizer, found.chosen, found.logprob),
        "effects": [_effect(effect, ids[effect.position], tokenizer) for effect in found.effects],
    }


def _effect(effect: LeftOut, token_id: int, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "position": effect.position,
        "id": token_id,
        "text": tokenizer.token(token_id).text,
        "logprob": effect.logprob,
        "rank": effect.rank,
        "delta_nats": effect.delta_nats,
        "delta_bits": effect.delta_bits,
        "top": _token(tokenizer, effect.top_id, effect.top_logprob),
    }


def _token(tokenizer: Tokenizer, token_id: int, logprob: float) -> dict[str, Any]:
    text = tokenizer.token(token_id).text
    return {"id": token_id, "text": text, "logprob": logprob, "probability": float(np.exp(logprob))}

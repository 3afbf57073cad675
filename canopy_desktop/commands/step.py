"""`inside`: everything that happens to one token in one layer and head."""

from __future__ import annotations

import argparse
from typing import Any

from canopy_desktop.arrays import FloatArray
from canopy_desktop.commands.inside import feed_prompt
from canopy_desktop.commands.loading import in_range, open_bundle, open_session, positions_in, prompt_ids, valid_text
from canopy_desktop.errors import NotGivenError
from canopy_desktop.exploration.inside import InsideReader, InsideStep, Part, without_renormalising
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.given_pass import INSIDE
from canopy_desktop.model.tokenizer import Tokenizer


def inside(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that happens to one token in one layer and head."""
    without = () if arguments.without is None else positions_in("--without", arguments.without)
    bundle = open_bundle(arguments)
    a = bundle.card.architecture
    if a.is_given:
        raise NotGivenError(INSIDE)
    in_range("--layer", arguments.layer, 0, a.layers - 1)
    in_range("--head", arguments.head, 0, a.heads - 1)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    ids = prompt_ids(bundle, tokenizer, valid_text(arguments.prompt))
    position = in_range("--position", arguments.position, 0, len(ids) - 1)
    for key in without:
        in_range("--without", key, 0, position)
    session = open_session(bundle, arguments, len(ids))
    feed_prompt(session, ids)
    reader = session.new_inside()
    chosen = ids[position + 1] if position + 1 < len(ids) else _likeliest(session, position)
    step = reader.step(session.sequence.slots, position, arguments.layer, arguments.head, chosen)
    result = _inside(step, ids, tokenizer)
    if without:
        result["without"] = _without(reader, step, without)
    return result


def _inside(step: InsideStep, ids: tuple[int, ...], tokenizer: Tokenizer) -> dict[str, Any]:
    chosen = step.readout.token_id
    return {
        "ids": list(ids), "position": step.position, "layer": step.layer, "head": step.head, "kv_head": step.kv_head,
        "in_chunk": step.in_chunk,
        "chosen": {"id": chosen, "text": tokenizer.token(chosen).text, "logit": step.logit},
        "embedding": step.stream[0].tolist(),
        "position_embedding": None if step.place_row is None else step.place_row.tolist(),
        "query": step.query.tolist(), "query_rotated": step.query_rotated.tolist(),
        "key": step.key.tolist(), "key_rotated": step.key_rotated.tolist(),
        "keys": [
            {
                "position": key, "id": ids[key], "text": tokenizer.token(ids[key]).text,
                "product": float(step.products[key]), "scaled": float(step.scaled[key]),
                "masked": float(step.masked[key]), "weight": float(step.weights[key]),
                "weighted_value": step.weighted[key].tolist(),
            }
            for key in range(len(ids))
        ],
        "attended": step.attended[step.head].tolist(),
        "heads": [_part(step.part(output, step.before)) for output in step.head_outputs],
        "output_bias": None if step.output_bias is None else _part(step.part(step.output_bias, step.before)),
        "stream": {
            "before": step.before.tolist(), "attention": step.attention.tolist(), "middle": step.middle.tolist(),
            "feed_forward": step.feed_forward.tolist(), "after": step.after.tolist(),
        },
        "attention": _part(step.part(step.attention, step.before)),
        "feed_forward": _part(step.part(step.feed_forward, step.middle)),
        "embedding_effect": step.readout.effect(step.stream[0]), "norm_bias_effect": step.readout.constant,
        "blocks": [_part(part) for part in step.blocks()],
    }  # fmt: skip


def _without(reader: InsideReader, step: InsideStep, keys: tuple[int, ...]) -> dict[str, Any]:
    """The head with some weights set to 0 and the others not rescaled, as blocking in the network never does."""
    weights = without_renormalising(step.weights, keys)
    attended: FloatArray = weights @ step.values
    output = reader.head_output(step, attended)
    return {
        "keys": list(keys),
        "weights": weights.tolist(),
        "attended": attended.tolist(),
        "output": _part(step.part(output, step.before)),
    }


def _part(part: Part) -> dict[str, float]:
    return {"norm": part.norm, "cosine": part.cosine, "effect": part.effect}


def _likeliest(session: ModelSession, position: int) -> int:
    last = session.sequence.columns.residuals(session.sequence.slots[position : position + 1], -1)
    return int(session.head.logits(last)[0].argmax())

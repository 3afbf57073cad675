"""`attention` and `lens`: what was computed on the way."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.commands.loading import in_range, open_bundle, open_session, prompt_ids, valid_text
from canopy_desktop.decoding.pipeline import pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import EngineError, UsageError
from canopy_desktop.exploration.columns import require
from canopy_desktop.exploration.lens import NO_RANK, lens_grid
from canopy_desktop.exploration.reader import ColumnReader
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.decoder import chunks_of
from canopy_desktop.model.tokenizer import Tokenizer

ALL_HEADS_TOKENS = 256  # beyond it one layer and head must be named
GRID_TOKENS = 1_024  # of the lens as a grid: 31,744 distributions, some ten seconds


def attention(arguments: argparse.Namespace) -> dict[str, Any]:
    """Attention of a text to itself, with ragged rows: a query sees the keys 0 … its own."""
    one = arguments.layer is not None
    if one != (arguments.head is not None):
        raise UsageError("--layer and --head go together.")
    bundle = open_bundle(arguments)
    a = bundle.card.architecture
    require(a, Kept.QUERIES)
    if one:
        in_range("--layer", arguments.layer, 0, a.layers - 1)
        in_range("--head", arguments.head, 0, a.heads - 1)
    ids = prompt_ids(bundle, Tokenizer.open(bundle.tokenizer), valid_text(arguments.prompt))
    if not one and len(ids) > ALL_HEADS_TOKENS:
        raise UsageError(
            f"The prompt has {len(ids)} tokens; beyond {ALL_HEADS_TOKENS} name one matrix with --layer and --head."
        )
    session = open_session(bundle, arguments, len(ids))
    feed_prompt(session, ids)
    slots, reader = session.sequence.slots, session.new_reader()
    if one:
        return {"ids": list(ids), "attention": _ragged(reader, slots, arguments.layer, arguments.head)}
    heads = [[_ragged(reader, slots, layer, head) for head in range(a.heads)] for layer in range(a.layers)]
    return {"ids": list(ids), "attention": heads}


def lens(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the final norm and output matrix make of residuals after each layer: the last position's, or all."""
    bundle = open_bundle(arguments)
    require(bundle.card.architecture, Kept.RESIDUALS)
    in_range("--top", arguments.top, 1, bundle.card.architecture.vocabulary)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    ids = prompt_ids(bundle, tokenizer, valid_text(arguments.prompt))
    if arguments.grid and len(ids) > GRID_TOKENS:
        raise UsageError(f"The prompt has {len(ids)} tokens; the grid is for up to {GRID_TOKENS}.")
    session = open_session(bundle, arguments, len(ids))
    feed_prompt(session, ids)
    if arguments.grid:
        return _grid(session, ids, tokenizer)
    last = session.sequence.slots[-1:]
    layers = []
    for layer in range(bundle.card.architecture.layers + 1):
        logits = session.head.logits(session.sequence.columns.residuals(last, layer))[0]
        found = pipeline(logits, DecodingSettings())
        top = [
            {"id": int(i), "text": tokenizer.token(int(i)).text, "logprob": found.raw_logprob(int(i))}
            for i in found.top(arguments.top)
        ]
        layers.append({"layer": layer, "top": top})
    return {"ids": list(ids), "layers": layers}


def _grid(session: ModelSession, ids: tuple[int, ...], tokenizer: Tokenizer) -> dict[str, Any]:
    """The likeliest token after each layer at each position, and how likely what came next was among all."""
    sequence = session.sequence
    grid = lens_grid(sequence.columns, sequence.slots, session.head, [*ids[1:], None])
    layers = []
    for layer, rows in enumerate(zip(grid.token_ids, grid.probabilities, grid.ranks, strict=True)):
        cells = [
            {
                "id": int(token_id),
                "text": tokenizer.token(int(token_id)).text,
                "probability": float(probability),
                "rank_of_next": None if rank == NO_RANK else int(rank),
            }
            for token_id, probability, rank in zip(*rows, strict=True)
        ]
        layers.append({"layer": layer, "cells": cells})
    return {"ids": list(ids), "layers": layers}


def feed_prompt(session: ModelSession, ids: tuple[int, ...]) -> FloatArray:
    """Prefill in the usual chunks; returns the last position's logits."""
    session.sequence.forget()
    done = 0
    logits = np.empty(0, np.float32)
    for count in chunks_of(len(ids)):
        _, logits = session.sequence.feed(ids[done : done + count])
        done += count
    return logits


def _ragged(reader: ColumnReader, slots: IntArray, layer: int, head: int) -> list[list[float]]:
    reading = reader.attention(slots, layer, head, hide_first=False, max_cells=slots.size)
    if reading is None:
        raise EngineError("The columns changed while they were read; run the command again.")
    return [row[: query + 1].tolist() for query, row in enumerate(reading.values)]

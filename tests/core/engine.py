"""A loaded model for tests of the engine: feeding ids, and reading what is left behind."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.chat import PromptPart, TemplatedPrompt
from canopy_desktop.model.decoder import PassColumns, chunks_of
from canopy_desktop.model.provider import ProviderChoice


@cache
def session_of(folder: Path) -> ModelSession:
    """One session a bundle for all tests: loading the fp32 one takes a second and 800 MB."""
    return ModelSession.open(Bundle.open(folder), ProviderChoice.CPU)


def prefill(session: ModelSession, ids: Sequence[int], size: int = 256) -> FloatArray:
    """Feed in chunks to an empty cache; returns the last logits."""
    session.sequence.forget()
    return go_on(session, ids, size)


def go_on(session: ModelSession, ids: Sequence[int], size: int = 256) -> FloatArray:
    """Feed in chunks after what is in the cache; returns the last logits."""
    done, logits = 0, np.empty(0, np.float32)
    for count in chunks_of(len(ids), size):
        _, logits = session.sequence.feed(ids[done : done + count])
        done += count
    return logits


def one_by_one(session: ModelSession, ids: Sequence[int]) -> FloatArray:
    """Feed single tokens; returns the logits after each, (tokens, vocabulary)."""
    return np.stack([session.sequence.feed([token_id])[1] for token_id in ids])


def all_logits(session: ModelSession) -> FloatArray:
    """Logits after every position in the cache, from the kept residuals: (positions, vocabulary)."""
    return session.head.logits(session.sequence.columns.residuals(session.sequence.slots, -1))


def log_softmax(logits: FloatArray) -> FloatArray:
    """Natural logarithms of the probabilities, row by row."""
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=-1, keepdims=True)
    return exact - np.log(np.exp(exact).sum(axis=-1, keepdims=True))


def left_by(architecture: Architecture, values: FloatArray) -> PassColumns:
    """What a pass could have left: every number of row r is `values[r]`."""
    a, rows = architecture, len(values)
    queries = np.empty((a.layers, rows, a.heads * a.head_size), np.float32)
    residuals = np.empty((a.layers, rows, a.hidden), np.float32)
    queries[:], residuals[:] = values[:, None], values[:, None]
    return PassColumns(queries, residuals, residuals[-1].copy())


def plain_prompt(ids: Sequence[int]) -> TemplatedPrompt:
    """A prompt of these ids; its text does not matter."""
    return TemplatedPrompt("", tuple(ids), (PromptPart("completion", "", tuple(ids)),), ())

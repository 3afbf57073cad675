"""Logits, reduced to what fits in a repository, and the token ids that every script feeds."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from source import DATA
from texts import CHAT_QUESTION, DIGITS, FRANCE, PROSE, SINGLE, STUDENT

TOP = 64
VOCABULARY = 49152
PROBE_IDS = np.sort(np.random.default_rng(64).choice(VOCABULARY, 64, replace=False)).astype(np.int32)
TEXTS = {"france": FRANCE, "student": STUDENT, "digits": DIGITS, "single": SINGLE, "prose": PROSE}


def reduced(logits: np.ndarray) -> dict[str, np.ndarray]:
    """(position, vocabulary) logits as log-sum-exp, the highest 64 and 64 fixed random ids."""
    wide = logits.astype(np.float64)
    highest = wide.max(axis=1, keepdims=True)
    top_ids = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    return {
        "log_sum_exp": np.log(np.exp(wide - highest).sum(axis=1)) + highest[:, 0],
        "top_ids": top_ids.astype(np.int32),
        "top_logits": np.take_along_axis(logits, top_ids, axis=1).astype(np.float32),
        "probe_ids": PROBE_IDS,
        "probe_logits": logits[:, PROBE_IDS].astype(np.float32),
    }


@dataclass(frozen=True)
class Prompt:
    """A text and llama.cpp's token ids of it."""

    text: str
    ids: list[int]


def prompts() -> dict[str, Prompt]:
    """Every prompt by its short name."""
    rows = json.loads((DATA / "tokenization.json").read_text())["texts"]
    ids_of = {row["text"]: row["plain"] for row in rows}
    chats = json.loads((DATA / "chat.json").read_text())["conversations"]
    question = [{"role": "user", "content": CHAT_QUESTION}]
    (chat,) = (c for c in chats if c["messages"] == question and c["add_generation_prompt"])
    plain = {name: Prompt(text, ids_of[text]) for name, text in TEXTS.items()}
    return plain | {"chat": Prompt(chat["text"], chat["ids"])}

"""The prompts to begin with, from a file that teachers can read."""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A prompt, and what to look for in it."""

    topic: str
    prompt: str
    chat: bool
    hint: str
    first: bool  # among those that an empty prompt offers


def load_examples(path: Path) -> tuple[Example, ...]:
    """The examples of a file in its order; without those that are broken, which the log names."""
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("example", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        logger.warning("No examples: %s cannot be read (%s)", path, error)
        return ()
    examples = [_example(entry) for entry in entries] if isinstance(entries, list) else []
    if None in examples:
        logger.warning("An example in %s is ignored: it needs topic, prompt, mode and hint", path)
    return tuple(example for example in examples if example is not None)


def _example(entry: object) -> Example | None:
    if not isinstance(entry, dict):
        return None
    match entry:
        case {"topic": str(topic), "prompt": str(prompt), "mode": "completion" | "chat" as mode, "hint": str(hint)}:
            return Example(topic=topic, prompt=prompt, chat=mode == "chat", hint=hint, first=bool(entry.get("first")))
    return None

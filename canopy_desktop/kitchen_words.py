"""Words of the kitchen beside the technical ones, from a file that teachers can edit."""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KitchenWord:
    """What an operation is called in a kitchen, and a sentence on why."""

    word: str
    sentence: str


def load_kitchen_words(path: Path) -> dict[str, KitchenWord]:
    """The words of a file by the technical name; without those that are broken, which the log names."""
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("word", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        logger.warning("No kitchen words: %s cannot be read (%s)", path, error)
        return {}
    words: dict[str, KitchenWord] = {}
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case {"technical": str(technical), "kitchen": str(kitchen), "sentence": str(sentence)}:
                words[technical] = KitchenWord(kitchen, sentence)
            case _:
                logger.warning("A word in %s is ignored: it needs technical, kitchen and sentence", path)
    return words

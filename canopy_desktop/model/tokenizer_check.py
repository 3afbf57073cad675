"""Is a tokenizer.json of the kind that `tokenizer_build.py` writes, and as large as the model's vocabulary?

Asked before the `tokenizers` package sees it, which would also fill the memory with padding or follow a regular
expression without end if a file told it to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from canopy_desktop.errors import BundleError
from canopy_desktop.model.byte_alphabet import byte_alphabet
from canopy_desktop.model.pre_tokenizers import PRE_TOKENIZERS
from canopy_desktop.model.sentencepiece import BYTE_TOKENS
from canopy_desktop.model.tokenizer_build import piece_surroundings, surroundings

MAX_TOKENIZER_BYTES = 64_000_000
_ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def check_tokenizer(folder: Path, name: str, vocabulary: int) -> None:
    """Check that a tokenizer has `vocabulary` tokens and does nothing of its own. Raises `BundleError`."""
    path = folder / name
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise BundleError(folder, f"{name} is larger than {MAX_TOKENIZER_BYTES} bytes")
    try:
        reason = _fault(json.loads(path.read_text("utf-8")), vocabulary)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        reason = "is not a tokenizer"
    if reason is not None:
        raise BundleError(folder, f"{name} {reason}")


def _fault(found: dict[str, Any], vocabulary: int) -> str | None:
    """Why this tokenizer cannot be used, or None."""
    ids: dict[str, object] = found["model"].pop("vocab")
    found["model"].pop("merges")  # the package itself refuses what is wrong in them
    added = found.pop("added_tokens")
    if not all(type(token_id) is int for token_id in ids.values()) or set(ids.values()) != set(range(vocabulary)):
        return "and the card differ in the number of tokens"
    if len(ids) != vocabulary:
        return "gives two tokens the same id"
    for token in added:
        if {**token, **_ADDED} != token or ids.get(token["content"]) != token["id"]:
            return "has an added token of a kind that is not known"
    begin = _begin(found.get("post_processor"), {t["content"]: t["id"] for t in added if t["special"]})
    texts = ids.keys() - {token["content"] for token in added}
    model = found.pop("model")
    if model.get("byte_fallback"):
        if not texts.issuperset(BYTE_TOKENS):
            return "does not have a token for every byte"
        kinds = [piece_surroundings(prefix, begin) for prefix in (False, True)]
    else:
        alphabet = byte_alphabet().keys()
        if not set("".join(texts)) <= alphabet:
            return "has a token that is not written in the byte alphabet"
        bytes_ = tuple(char for char in alphabet if char in ids)
        kinds = [surroundings(bytes_, pre, begin) for pre in PRE_TOKENIZERS]
    for expected in map(_surrounding, kinds):
        if _agree(model, expected.pop("model")) and _agree(found, expected):
            return None
    return "does something that is not known"


def _begin(processor: dict[str, Any] | None, special: Mapping[str, int]) -> tuple[str, int] | None:
    """The token that is put before every text; `special`: those that can be it. Raises `KeyError` or `ValueError`."""
    if processor is None:
        return None
    (text,) = processor["special_tokens"]
    return text, special[text]


def _surrounding(tokenizer: Tokenizer) -> dict[str, Any]:
    """What the builder writes around vocabulary and merges."""
    values: dict[str, Any] = json.loads(tokenizer.to_str())
    for part in ("vocab", "merges"):
        values["model"].pop(part)
    values.pop("added_tokens")
    return values


def _agree(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether both say the same; what another version of the package does not write, or leaves empty, is the same."""
    return all(found.get(key, value) == value for key, value in expected.items()) and all(
        key in expected or not value for key, value in found.items()
    )

"""Sentencepiece vocabularies as llama.cpp tokenizes with them (src/llama-vocab.cpp, `llm_tokenizer_spm`).

A text is one piece with ▁ for its spaces. Of two tokens side by side those merge first that make the token with the
highest score, so the merges of byte-pair encoding can be written down. A character without a token becomes the tokens
of its bytes, which are called <0x00> to <0xFF>.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # opening a bundle's card needs none
    from tokenizers.normalizers import Normalizer

SPACE = "▁"
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")


def token_bytes(text: str) -> bytes:
    """What a token of the vocabulary stands for; not for added tokens, which are what they say."""
    found = _BYTE_TOKEN.fullmatch(text)
    return bytes([int(found[1], 16)]) if found else text.replace(SPACE, " ").encode()


def ranked_merges(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Every way to make a token of two, those of the highest score first; of equal scores the lower id."""
    known = set(tokens)
    order = sorted(range(len(tokens)), key=lambda token_id: -scores[token_id])
    return [
        (text[:cut], text[cut:])
        for text in map(tokens.__getitem__, order)
        for cut in range(1, len(text))
        if text[:cut] in known and text[cut:] in known
    ]


def normalizer(*, space_prefix: bool) -> Normalizer:
    """Writes spaces as ▁; with `space_prefix`, as if one stood before the text and after each added token."""
    from tokenizers import normalizers

    marked = normalizers.Replace(" ", SPACE)
    return normalizers.Sequence([normalizers.Prepend(SPACE), marked]) if space_prefix else marked

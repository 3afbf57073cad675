"""`tokens`: what a text is made of."""

from __future__ import annotations

import argparse
from typing import Any

from canopy_desktop.commands.loading import open_bundle, valid_text
from canopy_desktop.model.tokenizer import Tokenizer


def tokens(arguments: argparse.Namespace) -> dict[str, Any]:
    """The tokens of a text, and the bytes that have none."""
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    encoding = tokenizer.encode(valid_text(arguments.text), special=not arguments.no_special)
    return {
        "model": bundle.card.id,
        "tokens": [
            {"id": token.id, "text": token.text, "bytes": token.data.hex()} for token in tokenizer.tokens(encoding.ids)
        ],
        "lost": [{"offset": lost.offset, "byte": lost.byte} for lost in encoding.lost],
    }

"""Tokens as a person names them: by id, or by text."""

from __future__ import annotations

import re

from canopy_desktop.model.tokenizer import Token, Tokenizer

SPACE_SIGN = "·"  # how a leading space is shown, and may be typed
_ID = re.compile(r"#\s*([0-9]{1,18})")


def tokens_named(tokenizer: Tokenizer, name: str) -> tuple[Token, ...]:
    """The token of "#ID", or those of a text: one where the text is a token.

    A dot in the middle of the line stands for a space where the text with the dot itself is no token. Raises
    `UsageError` for an id outside the vocabulary.
    """
    found = _ID.fullmatch(name.strip())
    if found is not None:
        return (tokenizer.token(int(found[1])),)
    tokens = tokenizer.tokens(tokenizer.encode(name, inside=True).ids)
    if len(tokens) > 1 and SPACE_SIGN in name:
        tokens = tokenizer.tokens(tokenizer.encode(name.replace(SPACE_SIGN, " "), inside=True).ids)
    return tokens

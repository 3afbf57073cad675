"""Why what a person typed names no token."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.errors import UsageError
from canopy_desktop.model.token_name import tokens_named
from canopy_desktop.model.tokenizer import Token, Tokenizer
from canopy_ui.widgets.chip_label import marked, marked_text
from canopy_ui.widgets.numbers import grouped


def one_token(tokenizer: Tokenizer | None, name: str) -> Token | str:
    """The token that was named, or a sentence that says why there is none."""
    if tokenizer is None:
        return _tr("The model is loading: try again in a moment.")
    try:
        tokens = tokens_named(tokenizer, name)
    except UsageError:
        return _tr("There is no token {name}: ids go from 0 to {last}.").format(
            name=name.strip(), last=grouped(tokenizer.vocabulary_size - 1)
        )
    if not tokens:
        return _tr("Type a token's text, or # and its id.")
    if len(tokens) > 1:
        pieces = " | ".join(marked(token) for token in tokens[:6]) + (" …" if len(tokens) > 6 else "")
        return _tr("“{name}” is {count} tokens, {pieces}: name one of them.").format(
            name=marked_text(name), count=len(tokens), pieces=pieces
        )
    return tokens[0]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Tokens", text)

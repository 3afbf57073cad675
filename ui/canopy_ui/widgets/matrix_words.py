"""What a cell of the attention matrix, or a head, says in a sentence."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QCoreApplication

from canopy_desktop.exploration.attention_view import (
    ROLLOUT_TOKENS,
    AttentionReading,
    AttentionView,
    Look,
    MissingToken,
    RowView,
)
from canopy_ui.widgets.look_words import look_name, share_text, short_text
from canopy_ui.widgets.matrix_axes import axis_text, position_text
from canopy_ui.widgets.numbers import grouped


def cell_sentence(view: AttentionView, reading: AttentionReading, query: int, key: int) -> str:
    """What the cell with two places of the window has in a reading."""
    rows, columns = reading.places(query, key)
    link = f"{_name(view, rows)} → {_name(view, columns)}"
    value = reading.value_at(query, key)
    if not np.isnan(value):
        share = share_text(value, reading.look)
        if len(rows) > 1:
            return _tr("positions {link}: at most {value}").format(link=link, value=share)
        return _tr("{link}: {value}").format(link=link, value=share)
    if key > query:
        return _tr("{link}: comes later, cannot be looked at").format(link=link)
    return _tr("{link}: hidden").format(link=link)


def strongest_sentence(view: AttentionView, reading: AttentionReading, query: int) -> str:
    """Where the row of a place looks most; empty where nothing is known."""
    row = (query - reading.square.top) // reading.cell
    if not 0 <= row < reading.values.shape[0] or np.isnan(reading.values[row]).all():
        return ""
    key = reading.square.left + int(np.nanargmax(reading.values[row])) * reading.cell
    return _tr("most: {link}").format(link=cell_sentence(view, reading, query, key))


def missing_sentence(token: MissingToken, *, kept: bool = False) -> str:
    """Why the selected token has no row; `kept`: rows are from a file."""
    name = short_text(token.text, token.position)
    if token.dropped:
        return _tr("“{token}” is no longer in the window").format(token=name)
    if token.beyond:
        return _tr("“{token}” lies beyond the first {count} tokens, which rollout covers").format(
            token=name, count=grouped(ROLLOUT_TOKENS)
        )
    if kept:
        return _tr("The file does not keep where “{token}” looks").format(token=name)
    return _tr("“{token}” has not been read yet: it is new").format(token=name)


def head_sentence(row: RowView, layer: int, head: int, here: int | None = None) -> str:
    """Where one head of the grid looks most, and what it gives the key `here`."""
    weights = row.heads[layer, head]
    look = Look(layer, head, row.look.hide_first)

    def told(key: int) -> dict[str, str]:
        return {
            "key": short_text(row.tokens[key], int(row.positions[key])),
            "share": share_text(float(weights[key]), look),
        }

    most = int(weights.argmax())
    sentence = _tr("{head}: {query} → {key}, {share}").format(
        head=look_name(look), query=short_text(row.text, row.position), **told(most)
    )
    return (
        sentence if here in (None, most) else _tr("{most}; here → {key}, {share}").format(most=sentence, **told(here))
    )


def _name(view: AttentionView, places: range) -> str:
    if len(places) == 1:
        return axis_text(view, places[0])
    return f"{position_text(view, places[0])}–{position_text(view, places[-1])}"


def _tr(text: str) -> str:
    return QCoreApplication.translate("Attention", text)

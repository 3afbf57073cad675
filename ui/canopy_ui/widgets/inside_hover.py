"""What is under the mouse in the picture of one step, in a sentence."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QCoreApplication

from canopy_desktop.arrays import FloatArray
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.inside_layout import Box, InsideLayout
from canopy_ui.widgets.inside_painter import Shown
from canopy_ui.widgets.inside_sheets import sheet_of
from canopy_ui.widgets.inside_words import short_number
from canopy_ui.widgets.numbers import grouped, percent


def words_at(at: InsideLayout, shown: Shown, x: float, y: float) -> str:
    """A sentence on what stands at a point; empty where nothing does."""
    return _of_bar(at, shown, x, y) or _of_vector(at, shown, x, y) or _of_station(at, shown, x, y)


def _of_bar(at: InsideLayout, shown: Shown, x: float, y: float) -> str:
    view = shown.view
    if (head := at.head_at(x, y)) is not None:
        return _tr("Head {head} adds a vector of length {length}: click to look at it.").format(
            head=head, length=short_number(view.heads[head].norm)
        )
    if (layer := at.block_at(x, y)) is None:
        return ""
    row = view.layers[layer]
    words = _tr("Block {layer} adds a vector of length {length}; after it “{token}” is likeliest, {share}.")
    return words.format(
        layer=layer, length=short_number(row.part.norm), token=marked(row.token), share=percent(row.probability)
    )


def _of_vector(at: InsideLayout, shown: Shown, x: float, y: float) -> str:
    step, token = shown.view.step, marked(shown.view.token)
    found: list[tuple[Box | None, FloatArray | None, str]] = [
        (at.embedding, shown.view.embedding, _tr("Embedding of “{token}”")),
        (at.position, step.place_row, _tr("What is added for the place of “{token}”")),
        (at.before, step.before, _tr("Stream of “{token}” before block {layer}")),
        (at.query, step.query, _tr("Query of “{token}”")),
        (at.query_rotated, step.query_rotated, _tr("Query of “{token}”, turned by its place")),
        (at.attention, step.attention, _tr("What all heads add")),
        (at.middle, step.middle, _tr("Stream after attention was added")),
        (at.feed_forward, step.feed_forward, _tr("What the feed-forward adds")),
        (at.after, step.after, _tr("Stream of “{token}” after block {layer}")),
        (at.attended, step.attended[step.head], _tr("Sum of the weighted values")),
    ]
    for box, vector, words in found:
        if box is not None and vector is not None and box.holds(x, y):
            return _measured(words.format(token=token, layer=step.layer), vector)
    for lane, row in zip(at.lanes, shown.rows, strict=True):
        of_row: list[tuple[Box | None, FloatArray, str]] = [
            (lane.key, row.key, _tr("Key of “{token}”")),
            (lane.value, row.value, _tr("Value of “{token}”")),
            (lane.key_rotated, row.key_rotated, _tr("Key of “{token}”, turned by its place")),
            (lane.weighted, row.weighted, _tr("Value of “{token}” × its share")),
        ]
        if row.stream is not None:
            of_row.append((lane.stream, row.stream, _tr("Stream of “{token}” before block {layer}")))
        elif lane.stream.holds(x, y):
            return _tr("The stream of “{token}” made room for newer ones.").format(token=marked(row.token))
        for box, vector, words in of_row:
            if box is not None and box.holds(x, y):
                return _measured(words.format(token=marked(row.token), layer=step.layer), vector)
    return ""


def _measured(name: str, vector: FloatArray) -> str:
    return _tr("{name}: {count} numbers, length {length}").format(
        name=name, count=grouped(vector.size), length=short_number(float(np.linalg.norm(vector)))
    )


def _of_station(at: InsideLayout, shown: Shown, x: float, y: float) -> str:
    station = at.station_at(x, y)
    if station is None:
        return ""
    key = next((row for row, lane in zip(shown.rows, at.lanes, strict=True) if lane.whole.holds(x, y)), None)
    return sheet_of(shown.view, station, key).sentence


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inside", text)

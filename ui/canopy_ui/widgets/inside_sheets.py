"""The numbers of each operation inside a step, as rows of text: for the cards, the table, and copying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from PySide6.QtCore import QCoreApplication

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.inside_view import InsideView, KeyRow, rest_of
from canopy_desktop.model.card import Architecture
from canopy_ui.light import DARK, Light
from canopy_ui.widgets.chip_label import marked, marked_text
from canopy_ui.widgets.inside_layout import Station, stations_of
from canopy_ui.widgets.inside_words import activation_name, norm_name, short_number
from canopy_ui.widgets.numbers import grouped, percent, token_count


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an operation did. Rows are made when they are looked at."""

    sentence: str
    header: tuple[str, ...]
    count: int
    row: Callable[[int], tuple[str, ...]]
    light: Callable[[int], Light] = lambda row: DARK  # the token that a row stands for


def stations_in(view: InsideView) -> tuple[Station, ...]:
    """The operations that there are in the layer that is shown."""
    return stations_of(rotates=view.step.how.rotates, adds_position=view.step.place_row is not None)


def sheet_of(view: InsideView, station: Station, key: KeyRow | None = None) -> Sheet:
    """The numbers of an operation; `key`: the token looked at that is meant, else the one that gets most."""
    key = key or max(view.rows, key=lambda row: row.weight)
    match station:
        case Station.PRODUCT:
            return _product(view, key)
        case Station.WEIGHTED:
            return _weighted(view, key)
        case Station.ROTATION:
            return _rotation(view)
        case Station.SCALE | Station.MASK | Station.SOFTMAX:
            return _keys(view, station)
        case Station.HEADS:
            return _heads(view)
        case Station.BLOCKS:
            return _blocks(view)
        case Station.LOGITS | Station.PROBABILITIES:
            return _outcomes(view, station)
        case _:
            return _vectors(view, station)


def exact(value: float) -> str:
    """A number with four decimals."""
    if value == float("-inf"):
        return "−∞"
    text = f"{abs(value):,.4f}"
    return f"−{text}" if value < 0 and text.strip("0.") else text


def _vectors(view: InsideView, station: Station) -> Sheet:
    step, token = view.step, marked(view.token)
    number, size = _tr("number"), grouped(step.before.size)
    columns: tuple[tuple[str, FloatArray], ...]
    match station:
        case Station.EMBEDDING:
            sentence = _tr("“{token}” becomes {size} numbers; {count} blocks have added to them before this one.")
            if step.place_row is not None:
                sentence = _tr(
                    "“{token}” becomes {size} numbers; its place and {count} blocks have added to them since."
                )
            columns = (_tr("embedding"), view.embedding), (_tr("before the block"), step.before)
        case Station.POSITION if step.place_row is not None:
            sentence = _tr(
                "The numbers of place {place} in the window are added: so the model knows where “{token}” is."
            )
            columns = (
                (_tr("embedding"), view.embedding), (_tr("+ place"), step.place_row), (_tr("= sum"), step.stream[0]),
            )  # fmt: skip
        case Station.PROJECTION:
            sentence = _projection_words(step.architecture)
            size = grouped(view.head_size)
            own = view.rows[0]
            columns = (_tr("query"), step.query), (_tr("key"), own.key), (_tr("value"), own.value)
        case Station.ATTENTION:
            sentence = _attention_words(step.architecture)
            columns = _sum(step.before, step.attention, step.middle)
        case Station.FEED_FORWARD:
            sentence = _feed_forward_words(step.architecture)
            columns = (_tr("stream"), step.middle), (_tr("feed-forward"), step.feed_forward)
        case _:
            sentence = _tr("What the feed-forward made is added, number by number: the stream after the block.")
            columns = _sum(step.middle, step.feed_forward, step.after)
    a = step.architecture
    sentence = sentence.format(
        token=token, size=size, count=step.layer, place=grouped(view.wish.place), norm=norm_name(a.norm),
        inner=grouped(a.feed_forward), bend=activation_name(a.activation),
    )  # fmt: skip

    def row(place: int) -> tuple[str, ...]:
        if place == 0:
            return (_tr("length"), *(exact(float(np.linalg.norm(values))) for _, values in columns))
        return (grouped(place - 1), *(exact(float(values[place - 1])) for _, values in columns))

    return Sheet(sentence, (number, *(name for name, _ in columns)), columns[0][1].size + 1, row)


def _projection_words(a: Architecture) -> str:
    sentence = _tr("Three matrices make a query, a key and a value of {size} numbers out of the stream, after {norm}.")
    if a.qkv_biases:
        sentence += " " + _tr("To each a bias is added, the same for every token.")
    if a.qk_norms:
        sentence += " " + _tr("In each head query and key are normed.")
    return sentence


def _attention_words(a: Architecture) -> str:
    sentence = _tr("What all heads found is added, number by number; lengths do not add up, numbers do.")
    if a.block_biases:
        sentence += " " + _tr("With it comes a bias, the same for every token.")
    if a.post_norms:
        sentence += " " + _tr("Before that it is normed.")
    return sentence


def _feed_forward_words(a: Architecture) -> str:
    sentence = _tr("The feed-forward looks at this token's stream alone, after {norm}.") + " "
    if a.gated:
        sentence += _tr("{inner} numbers, let through by gates that {bend} bends, make {size} to be added.")
    else:
        sentence += _tr("{inner} numbers, bent by {bend}, make {size} to be added.")
    if a.post_norms:
        sentence += " " + _tr("Before that they are normed.")
    return sentence


def _sum(before: FloatArray, added: FloatArray, after: FloatArray) -> tuple[tuple[str, FloatArray], ...]:
    return (_tr("stream"), before), (_tr("+ added"), added), (_tr("= sum"), after)


def _rotation(view: InsideView) -> Sheet:
    step, own = view.step, view.rows[0]
    half = view.head_size // 2
    sentence = _tr(
        "Query and key are turned by their place in the window, {place}: each pair of numbers by an angle of its own."
    ).format(place=grouped(view.wish.place))

    def pair(vector: FloatArray, at: int) -> str:
        return f"{exact(float(vector[at]))} | {exact(float(vector[at + half]))}"

    def row(at: int) -> tuple[str, ...]:
        before, after = (complex(vector[at], vector[at + half]) for vector in (step.query, step.query_rotated))
        degrees = float(np.degrees(np.angle(after * before.conjugate())))
        pairs = (pair(vector, at) for vector in (step.query, step.query_rotated, own.key, own.key_rotated))
        return f"{at} | {at + half}", f"{short_number(degrees)}°", *pairs

    header = (_tr("pair"), _tr("turned by"), _tr("query"), _tr("query turned"), _tr("key"), _tr("key turned"))
    return Sheet(sentence, header, half, row)


def _product(view: InsideView, key: KeyRow) -> Sheet:
    query = view.step.query_rotated
    products = query * key.key_rotated
    sums = list(accumulate(products.tolist()))
    sentence = _tr("Query of “{token}” · key of “{key}”: {count} products, whose sum is {sum}.").format(
        token=marked(view.token), key=marked(key.token), count=view.head_size, sum=short_number(key.product)
    )

    def row(at: int) -> tuple[str, ...]:
        numbers = (query[at], key.key_rotated[at], products[at], sums[at])
        return (str(at), *(exact(float(number)) for number in numbers))

    header = (_tr("number"), _tr("query"), _tr("× key"), _tr("= product"), _tr("sum so far"))
    return Sheet(sentence, header, view.head_size, row)


def _keys(view: InsideView, station: Station) -> Sheet:
    step, tokens, positions = view.step, view.tokens, view.wish.positions
    largest = float(step.masked.max())
    match station:
        case Station.SCALE:
            sentence = _scale_sentence(view)
        case Station.MASK:
            sentence = _tr("The mask makes −∞ of what must not be looked at: {tokens} further on.").format(
                tokens=token_count(view.later)
            )
            if step.how.window is not None:
                sentence += " " + _tr("This layer sees {window} tokens at most, so {count} lie too far back.").format(
                    window=grouped(step.how.window), count=grouped(view.before_window)
                )
        case _:
            sentence = _tr("e to the power of each number, divided by the sum of all: shares of 100 %.")

    def row(at: int) -> tuple[str, ...]:
        masked = float(step.masked[at])
        return (
            marked_text(tokens[at]), grouped(int(positions[at])), exact(float(step.products[at])),
            exact(float(step.scaled[at])), exact(masked), exact(float(np.exp(masked - largest))),
            percent(float(step.weights[at])),
        )  # fmt: skip

    header = (
        _tr("token"), _tr("position"), _tr("dot product"), _tr("scaled"), _tr("masked"), _tr("e^(it − largest)"),
        _tr("share"),
    )  # fmt: skip
    return Sheet(sentence, header, len(tokens), row, lambda at: Light(position=int(positions[at])))


def _scale_sentence(view: InsideView) -> str:
    if view.step.architecture.attention_scale:
        scale = _tr("Each dot product is multiplied by {scale}, the same in all layers.")
        return scale.format(scale=exact(view.step.how.scale))
    words = _tr("Each dot product is divided by {root}, the root of {size} numbers.")
    return words.format(root=short_number(1 / view.step.how.scale), size=view.head_size)


def _weighted(view: InsideView, key: KeyRow) -> Sheet:
    total = view.step.attended[view.step.head]
    sentence = _tr(
        "Value of “{key}” × its share, {share}; all tokens together give the sum, which is what flows on."
    ).format(key=marked(key.token), share=percent(key.weight))

    def row(at: int) -> tuple[str, ...]:
        return str(at), *(exact(float(vector[at])) for vector in (key.value, key.weighted, total))

    header = (_tr("number"), _tr("value"), _tr("× share"), _tr("sum of all"))
    return Sheet(sentence, header, view.head_size, row)


def _heads(view: InsideView) -> Sheet:
    sentence = _tr(
        "What each head adds to the stream; its effect is the share of the logit of “{token}”, directly."
    ).format(token=marked(view.chosen))
    parts = [(str(head), part) for head, part in enumerate(view.heads)]
    if view.output_bias is not None:
        parts.append((_tr("bias"), view.output_bias))
    parts.append((_tr("all"), view.attention))

    def row(at: int) -> tuple[str, ...]:
        name, part = parts[at]
        return name, exact(part.norm), exact(part.cosine), exact(part.effect)

    return Sheet(sentence, (_tr("head"), _tr("length"), _tr("cosine"), _tr("effect")), len(parts), row)


def _blocks(view: InsideView) -> Sheet:
    chosen = marked(view.chosen)
    sentence = _tr(
        "What each block adds, its effect on the logit of “{token}”, and what would be likeliest after it."
    ).format(token=chosen)

    def row(at: int) -> tuple[str, ...]:
        one = view.layers[at]
        return (
            str(one.layer), exact(one.part.norm), exact(one.part.cosine), exact(one.part.effect),
            marked(one.token), percent(one.probability), grouped(one.rank),
        )  # fmt: skip

    header = (
        _tr("block"), _tr("length"), _tr("cosine"), _tr("effect"), _tr("likeliest"), _tr("probability"),
        _tr("rank of “{token}”").format(token=chosen),
    )  # fmt: skip
    return Sheet(sentence, header, len(view.layers), row, lambda at: Light(token_id=view.layers[at].token.id))


def _outcomes(view: InsideView, station: Station) -> Sheet:
    if station is Station.LOGITS:
        sentence = _tr("The final stream, after {norm}, against each of {count} tokens gives a number each, its logit.")
    else:
        sentence = _tr("Softmax makes probabilities of all {count} logits; no setting is applied here.")
    largest = view.outcomes[0].logit
    rest = rest_of(view.outcomes)

    def row(at: int) -> tuple[str, ...]:
        if at == len(view.outcomes):
            return _tr("all others"), "–", "–", percent(rest)
        one = view.outcomes[at]
        power = float(np.exp(one.logit - largest))
        return marked(one.token), exact(one.logit), exact(power), percent(one.probability)

    def light(at: int) -> Light:
        return Light(token_id=view.outcomes[at].token.id) if at < len(view.outcomes) else DARK

    header = (_tr("token"), _tr("logit"), _tr("e^(it − largest)"), _tr("probability"))
    norm = norm_name(view.step.architecture.norm)
    sentence = sentence.format(count=grouped(view.vocabulary), norm=norm)
    return Sheet(sentence, header, len(view.outcomes) + 1, row, light)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inside", text)

"""What differs between two runs, in words."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QCoreApplication

from canopy_desktop.decoding.divergence import Divergence
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.compare_view import CompareStage, CompareView, SideView, raw_probability
from canopy_desktop.exploration.compared import Relation
from canopy_desktop.model.tokenizer import Token
from canopy_ui.widgets.chip_label import marked, marked_text
from canopy_ui.widgets.model_words import weights_name
from canopy_ui.widgets.numbers import UNKNOWN, grouped, percent, token_count

_GLIMPSE = 12  # characters that are quoted where tokens cannot be compared
_SETTINGS = {
    "temperature": "Temperature",
    "top_k": "Top-k",
    "top_p": "Top-p",
    "min_p": "Min-p",
    "typical_p": "Typical-p",
    "repetition_penalty": "Repetition penalty",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "logit_bias": "Boosted tokens",
    "banned_tokens": "Banned tokens",
    "min_tokens": "Fewest tokens",
    "max_tokens": "Most tokens",
    "stop": "Stop texts",
    "keep_stop": "Keep the stop text",
    "seed": "Seed",
}


def parting_words(view: CompareView) -> str:
    """Where the generated texts part."""
    a, b, text = view.a, view.b, view.text
    if a is None or b is None or text is None or not view.length:
        return ""
    if text.tokens is None:
        return _characters(a, b, text.characters)
    shared = text.tokens
    if text.relation is Relation.PARTED or (shared < len(a.tokens) and shared < len(b.tokens)):
        return _parted(_tr("The texts"), shared, a.tokens[shared], b.tokens[shared])
    if view.busy:
        return _tr("Equal so far: {tokens}.").format(tokens=token_count(shared))
    if text.relation is Relation.EQUAL:
        return _tr("Equal to the end: both wrote the same {tokens}.").format(tokens=token_count(shared))
    first, other, longer = ("A", "B", b) if text.relation is Relation.A_BEGINS_B else ("B", "A", a)
    return _tr("Equal for {tokens}; there {first} ends, and {other} goes on with “{token}”.").format(
        tokens=token_count(shared), first=first, other=other, token=marked(longer.tokens[shared])
    )


def prompt_words(view: CompareView) -> str:
    """Where the prompts part."""
    a, b, prompt = view.a, view.b, view.prompt
    if a is None or b is None or prompt is None:
        return ""
    if prompt.relation is Relation.EQUAL:
        return _tr("The prompts are equal.")
    if prompt.tokens is None:
        return _tr("The prompts are equal for {count} characters.").format(count=grouped(prompt.characters))
    if prompt.relation is Relation.PARTED:
        return _parted(_tr("The prompts"), prompt.tokens, a.prompt[prompt.tokens], b.prompt[prompt.tokens])
    name, longer = ("B", b) if prompt.relation is Relation.A_BEGINS_B else ("A", a)
    return _tr("The prompts are equal for {tokens}; that of {name} goes on with “{token}”.").format(
        tokens=token_count(prompt.tokens), name=name, token=marked(longer.prompt[prompt.tokens])
    )


def step_words(view: CompareView, *, final: bool) -> str:
    """What both took at the selected step, and how far apart their distributions were."""
    place = view.selected
    if place is None:
        return ""
    took = _tr("Step {step}: {a}, {b}.").format(
        step=grouped(place + 1), a=_took("A", view.a, place, final=final), b=_took("B", view.b, place, final=final)
    )
    return f"{took} {_apart(view, place, final=final)}".strip()


def step_tip(view: CompareView, place: int) -> str:
    """The same in few words, for a tool tip and a screen reader."""
    lines = [
        _tr("step {step}").format(step=grouped(place + 1)),
        *(_took(name, side, place, final=True) for name, side in (("A", view.a), ("B", view.b))),
    ]
    picture = view.pictures.get(place)
    if picture is not None and picture.final is not None and place <= view.shared:
        lines.append(_tr("total variation {value}").format(value=variation(picture.final)))
    return "\n".join(lines)


def progress_words(view: CompareView) -> str:
    """How far the runs are."""
    if view.stage is CompareStage.OPENING:
        return _tr("Opening the model of B: {share} %").format(share=round(100 * view.opened))
    if view.stage is not CompareStage.RUNNING:
        return ""
    return ", ".join(_side_progress(name, side) for name, side in (("A", view.a), ("B", view.b)) if side is not None)


def difference_rows(view: CompareView) -> list[tuple[str, str, str]]:
    """What the sides do not share, and how each ended: (what, A, B)."""
    a, b = view.a, view.b
    if a is None or b is None:
        return []
    rows = _chosen_rows(view, a, b)
    if len(a.prompt) != len(b.prompt):
        rows.append((_tr("Prompt tokens"), grouped(len(a.prompt)), grouped(len(b.prompt))))
    rows.append((_tr("Generated tokens"), grouped(len(a.tokens)), grouped(len(b.tokens))))
    if a.reason is not None and b.reason is not None:
        rows.append((_tr("Ended by"), _end(a.reason), _end(b.reason)))
    return rows


def title_words(view: CompareView) -> str:
    """What was chosen to differ, in one line."""
    a, b, prompt = view.a, view.b, view.prompt
    if a is None or b is None or prompt is None:
        return _tr("two runs, step by step")
    parts = [f"{name} {one} / {other}" for name, one, other in _chosen_rows(view, a, b)]
    if prompt.relation is not Relation.EQUAL:
        parts.insert(0, _tr("two prompts"))
    return ", ".join(parts) or _tr("the same twice")


def step_rows(view: CompareView) -> list[tuple[str, ...]]:
    """Every step: its number, both tokens with their probabilities, and how far apart the distributions were."""
    rows = []
    for place in range(view.length):
        cells = [grouped(place + 1)]
        for side in (view.a, view.b):
            if side is not None and place < len(side.tokens):
                cells += [marked(side.tokens[place]), percent(side.steps[place].chosen.probability)]
            else:
                cells += ["", ""]
        picture = view.pictures.get(place)
        final = picture.final if picture is not None and place <= view.shared else None
        cells += [UNKNOWN] * 2 if final is None else [variation(final), bits(final.a_b_bits)]
        rows.append(tuple(cells))
    return rows


def variation(divergence: Divergence) -> str:
    """Total variation, 0 to 1, with no 0 or 1 that is not exact."""
    value = divergence.total_variation
    if 0.0 < value < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= value < 1.0 else f"{value:.2f}"


def bits(value: float) -> str:
    """A divergence; it may be infinite."""
    if math.isinf(value):
        return "∞"
    return "<0.01" if 0.0 < value < 0.005 else f"{value:.2f}"


def _chosen_rows(view: CompareView, a: SideView, b: SideView) -> list[tuple[str, str, str]]:
    """Models and settings that the sides do not share."""
    rows = []
    if a.weights is not b.weights:
        rows.append((_tr("Weights"), weights_name(a.weights), weights_name(b.weights)))
    elif a.model != b.model:
        rows.append((_tr("Model"), a.model, b.model))
    rows += [(_tr(_SETTINGS[one.name]), _value(one.name, one.a), _value(one.name, one.b)) for one in view.settings]
    return rows


def _parted(what: str, shared: int, a: Token, b: Token) -> str:
    if not shared:
        return _tr("{what} differ from the first token on: “{a}” / “{b}”.").format(what=what, a=marked(a), b=marked(b))
    return _tr("{what} are equal for {tokens}, then “{a}” / “{b}”.").format(
        what=what, tokens=token_count(shared), a=marked(a), b=marked(b)
    )


def _characters(a: SideView, b: SideView, shared: int) -> str:
    """The same for tokens of two vocabularies."""
    texts = [b"".join(token.data for token in side.tokens).decode("utf-8", "replace") for side in (a, b)]
    one, other = (marked_text(text[shared:][:_GLIMPSE]) for text in texts)
    return _tr("The texts are equal for {count} characters, then “{a}” / “{b}”; the vocabularies differ.").format(
        count=grouped(shared), a=one, b=other
    )


def _took(name: str, side: SideView | None, place: int, *, final: bool) -> str:
    if side is None or place >= len(side.tokens):
        return _tr("{name} has no such step").format(name=name)
    step = side.steps[place]
    share = step.chosen.probability if final else raw_probability(step)
    return _tr("{name} took “{token}” ({share})").format(
        name=name, token=marked(side.tokens[place]), share=percent(share)
    )


def _apart(view: CompareView, place: int, *, final: bool) -> str:
    picture = view.picture
    if picture is None:
        return _tr("Both distributions are shown when the runs are over.") if view.busy else ""
    found = picture.final if final else picture.raw
    if found is None:
        return "" if view.same_vocabulary else _tr("The vocabularies differ, so there is no common measure.")
    told = _tr("Total variation {variation}; KL(A‖B) {a_b} bits, KL(B‖A) {b_a} bits.").format(
        variation=variation(found), a_b=bits(found.a_b_bits), b_a=bits(found.b_a_bits)
    )
    if place > view.shared:
        told += " " + _tr("The texts before it differ, so each answers a question of its own.")
    return told


def _side_progress(name: str, side: SideView) -> str:
    if not side.tokens and side.read < len(side.prompt):
        return _tr("{name} reads its prompt, {done} of {total} tokens").format(
            name=name, done=grouped(side.read), total=grouped(len(side.prompt))
        )
    return _tr("{name}: {tokens}").format(name=name, tokens=token_count(len(side.tokens)))


def _value(name: str, value: Any) -> str:
    if name == "temperature" and value == 0.0:
        return _tr("greedy")
    if isinstance(value, bool):
        return _tr("yes") if value else _tr("no")
    if isinstance(value, tuple):
        return grouped(len(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _end(reason: StopReason) -> str:
    return _tr(
        {
            StopReason.MAX_TOKENS: "token limit",
            StopReason.END_TOKEN: "end token",
            StopReason.STOP_SEQUENCE: "stop text",
            StopReason.FILTERED: "output filter",
            StopReason.CONTEXT_FULL: "full window",
            StopReason.CANCELLED: "Stop",
        }[reason]
    )


def _tr(text: str) -> str:
    return QCoreApplication.translate("Compare", text)

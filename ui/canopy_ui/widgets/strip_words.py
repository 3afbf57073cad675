"""What the stage strip says: a name and a figure for each stage, and one line on the stage where one stands."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.stopping import ContinuationCheck, StopReason
from canopy_desktop.exploration.records import ChosenBy
from canopy_desktop.exploration.stages import (
    Continued,
    Cut,
    Drawn,
    Embedded,
    Heated,
    Passed,
    Penalised,
    Scored,
    StageFacts,
    StepStage,
    Tokenised,
    Trimmed,
)
from canopy_desktop.model.tokenizer import Token
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import grouped, percent, token_count

LONGEST = 24  # letters of a token
MANY = 100_000  # tokens of a vocabulary, whose number alone fills a stage's place


def stage_title(stage: StepStage) -> str:
    """What a stage is called."""
    return {
        StepStage.TOKENISE: _tr("tokenise"),
        StepStage.EMBED: _tr("embed"),
        StepStage.LAYERS: _tr("layers"),
        StepStage.LOGITS: _tr("logits"),
        StepStage.PENALTIES: _tr("penalties"),
        StepStage.TEMPERATURE: _tr("temperature"),
        StepStage.CUT: _tr("cut"),
        StepStage.DRAW: _tr("draw"),
        StepStage.CONTINUE: _tr("continue?"),
    }[stage]


def figure_of(facts: StageFacts) -> str:
    """The one figure that matters most."""
    match facts:
        case Tokenised(count=count):
            return token_count(count)
        case Embedded(hidden=hidden):
            return _tr("numbers") if hidden is None else _tr("{count} numbers").format(count=grouped(hidden))
        case Passed(layers=layers, heads=heads):
            return _tr("{layers} × {heads} heads").format(layers=layers, heads=heads)
        case Scored(vocabulary=vocabulary):
            return (_tr("{count} scores") if vocabulary < MANY else "{count}").format(count=grouped(vocabulary))
        case Penalised():
            touched = facts.moved + facts.boosted + facts.banned + facts.ends_barred
            return token_count(touched) if touched else _tr("none")
        case Heated(temperature=temperature):
            return _tr("÷ {value:g}").format(value=temperature) if temperature else _tr("greedy")
        case Trimmed(cuts=cuts, kept=kept):
            return _tr("{kept} left").format(kept=grouped(kept)) if cuts else _tr("none")
        case Drawn(token=token):
            return f"“{short(token, 10)}”"
        case Continued(check=check):
            return _tr("go on") if check.reason is None else _tr("stop")


def line_of(facts: StageFacts) -> str:
    """What happens at the stage, in one line."""
    match facts:
        case Tokenised():
            return _tokenised(facts)
        case Embedded():
            return _embedded(facts)
        case Passed(layers=layers, heads=heads, seen=seen):
            return _tr("{layers} blocks, one after another; in each, {heads} heads look back at {tokens}").format(
                layers=layers, heads=heads, tokens=token_count(seen)
            )
        case Scored(vocabulary=vocabulary, highest=highest, logit=logit):
            return _tr("{count} scores, one for each token of the model; the highest is {logit:.2f}: “{token}”").format(
                count=grouped(vocabulary), logit=logit, token=short(highest)
            )
        case Penalised():
            return _penalised(facts)
        case Heated():
            return _heated(facts)
        case Trimmed():
            return _trimmed(facts)
        case Drawn():
            return _drawn(facts)
        case Continued(check=check):
            return _continued(check)


def short(token: Token, longest: int = LONGEST) -> str:
    """A token with marks for its blanks, cut where it is long."""
    text = marked(token)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _embedded(facts: Embedded) -> str:
    token_id, text = grouped(facts.last.id), short(facts.last)
    if facts.hidden is None:
        return _tr("Tokens become numbers inside of this model’s own graph; the last is token {id}, “{token}”").format(
            id=token_id, token=text
        )
    if facts.count == 1:
        return _tr("Token {id}, “{token}”, becomes {count} numbers").format(
            id=token_id, token=text, count=grouped(facts.hidden)
        )
    return _tr("Each of {tokens} becomes {count} numbers; the last is token {id}, “{token}”").format(
        tokens=token_count(facts.count), id=token_id, token=text, count=grouped(facts.hidden)
    )


def _tokenised(facts: Tokenised) -> str:
    if not facts.prompt:
        return _tr("The newest token, “{token}”, goes in as it is: its number is {id}").format(
            token=short(facts.first[-1]), id=grouped(facts.first[-1].id)
        )
    named = " | ".join(short(token) for token in facts.first) + (" | …" if facts.count > len(facts.first) else "")
    return _tr("The prompt is {tokens}: {named}").format(tokens=token_count(facts.count), named=named)


def _penalised(facts: Penalised) -> str:
    parts = []
    if facts.penalties and facts.moved:
        part = _tr("penalties move the scores of {tokens}").format(tokens=token_count(facts.moved))
        if facts.most is not None:
            token, amount = facts.most
            part += _tr(", of the likeliest “{token}” the most: {amount}").format(
                token=short(token), amount=f"{amount:+.2f}".replace("-", "−")
            )
        parts.append(part)
    elif facts.penalties:
        parts.append(_tr("penalties are set, but no token was there before"))
    for count, text in (
        (facts.boosted, _tr("{tokens} boosted or lowered by you")),
        (facts.banned, _tr("{tokens} banned by you")),
        (facts.ends_barred, _tr("{tokens} for the end barred: too short a text")),
    ):
        if count:
            parts.append(text.format(tokens=token_count(count)))
    if not parts:
        return _tr("No penalty is set: the scores stay as they are")
    return _sentence("; ".join(parts))


def _heated(facts: Heated) -> str:
    if not facts.temperature:
        return _tr("Greedy: nothing is divided, the highest score wins")
    if facts.temperature == 1.0:
        return _tr("÷ 1: the probabilities stay as they are")
    text = _tr("All scores ÷ {value:g}").format(value=facts.temperature)
    if facts.likeliest is None or facts.before is None or facts.after is None:
        return text
    moved = _tr("{text}: “{token}” rises from {before} to {after}")
    if facts.after < facts.before:
        moved = _tr("{text}: “{token}” falls from {before} to {after}")
    return moved.format(
        text=text, token=short(facts.likeliest), before=percent(facts.before), after=percent(facts.after)
    )


def _trimmed(facts: Trimmed) -> str:
    if not facts.cuts:
        return _tr("Nothing is cut off: all {count} tokens stay").format(count=grouped(facts.vocabulary))
    cuts = [_tr("{name} keeps {kept}").format(name=_cut_name(cut), kept=token_count(cut.kept)) for cut in facts.cuts]
    return _sentence(_tr("{cuts} of {count}").format(cuts=_tr(", then ").join(cuts), count=grouped(facts.vocabulary)))


def _cut_name(cut: Cut) -> str:
    name = {
        StageName.TOP_K: _tr("top-k {value:.0f}"),
        StageName.TOP_P: _tr("top-p {value:g}"),
        StageName.MIN_P: _tr("min-p {value:g}"),
        StageName.TYPICAL_P: _tr("typical-p {value:g}"),
    }[cut.name]
    return name.format(value=cut.value)


def _drawn(facts: Drawn) -> str:
    token, again = short(facts.token), ""
    if facts.rejected:
        again = _tr("; the output filter sent back {tokens} before").format(tokens=token_count(facts.rejected))
    if facts.chosen_by is ChosenBy.PERSON:
        return _tr("You chose “{token}”: nothing was drawn").format(token=token)
    if facts.uniform is None:
        return _tr("Nothing is drawn: “{token}” has the highest score").format(token=token) + again
    return (
        _tr("{number:.4f} falls on “{token}”, which lies from {low:.4f} to {high:.4f}").format(
            number=facts.uniform, token=token, low=facts.low, high=facts.high
        )
        + again
    )


def _continued(check: ContinuationCheck) -> str:
    of = {
        "tokens": grouped(check.tokens),
        "most": grouped(check.max_tokens),
        "used": grouped(check.window_used),
        "window": grouped(check.window),
        "stop": check.stop.text if check.stop else "",
    }
    match check.reason:
        case None:
            text = _tr("Not an end token, no stop text, {tokens} of {most} tokens, {used} of {window} positions: go on")
        case StopReason.END_TOKEN:
            text = _tr("This is an end token: stop")
        case StopReason.STOP_SEQUENCE:
            text = _tr("The stop text “{stop}” came: stop")
        case StopReason.FILTERED:
            text = _tr("The output filter does not let it through: stop")
        case StopReason.MAX_TOKENS:
            text = _tr("Not an end token, no stop text, but {tokens} of {most} tokens: stop")
        case StopReason.CONTEXT_FULL | StopReason.CANCELLED:
            text = _tr("The context is full, {used} of {window} positions: stop")
    return text.format(**of)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Strip", text)

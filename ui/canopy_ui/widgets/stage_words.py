"""What the stages from logits to a token are called."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.decision_view import ChartColumn
from canopy_ui.widgets.numbers import grouped


def stage_name(stage: StageName) -> str:
    """A stage without its value, as what removed a token."""
    return {
        StageName.RAW: _tr("the model"),
        StageName.PENALTIES: _tr("penalties"),
        StageName.BIAS: _tr("ban"),
        StageName.MIN_TOKENS: _tr("minimum"),
        StageName.TEMPERATURE: _tr("temperature"),
        StageName.TOP_K: _tr("top-k"),
        StageName.TOP_P: _tr("top-p"),
        StageName.MIN_P: _tr("min-p"),
        StageName.TYPICAL_P: _tr("typical-p"),
    }[stage]


def column_title(column: ChartColumn, settings: DecodingSettings) -> str:
    """The head of a column, with the setting's value."""
    match column.stage:
        case None:
            return _tr("settings")
        case StageName.RAW:
            return _tr("model")
        case StageName.PENALTIES:
            return _tr("penalties")
        case StageName.BIAS:
            return _tr("bans, boosts")
        case StageName.MIN_TOKENS:
            return _tr("minimum {count}").format(count=settings.min_tokens)
        case StageName.TEMPERATURE:
            return _tr("temperature {value:g}").format(value=settings.temperature)
        case StageName.TOP_K:
            return _tr("top-k {value}").format(value=settings.top_k)
        case StageName.TOP_P:
            return _tr("top-p {value:g}").format(value=settings.top_p)
        case StageName.MIN_P:
            return _tr("min-p {value:g}").format(value=settings.min_p)
        case StageName.TYPICAL_P:
            return _tr("typical-p {value:g}").format(value=settings.typical_p)


def column_count(column: ChartColumn) -> str:
    """How many tokens a stage left, and what it did to them."""
    if column.stage is StageName.RAW:
        return _tr("{count} tokens").format(count=grouped(column.kept))
    if column.removed:
        return _tr("{kept} left, −{removed}").format(kept=grouped(column.kept), removed=grouped(column.removed))
    if column.changed:
        return _tr("{count} changed").format(count=grouped(column.changed))
    return _tr("{kept} left").format(kept=grouped(column.kept))


def settings_words(settings: DecodingSettings) -> str:
    """What decides, in one line; nothing of lengths and stop texts."""
    if settings.greedy:
        parts = [_tr("greedy")]
    else:
        parts = [_tr("temperature {value:g}").format(value=settings.temperature)]
        parts += [
            text.format(value=value)
            for text, value, off in (
                (_tr("top-k {value}"), settings.top_k, 0),
                (_tr("top-p {value:g}"), settings.top_p, 1.0),
                (_tr("min-p {value:g}"), settings.min_p, 0.0),
                (_tr("typical-p {value:g}"), settings.typical_p, 1.0),
            )
            if value != off
        ]
    parts += [
        text.format(value=value)
        for text, value, off in (
            (_tr("repetition {value:g}"), settings.repetition_penalty, 1.0),
            (_tr("presence {value:g}"), settings.presence_penalty, 0.0),
            (_tr("frequency {value:g}"), settings.frequency_penalty, 0.0),
            (_tr("at least {value} tokens"), settings.min_tokens, 0),
            (_tr("{value} banned"), len(settings.banned_tokens), 0),
            (_tr("{value} boosted"), len(settings.logit_bias), 0),
        )
        if value != off
    ]
    if not settings.greedy:
        parts.append(_tr("seed {value}").format(value=settings.seed))
    return ", ".join(parts)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Stages", text)

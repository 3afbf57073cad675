"""What the stages from logits to a token are called."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings, changed_settings
from canopy_desktop.exploration.decision_view import ChartColumn
from canopy_ui.widgets.numbers import grouped

_UNCHANGED = DecodingSettings()
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
_NAMED = {
    "temperature": "temperature {value:g}",
    "top_k": "top-k {value}",
    "top_p": "top-p {value:g}",
    "min_p": "min-p {value:g}",
    "typical_p": "typical-p {value:g}",
    "repetition_penalty": "repetition {value:g}",
    "presence_penalty": "presence {value:g}",
    "frequency_penalty": "frequency {value:g}",
    "logit_bias": "{value} boosted",
    "banned_tokens": "{value} banned",
    "min_tokens": "at least {value} tokens",
    "seed": "seed {value}",
}


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


def short_title(columns: Sequence[ChartColumn], settings: DecodingSettings) -> str:
    """The head of columns that stand as one, where that of `column_title` has no room."""
    stages = {column.stage for column in columns}
    if stages == {StageName.TEMPERATURE}:
        return _tr("÷ {value:g}").format(value=settings.temperature)
    if stages <= {StageName.PENALTIES, StageName.BIAS, StageName.MIN_TOKENS}:
        return _tr("penalties")
    cuts = {StageName.TOP_K, StageName.TOP_P, StageName.MIN_P, StageName.TYPICAL_P}
    return _tr("cuts") if stages <= cuts else _tr("settings")


def column_count(columns: Sequence[ChartColumn]) -> str:
    """How many tokens stages in a row left, and what they did to them together."""
    kept, removed = columns[-1].kept, sum(column.removed for column in columns)
    if columns[-1].stage is StageName.RAW:
        return _tr("{count} tokens").format(count=grouped(kept))
    if removed:
        return _tr("{kept} left, −{removed}").format(kept=grouped(kept), removed=grouped(removed))
    changed = max(column.changed for column in columns)
    return _tr("{count} changed").format(count=grouped(changed)) if changed else _tr("none changed")


def settings_difference(used: DecodingSettings, shown: DecodingSettings) -> str:
    """What `used` had otherwise than `shown`, of what decides."""
    if used.greedy:
        return _tr("greedy") if not shown.greedy else settings_words(used)
    parts = []
    for key, text in _NAMED.items():
        value = getattr(used, key)
        if value != getattr(shown, key):
            parts.append(_tr(text).format(value=len(value) if isinstance(value, tuple) else value))
    return ", ".join(parts)


def settings_change(before: DecodingSettings, after: DecodingSettings) -> str:
    """What became of the one setting that changed; of several, that they did."""
    changed = changed_settings(before, after)
    if len(changed) != 1:
        return _tr("settings")
    (key,) = changed
    value = getattr(after, key)
    if key == "temperature" and after.greedy:
        return _tr("greedy")
    if key in _NAMED:
        return _tr(_NAMED[key]).format(value=len(value) if isinstance(value, tuple) else value)
    return _tr("at most {value} tokens").format(value=value) if key == "max_tokens" else _tr("stop texts")


def settings_words(settings: DecodingSettings) -> str:
    """What decides, in one line; nothing of lengths and stop texts."""
    keys = [key for key in _NAMED if getattr(settings, key) != getattr(_UNCHANGED, key)]
    if settings.greedy:
        parts = [_tr("greedy")]
        keys = [key for key in keys if key not in _SAMPLING]
    else:
        parts = []
        keys = [key for key in _NAMED if key in keys or key in ("temperature", "seed")]
    for key in keys:
        value = getattr(settings, key)
        parts.append(_tr(_NAMED[key]).format(value=len(value) if isinstance(value, tuple) else value))
    return ", ".join(parts)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Stages", text)

"""Decoding settings from flags: `settings_of` before a model is looked for, `with_tokens` when it is open."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from canopy_desktop.commands.loading import one_token, read_json, valid_text
from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.presets import preset
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import UsageError
from canopy_desktop.model.tokenizer import Tokenizer

LARGEST_FILE = 1_000_000  # bytes of settings
_ID = re.compile("#[0-9]{1,18}")
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")
OTHERS = ("repetition_penalty", "presence_penalty", "frequency_penalty", "min_tokens", "max_tokens", "seed")


def settings_of(arguments: argparse.Namespace) -> DecodingSettings:
    """Settings from flags, which go over a file's or a preset's; greedy unless one of them samples.

    `with_tokens` adds what --ban and --bias name. Raises `SettingsError`, `UsageError` or `StorageError`.
    """
    given = {name: value for name in SAMPLING + OTHERS if (value := getattr(arguments, name)) is not None}
    if arguments.greedy:
        if given.keys() & set(SAMPLING):
            raise UsageError("--greedy always takes the likeliest token: leave out the sampling flags, or --greedy.")
        given["temperature"] = 0.0
    if arguments.stop:
        given["stop"] = tuple(valid_text(text) for text in arguments.stop)
    if arguments.keep_stop:
        given["keep_stop"] = True
    return settings_json.completed(_base(arguments) | given)


def with_tokens(settings: DecodingSettings, arguments: argparse.Namespace, tokenizer: Tokenizer) -> DecodingSettings:
    """The same settings with the tokens of --ban and --bias; all that they name must be in the vocabulary.

    Raises `UsageError` or `SettingsError`.
    """
    banned = {_token_id("--ban", tokenizer, token) for token in arguments.ban}
    biases = {_token_id("--bias", tokenizer, token): bias for token, bias in arguments.bias}
    named = replace(
        settings,
        banned_tokens=tuple(sorted(banned.union(settings.banned_tokens))),
        logit_bias=tuple(sorted((dict(settings.logit_bias) | biases).items())),
    )
    named.check_vocabulary(tokenizer.vocabulary_size)
    return named


def _base(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.settings is not None:
        return settings_json.checked(read_json("--settings", Path(arguments.settings), LARGEST_FILE))
    if arguments.preset is not None:
        return settings_json.checked(settings_json.to_json(preset(arguments.preset).settings))
    return {}


def _token_id(flag: str, tokenizer: Tokenizer, named: str) -> int:
    """The token of `#ID`, or of a text."""
    if _ID.fullmatch(named):
        return tokenizer.token(int(named[1:])).id
    return one_token(flag, tokenizer, valid_text(named))

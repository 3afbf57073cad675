"""`compare`: two prompts, two settings or two models side by side."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from canopy_desktop.commands.loading import in_range, open_bundle, open_session, read_json, valid_text
from canopy_desktop.commands.prompt import facts_of, note_of, prompt_parts, prompt_request, template_of, with_system
from canopy_desktop.commands.settings import LARGEST_FILE, settings_of, with_tokens
from canopy_desktop.commands.step_json import step_json
from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError, UsageError
from canopy_desktop.exploration.compare import (
    BesideRunner,
    Comparison,
    StepPair,
    TokenPair,
    compare,
    same_vocabulary,
    step_pairs,
)
from canopy_desktop.exploration.compared import ComparedRun, Parting, SettingDifference
from canopy_desktop.exploration.deciding import LISTED
from canopy_desktop.exploration.prompt import PromptRequest, fit
from canopy_desktop.exploration.records import Candidate, GenerationEvent
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class _Side:
    """What is to run, checked as far as it can be before a model is loaded."""

    bundle: Bundle
    tokenizer: Tokenizer
    prompt: TemplatedPrompt
    note: dict[str, str]
    settings: DecodingSettings

    @property
    def tokens(self) -> int:
        """How long its text can become."""
        return len(self.prompt.ids) + self.settings.max_tokens


def compare_runs(arguments: argparse.Namespace) -> dict[str, Any]:
    """Two runs, what differs between them, and the figures of each step until their texts part."""
    settings = settings_of(arguments)
    changes = _changes(arguments.settings_b)
    in_range("--top", arguments.top, 0, LISTED)
    request = prompt_request(arguments)
    other = _other_request(arguments, request)
    if other == request and not changes and arguments.model_b is None:
        raise UsageError(
            "A and B are the same: say what differs with --and, --system-b, --no-history-b, --no-facts-b, "
            "--settings-b or --model-b."
        )
    a = _side(open_bundle(arguments), request, settings, arguments, {})
    bundle = a.bundle if arguments.model_b is None else open_bundle(arguments, arguments.model_b)
    b = _side(bundle, other, settings, arguments, changes)
    sessions = [open_session(a.bundle, arguments, a.tokens)]
    sessions.append(sessions[0] if b.bundle is a.bundle else open_session(b.bundle, arguments, b.tokens))
    one, two = (_run(session, side) for session, side in zip(sessions, (a, b), strict=True))
    same = b.bundle is a.bundle or same_vocabulary(a.tokenizer, b.tokenizer)
    heads = (sessions[0].head, sessions[1].head)
    found = compare(
        one, two, tuple(step_pairs(one, two, heads, listed=arguments.top)) if same else (), same_vocabulary=same
    )
    return _json(found, (a, b), sessions, arguments.top)


def _changes(named: str | None) -> dict[str, Any]:
    """Settings of B alone, from JSON or a file of it. Raises `SettingsError`, `UsageError` or `StorageError`."""
    if named is None:
        return {}
    text = valid_text(named)
    if not text.lstrip().startswith("{"):
        return settings_json.checked(read_json("--settings-b", Path(text), LARGEST_FILE))
    try:
        return settings_json.checked(settings_json.parsed(text))
    except ValueError as error:
        raise SettingsError("--settings-b", f"cannot be read: {error}") from error


def _other_request(arguments: argparse.Namespace, request: PromptRequest) -> PromptRequest:
    """The prompt of B. Raises `UsageError` or `PromptError`."""
    for flag, given, needed, there in (
        ("--system-b", arguments.system_b is not None, "--chat", request.chat),
        ("--no-history-b", arguments.no_history_b, "--history", bool(request.history)),
        ("--no-facts-b", arguments.no_facts_b, "--facts", bool(request.facts)),
    ):
        if given and not there:
            raise UsageError(f"{flag} needs {needed}.")
    text = request.text if arguments.prompt_b is None else valid_text(arguments.prompt_b)
    other = replace(
        request,
        text=text,
        with_history=request.with_history and not arguments.no_history_b,
        facts=() if arguments.no_facts_b else facts_of(arguments, text),
    )
    return other if arguments.system_b is None else with_system(other, arguments.system_b)


def _side(
    bundle: Bundle,
    request: PromptRequest,
    settings: DecodingSettings,
    arguments: argparse.Namespace,
    changes: dict[str, Any],
) -> _Side:
    tokenizer = Tokenizer.open(bundle.tokenizer)
    named = with_tokens(settings, arguments, tokenizer)
    if named.greedy and settings_json.CUTS & changes.keys():
        changes = {"temperature": 1.0} | changes
    named = replace(named, **changes)
    named.check_vocabulary(tokenizer.vocabulary_size)
    prompt = request.encoded(tokenizer, template_of(bundle, request))
    fit(prompt, bundle.card.architecture.context)
    return _Side(bundle, tokenizer, prompt, note_of(bundle, request), named)


def _run(session: ModelSession, side: _Side) -> ComparedRun:
    found: list[ComparedRun] = []

    def whole() -> Iterator[GenerationEvent]:
        found.append((yield from BesideRunner(session).run(1, side.prompt, side.settings)))

    for _ in whole():
        pass
    return found[0]


def _json(found: Comparison, sides: tuple[_Side, _Side], sessions: list[ModelSession], top: int) -> dict[str, Any]:
    a, b = (
        _run_json(run, side, session, top)
        for run, side, session in zip((found.a, found.b), sides, sessions, strict=True)
    )
    tokenizer = sides[0].tokenizer
    return {
        "a": a,
        "b": b,
        "same_vocabulary": found.same_vocabulary,
        "settings": [_setting(difference, found) for difference in found.settings],
        "prompt": _parting(found.prompt),
        "text": _parting(found.generated),
        "steps": [_step(pair, tokenizer) for pair in found.steps],
    }


def _run_json(run: ComparedRun, side: _Side, session: ModelSession, top: int) -> dict[str, Any]:
    return {
        "model": run.model,
        "provider": session.provider.name,
        "weights": side.bundle.card.weights.value,
        "prompt_ids": list(run.prompt.ids),
        "prompt_parts": prompt_parts(run.prompt, side.tokenizer),
        **side.note,
        "settings": settings_json.to_json(run.settings),
        "steps": [step_json(step, side.tokenizer, top) for step in run.steps],
        "text": run.text,
        "stop_reason": run.reason.value,
    }


def _setting(difference: SettingDifference, found: Comparison) -> dict[str, Any]:
    name = difference.name
    return {"name": name} | {
        side: settings_json.to_json(run.settings)[name] for side, run in (("a", found.a), ("b", found.b))
    }


def _parting(parting: Parting) -> dict[str, Any]:
    return {
        "relation": parting.relation.value,
        "tokens": parting.tokens,
        "tokens_at_end": parting.tokens_at_end,
        "characters": parting.characters,
    }


def _step(pair: StepPair, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "index": pair.index,
        "a_chosen": _token(pair.a_chosen, tokenizer),
        "b_chosen": _token(pair.b_chosen, tokenizer),
        "raw": asdict(pair.raw),
        "final": asdict(pair.final),
        "top": [_token(token, tokenizer) for token in pair.top],
    }


def _token(pair: TokenPair, tokenizer: Tokenizer) -> dict[str, Any]:
    token = tokenizer.token(pair.a.token_id)
    return {"id": token.id, "text": token.text, "a": _figures(pair.a, pair.a_rank), "b": _figures(pair.b, pair.b_rank)}


def _figures(candidate: Candidate, rank: int) -> dict[str, Any]:
    return {"raw_logprob": candidate.raw_logprob, "probability": candidate.probability, "rank": rank}

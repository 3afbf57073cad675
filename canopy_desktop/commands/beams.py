"""`beams`: several texts written side by side, the best ones, and what became of the others."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from canopy_desktop.commands.loading import fitting, open_bundle, open_session
from canopy_desktop.commands.prompt import note_of, prompt_request, template_of
from canopy_desktop.commands.settings import settings_of, with_tokens
from canopy_desktop.decoding.beams import BeamCandidate, BeamSettings, BeamStep, EarlyStopping
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.beam_search import BeamPrefill, BeamSearch, BeamsFinished
from canopy_desktop.model.tokenizer import Tokenizer

TEMPERATURE = 1.0  # of --sample


def beams(arguments: argparse.Namespace) -> dict[str, Any]:
    """The n best texts, and with --tree the candidates of every step."""
    settings = _drawn(settings_of(arguments), arguments)
    search_settings = BeamSettings(
        beams=arguments.num_beams,
        length_penalty=arguments.length_penalty,
        early_stopping=EarlyStopping(arguments.early_stopping),
        returned=arguments.num_return,
        groups=arguments.groups,
        diversity=arguments.diversity,
    )
    request = prompt_request(arguments)
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    settings = with_tokens(settings, arguments, tokenizer)
    prompt = request.encoded(tokenizer, template_of(bundle, request))
    text = History(fitting(bundle, prompt.ids), end_ids=bundle.card.end_ids)
    session = open_session(bundle, arguments, len(text.prompt) + arguments.num_beams * settings.max_tokens)
    search = BeamSearch(session)
    result: dict[str, Any] = {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(text.prompt),
        **note_of(bundle, request),
    }
    steps: list[BeamStep] = []
    for event in search.run(text, settings, search_settings):
        match event:
            case BeamPrefill():
                pass
            case BeamStep():
                steps.append(event)
            case BeamsFinished():
                result["stop_reason"] = event.reason.value
                result["sequences"] = [
                    {
                        "ids": list(sequence.ids),
                        "text": search.answer(sequence, text, settings),
                        "score": sequence.score,
                        "finished": sequence.finished,
                    }
                    for sequence in event.sequences
                ]
    if arguments.tree:
        result["steps"] = [_step(step, tokenizer) for step in steps]
    return result


def _drawn(settings: DecodingSettings, arguments: argparse.Namespace) -> DecodingSettings:
    """With --sample the candidates are drawn, at temperature 1 unless another is given. Raises `UsageError`."""
    if not arguments.sample or not settings.greedy:
        return settings
    if arguments.greedy or arguments.temperature is not None:
        raise UsageError("--sample draws, and --greedy or temperature 0 never does: leave out one of them.")
    return replace(settings, temperature=TEMPERATURE)


def _step(step: BeamStep, tokenizer: Tokenizer) -> dict[str, Any]:
    return {"length": step.length, "candidates": [_candidate(candidate, tokenizer) for candidate in step.candidates]}


def _candidate(candidate: BeamCandidate, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "id": candidate.token_id,
        "text": tokenizer.token(candidate.token_id).text,
        "parent": candidate.parent,
        "beam": candidate.beam,
        "group": candidate.group,
        "logprob": candidate.logprob,
        "cumulative": candidate.cumulative,
        "fate": candidate.fate.value,
    }

"""`tokens` and `trace`: what a text is made of, and how it goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from canopy_desktop.commands.loading import in_range, open_bundle, open_session, valid_text
from canopy_desktop.commands.prompt import prompt_parts, prompt_request, template_of
from canopy_desktop.commands.settings import settings_of, with_tokens
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.deciding import LISTED
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.prompt import fit
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    Candidate,
    PrefillProgress,
    RunFinished,
    SlideProgress,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.tokenizer import Tokenizer


def tokens(arguments: argparse.Namespace) -> dict[str, Any]:
    """The tokens of a text, and the bytes that have none."""
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    encoding = tokenizer.encode(valid_text(arguments.text), special=not arguments.no_special)
    return {
        "model": bundle.card.id,
        "tokens": [
            {"id": token.id, "text": token.text, "bytes": token.data.hex()} for token in tokenizer.tokens(encoding.ids)
        ],
        "lost": [{"offset": lost.offset, "byte": lost.byte} for lost in encoding.lost],
    }


def trace(arguments: argparse.Namespace) -> dict[str, Any]:
    """Generate, and report every step."""
    settings = settings_of(arguments)
    in_range("--top", arguments.top, 0, LISTED)
    request = prompt_request(arguments)
    window = window_of(arguments)
    bundle = open_bundle(arguments)
    size = window.tokens(bundle.card.architecture.context)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    settings = with_tokens(settings, arguments, tokenizer)
    template = template_of(bundle, request)
    prompt = request.encoded(tokenizer, template)
    fit(prompt, size)
    kept = request.system_tokens(tokenizer, template) if window.keeps_system else 0
    session = open_session(bundle, arguments)
    generation = session.new_generation()
    generation.begin(1, prompt, settings, window, kept=kept)
    run = _run(generation)
    written = [step.chosen.token_id for step in run.steps]
    if run.reason is StopReason.END_TOKEN:
        written.pop()
    return {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(prompt.ids),
        "prompt_parts": prompt_parts(prompt, tokenizer),
        "context": size,
        "steps": [step_json(step, tokenizer, arguments.top) for step in run.steps],
        "slides": [_slide(slide) for slide in run.slides],
        "text": tokenizer.decode(written),
        "stop_reason": run.reason.value,
        "metrics": _metrics(run, len(prompt.ids), generation.kv_bytes),
    }


def window_of(arguments: argparse.Namespace) -> ContextWindow:
    """The context window from flags. Raises `UsageError`."""
    if arguments.keep_system and not arguments.slide:
        raise UsageError("--keep-system needs --slide: a window that stops drops nothing.")
    when_full = WhenFull.SLIDE if arguments.slide else WhenFull.STOP
    return ContextWindow(size=arguments.context, when_full=when_full, keep_system=arguments.keep_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run from the prefill to its end."""

    prefill_ms: float
    steps: tuple[StepRecord, ...]
    slides: tuple[WindowSlid, ...]
    reason: StopReason


def _run(generation: Generation) -> _Run:
    steps: list[StepRecord] = []
    slides: list[WindowSlid] = []
    prefill_ms = 0.0
    while True:
        match event := generation.advance():
            case PrefillProgress():
                prefill_ms = event.ms
            case StepRecord():
                steps.append(event)
            case WindowSlid():
                slides.append(event)
            case SlideProgress():
                pass
            case RunFinished():
                return _Run(prefill_ms=prefill_ms, steps=tuple(steps), slides=tuple(slides), reason=event.reason)


def _metrics(run: _Run, prompt_tokens: int, kv_bytes: int) -> dict[str, Any]:
    later = [step.ms for step in run.steps[1:]]
    before_first = run.prefill_ms + sum(slide.ms for slide in run.slides if slide.node == PROMPT_NODE)
    return {
        "ttft_ms": before_first + run.steps[0].ms if run.steps else None,
        "tpot_ms_median": percentile(later, 50),
        "tpot_ms_p95": percentile(later, 95),
        "prefill_tokens_per_s": 1000 * prompt_tokens / run.prefill_ms,
        "kv_bytes": kv_bytes,
    }


def percentile(values: Sequence[float], percent: float) -> float | None:
    """A percentile, or None of no values."""
    return float(np.percentile(values, percent)) if values else None


def step_json(step: StepRecord, tokenizer: Tokenizer, top: int) -> dict[str, Any]:
    """What is said about one step; `top`: likeliest tokens listed."""
    return {
        "position": step.position,
        "token_id": step.chosen.token_id,
        "text": tokenizer.token(step.chosen.token_id).text,
        "probability": step.chosen.probability,
        "raw_logprob": step.chosen.raw_logprob,
        "rank": step.rank,
        "end_probability": step.end.probability if step.end else 0.0,
        "top": [_candidate(candidate, tokenizer) for candidate in step.candidates[:top]],
        "ms": step.ms,
    }


def _slide(slide: WindowSlid) -> dict[str, Any]:
    return {
        "step": slide.node + 1,  # a run without branches numbers its steps as its nodes
        "dropped": [slide.first, slide.last],
        "kept": slide.kept,
        "prefilled": slide.prefilled,
        "ms": slide.ms,
    }


def _candidate(candidate: Candidate, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "id": candidate.token_id,
        "text": tokenizer.token(candidate.token_id).text,
        "logit": candidate.logit,
        "raw_logprob": candidate.raw_logprob,
        "probability": candidate.probability,
    }

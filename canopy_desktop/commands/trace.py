"""`trace`: how a text goes on, every step with its figures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from canopy_desktop.commands.facts import checked
from canopy_desktop.commands.loading import in_range, open_bundle, open_session
from canopy_desktop.commands.prompt import note_of, prompt_parts, prompt_request, template_of
from canopy_desktop.commands.settings import settings_of, with_tokens
from canopy_desktop.commands.step_json import failure_json, hit_json, rejection_json, step_json
from canopy_desktop.decoding.output_filter import FilterAction, FilterList, OutputFilter
from canopy_desktop.decoding.settings_json import to_json
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.answer import Answer, answer_of
from canopy_desktop.exploration.deciding import LISTED
from canopy_desktop.exploration.facts import Facts
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.prompt import fit
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    PrefillProgress,
    RunFinished,
    SlideProgress,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_desktop.model.tokenizer import Tokenizer


def trace(arguments: argparse.Namespace) -> dict[str, Any]:
    """Generate, and report every step."""
    settings = settings_of(arguments)
    in_range("--top", arguments.top, 0, LISTED)
    request = prompt_request(arguments)
    window = window_of(arguments)
    output_filter = filter_of(arguments)
    facts = Facts.read(Path(arguments.check)) if arguments.check else None
    bundle = open_bundle(arguments)
    size = window.tokens(bundle.card.architecture.context)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    settings = with_tokens(settings, arguments, tokenizer)
    template = template_of(bundle, request)
    prompt = request.encoded(tokenizer, template)
    fit(prompt, size)
    kept = request.system_tokens(tokenizer, template) if window.keeps_system else 0
    session = open_session(bundle, arguments, min(size, len(prompt.ids) + settings.max_tokens))
    generation = session.new_generation()
    generation.begin(1, prompt, settings, window, kept=kept, output_filter=output_filter)
    run = _run(generation)
    answer = answer_of(run.steps, run.end, settings, tokenizer)
    return {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(prompt.ids),
        "prompt_parts": prompt_parts(prompt, tokenizer),
        **note_of(bundle, request),
        "context": size,
        "steps": [step_json(step, tokenizer, arguments.top) for step in run.steps],
        "slides": [_slide(slide) for slide in run.slides],
        "text": answer.shown,
        "stop_reason": run.end.reason.value,
        "metrics": _metrics(run, len(prompt.ids), generation.kv_bytes),
        "settings": to_json(settings),
        "filter": output_filter and _filter(output_filter, run, answer, tokenizer),
        "fact_check": facts and checked(facts, answer.shown),
    }


def filter_of(arguments: argparse.Namespace) -> OutputFilter | None:
    """The output filter from flags. Raises `UsageError`, `StorageError` or `SettingsError`."""
    if arguments.filter is None:
        if arguments.filter_action is not None:
            raise UsageError("--filter-action needs --filter: name the list of words and patterns.")
        return None
    action = FilterAction(arguments.filter_action or FilterAction.STOP.value)
    return OutputFilter(FilterList.read(Path(arguments.filter)), action)


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
    end: RunFinished


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
                return _Run(prefill_ms=prefill_ms, steps=tuple(steps), slides=tuple(slides), end=event)


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


def _slide(slide: WindowSlid) -> dict[str, Any]:
    return {
        "step": slide.node + 1,  # a run without branches numbers its steps as its nodes
        "dropped": [slide.first, slide.last],
        "kept": slide.kept,
        "prefilled": slide.prefilled,
        "ms": slide.ms,
    }


def _filter(output_filter: OutputFilter, run: _Run, answer: Answer, tokenizer: Tokenizer) -> dict[str, Any]:
    """What the filter did in the whole run, with what became a hit because the text ended."""
    found = [step.guarding for step in run.steps if step.guarding]
    found += [run.end.guarding] if run.end.guarding else []
    return {
        "list": output_filter.entries.name,
        "action": output_filter.action.value,
        "written": answer.written,
        "hits": [hit_json(hit) for hit in answer.hits],
        "rejected": [rejection_json(rejection, tokenizer) for guarding in found for rejection in guarding.rejected],
        "failures": [failure_json(failure) for guarding in found for failure in guarding.failures],
    }

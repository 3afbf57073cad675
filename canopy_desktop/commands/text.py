"""`tokens` and `trace`: what a text is made of, and how it goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from canopy_desktop.commands.loading import fitting, in_range, open_bundle, open_session
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import PromptError, TemplateError, UsageError
from canopy_desktop.exploration.generation import LISTED
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.records import Candidate, PrefillProgress, RunFinished, StepRecord, StopReason
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.chat import ChatTemplate, SystemChoice, TemplatedPrompt
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
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    if request.chat and bundle.card.chat_template is None:
        raise TemplateError("this model has none")
    template = ChatTemplate(bundle.card.chat_template) if request.chat and bundle.card.chat_template else None
    prompt = request.encoded(tokenizer, template)
    fitting(bundle, prompt.ids)
    session = open_session(bundle, arguments)
    steps, reason, metrics = _run(session, prompt, settings)
    written = [step.chosen.token_id for step in steps]
    if reason is StopReason.END_TOKEN:
        written.pop()
    return {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(prompt.ids),
        "steps": [_step(step, tokenizer, arguments.top) for step in steps],
        "text": tokenizer.decode(written),
        "stop_reason": reason.value,
        "metrics": metrics,
    }


def settings_of(arguments: argparse.Namespace) -> DecodingSettings:
    """Settings from flags: greedy unless one of the sampling flags is given. Raises `SettingsError`."""
    sampling = {
        name: value
        for name in ("temperature", "top_k", "top_p", "seed")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.greedy and sampling.keys() - {"seed"}:
        raise UsageError("--greedy always takes the likeliest token: leave out the sampling flags, or --greedy.")
    samples = bool(sampling.keys() - {"seed"}) and not arguments.greedy
    if samples:
        sampling.setdefault("temperature", 1.0)
    stop = tuple(valid_text(text) for text in arguments.stop)
    return DecodingSettings(max_tokens=arguments.max_tokens, stop=stop, **sampling)


def prompt_request(arguments: argparse.Namespace) -> PromptRequest:
    """The prompt as a request. Raises `UsageError`."""
    text = valid_text(arguments.prompt)
    if arguments.system is None:
        return PromptRequest(text=text, chat=arguments.chat)
    if not arguments.chat:
        raise UsageError("--system needs --chat: plain completion has no system message.")
    system = valid_text(arguments.system)
    choice = SystemChoice.CUSTOM if system else SystemChoice.NONE
    return PromptRequest(text=text, chat=True, system=choice, system_text=system)


def valid_text(text: str) -> str:
    """An argument as UTF-8, also where the terminal's encoding is another. Raises `PromptError`."""
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError as error:
        raise PromptError("The text is not valid UTF-8: save it as UTF-8 and pass it again.") from error


def _run(
    session: ModelSession, prompt: TemplatedPrompt, settings: DecodingSettings
) -> tuple[list[StepRecord], StopReason, dict[str, Any]]:
    generation = session.new_generation()
    generation.begin(1, prompt, settings)
    steps: list[StepRecord] = []
    prefill_ms = 0.0
    while True:
        event = generation.advance()
        match event:
            case PrefillProgress():
                prefill_ms = event.ms
            case StepRecord():
                steps.append(event)
            case RunFinished():
                break
    later = [step.ms for step in steps[1:]]
    metrics = {
        "ttft_ms": prefill_ms + steps[0].ms if steps else None,
        "tpot_ms_median": percentile(later, 50),
        "tpot_ms_p95": percentile(later, 95),
        "prefill_tokens_per_s": 1000 * len(prompt.ids) / prefill_ms,
        "kv_bytes": generation.kv_bytes,
    }
    return steps, event.reason, metrics


def percentile(values: Sequence[float], percent: float) -> float | None:
    """A percentile, or None of no values."""
    return float(np.percentile(values, percent)) if values else None


def _step(step: StepRecord, tokenizer: Tokenizer, top: int) -> dict[str, Any]:
    return {
        "position": step.position,
        "token_id": step.chosen.token_id,
        "text": tokenizer.token(step.chosen.token_id).text,
        "probability": step.chosen.probability,
        "raw_logprob": step.chosen.raw_logprob,
        "rank": step.rank,
        "end_probability": step.end_probability,
        "top": [_candidate(candidate, tokenizer) for candidate in step.candidates[:top]],
        "ms": step.ms,
    }


def _candidate(candidate: Candidate, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "id": candidate.token_id,
        "text": tokenizer.token(candidate.token_id).text,
        "logit": candidate.logit,
        "raw_logprob": candidate.raw_logprob,
        "probability": candidate.probability,
    }

"""One step of a run as JSON."""

from __future__ import annotations

from typing import Any

from canopy_desktop.decoding.output_filter import FilterFailure, FilterHit
from canopy_desktop.decoding.pipeline import NATS_TO_BITS, rest
from canopy_desktop.decoding.stopping import ContinuationCheck
from canopy_desktop.exploration.records import Candidate, Rejection, StepRecord
from canopy_desktop.model.tokenizer import Tokenizer


def step_json(step: StepRecord, tokenizer: Tokenizer, top: int) -> dict[str, Any]:
    """What is said about one step; `top`: likeliest tokens listed."""
    end, guarding = step.end, step.guarding
    return {
        "position": step.position,
        "token_id": step.chosen.token_id,
        "text": tokenizer.token(step.chosen.token_id).text,
        "probability": step.chosen.probability,
        "raw_logprob": step.chosen.raw_logprob,
        "rank": step.rank,
        "end_probability": end.probability if end else 0.0,
        "top": [_candidate(candidate, tokenizer) for candidate in step.candidates[:top]],
        "ms": step.ms,
        "rank_after": step.rank_after,
        "surprisal_bits": -step.chosen.raw_logprob * NATS_TO_BITS,
        "entropy_bits": step.entropy_bits,
        "perplexity": step.perplexity,
        "kept": step.kept,
        "not_listed": not_listed(step, top),
        "stages": [
            {"name": stage.name.value, "kept": stage.kept, "removed": stage.removed, "changed": stage.changed}
            for stage in step.stages
            if stage.active
        ],
        "draw": {"uniform": step.uniform, "low": step.low, "high": step.high},
        "end": end
        and {
            "rank": end.rank,
            "probability_after": end.probability_after,
            "rank_after": end.rank_after,
        },
        "check": check_json(step.check),
        "filter": guarding
        and {
            "hits": [hit_json(hit) for hit in guarding.hits],
            "rejected": [rejection_json(rejection, tokenizer) for rejection in guarding.rejected],
            "failures": [failure_json(failure) for failure in guarding.failures],
        },
    }


def not_listed(step: StepRecord, top: int) -> dict[str, Any]:
    """The mass of what is not among the `top` listed tokens, before and after the settings."""
    listed = step.candidates[:top]
    others = step.vocabulary - len(listed)
    left = step.kept - sum(one.probability > 0.0 for one in listed)
    return {
        "tokens": others,
        "raw_probability": rest((2.0 ** (one.raw_logprob * NATS_TO_BITS) for one in listed), others),
        "probability": rest((one.probability for one in listed), left),
    }


def check_json(check: ContinuationCheck) -> dict[str, Any]:
    """What was checked after a token."""
    return {
        "end_token": check.end_token,
        "stop": check.stop and check.stop.text,
        "filtered": check.filtered,
        "tokens": check.tokens,
        "max_tokens": check.max_tokens,
        "window_used": check.window_used,
        "window": check.window,
        "reason": check.reason and check.reason.value,
    }


def hit_json(hit: FilterHit) -> dict[str, Any]:
    """A hit of the output filter."""
    return {
        "entry": hit.entry,
        "line": hit.line,
        "start": hit.start,
        "end": hit.end,
        "text": hit.text,
        "action": hit.action.value,
    }


def failure_json(failure: FilterFailure) -> dict[str, Any]:
    """A pattern that took too long."""
    return {"entry": failure.entry, "line": failure.line, "seconds": failure.seconds}


def rejection_json(rejection: Rejection, tokenizer: Tokenizer) -> dict[str, Any]:
    """A token that the output filter did not let through."""
    return {
        "id": rejection.token_id,
        "text": tokenizer.token(rejection.token_id).text,
        "uniform": rejection.uniform,
        "hits": [hit_json(hit) for hit in rejection.hits],
    }


def _candidate(candidate: Candidate, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "id": candidate.token_id,
        "text": tokenizer.token(candidate.token_id).text,
        "logit": candidate.logit,
        "raw_logprob": candidate.raw_logprob,
        "probability": candidate.probability,
    }

"""`draws`: many seeded continuations of one text, and the first tokens' counts against their probabilities."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Any

from canopy_desktop.commands.inside import feed_prompt
from canopy_desktop.commands.loading import in_range, open_bundle, open_session
from canopy_desktop.commands.prompt import note_of, prompt_request, template_of
from canopy_desktop.commands.settings import settings_of, with_tokens
from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.frequencies import MAX_DRAWS, Frequency
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import ContextFullError
from canopy_desktop.exploration.draws import Continuation, FirstDraws, continuations, first_draws
from canopy_desktop.exploration.prompt import fit
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.tokenizer import Tokenizer


def draws(arguments: argparse.Namespace) -> dict[str, Any]:
    """Counts of the first token, and with a length of more than 1 every continuation."""
    in_range("--count", arguments.count, 1, MAX_DRAWS)
    settings = _settings(arguments)
    request = prompt_request(arguments)
    bundle = open_bundle(arguments)
    a = bundle.card.architecture
    in_range("--top", arguments.top, 0, a.vocabulary)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    settings = with_tokens(settings, arguments, tokenizer)
    prompt = request.encoded(tokenizer, template_of(bundle, request))
    fit(prompt, a.context)
    if len(prompt.ids) == a.context:
        raise ContextFullError(a.context)
    session = open_session(bundle, arguments, len(prompt.ids) + settings.max_tokens)
    logits = feed_prompt(session, prompt.ids)
    first = first_draws(logits, History(prompt.ids, end_ids=bundle.card.end_ids), settings, arguments.count)
    result = {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(prompt.ids),
        **note_of(bundle, request),
        "settings": settings_json.to_json(settings),
        **_counts(first, tokenizer, arguments.top),
    }
    if settings.max_tokens > 1:
        result |= _texts(sorted(_all(first, session), key=lambda one: one.draw))
    return result


def _settings(arguments: argparse.Namespace) -> DecodingSettings:
    """Settings from flags; what would be greedy by default draws at temperature 1. Raises what `settings_of` raises."""
    if not (arguments.greedy or arguments.settings or arguments.preset) and arguments.temperature is None:
        arguments.temperature = 1.0
    return settings_of(arguments)


def _all(first: FirstDraws, session: ModelSession) -> Iterator[Continuation]:
    for event in continuations(first, session.sequence.decoder, session.tokenizer):
        yield from event.finished


def _counts(first: FirstDraws, tokenizer: Tokenizer, top: int) -> dict[str, Any]:
    found = first.frequencies(top)
    return {
        "count": len(first.token_ids),
        "tokens": [
            {"id": token_id, "text": tokenizer.token(token_id).text} | _frequency(frequency)
            for token_id, frequency in found.tokens
        ],
        "other": {"tokens": found.other_tokens} | _frequency(found.other),
        "chi_square": found.chi_square.statistic,
        "degrees_of_freedom": found.chi_square.degrees_of_freedom,
        "p_value": found.chi_square.p_value,
    }


def _frequency(frequency: Frequency) -> dict[str, Any]:
    low, high = frequency.interval
    return {
        "predicted": frequency.predicted,
        "count": frequency.count,
        "share": frequency.share,
        "low": low,
        "high": high,
        "agrees": frequency.agrees,
    }


def _texts(found: list[Continuation]) -> dict[str, Any]:
    equal = Counter(one.token_ids for one in found)
    return {
        "distinct": len(equal),
        "continuations": [
            {
                "draw": one.draw,
                "ids": list(one.token_ids),
                "text": one.text,
                "logprob": one.total_logprob,
                "stop_reason": one.reason.value,
                "equal": equal[one.token_ids],
            }
            for one in found
        ],
    }

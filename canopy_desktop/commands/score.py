"""`score`: how likely the model found a text that somebody else wrote."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from canopy_desktop.commands.loading import fitting, open_bundle, open_session, valid_text
from canopy_desktop.commands.prompt import note_of, prompt_request, template_of
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.score import Border, ScoreSums, TokenScore, border, score, summed
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import LostByte, Tokenizer


@dataclass(frozen=True, slots=True)
class _Text:
    """Tokens, of which those from `first` on are scored."""

    ids: tuple[int, ...]
    first: int
    lost: tuple[LostByte, ...]
    border: Border | None  # of plain text in two pieces


def score_text(arguments: argparse.Namespace) -> dict[str, Any]:
    """The score of a continuation, or of a whole text."""
    request = prompt_request(arguments)
    continuation = None if arguments.continuation is None else valid_text(arguments.continuation)
    if arguments.chat and continuation is None:
        raise UsageError("--chat needs a CONTINUATION: the answer that is to be scored.")
    plain = not (request.chat or request.facts)
    if arguments.together and (continuation is None or not plain):
        raise UsageError("--together needs a plain PROMPT and a CONTINUATION, which can be encoded as one text.")
    bundle = open_bundle(arguments)
    tokenizer = Tokenizer.open(bundle.tokenizer)
    prompt = request.encoded(tokenizer, template_of(bundle, request))
    text = _text(tokenizer, prompt, continuation, plain=plain, together=arguments.together)
    fitting(bundle, text.ids)
    if text.first == len(text.ids):
        raise UsageError("The continuation is empty (0 tokens): type one, or give one text alone to score all of it.")
    session = open_session(bundle, arguments, len(text.ids))
    found = [token for piece in score(session.sequence.decoder, text.ids, text.first) for token in piece]
    first = [_first_token(tokenizer, text.ids[0])] if text.first == 0 else []
    return {
        "model": bundle.card.id,
        "provider": session.provider.name,
        "weights": bundle.card.weights.value,
        "prompt_ids": list(text.ids[: text.first]),
        **note_of(bundle, request),
        "tokens": first + [_token(token, tokenizer) for token in found],
        "sums": _sums(summed(found)),
        "border": None if text.border is None else _border(text.border, tokenizer),
        "lost": [{"offset": lost.offset, "byte": lost.byte} for lost in text.lost],
    }


def _text(
    tokenizer: Tokenizer, prompt: TemplatedPrompt, continuation: str | None, *, plain: bool, together: bool
) -> _Text:
    if continuation is None:
        return _Text(prompt.ids, 0, prompt.lost, None)
    after = tokenizer.encode(continuation, inside=True)
    offset = len(prompt.text.encode())
    lost = (*prompt.lost, *(LostByte(offset + byte.offset, byte.byte) for byte in after.lost))
    if not plain:
        return _Text(prompt.ids + after.ids, len(prompt.ids), lost, None)
    both = border(tokenizer, prompt.text, continuation)
    ids, first = (both.together, both.together_first) if together else (both.apart, both.apart_first)
    return _Text(ids, first, lost, both)


def _first_token(tokenizer: Tokenizer, token_id: int) -> dict[str, Any]:
    """Nothing stands before it, so the model has said nothing about it."""
    figures = ("logprob", "probability", "rank", "surprisal_bits", "entropy_bits", "likeliest")
    return {"position": 0, "id": token_id, "text": tokenizer.token(token_id).text} | dict.fromkeys(figures)


def _token(token: TokenScore, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "position": token.position,
        "id": token.token_id,
        "text": tokenizer.token(token.token_id).text,
        "logprob": token.logprob,
        "probability": token.probability,
        "rank": token.rank,
        "surprisal_bits": token.surprisal_bits,
        "entropy_bits": token.entropy_bits,
        "likeliest": {
            "id": token.likeliest_id,
            "text": tokenizer.token(token.likeliest_id).text,
            "logprob": token.likeliest_logprob,
        },
    }


def _sums(sums: ScoreSums | None) -> dict[str, Any] | None:
    if sums is None:
        return None
    return {
        "tokens": sums.tokens,
        "logprob": sums.total_logprob,
        "bits": sums.total_bits,
        "perplexity": sums.perplexity,
        "mean_rank": sums.mean_rank,
    }


def _border(both: Border, tokenizer: Tokenizer) -> dict[str, Any] | None:
    """The tokens that differ, and from which position on; None where there are none."""
    if both.differing is None:
        return None
    apart, together = both.differing
    return {
        "position": apart.start,
        "apart": _named(tokenizer, both.apart[apart]),
        "together": _named(tokenizer, both.together[together]),
    }


def _named(tokenizer: Tokenizer, ids: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"id": token.id, "text": token.text} for token in tokenizer.tokens(ids)]

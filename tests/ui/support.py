"""Made-up states of the window, for tests of what paints them."""

from __future__ import annotations

import numpy as np

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.attention_view import (
    AttentionReading,
    AttentionView,
    Looking,
    RowReading,
    RowView,
    look_of,
    row_view,
)
from canopy_desktop.exploration.decision_view import Bar, ChartColumn, DistributionView, Stretch, Strip
from canopy_desktop.exploration.records import PROMPT_NODE, ChosenBy
from canopy_desktop.exploration.view import Chip, MetricsView, TokenFacts, TokenRole, WindowView
from canopy_desktop.model.chat import PromptPart, TemplatedPrompt
from canopy_desktop.model.tokenizer import LostByte, Token

STUDENT = ["When", " the", " student", " finished", " the", " exam", ",", " they", " felt", " relieved", "."]
STUDENT += [" The", " student", " was"]
ANSWER = [" able", " to", " relax", " and", " enjoy", " themselves", ".", "\n", "\n", "This", " example"]
ANSWER += [" illustrates", " how", " a", " student"]


def token(text: str, token_id: int = 7, *, special: bool = False) -> Token:
    """A token with this text."""
    return Token(token_id, text, text.encode(), special)


def part_of_character(data: bytes) -> Token:
    """A token with bytes that are no whole character."""
    return Token(9, data.decode("utf-8", "replace"), data, False)


def chips_of(prompt: list[str], generated: list[str]) -> tuple[Chip, ...]:
    """Chips with ids that depend on the text."""
    texts = [*prompt, *generated]
    return tuple(
        Chip(
            position,
            token(text, 100 + sum(text.encode())),
            TokenRole.COMPLETION if position < len(prompt) else TokenRole.GENERATED,
            None if position < len(prompt) else position - len(prompt),
        )
        for position, text in enumerate(texts)
    )


def surprisal_of(count: int) -> np.ndarray:
    """Bits between 0 and 12; the first token's are unknown."""
    bits = np.abs(np.sin(np.arange(count) * 1.7)).astype(np.float32) * 9
    bits[:1] = np.nan
    return bits


def window_view(prompt: list[str] = STUDENT, generated: list[str] = ANSWER, selected: int | None = None) -> WindowView:
    """A text with its newest, or another, token selected."""
    chips = chips_of(prompt, generated)
    position = len(chips) - 1 if selected is None else selected
    return WindowView(
        chips=chips,
        surprisal=surprisal_of(len(chips)),
        selected=position if chips else None,
        facts=facts_of(chips[position], len(prompt)) if chips else None,
    )


def facts_of(chip: Chip, prompt_length: int) -> TokenFacts:
    """Figures for a chip."""
    generated = chip.node is not None
    return TokenFacts(
        chip=chip,
        step=chip.position - prompt_length + 1 if generated else None,
        probability=0.133,
        rank=1,
        surprisal_bits=2.9,
        entropy_bits=6.7,
        chosen_by=ChosenBy.GREEDY if generated else None,
    )


def distribution(*, greedy: bool = True, bars: int = 10, parent: int | None = PROMPT_NODE) -> DistributionView:
    """The first token chosen; with sampling the upper six are kept, by top-k alone."""
    texts = [" able", " not", " relieved", " no", " given", " happy", " more", " left", " proud", "\n"]
    shares = [0.133, 0.101, 0.072, 0.07, 0.029, 0.024, 0.021, 0.018, 0.015, 0.0004]
    settings = DecodingSettings() if greedy else DecodingSettings(temperature=1.0, top_k=6)
    drawn = []
    for number in range(bars):
        share = shares[number % 10]
        probabilities = (share,) if greedy else (share, share * 2.331 if number < 6 else 0.0)
        removed_by = StageName.TOP_K if not greedy and number > 5 else None
        named = token(texts[number % 10], 1730 + number)
        drawn.append(Bar(named, 22.7 - number * 0.3, number + 1, probabilities, removed_by, number == 0, number == 0))
    raw = ChartColumn(StageName.RAW, 49_152, 0, 0, 49_152 - bars, max(0.0, 1 - sum(bar.probability for bar in drawn)))
    cut = ChartColumn(StageName.TOP_K, 6, 49_146, 0, max(0, 6 - bars), 0.0)
    taken = Stretch(token(" able", 1730), 0.0, 0.31)
    return DistributionView(
        position=14,
        step=1,
        bars=tuple(drawn),
        columns=(raw,) if greedy else (raw, cut),
        parent=parent,
        settings=settings,
        used=settings,
        chosen_by=ChosenBy.GREEDY if greedy else ChosenBy.SAMPLED,
        strip=Strip((taken, Stretch(token(" not", 1731), 0.31, 0.55)), taken, None if greedy else 0.137),
        entropy_bits=6.7,
        entropy_after_bits=None if greedy else 2.2,
    )


def attention(length: int = 14, *, cell: int = 1, hide_first: bool = True, selected: int | None = 7) -> AttentionView:
    """A causal square whose rows add up to 1."""
    cells = -(-length // cell)
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(cells, cells)).astype(np.float32) * 2
    later = np.triu(np.ones((cells, cells), bool), 1)
    scores[later] = -np.inf
    values = np.exp(scores)
    if hide_first and cell == 1:
        values[:, 0] = 0
    values /= np.maximum(values.sum(axis=1, keepdims=True), 1e-9)
    values[later] = np.nan
    if hide_first and cell == 1:
        values[:, 0] = np.nan
    texts = [*STUDENT, *ANSWER]
    return AttentionView(
        whole=None,
        reading=AttentionReading(
            layer=13, head=8, hide_first=hide_first, length=length, cell=cell, values=values.astype(np.float32)
        ),
        tokens=tuple(texts[position % len(texts)] for position in range(length)),
        positions=np.arange(length),
        selected=selected,
    )


def row_of(query: int = 7, *, hide_first: bool = True, looking: Looking = Looking.HEAD) -> RowView:
    """Where a token of the student's text looks in 30 layers of 9 heads; from "they" mostly at "student"."""
    weights = np.random.default_rng(5).random((30, 9, query + 1)).astype(np.float32)
    weights[13, 8, 2] = 9.0
    weights /= weights.sum(axis=-1, keepdims=True)
    reading = RowReading(query=query, weights=weights)
    texts = [*STUDENT, *ANSWER]
    made = row_view(reading, look_of(looking, 13, 8, hide_first), np.arange(len(texts)), texts, query)
    assert made is not None
    return made


def metrics(steps: int = 40) -> MetricsView:
    """Figures of a short run."""
    step_ms = (8.4 + np.abs(np.sin(np.arange(steps) * 0.9))).astype(np.float32)
    return MetricsView(
        ttft_ms=21.0,
        tpot_ms_median=8.4,
        tpot_ms_p95=9.9,
        tokens_per_s=119.0,
        prefill_tokens_per_s=620.0,
        context_used=21,
        context=8_192,
        cache_bytes=967_680,
        columns_bytes=3_900_000,
        budget_bytes=2_000_000_000,
        memory_bytes=412_000_000,
        step_ms=step_ms,
        step_nodes=tuple(range(1, steps + 1)),
    )


def templated(texts: list[str], lost: tuple[LostByte, ...] = ()) -> tuple[TemplatedPrompt, tuple[Token, ...]]:
    """A completion prompt and its tokens."""
    tokens = tuple(token(text, 100 + number) for number, text in enumerate(texts))
    ids = tuple(part.id for part in tokens)
    text = "".join(texts)
    return TemplatedPrompt(text, ids, (PromptPart("completion", text, ids),), lost), tokens

"""How the next token is decided: one frozen value, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from canopy_desktop.errors import SettingsError

MAX_SEED = 2**63 - 1
LARGEST_SCORE = 1000.0  # of penalties and biases: beyond it nothing changes any more


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingSettings:
    """Settings of one run; each one's default changes nothing. Temperature 0 is greedy.

    Raises `SettingsError` for a value out of range, and for two that contradict one another.
    """

    temperature: float = 0.0
    top_k: int = 0  # 0: off
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()  # (token id, what is added to its logit), by id
    banned_tokens: tuple[int, ...] = ()  # by id
    min_tokens: int = 0
    max_tokens: int = 32
    stop: tuple[str, ...] = ()
    keep_stop: bool = False  # whether the stop text stays in the answer
    seed: int = 0

    def __post_init__(self) -> None:
        _in_range("Temperature", self.temperature, 0, 100)
        _require(self.top_k >= 0, "Top-k", "must be 0 (off) or more")
        _require(math.isfinite(self.top_p) and 0 < self.top_p <= 1, "Top-p", "must be above 0, up to 1")
        _in_range("Min-p", self.min_p, 0, 1)
        _require(math.isfinite(self.typical_p) and 0 < self.typical_p <= 1, "Typical-p", "must be above 0, up to 1")
        penalty = self.repetition_penalty
        _require(math.isfinite(penalty) and 0 < penalty <= 100, "Repetition penalty", "must be above 0, up to 100")
        _in_range("Presence penalty", self.presence_penalty, -LARGEST_SCORE, LARGEST_SCORE)
        _in_range("Frequency penalty", self.frequency_penalty, -LARGEST_SCORE, LARGEST_SCORE)
        self._check_tokens()
        _require(0 <= self.seed <= MAX_SEED, "Seed", f"must be 0 to {MAX_SEED}")
        _require(self.max_tokens >= 1, "Maximum of tokens", "must be 1 or more")
        _require(self.min_tokens >= 0, "Minimum of tokens", "must be 0 or more")
        _require(
            self.min_tokens <= self.max_tokens,
            "Minimum of tokens",
            f"({self.min_tokens}) is above the maximum ({self.max_tokens}): lower the one or raise the other",
        )
        _require(all(self.stop), "Stop text", "must not be empty")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temperature == 0.0

    @property
    def looks_back(self) -> bool:
        """Whether a decision depends on the tokens before."""
        penalties = (self.repetition_penalty - 1.0, self.presence_penalty, self.frequency_penalty)
        return any(penalties) or self.min_tokens > 0

    def decides_as(self, other: DecodingSettings) -> bool:
        """Whether both choose the same token from the same logits at the same place."""
        return self._deciding() == other._deciding()

    def check_vocabulary(self, size: int) -> None:
        """Raise `SettingsError` where a bias or a ban names a token that a vocabulary of `size` tokens lacks."""
        for name, ids in (("Logit bias", [i for i, _ in self.logit_bias]), ("Banned tokens", self.banned_tokens)):
            for token_id in ids:
                _require(token_id < size, name, f"must lie in the vocabulary: token {token_id} is beyond {size - 1}")

    def _deciding(self) -> DecodingSettings:
        """The same settings but for what plays no part in the choice of a token."""
        deciding = replace(self, max_tokens=max(1, self.min_tokens), stop=(), keep_stop=False)
        if not self.greedy:
            return deciding
        return replace(deciding, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0, seed=0)

    def _check_tokens(self) -> None:
        for name, ids in (("Logit bias", [i for i, _ in self.logit_bias]), ("Banned tokens", self.banned_tokens)):
            _require(all(token_id >= 0 for token_id in ids), name, "must name tokens by their ids, 0 or more")
            _require(list(ids) == sorted(set(ids)), name, "must name each token once, in order of ids")
        for _, bias in self.logit_bias:
            _in_range("Logit bias", bias, -LARGEST_SCORE, LARGEST_SCORE)
        both = {token_id for token_id, _ in self.logit_bias} & set(self.banned_tokens)
        _require(not both, "Banned tokens", f"and the logit bias both name token {min(both, default=0)}: keep one")


def changed_settings(before: DecodingSettings, after: DecodingSettings) -> tuple[str, ...]:
    """The names of the settings that differ."""
    return tuple(one.name for one in fields(before) if getattr(before, one.name) != getattr(after, one.name))


def _in_range(name: str, value: float, least: float, most: float) -> None:
    _require(math.isfinite(value) and least <= value <= most, name, f"must be {least:g} to {most:g}")


def _require(holds: bool, name: str, otherwise: str) -> None:
    if not holds:
        raise SettingsError(name, otherwise)

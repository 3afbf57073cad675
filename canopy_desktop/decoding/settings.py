"""How the next token is decided: one frozen value, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from canopy_desktop.errors import SettingsError

MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingSettings:
    """Settings of one run. Temperature 0 is greedy; `top_k` 0 and `top_p` 1 cut nothing.

    Raises `SettingsError` for a value out of range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    max_tokens: int = 32
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(math.isfinite(self.temperature) and 0 <= self.temperature <= 100, "Temperature", "0 to 100")
        _require(self.top_k >= 0, "Top-k", "0 (off) or more")
        _require(math.isfinite(self.top_p) and 0 < self.top_p <= 1, "Top-p", "above 0, up to 1")
        _require(0 <= self.seed <= MAX_SEED, "Seed", f"0 to {MAX_SEED}")
        _require(self.max_tokens >= 1, "Maximum of tokens", "1 or more")
        if any(not text for text in self.stop):
            raise SettingsError("Stop text", "must not be empty")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temperature == 0.0

    def decides_as(self, other: DecodingSettings) -> bool:
        """Whether both choose the same token from the same logits at the same position."""
        if self.greedy and other.greedy:
            return True
        return (self.temperature, self.top_k, self.top_p, self.seed) == (
            other.temperature,
            other.top_k,
            other.top_p,
            other.seed,
        )


def _require(holds: bool, name: str, allowed: str) -> None:
    if not holds:
        raise SettingsError(name, f"must be {allowed}")

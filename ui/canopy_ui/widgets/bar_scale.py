"""How long a bar is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from canopy_desktop.exploration.decision_view import DistributionView

LEAST = 1e-6  # the probability at which a logarithmic bar begins


class ScaleKind(Enum):
    """What the bars stand for."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"
    LOGITS = "logits"  # the model's own; after it, probabilities


@dataclass(frozen=True, slots=True)
class BarScale:
    """Shares of a full bar. The same for all columns, so that they can be compared."""

    kind: ScaleKind
    largest: float  # probability of a full bar
    logits: tuple[float, float]  # those of no bar and of a full one

    @classmethod
    def of(cls, view: DistributionView | None, kind: ScaleKind) -> BarScale:
        """The scale on which the longest bar of this distribution is full."""
        if view is None or not view.bars:
            return cls(kind, 1.0, (0.0, 1.0))
        shares = [share for bar in view.bars for share in bar.probabilities]
        shares += [column.others_probability for column in view.columns]
        shares += [bar.drawn.interval[1] for bar in view.bars if bar.drawn is not None]
        logits = [bar.logit for bar in view.bars if math.isfinite(bar.logit)] or [0.0]
        return cls(kind, max(shares) or 1.0, (min(logits) - 0.5, max(logits)))

    def share(self, probability: float) -> float:
        """Of a full bar."""
        if self.kind is ScaleKind.LOGARITHMIC:
            return max(0.0, 1.0 - math.log10(probability) / math.log10(LEAST)) if probability > 0.0 else 0.0
        return probability / self.largest

    def logit_share(self, logit: float) -> float:
        """Of a full bar; only differences between logits count, so it begins just below the lowest."""
        low, high = self.logits
        return max(0.0, (logit - low) / (high - low))

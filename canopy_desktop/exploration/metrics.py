"""Times and sizes of the run in hand, gathered from its events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import DoubleArray
from canopy_desktop.exploration.records import (
    ChosenBy,
    GenerationEvent,
    PrefillProgress,
    PromptAccepted,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.exploration.view import MetricsView


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What the engine keeps in memory, in bytes."""

    cache_bytes: int = 0  # keys and values
    columns_bytes: int = 0  # everything else that is kept per token
    budget_bytes: int = 0  # what both may take


class MetricsLog:
    """Adds up the events of one exploration. All times are the inference thread's own.

    TTFT, the time to the first token: the prefill, a slide where the prompt fills the window, and the first step. TPOT,
    the time per output token: the steps after it; slides are counted apart. A token that a person chose costs no
    ordinary step, so it is left out.
    """

    def __init__(self) -> None:
        self.context = 0  # tokens that the window holds
        self._clear()

    def _clear(self) -> None:
        self.footprint = Footprint()
        self._prefilled = 0
        self._prefill_ms = 0.0
        self._ttft_ms: float | None = None
        self._step_ms: list[float] = []
        self._step_nodes: list[int] = []
        self._slide_ms: list[float] = []

    @property
    def prefill_ms(self) -> float:
        """What the prefill took so far."""
        return self._prefill_ms

    def clear(self) -> None:
        """Forget the run; what the engine keeps is forgotten with it."""
        self._clear()

    def add(self, event: GenerationEvent) -> None:
        """Take note of an event. A step that was taken before must not be added again."""
        match event:
            case PromptAccepted():
                self._clear()
                self.context = event.context
            case PrefillProgress():
                self._prefilled, self._prefill_ms = event.done, event.ms
            case WindowSlid():
                self._slide_ms.append(event.ms)
            case StepRecord() if event.chosen_by is not ChosenBy.PERSON:
                if self._ttft_ms is None:
                    self._ttft_ms = self._prefill_ms + sum(self._slide_ms) + event.ms
                else:
                    self._step_ms.append(event.ms)
                    self._step_nodes.append(event.node)
            case _:
                pass

    def view(self, *, context_used: int, memory_bytes: int) -> MetricsView:
        """The figures so far."""
        steps: DoubleArray = np.array(self._step_ms, np.float64)
        return MetricsView(
            ttft_ms=self._ttft_ms,
            tpot_ms_median=float(np.median(steps)) if steps.size else None,
            tpot_ms_p95=float(np.percentile(steps, 95)) if steps.size else None,
            tokens_per_s=_per_second(steps.size, float(steps.sum())),
            prefill_tokens_per_s=_per_second(self._prefilled, self._prefill_ms),
            context_used=context_used,
            context=self.context,
            cache_bytes=self.footprint.cache_bytes,
            columns_bytes=self.footprint.columns_bytes,
            budget_bytes=self.footprint.budget_bytes,
            memory_bytes=memory_bytes,
            step_ms=steps.astype(np.float32),
            step_nodes=tuple(self._step_nodes),
            slide_ms=tuple(self._slide_ms),
        )


def _per_second(count: int, ms: float) -> float | None:
    return count * 1000.0 / ms if count and ms > 0 else None

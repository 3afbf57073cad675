"""Opening a model on the inference thread, so that the window need not wait for the engine's libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from canopy_desktop.heap import give_back
from canopy_ui.worker import Opener

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

VERIFIED_SHARE = 0.7  # of the time that opening takes, on a warm disk


def opener_of(
    name: str | None, provider: str, *, memory_budget_mb: int | None = None, tokens: int | None = None
) -> Opener:
    """Opens the model called `name`, or in the folder `name`; None is the default one, and the automatic budget.

    `tokens`: the chosen context, for which there must be room; None where nobody chose one.
    """
    budget = None if memory_budget_mb is None else memory_budget_mb * 10**6

    def open_model(progress: Callable[[float], None]) -> ModelSession:
        # Imported here, and not above: the engine takes longer to import than the window to show.
        from canopy_desktop.exploration.session import ModelSession
        from canopy_desktop.model.bundle import Bundle, find_bundle
        from canopy_desktop.model.provider import ProviderChoice

        progress(0.0)
        bundle = Bundle.open(find_bundle(name), progress=lambda share: progress(VERIFIED_SHARE * share))
        progress(VERIFIED_SHARE)
        session = ModelSession.open(bundle, ProviderChoice(provider), budget=budget, tokens=tokens)
        give_back()
        progress(1.0)
        return session

    return open_model

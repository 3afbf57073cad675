"""The catalogue as it is shown: every model with what it is, whose it is, and whether this machine holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from canopy_desktop.exploration.memory_needed import MemoryNeeded, memory_needed, usual_context
from canopy_desktop.model.bundle import Listed
from canopy_desktop.model.card import Card
from canopy_desktop.model.catalogue import Catalogue, is_own


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model. Without a card `problem` says why."""

    id: str
    folder: Path
    card: Card | None
    needed: MemoryNeeded | None  # with the chosen context
    own: bool  # it can be renamed and removed
    default: bool
    problem: str | None = None


def model_rows(found: Catalogue, *, tokens: int | None, budget: int) -> tuple[ModelRow, ...]:
    """All models, by title. `tokens`: the chosen context, None where nobody chose one; `budget`: bytes of columns."""
    rows = [_row(model, found.default.id, tokens, budget) for model in found.models]
    return tuple(sorted(rows, key=lambda row: (row.card.title.casefold() if row.card else row.id, row.id)))


def _row(model: Listed, default_id: str, tokens: int | None, budget: int) -> ModelRow:
    card = model.card
    return ModelRow(
        id=model.id,
        folder=model.folder,
        card=card,
        needed=memory_needed(card, usual_context(card, tokens), budget=budget) if card else None,
        own=is_own(model.folder),
        default=model.id == default_id,
        problem=model.problem,
    )

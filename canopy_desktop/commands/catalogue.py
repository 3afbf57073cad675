"""`models list`, `default`, `rename` and `remove`: the models that are here, and whose they are."""

from __future__ import annotations

import sys
from typing import Any

from canopy_desktop import paths
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.budget import automatic_budget
from canopy_desktop.exploration.memory_needed import memory_json, memory_needed, usual_context
from canopy_desktop.model.bundle import Listed, default_model
from canopy_desktop.model.catalogue import catalogue, choose_default, discard, is_own, rename, set_aside


def list_models() -> dict[str, Any]:
    """All bundles in the known places."""
    found = catalogue()
    budget = automatic_budget()
    return {
        "models": [_listed(model, found.default.id, budget) for model in found.models],
        "searched": [str(folder) for folder in paths.model_folders()],
        "default": found.default.id,
    }


def default(name: str | None) -> dict[str, Any]:
    """The default model, or a new one."""
    if name is not None:
        choose_default(name)
    return {"default": default_model().id}


def rename_model(name: str, new: str) -> dict[str, Any]:
    """Another id for an own model."""
    return {"id": new, "was": name, "folder": str(rename(name, new))}


def remove_model(name: str, *, sure: bool) -> dict[str, Any]:
    """Remove an own model, once a person has said so. Raises `UsageError` where nobody can be asked."""
    model = catalogue().find(name)
    found = {"id": name, "folder": str(model.folder)}
    if not sure and is_own(model.folder) and not _confirmed(model):
        return found | {"removed": False}
    discard(set_aside(name))
    return found | {"removed": True}


def _confirmed(model: Listed) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("Nobody can be asked whether the model is to go: say so with --yes.")
    sys.stderr.write(f"Remove {model.id} ({_gigabytes(model)}, {model.folder}) from the disk? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _gigabytes(model: Listed) -> str:
    return "its card cannot be read" if model.card is None else f"{model.card.bytes / 1e9:.2f} GB"


def _listed(model: Listed, default_id: str, budget: int) -> dict[str, Any]:
    card = model.card
    return {
        "id": model.id,
        "title": card.title if card else None,
        "weights": card.weights.value if card else None,
        "licence": card.licence if card else None,
        "source": card.source if card else None,
        "bytes": card.bytes if card else None,
        "context": card.architecture.context if card else None,
        "own_graph": card.architecture.is_given if card else None,
        "gives": list(card.architecture.gives) if card else None,
        "memory": memory_json(memory_needed(card, usual_context(card), budget=budget)) if card else None,
        "folder": str(model.folder),
        "own": is_own(model.folder),
        "default": model.id == default_id,
        "problem": model.problem,
    }

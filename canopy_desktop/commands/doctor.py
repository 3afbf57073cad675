"""`doctor`: what this installation is made of, and whether it can run."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from canopy_desktop import __version__
from canopy_desktop.errors import CanopyError
from canopy_desktop.exploration.budget import automatic_budget
from canopy_desktop.exploration.memory_needed import memory_json, memory_needed, usual_context
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.bundle import Bundle, find_bundle
from canopy_desktop.model.nvidia import CudaFacts, GraphicsCard, cuda_facts
from canopy_desktop.model.provider import ProviderChoice, Refusal, judge

LIBRARIES = (
    "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "tokenizers", "gguf", "Jinja2", "PySide6-Essentials",
    "pyqtgraph", "nvidia-cublas", "nvidia-cuda-runtime", "nvidia-curand",
)  # fmt: skip


def doctor(arguments: argparse.Namespace) -> dict[str, Any]:
    """Versions, provider and why, the cards, libraries, memory, and a check of the model that would run."""
    memory = psutil.virtual_memory()
    found: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": psutil.cpu_count(logical=True),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "memory": {"total_mb": memory.total / 1e6, "available_mb": memory.available / 1e6},
        "provider": None,
        "provider_reason": None,
        "cuda": _cuda(cuda_facts()),
        "model": {"id": None, "folder": None, "problem": None, "memory": None},
    }
    try:
        folder = find_bundle(arguments.model)
        found["model"] |= {"id": folder.name, "folder": str(folder)}
        bundle = Bundle.open(folder)
        needed = memory_needed(bundle.card, usual_context(bundle.card), budget=automatic_budget())
        found["model"]["memory"] = memory_json(needed)
        session = ModelSession.open(bundle, ProviderChoice(arguments.provider))
        found["model"]["id"] = session.card.id
        found["provider"], found["provider_reason"] = session.provider.name, session.provider.reason
    except CanopyError as error:
        found["model"]["problem"] = str(error)
    return found | {"failed": int(found["model"]["problem"] is not None)}


def _cuda(facts: CudaFacts) -> dict[str, Any]:
    """What decides on a card, whatever the model; the problem is None where one can be used."""
    found = judge(facts, needed_bytes=0)
    return {
        "built_in": facts.built_in,
        "has_driver": facts.has_driver,
        "driver": facts.driver,
        "cards": [_card(card) for card in facts.cards],
        "missing_libraries": None if facts.missing_libraries is None else list(facts.missing_libraries),
        "problem": found.problem.value if isinstance(found, Refusal) else None,
        "advice": found.sentence if isinstance(found, Refusal) else None,
    }


def _card(card: GraphicsCard) -> dict[str, Any]:
    return {
        "index": card.index,
        "name": card.name,
        "capability": "{}.{}".format(*card.capability),
        "total_mb": card.memory and card.memory.total / 1e6,
        "free_mb": card.memory and card.memory.free / 1e6,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

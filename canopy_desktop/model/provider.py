"""Which execution provider runs the model, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import onnxruntime as ort

from canopy_desktop.errors import CardMemoryError, EngineError, ProviderError
from canopy_desktop.model.nvidia import CUDA, CudaFacts, GraphicsCard, cuda_facts, missing_libraries

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
QUIET = 3  # onnxruntime's severity "error"
SILENT = 4  # "fatal"
# It adds a bias to a sum instead of to what is added: where that is looked at, it would round otherwise.
NOT_FUSED = ["BiasSkipLayerNormFusion"]
OLDEST_DRIVER = 580  # what CUDA 13 needs, for which onnxruntime-gpu is built
OLDEST_CAPABILITY = (7, 5)

# CUDA's, cuBLAS's and the two of onnxruntime's arena, the second where a limit was set.
_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "failed to allocate memory", "available memory of")

_NOT_WHOLE = "fallback to CPU EP has been explicitly disabled"


class ProviderChoice(Enum):
    """What the person asks for."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class CudaProblem(Enum):
    """Why a model does not run on a card."""

    NOT_BUILT_IN = "not_built_in"
    NO_DRIVER = "no_driver"
    OLD_DRIVER = "old_driver"
    NO_CARD = "no_card"
    OLD_CARD = "old_card"
    MISSING_LIBRARY = "missing_library"
    LITTLE_MEMORY = "little_memory"
    NO_FORM = "no_form"
    OWN_GRAPH = "own_graph"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem, and what it is about."""

    problem: CudaProblem
    detail: str = ""  # a version, a card and its numbers, names of files, or an error's text without its full stop

    @property
    def sentence(self) -> str:
        """One sentence with a remedy."""
        return f"{self._trouble()}, so the CPU is used: {_REMEDIES[self.problem]}."

    def _trouble(self) -> str:
        match self.problem:
            case CudaProblem.NOT_BUILT_IN:
                return "This onnxruntime was built without CUDA"
            case CudaProblem.NO_DRIVER:
                return "No NVIDIA driver was found"
            case CudaProblem.OLD_DRIVER:
                return f"The NVIDIA driver is version {self.detail}, and CUDA 13 needs {OLDEST_DRIVER} or newer"
            case CudaProblem.NO_CARD:
                return "The NVIDIA driver finds no card that can be used"
            case CudaProblem.OLD_CARD:
                return f"The card is too old for CUDA 13 ({self.detail})"
            case CudaProblem.MISSING_LIBRARY:
                return f"These libraries of NVIDIA cannot be loaded ({self.detail})"
            case CudaProblem.LITTLE_MEMORY:
                return f"The card has too little free memory ({self.detail})"
            case CudaProblem.NO_FORM:
                return "This model was built by an older version, without a form for the card"
            case CudaProblem.OWN_GRAPH:
                return "This model runs as its own graph, of which there is no form for the card"
            case CudaProblem.FAILED:
                return f"The card could not be used ({self.detail})"


_REMEDIES = {
    CudaProblem.NOT_BUILT_IN: "the package onnxruntime-gpu, for Linux and Windows on x86-64, has it",
    CudaProblem.NO_DRIVER: f"an NVIDIA card needs NVIDIA's driver, version {OLDEST_DRIVER} or newer",
    CudaProblem.OLD_DRIVER: "install a newer driver",
    CudaProblem.NO_CARD: "see what nvidia-smi says, restart after a new driver, and unset CUDA_VISIBLE_DEVICES",
    CudaProblem.OLD_CARD: "compute capability {}.{} or newer is needed".format(*OLDEST_CAPABILITY),
    CudaProblem.MISSING_LIBRARY: "install the extra 'cuda' (in a source folder: 'make setup CUDA=1')",
    CudaProblem.LITTLE_MEMORY: "close other programs that use the card, or choose a smaller context",
    CudaProblem.NO_FORM: "build it again with 'canopy-desktop models build'",
    CudaProblem.OWN_GRAPH: "models that are built here have one",
    CudaProblem.FAILED: "'canopy-desktop doctor' tells what is there",
}


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What is really used."""

    name: str  # "cpu" or "cuda"
    reason: str  # one sentence
    card: GraphicsCard | None = None  # with "cuda", the one that runs the model
    refusal: Refusal | None = None  # with "cpu", why it is not a card, unless the CPU was asked for


def judge(facts: CudaFacts, needed_bytes: int) -> GraphicsCard | Refusal:
    """The first card, in CUDA's order, that can run a model of `needed_bytes`, or what is in the way.

    What could not be found out is not in the way: the session itself will tell.
    """
    if not facts.built_in:
        return Refusal(CudaProblem.NOT_BUILT_IN)
    if not facts.has_driver:
        return Refusal(CudaProblem.NO_DRIVER)
    if facts.driver is not None and _is_old(facts.driver):
        return Refusal(CudaProblem.OLD_DRIVER, facts.driver)
    if not facts.cards:
        return Refusal(CudaProblem.NO_CARD)
    young = [card for card in facts.cards if card.capability >= OLDEST_CAPABILITY]
    if not young:
        newest = max(facts.cards, key=lambda card: card.capability)
        return Refusal(CudaProblem.OLD_CARD, "{}: {}.{}".format(newest.name, *newest.capability))
    if facts.missing_libraries:
        return Refusal(CudaProblem.MISSING_LIBRARY, ", ".join(facts.missing_libraries))
    fitting = [card for card in young if card.memory is None or card.memory.free >= needed_bytes]
    if fitting:
        return fitting[0]
    free, name = max((card.memory.free, card.name) for card in young if card.memory)
    return Refusal(CudaProblem.LITTLE_MEMORY, f"{name}: {free / 1e6:,.0f} of {needed_bytes / 1e6:,.0f} MB needed")


def choose_provider(
    choice: ProviderChoice,
    *,
    has_cuda_form: bool = False,
    without_form: CudaProblem = CudaProblem.NO_FORM,
    needed_bytes: int = 0,
    gather: Callable[..., CudaFacts] = cuda_facts,
) -> ProviderReport:
    """The provider to run a model on, and why.

    `has_cuda_form`: the bundle has a graph for a card, and `without_form` is why it lacks one; `needed_bytes` of the
    card's memory are needed to run it. If the session on the card fails after all, `cpu_instead` makes the report.
    """
    if choice is ProviderChoice.CPU:
        return ProviderReport("cpu", "The CPU was asked for.")
    found = judge(gather(load_libraries=has_cuda_form), needed_bytes)
    if isinstance(found, Refusal):
        return cpu_instead(choice, found)
    if not has_cuda_form:
        return cpu_instead(choice, Refusal(without_form))
    return ProviderReport("cuda", f"{found.name} runs the model.", card=found)


def cpu_instead(choice: ProviderChoice, refusal: Refusal) -> ProviderReport:
    """The CPU, because a card is not possible; a warning in the log if it was asked for."""
    if choice is ProviderChoice.CUDA:
        logger.warning("CUDA was asked for. %s", refusal.sentence)
    return ProviderReport("cpu", refusal.sentence, refusal=refusal)


@cache
def share_threads(count: int = 0) -> None:
    """Make the threads that all sessions share, 0 for one a core; `count` counts before the first session alone.

    Sessions take turns: two pools of threads that wait for work in a loop would take the cores from one another.
    """
    ort.set_global_thread_pool_sizes(count, 1)


def open_session(
    model: Path | bytes,
    *,
    card: GraphicsCard | None = None,
    as_written: bool = False,
    beside: Path | None = None,
) -> ort.InferenceSession:
    """A session of a graph in a file or in memory, on the CPU, or on `card` with every node of the graph.

    `as_written`: every node as it stands there, and nothing computed before a run. `beside`: the folder with the
    weights of a graph in memory.

    Raises `ProviderError` or `CardMemoryError`; never a session on another provider than asked for.
    """
    if not share_threads.cache_info().currsize:
        share_threads()
    options = ort.SessionOptions()
    options.log_severity_level = QUIET if card is None and not as_written else SILENT  # what it prints it also raises
    if as_written:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if beside is not None:
        options.add_session_config_entry(EXTERNAL_FOLDER, str(beside))
    options.use_per_session_threads = False
    name, provider = ("cpu", CPU) if card is None else ("cuda", CUDA)
    wanted: str | tuple[str, dict[str, str]] = provider
    if card is not None:
        missing_libraries()  # loads what is there
        ort.set_default_logger_severity(SILENT)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        wanted = (provider, _cuda_options(card))
    try:
        session = ort.InferenceSession(
            model, options, providers=[wanted], enable_fallback=False, disabled_optimizers=NOT_FUSED
        )
    except Exception as error:  # onnxruntime has no public base class of its errors
        raise provider_error(name, error) from error
    active = session.get_providers()[0]
    if active != provider:
        raise ProviderError(name, f"onnxruntime took {active} instead")
    return session


def provider_error(provider: str, error: Exception) -> EngineError:
    """What an error of onnxruntime on "cpu" or "cuda" means."""
    if provider == "cuda" and any(words in str(error).lower() for words in _OUT_OF_MEMORY):
        return CardMemoryError()
    if _NOT_WHOLE in str(error):
        return ProviderError(provider, "it did not load, or cannot run every node of the graph")
    return ProviderError(provider, first_line(error))


def first_line(error: Exception) -> str:
    """The first line of an error's text, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _cuda_options(card: GraphicsCard) -> dict[str, str]:
    return {
        "device_id": str(card.index),
        "arena_extend_strategy": "kSameAsRequested",  # the other strategy doubles, on a card that others use too
        "use_tf32": "0",  # fp32 is to mean fp32
    }


def _is_old(driver: str) -> bool:
    major = driver.split(".")[0]
    return major.isdigit() and int(major) < OLDEST_DRIVER

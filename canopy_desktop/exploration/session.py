"""A loaded model: everything that a run and a look at it need."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from canopy_desktop.errors import EngineError, NotGivenError, ProviderError, TemplateError
from canopy_desktop.exploration.budget import automatic_budget
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.memory_needed import require_memory, usual_context
from canopy_desktop.exploration.reader import ColumnReader
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.trial import Trial
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Card, GraphForm, WeightForm
from canopy_desktop.model.chat import ChatTemplate
from canopy_desktop.model.decoder import OnnxDecoder, PassRunner, bytes_on_card, check_runner
from canopy_desktop.model.device import HOST
from canopy_desktop.model.given_pass import INSIDE
from canopy_desktop.model.provider import (
    CudaProblem,
    ProviderChoice,
    ProviderReport,
    Refusal,
    choose_provider,
    cpu_instead,
)
from canopy_desktop.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from canopy_desktop.exploration.inside import InsideReader
    from canopy_desktop.exploration.inside_view import InsideLooker
    from canopy_desktop.exploration.searcher import Searcher

logger = logging.getLogger(__name__)


class ModelSession:
    """A bundle in memory, with one decoder and its cache."""

    def __init__(
        self,
        bundle: Bundle,
        provider: ProviderReport,
        runner: PassRunner,
        context: int | None = None,
        *,
        exact: bool = False,
        budget: int | None = None,
    ) -> None:
        """`runner` is of this bundle; see `open` for the rest."""
        self.bundle = bundle
        self.card: Card = bundle.card
        self.provider = provider
        self.tokenizer = Tokenizer.open(bundle.tokenizer)
        self.template = _template(bundle.card)
        decoder = OnnxDecoder(bundle, context=context, runner=runner)
        self.head = decoder.head
        self._runner = runner
        self._precision = _precision(bundle.card.weights, runner.form, exact=exact)
        self._budget = budget
        self.sequence = TokenSequence(decoder, self._new_columns(), budget=budget)

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        provider: ProviderChoice = ProviderChoice.AUTO,
        *,
        context: int | None = None,
        exact: bool = False,
        budget: int | None = None,
        tokens: int | None = None,
    ) -> ModelSession:
        """Load a verified bundle; takes a second or so. `context` makes the window smaller than the model's.

        `exact` keeps all columns in 32 bits; else 8-bit weights have queries and early residuals in 16, as they always
        are on a card. `budget`: bytes of columns and cache, None for what `automatic_budget` finds at each
        exploration's beginning. `tokens`: how long a text will be, None for a long one; it has to find room.

        Raises `MemoryNeededError`, `ProviderError` or `BundleError`.
        """
        report, runner = _running(bundle, provider, context, partial(_check_memory, bundle, exact, budget, tokens))
        return cls(bundle, report, runner, context, exact=exact, budget=budget)

    def new_generation(self) -> Generation:
        """The one that writes; for the inference thread. A second one shares the cache, so make only one."""
        return Generation(self.sequence, self.head, self.card.end_ids, self.tokenizer)

    def new_sequence(self) -> TokenSequence:
        """One with a cache and columns of its own, so that what was written is left alone; for the inference thread."""
        return TokenSequence(self.sequence.decoder.sibling(), self._new_columns(), budget=self._budget)

    def new_reader(self) -> ColumnReader:
        """One that reads what was written, for any one thread."""
        return ColumnReader(self.sequence, self.head)

    @property
    def attention_bytes_per_token(self) -> int:
        """Bytes that a file takes to keep one token's attention; 0 where the model gives no queries."""
        queries = self.sequence.columns.bytes_of[Kept.QUERIES]
        return queries and queries + self.sequence.decoder.cache.bytes_per_token // 2  # half of it are values

    def new_trial(self) -> Trial:
        """One that runs texts beside what was written, for the inference thread."""
        return Trial(self.sequence.decoder.sibling())

    def new_searcher(self) -> Searcher:
        """One that searches beside what was written, for the inference thread."""
        from canopy_desktop.exploration.searcher import Searcher

        return Searcher(self)

    def new_inside(self) -> InsideReader:
        """One that looks into single steps, for the inference thread. Raises `NotGivenError`."""
        if self.card.architecture.is_given:
            raise NotGivenError(INSIDE)
        # imported here: nothing else at the window's start needs ONNX
        from canopy_desktop.exploration.inside import InsideReader
        from canopy_desktop.model.weight_map import WeightMap

        return InsideReader(self.sequence, self.head, WeightMap(self.bundle))

    def new_looker(self) -> InsideLooker:
        """One that makes what the window shows of single steps, for the inference thread. Raises `NotGivenError`."""
        from canopy_desktop.exploration.inside_view import InsideLooker

        return InsideLooker(self.new_inside(), self.tokenizer)

    def _new_columns(self) -> ColumnStore:
        return ColumnStore(
            self.card.architecture, precision=self._precision, form=self._runner.form, memory=self._runner.memory
        )


def _check_memory(bundle: Bundle, exact: bool, budget: int | None, tokens: int | None) -> None:
    """Raise `MemoryNeededError` unless the machine holds the model with a text of so many tokens."""
    card = bundle.card
    wanted = automatic_budget() if budget is None else budget
    require_memory(card, usual_context(card, tokens), free=HOST.free(), budget=wanted, is_exact=exact)


def _running(
    bundle: Bundle, choice: ProviderChoice, context: int | None, check_memory: Callable[[], None]
) -> tuple[ProviderReport, PassRunner]:
    """The model on a card where that is wanted and works, else on the CPU, if it has room there, and why."""
    report = choose_provider(
        choice,
        has_cuda_form=bundle.cuda_decoder is not None,
        without_form=CudaProblem.OWN_GRAPH if bundle.card.architecture.is_given else CudaProblem.NO_FORM,
        needed_bytes=bytes_on_card(bundle, context),
    )
    if report.card is not None:
        try:
            runner = PassRunner.open(bundle, report.card)
            check_runner(runner, PassRunner.open(bundle), bundle)
            return report, runner
        except EngineError as error:
            detail = error.reason if isinstance(error, ProviderError) else "its memory is full"
            report = cpu_instead(choice, Refusal(CudaProblem.FAILED, detail))
    check_memory()
    return report, PassRunner.open(bundle)


def _precision(weights: WeightForm, form: GraphForm, *, exact: bool) -> type[np.floating]:
    if form is GraphForm.CUDA:
        return form.kept
    return np.float32 if exact or weights is not WeightForm.INT8 else np.float16


def _template(card: Card) -> ChatTemplate | None:
    """The chat template; None where there is none, or one that cannot be used, so that completion still works."""
    try:
        if card.chat_template is None:
            return None
        return ChatTemplate(card.chat_template, special_tokens=dict(card.template_variables))
    except TemplateError as error:
        logger.warning("%s", error)
        return None

"""A loaded model: everything that a run and a look at it need."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from canopy_desktop.errors import TemplateError
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.generation import Generation
from canopy_desktop.exploration.reader import ColumnReader
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.trial import Trial
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.card import Card, WeightForm
from canopy_desktop.model.chat import ChatTemplate
from canopy_desktop.model.decoder import OnnxDecoder
from canopy_desktop.model.provider import ProviderChoice, ProviderReport, choose_provider
from canopy_desktop.model.rope import rope_tables
from canopy_desktop.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from canopy_desktop.exploration.inside import InsideReader

logger = logging.getLogger(__name__)


class ModelSession:
    """A bundle in memory, with one decoder and its cache."""

    def __init__(
        self, bundle: Bundle, provider: ProviderReport, context: int | None, *, exact: bool, budget: int | None
    ) -> None:
        self.bundle = bundle
        self.card: Card = bundle.card
        self.provider = provider
        self.tokenizer = Tokenizer.open(bundle.tokenizer)
        self.template = _template(bundle.card)
        decoder = OnnxDecoder(bundle, context=context)
        self.head = decoder.head
        precision = np.float32 if exact or bundle.card.weights is WeightForm.FP32 else np.float16
        columns = ColumnStore(bundle.card.architecture, precision=precision)
        self.sequence = TokenSequence(decoder, columns, budget=budget)

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        provider: ProviderChoice = ProviderChoice.AUTO,
        *,
        context: int | None = None,
        exact: bool = False,
        budget: int | None = None,
    ) -> ModelSession:
        """Load a verified bundle; takes a second or so. `context` makes the window smaller than the model's.

        `exact` keeps all columns in 32 bits; else 8-bit weights have queries and early residuals in 16. `budget`: bytes
        of columns and cache, None for what `automatic_budget` finds at each exploration's beginning.

        Raises `ProviderError` or `BundleError`.
        """
        return cls(bundle, choose_provider(provider), context, exact=exact, budget=budget)

    def new_generation(self) -> Generation:
        """The one that writes; for the inference thread. A second one shares the cache, so make only one."""
        return Generation(self.sequence, self.head, self.card.end_ids, self.tokenizer)

    def new_reader(self) -> ColumnReader:
        """One that reads what was written, for any one thread."""
        return ColumnReader(self.sequence, self.head, rope_tables(self.card.architecture))

    def new_trial(self) -> Trial:
        """One that runs texts beside what was written, for the inference thread."""
        return Trial(self.sequence.decoder.sibling())

    def new_inside(self) -> InsideReader:
        """One that looks into single steps, for the inference thread."""
        # imported here: nothing else at the window's start needs ONNX
        from canopy_desktop.exploration.inside import InsideReader
        from canopy_desktop.model.weight_map import WeightMap

        return InsideReader(self.sequence, self.head, WeightMap(self.bundle), rope_tables(self.card.architecture))


def _template(card: Card) -> ChatTemplate | None:
    """The chat template; None where there is none, or one that cannot be used, so that completion still works."""
    try:
        return None if card.chat_template is None else ChatTemplate(card.chat_template)
    except TemplateError as error:
        logger.warning("%s", error)
        return None

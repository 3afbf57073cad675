"""The output filter at work in one run: it reads the text as it grows, and rejects tokens where it re-draws."""

from __future__ import annotations

from collections.abc import Sequence

from canopy_desktop.decoding.output_filter import MAX_REDRAWS, FilterAction, FilterFailure, OutputFilter
from canopy_desktop.decoding.pipeline import Choice, Distribution, choose
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import TextStream
from canopy_desktop.errors import NothingLeftError
from canopy_desktop.exploration.records import Guarding, Rejection
from canopy_desktop.model.tokenizer import Tokenizer


class Guard:
    """Chooses tokens under a filter, or without one. Reads all of the generated text, also from before the run."""

    def __init__(self, output_filter: OutputFilter | None, before: bytes = b"") -> None:
        """`before`: what was generated before this run."""
        self.output_filter = output_filter  # as it was given: patterns that took too long are left out beside it
        self._working = output_filter
        self._written = TextStream(before if output_filter else b"")
        self._failures: tuple[FilterFailure, ...] = ()  # found while choosing the token that comes next
        self._refused: tuple[Rejection, ...] = ()  # at a place where no token was let through

    def choose(
        self, found: Distribution, settings: DecodingSettings, position: int, tokenizer: Tokenizer
    ) -> tuple[Choice | None, tuple[Rejection, ...]]:
        """The next token, and those that were rejected before it; None where `MAX_REDRAWS` did not find one."""
        rejected: list[Rejection] = []
        while True:
            if len(rejected) > MAX_REDRAWS:
                self._refused = tuple(rejected)
                return None, self._refused
            try:
                choice = choose(found, settings, position, rejected=[before.token_id for before in rejected])
            except NothingLeftError:
                self._refused = tuple(rejected)
                return None, self._refused
            if self._working is None or self._working.action is not FilterAction.REDRAW:
                return choice, ()
            text = self._written.preview(tokenizer.token(choice.token_id).data)
            check = self._working.check(self._written.text, text)
            self._leave_out(check.failures)
            if not check.hits:
                return choice, tuple(rejected)
            rejected.append(Rejection(choice.token_id, choice.uniform, check.hits))

    def take(self, data: bytes, rejected: Sequence[Rejection] = ()) -> Guarding | None:
        """The next token's bytes, and what the filter makes of them; None without one."""
        if self.output_filter is None or self._working is None:
            return None
        before = self._written.text
        self._written.add(data)
        check = self._working.check(before, self._written.text)
        self._leave_out(check.failures)
        failures, self._failures = self._failures, ()
        return Guarding(self.output_filter, check.hits, failures, tuple(rejected))

    def finish(self) -> Guarding | None:
        """What becomes a hit where the text ends, and tokens that could not be replaced; None without a filter."""
        if self.output_filter is None or self._working is None:
            return None
        check = self._working.check(self._written.text, self._written.text, final=True)
        return Guarding(self.output_filter, check.hits, check.failures, self._refused)

    def _leave_out(self, failures: tuple[FilterFailure, ...]) -> None:
        if failures and self._working is not None:
            self._working = self._working.without(failures)
            self._failures += failures

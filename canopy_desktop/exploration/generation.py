"""Generating: a prompt is prefilled in chunks, then one token at a time is decided."""

from __future__ import annotations

import time
from collections.abc import Sequence

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.pipeline import Choice, Distribution, choose, distribution
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopWatch
from canopy_desktop.errors import EmptyPromptError, PromptTooLongError
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    Candidate,
    ChosenBy,
    PrefillProgress,
    PromptAccepted,
    RunFinished,
    Slot,
    StepRecord,
    StopReason,
)
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.decoder import chunks_of
from canopy_desktop.model.head import Head
from canopy_desktop.model.tokenizer import Tokenizer

LISTED = 50  # candidates that a record keeps


class Generation:
    """One exploration in the making. Lives on the inference thread, but for `interrupt`, `hold` and `release`."""

    def __init__(self, sequence: TokenSequence, head: Head, end_ids: Sequence[int], tokenizer: Tokenizer) -> None:
        self._sequence = sequence
        self._head = head
        self._end_ids = tuple(end_ids)
        self._tokenizer = tokenizer
        self._settings = DecodingSettings()
        self._stop = StopWatch(self._settings)
        self._run_id = 0
        self._steps_in_run = 0
        self._prefill_ms = 0.0
        self._chunks: list[int] = []
        self._logits: FloatArray | None = None  # after `_logits_node`'s own token
        self._logits_node = PROMPT_NODE
        self.exploration: Exploration | None = None

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values of the tokens in the cache."""
        return len(self._sequence) * self._sequence.decoder.architecture.kv_bytes_per_token

    @property
    def columns_bytes(self) -> int:
        """Bytes of the queries, residuals, and keys and values of left branches."""
        return self._sequence.columns.bytes

    @property
    def context(self) -> int:
        """Positions that the context holds."""
        return self._sequence.decoder.context

    def begin(self, run_id: int, prompt: TemplatedPrompt, settings: DecodingSettings) -> PromptAccepted:
        """Forget the exploration before and begin a new one. Raises `EmptyPromptError` or `PromptTooLongError`."""
        if not prompt.ids:
            raise EmptyPromptError
        if len(prompt.ids) > self.context:
            raise PromptTooLongError(len(prompt.ids), self.context)
        self._sequence.forget()
        self.exploration = Exploration(prompt)
        self._chunks = chunks_of(len(prompt.ids))
        self._prefill_ms = 0.0
        self._logits = None
        self.resume(run_id, settings)
        return PromptAccepted(run_id=run_id, prompt=prompt, context=self.context)

    def resume(self, run_id: int, settings: DecodingSettings) -> None:
        """Go on from the cursor as a new run: its own settings, and its tokens counted from here."""
        self._run_id = run_id
        self._settings = settings
        self._steps_in_run = 0
        self._stop = StopWatch(settings)

    def advance(self) -> PrefillProgress | StepRecord | RunFinished:
        """One chunk of the prompt, one token, or the end of the run.

        Where a person's choice was walked last, or the settings already led somewhere from the cursor, that record is
        walked to and nothing is run. Raises `InterruptedStepError`, `OutOfMemoryError` or `ProviderError`; then the
        exploration is as before.
        """
        exploration = self._exploring()
        if self._chunks:
            return self._prefill(exploration)
        if (reason := self._reason_to_stop(exploration)) is not None:
            return RunFinished(run_id=self._run_id, reason=reason)
        known = exploration.known_step(exploration.cursor, self._settings)
        if known is not None:
            exploration.go_to(known.node)
            return self._count(known)
        return self._count(self._decide(exploration, exploration.cursor, None))

    def choose(self, run_id: int, parent: int, token_id: int) -> StepRecord:
        """A person's choice of the token after `parent`: walks to it if it is there, else adds a branch."""
        exploration = self._exploring()
        self._run_id = run_id
        known = exploration.child_with_token(parent, token_id)
        if known is not None:
            exploration.go_to(known.node)
            return known
        exploration.go_to(parent)
        return self._decide(exploration, parent, token_id)

    def go_to(self, node: int) -> None:
        """Stand on a node. Runs nothing; the cache follows when the next token needs it."""
        self._exploring().go_to(node)

    def interrupt(self) -> None:
        """Abort the pass in progress, if any. Thread-safe."""
        self._sequence.decoder.interrupt()

    def hold(self) -> None:
        """Abort the pass in progress, and every one that begins, until `release`. Thread-safe."""
        self._sequence.decoder.hold()

    def release(self) -> None:
        """Let passes run again. Thread-safe."""
        self._sequence.decoder.release()

    def _exploring(self) -> Exploration:
        if self.exploration is None:
            raise EmptyPromptError
        return self.exploration

    def _prefill(self, exploration: Exploration) -> PrefillProgress:
        done = len(exploration.prompt_slots)
        ids = exploration.prompt.ids[done : done + self._chunks[0]]
        began = time.perf_counter()
        slots, logits = self._sequence.feed(ids)
        self._prefill_ms += 1000 * (time.perf_counter() - began)
        self._chunks.pop(0)
        exploration.prompt_slots.extend(slots)
        self._logits, self._logits_node = logits, PROMPT_NODE
        return PrefillProgress(
            run_id=self._run_id,
            done=done + len(ids),
            total=len(exploration.prompt.ids),
            ms=self._prefill_ms,
            slots=slots,
        )

    def _reason_to_stop(self, exploration: Exploration) -> StopReason | None:
        if self._steps_in_run:
            last = exploration.record(exploration.cursor).chosen.token_id
            if last in self._end_ids:
                return StopReason.END_TOKEN
            if self._stop.found:
                return StopReason.STOP_SEQUENCE
        if self._steps_in_run >= self._settings.max_tokens:
            return StopReason.MAX_TOKENS
        steps = exploration.depth(exploration.cursor)
        return StopReason.CONTEXT_FULL if len(exploration.prompt.ids) + steps >= self.context else None

    def _count(self, record: StepRecord) -> StepRecord:
        self._steps_in_run += 1
        self._stop.add(self._tokenizer.token(record.chosen.token_id).data)
        return record

    def _decide(self, exploration: Exploration, node: int, token_id: int | None) -> StepRecord:
        began = time.perf_counter()
        logits, source = self._logits_after(exploration, node)
        found = distribution(logits, self._settings)
        position = len(exploration.prompt.ids) + exploration.depth(node)
        choice = choose(found, self._settings, position) if token_id is None else Choice(token_id, None)
        by_person = token_id is not None
        record = self._record(exploration, node, position, source, found, choice, began, by_person=by_person)
        exploration.add(record)
        return record

    def _logits_after(self, exploration: Exploration, node: int) -> tuple[FloatArray, Slot]:
        """Logits after a node's own token, and its column: remembered, computed again, or by a pass."""
        slots = exploration.slots(node)
        if node != PROMPT_NODE and exploration.own_slot(node) is None:
            self._sequence.go_to(slots)
            fed, logits = self._sequence.feed([exploration.record(node).chosen.token_id])
            self._logits, self._logits_node = logits, node
            return logits, fed[0]
        if self._logits is None or self._logits_node != node:
            residual = self._sequence.columns.residuals(slots[-1:], -1)
            self._logits, self._logits_node = self._head.logits(residual)[0], node
        return self._logits, int(slots[-1])

    def _record(
        self,
        exploration: Exploration,
        parent: int,
        position: int,
        source: Slot,
        found: Distribution,
        choice: Choice,
        began: float,
        *,
        by_person: bool,
    ) -> StepRecord:
        decided = ChosenBy.GREEDY if self._settings.greedy else ChosenBy.SAMPLED
        return StepRecord(
            run_id=self._run_id,
            node=exploration.next_node(),
            parent=parent,
            position=position,
            chosen=candidate(found, choice.token_id),
            rank=found.rank(choice.token_id),
            chosen_by=ChosenBy.PERSON if by_person else decided,
            candidates=tuple(candidate(found, int(token_id)) for token_id in found.top(LISTED)),
            vocabulary=found.logits.size,
            kept=found.kept,
            entropy_bits=found.entropy_bits(),
            end_probability=found.raw_probability(self._end_ids),
            uniform=choice.uniform,
            settings=self._settings,
            source=source,
            ms=1000 * (time.perf_counter() - began),
        )


def candidate(found: Distribution, token_id: int) -> Candidate:
    """One token's figures in a distribution."""
    return Candidate(
        token_id, float(found.logits[token_id]), found.raw_logprob(token_id), float(found.probabilities[token_id])
    )

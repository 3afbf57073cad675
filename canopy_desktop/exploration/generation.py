"""Generating: a prompt is prefilled in chunks, then one token at a time is decided."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.decoding.output_filter import FilterAction, OutputFilter
from canopy_desktop.decoding.pipeline import History, chosen, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck, RunWatch, StopReason
from canopy_desktop.errors import ContextFullError, EmptyPromptError
from canopy_desktop.exploration.deciding import Place, step_record
from canopy_desktop.exploration.guard import Guard
from canopy_desktop.exploration.kept import KeptExploration
from canopy_desktop.exploration.prompt import fit
from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    ChosenBy,
    Guarding,
    Kept,
    PrefillProgress,
    PromptAccepted,
    RemakeProgress,
    ReplayProgress,
    RunFinished,
    RunPaused,
    SlideProgress,
    Slot,
    StepRecord,
    WindowSlid,
)
from canopy_desktop.exploration.replay import Replay
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.exploration.slide import SlideUnderWay
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.exploration.window import ContextWindow, WhenFull, dropped_by_slide
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.decoder import chunks_of
from canopy_desktop.model.head import Head
from canopy_desktop.model.tokenizer import Tokenizer

MODELS_OWN = ContextWindow()


class Generation:
    """One exploration in the making. Lives on the inference thread, but for `interrupt`, `hold` and `release`."""

    def __init__(self, sequence: TokenSequence, head: Head, end_ids: Sequence[int], tokenizer: Tokenizer) -> None:
        self._sequence = sequence
        self._head = head
        self._end_ids = tuple(end_ids)
        self._tokenizer = tokenizer
        self._settings = DecodingSettings()
        self._watch = RunWatch(self._settings, self._end_ids)
        self._guard = Guard(None)
        self._check: ContinuationCheck | None = None  # of this run's last token
        self._window = MODELS_OWN
        self._kept = 0  # tokens at the prompt's beginning that no slide drops
        self._slide: SlideUnderWay | None = None
        self._replay: Replay | None = None
        self._run_id = 0
        self._prefill_ms = 0.0
        self._chunks: list[int] = []
        self._logits: FloatArray | None = None  # after `_logits_node`'s own token
        self._logits_node = PROMPT_NODE
        self.exploration: Exploration | None = None

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values of the tokens in the cache."""
        return len(self._sequence) * self._sequence.decoder.cache.bytes_per_token

    @property
    def columns_bytes(self) -> int:
        """Bytes of the queries, residuals, and keys and values of left branches."""
        return self._sequence.columns.bytes

    @property
    def budget_bytes(self) -> int:
        """What the columns, and keys and values, may take together."""
        return self._sequence.budget

    @property
    def context(self) -> int:
        """Tokens that the window holds."""
        return self._window.tokens(self._sequence.decoder.context)

    def begin(
        self,
        run_id: int,
        prompt: TemplatedPrompt,
        settings: DecodingSettings,
        window: ContextWindow = MODELS_OWN,
        *,
        kept: int = 0,
        output_filter: OutputFilter | None = None,
    ) -> PromptAccepted:
        """Forget the exploration before and begin a new one, with a window that is its own.

        `kept`: tokens at the prompt's beginning that no slide drops. Raises `UsageError` for a window that the model
        cannot have, `EmptyPromptError` or `PromptTooLongError`; then nothing has changed.
        """
        size = window.tokens(self._sequence.decoder.context)
        fit(prompt, size)
        self._take_over(Exploration(prompt), window, kept)
        self._chunks = chunks_of(len(prompt.ids))
        self.resume(run_id, settings, output_filter)
        return PromptAccepted(run_id=run_id, prompt=prompt, context=size)

    def reopen(self, run_id: int, kept: KeptExploration) -> None:
        """Forget the exploration before and take up one that was kept: `advance` makes its columns again first.

        It goes on as the run in which it was left, with the tokens of that run counted. Raises `UsageError` or
        `PromptTooLongError` where the model has no such window; then nothing has changed.
        """
        begun = kept.beginning
        fit(begun.prompt, begun.window.tokens(self._sequence.decoder.context))
        self._take_over(kept.tree(), begun.window, begun.kept)
        self._replay = Replay(self._exploring())
        self.resume(run_id, kept.settings, kept.output_filter, taken=kept.taken)

    @property
    def replaying(self) -> bool:
        """Whether columns of a reopened exploration have to be made before anything else."""
        return self._replay is not None

    def standing(self, run_id: int) -> RunPaused | RunFinished:
        """How the run stands that made the last token before the cursor."""
        exploration = self._exploring()
        check = exploration.record(exploration.cursor).check if exploration.cursor != PROMPT_NODE else None
        if check is None or check.reason is None:
            return RunPaused(run_id=run_id)
        return RunFinished(run_id=run_id, reason=check.reason, check=check)

    def resume(
        self, run_id: int, settings: DecodingSettings, output_filter: OutputFilter | None = None, *, taken: int = 0
    ) -> None:
        """Go on from the cursor as a new run: its own settings and filter, and its tokens counted from here.

        `taken`: tokens of that run that are there already.
        """
        self._run_id = run_id
        self._settings = settings
        exploration = self._exploring()
        before = self._generated_bytes(exploration, exploration.cursor)
        self._watch = RunWatch(settings, self._end_ids, before, taken=taken)
        self._guard = Guard(output_filter, before)
        self._check = None

    def advance(self) -> ReplayProgress | PrefillProgress | SlideProgress | WindowSlid | StepRecord | RunFinished:
        """One chunk of the prompt or of a slide of the window, one token, or the end of the run.

        Where a person's choice was walked last, or the settings already led somewhere from the cursor, that record is
        walked to and nothing is run. Raises `InterruptedStepError`, `OutOfMemoryError` or `ProviderError`; then the
        exploration is as before.
        """
        exploration = self._exploring()
        if self._replay is not None:
            return self._replay_on(self._replay)
        if self._chunks:
            return self._prefill(exploration)
        if (reason := self._reason_to_stop(exploration)) is not None:
            return self._finished(reason)
        known = exploration.known_step(exploration.cursor, self._settings, self._guard.output_filter)
        if known is not None:
            exploration.go_to(known.node)
            guarding = self._guard.take(self._tokenizer.token(known.chosen.token_id).data)
            self._check = self._checked(exploration, known.parent, known.chosen.token_id, guarding)
            return known
        if self._full(exploration, exploration.cursor):
            return self._slide_on(exploration)
        record = self._decide(exploration, exploration.cursor, None)
        return self._finished(StopReason.FILTERED) if record is None else record

    def choose(self, run_id: int, parent: int, token_id: int) -> StepRecord:
        """A person's choice of the token after `parent`: walks to it if it is there, else adds a branch.

        Raises `ContextFullError` where the window is full at `parent`, and what `advance` raises.
        """
        exploration = self._exploring()
        self._run_id = run_id
        known = exploration.child_with_token(parent, token_id)
        if known is not None:
            exploration.go_to(known.node)
            return known
        if self._full(exploration, parent):
            raise ContextFullError(self.context)
        exploration.go_to(parent)
        self.resume(run_id, self._settings, self._guard.output_filter)
        record = self._decide(exploration, parent, token_id)
        assert record is not None, "what a person chose is not rejected"
        return record

    def walk(self, run_id: int, parent: int, token_ids: Sequence[int]) -> Iterator[StepRecord]:
        """Choose one token after another; steps that are there are walked to, and nothing is run for them.

        One step for each item. Raises what `choose` raises; the steps before it stay.
        """
        for token_id in token_ids:
            record = self.choose(run_id, parent, token_id)
            parent = record.node
            yield record

    def leave_branch(self, node: int) -> None:
        """Stand on a node, and go on from there by the settings alone."""
        self._exploring().leave_branch(node)

    def go_to(self, node: int) -> None:
        """Stand on a node. Runs nothing; the cache follows when the next token needs it."""
        self._exploring().go_to(node)

    def remake(self, run_id: int, slots: IntArray, kind: Kept) -> Iterator[RemakeProgress]:
        """Make again what is gone of a text's columns, with the same bits; one pass for each item.

        Raises what `TokenSequence.remake` raises.
        """
        for done, total in self._sequence.remake(slots, kind):
            yield RemakeProgress(run_id=run_id, done=done, total=total)

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

    def _take_over(self, exploration: Exploration, window: ContextWindow, kept: int) -> None:
        self._window, self._kept, self._slide = window, kept, None
        self._sequence.forget()
        self.exploration = exploration
        self._chunks, self._replay = [], None
        self._prefill_ms = 0.0
        self._logits = None

    def _replay_on(self, replay: Replay) -> ReplayProgress:
        event = replay.advance(self._sequence, self._run_id)
        if replay.complete:
            self._replay = None
        return event

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
        if self._check is not None and self._check.reason is not None:
            return self._check.reason
        length = exploration.window_length(exploration.cursor)
        return StopReason.CONTEXT_FULL if length >= self.context and not self._can_slide(length) else None

    def _full(self, exploration: Exploration, node: int) -> bool:
        return exploration.window_length(node) >= self.context

    def _can_slide(self, length: int) -> bool:
        return self._window.when_full is WhenFull.SLIDE and dropped_by_slide(length, self.context, self._kept) > 0

    def _finished(self, reason: StopReason) -> RunFinished:
        return RunFinished(run_id=self._run_id, reason=reason, check=self._check, guarding=self._guard.finish())

    def _checked(
        self, exploration: Exploration, parent: int, token_id: int, guarding: Guarding | None
    ) -> ContinuationCheck:
        """What is checked after a token that follows `parent`."""
        length = exploration.window_length(parent) + 1
        return self._watch.after(
            token_id,
            self._tokenizer.token(token_id).data,
            window_used=length,
            window=self.context,
            slides=length >= self.context and self._can_slide(length),
            filtered=guarding is not None and any(hit.action is FilterAction.STOP for hit in guarding.hits),
        )

    def _generated_bytes(self, exploration: Exploration, node: int) -> bytes:
        return b"".join(self._tokenizer.token(step.chosen.token_id).data for step in exploration.path(node))

    def _slide_on(self, exploration: Exploration) -> SlideProgress | WindowSlid:
        """One chunk of the slide at the cursor; one that was begun and left is taken up where it was."""
        node = exploration.cursor
        if self._slide is None or self._slide.node != node:
            self._slide = SlideUnderWay(exploration, node, size=self.context, kept=self._kept)
        event, logits = self._slide.advance(self._sequence, self._run_id)
        if isinstance(event, WindowSlid):
            self._slide = None
            exploration.add_slide(event)
            self._logits, self._logits_node = logits, node
        return event

    def _decide(self, exploration: Exploration, node: int, token_id: int | None) -> StepRecord | None:
        """The token after a node; None where the output filter lets none through."""
        began = time.perf_counter()
        logits, source = self._logits_after(exploration, node)
        settings = self._settings
        found = pipeline(logits, settings, self._history(exploration, node))
        position = len(exploration.prompt.ids) + exploration.depth(node)
        if token_id is None:
            choice, rejected = self._guard.choose(found, settings, position, self._tokenizer)
        else:
            choice, rejected = chosen(found, token_id), ()
        if choice is None:
            return None
        guarding = self._guard.take(self._tokenizer.token(choice.token_id).data, rejected)
        check = self._checked(exploration, node, choice.token_id, guarding)
        decided = ChosenBy.GREEDY if settings.greedy else ChosenBy.SAMPLED
        record = step_record(
            Place(
                run_id=self._run_id,
                node=exploration.next_node(),
                parent=node,
                position=position,
                index=exploration.depth(node) + 1,
                source=source,
                logprob_before=0.0 if node == PROMPT_NODE else exploration.record(node).total_logprob,
            ),
            found,
            choice,
            settings,
            check,
            guarding,
            chosen_by=decided if token_id is None else ChosenBy.PERSON,
            end_ids=self._end_ids,
            ms=1000 * (time.perf_counter() - began),
        )
        exploration.add(record)
        if token_id is None:
            self._check = check
        return record

    def _history(self, exploration: Exploration, node: int) -> History:
        """What stands before the next token, where the settings ask for it."""
        if not self._settings.looks_back:
            return History(end_ids=self._end_ids)
        return exploration.history(node, self._end_ids)

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

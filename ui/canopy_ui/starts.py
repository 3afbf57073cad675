"""What the exploration was started with, and what the next one would be."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from canopy_desktop.exploration.kept import Beginning
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.card import Card
from canopy_ui.commands import StartCommand
from canopy_ui.draft import Draft
from canopy_ui.wishes import Wishes

_Wish: TypeAlias = tuple[PromptRequest, ContextWindow]


class Starts:
    """Knows whether the prompt was edited since. Used on one thread."""

    def __init__(self, draft: Draft, wishes: Wishes) -> None:
        self.before = wishes.decoding  # the settings before the newest start drew a seed
        self._draft = draft
        self._wishes = wishes
        self._begun: _Wish | None = None  # what is shown was started with it
        self._sent: _Wish | None = None  # and what is not yet accepted
        self._command: StartCommand | None = None  # the newest

    @property
    def request(self) -> PromptRequest | None:
        """With which what is shown was started."""
        return None if self._begun is None else self._begun[0]

    def edited(self, *, reopened: bool) -> bool:
        """Whether a run would begin anew. A reopened exploration has facts of its own."""
        wish, begun = self._wish, self._sent or self._begun
        if begun is None or not reopened:
            return wish != begun
        (request, window), (before, *rest) = wish, begun
        return (replace(request, facts=()), [window]) != (replace(before, facts=()), rest)

    def command(self, run_id: int, *, play: bool) -> StartCommand:
        """Starts what is typed now, with another seed if each text has its own.

        Raises `TemplateError` or `EmptyPromptError`.
        """
        prompt = self._draft.prompt()
        kept = self._draft.system_tokens() if self._wishes.window.keeps_system else 0
        self.before = self._wishes.decoding
        self._wishes.draw_seed()
        self._sent = self._wish
        self._command = StartCommand(
            run_id=run_id,
            prompt=prompt,
            settings=self._wishes.decoding,
            play=play,
            window=self._wishes.window,
            kept=kept,
            request=self._draft.request,
            output_filter=self._wishes.output_filter,
        )
        return self._command

    def accept(self, card: Card, context: int) -> Beginning | None:
        """What was sent begins, on the model with this card and with a window of `context` tokens."""
        self._begun, self._sent = self._sent, None
        return None if self._command is None else self._command.beginning(card, context)

    def give_up(self) -> None:
        """What was sent will not be accepted."""
        self._sent = None

    def forget(self) -> None:
        """Nothing is shown."""
        self._begun = self._sent = None

    def take_up(self) -> None:
        """What stands in the fields is what is shown."""
        self._begun, self._sent = self._wish, None

    @property
    def _wish(self) -> _Wish:
        return self._draft.request, self._wishes.window

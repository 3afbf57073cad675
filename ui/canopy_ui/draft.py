"""The prompt as it is being typed, and its tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.errors import CanopyError, EmptyPromptError
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.trail import Deed
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_ui.background import Background
from canopy_ui.facts_desk import FactsChoice

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

SHORT = 2_500  # characters with history; what is longer, or needs a search for facts, is encoded beside the window


class Draft(QObject):
    """Encodes at once what is short, and in the background what is long. Lives on the GUI thread."""

    encoded = Signal(object)  # TemplatedPrompt
    refused = Signal(object)  # Exception
    deed_coming = Signal(object)  # Deed, right before it is done
    filled = Signal(object)  # PromptRequest that the fields have to show
    replaced = Signal()  # by a deed

    def __init__(self, request: PromptRequest, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.request = request
        self._facts = FactsChoice()
        self._session: ModelSession | None = None
        self._prompt: TemplatedPrompt | None = None
        self._error: Exception | None = None
        self._background = Background(self)
        self._background.answered.connect(self._take)

    @property
    def empty(self) -> bool:
        """Whether there is no token, as far as is known."""
        return self._prompt is not None and not self._prompt.ids

    @property
    def waiting(self) -> bool:
        """Whether the tokens of what is typed are still on their way."""
        return self._background.waiting

    def open(self, session: ModelSession) -> None:
        """Encode with this session's tokenizer and template."""
        self._session = session
        self._encode_soon()

    def leave(self) -> None:
        """Let go of the session; nothing is encoded until another one is opened."""
        self._background.forget()
        self._session = self._prompt = self._error = None

    def close(self) -> None:
        """Encode nothing any more."""
        self._session = None
        self._background.close()

    def edit(self, request: PromptRequest) -> None:
        """Take what is typed now; facts come from the file, if there is one."""
        facts = self.request.facts if self._facts.facts is not None else request.facts
        if replace(request, facts=facts) != self.request:
            self.request = replace(request, facts=facts)
            self._encode_soon()

    @Slot(object)
    def take(self, request: PromptRequest) -> None:
        """What stands in the fields now. What is typed into one of them, that field undoes itself."""
        typed = replace(self.request, text=request.text, system_text=request.system_text)
        if replace(request, facts=()) == replace(typed, facts=()):
            self.edit(request)
        else:
            self.deed_coming.emit(Deed.PROMPT)
            self.edit(request)
            self.replaced.emit()

    @Slot(object)
    def replace(self, request: PromptRequest) -> None:
        """Put this into the fields, in the place of what stands there."""
        self.deed_coming.emit(Deed.PROMPT)
        self.fill_in(request)
        self.replaced.emit()

    def fill_in(self, request: PromptRequest) -> None:
        """The same, as part of another deed."""
        self.edit(request)
        self.filled.emit(request)

    @Slot(object)
    def set_facts(self, choice: FactsChoice) -> None:
        """Put the facts of this choice before the text."""
        self._facts = choice
        if choice.facts is None:
            self.request = replace(self.request, facts=())
        self._encode_soon()

    def prompt(self) -> TemplatedPrompt:
        """The tokens of what is typed now. Raises `TemplateError` or `EmptyPromptError`."""
        if self.waiting or self._prompt is None:
            self.encode()
        if self._error is not None:
            raise self._error
        if self._prompt is None or not self._prompt.ids:
            raise EmptyPromptError
        return self._prompt

    def system_tokens(self) -> int:
        """How many tokens at the prompt's beginning are its system message. Raises `TemplateError`."""
        session = self._session
        return self.request.system_tokens(session.tokenizer, session.template) if session is not None else 0

    @Slot()
    def encode(self) -> None:
        """Turn the text into tokens now."""
        self._background.forget()
        if self._session is None:
            return
        try:
            answer: tuple[PromptRequest, TemplatedPrompt] | Exception = _encoded(
                self.request, self._facts, self._session
            )
        except CanopyError as error:
            answer = error
        self._take(answer)

    def _encode_soon(self) -> None:
        """At once where that takes no longer than a keystroke may."""
        if self._session is not None and (self._facts.facts is not None or _length(self.request) > SHORT):
            self._background.ask(partial(_encoded, self.request, self._facts, self._session))
        else:
            self.encode()

    @Slot(object)
    def _take(self, answer: tuple[PromptRequest, TemplatedPrompt] | Exception) -> None:
        if isinstance(answer, Exception):
            self._prompt, self._error = None, answer
            self.refused.emit(answer)
        else:
            self.request, self._prompt = answer
            self._error = None
            self.encoded.emit(self._prompt)


def _encoded(
    request: PromptRequest, facts: FactsChoice, session: ModelSession
) -> tuple[PromptRequest, TemplatedPrompt]:
    """The request with its facts, and its tokens. Raises `TemplateError`."""
    if facts.facts is not None:
        request = replace(request, facts=facts.for_text(request.text))
    return request, request.encoded(session.tokenizer, session.template)


def _length(request: PromptRequest) -> int:
    """Characters that are encoded, without what the template adds."""
    earlier = sum(len(turn.user) + len(turn.assistant) for turn in request.history) if request.with_history else 0
    return (
        len(request.text) + len(request.system_text) + sum(map(len, request.facts)) + (earlier if request.chat else 0)
    )

"""The prompt as it is being typed, and its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.errors import CanopyError, EmptyPromptError
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.model.chat import TemplatedPrompt

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

LONG_PROMPT = 20_000  # characters; beyond this the tokens wait for a pause in typing
TYPING_PAUSE_MS = 400


class Draft(QObject):
    """Encodes at once what is short, and in a pause what is long. Lives on the GUI thread."""

    encoded = Signal(object)  # TemplatedPrompt
    refused = Signal(object)  # CanopyError

    def __init__(self, request: PromptRequest, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.request = request
        self._session: ModelSession | None = None
        self._prompt: TemplatedPrompt | None = None
        self._error: CanopyError | None = None
        self._pause = QTimer(self, interval=TYPING_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self.encode)

    @property
    def empty(self) -> bool:
        """Whether there is no token, as far as is known."""
        return self._prompt is not None and not self._prompt.ids

    def open(self, session: ModelSession) -> None:
        """Encode with this session's tokenizer and template."""
        self._session = session
        self.encode()

    def close(self) -> None:
        """Encode nothing any more."""
        self._pause.stop()
        self._session = None

    def edit(self, request: PromptRequest) -> None:
        """Take what is typed now."""
        if request == self.request:
            return
        self.request = request
        if len(request.text) > LONG_PROMPT:
            self._pause.start()
        else:
            self.encode()

    def prompt(self) -> TemplatedPrompt:
        """The tokens of what is typed now. Raises `TemplateError` or `EmptyPromptError`."""
        if self._pause.isActive() or self._prompt is None:
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
        self._pause.stop()
        if self._session is None:
            return
        try:
            self._prompt, self._error = self.request.encoded(self._session.tokenizer, self._session.template), None
        except CanopyError as error:
            self._prompt, self._error = None, error
            self.refused.emit(error)
        else:
            self.encoded.emit(self._prompt)

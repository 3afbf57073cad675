"""What a person asks for, before the tokenizer sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from canopy_desktop.errors import EmptyPromptError, PromptTooLongError
from canopy_desktop.model.chat import (
    ChatTemplate,
    Message,
    SystemChoice,
    TemplatedPrompt,
    encode_completion,
    encode_plain_chat,
)
from canopy_desktop.model.tokenizer import Tokenizer

FACTS_HEADING = "Use these facts:"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said and answered before: the words alone, without the facts that were put to them."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """Plain completion of `text`, or the newest user turn of a chat.

    `system`, `history` and `with_history` concern a chat alone. Facts stand before the text, in a chat in the same
    user's message: a list under `FACTS_HEADING`, then an empty line.
    """

    text: str
    chat: bool = False
    system: SystemChoice = SystemChoice.DEFAULT
    system_text: str = ""
    history: tuple[Turn, ...] = ()  # oldest first
    with_history: bool = True  # whether the model sees it
    facts: tuple[str, ...] = ()

    def encoded(self, tokenizer: Tokenizer, template: ChatTemplate | None) -> TemplatedPrompt:
        """The exact text and tokens that go into the model; a chat without a template is plain text.

        Raises `TemplateError`.
        """
        if not self.chat:
            return encode_completion(tokenizer, self.text, facts=facts_text(self.facts))
        if template is None:
            return encode_plain_chat(tokenizer, self.messages())
        return template.encode(tokenizer, self.messages(), system=self.system)

    def system_tokens(self, tokenizer: Tokenizer, template: ChatTemplate | None) -> int:
        """How many tokens at the beginning would not be there without a system message. Raises `TemplateError`."""
        if not self.chat or self.system is SystemChoice.NONE:
            return 0
        whole = self.encoded(tokenizer, template).ids
        without = replace(self, system=SystemChoice.NONE).encoded(tokenizer, template).ids
        pairs = zip(reversed(whole), reversed(without), strict=False)
        return len(whole) - sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def messages(self) -> tuple[Message, ...]:
        """The chat's messages; the system message only where it is the person's own."""
        system = (Message("system", self.system_text),) if self.system is SystemChoice.CUSTOM else ()
        earlier = [
            Message(role, said, earlier=True)
            for turn in (self.history if self.with_history else ())
            for role, said in (("user", turn.user), ("assistant", turn.assistant))
        ]
        return (*system, *earlier, Message("user", self.text, facts=facts_text(self.facts)))

    def continued(self, answer: str, text: str = "") -> PromptRequest:
        """The next request after `answer`, a run's `answer_bytes` as text; `text` is what is said next.

        A chat's turn becomes history, whether or not the model saw what was before it; its facts are left behind. Plain
        text simply grows.
        """
        if not self.chat:
            return replace(self, text=self.text + answer + text)
        return replace(self, text=text, history=(*self.history, Turn(self.text, answer)), facts=())


def turns_of(stored: object) -> tuple[Turn, ...]:
    """A chat's history from JSON: a list of objects with "user" and "assistant". Raises `ValueError` with a reason."""
    if not isinstance(stored, list):
        raise ValueError('it must be a list of objects with "user" and "assistant"')
    return tuple(_turn(entry, number) for number, entry in enumerate(stored, 1))


def _turn(entry: object, number: int) -> Turn:
    match entry:
        case {"user": str(user), "assistant": str(assistant), **others} if not others:
            return Turn(user, assistant)
    raise ValueError(f'turn {number} must be an object with the texts "user" and "assistant" and nothing else')


def fit(prompt: TemplatedPrompt, context: int) -> None:
    """Raise `EmptyPromptError` or `PromptTooLongError` unless a window of `context` tokens holds the prompt."""
    if not prompt.ids:
        raise EmptyPromptError
    if len(prompt.ids) > context:
        raise PromptTooLongError(len(prompt.ids), context, history=prompt.history_tokens, facts=prompt.facts_tokens)


def facts_text(facts: Sequence[str]) -> str:
    """Facts as they stand before a text; nothing of none."""
    return "\n".join([FACTS_HEADING, *(f"- {fact}" for fact in facts), "", ""]) if facts else ""

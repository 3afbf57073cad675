"""What a person asks for, before the tokenizer sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from canopy_desktop.model.chat import ChatTemplate, Message, SystemChoice, TemplatedPrompt, encode_completion
from canopy_desktop.model.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """Plain completion of `text`, or one user turn of a chat."""

    text: str
    chat: bool = False
    system: SystemChoice = SystemChoice.DEFAULT
    system_text: str = ""

    def encoded(self, tokenizer: Tokenizer, template: ChatTemplate | None) -> TemplatedPrompt:
        """The exact text and tokens that go into the model. Raises `TemplateError`."""
        if not self.chat or template is None:
            return encode_completion(tokenizer, self.text)
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
        user = Message("user", self.text)
        return (Message("system", self.system_text), user) if self.system is SystemChoice.CUSTOM else (user,)

"""Messages to the exact text and tokens that go into the model.

Special-token text inside a message must stay text. So a chat is rendered twice: as it is, and with the messages'
contents marked by characters of a private-use plane that occur nowhere else, and with special-token text inside them
broken by another. Without the marks both must be the same text; then what looks like a special token in the marked one
is the template's own, and the marks tell which characters are whose: the template's, a message's, an earlier turn's, or
facts that stand in a message. The stretches between the template's special tokens are each encoded as one piece, since
byte-level BPE may merge across the border of a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import accumulate
from typing import TypeAlias

from canopy_desktop.errors import TemplateError
from canopy_desktop.model.tokenizer import LostByte, Tokenizer, without_surrogates

ROLES = ("system", "user", "assistant")
FACTS, COMPLETION = "facts", "completion"
EMPTY_LINE = "\n\n"
_PRIVATE_USE = range(0x10FFFD, 0x0FFFFF, -1)

_Source: TypeAlias = tuple[str, bool]  # role, and whether it is of an earlier turn
_TEMPLATE: _Source = ("template", False)
_SOURCES: tuple[_Source, ...] = (
    *((role, earlier) for role in ROLES for earlier in (False, True)),
    (FACTS, False),
    (COMPLETION, False),
)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str  # one of ROLES
    content: str
    facts: str = ""  # stands before the content in the same message, and is nobody's own words
    earlier: bool = False  # whether it is of a turn before the last

    @property
    def text(self) -> str:
        """What the template is given."""
        return self.facts + self.content


class SystemChoice(Enum):
    """Where the system message comes from."""

    DEFAULT = "default"  # the template adds its own, if it has one
    NONE = "none"  # there is none, not even the template's own
    CUSTOM = "custom"  # the first message is it


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A stretch of a prompt that comes from one source; a token belongs to the part it starts in."""

    role: str  # "template", "facts", "completion", or one of ROLES
    text: str
    ids: tuple[int, ...]
    earlier: bool = False  # whether it is of an earlier turn: the chat's history


@dataclass(frozen=True, slots=True)
class TemplatedPrompt:
    """What goes into the model. The parts' texts make up `text`, their ids make up `ids`."""

    text: str
    ids: tuple[int, ...]
    parts: tuple[PromptPart, ...]
    lost: tuple[LostByte, ...]

    @property
    def history_tokens(self) -> int:
        """Tokens of earlier turns' messages, without what the template puts around them."""
        return sum(len(part.ids) for part in self.parts if part.earlier)

    @property
    def facts_tokens(self) -> int:
        """Tokens of facts and the words that introduce them."""
        return sum(len(part.ids) for part in self.parts if part.role == FACTS)


@dataclass(frozen=True, slots=True)
class _SystemBlock:
    """The text that a template puts before the first turn when it is given no system message."""

    head: str  # stays when the block is cut out
    prefix: str
    content: str
    suffix: str

    @property
    def text(self) -> str:
        return self.prefix + self.content + self.suffix


class ChatTemplate:
    """A model's own chat template. Never changes, so any thread may use it."""

    def __init__(self, source: str, *, special_tokens: Mapping[str, str] | None = None) -> None:
        """`special_tokens`: variables such as `bos_token`. Raises `TemplateError` if `source` is no template."""
        self.source = source
        self._special_tokens = dict(special_tokens or {})
        from canopy_desktop.model.template_sandbox import TemplateSandbox  # jinja2, which the window does not wait for

        self._sandbox = TemplateSandbox(source)
        self._default, self._block = self._find_default()

    @property
    def default_system(self) -> str | None:
        """The system message that the template adds by itself when it is given none."""
        return self._default

    def render(self, messages: Sequence[Message], *, system: SystemChoice, add_generation_prompt: bool = True) -> str:
        """The chat as one text. Raises `TemplateError`."""
        _check_messages(messages, system)
        return self._render(_clean(messages), system, add_generation_prompt)

    def encode(
        self,
        tokenizer: Tokenizer,
        messages: Sequence[Message],
        *,
        system: SystemChoice,
        add_generation_prompt: bool = True,
    ) -> TemplatedPrompt:
        """The chat's text and tokens; special tokens come from the template alone. Raises `TemplateError`."""
        _check_messages(messages, system)
        messages = _clean(messages)
        text = self._render(messages, system, add_generation_prompt)
        marks = _Marks(tokenizer.special_tokens, text + self.source + "".join(m.text for m in messages))
        # A template may trim its messages: then the marks must stand inside the blanks.
        for marked in (marks.around, marks.inside):
            rendered = self._render([marked(message) for message in messages], system, add_generation_prompt)
            if marks.removed(rendered) == text:
                return _encode_marked(tokenizer, rendered, marks)
        raise TemplateError("it changes the messages in a way that cannot be followed")

    def _render(self, messages: Sequence[Message], system: SystemChoice, add_generation_prompt: bool) -> str:
        text = self._sandbox.render(
            **self._special_tokens,
            messages=[{"role": message.role, "content": message.text} for message in messages],
            add_generation_prompt=add_generation_prompt,
            tools=None,
            documents=None,
        )
        if system is not SystemChoice.NONE or self._default is None:
            return text
        if self._block is None or not text.startswith(self._block.head + self._block.text):
            raise TemplateError("the system message that it adds by itself cannot be taken out")
        return self._block.head + text[len(self._block.head) + len(self._block.text) :]

    def _find_default(self) -> tuple[str | None, _SystemBlock | None]:
        """What the template adds without a system message, and the block to cut out for none at all.

        Found by rendering: a system message of one unlikely character shows what stands around it.
        """
        system, user, assistant, again = (chr(code) for code in _unused(self.source, 4))
        turns = [Message("user", user), Message("assistant", assistant)]
        try:
            without = self._render(turns[:1], SystemChoice.DEFAULT, False)
            given = self._render([Message("system", system), *turns[:1]], SystemChoice.DEFAULT, False)
        except TemplateError:
            return None, None  # it takes no system message, or not this one: what it does is then left to it
        before, found, after = given.partition(system)
        if not found or len(without) < len(before) + len(after):
            return None, None
        if not (without.startswith(before) and without.endswith(after)):
            return None, None
        default = without[len(before) : len(without) - len(after)]
        try:
            two_turns = self._render([*turns, Message("user", again)], SystemChoice.DEFAULT, False)
            one_turn = self._render(turns, SystemChoice.DEFAULT, False)
        except TemplateError:
            return default, None
        ending = one_turn.partition(assistant)[2]
        between = two_turns.partition(assistant)[2].partition(again)[0]
        user_prefix = between.removeprefix(ending)
        prefix = user_prefix.replace("user", "system")
        suffix = after.partition(user)[0].removesuffix(user_prefix)
        if prefix == user_prefix or not before.endswith(prefix) or not after.startswith(suffix + user_prefix):
            return default, None
        return default, _SystemBlock(before.removesuffix(prefix), prefix, default, suffix)


def encode_completion(tokenizer: Tokenizer, text: str, *, facts: str = "") -> TemplatedPrompt:
    """Plain text to go on from, after facts if there are any.

    Special-token text in `text` becomes special tokens; in `facts` it stays text.
    """
    text, facts = without_surrogates(text), without_surrogates(facts)
    if not facts:
        whole = tokenizer.with_begin(text)
        encoding = tokenizer.encode(whole)
        before = 1 if whole != text else 0
        begin = PromptPart(_TEMPLATE[0], whole[: len(whole) - len(text)], encoding.ids[:before])
        own = PromptPart(COMPLETION, text, encoding.ids[before:])
        return TemplatedPrompt(whole, encoding.ids, tuple(part for part in (begin, own) if part.text), encoding.lost)
    marks = _Marks(tokenizer.special_tokens, text + facts)
    return _encode_marked(tokenizer, marks.completion(text, facts), marks)


def encode_plain_chat(tokenizer: Tokenizer, messages: Sequence[Message]) -> TemplatedPrompt:
    """A chat for a model without a template: what was said, with an empty line between, and no word more.

    Special-token text in the messages stays text, as it does in a template.
    """
    said = [message for message in _clean(messages) if message.text]
    marks = _Marks(tokenizer.special_tokens, "".join(message.text for message in said))
    return _encode_marked(tokenizer, EMPTY_LINE.join(marks.around(message).content for message in said), marks)


class _Marks:
    """Private-use characters that stand around what the messages hold, and break special-token text inside it."""

    def __init__(self, special_tokens: Iterable[str], used: str) -> None:
        code_points = iter(_unused(used, len(_SOURCES) + 2))
        self.opening = {chr(next(code_points)): source for source in _SOURCES}
        self.closing = chr(next(code_points))
        self._break = chr(next(code_points))
        self.special = _any_of(special_tokens, unless_after=self._break)
        self._all = dict.fromkeys(map(ord, (*self.opening, self.closing, self._break)))
        self._open = {source: mark for mark, source in self.opening.items()}

    def around(self, message: Message) -> Message:
        """The message with marks around its whole content."""
        return Message(message.role, self._between(message, 0, len(message.text)))

    def inside(self, message: Message) -> Message:
        """The message with marks inside the blanks around its content."""
        whole = message.text
        core = whole.strip()
        if not core:
            return message
        start = whole.index(core)
        end = start + len(core)
        return Message(message.role, whole[:start] + self._between(message, start, end) + whole[end:])

    def completion(self, text: str, facts: str) -> str:
        """Marked plain text after facts; special tokens in the text itself are left whole."""
        before = self._marked((FACTS, False), facts)
        return before + self._open[COMPLETION, False] + text + self.closing if text else before

    def removed(self, text: str) -> str:
        """The text as it is without marks."""
        return text.translate(self._all)

    def spans(self, text: str) -> Iterator[tuple[_Source, str]]:
        """Source and text of each stretch of a marked text, marks of breaks left in."""
        source = _TEMPLATE
        for piece in re.split(f"([{''.join(self.opening)}{self.closing}])", text):
            if piece in self.opening:
                source = self.opening[piece]
            elif piece == self.closing:
                source = _TEMPLATE
            elif piece:
                yield source, piece

    def _between(self, message: Message, start: int, end: int) -> str:
        """What lies between two places of a message's text, each source marked."""
        border = len(message.facts)
        facts, own = message.text[start : min(border, end)], message.text[max(start, border) : end]
        return self._marked((FACTS, False), facts) + self._marked((message.role, message.earlier), own)

    def _marked(self, source: _Source, content: str) -> str:
        if not content:
            return content
        broken = content if self.special is None else self.special.sub(self._broken, content)
        return self._open[source] + broken + self.closing

    def _broken(self, match: re.Match[str]) -> str:
        return "".join(self._break + character for character in match[0])


def _encode_marked(tokenizer: Tokenizer, marked: str, marks: _Marks) -> TemplatedPrompt:
    """Tokens of a marked text. Marks keep special-token text in messages from being found as such."""
    ids: list[int] = []
    starts: list[int] = []  # byte offset at which each token starts
    lost: list[LostByte] = []
    offset = 0
    marked = tokenizer.with_begin(marked)
    for piece, is_special in _split(marks.special, marked):
        text = marks.removed(piece)
        if is_special:
            ids.append(tokenizer.special_tokens[text])
            starts.append(offset)
        else:
            encoding = tokenizer.encode(text, special=False)
            ids += encoding.ids
            starts += _starts(tokenizer, encoding.ids, encoding.lost, offset)
            lost += [LostByte(offset + byte.offset, byte.byte) for byte in encoding.lost]
        offset += len(text.encode())
    spans = [(source, marks.removed(text)) for source, text in marks.spans(marked)]
    parts = _parts(spans, ids, starts)
    return TemplatedPrompt("".join(text for _, text in spans), tuple(ids), parts, tuple(lost))


def _starts(tokenizer: Tokenizer, ids: Sequence[int], lost: Sequence[LostByte], offset: int) -> Iterator[int]:
    """Byte offset of each token: tokens and lost bytes together make up the text."""
    gaps = {byte.offset + offset for byte in lost}
    for length in tokenizer.lengths(ids):
        while offset in gaps:
            offset += 1
        yield offset
        offset += length


def _parts(spans: Sequence[tuple[_Source, str]], ids: Sequence[int], starts: Sequence[int]) -> tuple[PromptPart, ...]:
    parts: list[PromptPart] = []
    first = 0
    for ((role, earlier), text), end in zip(spans, accumulate(len(text.encode()) for _, text in spans), strict=True):
        last = first
        while last < len(ids) and starts[last] < end:
            last += 1
        parts.append(PromptPart(role, text, tuple(ids[first:last]), earlier))
        first = last
    return tuple(parts)


def _split(special: re.Pattern[str] | None, text: str) -> Iterator[tuple[str, bool]]:
    """The text cut at special tokens, and whether each piece is one."""
    end = 0
    for match in special.finditer(text) if special else ():
        if match.start() > end:
            yield text[end : match.start()], False
        yield match[0], True
        end = match.end()
    if end < len(text):
        yield text[end:], False


def _any_of(texts: Iterable[str], *, unless_after: str) -> re.Pattern[str] | None:
    """A pattern for any of these, the longest first, where the given character is not before it."""
    ordered = sorted(texts, key=len, reverse=True)
    return re.compile(f"(?<!{unless_after})(?:{'|'.join(map(re.escape, ordered))})") if ordered else None


def _unused(used: str, count: int) -> list[int]:
    """Private-use code points that do not occur in a text."""
    taken = set(map(ord, set(used)))
    free = (code for code in _PRIVATE_USE if code not in taken)
    return [next(free) for _ in range(count)]


def _clean(messages: Sequence[Message]) -> list[Message]:
    return [
        replace(message, content=without_surrogates(message.content), facts=without_surrogates(message.facts))
        for message in messages
    ]


def _check_messages(messages: Sequence[Message], system: SystemChoice) -> None:
    """A system message is there exactly where one is chosen, and is the first."""
    roles = [message.role for message in messages]
    unknown = next((role for role in roles if role not in ROLES), None)
    if unknown is not None:
        raise TemplateError(f"there is no role called {unknown!r}")
    if system is SystemChoice.CUSTOM and roles[:1] != ["system"]:
        raise TemplateError("the first message is not the system message that was chosen")
    if system is not SystemChoice.CUSTOM and "system" in roles:
        raise TemplateError("there is a system message although none was chosen")

"""Whether a run goes on after a token: what is checked, and what ended it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from canopy_desktop.decoding.settings import DecodingSettings


class StopReason(Enum):
    """Why a run ended."""

    MAX_TOKENS = "max_tokens"
    END_TOKEN = "end_token"
    STOP_SEQUENCE = "stop_sequence"
    FILTERED = "filtered"
    CONTEXT_FULL = "context_full"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StopFound:
    """A stop text, and where it stands in the UTF-8 of the generated text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationCheck:
    """What was checked after a token. The first that holds ends the run, in the order of these fields."""

    end_token: bool
    stop: StopFound | None
    filtered: bool  # the output filter stops here
    tokens: int  # taken in this run
    max_tokens: int
    window_used: int  # tokens in the context window, this one included
    window: int  # tokens that it holds
    slides: bool  # whether it can make room

    @property
    def reason(self) -> StopReason | None:
        """What ends the run; None: it goes on."""
        if self.end_token:
            return StopReason.END_TOKEN
        if self.stop is not None:
            return StopReason.STOP_SEQUENCE
        if self.filtered:
            return StopReason.FILTERED
        if self.tokens >= self.max_tokens:
            return StopReason.MAX_TOKENS
        if self.window_used >= self.window and not self.slides:
            return StopReason.CONTEXT_FULL
        return None


class StopWatch:
    """Looks for stop texts in the bytes of generated tokens: inside one, across several, and in split characters."""

    def __init__(self, settings: DecodingSettings, before: bytes = b"") -> None:
        """`before`: what was generated already. A stop text may begin in it, but not end there."""
        self._stops = tuple(text.encode() for text in settings.stop)
        self._keep = max((len(stop) for stop in self._stops), default=1) - 1
        self._end = len(before)
        self._tail = self._last(before)

    def add(self, data: bytes) -> StopFound | None:
        """Take the next token's bytes; tells the stop text that they complete, of several the one that begins first."""
        text, start = self._tail + data, self._end - len(self._tail)
        self._end += len(data)
        self._tail = self._last(text)
        places = [(text.find(stop), -len(stop), stop) for stop in self._stops if stop in text]
        if not places:
            return None
        place, _, stop = min(places)
        return StopFound(stop.decode(), start + place, start + place + len(stop))

    def _last(self, data: bytes) -> bytes:
        return data[-self._keep :] if self._keep else b""


class RunWatch:
    """Counts a run's tokens, reads its text, and says after each token whether it goes on."""

    def __init__(
        self, settings: DecodingSettings, end_ids: Sequence[int], before: bytes = b"", *, taken: int = 0
    ) -> None:
        """`before`: the text that was generated before this run; `taken`: tokens that count as the run's own."""
        self._settings = settings
        self._end_ids = tuple(end_ids)
        self._stops = StopWatch(settings, before)
        self._tokens = taken

    def after(
        self, token_id: int, data: bytes, *, window_used: int, window: int, slides: bool, filtered: bool = False
    ) -> ContinuationCheck:
        """Take the next token, with its bytes."""
        self._tokens += 1
        return ContinuationCheck(
            end_token=token_id in self._end_ids,
            stop=self._stops.add(data),
            filtered=filtered,
            tokens=self._tokens,
            max_tokens=self._settings.max_tokens,
            window_used=window_used,
            window=window,
            slides=slides,
        )


class TextStream:
    """Bytes of tokens to text, as they come: a character that is split over tokens is there when it is complete."""

    def __init__(self, data: bytes = b"") -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text = self._decoder.decode(data)

    @property
    def pending(self) -> bytes:
        """Bytes of a character that is not complete."""
        return self._decoder.getstate()[0]

    def add(self, data: bytes) -> str:
        """Take the next token's bytes; returns the text that they complete. Bytes that are no UTF-8 become U+FFFD."""
        new = self._decoder.decode(data)
        self.text += new
        return new

    def preview(self, data: bytes) -> str:
        """The text as `add` would make it; nothing changes."""
        state = self._decoder.getstate()
        new = self._decoder.decode(data)
        self._decoder.setstate(state)
        return self.text + new


def answer_bytes(tokens: Sequence[bytes], check: ContinuationCheck | None, *, keep_stop: bool) -> bytes:
    """What a run answers: its tokens' bytes without the end token, and without the stop text unless it is kept.

    `tokens` are all of the generated text, `check` is the last one's.
    """
    if check is None:
        return b"".join(tokens)
    if check.end_token:
        return b"".join(tokens[:-1])
    data = b"".join(tokens)
    if check.stop is None:
        return data
    return data[: check.stop.end if keep_stop else check.stop.start]

"""When a run has written what it should stop at."""

from __future__ import annotations

from canopy_desktop.decoding.settings import DecodingSettings


class StopWatch:
    """Looks for stop texts in the bytes of generated tokens, also inside tokens and across them."""

    def __init__(self, settings: DecodingSettings) -> None:
        self._stops = tuple(text.encode() for text in settings.stop)
        self._keep = max((len(stop) for stop in self._stops), default=1) - 1
        self._tail = b""
        self.found: str | None = None

    def add(self, data: bytes) -> None:
        """Take the next token's bytes."""
        text = self._tail + data
        for stop in self._stops:
            if stop in text:
                self.found = stop.decode()
        self._tail = text[-self._keep :] if self._keep else b""

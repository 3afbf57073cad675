"""Where chips stand when they wrap: grows by one chip at a time, and knows no Qt."""

from __future__ import annotations

from bisect import bisect_right


class ChipLayout:
    """Lines of equal height, filled from the left; a chip wider than a line is cut to it."""

    def __init__(self, width: float, gap: float) -> None:
        self._width = max(width, 1.0)
        self._gap = gap
        self._left: list[float] = []
        self._widths: list[float] = []
        self._lines: list[int] = []
        self._starts: list[int] = []  # the first chip of each line
        self._breaks: list[bool] = []

    def __len__(self) -> int:
        return len(self._left)

    @property
    def lines(self) -> int:
        """How many lines are begun."""
        return len(self._starts)

    def append(self, width: float, ends_line: bool) -> None:
        """Put one chip behind the last."""
        width = min(width, self._width)
        left = self._next_left()
        if left is None or left + width > self._width:
            self._starts.append(len(self._left))
            left = 0.0
        self._left.append(left)
        self._widths.append(width)
        self._lines.append(len(self._starts) - 1)
        self._breaks.append(ends_line)

    def truncate(self, length: int) -> None:
        """Take away the chips from `length` on."""
        for values in (self._left, self._widths, self._lines, self._breaks):
            del values[length:]
        while self._starts and self._starts[-1] >= length:
            self._starts.pop()

    def line_of(self, chip: int) -> int:
        """The line that a chip stands on."""
        return self._lines[chip]

    def span(self, chip: int) -> tuple[float, float]:
        """A chip's left edge and width."""
        return self._left[chip], self._widths[chip]

    def chips_on(self, line: int) -> range:
        """The chips of a line; none beyond the last line."""
        if not 0 <= line < len(self._starts):
            return range(0)
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self._left)
        return range(self._starts[line], end)

    def chip_at(self, x: float, line: int) -> int | None:
        """The chip under a point of a line."""
        chips = self.chips_on(line)
        if not chips:
            return None
        index = bisect_right(self._left, x, chips.start, chips.stop) - 1
        if index < chips.start:
            return None
        left, width = self.span(index)
        return index if x <= left + width + self._gap else None

    def nearest(self, x: float, line: int) -> int | None:
        """The chip of a line that is nearest to `x`."""
        chips = self.chips_on(line)
        return min(chips, key=lambda chip: abs(self._left[chip] + self._widths[chip] / 2 - x)) if chips else None

    def _next_left(self) -> float | None:
        if not self._left or self._breaks[-1]:
            return None
        return self._left[-1] + self._widths[-1] + self._gap

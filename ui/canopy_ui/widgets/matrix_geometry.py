"""Where the cells and labels of the attention matrix stand, so that they stay put while it grows."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF

_STEPS = (6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512)
_LABEL_PITCH = 11  # the least height of a row with a token beside it
_SIDE_LABEL, _TOP_LABEL = 84, 46
_SIDE_NUMBER, _TOP_NUMBER = 40, 18
_MARGIN = 4
_CRISP_PITCH = 12  # from here on cells have whole pixels


@dataclass(frozen=True, slots=True)
class MatrixGeometry:
    """A square of `cells` by `cells`, `pitch` pixels each."""

    left: float
    top: float
    pitch: float
    cells: int
    row_tokens: bool  # tokens beside the rows; else positions
    column_tokens: bool

    @property
    def side(self) -> float:
        """Width and height of what is filled."""
        return self.pitch * self.cells

    def square(self) -> QRectF:
        """The whole matrix."""
        return QRectF(self.left, self.top, self.side, self.side)

    def cell(self, query: int, key: int) -> QRectF:
        """One cell."""
        return QRectF(self.left + key * self.pitch, self.top + query * self.pitch, self.pitch, self.pitch)

    def row(self, query: int) -> QRectF:
        """All that one query could look at."""
        return QRectF(self.left, self.top + query * self.pitch, (query + 1) * self.pitch, self.pitch)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """Query and key under a point."""
        query, key = int((point.y() - self.top) // self.pitch), int((point.x() - self.left) // self.pitch)
        return (query, key) if 0 <= query < self.cells and 0 <= key < self.cells else None

    def query_at(self, point: QPointF) -> int | None:
        """The row under a point, its label included."""
        query = int((point.y() - self.top) // self.pitch)
        return query if 0 <= query < self.cells and point.x() < self.left + self.side else None


def fitted(width: int, height: int, cells: int, *, tokens: bool, zoom: float = 1.0) -> MatrixGeometry:
    """The largest square for `cells` with as many tokens beside it as fit: on both sides, beside the rows, or none."""
    room = capacity(cells)
    margin = _MARGIN * zoom
    wishes = [(True, True), (True, False)] if tokens else []
    for row_tokens, column_tokens in (*wishes, (False, False)):
        left = (_SIDE_LABEL if row_tokens else _SIDE_NUMBER) * zoom
        top = (_TOP_LABEL if column_tokens else _TOP_NUMBER) * zoom
        overhang = top if column_tokens else margin  # labels at the top lean to the right
        pitch = max(1.0, min(width - left - overhang, height - top - margin)) / room
        if not row_tokens or pitch >= _LABEL_PITCH * zoom:
            break
    pitch = float(int(pitch)) if pitch >= _CRISP_PITCH else pitch
    spare = max(0.0, width - left - overhang - pitch * room)
    return MatrixGeometry(left + min(spare / 2, left), top, pitch, cells, row_tokens, column_tokens)


def capacity(cells: int) -> int:
    """How many cells there is room for; grows in steps, so that a growing matrix keeps its scale for a while."""
    return next((step for step in _STEPS if step >= cells), cells)

"""Where the cells and labels of the attention matrix stand, so that they stay put while it grows."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF

_STEPS = (8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512)
_LABEL_PITCH = 12  # the least height of a row with a token beside it
_SIDE_LABEL, _TOP_LABEL = 78, 54
_SIDE_NUMBER, _TOP_NUMBER = 40, 18
_MARGIN = 8


@dataclass(frozen=True, slots=True)
class MatrixGeometry:
    """A square of `cells` by `cells`, `pitch` pixels each."""

    left: float
    top: float
    pitch: float
    cells: int
    labelled: bool  # tokens at the axes; else positions

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
    """The largest square for `cells` that leaves room for labels; tokens beside the axes only where they fit."""
    room = capacity(cells)
    margin = _MARGIN * zoom
    if tokens:
        side = min(width - _SIDE_LABEL * zoom - margin * 2, height - _TOP_LABEL * zoom - margin)
        pitch = side / room
        if pitch >= _LABEL_PITCH * zoom:
            return _centred(width, _SIDE_LABEL * zoom, _TOP_LABEL * zoom, _whole(pitch), room, cells, labelled=True)
    side = max(1.0, min(width - _SIDE_NUMBER * zoom - margin * 2, height - _TOP_NUMBER * zoom - margin))
    return _centred(width, _SIDE_NUMBER * zoom, _TOP_NUMBER * zoom, _whole(side / room), room, cells, labelled=False)


def capacity(cells: int) -> int:
    """How many cells there is room for; grows in steps, so that a growing matrix keeps its scale for a while."""
    return next((step for step in _STEPS if step >= cells), cells)


def _whole(pitch: float) -> float:
    return float(int(pitch)) if pitch >= 3 else pitch


def _centred(
    width: int, side_label: float, top: float, pitch: float, room: int, cells: int, *, labelled: bool
) -> MatrixGeometry:
    spare = width - side_label - pitch * room
    return MatrixGeometry(side_label + max(_MARGIN, min(spare / 2, side_label)), top, pitch, cells, labelled)

"""Where the cells and labels of the attention matrix stand, so that they stay put while it grows."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF

from canopy_desktop.exploration.squares import Square

_STEPS = (6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512)
_LABEL_PITCH = 14  # the least height of a row with a token beside it
_COLUMN_PITCH = 18  # the least width of a column with a token above it
_SIDE_LABEL, _TOP_LABEL = 92, 56
_SIDE_NUMBER, _TOP_NUMBER = 52, 21
_MARGIN = 4
_CRISP_PITCH = 12  # from here on cells have whole pixels


@dataclass(frozen=True, slots=True)
class MatrixGeometry:
    """A square of places, `pitch` pixels each; a place is a token that looks, or one that is looked at."""

    left: float
    top: float
    pitch: float
    square: Square  # what is in sight
    row_tokens: bool  # tokens beside the rows; else positions
    column_tokens: bool

    @property
    def side(self) -> float:
        """Width and height of what is filled."""
        return self.pitch * self.square.span

    def area(self) -> QRectF:
        """All that is in sight."""
        return QRectF(self.left, self.top, self.side, self.side)

    def rect(self, rows: tuple[int, int], columns: tuple[int, int]) -> QRectF:
        """Where some places stand, each from the first to the one after the last; may be out of sight."""
        left = self.left + (columns[0] - self.square.left) * self.pitch
        top = self.top + (rows[0] - self.square.top) * self.pitch
        return QRectF(left, top, (columns[1] - columns[0]) * self.pitch, (rows[1] - rows[0]) * self.pitch)

    def cell(self, query: int, key: int) -> QRectF:
        """Where one place of both sides stands."""
        return self.rect((query, query + 1), (key, key + 1))

    def row(self, rows: range) -> QRectF:
        """All that some queries could look at, as far as it is in sight."""
        return self.rect((rows.start, rows.stop), (0, rows.stop)).intersected(self.area())

    def point_at(self, point: QPointF) -> tuple[float, float]:
        """Row and column under a point, in places, also out of sight."""
        return (
            self.square.top + (point.y() - self.top) / self.pitch,
            self.square.left + (point.x() - self.left) / self.pitch,
        )

    def place_at(self, point: QPointF) -> tuple[int, int] | None:
        """Query and key under a point."""
        if not self.area().contains(point):
            return None
        row, column = self.point_at(point)
        return min(int(row), self.square.rows[1] - 1), min(int(column), self.square.columns[1] - 1)

    def query_at(self, point: QPointF) -> int | None:
        """The row under a point, its label included."""
        inside = self.top <= point.y() < self.top + self.side and point.x() < self.left + self.side
        return int(self.point_at(point)[0]) if inside else None


def fitted(width: int, height: int, square: Square, *, room: int, zoom: float = 1.0) -> MatrixGeometry:
    """The largest picture of a square with as many tokens beside it as fit: on both sides, beside the rows, or none.

    `room`: for how many places a side there is to be room; see `room_for`.
    """
    margin = _MARGIN * zoom
    for row_tokens, column_tokens in ((True, True), (True, False), (False, False)):
        left = (_SIDE_LABEL if row_tokens else _SIDE_NUMBER) * zoom
        top = (_TOP_LABEL if column_tokens else _TOP_NUMBER) * zoom
        overhang = top if column_tokens else margin  # labels at the top lean to the right
        pitch = max(1.0, min(width - left - overhang, height - top - margin)) / room
        least = _COLUMN_PITCH if column_tokens else _LABEL_PITCH
        if not row_tokens or pitch >= least * zoom:
            break
    pitch = float(int(pitch)) if pitch >= _CRISP_PITCH else pitch
    spare = max(0.0, width - left - overhang - pitch * room)
    return MatrixGeometry(left + min(spare / 2, left), top, pitch, square, row_tokens, column_tokens)


def room_for(cells: int) -> int:
    """For how many cells to have room; grows in steps, so that a growing matrix keeps its scale for a while."""
    return next((step for step in _STEPS if step >= cells), cells)

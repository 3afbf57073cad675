"""From the picture's characters and lines to pixels, and back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from PySide6.QtCore import QPointF, QRectF

from canopy_desktop.exploration.branch_picture import BranchPicture, Cell, Twig

LEAST, MOST = 0.1, 3.0  # of the scale
MARGIN = 18.0  # pixels around the picture


@dataclass(frozen=True, slots=True)
class BranchGeometry:
    """Where the picture's parts are in the widget: `origin` is where its corner lies, `scale` 1 is normal size."""

    character: float  # pixels at scale 1
    line: float
    origin: QPointF = field(default_factory=lambda: QPointF(MARGIN, MARGIN))
    scale: float = 1.0

    def box(self, twig: Twig) -> QRectF:
        """A text's box, in pixels at scale 1."""
        return QRectF(twig.x * self.character, twig.y * self.line, twig.width * self.character, twig.lines * self.line)

    def cell(self, twig: Twig, cell: Cell) -> QRectF:
        """A token's box, in pixels at scale 1."""
        return QRectF(
            (twig.x + cell.x) * self.character,
            (twig.y + cell.line) * self.line,
            cell.width * self.character,
            self.line,
        )

    def on_screen(self, rect: QRectF) -> QRectF:
        """Where a rectangle at scale 1 is in the widget."""
        return QRectF(self.origin + rect.topLeft() * self.scale, rect.size() * self.scale)

    def point(self, on_screen: QPointF) -> QPointF:
        """A point of the widget at scale 1."""
        return (on_screen - self.origin) / self.scale

    def size(self, picture: BranchPicture) -> QRectF:
        """The whole picture, at scale 1."""
        return QRectF(0, 0, picture.width * self.character, picture.height * self.line)

    def hit(self, picture: BranchPicture, on_screen: QPointF) -> tuple[Twig, Cell] | None:
        """The token under a point of the widget."""
        point = self.point(on_screen)
        for twig in picture.twigs:
            if self.box(twig).contains(point):
                for cell in twig.cells:
                    if self.cell(twig, cell).contains(point):
                        return twig, cell
        return None

    def zoomed(self, factor: float, around: QPointF) -> BranchGeometry:
        """Nearer or further; the point of the widget stays over the same place."""
        scale = min(max(self.scale * factor, LEAST), MOST)
        origin = around - (around - self.origin) * (scale / self.scale)
        return replace(self, origin=origin, scale=scale)

    def moved(self, by: QPointF) -> BranchGeometry:
        """The picture pushed."""
        return replace(self, origin=self.origin + by)

    def fitted(self, picture: BranchPicture, room: QRectF) -> BranchGeometry:
        """The whole picture in the middle of the room's height, from its left edge; never larger than normal."""
        size = self.size(picture)
        inner = room.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        scale = min(1.0, inner.width() / max(1.0, size.width()), inner.height() / max(1.0, size.height()))
        scale = max(scale, LEAST)
        top = inner.center().y() - scale * size.height() / 2
        return replace(self, origin=QPointF(inner.left(), top), scale=scale)

    def filling(self, picture: BranchPicture, room: QRectF) -> BranchGeometry:
        """Moved no further than needed to leave no room empty on one side while there is more on the other."""
        shown, inner = self.on_screen(self.size(picture)), room.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        x = _into(shown.left(), shown.right(), inner.left(), inner.right())
        y = _into(shown.top(), shown.bottom(), inner.top(), inner.bottom())
        return self.moved(QPointF(x, y))

    def showing(self, rect: QRectF, room: QRectF) -> BranchGeometry:
        """Moved no further than a rectangle at scale 1 needs to be in sight, or its left end if it is too large."""
        shown, inner = self.on_screen(rect), room.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        x = min(0.0, inner.right() - shown.right())
        x = max(x, inner.left() - shown.left())
        y = min(0.0, inner.bottom() - shown.bottom())
        y = max(y, inner.top() - shown.top())
        return self.moved(QPointF(x, y))


def _into(first: float, last: float, least: float, most: float) -> float:
    """How far to move a stretch so that it lies within another one, or covers it."""
    if last - first <= most - least:
        return max(least - first, 0.0) + min(most - last, 0.0)
    return min(least - first, 0.0) + max(most - last, 0.0)

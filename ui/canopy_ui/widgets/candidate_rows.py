"""A chart with a row for each candidate: the row under the mouse tells its token, a lit token's row has a ground."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter
from PySide6.QtWidgets import QWidget

from canopy_ui.theme import Theme


class CandidateRows(QWidget):
    """Who inherits it says which tokens its rows are of, where they stand, and paints the ground below them."""

    token_hovered = Signal(object)  # a token's id, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._hovered: int | None = None
        self._lit: int | None = None  # a token that is under the mouse, here or elsewhere
        self.setMouseTracking(True)

    def token_ids(self) -> Sequence[int | None]:
        """The tokens of the rows; None: one that the model has not."""
        raise NotImplementedError

    def row_rect(self, row: int) -> QRectF:
        """Where a row stands."""
        raise NotImplementedError

    def set_lit(self, token_id: int | None) -> None:
        """Mark the row of the token that is under the mouse."""
        if token_id != self._lit:
            was, self._lit = self._lit, token_id
            for row, each in enumerate(self.token_ids()):
                if each is not None and each in (was, token_id):
                    self.update(self.row_rect(row).toAlignedRect())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_hovered(self._token_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_hovered(None)

    def _paint_lit(self, painter: QPainter) -> None:
        """The ground of the lit token's row."""
        for row, each in enumerate(self.token_ids()):
            if each is not None and each == self._lit:
                painter.fillRect(self.row_rect(row), QColor(self._theme.accent_soft))

    def _set_hovered(self, token_id: int | None) -> None:
        if token_id != self._hovered:
            self._hovered = token_id
            self.token_hovered.emit(token_id)

    def _token_at(self, point: QPointF) -> int | None:
        rows = enumerate(self.token_ids())
        return next((each for row, each in rows if self.row_rect(row).contains(point)), None)

"""Several views of one thing: side by side where there is room, else the one that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget


class Tiles(QWidget):
    """Shows all of its views from a width on, with shares of it; below, one."""

    spread_changed = Signal(bool)  # whether all are shown

    def __init__(self, views: Sequence[tuple[QWidget, int]], parent: QWidget | None = None) -> None:
        """`views` from left to right, each with its share of the width."""
        super().__init__(parent)
        self._views = [view for view, _ in views]
        self._chosen = self._views[0]
        self._spread = False
        self._least = 1 << 20
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for view, share in views:
            self._row.addWidget(view, share)
        self._show()

    @property
    def spread(self) -> bool:
        """Whether all are shown."""
        return self._spread

    def set_measures(self, least: int, gap: int) -> None:
        """All are shown from `least` pixels of width on, `gap` apart."""
        self._least = least
        self._row.setSpacing(gap)
        self._fit()

    def choose(self, view: QWidget) -> None:
        """The one to show where there is room for one."""
        self._chosen = view
        self._show()

    def shows(self, view: QWidget) -> bool:
        """Whether a view is on the screen, or would be if this were."""
        return self._spread or view is self._chosen

    def minimumSizeHint(self) -> QSize:
        least = self._chosen.minimumSizeHint()
        return least if not self._spread else QSize(least.width(), self._row.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        spread = self.width() >= self._least
        if spread != self._spread:
            self._spread = spread
            self._show()
            self.spread_changed.emit(spread)

    def _show(self) -> None:
        for view in self._views:
            view.setVisible(self.shows(view))

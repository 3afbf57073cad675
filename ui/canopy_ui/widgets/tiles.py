"""Several views of one thing: side by side where there is room, else the one that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

_SHARES = (5, 3)  # of the width: the first view, and the column of the others
_GIVE = 0.75  # of the least height, once all are shown: what stands around may take more room then


class Tiles(QWidget):
    """Shows all of its views from a size on, the first at the left and the others beside it; below, one."""

    spread_changed = Signal(bool)  # whether all are shown

    def __init__(self, first: QWidget, others: Sequence[QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._views = [first, *others]
        self._chosen = first
        self._spread = False
        self._least = QSize(1 << 20, 0)
        self._beside = QWidget()  # a layout alone would keep its share while it is empty
        self._column = QVBoxLayout(self._beside)
        self._column.setContentsMargins(0, 0, 0, 0)
        for view in others:
            self._column.addWidget(view, 1)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(first, _SHARES[0])
        self._row.addWidget(self._beside, _SHARES[1])
        self._show()

    @property
    def spread(self) -> bool:
        """Whether all are shown."""
        return self._spread

    def set_measures(self, least: QSize, gap: int) -> None:
        """All are shown from a size of `least` on, `gap` apart."""
        self._least = least
        self._row.setSpacing(gap)
        self._column.setSpacing(gap // 2)
        if self.isVisible():  # until then its size is not the one that it will have
            self._fit()

    def choose(self, view: QWidget) -> None:
        """The one to show where there is room for one."""
        self._chosen = view
        self._show()

    def shows(self, view: QWidget) -> bool:
        """Whether a view is on the screen, or would be if this were."""
        return self._spread or view is self._chosen

    def minimumSizeHint(self) -> QSize:
        return self._chosen.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.isVisible():
            self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        least = self._least.height() * (_GIVE if self._spread else 1.0)
        spread = self.width() >= self._least.width() and self.height() >= least
        if spread != self._spread:
            self._spread = spread
            self._show()
            self.spread_changed.emit(spread)

    def _show(self) -> None:
        for view in self._views:
            view.setVisible(self.shows(view))
        self._beside.setVisible(any(self.shows(view) for view in self._views[1:]))

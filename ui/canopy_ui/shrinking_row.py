"""A row that leaves out what matters least where there is no room for everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget


class ShrinkingRow(QWidget):
    """Widgets side by side, some of them at the end.

    Until all fits, `expendable` ones are hidden in their order; one that has a substitute is replaced by it. One whose
    size policy is Ignored asks for its least width, and takes what room is left.
    """

    fitted = Signal()  # some may be hidden now that were not, or the other way round

    def __init__(
        self,
        first: Sequence[QWidget],
        last: Sequence[QWidget],
        *,
        expendable: Sequence[QWidget],
        substitutes: Mapping[QWidget, QWidget],
    ) -> None:
        super().__init__()
        self._widgets = (*first, *last)
        self._expendable = tuple(expendable)
        self._substitutes = dict(substitutes)
        self._unwanted: set[QWidget] = set()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for widget in first:
            self._layout.addWidget(widget, int(_is_elastic(widget)))
        self._layout.addStretch(0)
        for widget in last:
            self._layout.addWidget(widget)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_gaps(self, spacing: int, margin: int) -> None:
        """The distance between two widgets, and that to both ends."""
        self._layout.setSpacing(spacing)
        self._layout.setContentsMargins(margin, 0, margin, 0)
        self.fit()

    def set_wanted(self, widget: QWidget, wanted: bool) -> None:
        """Whether a widget has something to say; one that has not is hidden in any width."""
        if wanted:
            self._unwanted.discard(widget)
        else:
            self._unwanted.add(widget)
        self.fit()

    def minimumSizeHint(self) -> QSize:
        kept = [widget for widget in self._whole_row() if widget not in self._expendable]
        return QSize(self._width(kept), max(widget.sizeHint().height() for widget in self._widgets))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.fit()

    def fit(self) -> None:
        """Show what fits; to be called when a widget's text has changed."""
        shown = [widget for widget in self._whole_row() if widget not in self._unwanted]
        for widget in self._expendable:
            if self._width(shown) <= self.width():
                break
            if widget in shown:
                place = shown.index(widget)
                shown[place : place + 1] = [self._substitutes[widget]] if widget in self._substitutes else []
        for widget in self._widgets:
            widget.setVisible(widget in shown)
        self.fitted.emit()

    def _whole_row(self) -> list[QWidget]:
        return [widget for widget in self._widgets if widget not in self._substitutes.values()]

    def _width(self, widgets: Sequence[QWidget]) -> int:
        margins = self._layout.contentsMargins()
        gaps = self._layout.spacing() * max(0, len(widgets) - 1) + margins.left() + margins.right()
        return sum(_width(widget) for widget in widgets) + gaps


def _is_elastic(widget: QWidget) -> bool:
    return widget.sizePolicy().horizontalPolicy() is QSizePolicy.Policy.Ignored


def _width(widget: QWidget) -> int:
    return widget.minimumWidth() if _is_elastic(widget) else max(widget.sizeHint().width(), widget.minimumWidth())

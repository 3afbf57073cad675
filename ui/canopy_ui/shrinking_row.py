"""A row that leaves out what matters least where there is no room for everything."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget


class ShrinkingRow(QWidget):
    """Widgets side by side, the last one at the end; `expendable` ones are hidden, in their order, until all fits."""

    def __init__(self, widgets: Sequence[QWidget], expendable: Sequence[QWidget]) -> None:
        super().__init__()
        self._widgets = tuple(widgets)
        self._expendable = tuple(expendable)
        self._unwanted: set[QWidget] = set()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for widget in self._widgets[:-1]:
            self._layout.addWidget(widget)
        self._layout.addStretch(1)
        self._layout.addWidget(self._widgets[-1])
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_spacing(self, spacing: int) -> None:
        """The distance between two widgets."""
        self._layout.setSpacing(spacing)
        self.fit()

    def set_wanted(self, widget: QWidget, wanted: bool) -> None:
        """Whether a widget has something to say; one that has not is hidden in any width."""
        if wanted:
            self._unwanted.discard(widget)
        else:
            self._unwanted.add(widget)
        self.fit()

    def minimumSizeHint(self) -> QSize:
        kept = [widget for widget in self._widgets if widget not in self._expendable]
        return QSize(self._width(kept), max(widget.sizeHint().height() for widget in self._widgets))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.fit()

    def fit(self) -> None:
        """Show what fits; to be called when a widget's text has changed."""
        shown = [widget for widget in self._widgets if widget not in self._unwanted]
        for widget in self._expendable:
            if self._width(shown) <= self.width():
                break
            if widget in shown:
                shown.remove(widget)
        for widget in self._widgets:
            widget.setVisible(widget in shown)

    def _width(self, widgets: Sequence[QWidget]) -> int:
        widths = [max(widget.sizeHint().width(), widget.minimumWidth()) for widget in widgets]
        return sum(widths) + self._layout.spacing() * max(0, len(widths) - 1)

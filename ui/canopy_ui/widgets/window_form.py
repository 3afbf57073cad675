"""How many tokens the model sees, and what happens when they are full."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from canopy_desktop.exploration.window import SMALLEST, ContextWindow, WhenFull
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import grouped
from canopy_ui.widgets.segmented import Segmented

_WAYS = (WhenFull.STOP, WhenFull.SLIDE)


class WindowForm(QWidget):
    """Always holds a window that the model can have, once the model is known."""

    window_changed = Signal(object)  # ContextWindow

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._window = ContextWindow()
        self._context = 0
        self._size = QSpinBox()
        self._size.setMinimumWidth(40)
        self._size.setGroupSeparatorShown(True)
        self._size.setAccessibleName(self.tr("Context window, in tokens"))
        self._way = Segmented((self.tr("Stop"), self.tr("Slide")), self.tr("When the window is full"))
        self._way.setToolTip(
            self.tr("Sliding drops the oldest quarter of the window, and the model reads the rest again")
        )
        self._keep = QCheckBox(self.tr("Keep the system message"))
        self._keep.setToolTip(self.tr("A slide never drops the system message of a chat"))
        self._grid = QGridLayout()
        for column, (name, control) in enumerate(
            ((self.tr("context window"), self._size), (self.tr("when full"), self._way))
        ):
            label = QLabel(name)
            label.setProperty("look", "secondary")
            label.setBuddy(control)
            self._grid.addWidget(label, 0, column)
            self._grid.addWidget(control, 1, column)
            self._grid.setColumnStretch(column, 1)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(self._grid)
        self._layout.addWidget(self._keep)
        self._show()
        self._size.valueChanged.connect(self._on_size_changed)
        self._way.chosen.connect(self._on_way_chosen)
        self._keep.toggled.connect(self._on_keep_toggled)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self._size.setFont(theme.font(14))
        self._size.lineEdit().setFont(theme.font(14))  # it follows one change late
        self._size.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._keep.setFont(theme.font(14))
        self._grid.setHorizontalSpacing(theme.px(10))
        self._grid.setVerticalSpacing(theme.px(1))
        self._layout.setSpacing(theme.px(4))

    def set_window(self, window: ContextWindow, context: int) -> None:
        """Show this window of a model with `context` positions, and say nothing; 0: no model yet."""
        self._window, self._context = window, context
        self._show()

    def summary(self) -> str:
        """The window in a few words; nothing about one that is the model's own and stops."""
        slides = self._window.when_full is WhenFull.SLIDE
        if self._window.size is None:
            return self.tr("the context window slides") if slides else ""
        size = self.tr("context window {size}").format(size=grouped(self._window.size))
        return self.tr("{size}, slides").format(size=size) if slides else size

    def _show(self) -> None:
        window, most = self._window, self._context or self._window.size or 0
        for control in (self._size, self._keep):
            control.blockSignals(True)
        self._size.setEnabled(self._context > SMALLEST)
        self._size.setRange(min(SMALLEST, most), most)
        self._size.setSpecialValueText("" if most else "–")
        self._size.setValue(most if window.size is None else window.size)
        self._size.setToolTip(
            self.tr("Tokens that the model sees, {least} to {most}; {most} is all that it can").format(
                least=SMALLEST, most=grouped(self._context)
            )
            if self._context
            else ""
        )
        self._way.choose(_WAYS.index(window.when_full))
        self._keep.setChecked(window.keep_system)
        self._keep.setVisible(window.when_full is WhenFull.SLIDE)
        for control in (self._size, self._keep):
            control.blockSignals(False)

    def _on_size_changed(self, size: int) -> None:
        self._take(replace(self._window, size=None if size >= self._context else size))

    def _on_way_chosen(self, way: int) -> None:
        self._take(replace(self._window, when_full=_WAYS[way]))
        self._keep.setVisible(_WAYS[way] is WhenFull.SLIDE)

    def _on_keep_toggled(self, keep: bool) -> None:
        self._take(replace(self._window, keep_system=keep))

    def _take(self, window: ContextWindow) -> None:
        if window != self._window:
            self._window = window
            self.window_changed.emit(window)

"""Two or more buttons of which one is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from canopy_ui.widgets.flow_layout import FlowLayout


class Segmented(QWidget):
    """A choice that can always be seen whole."""

    chosen = Signal(int)  # by the person

    def __init__(
        self, names: Sequence[str], accessible_name: str, parent: QWidget | None = None, *, rows: bool = False
    ) -> None:
        """`rows`: in several of them where there is no room for one."""
        super().__init__(parent)
        self.setAccessibleName(accessible_name)
        self._group = QButtonGroup(self)
        layout = FlowLayout(self, column_gap=0, row_gap=0, even=True) if rows else QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for number, name in enumerate(names):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setProperty("look", "segment")
            button.setAccessibleName(f"{accessible_name}: {name}")
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self._group.addButton(button, number)
            layout.addWidget(button)
        self.choose(0)
        self._group.idClicked.connect(self.chosen)

    def choice(self) -> int:
        """The number of the chosen button."""
        return self._group.checkedId()

    def choose(self, number: int) -> None:
        """Choose without saying so."""
        self._group.button(number).setChecked(True)

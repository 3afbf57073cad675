"""What a forbidden look changes: the likeliest next tokens before and after, and how much of it is rounding."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QScrollArea, QStackedWidget, QVBoxLayout

from canopy_desktop.exploration.blocking import BlockedView, BlockWish
from canopy_ui.qt_models.shifts_table import ShiftsTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.forbid_menu import scope_name
from canopy_ui.widgets.panel import Shrinkable
from canopy_ui.widgets.shift_chart import ShiftChart


class BeforeAfter(Shrinkable):
    """Closing it undoes the block: nothing of it was recorded."""

    closed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._title = QLabel()
        self._title.setWordWrap(True)
        self._size = QLabel()
        self._size.setProperty("look", "secondary")
        self._size.setWordWrap(True)
        self.chart = ShiftChart(theme)
        area = QScrollArea()
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self.chart)
        self._rows = ShiftsTable(self)
        self._table = CopyableTable(theme)
        self._table.setModel(self._rows)
        self._table.setAccessibleName(self.tr("Before and after as a table"))
        self._pages = QStackedWidget()
        self._pages.addWidget(area)
        self._pages.addWidget(self._table)
        self._as_table = QCheckBox(self.tr("as table"))
        self._as_table.toggled.connect(self._on_as_table_toggled)
        self._undo = QPushButton(self.tr("Undo"))
        self._undo.setToolTip(self.tr("Close this; the recorded text was never changed"))
        self._undo.clicked.connect(self.closed)
        foot = QHBoxLayout()
        foot.addWidget(self._as_table)
        foot.addStretch()
        foot.addWidget(self._undo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._title)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self._size)
        layout.addLayout(foot)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self.chart.set_theme(theme)
        self._table.set_theme(theme)
        self._title.setFont(theme.font(14))
        for control in (self._as_table, self._undo):
            control.setFont(theme.font(13))

    def set_wish(self, wish: BlockWish, query: str, key: str) -> None:
        """Say what is being tried."""
        self._title.setText(_told(self, wish, query, key))
        self.chart.set_bars(())
        self._rows.set_bars(())
        self._size.setText(self.tr("The text runs once more beside the recorded one …"))

    def set_result(self, view: BlockedView | None) -> None:
        """Show what came of it; None: it was interrupted, or could not be tried."""
        if view is None:
            self._size.setText(self.tr("It was not tried to the end: undo it, and forbid the look again."))
            return
        self.chart.set_bars(view.bars)
        self._rows.set_bars(view.bars)
        if view.beyond_rounding:
            told = self.tr("The distribution moves by {effect:.3g} bits; rounding alone moves it by {floor:.2g}.")
        else:
            told = self.tr(
                "The distribution moves by {effect:.2g} bits, no more than rounding ({floor:.2g}): it says nothing."
            )
        self._size.setText(told.format(effect=view.divergence_bits, floor=view.floor_bits))

    def told(self) -> str:
        """How large the effect is, in words."""
        return self._size.text()

    def title(self) -> str:
        """What is forbidden, in words."""
        return self._title.text()

    def _on_as_table_toggled(self, wanted: bool) -> None:
        self._pages.setCurrentIndex(1 if wanted else 0)


def _told(widget: BeforeAfter, wish: BlockWish, query: str, key: str) -> str:
    whole = widget.tr("What comes after “{query}” if nobody may look at “{key}”, {scope}")
    one = widget.tr("What comes after “{query}” if it may not look at “{key}”, {scope}")
    return (whole if wish.column else one).format(query=query, key=key, scope=scope_name(widget, wish))

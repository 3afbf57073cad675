"""All heads of one token: a grid of strips, or the same as a table."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QWidget

from canopy_desktop.exploration.attention_view import Look, RowView
from canopy_ui.qt_models.heads_table import HeadRow, HeadsTable
from canopy_ui.qt_models.row_table import RecordRole
from canopy_ui.theme import Theme
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.heads_grid import HeadsGrid


class HeadsView(QStackedWidget):
    """Either of the two chooses layer and head."""

    head_picked = Signal(int, int)
    place_hovered = Signal(object)  # (layer, head, key), or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row: RowView | None = None
        self.grid = HeadsGrid(theme)
        self.grid.head_picked.connect(self.head_picked)
        self.grid.place_hovered.connect(self.place_hovered)
        self._rows = HeadsTable(self)
        self.table = CopyableTable(theme)
        self.table.setModel(self._rows)
        self.table.setAccessibleName(self.tr("All heads as a table"))
        self.table.activated.connect(self._on_activated)
        self.table.about_to_be_read.connect(self._on_about_to_be_read)
        self.addWidget(self.grid)
        self.addWidget(self.table)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self.grid.set_theme(theme)
        self.table.set_theme(theme)

    def set_row(self, row: RowView | None, look: Look) -> None:
        """Show where a token looks; `look` is marked."""
        self._row = row
        self.grid.set_row(row, look)
        self._fill_table()

    def set_scaled_by_row(self, scaled: bool) -> None:
        """Give the full colour to the largest value of each strip, or to 100 %."""
        self.grid.set_scaled_by_row(scaled)

    @Slot(bool)
    def set_as_table(self, wanted: bool) -> None:
        """Show the table, or the grid."""
        self.setCurrentWidget(self.table if wanted else self.grid)
        self._fill_table()

    def _fill_table(self) -> None:
        self._rows.set_row(self._row if self.currentWidget() is self.table else None)

    @Slot()
    def _on_about_to_be_read(self) -> None:
        self._rows.set_row(self._row)

    @Slot(QModelIndex)
    def _on_activated(self, index: QModelIndex) -> None:
        row = index.data(RecordRole)
        if isinstance(row, HeadRow):
            self.head_picked.emit(row.layer, row.head)

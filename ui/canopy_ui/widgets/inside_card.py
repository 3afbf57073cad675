"""An operation's numbers: which one, a sentence, and a table."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from canopy_desktop.exploration.inside_view import InsideView, KeyRow
from canopy_desktop.kitchen_words import KitchenWord
from canopy_ui.qt_models.sheet_table import SheetTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.inside_layout import Station
from canopy_ui.widgets.inside_sheets import sheet_of, stations_in
from canopy_ui.widgets.inside_words import station_name


class InsideCard(QFrame):
    """Any operation can be chosen in it. Esc, or its button, closes it."""

    closed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: InsideView | None = None
        self._key: int | None = None  # the place of the token looked at that is meant
        self._kitchen: dict[str, KitchenWord] = {}
        self.setProperty("look", "card")
        self._stations = QComboBox()
        self._stations.setAccessibleName(self.tr("Operation"))
        self._list(tuple(Station))
        self._stations.currentIndexChanged.connect(self._on_station_chosen)
        self.close_button = QToolButton()
        self.close_button.setText("✕")
        self.close_button.setProperty("look", "small")
        self.close_button.setAccessibleName(self.tr("Close the numbers"))
        self.close_button.setToolTip(self.tr("Close (Esc)"))
        self.close_button.clicked.connect(self.closed)
        self._sentence = QLabel()
        self._sentence.setWordWrap(True)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._rows = SheetTable(self)
        self.table = CopyableTable(theme)
        self.table.setModel(self._rows)
        self.table.setAccessibleName(self.tr("Numbers of the operation"))
        self._top = QHBoxLayout()
        self._top.addWidget(self._stations)
        self._top.addStretch()
        self._top.addWidget(self.close_button)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._top)
        self._layout.addWidget(self._sentence)
        self._layout.addWidget(self.table, 1)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self.table.set_theme(theme)
        self._stations.setFont(theme.font(15))
        self._sentence.setFont(theme.font(15))
        self._layout.setContentsMargins(theme.px(10), theme.px(8), theme.px(10), theme.px(8))
        self._layout.setSpacing(theme.px(6))

    def station(self) -> Station:
        """The operation whose numbers are shown."""
        found: Station = self._stations.currentData()
        return found

    def set_view(self, view: InsideView | None) -> None:
        """Show the numbers of this step."""
        if view is not self._view:
            self._view = view
            if view is not None:
                self._list(stations_in(view))
            self._fill()

    def set_kitchen_words(self, words: dict[str, KitchenWord]) -> None:
        """Say these beside the technical words; none where they are switched off."""
        self._kitchen = words
        self._fill()

    def open(self, station: Station, key: KeyRow | None = None) -> None:
        """Show this operation, for a token that is looked at if one is meant."""
        self._key = None if key is None else key.place
        self._stations.blockSignals(True)
        self._stations.setCurrentIndex(self._stations.findData(station))
        self._stations.blockSignals(False)
        self._fill()

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._is_closed_by(event):
            event.accept()  # else Esc would stop the run
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._is_closed_by(event):
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _is_closed_by(self, event: QKeyEvent) -> bool:
        return event.key() == Qt.Key.Key_Escape and self.close_button.isVisible()

    def _list(self, stations: tuple[Station, ...]) -> None:
        """Let these be chosen; the one that is shown stays, if it is among them."""
        shown = self._stations.currentData()
        if tuple(self._stations.itemData(row) for row in range(self._stations.count())) == stations:
            return
        self._stations.blockSignals(True)
        self._stations.clear()
        for station in stations:
            self._stations.addItem(station_name(station), station)
        self._stations.setCurrentIndex(max(0, self._stations.findData(shown)))
        self._stations.blockSignals(False)

    def _fill(self) -> None:
        view = self._view
        if view is None:
            self._rows.set_sheet(None)
            self._sentence.clear()
            return
        key = next((row for row in view.rows if row.place == self._key), None)
        sheet = sheet_of(view, self.station(), key)
        columns = self._rows.columnCount()
        self._rows.set_sheet(sheet)
        if columns != self._rows.columnCount():
            self.table.setModel(self._rows)  # its first column takes the room that is left
        kitchen = self._kitchen.get(self.station().value)
        sentences = [sheet.sentence]
        if kitchen is not None:
            sentences.append(self.tr("In the kitchen, {word}: {why}").format(word=kitchen.word, why=kitchen.sentence))
        self._sentence.setText("\n".join(sentences))

    @Slot()
    def _on_station_chosen(self) -> None:
        self._fill()

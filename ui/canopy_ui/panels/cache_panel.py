"""The cache: which tokens are in it, what they take, and what a token costs without it."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.exploration.cache_view import CacheView
from canopy_ui.qt_models.cached_table import CachedTable
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.cache_map import CacheMap
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import byte_size, grouped, token_count
from canopy_ui.widgets.panel import Panel, Shrinkable
from canopy_ui.widgets.race_card import RaceCard
from canopy_ui.widgets.tall_scroll import TallScroll


class CachePanel(Panel):
    """Blocks above, the arithmetic of their bytes below, and the race."""

    position_selected = Signal(object)  # int, or None: the newest
    position_hovered = Signal(object)  # int, or None
    shown_changed = Signal(bool)  # whether anybody sees it

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: CacheView | None = None
        self._cell: tuple[int, int] | None = None
        self._map = CacheMap(theme)
        self._map.position_picked.connect(self.position_selected)
        self._map.cell_hovered.connect(self._on_cell_hovered)
        self._layers = FiguresTable(
            (
                self.tr("layer"),
                self.tr("key, a token"),
                self.tr("value, a token"),
                self.tr("in use"),
                self.tr("allocated"),
            ),
            self,
        )
        self._table = CopyableTable(theme)
        self._table.setModel(self._layers)
        self._table.setAccessibleName(self.tr("The cache, layer by layer"))
        self._tokens = CachedTable(self)
        self._token_table = CopyableTable(theme)
        self._token_table.setModel(self._tokens)
        self._token_table.setAccessibleName(self.tr("The cache, token by token"))
        for table in (self._table, self._token_table):
            table.about_to_be_read.connect(self._fill_tables)
        self._tables = QWidget()
        tables = QHBoxLayout(self._tables)
        tables.setContentsMargins(0, 0, 0, 0)
        tables.addWidget(self._token_table, 2)
        tables.addWidget(self._table, 3)
        self._page = MessagePage(self.tr("The cache fills here once the model reads a prompt."))
        self._pages = QStackedWidget()
        for page in (self._page, self._map, self._tables):
            self._pages.addWidget(page)
        self._value = ElidedLabel()
        self._value.setAccessibleName(self.tr("The cell under the mouse"))
        self._value.setProperty("look", "secondary")
        self._as_table = QPushButton(self.tr("Table"))
        self._as_table.setCheckable(True)
        self._as_table.setProperty("look", "segment")
        self._as_table.setAccessibleName(self.tr("The cache as a table"))
        self._as_table.toggled.connect(self._show_page)
        self._foot = QHBoxLayout()
        self._foot.addWidget(self._value, 1)
        self._foot.addWidget(self._as_table)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setAccessibleName(self.tr("The bytes of the cache"))
        self.race = RaceCard(theme)
        content = Shrinkable()
        self._layout = QVBoxLayout(content)
        self._layout.addWidget(self._pages, 5)
        self._layout.addLayout(self._foot)
        self._layout.addWidget(self._words)
        self._layout.addWidget(self.race, 6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(TallScroll(content))
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (self._map, self._token_table, self._table, self.race):
            widget.set_theme(theme)
        self._words.setFont(theme.font(15))
        self._layout.setContentsMargins(theme.px(12), theme.px(6), theme.px(12), theme.px(8))
        self._layout.setSpacing(theme.px(4))

    def set_cache(self, view: CacheView | None) -> None:
        """Show this; None: nothing has been read."""
        if view != self._view:
            self._view = view
            self._show()

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse, here or elsewhere."""
        self._map.set_lit(position)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.shown_changed.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.shown_changed.emit(False)

    def _show(self) -> None:
        view = self._view
        words = "" if view is None else self._arithmetic(view)
        self._map.set_view(view, words)
        self._words.setText(words)
        self._words.setVisible(bool(words))
        self._as_table.setEnabled(view is not None)
        self._set_title("" if view is None else f"{token_count(view.size.positions)} · {byte_size(view.size.used)}")
        self._show_value()
        self._show_page()

    @Slot()
    def _show_page(self) -> None:
        if self._view is None:
            self._pages.setCurrentWidget(self._page)
        else:
            self._pages.setCurrentWidget(self._tables if self._as_table.isChecked() else self._map)
        if self._as_table.isChecked():
            self._fill_tables()

    @Slot()
    def _fill_tables(self) -> None:
        self._tokens.set_view(self._view)
        self._layers.set_rows(() if self._view is None else _rows(self._view))

    @Slot(object)
    def _on_cell_hovered(self, cell: tuple[int, int] | None) -> None:
        self._cell = cell
        self.position_hovered.emit(None if cell is None else cell[1])
        self._show_value()

    def _show_value(self) -> None:
        view = self._view
        if view is None:
            self._value.set_text("")
        elif self._cell is not None:
            self._value.set_text(self._cell_words(view, *self._cell))
        else:
            self._value.set_text(self._state_words(view))

    def _cell_words(self, view: CacheView, layer: int, position: int) -> str:
        where = self.tr("layer {layer}, “{token}” at position {position}").format(
            layer=layer, token=marked(view.chips[position].token), position=grouped(position)
        )
        if position in view.dropped:
            return self.tr("{where}: no longer in the window").format(where=where)
        if position >= view.read:
            return self.tr("{where}: not read yet").format(where=where)
        size = view.size.layers[layer]
        return self.tr("{where}: key {key} B + value {value} B").format(
            where=where, key=grouped(size.key_bytes), value=grouped(size.value_bytes)
        )

    def _state_words(self, view: CacheView) -> str:
        if view.ahead:
            return self.tr("{count} more tokens, from which you went back, stay until the next one is read").format(
                count=grouped(view.ahead)
            )
        if view.dropped:
            return self.tr("hatched: {count} tokens have left the window").format(count=grouped(len(view.dropped)))
        if view.read < len(view.chips):
            return self.tr("dotted: not read yet, it comes in with the next step; full colour: the newest one in it")
        return self.tr("full colour: the newest token in it")

    def _arithmetic(self, view: CacheView) -> str:
        """The formula with the model's numbers, and what was measured."""
        size = view.size
        token = self.tr(
            "2 (key, value) · {layers} layers · {heads} · {numbers} numbers · {bytes} bytes = {each} bytes a token."
        ).format(
            layers=view.layers,
            heads=self.tr("1 head") if view.kv_heads == 1 else self.tr("{count} heads").format(count=view.kv_heads),
            numbers=view.head_size,
            bytes=view.number_bytes,
            each=grouped(size.predicted_per_position),
        )
        measured = self.tr(
            "{tokens}: {predicted} bytes predicted, {used} measured. There is room for {room}: {allocated}."
        ).format(
            tokens=token_count(size.positions),
            predicted=grouped(size.predicted),
            used=grouped(size.used),
            allocated=byte_size(size.allocated),
            room=grouped(size.capacity),
        )
        whole = self.tr("It grows evenly, not with the square: the whole context of {context} takes {all}.").format(
            context=grouped(view.context), all=byte_size(view.context * size.predicted_per_position)
        )
        return f"{token}\n{measured}\n{whole}"


def _rows(view: CacheView) -> list[tuple[str, ...]]:
    return [
        (
            str(number),
            f"{grouped(layer.key_bytes)} B",
            f"{grouped(layer.value_bytes)} B",
            f"{grouped(layer.used)} B",
            f"{grouped(layer.allocated)} B",
        )
        for number, layer in enumerate(view.size.layers)
    ]

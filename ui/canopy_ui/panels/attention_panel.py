"""Where the model looks: a matrix, and the strongest links of one token."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QModelIndex, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QComboBox, QSpinBox, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.exploration.attention_view import AttentionView, GoneColumns, LinkView, MissingToken, RowView
from canopy_ui.qt_models.links_table import LinkRole, LinksTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.attention_matrix import AttentionMatrix
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.look_words import short_text
from canopy_ui.widgets.matrix_axes import axis_text, position_text
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import grouped, percent
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.tiles import Tiles

_SPREAD_PX = 680  # from this width on everything is shown side by side


class AttentionPanel(Panel):
    """What is looked at, the pictures and tables of it, and the value under the mouse."""

    head_selected = Signal(int, int)  # layer, head
    hide_first_toggled = Signal(bool)
    position_selected = Signal(object)  # int
    compute_again_requested = Signal()
    row_shown = Signal(bool)  # whether anything shows where the selected token looks

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: AttentionView | None = None
        self._pending = False
        self._gone: GoneColumns | None = None
        self._cell: tuple[int, int] | None = None
        self._layer = self._spin(self.tr("layer "), self.tr("Layer"))
        self._head = self._spin(self.tr("head "), self.tr("Head"))
        self._hide = QCheckBox(self.tr("hide first token"))
        self._hide.setToolTip(
            self.tr("Heads often rest on the first token. Hidden, the rest is rescaled to add up to 100 %.")
        )
        self._matrix = AttentionMatrix(theme)
        self._page = MessagePage(self._lacking(), self.tr("Compute again"))
        self._page.accepted.connect(self.compute_again_requested)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._page)
        self._links = LinksTable(self)
        self._table = CopyableTable(theme)
        self._table.setModel(self._links)
        self._table.setAccessibleName(self.tr("Strongest links as a table"))
        self._table.activated.connect(self._on_link_activated)
        self._tiles = Tiles([(self._matrix, 3), (self._table, 2)])
        self._tiles.spread_changed.connect(self._on_spread_changed)
        self._shown = QComboBox()
        self._shown.setAccessibleName(self.tr("What is shown"))
        self._shown.addItem(self.tr("matrix"), self._matrix)
        self._shown.addItem(self.tr("strongest links"), self._table)
        self._shown.currentIndexChanged.connect(self._on_shown_changed)
        self._pages.addWidget(self._tiles)
        self._value = ElidedLabel()
        self._value.setProperty("look", "secondary")
        self._value.setAccessibleName(self.tr("Value under the mouse"))
        self._controls = FlowLayout()
        for control in (self._layer, self._head, self._hide, self._shown):
            self._controls.addWidget(control)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._controls)
        self._layout.addWidget(self._pages, 1)
        self._layout.addWidget(self._value)
        self._layer.valueChanged.connect(self._on_head_changed)
        self._head.valueChanged.connect(self._on_head_changed)
        self._hide.toggled.connect(self._on_hide_toggled)
        self._matrix.cell_hovered.connect(self._on_cell_hovered)
        self._matrix.query_picked.connect(self.position_selected)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._matrix.set_theme(theme)
        self._table.set_theme(theme)
        self._tiles.set_measures(theme.px(_SPREAD_PX), theme.px(16))
        for control in (self._layer, self._head, self._hide, self._shown):
            control.setFont(theme.font(13))
        for spin in (self._layer, self._head):
            spin.lineEdit().setFont(theme.font(13))  # under a style sheet it follows one change late
            spin.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._controls.set_gaps(theme.px(8), theme.px(4))
        self._layout.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self._layout.setSpacing(theme.px(3))
        self._value.setFixedHeight(theme.px(18))

    def set_model(self, layers: int, heads: int) -> None:
        """Say what can be chosen, counted from 0."""
        for spin, count in ((self._layer, layers), (self._head, heads)):
            spin.setEnabled(count > 0)
            spin.setRange(0, max(0, count - 1))
            spin.setToolTip(self.tr("0 to {last}").format(last=max(0, count - 1)))

    def set_selected(self, layer: int, head: int, hide_first: bool) -> None:
        """Show this choice, without asking for it."""
        for control in (self._layer, self._head, self._hide):
            control.blockSignals(True)
        for spin, value in ((self._layer, layer), (self._head, head)):
            spin.setMaximum(max(spin.maximum(), value))  # before there is a model, what was remembered holds
            spin.setValue(value)
        self._hide.setChecked(hide_first)
        for control in (self._layer, self._head, self._hide):
            control.blockSignals(False)
        self._show()

    def set_attention(
        self,
        view: AttentionView | None,
        *,
        pending: bool,
        gone: GoneColumns | None = None,
        row: RowView | None = None,
    ) -> None:
        """Show this reading; `pending`: a newer one is being computed; `gone`: what it would take.

        `row`: where the selected token looks, if that was asked for.
        """
        self._view, self._pending, self._gone = view, pending, gone
        self._links.set_row(row)
        self._show()

    def _spin(self, prefix: str, name: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setPrefix(prefix)
        spin.setRange(0, 0)
        spin.setKeyboardTracking(False)
        spin.setAccessibleName(name)
        return spin

    def _show(self) -> None:
        view = self._view
        if view is None or view.reading.values.size == 0:
            self._page.set_text(self._lacking(), offered=self._gone is not None)
            self._pages.setCurrentWidget(self._page)
        else:
            self._matrix.set_view(view, dimmed=not self._is_wanted(view))
            self._pages.setCurrentWidget(self._tiles)
        self._show_value()
        self._set_title(self._subtitle())

    def _lacking(self) -> str:
        if self._gone is not None:
            return self.tr("The queries of {count} of these tokens made room for newer ones.").format(
                count=grouped(self._gone.tokens)
            )
        if self._pending:
            return self.tr("Computing where each token looks …")
        return self.tr("Where each token looks appears here once the model has read a prompt.")

    def _show_value(self) -> None:
        self._value.set_text(self._sentence())

    def _is_wanted(self, view: AttentionView) -> bool:
        reading = view.reading
        wanted = (self._layer.value(), self._head.value(), self._hide.isChecked())
        return (reading.layer, reading.head, reading.hide_first) == wanted

    def _subtitle(self) -> str:
        parts = [
            self.tr("layer {layer}").format(layer=self._layer.value()),
            self.tr("head {head}").format(head=self._head.value()),
        ]
        if self._hide.isChecked():
            parts.append(self.tr("first token hidden"))
        return " · ".join(parts)

    def _sentence(self) -> str:
        """The value under the mouse; without a mouse, where the selected token looks most."""
        view = self._view
        if view is None or view.reading.values.size == 0:
            return ""
        if not self._is_wanted(view):
            return self.tr("computing …")
        if self._cell is not None and max(self._cell) < view.reading.values.shape[0]:
            return self._of_cell(view, *self._cell)
        row = None if view.selected is None else view.selected // view.reading.cell
        if view.missing is not None:
            return self._of_missing(view.missing)
        if row is None or np.isnan(view.reading.values[row]).all():
            return ""
        return self.tr("most: {link}").format(
            link=self._of_cell(view, row, int(np.nanargmax(view.reading.values[row])))
        )

    def _of_missing(self, token: MissingToken) -> str:
        name = short_text(token.text, token.position)
        if token.dropped:
            return self.tr("“{token}” is no longer in the window").format(token=name)
        return self.tr("“{token}” is the newest: the model has not read it yet").format(token=name)

    def _of_cell(self, view: AttentionView, query: int, key: int) -> str:
        reading = view.reading
        link = f"{self._name(view, query)} → {self._name(view, key)}"
        value = float(reading.values[query, key])
        if not np.isnan(value):
            known = percent(value)
            if reading.hide_first:
                known = self.tr("{value} of the rest").format(value=known)
            if reading.cell > 1:
                return self.tr("positions {link}: at most {value}").format(link=link, value=known)
            return self.tr("{link}: {value}").format(link=link, value=known)
        if key > query:
            return self.tr("{link}: comes later, cannot be looked at").format(link=link)
        return self.tr("{link}: hidden").format(link=link)

    def _name(self, view: AttentionView, cell: int) -> str:
        reading = view.reading
        if reading.cell == 1:
            return axis_text(view, cell)
        first, last = cell * reading.cell, min((cell + 1) * reading.cell, reading.length) - 1
        return f"{position_text(view, first)}–{position_text(view, last)}"

    @Slot(int)
    def _on_shown_changed(self, index: int) -> None:
        self._tiles.choose(self._shown.itemData(index))
        self.row_shown.emit(self._tiles.shows(self._table))

    @Slot(bool)
    def _on_spread_changed(self, spread: bool) -> None:
        self._shown.setVisible(not spread)
        self.row_shown.emit(self._tiles.shows(self._table))

    @Slot(QModelIndex)
    def _on_link_activated(self, index: QModelIndex) -> None:
        link = index.data(LinkRole)
        if isinstance(link, LinkView):
            self.position_selected.emit(link.position)

    def _on_head_changed(self) -> None:
        self._show()
        self.head_selected.emit(self._layer.value(), self._head.value())

    def _on_hide_toggled(self, hide: bool) -> None:
        self._show()
        self.hide_first_toggled.emit(hide)

    def _on_cell_hovered(self, cell: object) -> None:
        self._cell = cell if isinstance(cell, tuple) else None
        self._show_value()

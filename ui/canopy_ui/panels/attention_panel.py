"""Where the model looks: all heads at a glance, a matrix, and the strongest links of one token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QSize, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from canopy_desktop.exploration.attention_view import (
    AttentionView,
    GoneColumns,
    LinkView,
    Look,
    Looking,
    RowView,
    look_of,
)
from canopy_desktop.exploration.blocking import BlockedView, BlockWish
from canopy_ui.qt_models.links_table import LinksTable
from canopy_ui.qt_models.row_table import RecordRole
from canopy_ui.theme import Theme
from canopy_ui.widgets.attention_matrix import AttentionMatrix
from canopy_ui.widgets.before_after import BeforeAfter
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.counted_from_zero import set_count, show_choice
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.forbid_menu import ForbidMenu
from canopy_ui.widgets.heads_view import HeadsView
from canopy_ui.widgets.look_menu import LookMenu, rollout_note
from canopy_ui.widgets.look_words import look_title, short_text
from canopy_ui.widgets.matrix_legend import MatrixLegend
from canopy_ui.widgets.matrix_words import cell_sentence, head_sentence, missing_sentence, strongest_sentence
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import grouped
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.tiles import Tiles

_SPREAD_PX = (640, 300)  # from this size on everything is shown at once


@dataclass(frozen=True, slots=True)
class Link:
    """A token that looks and one that it looks at, each by position and text."""

    query: tuple[int, str]
    key: tuple[int, str]

    def names(self) -> tuple[str, str]:
        """Both in short."""
        return short_text(self.query[1], self.query[0]), short_text(self.key[1], self.key[0])


class AttentionPanel(Panel):
    """What is looked at, the pictures and tables of it, and the value under the mouse."""

    head_selected = Signal(int, int)  # layer, head
    looking_chosen = Signal(object)  # Looking
    hide_first_toggled = Signal(bool)
    position_selected = Signal(object)  # int
    position_hovered = Signal(object)  # int, or None
    token_hovered = Signal(object)  # the id of a next token, or None
    part_changed = Signal(object)  # Square of the picture in sight; None: the whole window
    row_shown = Signal(bool)  # whether anything shows where the selected token looks
    block_requested = Signal(object)  # BlockWish
    block_closed = Signal()  # what came of it is no longer shown
    compute_again_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: AttentionView | None = None
        self._row: RowView | None = None
        self._windows: dict[int, int | None] = {}  # of each layer
        self._pending = False
        self._needed_model = ""
        self._kept = False  # in the file, for that model is not here
        self._not_given = ""
        self._can_forbid = True
        self._gone: GoneColumns | None = None
        self._cell: tuple[int, int] | None = None  # under the mouse, in places of the window
        self._over: tuple[int, int, int] | None = None  # layer, head and key under the mouse
        self._meant: Link | None = None  # what can be forbidden
        self._wish: BlockWish | None = None  # what is forbidden just now
        self._make_controls(theme)
        self._make_pictures(theme)
        self._note = QLabel()
        self._note.setProperty("look", "secondary")
        self._note.setWordWrap(True)
        self._note.hide()
        self._value = ElidedLabel()
        self._value.setProperty("look", "secondary")
        self._value.setAccessibleName(self.tr("Value under the mouse"))
        self._legend = MatrixLegend(theme, Theme.attention_colour)
        self._foot = QHBoxLayout()
        self._foot.addWidget(self._value, 1)
        self._foot.addWidget(self._legend)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._controls)
        self._layout.addWidget(self._note)
        self._layout.addWidget(self._pages, 1)
        self._layout.addLayout(self._foot)
        self.set_theme(theme)
        self._show()

    def _make_controls(self, theme: Theme) -> None:
        self._layer = self._spin(self.tr("layer "), self.tr("Layer"))
        self._head = self._spin(self.tr("head "), self.tr("Head"))
        self._menu = LookMenu(theme)
        self._menu.looking_chosen.connect(self._on_looking_chosen)
        self._menu.hide_first_toggled.connect(self._on_hide_toggled)
        self._menu.scaled_by_row_toggled.connect(self._on_scale_toggled)
        self._shown = QComboBox()
        self._shown.setAccessibleName(self.tr("What is shown"))
        self._controls = FlowLayout()
        self._forbid = ForbidMenu(self)
        self._forbid.aboutToShow.connect(self._on_forbid_about_to_show)
        self._forbid.block_wished.connect(self._on_block_wished)
        self._menu.add_menu(self._forbid)
        self._forbid_button = QToolButton()
        self._forbid_button.setText(self.tr("Forbid a look ▾"))
        self._forbid_button.setProperty("look", "small")
        self._forbid_button.setMenu(self._forbid)
        self._forbid_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._forbid_button.setToolTip(self.tr("See what the next token would be if a look were forbidden"))
        self._forbid_button.hide()
        for control in (self._layer, self._head, self._shown, self._forbid_button, self._menu):
            self._controls.addWidget(control)
        for spin in (self._layer, self._head):
            spin.valueChanged.connect(self._on_head_changed)

    def _make_pictures(self, theme: Theme) -> None:
        self._matrix = AttentionMatrix(theme)
        self._matrix.cell_hovered.connect(self._on_cell_hovered)
        self._matrix.query_picked.connect(self.position_selected)
        self._matrix.part_changed.connect(self.part_changed)
        self._matrix.cell_picked.connect(self._on_cell_picked)
        self._matrix.menu_requested.connect(self._forbid.popup)
        self._heads = HeadsView(theme)
        self._heads.head_picked.connect(self._on_head_picked)
        self._heads.place_hovered.connect(self._on_place_hovered)
        self._menu.heads_as_table_toggled.connect(self._heads.set_as_table)
        self._links = LinksTable(self)
        self._table = CopyableTable(theme)
        self._table.setModel(self._links)
        self._table.setAccessibleName(self.tr("Strongest links as a table"))
        self._table.activated.connect(self._on_link_activated)
        self._table.clicked.connect(self._on_link_clicked)
        self._before_after = BeforeAfter(theme)
        self._before_after.chart.token_hovered.connect(self.token_hovered)
        self._before_after.closed.connect(self._on_before_after_closed)
        self._side = QStackedWidget()
        self._side.addWidget(self._table)
        self._side.addWidget(self._before_after)
        self._tiles = Tiles(self._matrix, (self._heads, self._side))
        self._tiles.spread_changed.connect(self._on_spread_changed)
        for name, view in (
            (self.tr("matrix"), self._matrix),
            (self.tr("all heads"), self._heads),
            (self.tr("links"), self._side),
        ):
            self._shown.addItem(name, view)
        self._shown.currentIndexChanged.connect(self._on_shown_changed)
        self._page = MessagePage(self._lacking(), self.tr("Compute again"))
        self._page.accepted.connect(self.compute_again_requested)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._page)
        self._pages.addWidget(self._tiles)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (self._matrix, self._heads, self._table, self._before_after, self._menu, self._legend):
            widget.set_theme(theme)
        self._tiles.set_measures(QSize(theme.px(_SPREAD_PX[0]), theme.px(_SPREAD_PX[1])), theme.px(16))
        for control in (self._layer, self._head, self._shown, self._forbid_button):
            control.setFont(theme.font(13))
        for spin in (self._layer, self._head):
            spin.lineEdit().setFont(theme.font(13))  # under a style sheet it follows one change late
            spin.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._controls.set_gaps(theme.px(8), theme.px(4))
        self._layout.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self._layout.setSpacing(theme.px(3))
        self._foot.setSpacing(theme.px(8))
        self._value.setFixedHeight(theme.px(18))

    def set_model(self, layers: int, heads: int, windows: Sequence[int | None] = ()) -> None:
        """Say what can be chosen, counted from 0; `windows`: how many tokens each layer sees at most, None for all."""
        self._windows = dict(enumerate(windows))
        for spin, count in ((self._layer, layers), (self._head, heads)):
            set_count(spin, count)
        self._show()

    def set_selected(self, layer: int, head: int, hide_first: bool, looking: Looking = Looking.HEAD) -> None:
        """Show this choice, without asking for it."""
        for spin, value in ((self._layer, layer), (self._head, head)):
            show_choice(spin, value)
        self._menu.choose(looking, hide_first)
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
        self._view, self._row, self._pending, self._gone = view, row, pending, gone
        self._links.set_row(row)
        self._show()

    def set_needed_model(self, model_id: str, *, kept: bool = False) -> None:
        """Say what this model is needed for: all attention, or what the file does not keep; empty: it is there."""
        if (model_id, kept) != (self._needed_model, self._kept):
            self._needed_model, self._kept = model_id, kept
            self._show()

    def set_not_given(self, sentence: str, *, can_forbid: bool = True) -> None:
        """Say why this model's graph has no attention to show; empty: it has. `can_forbid`: it has a place for that."""
        self._not_given, self._can_forbid = sentence, can_forbid
        self._show()

    def set_blocked(self, view: BlockedView | None) -> None:
        """Show what came of the block that was asked for; None: it was not tried to the end."""
        if self._wish is not None and (view is None or view.wish == self._wish):
            self._before_after.set_result(view)

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse elsewhere."""
        self._matrix.set_lit(position)
        self._heads.grid.set_lit(position)

    def set_lit_candidate(self, token_id: int | None) -> None:
        """Mark the next token that is under the mouse, here or elsewhere."""
        self._before_after.chart.set_lit(token_id)

    def forbid(self, link: Link, wish: BlockWish) -> None:
        """Ask what the link's look changes, and show it."""
        self._meant = link
        self._on_block_wished(wish)

    def try_block(self, wish: BlockWish | None) -> None:
        """Ask once more what a look changes; None, or a token that is not in sight: show that no longer."""
        view = self._view
        known = {} if view is None else dict(zip(view.positions.tolist(), view.tokens, strict=False))
        if wish is not None and wish.query in known and wish.key in known:
            self.forbid(Link((wish.query, known[wish.query]), (wish.key, known[wish.key])), wish)
        elif self._wish is not None:
            self._on_before_after_closed()

    def look(self) -> Look:
        """The attention that is chosen."""
        return look_of(self._menu.looking(), self._layer.value(), self._head.value(), self._menu.hide_first.isChecked())

    def _spin(self, prefix: str, name: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setPrefix(prefix)
        spin.setRange(0, 0)
        spin.setKeyboardTracking(False)
        spin.setAccessibleName(name)
        return spin

    def _show(self) -> None:
        view, look = self._view, self.look()
        for control, can_be_chosen in (
            (self._layer, self._layer.maximum() > 0 and look.layer is not None),
            (self._head, self._head.maximum() > 0 and look.head is not None),
            (self._shown, True),
            (self._forbid_button, True),
            (self._menu, True),
        ):
            control.setEnabled(can_be_chosen and not self._not_given)
        kept = self.tr("Read from the file, without its model") if self._kept else ""
        notes = (rollout_note(self) if look.layer is None else "", kept)
        self._note.setText("\n".join(filter(None, notes)))
        self._note.setVisible(any(notes))
        if view is None or view.reading.values.size == 0:
            self._page.set_text(self._lacking(), offered=self._gone is not None)
            self._pages.setCurrentWidget(self._page)
        else:
            self._matrix.set_view(view, look)
            self._heads.set_row(self._row, look)
            self._pages.setCurrentWidget(self._tiles)
        self._show_value()
        self._legend.setVisible(not self._not_given)
        self._set_title(
            "" if self._not_given else look_title(look, None if look.layer is None else self._windows.get(look.layer))
        )

    def _lacking(self) -> str:
        if self._gone is not None:
            return self.tr("The queries of {count} of these tokens made room for newer ones.").format(
                count=grouped(self._gone.tokens)
            )
        if self._needed_model and not self._kept:
            return self.tr("Where each token looks needs {model}, the model that made this exploration.").format(
                model=self._needed_model
            )
        if self._not_given:
            return self._not_given
        if self._pending:
            return self.tr("Computing where each token looks …")
        return self.tr("Where each token looks appears here once the model has read a prompt.")

    def _show_value(self) -> None:
        sentence = self._sentence()
        self._value.set_text(sentence)
        self._matrix.setAccessibleDescription(sentence)

    def _sentence(self) -> str:
        """The value under the mouse; without a mouse, where the selected token looks most."""
        view = self._view
        if view is None or view.reading.values.size == 0:
            return ""
        if self._over is not None and self._row is not None:
            layer, head, key = self._over
            return head_sentence(self._row, layer, head, key if key < len(self._row.tokens) else None)
        if view.reading.look != self.look():
            return self.tr("computing …")
        if self._cell is not None and (reading := self._matrix.shown(self._cell)) is not None:
            return cell_sentence(view, reading, *self._cell)
        if view.missing is not None:
            return missing_sentence(view.missing, kept=self._kept)
        whole = view.whole if view.whole is not None and view.whole.look == self.look() else view.reading
        return "" if view.selected is None else strongest_sentence(view, whole, view.selected)

    @Slot(int)
    def _on_shown_changed(self, index: int) -> None:
        self._tiles.choose(self._shown.itemData(index))
        self._tell_row_shown()

    @Slot(bool)
    def _on_spread_changed(self, spread: bool) -> None:
        self._shown.setVisible(not spread)
        self._forbid_button.setVisible(spread)
        self._tell_row_shown()

    def _tell_row_shown(self) -> None:
        self.row_shown.emit(self._tiles.shows(self._side) or self._tiles.shows(self._heads))

    @Slot(QModelIndex)
    def _on_link_activated(self, index: QModelIndex) -> None:
        link = index.data(RecordRole)
        if isinstance(link, LinkView):
            self.position_selected.emit(link.position)

    @Slot(QModelIndex)
    def _on_link_clicked(self, index: QModelIndex) -> None:
        link, row = index.data(RecordRole), self._row
        if isinstance(link, LinkView) and row is not None:
            self._meant = Link((row.position, row.text), (link.position, link.text))

    @Slot(object)
    def _on_cell_picked(self, cell: tuple[int, int]) -> None:
        reading, view = self._matrix.shown(cell), self._view
        self._meant = None
        if view is not None and reading is not None and reading.cell == 1 and max(cell) < len(view.tokens):
            query, key = ((int(view.positions[place]), view.tokens[place]) for place in cell)
            self._meant = Link(query, key)

    @Slot()
    def _on_forbid_about_to_show(self) -> None:
        meant = self._meant
        if self._kept:
            sentence = self.tr("What another look would change needs {model}, the model that made this exploration")
            self._forbid.set_hint(sentence.format(model=self._needed_model))
        elif not self._can_forbid:
            self._forbid.set_hint(self.tr("This model’s own graph has no place to forbid a look"))
        elif meant is None:
            self._forbid.set_cell(None, self.look(), "", "")
        else:
            cell = meant.query[0], meant.key[0]
            self._forbid.set_cell(cell, self.look(), *meant.names())

    @Slot(object)
    def _on_block_wished(self, wish: BlockWish) -> None:
        if self._meant is None:
            return
        self._wish = wish
        self._before_after.set_wish(wish, *self._meant.names())
        self._side.setCurrentWidget(self._before_after)
        index = self._shown.findData(self._side)
        self._shown.setItemText(index, self.tr("effect"))
        if not self._tiles.spread:
            self._shown.setCurrentIndex(index)
        self.block_requested.emit(wish)

    @Slot()
    def _on_before_after_closed(self) -> None:
        self._wish = None
        self._side.setCurrentWidget(self._table)
        self._shown.setItemText(self._shown.findData(self._side), self.tr("links"))
        self._shown.setCurrentIndex(self._shown.findData(self._matrix))
        self.block_closed.emit()

    @Slot()
    def _on_head_changed(self) -> None:
        self._show()
        self.head_selected.emit(self._layer.value(), self._head.value())

    @Slot(int, int)
    def _on_head_picked(self, layer: int, head: int) -> None:
        if self._menu.looking() is not Looking.HEAD:
            self._menu.choose(Looking.HEAD, self._menu.hide_first.isChecked())
            self.looking_chosen.emit(Looking.HEAD)
        self.set_selected(layer, head, self._menu.hide_first.isChecked())
        self.head_selected.emit(layer, head)

    @Slot(object)
    def _on_looking_chosen(self, looking: Looking) -> None:
        self._show()
        self.looking_chosen.emit(looking)

    @Slot(bool)
    def _on_hide_toggled(self, hide: bool) -> None:
        self._show()
        self.hide_first_toggled.emit(hide)

    @Slot(bool)
    def _on_scale_toggled(self, scaled: bool) -> None:
        for widget in (self._matrix, self._heads, self._legend):
            widget.set_scaled_by_row(scaled)

    @Slot(object)
    def _on_cell_hovered(self, cell: object) -> None:
        self._cell = cell if isinstance(cell, tuple) else None
        key = None
        if self._cell is not None and self._view is not None and self._cell[1] < self._view.positions.size:
            key = int(self._view.positions[self._cell[1]])
        self.position_hovered.emit(key)
        self._show_value()

    @Slot(object)
    def _on_place_hovered(self, place: tuple[int, int, int] | None) -> None:
        self._over = place
        row = self._row
        self.position_hovered.emit(None if place is None or row is None else int(row.positions[place[2]]))
        self._show_value()

"""Inside the model: one token's way through the open block, as a picture or as tables."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt, Signal, Slot
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QScrollArea,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from canopy_desktop.exploration.inside_view import InsideView, KeyRow
from canopy_desktop.kitchen_words import load_kitchen_words
from canopy_desktop.paths import resources
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.counted_from_zero import set_count, show_choice
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.inside_card import InsideCard
from canopy_ui.widgets.inside_flow import InsideFlow
from canopy_ui.widgets.inside_layout import Station
from canopy_ui.widgets.inside_legend import InsideLegend
from canopy_ui.widgets.inside_sheets import sheet_of, stations_in
from canopy_ui.widgets.inside_words import station_name
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.notice import Notice
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.segmented import Segmented

_PICTURE, _TABLE = 0, 1
_CARD_PX = (560, 380)
_TABLE_PX = 900  # wider, its first column would be far from the others


class _Room(QWidget):
    """What stands in it is placed by its owner."""

    resized = Signal()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()


class InsidePanel(Panel):
    """The picture with a card of numbers in front of it, or the numbers alone."""

    head_selected = Signal(int, int)  # layer, head
    position_selected = Signal(object)  # int
    position_hovered = Signal(object)  # int, or None
    shown_changed = Signal(bool)  # whether it can be seen
    kitchen_toggled = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: InsideView | None = None
        self._words = load_kitchen_words(resources() / "kitchen_words.toml")
        self._make_controls()
        self._notice = Notice()
        self._flow = InsideFlow(theme)
        self._flow.head_picked.connect(self._on_head_picked)
        self._flow.position_picked.connect(self.position_selected)
        self._flow.position_hovered.connect(self.position_hovered)
        self._flow.station_opened.connect(self._on_station_opened)
        self._scroll = QScrollArea()
        self._scroll.setWidget(self._flow)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._content = _Room()
        self._content.resized.connect(self._place)
        self._scroll.setParent(self._content)
        self._card = InsideCard(theme, self._content)
        self._card.closed.connect(self._on_card_closed)
        self._card.hide()
        self._page = MessagePage(self._lacking())
        self._pages = QStackedWidget()
        self._pages.addWidget(self._page)
        self._pages.addWidget(self._content)
        self._legend = InsideLegend(theme)
        self._controls.addWidget(self._legend)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._controls)
        self._layout.addWidget(self._notice)
        self._layout.addWidget(self._pages, 1)
        self.set_theme(theme)

    def _make_controls(self) -> None:
        self._layer = self._spin(self.tr("block "), self.tr("Block"))
        self._head = self._spin(self.tr("head "), self.tr("Head"))
        self._shown = Segmented((self.tr("Picture"), self.tr("Tables")), self.tr("What is shown"))
        self._shown.chosen.connect(self._on_shown_chosen)
        self._kitchen = QCheckBox(self.tr("Kitchen words"))
        self._kitchen.setToolTip(self.tr("Words of the kitchen beside the technical ones"))
        self._kitchen.setVisible(bool(self._words))
        self._kitchen.toggled.connect(self._on_kitchen_toggled)
        self._controls = FlowLayout()
        for control in (self._layer, self._head, self._shown, self._kitchen):
            self._controls.addWidget(control)
        for spin in (self._layer, self._head):
            spin.valueChanged.connect(self._on_head_changed)

    def _spin(self, prefix: str, name: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setPrefix(prefix)
        spin.setRange(0, 0)
        spin.setKeyboardTracking(False)
        spin.setAccessibleName(name)
        return spin

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for widget in (self._flow, self._card, self._legend):
            widget.set_theme(theme)
        for control in (self._layer, self._head, self._kitchen, self._shown):
            control.setFont(theme.font(13))
        for spin in (self._layer, self._head):
            spin.lineEdit().setFont(theme.font(13))  # under a style sheet it follows one change late
            spin.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._controls.set_gaps(theme.px(8), theme.px(4))
        self._layout.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self._layout.setSpacing(theme.px(3))
        self._place()

    def copied_text(self) -> str:
        if self._view is None:
            return ""
        sentences = (
            (station_name(station), sheet_of(self._view, station).sentence) for station in stations_in(self._view)
        )
        return "\n".join(f"{name}: {sentence}" for name, sentence in sentences)

    def set_model(self, layers: int, heads: int) -> None:
        """Say what can be chosen, counted from 0."""
        for spin, count in ((self._layer, layers), (self._head, heads)):
            set_count(spin, count)

    def set_selected(self, layer: int, head: int) -> None:
        """Show this choice, without asking for it."""
        for spin, value in ((self._layer, layer), (self._head, head)):
            show_choice(spin, value)

    def set_kitchen_words(self, wanted: bool) -> None:
        """Show the words of the kitchen, or hide them."""
        self._kitchen.setChecked(wanted)

    def set_inside(
        self,
        view: InsideView | None,
        *,
        pending: bool = False,
        waits: bool = False,
        left: bool = False,
        error: str = "",
    ) -> None:
        """Show this step. `pending`: one is being computed; `waits`: the run is too fast for it; `left`: the token
        has left the window; `error`: why there is none, in a sentence."""
        self._view = view
        lacking = self._lacking(pending=pending, waits=waits, left=left, error=error)
        self._page.set_text(lacking)
        self._notice.set_text(lacking if view is not None and (waits or left) else "")
        self._pages.setCurrentWidget(self._page if view is None else self._content)
        self._flow.set_view(view)
        self._card.set_view(view)
        self._legend.setVisible(view is not None)
        if view is None:
            self._set_title("")
            return
        self._set_title(self._titled(view))

    def _lacking(self, *, pending: bool = False, waits: bool = False, left: bool = False, error: str = "") -> str:
        if error:
            return error
        if left:
            return self.tr("This token has left the window: select another to look inside.")
        if waits:
            return self.tr("Pause to look inside the newest step, or choose a slower speed.")
        if pending:
            return self.tr("Passing the token through the model once more …")
        return self.tr("The way of a token through the model appears here once a prompt was read: press Run.")

    def _titled(self, view: InsideView) -> str:
        words = self.tr("“{token}” · block {layer} · head {head} · click anything to see its numbers")
        if view.came:
            words = self.tr(
                "“{token}”, then came “{next}” · block {layer} · head {head} · click anything to see its numbers"
            )
        return words.format(
            token=marked(view.token), next=marked(view.chosen), layer=view.step.layer, head=view.step.head
        )

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse, here or elsewhere."""
        self._flow.set_lit(position)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.shown_changed.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.shown_changed.emit(False)

    @Slot()
    def _place(self) -> None:
        """The picture takes all room; the card stands in front of it, on the side that was not clicked."""
        room = self._content.rect()
        table = self._shown.choice() == _TABLE
        self._scroll.setGeometry(room)
        self._scroll.setVisible(not table)
        if table:
            self._card.setGeometry(QRect(0, 0, min(self._theme.px(_TABLE_PX), room.width()), room.height()))
            return
        width = min(self._theme.px(_CARD_PX[0]), room.width())
        height = min(max(self._theme.px(_CARD_PX[1]), round(room.height() * 0.8)), room.height())
        left = room.width() - width if self._opened_left() else 0
        self._card.setGeometry(QRect(left, room.height() - height, width, height))

    def _opened_left(self) -> bool:
        return tuple(Station).index(self._card.station()) < tuple(Station).index(Station.SOFTMAX)

    @Slot(object, object)
    def _on_station_opened(self, station: Station, key: KeyRow | None) -> None:
        self._card.open(station, key)
        self._place()
        self._card.show()
        self._card.raise_()
        self._card.table.setFocus()

    @Slot()
    def _on_card_closed(self) -> None:
        self._card.hide()
        self._flow.setFocus()

    @Slot(int)
    def _on_shown_chosen(self, number: int) -> None:
        self._card.close_button.setVisible(number == _PICTURE)
        self._card.setVisible(number == _TABLE)
        self._legend.setVisible(number == _PICTURE and self._view is not None)
        self._place()

    @Slot(bool)
    def _on_kitchen_toggled(self, wanted: bool) -> None:
        words = self._words if wanted else {}
        self._flow.set_kitchen_words({one: words[one.value].word for one in Station if one.value in words})
        self._card.set_kitchen_words(words)
        self.kitchen_toggled.emit(wanted)

    @Slot()
    def _on_head_changed(self) -> None:
        self.head_selected.emit(self._layer.value(), self._head.value())

    @Slot(int, int)
    def _on_head_picked(self, layer: int, head: int) -> None:
        self.set_selected(layer, head)
        self.head_selected.emit(layer, head)

"""The text as tokens, with what is known about the selected one."""

from __future__ import annotations

from bisect import bisect_left

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout, QWidget

from canopy_desktop.exploration.view import Chip, Colouring, TokenRole, WindowView
from canopy_ui.facts_desk import CheckedAnswer
from canopy_ui.theme import Theme
from canopy_ui.widgets.fact_check_view import FactCheckView
from canopy_ui.widgets.facts_card import FactsCard
from canopy_ui.widgets.legend import Legend
from canopy_ui.widgets.look_words import look_name, look_title, short_text
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.notice import Notice
from canopy_ui.widgets.numbers import grouped, percent
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.progress_line import ProgressLine
from canopy_ui.widgets.token_text import TokenText

LEAST_TEXT = 170  # pixels at 100 % for the text and what explains its colours; the card of facts has the rest
LEAST = 100  # for the text alone


class TokenPanel(Panel):
    """The centre of the window. Where there is little room the text has it; what stands below it is left out."""

    position_selected = Signal(object)  # int, or None: follow the newest
    position_hovered = Signal(object)  # int, or None
    colouring_chosen = Signal(object)  # Colouring

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = ""
        self._is_calm = False  # the message
        self._standing = ""
        self._view = WindowView()
        self._text = TokenText(theme)
        self._text.position_selected.connect(self.position_selected)
        self._text.hovered.connect(self.position_hovered)
        self._card = FactsCard(theme)
        self._check = FactCheckView(theme)
        self._legend = Legend(theme)
        self._colouring = QComboBox()
        for colouring, name in (
            (Colouring.SURPRISAL, self.tr("surprisal")),
            (Colouring.ATTENTION, self.tr("attention")),
        ):
            self._colouring.addItem(name, colouring)
        self._colouring.setAccessibleName(self.tr("What the colours tell"))
        self._colouring.setToolTip(
            self.tr("Surprisal: how unexpected each token was. Attention: where the selected token looks.")
        )
        self._colouring.activated.connect(self._on_colouring_activated)
        self._no_attention = ""
        self._progress = ProgressLine(theme)
        self._counts = QLabel()
        self._counts.setProperty("look", "secondary")
        self._counts.setMinimumWidth(1)  # the panel may be narrower than all that stands below the text
        self._notice = Notice()
        self._page = MessagePage(self._invitation())
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._page)
        self._pages.addWidget(self._with_text())
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for widget in (self._text, self._card, self._check, self._legend, self._progress):
            widget.set_theme(theme)
        self._colouring.setFont(theme.font(13))
        self._row.setSpacing(theme.px(10))
        self._head.setContentsMargins(theme.px(14), theme.px(4), theme.px(14), 0)
        layout = self._foot.layout()
        if layout is not None:
            layout.setContentsMargins(theme.px(14), theme.px(4), theme.px(14), theme.px(10))
        self._fit()

    def minimumSizeHint(self) -> QSize:
        least = super().minimumSizeHint()
        return QSize(least.width(), min(least.height(), self._theme.px(LEAST)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def copied_text(self) -> str:
        return b"".join(chip.lost + chip.token.data for chip in self._view.chips).decode("utf-8", "replace")

    def set_view(self, view: WindowView) -> None:
        """Show this text, and its selected token."""
        began_anew = view.chips[:1] != self._view.chips[:1]
        counts_changed = len(view.chips) != len(self._view.chips) or began_anew
        self._view = view
        if began_anew:
            self._message = ""
        self._text.set_view(view)
        self._card.set_facts(view.facts)
        self._legend.set_dropped(len(view.dropped))
        self._show_colouring()
        if counts_changed:
            self._counts.setText(self._counted())
        self._fit()
        self._show_page()

    def set_no_attention(self, why: str) -> None:
        """Say in a few words why the text cannot be coloured by attention; empty: it can."""
        if why != self._no_attention:
            self._no_attention = why
            self._show_colouring()

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse elsewhere."""
        self._text.set_lit(position)

    def set_busy(self, done: int, total: int, *, sliding: bool = False) -> None:
        """Show the progress of a prefill, or of a slide; nothing is shown once it is done, or where `total` is 0."""
        self._progress.set_progress(done, total, sliding=sliding)

    def set_checked(self, checked: CheckedAnswer | None) -> None:
        """Show below the answer how it compares with facts; None: it was not compared."""
        self._check.set_checked(checked)

    def set_message(self, text: str, *, calm: bool = False) -> None:
        """Say why there is no text, or above the text what happened; another prompt takes it away.

        `calm`: nothing has to be done about it.
        """
        self._message, self._is_calm = text, calm
        self._show_page()

    def set_standing(self, text: str) -> None:
        """Say above the text what holds as long as it is shown; a message goes before."""
        if text != self._standing:
            self._standing = text
            self._show_page()

    def _with_text(self) -> QWidget:
        page, self._foot = QWidget(), QWidget()
        self._explained = QWidget()
        self._row = QHBoxLayout(self._explained)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self._counts)
        self._row.addWidget(self._colouring)
        self._row.addWidget(self._legend, 1)
        foot = QVBoxLayout(self._foot)
        foot.setSpacing(4)
        foot.addWidget(self._progress)
        foot.addWidget(self._check)
        foot.addWidget(self._card)
        foot.addWidget(self._explained)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._head = QVBoxLayout()
        self._head.addWidget(self._notice)
        layout.addLayout(self._head)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._foot)
        return page

    def _fit(self) -> None:
        """What there is room for: first the text, then its colours and their scale, the counts, and the facts."""
        width, least = self.width() - 2 * self._theme.px(14), self._theme.px(LEAST_TEXT)
        self._foot.setVisible(self.height() >= least)
        scale = self._colouring.sizeHint().width() + self._legend.least_width() + 2 * self._row.spacing()
        self._counts.setVisible(width >= scale + self._counts.sizeHint().width())
        self._card.setVisible(self.height() >= self._card.heightForWidth(width) + least)

    def _show_page(self) -> None:
        empty = not self._view.chips
        self._page.set_text(self._message or self._invitation())
        calm = bool(self._message) and self._is_calm
        self._notice.set_text("" if empty else self._message or self._standing, calm=calm)
        self._pages.setCurrentIndex(0 if empty else 1)
        self._set_title("" if empty else self._coloured())

    def _show_colouring(self) -> None:
        view = self._view
        if self._colouring.currentData() != view.colouring:
            self._colouring.setCurrentIndex(self._colouring.findData(view.colouring))
        if view.colouring is Colouring.SURPRISAL:
            self._legend.set_attention("")
        elif view.row is None:
            self._legend.set_attention(self._no_attention or self.tr("computing …"))
        else:
            scale = self.tr("0 – {largest}").format(largest=percent(view.row.largest))
            self._legend.set_attention(look_name(view.row.look), scale)

    def _coloured(self) -> str:
        row = self._view.row
        if self._view.colouring is Colouring.SURPRISAL:
            return self.tr("coloured by surprisal")
        if row is None:
            return self.tr("coloured by attention")
        return self.tr("where “{token}” looks · {look}").format(
            token=short_text(row.text, row.position), look=look_title(row.look)
        )

    @Slot(int)
    def _on_colouring_activated(self, index: int) -> None:
        self.colouring_chosen.emit(self._colouring.itemData(index))

    def _counted(self) -> str:
        chips = self._view.chips
        prompt = bisect_left(chips, True, key=_is_generated)  # the prompt's chips come first
        return self.tr("{prompt} in the prompt + {generated} generated").format(
            prompt=grouped(prompt), generated=grouped(len(chips) - prompt)
        )

    def _invitation(self) -> str:
        return self.tr("Type a prompt and press Run: the text appears here, one token at a time.")


def _is_generated(chip: Chip) -> bool:
    return chip.role is TokenRole.GENERATED

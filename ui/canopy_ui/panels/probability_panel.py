"""How the selected token was chosen: every stage from the raw distribution to the draw."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from canopy_desktop.decoding.frequencies import ChiSquare
from canopy_desktop.exploration.decision_view import Bar, DistributionView
from canopy_desktop.exploration.records import ChosenBy
from canopy_desktop.model.tokenizer import Token, Tokenizer
from canopy_ui.qt_models.distribution_table import DistributionTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.bar_scale import ScaleKind
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.draw_strip import DrawStrip
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.notice import Notice
from canopy_ui.widgets.numbers import bits, grouped, percent
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.stage_words import settings_difference
from canopy_ui.widgets.token_words import one_token
from canopy_ui.widgets.what_if_bar import WhatIfBar

FEWEST_BARS, MOST_BARS = 10, 50
MANY = 100
_ROOMY_PX = (460, 260)  # from this size on everything is there, below it the bars alone


class ProbabilityPanel(Panel):
    """Bars over the whole vocabulary, or the same as a table, and the strip that the draw falls on."""

    branch_requested = Signal(object)  # (parent node, token id)
    shown_changed = Signal(int)
    found_changed = Signal(object)  # a token's id, or None
    token_hovered = Signal(object)  # a token's id, or None
    draws_wished = Signal(int)  # how many; 0: none
    from_here_requested = Signal(int)  # the parent node
    settings_wished = Signal(object)  # DecodingSettings, those that the step used

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: DistributionView | None = None
        self._tokenizer: Tokenizer | None = None
        self._found: Token | None = None
        self._shows_found = False  # its row is there
        self._what_if = WhatIfBar(theme)
        self._what_if.from_here_clicked.connect(self._on_from_here_clicked)
        self._what_if.as_used_clicked.connect(self._on_as_used_clicked)
        self._refusal = Notice()
        self._chart = BarChart(theme)
        self._chart.token_picked.connect(self._on_token_picked)
        self._chart.token_hovered.connect(self.token_hovered)
        self._rows = DistributionTable(self)
        self._table = CopyableTable(theme)
        self._table.setModel(self._rows)
        self._table.setAccessibleName(self.tr("Next-token probabilities as a table"))
        self._table.about_to_be_read.connect(self._on_table_about_to_be_read)
        self._page = MessagePage(self._invitation())
        self._pages = QStackedWidget()
        for page in (self._page, self._chart, self._table):
            self._pages.addWidget(page)
        self._strip = DrawStrip(theme)
        self._strip.token_hovered.connect(self.token_hovered)
        self._make_controls()
        self._foot = FlowLayout()
        for widget in (self._shown, self._scale, self._find, self._many, self._as_table, self._note):
            self._foot.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._what_if)
        layout.addWidget(self._refusal)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self._strip)
        layout.addLayout(self._foot)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for widget in (self._chart, self._table, self._strip, self._what_if):
            widget.set_theme(theme)
        self._foot.setContentsMargins(theme.px(12), theme.px(3), theme.px(12), theme.px(5))
        self._foot.set_gaps(theme.px(8), theme.px(2))
        self._shown.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._find.setFixedWidth(theme.px(150))
        # a spin box's field follows late
        for control in (
            self._shown,
            self._shown.lineEdit(),
            self._scale,
            self._find,
            self._many,
            self._as_table,
        ):
            control.setFont(theme.font(13))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_what_fits()

    def set_tokenizer(self, tokenizer: Tokenizer) -> None:
        """What names tokens."""
        self._tokenizer = tokenizer

    def set_shown(self, count: int) -> None:
        """Show that so many tokens are drawn, without asking for it."""
        self._shown.blockSignals(True)
        self._shown.setValue(count)
        self._shown.blockSignals(False)

    def set_distribution(self, view: DistributionView | None, *, first: bool = False) -> None:
        """Show this distribution; None: it is not known, or there is none before the text's `first` token."""
        self._page.set_text(self._none_before() if first else self._invitation())
        if view != self._view:
            self._view = view
            self._show()

    def set_lit(self, token_id: int | None) -> None:
        """Mark the token that is under the mouse, here or elsewhere."""
        self._chart.set_lit(token_id)
        self._strip.set_lit(token_id)

    def set_refusal(self, text: str) -> None:
        """Say why these settings decide nothing here; nothing takes it away."""
        if text != self._refusal.text():
            self._refusal.set_text(text)

    def _make_controls(self) -> None:
        self._shown = QSpinBox()
        self._shown.setRange(FEWEST_BARS, MOST_BARS)
        self._shown.setSingleStep(5)
        self._shown.setPrefix(self.tr("top "))
        self._shown.setAccessibleName(self.tr("Number of tokens drawn"))
        self._shown.setToolTip(self.tr("How many tokens are drawn, 10 to 50; all others are one hatched bar"))
        self._shown.valueChanged.connect(self.shown_changed)
        self._scale = QComboBox()
        for kind, name in (
            (ScaleKind.LINEAR, self.tr("linear")),
            (ScaleKind.LOGARITHMIC, self.tr("logarithmic")),
            (ScaleKind.LOGITS, self.tr("logits")),
        ):
            self._scale.addItem(name, kind)
        self._scale.setAccessibleName(self.tr("Scale of the bars"))
        self._scale.setToolTip(self.tr("Logarithmic bars show unlikely tokens too; logits are the model's raw scores"))
        self._scale.activated.connect(self._on_scale_activated)
        self._find = QLineEdit()
        self._find.setClearButtonEnabled(True)
        self._find.setPlaceholderText(self.tr("find: text or #id"))
        self._find.setAccessibleName(self.tr("Find a token by its text or #id"))
        self._find.setToolTip(self.tr("Any token of the model, with its rank; “·” stands for a space"))
        self._find.returnPressed.connect(self._on_find_entered)
        self._find.textChanged.connect(self._on_find_edited)
        self._many = QPushButton(self.tr("{count} draws").format(count=MANY))
        self._many.setCheckable(True)
        self._many.setProperty("look", "segment")
        self._many.setToolTip(self.tr("Draws so many times from these probabilities, and counts"))
        self._many.toggled.connect(self._on_many_toggled)
        self._as_table = QCheckBox(self.tr("as table"))
        self._as_table.setToolTip(self.tr("The same figures as text; Ctrl+C copies them"))
        self._as_table.toggled.connect(self._show)
        self._note = QLabel()
        self._note.setProperty("look", "secondary")
        self._note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._note.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def _show(self) -> None:
        view, table = self._view, self._as_table.isChecked()
        had_found = self._shows_found
        self._chart.set_distribution(None if table else view)
        self._shows_found = view is not None and any(bar.found for bar in view.bars)
        if self._shows_found and not had_found and self._found is not None:
            self._chart.show_token(self._found.id)
        self._rows.set_distribution(view if table else None)
        shown: QWidget = self._page if view is None else self._table if table else self._chart
        self._pages.setCurrentWidget(shown)
        self._what_if.set_text(self._told_what_if(view) if view is not None and view.what_if else "")
        self._show_what_fits()
        self._show_note()
        if view is None:
            self._strip.set_strip(None, greedy=False, what_if=False)
            self._set_title("")
            return
        hypothetical = view.what_if or view.chosen_by in (None, ChosenBy.PERSON)
        self._strip.set_strip(view.strip, greedy=view.settings.greedy, what_if=hypothetical)
        self._set_title(self._named(view))

    def _show_what_fits(self) -> None:
        width, height = (self._theme.px(size) for size in _ROOMY_PX)
        roomy = self.width() >= width and self.height() >= height
        self._strip.setVisible(roomy and self._view is not None)
        self._what_if.set_narrow(self.width() < width)
        for widget in (self._scale, self._find, self._many):
            widget.setVisible(roomy)

    def _show_note(self) -> None:
        view = self._view
        parts = []
        if view is not None and self._found is not None:
            parts += [self._told_found(bar) for bar in view.bars if bar.token.id == self._found.id]
        if view is not None and view.draws is not None:
            parts.append(self._told_draws(view.draws.chi_square))
        if view is not None and not parts and not self._as_table.isChecked():
            parts.append(self._told_scale())
        self._note.setText("  ·  ".join(parts))

    def _told_scale(self) -> str:
        scale = self._chart.scale()
        if scale.kind is ScaleKind.LOGARITHMIC:
            return self.tr("bars from 0.0001 % to 100 %")
        return self.tr("full bar = {maximum}").format(maximum=percent(scale.largest))

    def _told_found(self, bar: Bar) -> str:
        told = self.tr("{token}: rank {rank}, logit {logit:.2f}, {probability}").format(
            token=marked(bar.token), rank=grouped(bar.rank), logit=bar.logit, probability=percent(bar.probability)
        )
        return told if len(bar.probabilities) == 1 else f"{told} → {percent(bar.kept_probability)}"

    def _told_draws(self, test: ChiSquare) -> str:
        if test.p_value is None:
            return self.tr("one outcome has nearly all draws: nothing to compare")
        return self.tr("χ² = {value:.1f} with {degrees} degrees of freedom, p = {p:.2f}").format(
            value=test.statistic, degrees=test.degrees_of_freedom, p=test.p_value
        )

    def _told_what_if(self, view: DistributionView) -> str:
        used = settings_difference(view.used, view.settings) if view.used is not None else ""
        return self.tr("These settings; the step used {settings}").format(settings=used)

    def _named(self, view: DistributionView) -> str:
        if view.step is None:
            named = self.tr("after position {position}").format(position=view.position - 1)
        elif view.step == 1:
            named = self.tr("after the prompt")
        else:
            named = self.tr("after step {step}").format(step=view.step - 1)
        if view.entropy_after_bits is None or len(view.columns) == 1:
            return named
        return self.tr("{named} · entropy {before} → {after}").format(
            named=named, before=bits(view.entropy_bits), after=bits(view.entropy_after_bits)
        )

    def _invitation(self) -> str:
        return self.tr("The probabilities of every possible next token appear here.")

    def _none_before(self) -> str:
        return self.tr("Nothing stands before the first token, so the model assigned it no probability.")

    @Slot()
    def _on_table_about_to_be_read(self) -> None:
        self._rows.set_distribution(self._view)

    @Slot(int)
    def _on_token_picked(self, token_id: int) -> None:
        if self._view is not None and self._view.parent is not None:
            self.branch_requested.emit((self._view.parent, token_id))

    @Slot()
    def _on_from_here_clicked(self) -> None:
        if self._view is not None and self._view.parent is not None:
            self.from_here_requested.emit(self._view.parent)

    @Slot()
    def _on_as_used_clicked(self) -> None:
        if self._view is not None and self._view.used is not None:
            self.settings_wished.emit(self._view.used)

    @Slot(int)
    def _on_scale_activated(self, index: int) -> None:
        self._chart.set_scale(self._scale.itemData(index))
        self._show_note()

    @Slot(bool)
    def _on_many_toggled(self, wanted: bool) -> None:
        self.draws_wished.emit(MANY if wanted else 0)

    @Slot()
    def _on_find_entered(self) -> None:
        token = one_token(self._tokenizer, self._find.text())
        if isinstance(token, str):
            self._note.setText(token)
            return
        self._found = token
        self.found_changed.emit(token.id)
        self._chart.show_token(token.id)
        self._show_note()

    @Slot(str)
    def _on_find_edited(self, text: str) -> None:
        if not text and self._found is not None:
            self._found = None
            self.found_changed.emit(None)
            self._show_note()

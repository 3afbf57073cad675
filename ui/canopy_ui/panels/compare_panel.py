"""Two runs side by side: what each was asked for, both texts step by step, and one step's two distributions."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QSize, Signal, Slot
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QHeaderView,
    QLabel,
    QLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from canopy_desktop.exploration.compare_view import (
    CompareStage,
    CompareView,
    ModelOffer,
    Pair,
    Share,
    SideWish,
    StepPicture,
    paired_prompt,
    paired_steps,
)
from canopy_desktop.model.card import WeightForm
from canopy_ui.light import Light
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.compare_form import CompareForm
from canopy_ui.widgets.compare_words import (
    difference_rows,
    parting_words,
    progress_words,
    prompt_words,
    step_rows,
    step_tip,
    step_words,
    title_words,
)
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.mirror_chart import MirrorChart
from canopy_ui.widgets.numbers import UNKNOWN, grouped, percent
from canopy_ui.widgets.paired_text import PairedText
from canopy_ui.widgets.panel import Panel, Shrinkable
from canopy_ui.widgets.segmented import Segmented
from canopy_ui.widgets.tall_scroll import TallScroll
from canopy_ui.widgets.variation_legend import VariationLegend

_BESIDE, _WIDE = 600, 1020  # from these widths on the form stands beside the texts, the differences beside the bars
_FORM_WIDTH, _SIDE_WIDTH, _TABLE_HEIGHT = 290, 280, 130
_FORM_SHARE = 0.38  # of the panel, at most
_LEAST = (300, 200)
_UNBOUNDED = (1 << 24) - 1  # Qt's own
_FINAL, _RAW = 0, 1


class ComparePanel(Panel):
    """Selecting a step in one text selects it in the other."""

    compare_wished = Signal(object, object)  # SideWish of A, and of B
    stop_wished = Signal()
    step_selected = Signal(object)  # int, from 0; None: the first that differs
    token_hovered = Signal(object)  # the id of a token of A's, or None
    shown_changed = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = CompareView()
        self._form = CompareForm(theme)
        self._form.compare_wished.connect(self.compare_wished)
        self._form.stop_clicked.connect(self.stop_wished)
        self._make_texts(theme)
        self._make_step(theme)
        self._page = MessagePage(self._invitation())
        self._page.setAccessibleName(self.tr("The comparison"))
        self._pages = QStackedWidget()
        self._pages.addWidget(self._page)
        self._pages.addWidget(self._parts())
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(0)
        self._box.addWidget(self._form)
        self._box.addWidget(self._pages, 1)
        self.set_theme(theme)
        self._set_title(title_words(self._view))

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        widgets = (self._form, self._text, self._steps, self._chart, self._bars, self._differences, self._legend)
        for widget in widgets:
            widget.set_theme(theme)
        self._headline.setFont(theme.font(18, strong=True))
        self._told.setFont(theme.font(15))
        for control in (self._as_table, self._which):
            control.setFont(theme.font(13))
        self._layout.setContentsMargins(theme.px(12), theme.px(8), theme.px(12), theme.px(6))
        self._layout.setSpacing(theme.px(4))
        self._which.setFixedWidth(theme.px(290))
        self._below.setSpacing(theme.px(14))
        self._between.set_gaps(theme.px(14), theme.px(2))
        self._fit()

    def set_window(self, wish: SideWish) -> None:
        """What the window would run now."""
        self._form.set_window(wish)

    def set_models(self, offers: Sequence[ModelOffer], free_bytes: int, weights: WeightForm) -> None:
        """The models that B may have beside that of the window, the memory that is free, and the window's weights."""
        self._form.set_models(offers, free_bytes, weights)

    def set_view(self, view: CompareView) -> None:
        """Show the comparison as far as it is."""
        self._view = view
        self._form.set_busy(view.busy)
        self._set_title(title_words(view))
        if not view.length:
            self._page.set_text(self._invitation())
            self._pages.setCurrentWidget(self._page)
            return
        self._pages.setCurrentIndex(1)
        self._headline.setText(parting_words(view))
        self._about.setText(progress_words(view) or prompt_words(view))
        self._show_texts()
        self._show_step()

    def set_lit(self, token_id: int | None) -> None:
        """Mark the token of A's vocabulary that is under the mouse, here or elsewhere."""
        self._text.set_lit(token_id)
        self._chart.set_lit(token_id)

    def compare(self, pair: Pair) -> None:
        """Put both sides to this, and run them."""
        self._form.take_pair(pair)
        self._form.compare()

    def copied_text(self) -> str:
        """Both texts, whole."""
        sides = [(name, side) for name, side in (("A", self._view.a), ("B", self._view.b)) if side is not None]
        return "\n".join(f"{name}: {''.join(marked(token) for token in side.tokens)}" for name, side in sides)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(_LEAST[0]), self._theme.px(_LEAST[1]))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.shown_changed.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.shown_changed.emit(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
        self._fit_texts()

    def _make_texts(self, theme: Theme) -> None:
        self._headline, self._about = QLabel(), QLabel()
        for label, name in (
            (self._headline, self.tr("Where the texts part")),
            (self._about, self.tr("Where the prompts part")),
        ):
            label.setWordWrap(True)
            label.setAccessibleName(name)
        self._about.setProperty("look", "secondary")
        self._text = PairedText(theme, self._tip_of)
        self._text.step_selected.connect(self.step_selected)
        self._text.token_hovered.connect(self.token_hovered)
        self._step_rows = FiguresTable(
            (
                self.tr("step"), "A", self.tr("A’s share"), "B", self.tr("B’s share"),
                self.tr("total variation"), self.tr("KL(A‖B) bits"),
            ),
            self,
        )  # fmt: skip
        self._steps = CopyableTable(theme)
        self._steps.setModel(self._step_rows)
        self._steps.setAccessibleName(self.tr("Both texts as a table"))
        self._steps.about_to_be_read.connect(self._fill_steps)
        for column, mode in ((0, QHeaderView.ResizeMode.ResizeToContents), (1, QHeaderView.ResizeMode.Stretch)):
            self._steps.horizontalHeader().setSectionResizeMode(column, mode)
        self._steps.horizontalHeader().setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        self._steps.clicked.connect(self._on_row_clicked)
        self._texts = QStackedWidget()
        self._texts.addWidget(self._text)
        self._texts.addWidget(self._steps)
        self._legend = VariationLegend(theme)
        self._as_table = QCheckBox(self.tr("as tables"))
        self._as_table.toggled.connect(self._on_as_table_toggled)
        self._which = Segmented((self.tr("after the settings"), self.tr("the model’s own")), self.tr("Distributions"))
        self._which.setToolTip(self.tr("What the tokens were drawn from, or what the model assigned before settings"))
        self._which.chosen.connect(self._on_which_chosen)

    def _make_step(self, theme: Theme) -> None:
        self._told = QLabel()
        self._told.setWordWrap(True)
        self._told.setAccessibleName(self.tr("The selected step"))
        self._chart = MirrorChart(theme)
        self._chart.token_hovered.connect(self.token_hovered)
        self._bar_rows = FiguresTable((self.tr("token"), "A", "B"), self)
        self._bars = CopyableTable(theme)
        self._bars.setModel(self._bar_rows)
        self._bars.setAccessibleName(self.tr("Both distributions as a table"))
        self._charts = QStackedWidget()
        self._charts.addWidget(self._chart)
        self._charts.addWidget(self._bars)
        self._difference_rows = FiguresTable((self.tr("what differs"), "A", "B"), self)
        self._differences = CopyableTable(theme)
        self._differences.setModel(self._difference_rows)
        self._differences.setAccessibleName(self.tr("What differs between A and B"))

    def _parts(self) -> QWidget:
        page = Shrinkable()
        self._layout = QVBoxLayout(page)
        self._between = FlowLayout()
        for widget in (self._legend, self._which, self._as_table):
            self._between.addWidget(widget)
        self._below = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._below.addWidget(self._charts, 1)
        self._below.addWidget(self._differences)
        self._layout.addWidget(self._headline)
        self._layout.addWidget(self._about)
        self._layout.addWidget(self._texts, 12)
        self._layout.addLayout(self._between)
        self._layout.addWidget(self._told)
        self._layout.addLayout(self._below, 11)
        return TallScroll(page)

    def _fit(self) -> None:
        """Parts stand side by side where there is room, else one below the other."""
        px = self._theme.px
        beside = self.width() >= px(_BESIDE)
        direction = QBoxLayout.Direction
        self._box.setDirection(direction.LeftToRight if beside else direction.TopToBottom)
        form = min(px(_FORM_WIDTH), round(_FORM_SHARE * self.width()))
        self._form.setMaximumWidth(form if beside else _UNBOUNDED)
        self._form.setMinimumWidth(form if beside else 0)
        self._box.setStretch(0, 0 if beside else 2)
        self._box.setStretch(1, 3)
        wide = self.width() >= px(_WIDE)
        self._below.setDirection(direction.LeftToRight if wide else direction.TopToBottom)
        self._differences.setMaximumWidth(px(_SIDE_WIDTH) if wide else _UNBOUNDED)
        self._differences.setMinimumSize(px(_SIDE_WIDTH) if wide else 0, px(_TABLE_HEIGHT))

    def _show_texts(self) -> None:
        view, a, b = self._view, self._view.a, self._view.b
        if a is None or b is None:
            return
        prompt = paired_prompt(a.prompt, b.prompt)
        prompt_parted = next((at for at, pair in enumerate(prompt) if not pair.gap and not pair.same), None)
        steps = paired_steps(a.tokens, b.tokens)
        ended = min(len(a.tokens), len(b.tokens))
        parted = view.shared if view.shared < ended or (not view.busy and view.shared < view.length) else None
        self._text.set_texts(prompt, prompt_parted, steps, parted)
        final = self._final()
        shares = {
            place: found.total_variation
            for place, picture in view.pictures.items()
            if (found := picture.final if final else picture.raw) is not None and place <= view.shared
        }
        self._text.set_steps(shares, view.selected)
        self._fit_texts()
        if self._as_table.isChecked():
            self._fill_steps()

    def _fit_texts(self) -> None:
        """Chips take no more room than they need."""
        table = self._as_table.isChecked()
        self._texts.setMaximumHeight(_UNBOUNDED if table else self._text.content_height())

    def _tip_of(self, place: int) -> str:
        return step_tip(self._view, place)

    @Slot()
    def _fill_steps(self) -> None:
        tokens = () if self._view.a is None else self._view.a.tokens
        self._step_rows.set_rows(step_rows(self._view), [Light(token_id=token.id) for token in tokens])

    def _show_step(self) -> None:
        view, final = self._view, self._final()
        self._told.setText(step_words(view, final=final))
        self._chart.set_picture(view.picture, self._chosen_rows(), final=final)
        bars = () if view.picture is None else view.picture.bars
        lights = [Light(token_id=bar.a_id) for bar in bars]
        self._bar_rows.set_rows([] if view.picture is None else self._rows_of(view.picture), lights)
        self._difference_rows.set_rows(difference_rows(view))

    def _chosen_rows(self) -> tuple[int | None, int | None]:
        """The rows of the tokens that A and B took."""
        picture, place = self._view.picture, self._view.selected
        rows: list[int | None] = []
        for side in (self._view.a, self._view.b):
            token = side.tokens[place] if side and place is not None and place < len(side.tokens) else None
            bars = picture.bars if picture is not None else ()
            rows.append(next((row for row, bar in enumerate(bars) if token and bar.token.data == token.data), None))
        return rows[0], rows[1]

    def _rows_of(self, picture: StepPicture) -> list[tuple[str, ...]]:
        rows = [(marked(bar.token), self._percent(bar.a), self._percent(bar.b)) for bar in picture.bars]
        rests = [None if rest is None else rest.share for rest in (picture.a_rest, picture.b_rest)]
        counts = {rest.tokens for rest in (picture.a_rest, picture.b_rest) if rest is not None}
        name = self.tr("{count} others").format(count=" / ".join(grouped(count) for count in sorted(counts)))
        return [*rows, (name, self._percent(rests[0]), self._percent(rests[1]))]

    def _percent(self, share: Share | None) -> str:
        if share is None:
            return UNKNOWN
        return percent(share.final if self._final() else share.raw)

    def _final(self) -> bool:
        return self._which.choice() == _FINAL

    def _invitation(self) -> str:
        if self._view.busy:
            return progress_words(self._view) or self.tr("Beginning …")
        if self._view.stage is CompareStage.FAILED:
            return self.tr("The comparison could not be made: change a side, and press Compare.")
        return self.tr("Change what B has otherwise than A, and press Compare: both run side by side, step by step.")

    @Slot(QModelIndex)
    def _on_row_clicked(self, index: QModelIndex) -> None:
        self.step_selected.emit(index.row())

    @Slot(bool)
    def _on_as_table_toggled(self, wanted: bool) -> None:
        self._texts.setCurrentIndex(1 if wanted else 0)
        self._charts.setCurrentIndex(1 if wanted else 0)
        self._fit_texts()
        if wanted:
            self._fill_steps()

    @Slot(int)
    def _on_which_chosen(self, which: int) -> None:
        self.set_view(self._view)

"""The distribution that the selected token was chosen from."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QLabel, QSizePolicy, QSpinBox, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.exploration.view import DistributionView
from canopy_ui.qt_models.distribution_table import DistributionTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.bar_chart import BarChart
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import percent
from canopy_ui.widgets.panel import Panel

FEWEST_BARS, MOST_BARS = 10, 50


class ProbabilityPanel(Panel):
    """Bars over the whole vocabulary, or the same as a table."""

    branch_requested = Signal(object)  # (parent node, token id)
    shown_changed = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: DistributionView | None = None
        self._chart = BarChart(theme)
        self._chart.token_picked.connect(self._on_token_picked)
        self._rows = DistributionTable(self)
        self._table = CopyableTable(theme)
        self._table.setModel(self._rows)
        self._table.setAccessibleName(self.tr("Next-token probabilities as a table"))
        self._page = MessagePage(self._invitation())
        self._pages = QStackedWidget()
        for page in (self._page, self._chart, self._table):
            self._pages.addWidget(page)
        self._shown = QSpinBox()
        self._shown.setRange(FEWEST_BARS, MOST_BARS)
        self._shown.setSingleStep(5)
        self._shown.setPrefix(self.tr("top "))
        self._shown.setAccessibleName(self.tr("Number of tokens drawn"))
        self._shown.setToolTip(self.tr("How many tokens are drawn, 10 to 50; all others are one hatched bar"))
        self._shown.valueChanged.connect(self.shown_changed)
        self._as_table = QCheckBox(self.tr("as table"))
        self._as_table.setToolTip(self.tr("The same figures as text; Ctrl+C copies them"))
        self._as_table.toggled.connect(self._show)
        self._scale = QLabel()
        self._scale.setProperty("look", "secondary")
        self._scale.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._scale.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._foot = FlowLayout()
        for widget in (self._shown, self._as_table, self._scale):
            self._foot.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._pages, 1)
        layout.addLayout(self._foot)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._chart.set_theme(theme)
        self._table.set_theme(theme)
        self._foot.setContentsMargins(theme.px(12), theme.px(3), theme.px(12), theme.px(5))
        self._foot.set_gaps(theme.px(10), theme.px(2))
        self._shown.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        for control in (self._shown, self._shown.lineEdit(), self._as_table):  # a spin box's field follows late
            control.setFont(theme.font(13))

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

    def _show(self) -> None:
        view, table = self._view, self._as_table.isChecked()
        self._chart.set_distribution(None if table else view)
        self._rows.set_distribution(view if table else None)
        shown: QWidget = self._page if view is None else self._table if table else self._chart
        self._pages.setCurrentWidget(shown)
        self._scale.setVisible(view is not None and not table)
        if view is None:
            self._set_title("")
            return
        self._scale.setText(self.tr("full bar = {maximum}").format(maximum=percent(self._chart.scale_maximum())))
        if view.step is None:
            self._set_title(self.tr("after position {position}").format(position=view.position - 1))
        elif view.step == 1:
            self._set_title(self.tr("after the prompt"))
        else:
            self._set_title(self.tr("after step {step}").format(step=view.step - 1))

    def _invitation(self) -> str:
        return self.tr("The probabilities of every possible next token appear here.")

    def _none_before(self) -> str:
        return self.tr("Nothing stands before the first token, so the model assigned it no probability.")

    def _on_token_picked(self, token_id: int) -> None:
        if self._view is not None and self._view.parent is not None:
            self.branch_requested.emit((self._view.parent, token_id))

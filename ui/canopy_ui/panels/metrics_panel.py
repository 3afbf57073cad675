"""The run's figures: a strip, and below it plots where there is room for them."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from canopy_desktop.exploration.view import MetricsView
from canopy_ui.light import Light
from canopy_ui.theme import Theme
from canopy_ui.widgets.figure import Figure
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.metrics_plots import MetricsPlots
from canopy_ui.widgets.numbers import UNKNOWN, byte_size, grouped, milliseconds, rate
from canopy_ui.widgets.panel import Panel
from canopy_ui.widgets.tall_scroll import TallScroll
from canopy_ui.widgets.time_plot import TimePlot

_PLOTS = 260  # room below the figures from which the plots are shown
_UNBOUNDED = (1 << 24) - 1  # Qt's own


class MetricsPanel(Panel):
    """Times, speeds and sizes that were measured on this machine."""

    node_hovered = Signal(object)  # the step under the mouse, by what it chose; or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: MetricsView | None = None
        self._ttft = Figure(self.tr("first token (TTFT)"), self.tr("From Run to the first chosen token"), "888 ms")
        self._tpot = Figure(
            self.tr("per token (TPOT)"), self.tr("Median, and what 95 of 100 tokens stay below"), "88.8 ms · p95 88.8"
        )
        self._speed = Figure(self.tr("speed"), self.tr("Generated tokens in a second"), "888 tokens/s")
        self._prefill = Figure(
            self.tr("prefill"), self.tr("Tokens of the prompt in a second, read many at once"), "8,888 tokens/s"
        )
        self._context = Figure(self.tr("context"), "", "888 of 8,888")
        self._cache = Figure(self.tr("cache"), self.tr("Keys and values of all positions"), "888 MB")
        self._kept = Figure(
            self.tr("kept"),
            self.tr("Cache, queries and residuals of all branches, of what they may take; residuals go first"),
            "888 MB of 8.88 GB",
        )
        self._memory = Figure(self.tr("memory"), self.tr("Resident memory of the whole program"), "888 MB")
        self._plot = TimePlot(theme)
        self.plots = MetricsPlots(theme)
        self.plots.hide()
        for plot in (self._plot, self.plots):
            plot.step_hovered.connect(self._on_step_hovered)
        self._rows_height = 0
        strip = QWidget()
        self._flow = FlowLayout(strip)
        for widget in (*self._figures(), self._plot):
            self._flow.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        strip.installEventFilter(self)  # a value that becomes wider may need another row
        self._strip = TallScroll(strip)
        self._strip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # nothing in it takes the keyboard
        self._strip.setAccessibleName(self.tr("Figures of the run"))
        layout.addWidget(self._strip)
        layout.addWidget(self.plots, 1)
        self.set_theme(theme)
        self._set_title(self.tr("measured on this machine"))
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._plot.set_theme(theme)
        self.plots.set_theme(theme)
        self._theme = theme
        for figure in self._figures():
            figure.set_theme(theme)
        self._flow.setContentsMargins(theme.px(14), theme.px(3), theme.px(14), theme.px(5))
        self._flow.set_gaps(theme.px(16), theme.px(6))
        if self.isVisible():  # before, the width says nothing
            self._ask_for_rows()

    def set_metrics(self, view: MetricsView | None) -> None:
        """Show these figures; None: nothing has run."""
        self._view = view
        self.plots.set_metrics(view)
        self._show()

    def set_lit(self, light: Light) -> None:
        """Mark the step that chose the token under the mouse, here or elsewhere."""
        step = None if self._view is None else self._view.step_of(light.node)
        self._plot.set_lit(step)
        self.plots.set_lit(step)

    def set_engine(self, model: str, provider: str) -> None:
        """Say what runs on this machine: the tool bar has not always room for it."""
        self._set_title(self.tr("measured on this machine: {model}, {provider}").format(model=model, provider=provider))

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), self._rows_height)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
        self._ask_for_rows()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest and self.isVisible():
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        """The plots take what the figures leave, if that is enough; their small plot is theirs then."""
        rows = self._flow.heightForWidth(self.width())
        roomy = self.height() - rows >= self._theme.px(_PLOTS)
        self.plots.setVisible(roomy)
        self._plot.setVisible(not roomy)
        if roomy:
            self._strip.setFixedHeight(self._flow.heightForWidth(self.width()))
        else:
            self._strip.setMinimumHeight(0)
            self._strip.setMaximumHeight(_UNBOUNDED)

    def _ask_for_rows(self) -> None:
        """Ask for as much height as the rows have at this width, lest one be cut off."""
        layout, height = self.layout(), self._flow.heightForWidth(self.width())
        if layout is not None and height != self._rows_height:
            self._rows_height = height
            layout.update()

    @Slot(object)
    def _on_step_hovered(self, step: int | None) -> None:
        self.node_hovered.emit(None if step is None or self._view is None else self._view.step_nodes[step])

    def _figures(self) -> tuple[Figure, ...]:
        return self._ttft, self._tpot, self._speed, self._prefill, self._context, self._cache, self._kept, self._memory

    def _show(self) -> None:
        view = self._view
        if view is None:
            for figure in self._figures():
                figure.set_value(UNKNOWN)
            self._plot.set_times(np.empty(0, np.float32))
            return
        self._ttft.set_value(milliseconds(view.ttft_ms))
        self._tpot.set_value(self._spread(view))
        self._speed.set_value(self._per_second(view.tokens_per_s))
        self._prefill.set_value(self._per_second(view.prefill_tokens_per_s))
        self._context.set_value(self._window(view))
        self._context.setToolTip(self._slides(view))
        self._cache.set_value(byte_size(view.cache_bytes))
        self._kept.set_value(self._of_budget(view))
        self._memory.set_value(byte_size(view.memory_bytes))
        self._plot.set_times(view.step_ms)
        self._strip.setAccessibleDescription("; ".join(figure.said() for figure in self._figures()))

    def _window(self, view: MetricsView) -> str:
        if not view.context:
            return UNKNOWN
        used = self.tr("{used} of {all}").format(used=grouped(view.context_used), all=grouped(view.context))
        match len(view.slide_ms):
            case 0:
                return used
            case 1:
                return self.tr("{used} · 1 slide").format(used=used)
            case count:
                return self.tr("{used} · {count} slides").format(used=used, count=grouped(count))

    def _of_budget(self, view: MetricsView) -> str:
        if not view.budget_bytes:
            return UNKNOWN
        return self.tr("{used} of {all}").format(
            used=byte_size(view.cache_bytes + view.columns_bytes), all=byte_size(view.budget_bytes)
        )

    def _slides(self, view: MetricsView) -> str:
        hint = self.tr("Tokens that the model sees, of those the context window holds")
        if not view.slide_ms:
            return hint
        return hint + self.tr("; it slid {count} times, the last time in {last}, together in {sum}").format(
            count=grouped(len(view.slide_ms)),
            last=milliseconds(view.slide_ms[-1]),
            sum=milliseconds(sum(view.slide_ms)),
        )

    def _spread(self, view: MetricsView) -> str:
        if view.tpot_ms_median is None or view.tpot_ms_p95 is None:
            return milliseconds(view.tpot_ms_median)
        return self.tr("{median} · p95 {p95}").format(
            median=milliseconds(view.tpot_ms_median), p95=milliseconds(view.tpot_ms_p95).removesuffix(" ms")
        )

    def _per_second(self, tokens: float | None) -> str:
        return UNKNOWN if tokens is None else self.tr("{rate} tokens/s").format(rate=rate(tokens))

"""What was measured on this machine as plots and tables: times, requests at once, and what would fit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from PySide6.QtCore import QAbstractTableModel, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.bandwidth import Bandwidth
from canopy_desktop.exploration.measurements import Throughput, ThroughputProgress
from canopy_desktop.exploration.model_sizes import ModelSize
from canopy_desktop.exploration.view import FIRST_TIMED, MetricsView
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.qt_models.steps_table import StepsTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.line_plot import LinePlot, Plot, PlotLevel, PlotLine, Stroke
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import UNKNOWN, byte_size, grouped, milliseconds, rate
from canopy_ui.widgets.segmented import Segmented


class Shown(IntEnum):
    """What can be looked at, in order."""

    TIMES = 0
    REQUESTS = 1
    SIZES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the figures are of."""

    weight_bytes: int = 0  # read for every token; 0: there is no model
    on_card: bool = False
    memory_bytes: int = 0  # of the machine, or of the card that runs the model
    sizes: tuple[ModelSize, ...] = ()


class MetricsPlots(QWidget):
    """One of three views at a time, each as a plot or as a table."""

    bandwidth_wished = Signal()
    throughput_wished = Signal()
    stop_wished = Signal()
    step_hovered = Signal(object)  # the place of a step, or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._metrics: MetricsView | None = None
        self._machine = Machine()
        self._bandwidth: Bandwidth | None = None
        self._throughput: list[Throughput] = []
        self._measuring: Shown | None = None
        self._choice = Segmented(
            (self.tr("time per token"), self.tr("requests at once"), self.tr("model sizes")), self.tr("Figures")
        )
        self._choice.chosen.connect(self._show_chosen)
        self._as_table = QPushButton(self.tr("Table"))
        self._as_table.setCheckable(True)
        self._as_table.setProperty("look", "segment")
        self._as_table.setAccessibleName(self.tr("The figures as a table"))
        self._as_table.toggled.connect(self._show)
        self._times = LinePlot(theme, self.tr("Time per token, step by step"))
        self._times.point_hovered.connect(self.step_hovered)
        self._requests = LinePlot(theme, self.tr("Tokens per second against concurrent requests"))
        self._step_rows = StepsTable(self)
        self._levels: list[tuple[str, float]] = []  # what the steps have in common: name and milliseconds
        self._request_rows = FiguresTable(
            (self.tr("requests"), self.tr("together, tokens/s"), self.tr("each request, tokens/s")), self
        )
        self._size_rows = FiguresTable(
            (
                self.tr("model"),
                self.tr("parameters"),
                self.tr("weights"),
                self.tr("cache"),
                self.tr("together"),
                self.tr("of memory"),
            ),
            self,
        )
        self._tables = tuple(
            self._new_table(theme, rows) for rows in (self._step_rows, self._request_rows, self._size_rows)
        )
        self._tables[0].about_to_be_read.connect(self._fill_steps)
        self._page = MessagePage("")
        self._pages = QStackedWidget()
        for page in (self._page, self._times, self._requests, *self._tables):
            self._pages.addWidget(page)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setAccessibleName(self.tr("What the figures say"))
        self._button = QPushButton()
        self._button.clicked.connect(self._on_clicked)
        self._state = QLabel()
        self._state.setProperty("look", "secondary")
        self._head, self._foot = QHBoxLayout(), QHBoxLayout()
        self._head.addWidget(self._choice, 1)
        self._head.addWidget(self._as_table)
        self._foot.addWidget(self._button)
        self._foot.addWidget(self._state, 1)
        self._layout = QVBoxLayout(self)
        self._layout.addLayout(self._head)
        self._layout.addWidget(self._pages, 1)
        self._layout.addWidget(self._words)
        self._layout.addLayout(self._foot)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for plot in (self._times, self._requests):
            plot.set_theme(theme)
        for table in self._tables:
            table.set_theme(theme)
        self._words.setFont(theme.font(15))
        self._layout.setContentsMargins(theme.px(14), theme.px(4), theme.px(14), theme.px(8))
        self._layout.setSpacing(theme.px(5))
        self._head.setSpacing(theme.px(8))
        self._foot.setSpacing(theme.px(8))

    def set_metrics(self, view: MetricsView | None) -> None:
        """The figures of the run in hand."""
        before, self._metrics = self._metrics, view
        same = before is not None and view is not None and np.array_equal(before.step_ms, view.step_ms)
        if not same:
            self._show()

    def set_lit(self, step: int | None) -> None:
        """Mark the step whose token is under the mouse, here or elsewhere."""
        self._times.set_lit(step)

    def set_machine(self, machine: Machine) -> None:
        """What the figures are of."""
        self._machine = machine
        self._show()

    def set_bandwidth(self, bandwidth: Bandwidth) -> None:
        """How fast memory was read, so far."""
        self._bandwidth = bandwidth
        self._state.setText(self.tr("{done} of {all} passes").format(done=bandwidth.done, all=bandwidth.passes))
        self._show()

    def begin_throughput(self) -> None:
        """Requests at once are being measured anew."""
        self._throughput.clear()
        self._begin(Shown.REQUESTS)

    def begin_bandwidth(self) -> None:
        """Memory is being read."""
        self._begin(Shown.TIMES)

    def add_throughput(self, measured: Throughput) -> None:
        """One more number of requests was measured."""
        self._throughput.append(measured)
        self._show()

    def set_progress(self, progress: ThroughputProgress) -> None:
        """How far the measurement under way is."""
        self._state.setText(
            self.tr("{requests} requests: {done} of {all} passes").format(
                requests=progress.requests, done=progress.done, all=progress.total
            )
        )

    def finish(self) -> None:
        """Nothing is measured any more."""
        self._measuring = None
        self._state.setText("")
        self._show()

    def _begin(self, measuring: Shown) -> None:
        self._measuring = measuring
        self._state.setText("")
        self._show()

    def _new_table(self, theme: Theme, rows: QAbstractTableModel) -> CopyableTable:
        table = CopyableTable(theme)
        table.setModel(rows)
        table.setAccessibleName(self.tr("The figures as a table"))
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # models differ at both ends of their names
        return table

    @Slot(int)
    def _show_chosen(self, _: int) -> None:
        self._show()

    @Slot()
    def _on_clicked(self) -> None:
        if self._measuring is not None:
            self.stop_wished.emit()
        elif self._shown is Shown.TIMES:
            self.bandwidth_wished.emit()
        else:
            self.throughput_wished.emit()

    @property
    def _shown(self) -> Shown:
        return Shown(self._choice.choice())

    @Slot()
    def _show(self) -> None:
        shown, as_table = self._shown, self._as_table.isChecked()
        match shown:
            case Shown.TIMES:
                words = self._show_times()
                empty = self._metrics is None or not self._metrics.step_ms.size
                lacking = self.tr("The time of each step appears here once tokens are generated.")
            case Shown.REQUESTS:
                words = self._show_requests()
                empty = not self._throughput
                lacking = (
                    self.tr("Decoding for several requests at once …")
                    if self._measuring is Shown.REQUESTS
                    else self.tr("Decode for 1, 2, 4 … requests at once, and see what each of them gets.")
                )
            case Shown.SIZES:
                words = self._show_sizes()
                empty = not self._machine.sizes
                lacking = self.tr("The sizes appear here once a model is loaded.")
        self._page.set_text(lacking)
        self._words.setText(words)
        self._words.setVisible(bool(words))
        plot = {Shown.TIMES: self._times, Shown.REQUESTS: self._requests}.get(shown)
        self._as_table.setEnabled(not empty and plot is not None)
        if empty:
            self._pages.setCurrentWidget(self._page)
        else:
            self._pages.setCurrentWidget(self._tables[shown] if as_table or plot is None else plot)
        self._show_button(shown)

    def _show_button(self, shown: Shown) -> None:
        wanted = {
            Shown.TIMES: self.tr("Measure how fast memory is read"),
            Shown.REQUESTS: self.tr("Measure requests at once"),
        }.get(shown, "")
        offered = bool(wanted) and not (shown is Shown.TIMES and self._machine.on_card)
        self._button.setVisible(offered or self._measuring is not None)
        self._button.setText(self.tr("Stop measuring") if self._measuring is not None else wanted)
        self._button.setEnabled(bool(self._machine.weight_bytes))

    def _show_times(self) -> str:
        metrics = self._metrics
        step_ms: FloatArray = np.empty(0, np.float32) if metrics is None else metrics.step_ms
        levels = []
        if metrics is not None and metrics.tpot_ms_median is not None and metrics.tpot_ms_p95 is not None:
            levels = [
                (self.tr("p95"), metrics.tpot_ms_p95, Stroke.DOTTED),
                (self.tr("median"), metrics.tpot_ms_median, Stroke.DASHED),
            ]
        limit = self._limit_ms()
        if limit is not None:
            levels.append((self.tr("memory limit"), limit, Stroke.TEXT))
        plot = Plot(
            x_name=self.tr("step"),
            y_name=self.tr("ms per token"),
            lines=(PlotLine("", FIRST_TIMED + np.arange(step_ms.size, dtype=np.float64), step_ms.astype(np.float64)),),
            levels=tuple(PlotLevel(f"{name} {value:.1f}", value, stroke) for name, value, stroke in levels),
        )
        self._levels = [(name, value) for name, value, _ in levels]
        if self._as_table.isChecked():
            self._fill_steps()
        words = self._limit_words(limit)
        if metrics is not None and metrics.slide_ms:
            after_slide = self.tr("A step right after a slide is short: its pass was part of the slide.")
            words = f"{words} {after_slide}".strip()
        self._times.set_plot(plot, words)
        return words

    @Slot()
    def _fill_steps(self) -> None:
        metrics = self._metrics
        if metrics is None:
            self._step_rows.set_steps(self._levels, np.empty(0, np.float32), ())
        else:
            self._step_rows.set_steps(self._levels, metrics.step_ms, metrics.step_nodes)

    def _limit_ms(self) -> float | None:
        if self._bandwidth is None or not self._machine.weight_bytes or self._machine.on_card:
            return None
        return self._bandwidth.least_ms(self._machine.weight_bytes)

    def _limit_words(self, limit: float | None) -> str:
        weights = byte_size(self._machine.weight_bytes)
        if not self._machine.weight_bytes:
            return ""
        if self._machine.on_card:
            return self.tr("Every token reads all weights, {weights}, from the card's memory.").format(weights=weights)
        if limit is None or self._bandwidth is None:
            return self.tr("Every token reads all weights, {weights}: memory is what limits its speed.").format(
                weights=weights
            )
        return self.tr(
            "Weights ÷ bandwidth: {weights} at {bandwidth} GB/s take {limit}. No token is faster than this, "
            "but for what the processor's own cache holds."
        ).format(weights=weights, bandwidth=f"{self._bandwidth.bytes_per_s / 1e9:.1f}", limit=milliseconds(limit))

    def _show_requests(self) -> str:
        found = self._throughput
        requests = np.array([one.requests for one in found], np.float64)
        together = np.array([one.tokens_per_s for one in found], np.float64)
        plot = Plot(
            x_name=self.tr("requests at once"),
            y_name=self.tr("tokens per second"),
            lines=(
                PlotLine(self.tr("all together"), requests, together, Stroke.ACCENT),
                PlotLine(self.tr("each of them"), requests, together / np.maximum(requests, 1), Stroke.DASHED),
            ),
            x_from_zero=True,
        )
        self._request_rows.set_rows(
            [(str(one.requests), rate(one.tokens_per_s), rate(one.tokens_per_s / one.requests)) for one in found]
        )
        words = self._requests_words()
        self._requests.set_plot(plot, words)
        return words

    def _requests_words(self) -> str:
        if len(self._throughput) < 2:
            return ""
        first, last = self._throughput[0], self._throughput[-1]
        return self.tr(
            "{count} requests at once get {together} tokens a second together, {each} each; one alone gets {alone}. "
            "Throughput counts tokens per second, concurrency requests."
        ).format(
            count=last.requests,
            together=rate(last.tokens_per_s),
            each=rate(last.tokens_per_s / last.requests),
            alone=rate(first.tokens_per_s),
        )

    def _show_sizes(self) -> str:
        machine = self._machine
        self._size_rows.set_rows(
            [
                (
                    size.name,
                    _billions(size.parameters),
                    byte_size(size.weight_bytes),
                    byte_size(size.cache_bytes),
                    byte_size(size.total_bytes),
                    self._share(size),
                )
                for size in machine.sizes
            ]
        )
        if not machine.sizes:
            return ""
        memory = byte_size(machine.memory_bytes)
        whose = (
            self.tr("This machine's card has {memory} of memory").format(memory=memory)
            if machine.on_card
            else self.tr("This machine has {memory} of memory").format(memory=memory)
        )
        return self.tr(
            "{whose}. Cache: of {tokens} tokens, 4 bytes a number. Installed: the first {count}; "
            "the others are computed, with 8-bit weights."
        ).format(
            whose=whose,
            tokens=grouped(max(size.tokens for size in machine.sizes)),
            count=sum(size.installed for size in machine.sizes),
        )

    def _share(self, size: ModelSize) -> str:
        if size.total_bytes > self._machine.memory_bytes:
            return self.tr("does not fit")
        return f"{100 * size.total_bytes / self._machine.memory_bytes:.0f} %"


def _billions(parameters: int | None) -> str:
    if parameters is None:
        return UNKNOWN
    return f"{parameters / 1e9:.3g} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"

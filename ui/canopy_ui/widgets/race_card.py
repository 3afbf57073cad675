"""The race with and without the cache: a button, three lines as they come, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QLabel, QPushButton, QSpinBox, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.exploration.measurements import RaceProgress, RaceStep
from canopy_desktop.exploration.race_view import RaceView, race_view
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.line_plot import LinePlot, Plot, PlotLine, Stroke
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import grouped, milliseconds

STEPS, MOST_STEPS = 32, 512


class RaceCard(QWidget):
    """Knows what it is told of the race, and nothing of who runs it."""

    start_wished = Signal(int)  # steps
    stop_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: list[RaceStep] = []
        self._running = False
        self._possible = False
        self._button = QPushButton()
        self._button.clicked.connect(self._on_clicked)
        self._count = QSpinBox()
        self._count.setRange(2, MOST_STEPS)
        self._count.setValue(STEPS)
        self._count.setSuffix(self.tr(" tokens"))
        self._count.setAccessibleName(self.tr("Length of the race"))
        self._count.setToolTip(self.tr("How many tokens the race goes on from the prompt"))
        self._state = QLabel()
        self._state.setProperty("look", "secondary")
        self._as_table = QPushButton(self.tr("Table"))
        self._as_table.setCheckable(True)
        self._as_table.setProperty("look", "segment")
        self._as_table.setAccessibleName(self.tr("The race as a table"))
        self._as_table.toggled.connect(self._show_page)
        self._plot = LinePlot(theme, self.tr("Time per token against the length of the text"))
        self._rows = FiguresTable(
            (
                self.tr("length"),
                self.tr("without cache, ms"),
                self.tr("refed, ms"),
                self.tr("with cache, ms"),
                self.tr("largest difference"),
            ),
            self,
        )
        self._table = CopyableTable(theme)
        self._table.setModel(self._rows)
        self._table.setAccessibleName(self.tr("The race as a table"))
        self._page = MessagePage("")
        self._pages = QStackedWidget()
        for page in (self._page, self._plot, self._table):
            self._pages.addWidget(page)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setAccessibleName(self.tr("What the race says"))
        self._head = FlowLayout()
        for widget in (self._button, self._count, self._as_table, self._state):
            self._head.addWidget(widget)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(self._head)
        self._layout.addWidget(self._pages, 1)
        self._layout.addWidget(self._words)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._plot.set_theme(theme)
        self._table.set_theme(theme)
        self._words.setFont(theme.font(15))
        self._count.lineEdit().setFont(theme.font(15))
        self._count.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._head.set_gaps(theme.px(8), theme.px(4))
        self._layout.setSpacing(theme.px(6))

    def set_possible(self, possible: bool) -> None:
        """Whether there is a text to begin from."""
        self._possible = possible
        self._show_head()

    def begin(self) -> None:
        """A race begins."""
        self._steps.clear()
        self._running = True
        self._state.setText("")
        self._show()

    def add(self, step: RaceStep) -> None:
        """One more step."""
        self._steps.append(step)
        self._show()

    def set_progress(self, progress: RaceProgress) -> None:
        """How far the step under way is."""
        self._state.setText(
            self.tr("{done} of {total} tokens recomputed").format(
                done=grouped(progress.done), total=grouped(progress.total)
            )
        )

    def finish(self) -> None:
        """No further step comes."""
        self._running = False
        self._state.setText("")
        self._show()

    def running(self) -> bool:
        """Whether a race is under way."""
        return self._running

    @Slot()
    def _on_clicked(self) -> None:
        if self._running:
            self.stop_wished.emit()
        else:
            self.start_wished.emit(self._count.value())

    def _show(self) -> None:
        view = race_view(self._steps)
        self._show_head()
        words = race_words(self, view)
        self._plot.set_plot(_plot_of(self, view), words)
        self._rows.set_rows(_rows_of(view))
        self._words.setText(words)
        self._words.setVisible(bool(words))
        self._page.set_text(
            self.tr("Running the first steps …")
            if self._running
            else self.tr("Run the same text without the cache and with it, and see what a token costs as it grows.")
        )
        self._show_page()

    def _show_head(self) -> None:
        self._button.setText(self.tr("Stop the race") if self._running else self.tr("Race without and with cache"))
        self._button.setEnabled(self._running or self._possible)
        self._button.setToolTip("" if self._possible else self.tr("Run a prompt first: the race goes on from it"))
        self._count.setEnabled(not self._running)
        if self._running and self._steps:
            done = self.tr("{done} of {all} tokens").format(done=len(self._steps), all=self._count.value())
            self._state.setText(done)

    @Slot()
    def _show_page(self) -> None:
        if len(self._steps) < 2:
            self._pages.setCurrentWidget(self._page)
        else:
            self._pages.setCurrentWidget(self._table if self._as_table.isChecked() else self._plot)


def race_words(widget: QWidget, view: RaceView) -> str:
    """What the race says, in sentences; empty before there is a step."""
    if not view.steps:
        return ""
    times = widget.tr(
        "At {length} tokens {without} a token without the cache, {cached} with it: {ratio} times as fast."
    ).format(
        length=grouped(round(view.lengths[-1])),
        without=milliseconds(view.late(view.without_cache)),
        cached=milliseconds(view.late(view.cached)),
        ratio=f"{view.late(view.without_cache) / view.late(view.cached):.1f}",
    )
    rounding = widget.tr(
        "Largest logit difference: {refed} if the last two tokens pass together (refed), {cached} if one passes alone. "
        "That is rounding; the likeliest token is the same at {same} of {steps} steps."
    ).format(
        refed=f"{float(view.refed_differences.max()):.2g}",
        cached=f"{float(view.cached_differences.max()):.2g}",
        same=view.same_choices,
        steps=view.steps,
    )
    linear = widget.tr("With the cache a step still grows with the length, slowly: it reads all keys and values.")
    return f"{times}\n{rounding}\n{linear}"


def _plot_of(widget: QWidget, view: RaceView) -> Plot:
    return Plot(
        x_name=widget.tr("tokens of the text"),
        y_name=widget.tr("ms per token"),
        lines=(
            PlotLine(widget.tr("without cache"), view.lengths, view.without_cache, Stroke.TEXT),
            PlotLine(widget.tr("refed"), view.lengths, view.refed, Stroke.DASHED),
            PlotLine(widget.tr("with cache"), view.lengths, view.cached, Stroke.ACCENT),
        ),
    )


def _rows_of(view: RaceView) -> Sequence[tuple[str, ...]]:
    return [
        (
            grouped(round(view.lengths[at])),
            f"{view.without_cache[at]:.1f}",
            f"{view.refed[at]:.1f}",
            f"{view.cached[at]:.1f}",
            f"{view.cached_differences[at]:.2g}",
        )
        for at in range(view.steps)
    ]

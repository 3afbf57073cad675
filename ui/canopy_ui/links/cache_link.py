"""What is in the cache, and the race with and without it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.cache_size import CacheSize
from canopy_desktop.exploration.cache_view import cache_view
from canopy_desktop.exploration.measurements import RaceProgress, RaceStep
from canopy_desktop.exploration.view import MetricsView, WindowView
from canopy_ui.controller import Controller
from canopy_ui.errands import ErrandReport, RaceErrand
from canopy_ui.panels.cache_panel import CachePanel


class CacheLink(QObject):
    """Belongs to the panel. The cache is measured only while the panel is seen, and after it has changed."""

    def __init__(self, panel: CachePanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._view = WindowView()
        self._metrics: MetricsView | None = None
        self._size: CacheSize | None = None
        self._measured_bytes = -1  # what the run had in the cache when it was measured
        self._shown = False
        controller.view_changed.connect(self._on_view_changed)
        controller.metrics_changed.connect(self._on_metrics_changed)
        controller.measuring.cache_measured.connect(self._on_cache_measured)
        controller.measuring.reported.connect(self._on_errand_reported)
        panel.position_selected.connect(controller.sight.select)
        panel.position_hovered.connect(controller.lighting.light)
        controller.lighting.position_lit.connect(panel.set_lit)
        panel.shown_changed.connect(self._on_shown_changed)
        panel.race.start_wished.connect(self._on_race_wished)
        panel.race.stop_wished.connect(controller.measuring.end)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._view = view
        self._panel.race.set_possible(bool(view.chips))

    @Slot(object)
    def _on_metrics_changed(self, metrics: MetricsView) -> None:
        self._metrics = metrics
        if self._shown:
            if metrics.cache_bytes != self._measured_bytes and self._controller.measuring.idle:
                self._measured_bytes = metrics.cache_bytes
                self._controller.measuring.measure_cache()
            self._show()

    @Slot(object)
    def _on_cache_measured(self, size: CacheSize) -> None:
        self._size = size

    @Slot(bool)
    def _on_shown_changed(self, shown: bool) -> None:
        self._shown = shown
        self._controller.touch()

    @Slot(int)
    def _on_race_wished(self, steps: int) -> None:
        ids = tuple(chip.token.id for chip in self._view.chips if chip.node is None)
        if ids:
            self._panel.race.begin()
            self._controller.measuring.begin(RaceErrand(ids=ids, steps=steps))

    @Slot(object)
    def _on_errand_reported(self, report: ErrandReport) -> None:
        if not isinstance(report.errand, RaceErrand):
            return
        match report.value:
            case RaceStep():
                self._panel.race.add(report.value)
            case RaceProgress():
                self._panel.race.set_progress(report.value)
            case _:
                pass
        if report.ended:
            self._panel.race.finish()

    def _show(self) -> None:
        session = self._controller.session
        if session is not None and self._metrics is not None:
            self._panel.set_cache(cache_view(self._view, self._metrics, session.card.architecture, self._size))

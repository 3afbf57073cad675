"""The run's figures, and what is measured for their plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.bandwidth import Bandwidth
from canopy_desktop.exploration.measurements import Throughput, ThroughputProgress
from canopy_desktop.exploration.model_sizes import installed_sizes, typical_sizes
from canopy_desktop.model.bundle import installed_bundles
from canopy_ui.controller import Controller
from canopy_ui.errands import BandwidthErrand, ErrandReport, ThroughputErrand
from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.widgets.metrics_plots import Machine
from canopy_ui.widgets.model_words import model_name

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

REQUESTS = (1, 2, 4, 8, 16)


class MetricsLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: MetricsPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._plots = panel.plots
        self._measuring = controller.measuring
        controller.metrics_changed.connect(panel.set_metrics)
        panel.node_hovered.connect(controller.lighting.light_node)
        controller.lighting.lit.connect(panel.set_lit)
        controller.model_opened.connect(self._on_model_opened)
        self._measuring.reported.connect(self._on_errand_reported)
        self._plots.bandwidth_wished.connect(self._on_bandwidth_wished)
        self._plots.throughput_wished.connect(self._on_throughput_wished)
        self._plots.stop_wished.connect(self._measuring.end)

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._panel.set_engine(model_name(session.card), session.provider.name.upper())
        card = session.provider.card
        memory = psutil.virtual_memory().total
        if card is not None:
            memory = card.memory.total if card.memory is not None else 0
        self._plots.set_machine(
            Machine(
                weight_bytes=session.bundle.weight_bytes,
                on_card=card is not None,
                memory_bytes=memory,
                sizes=(*installed_sizes(installed_bundles()), *typical_sizes()) if memory else (),
            )
        )

    @Slot()
    def _on_bandwidth_wished(self) -> None:
        self._plots.begin_bandwidth()
        self._measuring.begin(BandwidthErrand())

    @Slot()
    def _on_throughput_wished(self) -> None:
        self._plots.begin_throughput()
        self._measuring.begin(ThroughputErrand(requests=REQUESTS))

    @Slot(object)
    def _on_errand_reported(self, report: ErrandReport) -> None:
        if not isinstance(report.errand, BandwidthErrand | ThroughputErrand):
            return
        match report.value:
            case Bandwidth():
                self._plots.set_bandwidth(report.value)
            case Throughput():
                self._plots.add_throughput(report.value)
            case ThroughputProgress():
                self._plots.set_progress(report.value)
            case _:
                pass
        if report.ended:
            self._plots.finish()

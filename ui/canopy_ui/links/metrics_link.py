"""The run's figures."""

from __future__ import annotations

from PySide6.QtCore import QObject

from canopy_ui.controller import Controller
from canopy_ui.panels.metrics_panel import MetricsPanel


class MetricsLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: MetricsPanel, controller: Controller) -> None:
        super().__init__(panel)
        controller.metrics_changed.connect(panel.set_metrics)

"""The distribution of the selected step, and a branch to another token of it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.panels.probability_panel import ProbabilityPanel


class ProbabilityLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: ProbabilityPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        controller.view_changed.connect(self._on_view_changed)
        panel.branch_requested.connect(self._on_branch_requested)
        panel.shown_changed.connect(controller.show_bars)
        panel.set_shown(controller.selection.shown)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._panel.set_distribution(view.distribution, first=view.selected == 0)

    @Slot(object)
    def _on_branch_requested(self, choice: tuple[int, int]) -> None:
        self._controller.choose(*choice)

"""The settings, what they do to the selected step, and a branch with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.trail import Standing
from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.panels.sampling_panel import SamplingPanel

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class SamplingLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: SamplingPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        panel.set_settings(controller.wishes.decoding)
        panel.set_new_seeds(controller.wishes.new_seeds)
        panel.settings_changed.connect(controller.wishes.set_decoding)
        panel.new_seeds_wanted.connect(controller.wishes.draw_new_seeds)
        panel.filter_chosen.connect(controller.wishes.set_filter)
        panel.from_here_requested.connect(controller.branch)
        panel.set_filter(controller.wishes.filter)
        controller.wishes.filter_changed.connect(self._show_filter)
        controller.wishes.decoding_changed.connect(panel.set_settings)
        controller.undoing.brought_back.connect(self._on_brought_back)
        controller.view_changed.connect(self._on_view_changed)
        controller.model_opened.connect(self._on_model_opened)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._panel.set_distribution(view.distribution)

    @Slot(object)
    def _on_brought_back(self, standing: Standing) -> None:
        if standing.new_seeds is not None:
            self._panel.set_new_seeds(standing.new_seeds)
        if standing.filtered is not None:
            self._show_filter()

    @Slot()
    def _show_filter(self) -> None:
        self._panel.set_filter(self._controller.wishes.filter)

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._panel.set_tokenizer(session.tokenizer)

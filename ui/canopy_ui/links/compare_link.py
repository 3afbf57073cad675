"""Two runs beside the window's own text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.compare_view import SideWish
from canopy_ui.compare_reader import ModelsFound
from canopy_ui.controller import Controller
from canopy_ui.panels.compare_panel import ComparePanel

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class CompareLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: ComparePanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._found = ModelsFound((), 0)
        comparison = controller.comparison
        panel.compare_wished.connect(comparison.compare)
        panel.stop_wished.connect(comparison.stop)
        panel.step_selected.connect(comparison.select)
        panel.shown_changed.connect(comparison.show)
        panel.token_hovered.connect(controller.lighting.light_token)
        controller.lighting.token_lit.connect(panel.set_lit)
        comparison.changed.connect(panel.set_view)
        comparison.models_found.connect(self._on_models_found)
        controller.model_opened.connect(self._on_model_opened)
        controller.draft.encoded.connect(self._show_window)
        controller.wishes.decoding_changed.connect(self._show_window)
        controller.state_changed.connect(self._show_window)

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._controller.comparison.forget()
        self._show_models()
        self._show_window()

    @Slot(object)
    def _on_models_found(self, found: ModelsFound) -> None:
        self._found = found
        self._show_models()

    @Slot()
    def _show_window(self) -> None:
        controller = self._controller
        if controller.session is not None:
            request, settings, window = controller.draft.request, controller.wishes.decoding, controller.wishes.window
            self._panel.set_window(SideWish(request=request, settings=settings, window=window))

    def _show_models(self) -> None:
        session = self._controller.session
        if session is not None:
            others = [offer for offer in self._found.models if offer.id != session.card.id]
            self._panel.set_models(others, self._found.free_bytes, session.card.weights)

"""The lens on the residual stream of the window's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.errors import NotGivenError
from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.messages import Wording
from canopy_ui.panels.lens_panel import LensPanel

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class LensLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: LensPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._wording = Wording(self)
        controller.model_opened.connect(self._on_model_opened)
        controller.view_changed.connect(self._on_view_changed)
        controller.state_changed.connect(self._on_state_changed)
        panel.cell_picked.connect(controller.sight.select_cell)
        panel.position_hovered.connect(controller.lighting.light)
        controller.lighting.position_lit.connect(panel.set_lit)
        panel.sight_changed.connect(controller.sight.look_through_lens)
        panel.compute_again_requested.connect(controller.compute_lens_again)

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        a = session.card.architecture
        not_given = "" if a.residuals else self._wording.of_error(NotGivenError("residuals")).text
        self._panel.set_model(a.layers, session.tokenizer.token, not_given=not_given)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._panel.set_lens(view.lens, begun=bool(view.chips))

    @Slot()
    def _on_state_changed(self) -> None:
        self._panel.set_needed_model(self._controller.keeping.lacking_model)

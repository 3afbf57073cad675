"""The text as it grows, and which token is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.errors import OtherModelError
from canopy_ui.controller import Controller
from canopy_ui.messages import Wording
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.state import RunPhase, RunState

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class TokenLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: TokenPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._words = Wording(self)
        controller.load_progressed.connect(self._on_load_progressed)
        controller.model_opened.connect(self._on_model_opened)
        controller.begun.connect(self._on_run_begun)
        controller.state_changed.connect(self._on_state_changed)
        controller.view_changed.connect(panel.set_view)
        controller.facts.checked.connect(panel.set_checked)
        panel.position_selected.connect(controller.sight.select)
        panel.colouring_chosen.connect(controller.sight.colour_by)
        panel.position_hovered.connect(controller.lighting.light)
        controller.lighting.position_lit.connect(panel.set_lit)

    @Slot(float)
    def _on_load_progressed(self, share: float) -> None:
        self._panel.set_message(self.tr("The model is loading: {percent} %").format(percent=round(100 * share)))

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._panel.set_message("")
        self._panel.set_no_attention(self._no_attention())

    @Slot()
    def _on_run_begun(self) -> None:
        self._panel.set_message("")

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        lacking = "" if state.phase is RunPhase.LOADING else self._controller.keeping.lacking_model
        self._panel.set_standing(self._words.of_error(OtherModelError(lacking)).text if lacking else "")
        self._panel.set_no_attention(self._no_attention())
        if state.to_slide:
            self._panel.set_busy(state.slid, state.to_slide, sliding=True)
        elif state.to_remake and state.phase is RunPhase.PREFILLING:
            self._panel.set_busy(state.remade, state.to_remake)
        else:
            self._panel.set_busy(state.processed, state.prompt_tokens if state.phase is RunPhase.PREFILLING else 0)

    def _no_attention(self) -> str:
        keeping = self._controller.keeping
        if keeping.alone and keeping.attention_alone is None:
            return self.tr("needs {model}").format(model=keeping.lacking_model)
        looked_at = keeping.looked_at
        return "" if looked_at is None or looked_at.queries else self.tr("this model’s own graph gives none")

"""The distribution of the selected step, and a branch to another token of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.messages import Wording
from canopy_ui.panels.probability_panel import ProbabilityPanel

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class ProbabilityLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: ProbabilityPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._words = Wording(self)
        controller.view_changed.connect(self._on_view_changed)
        panel.branch_requested.connect(self._on_branch_requested)
        panel.shown_changed.connect(controller.sight.show_bars)
        panel.found_changed.connect(controller.sight.find)
        panel.draws_wished.connect(controller.sight.draw_many)
        panel.from_here_requested.connect(controller.branch)
        panel.settings_wished.connect(controller.wishes.set_decoding)
        panel.token_hovered.connect(controller.lighting.light_token)
        controller.lighting.token_lit.connect(panel.set_lit)
        controller.model_opened.connect(self._on_model_opened)
        panel.set_shown(controller.sight.selection.shown)

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._panel.set_tokenizer(session.tokenizer)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._panel.set_distribution(view.distribution, first=view.selected == 0)
        self._panel.set_refusal("" if view.refused is None else self._words.of_error(view.refused).text)

    @Slot(object)
    def _on_branch_requested(self, choice: tuple[int, int]) -> None:
        self._controller.choose(*choice)

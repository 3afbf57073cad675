"""Where the chosen head looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.errors import NotGivenError
from canopy_desktop.exploration.trail import Standing
from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.messages import Wording
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.state import RunPhase, RunState

if TYPE_CHECKING:
    from canopy_desktop.model.card import Architecture


class AttentionLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: AttentionPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._fitted: Architecture | None = None  # what the panel offers the heads of
        self._wording = Wording(self)
        controller.model_opened.connect(self._fit)
        controller.view_changed.connect(self._on_view_changed)
        controller.state_changed.connect(self._on_state_changed)
        controller.draft.filled.connect(self._fit)
        panel.head_selected.connect(controller.sight.select_head)
        panel.hide_first_toggled.connect(controller.sight.hide_first)
        panel.position_selected.connect(controller.sight.select)
        panel.compute_again_requested.connect(controller.compute_again)
        panel.block_requested.connect(controller.blocks.block)
        panel.block_closed.connect(controller.blocks.unblock)
        controller.undoing.brought_back.connect(self._on_brought_back)
        controller.blocks.tried.connect(panel.set_blocked)
        panel.looking_chosen.connect(controller.sight.look_by)
        panel.part_changed.connect(controller.sight.look_at_part)
        panel.position_hovered.connect(controller.lighting.light)
        controller.lighting.position_lit.connect(panel.set_lit)
        panel.token_hovered.connect(controller.lighting.light_token)
        controller.lighting.token_lit.connect(panel.set_lit_candidate)
        panel.row_shown.connect(controller.sight.look_at_row)
        self._show_selection()

    @Slot()
    def _fit(self) -> None:
        """Offer the layers and heads of the model whose attention is looked at."""
        a = self._controller.keeping.looked_at
        if a is not None and a is not self._fitted:
            self._fitted = a
            lacking = "" if a.queries else self._wording.of_error(NotGivenError("queries")).text
            self._panel.set_not_given(lacking, can_forbid=not a.is_given)
            self._panel.set_model(a.layers, a.heads, tuple(a.attention(layer).window for layer in range(a.layers)))
            self._show_selection()

    @Slot(object)
    def _on_brought_back(self, standing: Standing) -> None:
        if standing.block is not None:
            self._panel.try_block(standing.block.wish)

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        self._fit()
        kept = self._controller.keeping.attention_alone is not None
        lacks = kept or state.phase is not RunPhase.LOADING
        self._panel.set_needed_model(self._controller.keeping.lacking_model if lacks else "", kept=kept)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        if self._controller.sight.selection.look != self._panel.look():
            self._show_selection()  # another panel chose the layer
        self._panel.set_attention(
            view.attention,
            pending=bool(view.chips) and view.attention is None,
            gone=view.attention_gone,
            row=view.row,
        )

    def _show_selection(self) -> None:
        selection = self._controller.sight.selection
        self._panel.set_selected(selection.layer, selection.head, selection.hide_first, selection.looking)

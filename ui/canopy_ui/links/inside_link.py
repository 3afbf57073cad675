"""The inside of the step that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_ui.controller import Controller
from canopy_ui.messages import Wording
from canopy_ui.panels.inside_panel import InsidePanel

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class InsideLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: InsidePanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._wording = Wording(self)
        controller.model_opened.connect(self._on_model_opened)
        controller.view_changed.connect(self._on_view_changed)
        controller.inside.changed.connect(self._on_inside_changed)
        controller.state_changed.connect(self._on_inside_changed)
        panel.shown_changed.connect(controller.inside.show)
        panel.head_selected.connect(controller.sight.select_head)
        panel.position_selected.connect(controller.sight.select)
        panel.position_hovered.connect(controller.lighting.light)
        controller.lighting.position_lit.connect(panel.set_lit)
        panel.set_kitchen_words(controller.sight.kitchen_words)
        panel.kitchen_toggled.connect(controller.sight.use_kitchen_words)
        self._on_view_changed()

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._panel.set_model(session.card.architecture.layers, session.card.architecture.heads)

    @Slot()
    def _on_view_changed(self) -> None:
        self._panel.set_selected(self._controller.sight.selection.layer, self._controller.sight.selection.head)

    @Slot()
    def _on_inside_changed(self) -> None:
        desk = self._controller.inside
        self._panel.set_inside(
            desk.view,
            pending=not desk.idle,
            waits=desk.kept_waiting,
            left=desk.left,
            error=self._needed() if desk.error is None else self._wording.of_error(desk.error).text,
        )

    def _needed(self) -> str:
        """That the model lacks which made what is shown; nothing where it is here."""
        model = self._controller.keeping.lacking_model
        sentence = self.tr("The way of a token through the model needs {model}, the model that made this exploration.")
        return sentence.format(model=model) if model else ""

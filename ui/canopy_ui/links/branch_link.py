"""The tree of branches, and where one goes in it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.light import Light
from canopy_ui.panels.branch_panel import BranchPanel


class BranchLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: BranchPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._view = WindowView()
        self._selected: int | None = None  # the position that was selected last
        branches = controller.branches
        branches.picture_changed.connect(panel.set_picture)
        branches.search_changed.connect(panel.set_searched)
        controller.view_changed.connect(self._on_view_changed)
        panel.shown_changed.connect(branches.show)
        panel.room_changed.connect(branches.set_room)
        panel.go_requested.connect(controller.go_to)
        panel.walk_requested.connect(controller.walk)
        panel.node_selected.connect(self._on_node_selected)
        panel.search_requested.connect(controller.search)
        panel.search_stop_requested.connect(branches.search_stop_requested)
        panel.renamed.connect(branches.rename)
        panel.delete_requested.connect(branches.delete)
        panel.fold_requested.connect(branches.fold)
        panel.open_requested.connect(branches.open)
        panel.pruned_chosen.connect(branches.show_pruned)
        panel.node_hovered.connect(controller.lighting.light_node)
        controller.lighting.lit.connect(self._on_lit)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        """A token that is selected elsewhere is the tree's current node too; one that grows is followed by itself."""
        self._view = view
        position = self._controller.sight.selection.position
        if position is not None and position != self._selected and view.selected is not None:
            node = view.chips[view.selected].node
            self._panel.set_selected(PROMPT_NODE if node is None else node)
        self._selected = position

    @Slot(object)
    def _on_lit(self, light: Light) -> None:
        """The whole prompt is one node, so no token of it is lit."""
        self._panel.set_lit(light.node)

    def _position_of(self, node: int) -> int | None:
        return next((chip.position for chip in reversed(self._view.chips) if chip.node == node), None)

    @Slot(int)
    def _on_node_selected(self, node: int) -> None:
        """The last token of the way is followed, so that new ones are looked at when they come."""
        chips = self._view.chips
        position = self._position_of(node)
        if position is not None:
            self._selected = None if position == len(chips) - 1 else position
            self._controller.sight.select(self._selected)

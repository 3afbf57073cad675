"""The token under the mouse, in whatever panel: the same token lights up in all others. Nothing is computed for it."""

from __future__ import annotations

from bisect import bisect_left

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.records import PROMPT_NODE
from canopy_desktop.exploration.view import Chip, WindowView
from canopy_ui.light import DARK, Light


class Lighting(QObject):
    """One place of the text, and one token of a list of candidates. Lives on the GUI thread; emits changes alone."""

    lit = Signal(object)  # Light, with all that is known
    position_lit = Signal(object)  # int, or None: nothing
    token_lit = Signal(object)  # a token's id, or None: nothing

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chips: tuple[Chip, ...] = ()
        self._light = DARK

    @Slot(object)
    def take_view(self, view: WindowView) -> None:
        """The text is now this one; what is lit goes out where another token stands there."""
        was, self._chips = self._chips, view.chips
        lit = self._light.position
        if lit is not None and view.chips[lit : lit + 1] != was[lit : lit + 1]:
            self._turn_to(DARK)

    @Slot(object)
    def light(self, position: int | None) -> None:
        """Light a token of the text, with it among the candidates; None: no longer."""
        if position is None or not 0 <= position < len(self._chips):
            self._turn_to(DARK)
        else:
            chip = self._chips[position]
            self._turn_to(Light(position, chip.node, chip.token.id))

    @Slot(object)
    def light_node(self, node: int | None) -> None:
        """Light the token of the text that a step chose; None, or a step of another branch: no longer."""
        self.light(None if node is None else self._position_of(node))

    @Slot(object)
    def light_token(self, token_id: int | None) -> None:
        """Light a candidate; None: no longer."""
        self._turn_to(Light(token_id=token_id))

    @Slot(object)
    def light_row(self, light: Light) -> None:
        """Light the token that a row stands for."""
        if light.position is not None:
            self.light(light.position)
        elif light.node is not None:
            self.light_node(light.node)
        else:
            self.light_token(light.token_id)

    def _position_of(self, node: int) -> int | None:
        """Along a text the numbers of steps grow."""
        at = bisect_left(self._chips, node, key=_node_of)
        return at if at < len(self._chips) and self._chips[at].node == node else None

    def _turn_to(self, light: Light) -> None:
        if light == self._light:
            return
        was, self._light = self._light, light
        if light.position != was.position:
            self.position_lit.emit(light.position)
        if light.token_id != was.token_id:
            self.token_lit.emit(light.token_id)
        self.lit.emit(light)


def _node_of(chip: Chip) -> int:
    return PROMPT_NODE if chip.node is None else chip.node

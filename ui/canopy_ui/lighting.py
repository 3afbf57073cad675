"""The token under the mouse, in whatever panel: the same token lights up in all others. Nothing is computed for it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.view import Chip, WindowView


class Lighting(QObject):
    """One place of the text, and one token of a list of candidates. Lives on the GUI thread; emits changes alone."""

    position_lit = Signal(object)  # int, or None: nothing
    token_lit = Signal(object)  # a token's id, or None: nothing

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chips: tuple[Chip, ...] = ()
        self._position: int | None = None
        self._token_id: int | None = None

    @Slot(object)
    def take_view(self, view: WindowView) -> None:
        """The text is now this one; what is lit goes out where another token stands there."""
        was, self._chips = self._chips, view.chips
        lit = self._position
        if lit is not None and view.chips[lit : lit + 1] != was[lit : lit + 1]:
            self._light(None, None)

    @Slot(object)
    def light(self, position: int | None) -> None:
        """Light a token of the text, with it among the candidates; None: no longer."""
        if position is None or not 0 <= position < len(self._chips):
            self._light(None, None)
        else:
            self._light(position, self._chips[position].token.id)

    @Slot(object)
    def light_token(self, token_id: int | None) -> None:
        """Light a candidate; None: no longer."""
        self._light(None, token_id)

    def _light(self, position: int | None, token_id: int | None) -> None:
        if position != self._position:
            self._position = position
            self.position_lit.emit(position)
        if token_id != self._token_id:
            self._token_id = token_id
            self.token_lit.emit(token_id)

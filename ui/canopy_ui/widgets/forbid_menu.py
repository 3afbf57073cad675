"""Forbid a token to look at another: in which heads, and whether all later tokens are concerned."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.blocking import BlockWish, scopes


class ForbidMenu(QMenu):
    """Its entries are those of the cell that is meant; without one it says how to choose one."""

    block_wished = Signal(object)  # BlockWish

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Forbid a look"))
        self.set_cell(None, Look(None, None, False), "", "")
        self.triggered.connect(self._on_triggered)

    def set_cell(self, cell: tuple[int, int] | None, look: Look, query: str, key: str) -> None:
        """What can be forbidden: `cell` are positions in the text of the one that looks and the other; their names."""
        self.clear()
        if cell is None or cell[1] > cell[0]:
            self._head(self.tr("First click a cell that is one token on both sides, or a link"))
            return
        for column in (False, True):
            wishes = [
                BlockWish(query=cell[0], key=cell[1], column=column, layer=layer, head=head)
                for layer, head in scopes(look)
            ]
            if not wishes[0].possible:
                continue
            whole = self.tr("Nobody up to “{query}” may look at “{key}”")
            name = whole if column else self.tr("“{query}” may not look at “{key}”")
            self._head(name.format(query=query, key=key))
            for wish in wishes:
                self.addAction(scope_name(self, wish)).setData(wish)
        if not self.actions():
            self._head(self.tr("“{query}” would see nothing at all").format(query=query))

    def set_hint(self, text: str) -> None:
        """Say why nothing can be forbidden."""
        self.clear()
        self._head(text)

    def _head(self, text: str) -> None:
        if self.actions():
            self.addSeparator()
        self.addAction(text).setEnabled(False)

    def _on_triggered(self, action: QAction) -> None:
        if isinstance(action.data(), BlockWish):
            self.block_wished.emit(action.data())


def scope_name(widget: QWidget, wish: BlockWish) -> str:
    """In which heads a wish forbids."""
    if wish.layer is None:
        return widget.tr("in all layers and heads")
    if wish.head is None:
        return widget.tr("in all heads of layer {layer}").format(layer=wish.layer)
    return widget.tr("in layer {layer}, head {head}").format(layer=wish.layer, head=wish.head)

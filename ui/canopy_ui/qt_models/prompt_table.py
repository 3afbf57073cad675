"""The tokens of a prompt as a table: ids, bytes, and where each comes from."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QObject

from canopy_desktop.exploration.view import Chip
from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import hexadecimal
from canopy_ui.widgets.role_colours import role_name


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    ID = 1
    BYTES = 2
    LOST = 3
    SOURCE = 4


class PromptTable(RowTable[Chip]):
    """One row a token."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        titles = self.tr("token"), self.tr("id"), self.tr("bytes"), self.tr("no token for"), self.tr("from")
        self._columns = Columns(titles, frozenset(Column) - {Column.ID})
        self._in_text = False

    def set_chips(self, chips: tuple[Chip, ...]) -> None:
        """Show these tokens."""
        self._show(chips)

    def set_in_text(self, in_text: bool) -> None:
        """Whether the text begins with this prompt, so that its tokens are those of the text."""
        self._in_text = in_text

    def _text(self, row: Chip, column: int) -> str:
        match Column(column):
            case Column.TOKEN:
                return marked(row.token)
            case Column.ID:
                return str(row.token.id)
            case Column.BYTES:
                return hexadecimal(row.token.data)
            case Column.LOST:
                return hexadecimal(row.lost)
            case Column.SOURCE:
                return role_name(row.role)

    def _light(self, row: Chip) -> Light:
        return Light(position=row.position) if self._in_text else DARK

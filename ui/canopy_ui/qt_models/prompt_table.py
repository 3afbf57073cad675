"""The tokens of a prompt as a table: ids, bytes, and where each comes from."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.exploration.view import Chip
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import hexadecimal
from canopy_ui.widgets.role_colours import role_name

ChipRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    ID = 1
    BYTES = 2
    LOST = 3
    SOURCE = 4


class PromptTable(QAbstractTableModel):
    """One row a token."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chips: tuple[Chip, ...] = ()

    def set_chips(self, chips: tuple[Chip, ...]) -> None:
        """Show these tokens."""
        self.beginResetModel()
        self._chips = chips
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self._chips)

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return {
            Column.TOKEN: self.tr("token"),
            Column.ID: self.tr("id"),
            Column.BYTES: self.tr("bytes"),
            Column.LOST: self.tr("no token for"),
            Column.SOURCE: self.tr("from"),
        }[Column(section)]

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        chip = self._chips[index.row()]
        if role == ChipRole:
            return chip
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == Column.ID:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        match Column(index.column()):
            case Column.TOKEN:
                return marked(chip.token)
            case Column.ID:
                return str(chip.token.id)
            case Column.BYTES:
                return hexadecimal(chip.token.data)
            case Column.LOST:
                return hexadecimal(chip.lost)
            case Column.SOURCE:
                return role_name(chip.role)

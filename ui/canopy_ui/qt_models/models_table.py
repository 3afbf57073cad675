"""The catalogue as rows."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

if TYPE_CHECKING:
    from canopy_desktop.exploration.models_view import ModelRow

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class ModelColumn(IntEnum):
    """What stands beside a model's name."""

    NAME = 0
    STATE = 1
    DISK = 2
    MEMORY = 3
    WHOSE = 4
    LICENCE = 5


_FIGURES = (ModelColumn.DISK, ModelColumn.MEMORY)


class ModelsTable(QAbstractTableModel):
    """Words are made by `words`, a text for each cell."""

    def __init__(self, header: tuple[str, ...], words: Callable[[ModelRow, ModelColumn], str], parent: QObject) -> None:
        super().__init__(parent)
        self._header = header
        self._words = words
        self._rows: tuple[ModelRow, ...] = ()

    def set_rows(self, rows: tuple[ModelRow, ...]) -> None:
        """Show these; where they are as many, whoever looks at one goes on looking at it."""
        if len(rows) != len(self._rows):
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return
        self._rows = rows
        self.refresh()

    def refresh(self) -> None:
        """The words have changed."""
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(self._header) - 1))

    def row(self, number: int) -> ModelRow:
        """The model in a row."""
        return self._rows[number]

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self._header)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self._header):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return self._header[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._words(self._rows[index.row()], ModelColumn(index.column()))
        return None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _FIGURES else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter

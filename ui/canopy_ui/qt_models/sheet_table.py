"""The numbers of an operation as rows."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_ui.widgets.inside_sheets import Sheet

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class SheetTable(QAbstractTableModel):
    """A row is made when it is asked for, and kept while it is the newest."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sheet: Sheet | None = None
        self._made: tuple[int, tuple[str, ...]] = (-1, ())

    def set_sheet(self, sheet: Sheet | None) -> None:
        """Show these numbers."""
        self.beginResetModel()
        self._sheet = sheet
        self._made = (-1, ())
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or self._sheet is None else self._sheet.count

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or self._sheet is None else len(self._sheet.header)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if self._sheet is None or orientation is not Qt.Orientation.Horizontal:
            return None
        if not 0 <= section < len(self._sheet.header):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return self._sheet.header[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if self._sheet is None or not index.isValid():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if self._made[0] != index.row():
            self._made = index.row(), self._sheet.row(index.row())
        return self._made[1][index.column()]


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

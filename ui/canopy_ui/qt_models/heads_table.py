"""All heads of one token as a table: where each looks most, and how spread out it looks."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.exploration.attention_view import RowView
from canopy_desktop.exploration.heads import entropy_bits
from canopy_ui.widgets.chip_label import marked_text
from canopy_ui.widgets.numbers import bits, grouped, percent

HeadRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    LAYER = 1
    HEAD = 2
    POSITION = 3
    SHARE = 4
    ENTROPY = 5


class HeadsTable(QAbstractTableModel):
    """One row a head, layer by layer."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._row: RowView | None = None
        self._strongest: IntArray | None = None  # (layers, heads) keys
        self._entropy: FloatArray | None = None  # (layers, heads) bits

    def set_row(self, row: RowView | None) -> None:
        """Show where this token looks."""
        if row is not self._row:
            self.beginResetModel()
            self._row = row
            self._strongest = None if row is None else row.heads.argmax(axis=-1)
            self._entropy = None if row is None else entropy_bits(row.heads)
            self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or self._strongest is None else self._strongest.size

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        of_rest = self._row is not None and self._row.look.hide_first
        return {
            Column.TOKEN: self.tr("most at"),
            Column.LAYER: self.tr("layer"),
            Column.HEAD: self.tr("head"),
            Column.POSITION: self.tr("position"),
            Column.SHARE: self.tr("of the rest") if of_rest else self.tr("share"),
            Column.ENTROPY: self.tr("entropy"),
        }[Column(section)]

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row, strongest, entropy = self._row, self._strongest, self._entropy
        if row is None or strongest is None or entropy is None or not index.isValid():
            return None
        layer, head = divmod(index.row(), strongest.shape[1])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role != Qt.ItemDataRole.DisplayRole:
            return (layer, head) if role == HeadRole else None
        key = int(strongest[layer, head])
        match Column(index.column()):
            case Column.TOKEN:
                return marked_text(row.tokens[key])
            case Column.LAYER:
                return str(layer)
            case Column.HEAD:
                return str(head)
            case Column.POSITION:
                return grouped(int(row.positions[key]))
            case Column.SHARE:
                return percent(float(row.heads[layer, head, key]))
            case Column.ENTROPY:
                return bits(float(entropy[layer, head]))


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == Column.TOKEN else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

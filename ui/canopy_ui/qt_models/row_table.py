"""Rows under titles: what all tables of the window have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_ui.light import DARK, Light

RecordRole = int(Qt.ItemDataRole.UserRole) + 1  # what a row is made of

Index = QModelIndex | QPersistentModelIndex
NO_PARENT = QModelIndex()
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class Columns:
    """Their titles; words stand left, figures right."""

    titles: tuple[str, ...]
    words: frozenset[int] = frozenset({0})  # columns of words

    def header(self, section: int, orientation: Qt.Orientation, role: int) -> object:
        """What a model's `headerData` gives."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.titles):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(section)
        return self.titles[section] if role == Qt.ItemDataRole.DisplayRole else None

    def alignment(self, column: int) -> Qt.AlignmentFlag:
        """Where a column's texts stand."""
        side = Qt.AlignmentFlag.AlignLeft if column in self.words else Qt.AlignmentFlag.AlignRight
        return side | Qt.AlignmentFlag.AlignVCenter


class LitRows:
    """A model whose rows may stand for tokens."""

    def light_of(self, index: Index) -> Light:
        """The token that a row stands for; `DARK`: it stands for none."""
        raise NotImplementedError

    def is_lit(self, index: Index, light: Light) -> bool:
        """Whether a row stands for the token that is lit."""
        return light.shines_on(self.light_of(index))


class RowTable(LitRows, QAbstractTableModel, Generic[_Record]):
    """A row is a record; its cells are made when they are looked at. Who inherits it says which columns there are."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._columns = Columns(())
        self._rows: Sequence[_Record] = ()

    def _text(self, row: _Record, column: int) -> str:
        """What a cell says."""
        raise NotImplementedError

    def _tip(self, row: _Record, column: int) -> str | None:
        """What is said where the mouse rests on a cell."""
        return None

    def _light(self, row: _Record) -> Light:
        """The token that a row stands for."""
        return DARK

    def _show(self, rows: Sequence[_Record], columns: Columns | None = None, *, same: bool = False) -> None:
        """Show these rows. `same`: what was there is in its place, so that a view stays where it was."""
        before, now = len(self._rows), len(rows)
        if not same or now < before:
            self.beginResetModel()
            self._rows = rows
            if columns is not None:
                self._columns = columns
            self.endResetModel()
            return
        if now > before:
            self.beginInsertRows(NO_PARENT, before, now - 1)
            self._rows = rows
            self.endInsertRows()
        self._rows = rows
        if before:
            self.dataChanged.emit(self.index(0, 0), self.index(before - 1, len(self._columns.titles) - 1))

    def light_of(self, index: Index) -> Light:
        return self._light(self._rows[index.row()]) if index.isValid() else DARK

    def rowCount(self, parent: Index = NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self._columns.titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        return self._columns.header(section, orientation, role)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._columns.alignment(column)
        return row if role == RecordRole else None

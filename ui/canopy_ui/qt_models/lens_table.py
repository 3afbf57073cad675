"""The lens as a table: a row for each layer, the model's own answer above; a column for each token that was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from canopy_desktop.exploration.lens_view import LensView
from canopy_desktop.model.tokenizer import Token
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.numbers import grouped, percent

CellRole = int(Qt.ItemDataRole.UserRole) + 1

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


@dataclass(frozen=True, slots=True)
class LensTop:
    """What one cell shows."""

    text: str
    probability: float
    came: bool  # it is the token that came next


class LensTable(QAbstractTableModel):
    """Cells that were not computed yet are empty."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view: LensView | None = None
        self._layers = 0
        self._token_of: Callable[[int], Token] | None = None
        self._texts: dict[int, str] = {}

    def set_model(self, layers: int, token_of: Callable[[int], Token]) -> None:
        """The network whose layers these are."""
        self.beginResetModel()
        self._layers, self._token_of = layers, token_of
        self._view = None
        self._texts.clear()
        self.endResetModel()

    def set_view(self, view: LensView | None) -> None:
        """Show this; columns that came last are appended, so that what is in sight stays."""
        before = self._view
        if view is before:
            return
        old, new = _columns(before), _columns(view)
        if view is not None and before is not None and new >= old and _begins_with(view, before):
            if new > old:
                self.beginInsertColumns(_NO_PARENT, old, new - 1)
            self._view = view
            if new > old:
                self.endInsertColumns()
            self.dataChanged.emit(self.index(0, 0), self.index(self._layers, new - 1))
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, new - 1)
        else:
            self.beginResetModel()
            self._view = view
            self.endResetModel()

    def lens_row(self, table_row: int) -> int:
        """The lens's row, from below: 0 is the embedding."""
        return self._layers - table_row

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() or not self._layers else self._layers + 1

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else _columns(self._view)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is Qt.Orientation.Vertical:
            return self._row_header(self.lens_row(section), role)
        view = self._view
        if view is None or not 0 <= section < _columns(view):
            return None
        read, came = marked(view.read[section]), view.came[section]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return read if came is None else f"{read} → {marked(came)}"
            case Qt.ItemDataRole.ToolTipRole:
                position = grouped(int(view.positions[section]))
                if came is None:
                    return self.tr("position {position}: {read} was read").format(position=position, read=read)
                return self.tr("position {position}: {read} was read, {came} came next").format(
                    position=position, read=read, came=marked(came)
                )
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        top = self._top(index.row(), index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return "" if top is None else f"{top.text} {percent(top.probability)}"
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return self._sentence(index.row(), index.column(), top)
            case _ if role == CellRole:
                return top
        return None

    def row_name(self, row: int) -> str:
        """What a row of the lens is called."""
        if row == 0:
            return self.tr("embedding")
        if row == self._layers:
            return self.tr("answer, after layer {layer}").format(layer=row - 1)
        return self.tr("after layer {layer}").format(layer=row - 1)

    def _row_header(self, row: int, role: int) -> object:
        match role:
            case Qt.ItemDataRole.DisplayRole:
                if row == 0:
                    return self.tr("embed.")
                return self.tr("answer") if row == self._layers else str(row - 1)
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return self.row_name(row)
            case Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _top(self, table_row: int, place: int) -> LensTop | None:
        view = self._view
        column = None if view is None else view.columns[place]
        if view is None or column is None:
            return None
        row = self.lens_row(table_row)
        token_id, came = int(column.token_ids[row]), view.came[place]
        return LensTop(self._text(token_id), float(column.probabilities[row]), came is not None and came.id == token_id)

    def _sentence(self, table_row: int, place: int, top: LensTop | None) -> str:
        view = self._view
        if view is None:
            return ""
        name = self.row_name(self.lens_row(table_row))
        where = self.tr("{row}, {read} at position {position}").format(
            row=name, read=marked(view.read[place]), position=grouped(int(view.positions[place]))
        )
        if top is None:
            return self.tr("{where}: not computed yet").format(where=where)
        said = f"{where}: {top.text} {percent(top.probability)}"
        return self.tr("{said}, the token that came next").format(said=said) if top.came else said

    def _text(self, token_id: int) -> str:
        found = self._texts.get(token_id)
        if found is None and self._token_of is not None:
            found = self._texts[token_id] = marked(self._token_of(token_id))
        return found or ""


def _columns(view: LensView | None) -> int:
    return 0 if view is None else len(view.read)


def _begins_with(view: LensView, before: LensView) -> bool:
    count = len(before.read)
    return np.array_equal(view.positions[:count], before.positions) and view.read[:count] == before.read

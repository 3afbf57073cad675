"""Rows of texts under headers: the table beside a plot."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject

from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import Columns, Index, RowTable


class FiguresTable(RowTable[tuple[str, ...]]):
    """The first column stands left, figures right."""

    def __init__(self, headers: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._columns = Columns(tuple(headers))
        self._lights: Sequence[Light] = ()

    def set_rows(self, rows: Sequence[tuple[str, ...]], lights: Sequence[Light] = ()) -> None:
        """Show these; rows that came last are appended, so that a view stays where it was.

        `lights`: the tokens that the rows stand for; the last rows may stand for none.
        """
        rows, before = tuple(rows), self._rows
        self._lights = tuple(lights)
        if rows != before:
            as_many = len(rows) == len(before)
            self._show(rows, same=as_many or [row[0] for row in rows[: len(before)]] == [row[0] for row in before])

    def light_of(self, index: Index) -> Light:
        row = index.row()
        return self._lights[row] if index.isValid() and row < len(self._lights) else DARK

    def _text(self, row: tuple[str, ...], column: int) -> str:
        return row[column]

    def _tip(self, row: tuple[str, ...], column: int) -> str:
        return row[column]

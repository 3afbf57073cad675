"""The catalogue as rows."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from canopy_ui.qt_models.row_table import Columns, RowTable

if TYPE_CHECKING:
    from canopy_desktop.exploration.models_view import ModelRow


class ModelColumn(IntEnum):
    """What stands beside a model's name."""

    NAME = 0
    STATE = 1
    DISK = 2
    MEMORY = 3
    WHOSE = 4
    LICENCE = 5


_FIGURES = frozenset({ModelColumn.DISK, ModelColumn.MEMORY})


class ModelsTable(RowTable["ModelRow"]):
    """Words are made by `words`, a text for each cell."""

    def __init__(self, header: tuple[str, ...], words: Callable[[ModelRow, ModelColumn], str], parent: QObject) -> None:
        super().__init__(parent)
        self._columns = Columns(header, frozenset(ModelColumn) - _FIGURES)
        self._words = words

    def set_rows(self, rows: tuple[ModelRow, ...]) -> None:
        """Show these; where they are as many, whoever looks at one goes on looking at it."""
        self._show(rows, same=len(rows) == len(self._rows))

    def refresh(self) -> None:
        """The words have changed."""
        self._show(self._rows, same=True)

    def row(self, number: int) -> ModelRow:
        """The model in a row."""
        return self._rows[number]

    def _text(self, row: ModelRow, column: int) -> str:
        return self._words(row, ModelColumn(column))

    def _tip(self, row: ModelRow, column: int) -> str:
        return self._text(row, column)

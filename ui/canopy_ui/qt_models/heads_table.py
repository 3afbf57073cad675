"""All heads of one token as a table: where each looks most, and how spread out it looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QObject

from canopy_desktop.exploration.attention_view import RowView
from canopy_desktop.exploration.heads import entropy_bits
from canopy_ui.light import Light
from canopy_ui.qt_models.row_table import Columns, RowTable
from canopy_ui.widgets.chip_label import marked_text
from canopy_ui.widgets.numbers import bits, grouped, percent


class Column(IntEnum):
    """The columns, in order."""

    TOKEN = 0
    LAYER = 1
    HEAD = 2
    POSITION = 3
    SHARE = 4
    ENTROPY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """What one head does with the token."""

    layer: int
    head: int
    text: str  # of what it looks at most
    position: int
    share: float
    entropy_bits: float


class HeadsTable(RowTable[HeadRow]):
    """One row a head, layer by layer."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._row: RowView | None = None
        self._columns = self._columns_of(None)

    def set_row(self, row: RowView | None) -> None:
        """Show where this token looks."""
        if row is not self._row:
            self._row = row
            self._show(() if row is None else head_rows(row), self._columns_of(row))

    def _text(self, row: HeadRow, column: int) -> str:
        match Column(column):
            case Column.TOKEN:
                return marked_text(row.text)
            case Column.LAYER:
                return str(row.layer)
            case Column.HEAD:
                return str(row.head)
            case Column.POSITION:
                return grouped(row.position)
            case Column.SHARE:
                return percent(row.share)
            case Column.ENTROPY:
                return bits(row.entropy_bits)

    def _light(self, row: HeadRow) -> Light:
        return Light(position=row.position)

    def _columns_of(self, row: RowView | None) -> Columns:
        share = self.tr("of the rest") if row is not None and row.look.hide_first else self.tr("share")
        titles = self.tr("most at"), self.tr("layer"), self.tr("head"), self.tr("position"), share, self.tr("entropy")
        return Columns(titles)


def head_rows(row: RowView) -> tuple[HeadRow, ...]:
    """Every head with what its token looks at most."""
    strongest, entropy = row.heads.argmax(axis=-1), entropy_bits(row.heads)  # (layers, heads)
    shares = row.heads.max(axis=-1)
    return tuple(
        HeadRow(
            layer=layer,
            head=head,
            text=row.tokens[key],
            position=int(row.positions[key]),
            share=float(shares[layer, head]),
            entropy_bits=float(entropy[layer, head]),
        )
        for layer, keys in enumerate(strongest.tolist())
        for head, key in enumerate(keys)
    )

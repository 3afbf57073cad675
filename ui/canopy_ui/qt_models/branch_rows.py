"""The tree of branches as rows that can be unfolded: a text without a fork is one row."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, Qt

from canopy_desktop.exploration.branch_picture import BranchPicture
from canopy_desktop.exploration.branches import RECORDED, BranchKind, BranchNode, Ref
from canopy_ui.light import DARK, Light
from canopy_ui.qt_models.row_table import NO_PARENT, Columns, Index, LitRows
from canopy_ui.widgets.branch_words import chance_text, hidden_text, origin_text, signed
from canopy_ui.widgets.numbers import grouped

NodeRole = int(Qt.ItemDataRole.UserRole) + 1  # the number of a row's last node, to go there


class Column(IntEnum):
    """The columns, in order."""

    TEXT = 0
    TOKENS = 1
    PROBABILITY = 2
    TOTAL = 3
    ORIGIN = 4


class BranchRows(LitRows, QAbstractItemModel):
    """A row's id is the number of its text in the picture, from 1, so that 0 is no row."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._picture: BranchPicture | None = None
        self._texts: list[list[int]] = []  # the nodes of each text, also those that the picture leaves out
        self._children: list[list[int]] = []
        self._row_of: list[int] = []
        titles = self.tr("text"), self.tr("tokens"), self.tr("probability"), self.tr("Σ log p"), self.tr("what it is")
        self._columns = Columns(titles, frozenset({Column.TEXT, Column.ORIGIN}))

    def set_picture(self, picture: BranchPicture | None) -> None:
        """Show this tree."""
        if picture is self._picture:
            return
        self.beginResetModel()
        self._picture = picture
        twigs = picture.twigs if picture is not None else ()
        self._texts, self._children = [[] for _ in twigs], [[] for _ in twigs]
        self._row_of = [0] * len(twigs)
        for node, text in enumerate(picture.twig_of if picture is not None else ()):
            self._texts[text].append(node)
        for number, twig in enumerate(twigs):
            if twig.parent >= 0:
                self._row_of[number] = len(self._children[twig.parent])
                self._children[twig.parent].append(number)
        self.endResetModel()

    def index_of(self, node: int) -> QModelIndex:
        """The row in which a node is."""
        if self._picture is None:
            return QModelIndex()
        return self._index(self._picture.twig_of[node])

    def index(self, row: int, column: int, parent: Index = NO_PARENT) -> QModelIndex:
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        number = self._children[parent.internalId() - 1][row] if parent.isValid() else 0
        return self.createIndex(row, column, number + 1)

    def parent(self, index: Index = NO_PARENT) -> QModelIndex:  # type: ignore[override]
        if not index.isValid() or self._picture is None:
            return QModelIndex()
        above = self._picture.twigs[index.internalId() - 1].parent
        return QModelIndex() if above < 0 else self._index(above)

    def rowCount(self, parent: Index = NO_PARENT) -> int:
        if self._picture is None or parent.column() > 0:
            return 0
        return len(self._children[parent.internalId() - 1]) if parent.isValid() else 1

    def columnCount(self, parent: Index = NO_PARENT) -> int:
        return len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        return self._columns.header(section, orientation, role)

    def light_of(self, index: Index) -> Light:
        """The last token of a text, where one goes; the prompt's tokens are not told apart."""
        if self._picture is None or not index.isValid():
            return DARK
        last = self._picture.tree.nodes[self._texts[index.internalId() - 1][-1]]
        return DARK if last.kind is BranchKind.PROMPT else Light(node=last.node)

    def is_lit(self, index: Index, light: Light) -> bool:
        """Whether the token is one of a text's."""
        if self._picture is None or light.node is None:
            return False
        number = self._picture.tree.at.get(Ref(RECORDED, light.node))
        return number is not None and self._picture.twig_of[number] == index.internalId() - 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if self._picture is None or not index.isValid():
            return None
        text = self._texts[index.internalId() - 1]
        nodes = [self._picture.tree.nodes[number] for number in text]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(nodes, Column(index.column()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._columns.alignment(index.column())
        return text[-1] if role == NodeRole else None

    def _cell(self, nodes: list[BranchNode], column: Column) -> str:
        first, last = nodes[0], nodes[-1]
        prompt = first.kind is BranchKind.PROMPT
        match column:
            case Column.TEXT:
                text = self.tr("prompt") if prompt else "".join(node.text for node in nodes)
                return f"{first.name}: {text}" if first.name else text
            case Column.TOKENS:
                return "" if prompt else grouped(len(nodes))
            case Column.PROBABILITY:
                return "" if prompt else chance_text(first)
            case Column.TOTAL:
                return "" if prompt else signed(last.total)
            case Column.ORIGIN:
                return ", ".join(part for part in (origin_text(last), hidden_text(last)) if part)

    def _index(self, number: int) -> QModelIndex:
        return self.createIndex(self._row_of[number], 0, number + 1)

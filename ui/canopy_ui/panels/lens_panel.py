"""What the model would say after each layer: a grid, and the whole list of one cell."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QFontMetrics, QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from canopy_desktop.exploration.attention_view import GoneColumns
from canopy_desktop.exploration.lens_view import LensCell, LensView, Likely
from canopy_desktop.model.tokenizer import Token
from canopy_ui.light import Light
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.chip_label import marked
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.lens_grid import LensGrid
from canopy_ui.widgets.matrix_legend import MatrixLegend
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.numbers import grouped, percent
from canopy_ui.widgets.panel import Panel

_BESIDE = 640  # from this width on the list stands beside the grid
_LIST_WIDTH, _LIST_HEIGHT = 270, 176
_WIDEST = "888,888", ">99.9 %"  # rank and probability
_UNBOUNDED = (1 << 24) - 1  # Qt's own


class LensPanel(Panel):
    """Layers from the embedding, below, to the model's own answer, above; a column for each token that was read."""

    cell_picked = Signal(int, object)  # row, 0 is the embedding; position, or None: the newest
    position_hovered = Signal(object)  # int, or None
    sight_changed = Signal(object)  # range of positions of the columns in sight, or None
    compute_again_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: LensView | None = None
        self._token_of: Callable[[int], Token] | None = None
        self._not_given = ""
        self._needed_model = ""
        self._grid = LensGrid(theme)
        self._grid.cell_picked.connect(self.cell_picked)
        self._grid.sight_changed.connect(self._tell_sight)
        self._grid.position_hovered.connect(self.position_hovered)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setAccessibleName(self.tr("The selected cell"))
        self._likely = FiguresTable((self.tr("token"), self.tr("rank"), self.tr("probability")), self)
        self._list = CopyableTable(theme)
        self._list.setModel(self._likely)
        self._list.setAccessibleName(self.tr("The likeliest tokens of the selected cell"))
        self._side = QWidget()
        side = QVBoxLayout(self._side)
        side.setContentsMargins(0, 0, 0, 0)
        side.addWidget(self._words)
        side.addWidget(self._list, 1)
        self._parts = QWidget()
        self._box = QBoxLayout(QBoxLayout.Direction.TopToBottom, self._parts)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.addWidget(self._grid, 1)
        self._box.addWidget(self._side)
        self._page = MessagePage(self._lacking(), self.tr("Compute again"))
        self._page.accepted.connect(self.compute_again_requested)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._page)
        self._pages.addWidget(self._parts)
        self._note = ElidedLabel()
        self._note.setProperty("look", "secondary")
        self._legend = MatrixLegend(theme, Theme.probability_colour)
        self._again = QPushButton(self.tr("Compute again"))
        self._again.clicked.connect(self.compute_again_requested)
        self._again.hide()
        foot = QHBoxLayout()
        foot.addWidget(self._note, 1)
        foot.addWidget(self._again)
        foot.addWidget(self._legend)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(self._pages, 1)
        self._layout.addLayout(foot)
        self.set_theme(theme)
        self._set_title(self.tr("what the model would say after each layer"))

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for widget in (self._grid, self._list, self._legend):
            widget.set_theme(theme)
        self._words.setFont(theme.font(15))
        self._fit_figures()
        self._layout.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self._layout.setSpacing(theme.px(3))
        self._box.setSpacing(theme.px(12))
        self._fit()

    def set_model(self, layers: int, token_of: Callable[[int], Token], *, not_given: str = "") -> None:
        """The network that is looked into; `not_given`: why its graph has nothing to look at, in a sentence."""
        self._token_of, self._not_given = token_of, not_given
        self._page.set_text(self._lacking())
        self._grid.set_model(layers, token_of)

    def set_needed_model(self, model_id: str) -> None:
        """Say that there is nothing to look at without this model; empty: it is here."""
        if model_id != self._needed_model:
            self._needed_model = model_id
            self._page.set_text(self._lacking())

    def _fit_figures(self) -> None:
        """As wide as the longest: measured for every token that comes, columns would cost a tenth of all painting."""
        header, metrics = self._list.horizontalHeader(), QFontMetrics(self._list.font())
        titles = QFontMetrics(header.font())
        for column, longest in enumerate(_WIDEST, start=1):
            title = str(self._likely.headerData(column, Qt.Orientation.Horizontal))
            width = max(metrics.horizontalAdvance(longest), titles.horizontalAdvance(title))
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, width + self._theme.px(16))

    def set_lens(self, view: LensView | None, *, begun: bool) -> None:
        """Show this; `begun`: a prompt was accepted."""
        self._view = view
        gone = None if view is None else view.gone
        has_columns = view is not None and bool(view.read) and (gone is None or any(view.columns))
        shown = has_columns and not self._not_given
        self._page.set_text(self._lacking(gone, begun=begun), offered=gone is not None)
        meaning = self.tr("bold, with a bar: the token that really came next")
        self._note.set_text("" if self._not_given else meaning if gone is None else self._lacking(gone, begun=begun))
        self._legend.setVisible(not self._not_given)
        self._again.setVisible(gone is not None and shown)
        self._pages.setCurrentWidget(self._parts if shown else self._page)
        self._grid.set_view(view)
        self._show_cell()

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse, here or elsewhere."""
        self._grid.set_lit(position)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tell_sight()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tell_sight()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    @Slot()
    def _tell_sight(self) -> None:
        self.sight_changed.emit(self._grid.sight() if self.isVisible() else None)

    def _fit(self) -> None:
        """The list stands beside the grid where there is room, else below it."""
        px = self._theme.px
        beside = self.width() >= px(_BESIDE)
        self._box.setDirection(QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom)
        height = min(px(_LIST_HEIGHT), self.height() // 3)
        self._side.setMaximumSize(*(px(_LIST_WIDTH), _UNBOUNDED) if beside else (_UNBOUNDED, height))
        self._side.setMinimumWidth(px(_LIST_WIDTH) if beside else 0)

    def _show_cell(self) -> None:
        view = self._view
        cell = None if view is None else view.cell
        self._words.setText("" if view is None else self._sentence(view))
        self._grid.setAccessibleDescription(self._words.text())
        lights = () if cell is None else tuple(Light(token_id=one.token_id) for one in cell.listed)
        self._likely.set_rows(() if cell is None else self._rows(cell), lights)

    def _sentence(self, view: LensView) -> str:
        if view.selected is None:
            return self.tr("No column belongs to the selected token: choose a cell.")
        read, came = view.read[view.selected], view.came[view.selected]
        where = self.tr("{row}, having read “{read}”").format(row=self._grid.row_name(view.row), read=marked(read))
        where = where[:1].upper() + where[1:]
        if view.cell is None or view.cell.came is None or came is None:
            return where + "."
        return self.tr("{where}: “{came}” came next; here it is assigned {share}, rank {rank} of {all}.").format(
            where=where,
            came=marked(came),
            share=percent(view.cell.came.probability),
            rank=grouped(view.cell.came.rank),
            all=grouped(view.cell.vocabulary),
        )

    def _rows(self, cell: LensCell) -> list[tuple[str, ...]]:
        """The listed tokens, and what all others share."""
        rows: list[tuple[str, ...]] = [
            (self._named(one, came=one == cell.came), grouped(one.rank), percent(one.probability))
            for one in cell.listed
        ]
        others = cell.vocabulary - len(cell.listed)
        if others:
            rest = max(0.0, 1.0 - sum(one.probability for one in cell.listed))
            rows.append((self.tr("{count} others").format(count=grouped(others)), "", percent(rest)))
        return rows

    def _named(self, one: Likely, *, came: bool) -> str:
        text = "" if self._token_of is None else marked(self._token_of(one.token_id))
        return self.tr("{token}  ← came next").format(token=text) if came else text

    def _lacking(self, gone: GoneColumns | None = None, *, begun: bool = False) -> str:
        if gone is not None:
            return self.tr("The residuals of {count} of these tokens made room for newer ones.").format(
                count=grouped(gone.tokens)
            )
        if self._needed_model:
            return self.tr("What each layer would say needs {model}, the model that made this exploration.").format(
                model=self._needed_model
            )
        if self._not_given:
            return self._not_given
        if begun:
            return self.tr("Computing what the model would say after each layer …")
        return self.tr("What the model would say after each layer appears here once it has read a prompt.")

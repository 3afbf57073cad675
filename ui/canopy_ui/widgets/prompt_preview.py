"""What goes into the model: as tokens, as the exact text, as a table, and what room it takes."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from canopy_desktop.exploration.ruler import ContextRuler
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import Token
from canopy_ui.qt_models.figures_table import FiguresTable
from canopy_ui.qt_models.prompt_table import PromptTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.context_ruler import ruler_rows
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.role_legend import RoleLegend
from canopy_ui.widgets.role_text import RoleText
from canopy_ui.widgets.segmented import Segmented
from canopy_ui.widgets.token_preview import TokenPreview, preview_chips

TOKENS, TEXT, TABLE, ROOM = range(4)


class PromptPreview(QWidget):
    """Four views of one prompt; only the one that is seen is made."""

    position_hovered = Signal(object)  # int, a place in the text that begins with the prompt; or None

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prompt: TemplatedPrompt | None = None
        self._tokens: tuple[Token, ...] = ()
        self._in_text = False
        self._views = Segmented(
            (self.tr("Tokens"), self.tr("Text"), self.tr("Table"), self.tr("Room")), self.tr("What goes in"), rows=True
        )
        self._legend = RoleLegend(theme)
        self.chips, self._text, self._table = TokenPreview(theme), RoleText(theme), CopyableTable(theme)
        self._model = PromptTable(self)
        self._table.setModel(self._model)
        self._table.setAccessibleName(self.tr("Tokens of the prompt, with ids and bytes"))
        self._pages = QStackedWidget()
        self._pages.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)  # what is typed goes before
        self._room = FiguresTable((self.tr("what"), self.tr("tokens"), self.tr("of the window")), self)
        self._room_table = CopyableTable(theme)
        self._room_table.setModel(self._room)
        self._room_table.setAccessibleName(self.tr("Room in the context window, as a table"))
        for page in (self.chips, self._text, self._table, self._room_table):
            self._pages.addWidget(page)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._views)
        self._layout.addWidget(self._legend)
        self._layout.addWidget(self._pages, 1)
        self._views.chosen.connect(self._on_view_chosen)
        self._table.about_to_be_read.connect(self._fill_table)
        self.chips.hovered.connect(self._on_chip_hovered)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (self.chips, self._text, self._table, self._room_table, self._legend):
            widget.set_theme(theme)
        self._views.setFont(theme.font(13))
        self._layout.setSpacing(theme.px(4))

    def set_prompt(
        self, prompt: TemplatedPrompt | None, tokens: tuple[Token, ...], ruler: ContextRuler | None = None
    ) -> None:
        """Show this prompt; None: it is not known."""
        self._prompt, self._tokens = prompt, tokens
        self._legend.set_ruler(ruler)
        self._room.set_rows(() if ruler is None else ruler_rows(ruler))
        self._show()

    def set_in_text(self, in_text: bool) -> None:
        """Whether the text begins with this prompt, so that its tokens are those of the text."""
        self._in_text = in_text
        self._model.set_in_text(in_text)

    def set_lit(self, position: int | None) -> None:
        """Mark the token of the text that is under the mouse, here or elsewhere."""
        self.chips.set_lit(position if self._in_text else None)

    def show_view(self, view: int) -> None:
        """Show the tokens, the text, the table, or the room that they take."""
        self._views.choose(view)
        self._on_view_chosen(view)

    def _show(self) -> None:
        view, prompt = self._pages.currentIndex(), self._prompt
        if view == TEXT:
            self._text.set_prompt(prompt)
        elif view == TABLE:
            self._fill_table()
        elif view == TOKENS:
            self.chips.set_prompt(prompt, self._tokens)

    @Slot()
    def _fill_table(self) -> None:
        prompt = self._prompt
        self._model.set_chips(preview_chips(prompt, self._tokens) if prompt is not None else ())

    @Slot(object)
    def _on_chip_hovered(self, position: int | None) -> None:
        self.position_hovered.emit(position if self._in_text else None)

    @Slot(int)
    def _on_view_chosen(self, view: int) -> None:
        self._pages.setCurrentIndex(view)
        self._show()

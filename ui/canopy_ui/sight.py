"""What is looked at: one selection for the whole window."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.attention_view import Looking
from canopy_desktop.exploration.squares import Square
from canopy_desktop.exploration.stages import StepStage
from canopy_desktop.exploration.view import Colouring, Selection
from canopy_desktop.settings import Preferences

if TYPE_CHECKING:
    from canopy_desktop.model.card import Architecture


class Sight(QObject):
    """Every panel changes its part of the one selection. Lives on the GUI thread."""

    changed = Signal()  # something is to be painted

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.kitchen_words = preferences.kitchen_words
        self.selection = Selection(
            layer=preferences.layer,
            head=preferences.head,
            hide_first=preferences.hide_first,
            shown=preferences.shown,
            settings=preferences.decoding,
        )

    @Slot(object)
    def select(self, position: int | None) -> None:
        """Look at one token; None follows the newest."""
        self._look(replace(self.selection, position=position))

    @Slot(int, int)
    def select_head(self, layer: int, head: int) -> None:
        """Look at one attention head."""
        self._look(replace(self.selection, layer=layer, head=head, embedding=False))

    def fit_head(self, architecture: Architecture | None) -> None:
        """Look at a head that a model with these numbers has; None: there is no model."""
        if architecture is not None:
            layer = min(self.selection.layer, architecture.layers - 1)
            self.select_head(layer, min(self.selection.head, architecture.heads - 1))

    @Slot(int, object)
    def select_cell(self, row: int, position: int | None) -> None:
        """Look at one token and one row of the lens: 0 is the embedding, l + 1 what comes out of layer l."""
        layer = max(row - 1, 0) if row else self.selection.layer
        self._look(replace(self.selection, layer=layer, embedding=row == 0, position=position))

    @Slot(object)
    def look_through_lens(self, positions: range | None) -> None:
        """The positions of the lens's columns in sight; None: no panel shows it."""
        self._look(replace(self.selection, lens=positions))

    @Slot(bool)
    def hide_first(self, hidden: bool) -> None:
        """Leave the first token out of the attention that is shown."""
        self._look(replace(self.selection, hide_first=hidden))

    @Slot(object)
    def look_by(self, looking: Looking) -> None:
        """Look at one head, at the mean of a layer, or at the rollout."""
        self._look(replace(self.selection, looking=looking))

    @Slot(object)
    def look_at_part(self, part: Square | None) -> None:
        """Look at a part of the attention picture; None: the whole window."""
        self._look(replace(self.selection, part=part))

    @Slot(object)
    def colour_by(self, colouring: Colouring) -> None:
        """What the colours of the text tell."""
        self._look(replace(self.selection, colouring=colouring))

    @Slot(bool)
    def use_kitchen_words(self, wanted: bool) -> None:
        """Whether words of the kitchen stand beside the technical ones."""
        self.kitchen_words = wanted

    @Slot(bool)
    def look_at_row(self, shown: bool) -> None:
        """Whether a panel shows where the selected token looks."""
        self._look(replace(self.selection, row=shown))

    @Slot(int)
    def show_bars(self, shown: int) -> None:
        """The number of tokens in the probability chart."""
        self._look(replace(self.selection, shown=shown))

    @Slot(object)
    def look_at_stage(self, stage: StepStage) -> None:
        """Look at one stage of the selected step."""
        self._look(replace(self.selection, stage=stage))

    @Slot(object)
    def find(self, token_id: int | None) -> None:
        """A token that has to be in the probability chart."""
        self._look(replace(self.selection, found=token_id))

    @Slot(int)
    def draw_many(self, count: int) -> None:
        """So many draws from what is shown, to be compared with it; 0: none."""
        self._look(replace(self.selection, draws=count))

    def decide_by(self, settings: DecodingSettings) -> None:
        """The settings of the probability chart; it is painted when the reader has answered, and not sooner."""
        self.selection = replace(self.selection, settings=settings)

    def _look(self, selection: Selection) -> None:
        if selection != self.selection:
            self.selection = selection
            self.changed.emit()

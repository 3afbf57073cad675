"""What the next token is decided by, and the next exploration begins with."""

from __future__ import annotations

import secrets
from dataclasses import replace

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.decoding.output_filter import OutputFilter
from canopy_desktop.decoding.settings import DecodingSettings, changed_settings
from canopy_desktop.exploration.trail import Deed, Standing
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.settings import Preferences
from canopy_ui.filter_choice import FilterChoice

NEW_SEEDS = 1_000_000  # short numbers, to be written down


class Wishes(QObject):
    """Settings, whether each text has a seed of its own, the output filter, and the context window.

    A run in hand keeps its settings and filter, so it has to be taken up anew where they change; an exploration keeps
    its window. Lives on the GUI thread.
    """

    deed_coming = Signal(object, str)  # Deed, right before it is done, and what it changes
    decoding_changed = Signal(object)  # DecodingSettings
    filter_changed = Signal()
    window_changed = Signal(object)  # ContextWindow
    changed = Signal()  # one of them, by a deed

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.decoding = preferences.decoding
        self.new_seeds = preferences.new_seeds
        self.filter = FilterChoice(preferences.filter_file, preferences.filter_action)
        self.window = preferences.window

    @Slot(object)
    def set_decoding(self, settings: DecodingSettings) -> None:
        """Decide like this from the next run or step on, and show at once what it would have decided."""
        if settings != self.decoding:
            self.deed_coming.emit(Deed.SETTINGS, " ".join(changed_settings(self.decoding, settings)))
            self.decide_by(settings)
            self.changed.emit()

    def decide_by(self, settings: DecodingSettings) -> None:
        """The same, as part of another deed."""
        if settings != self.decoding:
            self.decoding = settings
            self.decoding_changed.emit(settings)

    @Slot(bool)
    def draw_new_seeds(self, wanted: bool) -> None:
        """Whether every prompt that is begun anew has another seed; if so, there is one now."""
        if wanted or self.new_seeds:
            self.deed_coming.emit(Deed.SEEDS, "")
            self.new_seeds = wanted
            self.draw_seed()
            self.changed.emit()

    def draw_seed(self) -> None:
        """Take another seed, where each text has one of its own."""
        if self.new_seeds:
            self.decide_by(replace(self.decoding, seed=secrets.randbelow(NEW_SEEDS)))

    @Slot(object)
    def set_filter(self, choice: FilterChoice) -> None:
        """Look at the text with this filter, or none, from the next run or step on."""
        if (choice.file, choice.action) != (self.filter.file, self.filter.action):  # else its file was read just now
            self.deed_coming.emit(Deed.FILTER, "")
        self.filter_by(choice)
        self.changed.emit()

    def filter_by(self, choice: FilterChoice) -> None:
        """The same, as part of another deed."""
        before, self.filter = self.filter, choice
        if choice.output_filter != before.output_filter:
            self.filter_changed.emit()

    @property
    def output_filter(self) -> OutputFilter | None:
        """The filter that the next run has."""
        return self.filter.output_filter

    @Slot(object)
    def set_window(self, window: ContextWindow) -> None:
        """Begin the next exploration with this window; the one in hand keeps its own."""
        if window != self.window:
            self.deed_coming.emit(Deed.WINDOW, "window")
            self.begin_with(window)
            self.changed.emit()

    def begin_with(self, window: ContextWindow) -> None:
        """The same, as part of another deed."""
        if window != self.window:
            self.window = window
            self.window_changed.emit(window)

    def fit_window(self, context: int) -> None:
        """Have the whole of a model with `context` positions, where the window was another model's and is larger."""
        if self.window.size is not None and self.window.size > context:
            self.window = replace(self.window, size=None)

    def bring_back(self, standing: Standing) -> None:
        """Have what held before a deed."""
        if standing.settings is not None:
            self.decide_by(standing.settings)
        if standing.new_seeds is not None:
            self.new_seeds = standing.new_seeds
        if standing.window is not None:
            self.begin_with(standing.window)
        if isinstance(standing.filtered, FilterChoice):
            self.filter_by(standing.filtered)

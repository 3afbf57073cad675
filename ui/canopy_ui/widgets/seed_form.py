"""The seed of the draws, and whether it stays."""

from __future__ import annotations

from PySide6.QtCore import QRegularExpression, Signal, Slot
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QWidget

from canopy_desktop.decoding.settings import MAX_SEED
from canopy_ui.theme import Theme
from canopy_ui.widgets.segmented import Segmented

KEEP, NEW = 0, 1


class SeedForm(QWidget):
    """A number that can be typed, kept, or asked for anew."""

    seed_changed = Signal(object)  # int, of up to 63 bits
    new_seeds_wanted = Signal(bool)  # a new one now, and for every prompt that is begun anew

    def __init__(self, theme: Theme, parent: QWidget | None = None, *, lasting: bool = True) -> None:
        """`lasting`: whether one can ask for another seed for every run."""
        super().__init__(parent)
        self._label = QLabel(self.tr("Seed"))
        self._seed = QLineEdit("0")
        self._seed.setValidator(QRegularExpressionValidator(QRegularExpression(r"\d{0,19}"), self))
        self._seed.setAccessibleName(self.tr("Seed"))
        self._seed.setToolTip(self.tr("The same seed draws the same tokens again"))
        self._label.setBuddy(self._seed)
        self._way = Segmented((self.tr("keep"), self.tr("new")), self.tr("Seed of the next run"))
        self._way.setToolTip(self.tr("New: another seed now, and for every prompt that is begun anew"))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for widget, stretch in ((self._label, 0), (self._seed, 1), (self._way, 1)):
            self._row.addWidget(widget, stretch)
        self._way.setVisible(lasting)
        self._seed.textEdited.connect(self._on_edited)
        self._way.chosen.connect(self._on_way_chosen)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for widget in (self._label, self._seed):
            widget.setFont(theme.font(13))
        self._way.setFont(theme.font(13))
        self._row.setSpacing(theme.px(8))

    def set_seed(self, seed: int) -> None:
        """Show this seed, and say nothing."""
        if _number(self._seed.text()) != seed:
            self._seed.setText(str(seed))

    def set_new_seeds(self, wanted: bool) -> None:
        """Show whether every prompt that is begun anew has another seed."""
        self._way.choose(NEW if wanted else KEEP)

    @Slot(str)
    def _on_edited(self, text: str) -> None:
        self.seed_changed.emit(_number(text))

    @Slot(int)
    def _on_way_chosen(self, way: int) -> None:
        self.new_seeds_wanted.emit(way == NEW)


def _number(text: str) -> int:
    return min(int(text or 0), MAX_SEED)

"""What is searched after the current node, how far it has come, and how to stop it."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QLabel, QPushButton, QSpinBox, QWidget

from canopy_desktop.decoding.beams import LARGEST_PENALTY, MAX_BEAMS
from canopy_desktop.decoding.frequencies import MAX_DRAWS
from canopy_desktop.exploration.searching import Searched, SearchKind, SearchPhase
from canopy_ui.theme import Theme
from canopy_ui.widgets.flow_layout import FlowLayout
from canopy_ui.widgets.numbers import grouped, token_count
from canopy_ui.widgets.segmented import Segmented

LONGEST = 200  # tokens of a search
_KINDS = (SearchKind.BEAMS, SearchKind.DRAWS)


class SearchForm(QWidget):
    """Beams or draws, how many, how long."""

    search_clicked = Signal()
    stop_clicked = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._searched: Searched | None = None
        self._possible = False
        self._hint = ""
        self._kind = Segmented((self.tr("Beams"), self.tr("Draws")), self.tr("What is searched"))
        self._kind.chosen.connect(self._on_kind_chosen)
        self._beams = self._count(
            1, MAX_BEAMS, 4, self.tr(" beams"), self.tr("How many texts are written side by side")
        )
        self._draws = self._count(1, MAX_DRAWS, 20, self.tr(" draws"), self.tr("How many texts are drawn by chance"))
        self._length = self._count(1, LONGEST, 12, self.tr(" tokens"), self.tr("How long each text may become"))
        self._penalty = QDoubleSpinBox()
        self._penalty.setRange(-LARGEST_PENALTY, LARGEST_PENALTY)
        self._penalty.setSingleStep(0.1)
        self._penalty.setValue(1.0)
        self._penalty.setPrefix(self.tr("length penalty "))
        self._penalty.setAccessibleName(self.tr("Length penalty"))
        self._penalty.setToolTip(self.tr("A text's score is Σ log p ÷ length ^ penalty: above 1 favours longer texts"))
        self._button = QPushButton()
        self._button.setProperty("look", "primary")
        self._button.clicked.connect(self._on_button_clicked)
        self._progress = QLabel()
        self._progress.setProperty("look", "secondary")
        self._progress.setAccessibleName(self.tr("How far the search has come"))
        self._row = FlowLayout(self)
        for widget in (
            self._kind,
            self._beams,
            self._draws,
            self._length,
            self._penalty,
            self._button,
            self._progress,
        ):
            self._row.addWidget(widget)
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self._row.set_gaps(theme.px(8), theme.px(4))
        for widget in (self._beams, self._draws, self._length, self._penalty):
            for part in (widget, widget.lineEdit()):
                part.setFont(theme.font(13))
            widget.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)

    def kind(self) -> SearchKind:
        """What is chosen."""
        return _KINDS[self._kind.choice()]

    def count(self) -> int:
        """How many beams, or draws."""
        return self._beams.value() if self.kind() is SearchKind.BEAMS else self._draws.value()

    def length(self) -> int:
        """Tokens of each text."""
        return self._length.value()

    def penalty(self) -> float:
        """Of the length."""
        return self._penalty.value()

    def set_values(self, kind: SearchKind, *, count: int, length: int, penalty: float = 1.0) -> None:
        """Fill in the form."""
        self._kind.choose(_KINDS.index(kind))
        (self._beams if kind is SearchKind.BEAMS else self._draws).setValue(count)
        self._length.setValue(length)
        self._penalty.setValue(penalty)
        self._show()

    def set_possible(self, possible: bool, hint: str = "") -> None:
        """Whether one can search where one is; the hint says why not."""
        self._possible, self._hint = possible, hint
        self._show()

    def set_searched(self, searched: Searched | None) -> None:
        """Show how far a search has come."""
        self._searched = searched
        self._show()

    def progress(self) -> str:
        """What is said of the search."""
        return self._progress.text()

    def _show(self) -> None:
        beams, busy = self.kind() is SearchKind.BEAMS, self._searched is not None and self._searched.busy
        self._beams.setVisible(beams)
        self._penalty.setVisible(beams)
        self._draws.setVisible(not beams)
        self._button.setText(self.tr("Stop") if busy else self.tr("Search") if beams else self.tr("Draw"))
        self._button.setEnabled(busy or self._possible)
        self._button.setToolTip("" if busy else self._hint or self._tip())
        self._progress.setText(self._told())

    def _tip(self) -> str:
        if self.kind() is SearchKind.BEAMS:
            return self.tr("Searches the likeliest texts after the current token, by the model's own probabilities")
        return self.tr("Draws texts after the current token with your settings; greedy ones draw at temperature 1")

    def _told(self) -> str:
        searched = self._searched
        if searched is None:
            return ""
        done, total = grouped(searched.done), grouped(searched.total)
        match searched.phase:
            case SearchPhase.READING:
                return self.tr("Reading the text: {done} of {total} tokens").format(done=done, total=total)
            case SearchPhase.SEARCHING if searched.wish.kind is SearchKind.BEAMS:
                return self.tr("Step {done} of {total}").format(done=done, total=total)
            case SearchPhase.SEARCHING:
                return self.tr("{done} of at most {total} tokens drawn").format(done=done, total=total)
            case SearchPhase.FINISHED | SearchPhase.STOPPED:
                ended = self.tr("Done") if searched.phase is SearchPhase.FINISHED else self.tr("Stopped")
                found = self.tr("{tokens} looked at").format(tokens=token_count(len(searched.found)))
                return f"{ended}: {found}"

    def _count(self, least: int, most: int, value: int, suffix: str, tip: str) -> QSpinBox:
        box = QSpinBox()
        box.setRange(least, most)
        box.setValue(value)
        box.setSuffix(suffix)
        box.setToolTip(tip)
        box.setAccessibleName(tip)
        return box

    @Slot(int)
    def _on_kind_chosen(self, number: int) -> None:
        self._show()

    @Slot()
    def _on_button_clicked(self) -> None:
        if self._searched is not None and self._searched.busy:
            self.stop_clicked.emit()
        else:
            self.search_clicked.emit()

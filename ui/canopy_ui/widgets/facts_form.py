"""Facts from a file that are put before the text, and that the answer is compared with."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from canopy_desktop.paths import resources
from canopy_desktop.settings import MOST_FACTS
from canopy_ui.facts_desk import FactsChoice
from canopy_ui.theme import Theme
from canopy_ui.widgets.segmented import Segmented

ALL, BEST = 0, 1
USUAL = 3  # facts, where the best ones are wanted


class FactsForm(QWidget):
    """Asks for files, and shows what came of them."""

    file_wanted = Signal(str)
    off_wanted = Signal()
    best_wanted = Signal(int)  # facts that fit the text best; 0: all

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choice = FactsChoice()
        self._open = QPushButton(self.tr("File …"))
        self._open.setToolTip(self.tr("A text file with a fact a line"))
        self._example = QPushButton(self.tr("Example"))
        self._example.setToolTip(self.tr("An invented school: no model can know these facts"))
        self._off = QPushButton(self.tr("Off"))
        self._which = Segmented((self.tr("all"), self.tr("the best")), self.tr("Which facts go in"))
        self._which.setToolTip(self.tr("The best share the rarest words with your text (BM25)"))
        self._best = QSpinBox()
        self._best.setRange(1, MOST_FACTS)
        self._best.setAccessibleName(self.tr("Facts that go in"))
        self._told = QLabel()
        self._told.setProperty("look", "secondary")
        self._told.setWordWrap(True)
        self._arrange()
        self._open.clicked.connect(self._on_open_clicked)
        self._example.clicked.connect(self._on_example_clicked)
        self._off.clicked.connect(self.off_wanted)
        self._which.chosen.connect(self._on_which_chosen)
        self._best.valueChanged.connect(self.best_wanted)
        self.set_theme(theme)
        self.set_choice(self._choice)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for widget in (self._open, self._example, self._off, self._which, self._best):
            widget.setFont(theme.font(13))
        self._best.lineEdit().setFont(theme.font(13))
        for row in (self._buttons, self._row):
            row.setSpacing(theme.px(6))
        self._layout.setSpacing(theme.px(4))

    def set_choice(self, choice: FactsChoice) -> None:
        """Show these facts, and say nothing."""
        self._choice = choice
        there = choice.facts is not None
        for widget in (self._off, self._which):
            widget.setEnabled(there)
        self._best.setEnabled(there and choice.best > 0)
        self._which.choose(BEST if choice.best else ALL)
        self._best.blockSignals(True)
        self._best.setValue(choice.best or USUAL)
        self._best.blockSignals(False)
        self.set_told(self._sentence())

    def set_told(self, text: str) -> None:
        """Say this below the buttons."""
        self._told.setText(text)

    def told(self) -> str:
        """What stands below the buttons."""
        return self._told.text()

    def summary(self) -> str:
        """The facts in a few words."""
        facts = self._choice.facts
        if facts is None:
            return self.tr("none")
        count = min(self._choice.best or len(facts.facts), len(facts.facts))
        return self.tr("{count} of {all} from {name}").format(count=count, all=len(facts.facts), name=facts.name)

    def _sentence(self) -> str:
        facts = self._choice.facts
        if facts is None:
            return self.tr("No facts: the model answers from its weights alone.")
        return self.tr(
            "{name}: {count} facts. They stand before your text, and the answer is compared with them."
        ).format(name=facts.name, count=len(facts.facts))

    def _arrange(self) -> None:
        self._buttons, self._row = QHBoxLayout(), QHBoxLayout()
        for button in (self._open, self._example, self._off):
            self._buttons.addWidget(button)
        self._row.addWidget(self._which, 2)
        self._row.addWidget(self._best, 1)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(self._buttons)
        self._layout.addLayout(self._row)
        self._layout.addWidget(self._told)

    @Slot()
    def _on_open_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("A file of facts"))
        if path:
            self.file_wanted.emit(path)

    @Slot()
    def _on_example_clicked(self) -> None:
        self.file_wanted.emit(str(resources() / "facts" / "our-school.txt"))

    @Slot(int)
    def _on_which_chosen(self, which: int) -> None:
        self.best_wanted.emit(self._best.value() if which == BEST else 0)

"""The strip below the transport: the nine stages of a step, and what happens at the one where one stands."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QHBoxLayout, QToolBar, QWidget

from canopy_desktop.exploration.stages import StepStage, StepStages, neighbour
from canopy_ui.actions import Command
from canopy_ui.icons import Sign, icon
from canopy_ui.theme import Theme
from canopy_ui.transport import ActionButton
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.stage_cell import StageCell
from canopy_ui.widgets.strip_words import figure_of, line_of, stage_title

QUIET = "…"
COMPACT_FROM = 1.5  # zoom beyond which the line alone is shown: the names have no room side by side
NO_FIGURES: Mapping[StepStage, str] = MappingProxyType({})


class StageStrip(QToolBar):
    """Says what it is told; a click on a stage asks for it."""

    stage_chosen = Signal(object)  # StepStage

    def __init__(self, actions: Mapping[Command, QAction], theme: Theme) -> None:
        super().__init__()
        self.setObjectName("stages")
        self.setWindowTitle(self.tr("Stages of a step"))
        self.setMovable(False)
        self.setFloatable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._cells = {
            stage: StageCell(stage_title(stage), theme, last=stage is StepStage.CONTINUE) for stage in StepStage
        }
        self._group = QButtonGroup(self)
        for number, cell in enumerate(self._cells.values()):
            self._group.addButton(cell, number)
            cell.neighbour_wanted.connect(self._on_neighbour_wanted)
        self._line = ElidedLabel()
        self._line.setAccessibleName(self.tr("What happens at this stage"))
        self._line.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._model = ElidedLabel()
        self._model.setProperty("look", "secondary")
        self._model.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._back = ActionButton(actions[Command.PREVIOUS_STAGE], wordless=True)
        self._on = ActionButton(actions[Command.NEXT_STAGE])
        self._slow = ActionButton(actions[Command.SLOW_MOTION])
        for button in (self._back, self._on, self._slow):
            button.setProperty("look", "stage")
        self._slow.setCheckable(True)
        actions[Command.SLOW_MOTION].toggled.connect(self._slow.setChecked)
        self._arrange()
        self._group.idClicked.connect(self._on_id_clicked)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for cell in self._cells.values():
            cell.set_theme(theme)
        self._line.setFont(theme.font(14))
        for button, sign in ((self._back, Sign.BACK), (self._on, Sign.STEP)):
            button.setIcon(icon(sign, theme.text))
        for button in (self._back, self._on, self._slow):
            button.setIconSize(QSize(theme.px(16), theme.px(16)))
        self._compact = theme.zoom > COMPACT_FROM
        self._path.setVisible(not self._compact)
        self._place()
        self._grid.setHorizontalSpacing(theme.px(10))
        self._grid.setVerticalSpacing(theme.px(1))
        self._grid.setContentsMargins(theme.px(6), 0, theme.px(6), theme.px(2))
        self._line.setContentsMargins(theme.px(6), 0, 0, 0)
        self._buttons.setSpacing(theme.px(6))

    @Slot(str)
    def set_model(self, name: str) -> None:
        """Name the model where nothing else in the window's bars does."""
        self._model.set_text(name)
        self._place()

    def set_stages(self, stages: StepStages | None, stage: StepStage, invitation: str = "") -> None:
        """Show a step's stages, and that one stands at `stage`; the invitation where there is no step."""
        self._mark(stage if stages else None)
        for each, cell in self._cells.items():
            facts = stages.of(each) if stages else None
            cell.set_figure(figure_of(facts) if facts else "", line_of(facts) if facts else "")
        self._line.set_text(self._line_of(stages, stage) if stages else invitation)

    def set_busy(self, stage: StepStage, figures: Mapping[StepStage, str] = NO_FIGURES, line: str = "") -> None:
        """The model is at work: figures come too fast to be read, but for those that are given."""
        self._mark(stage)
        for each, cell in self._cells.items():
            cell.set_figure(figures.get(each, QUIET), "")
        self._line.set_text(line or QUIET)

    def line(self) -> str:
        """What happens at the stage where one stands."""
        return self._line.whole_text()

    def figures(self) -> list[str]:
        """The figure of each stage."""
        return [cell.figure() for cell in self._cells.values()]

    def _place(self) -> None:
        """The line has the whole width, but for the model's name, which is left out beside the line alone."""
        named = bool(self._model.whole_text()) and not self._compact
        self._grid.addWidget(self._line, int(not self._compact), 0, 1, 1 if self._compact or named else 2)
        self._grid.addWidget(self._model, 1, 1)
        self._model.setVisible(named)

    def _mark(self, stage: StepStage | None) -> None:
        """Mark where one stands; None: no step, so nowhere."""
        self._group.setExclusive(False)
        for each, cell in self._cells.items():
            cell.setChecked(each is stage)
        self._group.setExclusive(True)

    def _line_of(self, stages: StepStages, stage: StepStage) -> str:
        """What happens at a stage, with its name where no path names it."""
        line = line_of(stages.of(stage))
        if not self._compact:
            return line
        return self.tr("{stage} – {line}").format(stage=stage_title(stage), line=line)

    def _arrange(self) -> None:
        inner = QWidget()
        self._path = QWidget()
        cells = QHBoxLayout(self._path)
        cells.setContentsMargins(0, 0, 0, 0)
        cells.setSpacing(0)
        for cell in self._cells.values():
            cells.addWidget(cell, 1)
        self._buttons = QHBoxLayout()
        for button in (self._back, self._on, self._slow):
            self._buttons.addWidget(button)
        self._grid = QGridLayout(inner)
        self._grid.addWidget(self._path, 0, 0)
        self._grid.addLayout(self._buttons, 0, 1)
        self._grid.setColumnStretch(0, 1)
        self.addWidget(inner)

    @Slot(int)
    def _on_neighbour_wanted(self, steps: int) -> None:
        stage = next((stage for stage, cell in self._cells.items() if cell.hasFocus()), StepStage.TOKENISE)
        following = neighbour(stage, steps)
        if following is not None:
            self._cells[following].setFocus()
            self._cells[following].click()

    @Slot(int)
    def _on_id_clicked(self, number: int) -> None:
        self.stage_chosen.emit(tuple(StepStage)[number])

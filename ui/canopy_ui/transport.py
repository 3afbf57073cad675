"""The tool bar: which model runs, how it is driven, and the workspaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QComboBox, QLabel, QMenu, QPushButton, QToolBar

from canopy_desktop.settings import SPEEDS_MS
from canopy_ui.actions import Command
from canopy_ui.icons import Sign, icon
from canopy_ui.shrinking_row import ShrinkingRow
from canopy_ui.state import RunState
from canopy_ui.theme import Theme
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.model_words import model_name
from canopy_ui.workspace_tabs import WorkspaceButton, WorkspaceTabs

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

LEAST_STATUS = 160  # pixels at 100 %, of the words for where the run stands
_SIGNS = {Command.RESET: Sign.RESET, Command.BACK: Sign.BACK, Command.STEP: Sign.STEP, Command.STOP: Sign.STOP}


class ActionButton(QPushButton):
    """A button that follows an action: its text, tip and whether it can be pressed."""

    def __init__(self, action: QAction, *, wordless: bool = False) -> None:
        super().__init__()
        self._action = action
        self._wordless = wordless
        self.clicked.connect(action.trigger)
        action.changed.connect(self._on_action_changed)
        self._on_action_changed()

    @Slot()
    def _on_action_changed(self) -> None:
        self.setText("" if self._wordless else self._action.text())
        self.setAccessibleName(self._action.text())
        self.setToolTip(self._action.toolTip())
        self.setEnabled(self._action.isEnabled())


class Transport(QToolBar):
    """Says what it is told; the actions do the work."""

    speed_changed = Signal(int)  # least milliseconds from one token to the next
    model_left_out = Signal(str)  # its name has no room here; empty: it has

    def __init__(
        self,
        actions: Mapping[Command, QAction],
        workspaces: QActionGroup,
        file_menu: QMenu,
        view_menu: QMenu,
        theme: Theme,
    ) -> None:
        super().__init__()
        self.setObjectName("transport")
        self.setWindowTitle(self.tr("Transport"))
        self.setMovable(False)
        self.setFloatable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._run_action = actions[Command.RUN]
        self._brand = self._label("brand", "Canopy")
        self._model = self._label("chip", self.tr("No model yet"))
        self._provider = self._label("chip", "")
        self._buttons = {
            command: ActionButton(actions[command], wordless=command in (Command.RESET, Command.BACK, Command.STOP))
            for command in (Command.RESET, Command.BACK, Command.STEP, Command.RUN, Command.STOP)
        }
        self._buttons[Command.RUN].setProperty("look", "primary")
        self._speed = self._speed_box()
        self._status = ElidedLabel()
        self._status.setProperty("look", "secondary")
        self._status.setAccessibleName(self.tr("Where the run stands"))
        self._file = QPushButton(self.tr("File"))
        self._file.setShortcut("Alt+F")
        self._file.setToolTip(self.tr("Explorations and models (Alt+F)"))
        self._file.setMenu(file_menu)
        self._view = QPushButton(self.tr("View"))
        self._view.setShortcut("Alt+V")
        self._view.setToolTip(self.tr("Panels, colours, size of text and help (Alt+V)"))
        self._view.setMenu(view_menu)
        tabs, button = WorkspaceTabs(workspaces), WorkspaceButton(workspaces)
        reset = self._buttons[Command.RESET]
        self._row = ShrinkingRow(
            (self._brand, self._model, self._provider, *self._buttons.values(), self._speed, self._status),
            (tabs, button, self._file, self._view),
            expendable=(self._brand, self._status, self._model, self._provider, self._speed, tabs, reset, button),
            substitutes={tabs: button},
        )
        self._left_out = ""
        self._row.fitted.connect(self._on_row_fitted)
        self._row.set_wanted(self._provider, False)
        self.addWidget(self._row)
        self._busy = False
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        for command, button in self._buttons.items():
            button.setIconSize(QSize(theme.px(16), theme.px(16)))
            if command in _SIGNS:
                button.setIcon(icon(_SIGNS[command], theme.text))
        self._speed.setFont(theme.font(14))
        self._speed.setMinimumHeight(theme.px(30))
        self._status.setMinimumWidth(theme.px(LEAST_STATUS))
        self._show_run_sign()
        self._row.set_gaps(theme.px(6), theme.px(6))

    def set_model(self, session: ModelSession) -> None:
        """Name the model and the provider that really runs it."""
        card = session.card
        self._model.setText(model_name(card))
        self._model.setToolTip(
            self.tr("{layers} layers of {heads} heads, {vocabulary:,} tokens, a context of {context:,}").format(
                layers=card.architecture.layers,
                heads=card.architecture.heads,
                vocabulary=card.architecture.vocabulary,
                context=card.architecture.context,
            )
        )
        self._provider.setText(session.provider.name.upper())
        self._provider.setToolTip(f"{self._model.text()}\n{session.provider.reason}")  # the model may have no room
        self._provider.setAccessibleDescription(session.provider.reason)
        self._row.set_wanted(self._provider, True)

    def set_state(self, state: RunState, words: str) -> None:
        """Run turns into Pause while the model is at work."""
        self._status.set_text(words)
        if state.busy != self._busy:
            self._busy = state.busy
            self._show_run_sign()

    def set_speed(self, interval_ms: int) -> None:
        """Show the speed that holds."""
        self._speed.setCurrentIndex(max(0, self._speed.findData(interval_ms)))

    def status(self) -> str:
        """Where the run stands, in words."""
        return self._status.whole_text()

    def _show_run_sign(self) -> None:
        self._run_action.setText(self.tr("Pause") if self._busy else self.tr("Run"))
        sign = Sign.PAUSE if self._busy else Sign.RUN
        self._buttons[Command.RUN].setIcon(icon(sign, self._theme.on_accent))
        self._buttons[Command.RUN].setMinimumWidth(self._theme.px(92))

    def _speed_box(self) -> QComboBox:
        box = QComboBox()
        names = {
            0: self.tr("Full speed"),
            100: self.tr("10 tokens/s"),
            250: self.tr("4 tokens/s"),
            1000: self.tr("1 token/s"),
        }
        for interval_ms in SPEEDS_MS:
            box.addItem(names[interval_ms], interval_ms)
        box.setAccessibleName(self.tr("Speed"))
        box.setToolTip(self.tr("At most so many tokens a second"))
        box.currentIndexChanged.connect(self._on_speed_changed)
        return box

    @Slot()
    def _on_row_fitted(self) -> None:
        known = not self._provider.text() or not self._model.isHidden()
        left_out = "" if known else self._model.text()
        if left_out != self._left_out:
            self._left_out = left_out
            self.model_left_out.emit(left_out)

    @Slot(int)
    def _on_speed_changed(self, index: int) -> None:
        self.speed_changed.emit(self._speed.itemData(index))

    @staticmethod
    def _label(look: str, text: str) -> QLabel:
        label = QLabel(text)
        label.setProperty("look", look)
        return label

"""The menu with which panels come back, and the look changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QDockWidget, QMenu, QWidget

from canopy_desktop.settings import THEME_CHOICES
from canopy_ui.actions import Command

ZOOM_STEPS = (80, 90, 100, 110, 125, 150, 175, 200, 225, 250)  # percent


class ViewMenu(QMenu):
    """The workspaces, every dock with a tick, the theme, the size of text, and help."""

    theme_chosen = Signal(str)

    def __init__(
        self,
        docks: Iterable[QDockWidget],
        workspaces: QActionGroup,
        actions: Mapping[Command, QAction],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.addMenu(self._menu(self.tr("Workspace"), workspaces.actions()))
        self.addMenu(self._menu(self.tr("Panels"), [dock.toggleViewAction() for dock in docks]))
        for command in (Command.RESET_WORKSPACE, Command.RESET_WORKSPACES):
            self.addAction(actions[command])
        self.addSeparator()
        self._themes = QActionGroup(self)
        for name, text in zip(THEME_CHOICES, self._theme_texts(), strict=True):
            choice = self._themes.addAction(text)
            choice.setCheckable(True)
            choice.setData(name)
            choice.setWhatsThis(self.tr("Change the colours of the whole window"))
            self.addAction(choice)
        self._themes.triggered.connect(self._on_theme_triggered)
        self.still = self.addAction(self.tr("Nothing moves"))
        self.still.setCheckable(True)
        self.still.setWhatsThis(self.tr("Panels jump to their places, as they do where the system asks for it"))
        self.addSeparator()
        for command in (Command.ZOOM_IN, Command.ZOOM_OUT, Command.ZOOM_RESET):
            self.addAction(actions[command])
        self.addSeparator()
        for command in (Command.UNDO, Command.REDO):
            self.addAction(actions[command])
        self.addSeparator()
        for command in (Command.PALETTE, Command.SHORTCUTS, Command.QUIT):
            self.addAction(actions[command])

    def themes(self) -> tuple[QAction, ...]:
        """The themes to choose from."""
        return tuple(self._themes.actions())

    def show_theme(self, name: str) -> None:
        """Tick the theme that holds."""
        for choice in self._themes.actions():
            choice.setChecked(choice.data() == name)

    def _menu(self, title: str, actions: Sequence[QAction]) -> QMenu:
        menu = QMenu(title, self)
        menu.addActions(actions)
        return menu

    def _theme_texts(self) -> tuple[str, ...]:
        return self.tr("Colours of the system"), self.tr("Light theme"), self.tr("Dark theme"), self.tr("High contrast")

    @Slot(QAction)
    def _on_theme_triggered(self, choice: QAction) -> None:
        self.theme_chosen.emit(choice.data())


def zoomed(percent: int, steps: int) -> int:
    """The next size of text in either direction."""
    nearest = min(range(len(ZOOM_STEPS)), key=lambda index: abs(ZOOM_STEPS[index] - percent))
    return ZOOM_STEPS[min(max(nearest + steps, 0), len(ZOOM_STEPS) - 1)]

"""The workspaces in the tool bar: as tabs, and as a menu where there is no room for tabs."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QMenu, QPushButton, QTabBar


class WorkspaceTabs(QTabBar):
    """One tab for each action of a group; the checked one is open."""

    def __init__(self, actions: QActionGroup) -> None:
        super().__init__()
        self._actions = actions.actions()
        self.setObjectName("workspaces")
        self.setAccessibleName(self.tr("Workspaces"))
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(False)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for index, action in enumerate(self._actions):
            self.addTab(action.text())
            self.setTabToolTip(index, action.toolTip())
            action.toggled.connect(self._on_action_toggled)
        self.currentChanged.connect(self._on_current_changed)

    @Slot()
    def _on_action_toggled(self) -> None:
        for index, action in enumerate(self._actions):
            if action.isChecked():
                self.setCurrentIndex(index)

    @Slot(int)
    def _on_current_changed(self, index: int) -> None:
        action = self._actions[index]
        if not action.isChecked():
            action.trigger()


class WorkspaceButton(QPushButton):
    """Names the open workspace; its menu has all."""

    def __init__(self, actions: QActionGroup) -> None:
        super().__init__()
        self._actions = actions.actions()
        menu = QMenu(self)
        menu.addActions(self._actions)
        self.setMenu(menu)
        for action in self._actions:
            action.toggled.connect(self._on_action_toggled)
        self._on_action_toggled()

    @Slot()
    def _on_action_toggled(self) -> None:
        name = next((action.text() for action in self._actions if action.isChecked()), "")
        self.setText(f"{name} ▾")
        self.setAccessibleName(self.tr("Workspace: {name}").format(name=name))
        self.setToolTip(self.accessibleName())

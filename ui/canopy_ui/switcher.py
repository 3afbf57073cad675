"""Going from one workspace to another, each as the person left it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from PySide6.QtCore import QCoreApplication, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from canopy_ui import layout
from canopy_ui.dock import Dock
from canopy_ui.docks import DOCKS
from canopy_ui.panel_focus import first_control, focused
from canopy_ui.workspaces import WORKSPACES, Remembered, Workspace, packed, unpacked, workspace_named

SETTLE_MS = 100  # layouts follow fonts, and docks follow layouts, each in a turn of the event loop


class Switcher(QObject):
    """Keeps one layout of the docks for each workspace; its actions say which one is open."""

    def __init__(self, window: QMainWindow, docks: Mapping[str, Dock]) -> None:
        super().__init__(window)
        self._window = window
        self._docks = docks
        self._areas = {spec.key: spec.area for spec in DOCKS}
        self._layouts: dict[str, bytes] = {}
        self._workspace = WORKSPACES[0]
        self.actions = QActionGroup(self)
        for number, workspace in zip(count(1), WORKSPACES, strict=False):
            self._add_action(workspace, f"Ctrl+{number}")
        self.actions.triggered.connect(self._on_action_triggered)
        for dock in docks.values():
            dock.toggleViewAction().triggered.connect(self.settle_later)

    @property
    def workspace(self) -> Workspace:
        """The one that is open."""
        return self._workspace

    def show(self, name: str) -> None:
        """Open a workspace, as it was left."""
        if name != self._workspace.name:
            self._layouts[self._workspace.name] = layout.remembered_docks(self._window)
            self._open(workspace_named(name))

    @Slot()
    def reset(self) -> None:
        """Put the docks of the open workspace back in their places."""
        self._layouts.pop(self._workspace.name, None)
        self._open(self._workspace)

    @Slot()
    def reset_all(self) -> None:
        """Forget what was made of any workspace."""
        self._layouts.clear()
        self._open(self._workspace)

    def restore(self, data: bytes) -> None:
        """Open the workspace that was open, with what was made of each."""
        remembered = unpacked(data)
        self._layouts = dict(remembered.layouts)
        self._open(workspace_named(remembered.workspace))

    def remembered(self) -> bytes:
        """What `restore` takes."""
        self._layouts[self._workspace.name] = layout.remembered_docks(self._window)
        return packed(Remembered(workspace=self._workspace.name, layouts=self._layouts))

    @Slot()
    def settle_later(self) -> None:
        """Let docks below the others be as low as they can, as soon as all panels have taken their room."""
        QTimer.singleShot(SETTLE_MS, self._on_settled)

    def _open(self, workspace: Workspace) -> None:
        self._workspace = workspace
        kept = self._layouts.get(workspace.name)
        left = QApplication.focusWidget() if focused(list(self._docks.values())) is not None else None
        self._window.setUpdatesEnabled(False)
        try:
            layout.arrange(self._window, self._docks, self._areas, workspace)
            if kept is not None and not layout.restore_docks(self._window, kept):
                layout.arrange(self._window, self._docks, self._areas, workspace)
        finally:
            self._window.setUpdatesEnabled(True)
        if left is not None:
            self._take_keyboard_from(left)
        for action in self.actions.actions():
            action.setChecked(action.data() == workspace.name)
        if self._window.isVisible():
            self.settle_later()

    def _take_keyboard_from(self, left: QWidget) -> None:
        """The keyboard stays in a panel that is still shown, else goes to the first one, and never to a tool button."""
        shown = [self._docks[key] for key in self._workspace.docks if self._docks[key].isVisible()]
        control = left if left.isVisible() else next(filter(None, (first_control(dock.panel) for dock in shown)), None)
        if control is not None:
            control.setFocus(Qt.FocusReason.OtherFocusReason)

    def _add_action(self, workspace: Workspace, keys: str) -> None:
        action = QAction(QCoreApplication.translate("Workspaces", workspace.title), self)
        action.setData(workspace.name)
        action.setCheckable(True)
        action.setShortcut(QKeySequence(keys))
        shown = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        tip = QCoreApplication.translate("Workspaces", workspace.tip)
        action.setToolTip(f"{tip} ({shown})")
        action.setWhatsThis(f"{action.text()}: {tip}")
        self.actions.addAction(action)
        self._window.addAction(action)

    @Slot(QAction)
    def _on_action_triggered(self, action: QAction) -> None:
        self.show(action.data())

    @Slot()
    def _on_settled(self) -> None:
        layout.lower(self._window, self._docks.values())

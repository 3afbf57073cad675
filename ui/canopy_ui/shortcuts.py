"""The list of keyboard shortcuts."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QWidget

from canopy_ui.actions import SPECS, translated


class ShortcutsDialog(QDialog):
    """A window beside the main one; nothing waits for it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        self.setModal(False)
        layout = QGridLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setHorizontalSpacing(32)
        for row, spec in enumerate(spec for spec in SPECS if spec.keys):
            shown = [QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in spec.keys]
            keys = QLabel(self.tr(" or ").join(shown))
            keys.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            layout.addWidget(QLabel(translated(spec.tip)), row, 0)
            layout.addWidget(keys, row, 1)

"""Spin boxes that choose one of several things, counted from 0: a layer, a block, a head."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QSignalBlocker
from PySide6.QtWidgets import QSpinBox


def set_count(spin: QSpinBox, count: int) -> None:
    """Say how many there are."""
    last = max(0, count - 1)
    spin.setRange(0, last)
    spin.setToolTip(QCoreApplication.translate("CountedFromZero", "0 to {last}").format(last=last))


def show_choice(spin: QSpinBox, value: int) -> None:
    """Show a choice without asking for it; before the count is known, what was remembered holds."""
    with QSignalBlocker(spin):
        if value > spin.maximum():  # Qt lays the panel out anew for each maximum that is set, though it be the same
            spin.setMaximum(value)
        spin.setValue(value)

"""Whose attention is shown, how it is scaled, and what is left out of it: one button with a menu."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from canopy_desktop.exploration.attention_view import Looking
from canopy_ui.theme import Theme


class LookMenu(QToolButton):
    """Says nothing of its own: what is chosen stands in the panel's title and legend."""

    looking_chosen = Signal(object)  # Looking
    hide_first_toggled = Signal(bool)
    scaled_by_row_toggled = Signal(bool)
    heads_as_table_toggled = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("⋯")
        self.setProperty("look", "small")
        self.setAccessibleName(self.tr("What is looked at, and its scale"))
        self.setToolTip(self.tr("One head, the mean of a layer, or rollout; the first token; the scale"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self._looking = QActionGroup(self)
        for looking, name, tip in (
            (Looking.HEAD, self.tr("One head"), self.tr("Where the chosen head of the chosen layer looks")),
            (Looking.MEAN, self.tr("Mean of the layer's heads"), self.tr("The mean of all heads of the chosen layer")),
            (Looking.ROLLOUT, self.tr("Rollout through all layers"), rollout_note(self)),
        ):
            action = self._looking.addAction(name)
            action.setCheckable(True)
            action.setData(looking)
            action.setToolTip(tip)
            menu.addAction(action)
        self._looking.actions()[0].setChecked(True)
        self._looking.triggered.connect(self._on_looking_triggered)
        menu.addSeparator()
        self.hide_first = menu.addAction(self.tr("Hide the first token"))
        self.hide_first.setCheckable(True)
        self.hide_first.setToolTip(
            self.tr("Heads often rest on the first token, the sink. Hidden, the rest is rescaled to add up to 100 %.")
        )
        self.hide_first.toggled.connect(self.hide_first_toggled)
        self.by_row = menu.addAction(self.tr("Scale each row by its largest value"))
        self.by_row.setCheckable(True)
        self.by_row.setToolTip(self.tr("Weak links can be seen too; colours of different rows cannot be compared then"))
        self.by_row.toggled.connect(self.scaled_by_row_toggled)
        as_table = menu.addAction(self.tr("All heads as a table"))
        as_table.setCheckable(True)
        as_table.toggled.connect(self.heads_as_table_toggled)
        self.setMenu(menu)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self.setFont(theme.font(15))
        menu = self.menu()
        if menu is not None:
            menu.setFont(theme.font(14))

    def add_menu(self, menu: QMenu) -> None:
        """Offer something more, at the end."""
        own = self.menu()
        if own is not None:
            own.addSeparator()
            own.addMenu(menu)

    def looking(self) -> Looking:
        """Whose attention is chosen."""
        return Looking(self._looking.checkedAction().data())

    def choose(self, looking: Looking, hide_first: bool) -> None:
        """Show a choice without saying so."""
        for action in self._looking.actions():
            action.setChecked(action.data() is looking)
        self.hide_first.blockSignals(True)
        self.hide_first.setChecked(hide_first)
        self.hide_first.blockSignals(False)

    def _on_looking_triggered(self, action: QAction) -> None:
        self.looking_chosen.emit(action.data())


def rollout_note(widget: QWidget) -> str:
    """What rollout is, and is not."""
    return widget.tr(
        "Rollout multiplies the mean attention of all layers, half of each token passing by: an estimate of where "
        "information may come from, not a measurement."
    )

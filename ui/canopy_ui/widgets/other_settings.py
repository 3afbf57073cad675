"""The settings of B, and ways to take many at once."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.presets import PRESETS, Preset
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError
from canopy_ui.theme import Theme
from canopy_ui.widgets.panel import Shrinkable
from canopy_ui.widgets.sampling_fields import SamplingFields
from canopy_ui.widgets.seed_form import SeedForm


class OtherSettings(Shrinkable):
    """Shows settings, and says which one a person moved, or what all of them are to be."""

    edited = Signal(str, object)  # field, value
    taken = Signal(object)  # DecodingSettings
    refused = Signal(object)  # SettingsError

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._settings = DecodingSettings()
        self._fields, self._seed = SamplingFields(theme), SeedForm(theme, lasting=False)
        self._fields.edited.connect(self.edited)
        self._seed.seed_changed.connect(self._on_seed_changed)
        self._presets = QPushButton(self.tr("Presets ▾"))
        self._presets.setAccessibleName(self.tr("Presets for B"))
        menu = QMenu(self._presets)
        for preset in PRESETS:
            action = QAction(self.tr(preset.name), menu)
            action.setData(preset)
            menu.addAction(action)
        menu.triggered.connect(self._on_preset_triggered)
        self._presets.setMenu(menu)
        self._copy = QPushButton(self.tr("Copy"))
        self._copy.setToolTip(self.tr("Copies all settings of B as JSON"))
        self._copy.clicked.connect(self._on_copy_clicked)
        self._apply = QPushButton(self.tr("Apply"))
        self._apply.setToolTip(self.tr("Takes settings of B from JSON that was copied"))
        self._apply.clicked.connect(self._on_apply_clicked)
        buttons = QHBoxLayout()
        for button in (self._presets, self._copy, self._apply):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self._fields)
        layout.addWidget(self._seed)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for widget in (self._fields, self._seed):
            widget.set_theme(theme)
        for button in (self._presets, self._copy, self._apply):
            button.setFont(theme.font(13))

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these, and say nothing."""
        self._settings = settings
        self._fields.set_settings(settings)
        self._seed.set_seed(settings.seed)

    @Slot(object)
    def _on_seed_changed(self, seed: int) -> None:
        self.edited.emit("seed", seed)

    @Slot(QAction)
    def _on_preset_triggered(self, action: QAction) -> None:
        preset: Preset = action.data()
        try:
            self.taken.emit(preset.over(self._settings))
        except SettingsError as error:
            self.refused.emit(error)

    @Slot()
    def _on_copy_clicked(self) -> None:
        QGuiApplication.clipboard().setText(settings_json.dumps(self._settings))

    @Slot()
    def _on_apply_clicked(self) -> None:
        try:
            settings = settings_json.loads(QGuiApplication.clipboard().text())
        except SettingsError as error:
            self.refused.emit(error)
        else:
            self.taken.emit(settings)

"""How the next token is chosen: greedy, or by sampling with its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QRegularExpression, Signal, Slot
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from canopy_desktop.decoding.settings import MAX_SEED, DecodingSettings
from canopy_desktop.errors import SettingsError
from canopy_ui.messages import Wording
from canopy_ui.theme import Theme
from canopy_ui.widgets.numbers import token_count
from canopy_ui.widgets.segmented import Segmented

_LARGEST = 1_000_000
_FIRST_TEMPERATURE = 0.8


class DecodingForm(QWidget):
    """Always holds valid settings."""

    settings_changed = Signal(object)  # DecodingSettings

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = DecodingSettings()
        self._words = Wording(self)
        self._temperature_before = _FIRST_TEMPERATURE
        self._way = Segmented((self.tr("Greedy"), self.tr("Sampling")), self.tr("How the token is chosen"))
        self._temperature = self._number(0.01, 100.0, 0.1)
        self._temperature.setToolTip(self.tr("Below 1 the likely tokens gain, above 1 the unlikely ones"))
        self._top_p = self._number(0.01, 1.0, 0.05)
        self._top_p.setToolTip(
            self.tr("Keeps the likeliest tokens that together have this probability; 1 cuts nothing")
        )
        self._top_k = self._count(0)
        self._top_k.setSpecialValueText(self.tr("off"))
        self._top_k.setToolTip(self.tr("Keeps so many of the likeliest tokens"))
        self._seed = QLineEdit()
        self._seed.setValidator(QRegularExpressionValidator(QRegularExpression(r"\d{0,19}"), self))
        self._seed.setToolTip(self.tr("The same seed draws the same tokens again"))
        self._max_tokens = self._count(1)
        self._max_tokens.setToolTip(self.tr("Generation stops after so many tokens"))
        self._grid = QGridLayout()
        self._sampling: list[QWidget] = []
        self._place(self.tr("at most, tokens"), self._max_tokens, 0, 0, sampling=False)
        self._place(self.tr("temperature"), self._temperature, 0, 1, sampling=True)
        self._place(self.tr("top-k"), self._top_k, 2, 0, sampling=True)
        self._place(self.tr("top-p"), self._top_p, 2, 1, sampling=True)
        self._place(self.tr("seed"), self._seed, 4, 0, sampling=True)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._way)
        self._layout.addLayout(self._grid)
        self._complaint = QLabel()
        self._complaint.setProperty("look", "warning")
        self._complaint.setWordWrap(True)
        self._complaint.hide()
        self._layout.addWidget(self._complaint)
        self._show()
        self._way.chosen.connect(self._on_way_chosen)
        self._temperature.valueChanged.connect(self._on_temperature_edited)
        self._top_p.valueChanged.connect(self._on_top_p_edited)
        self._top_k.valueChanged.connect(self._on_top_k_edited)
        self._max_tokens.valueChanged.connect(self._on_max_tokens_edited)
        self._seed.textEdited.connect(self._on_seed_edited)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for control in (self._temperature, self._top_p, self._top_k, self._max_tokens, self._seed):
            control.setFont(theme.font(14))
            field = control if isinstance(control, QLineEdit) else control.lineEdit()
            field.setFont(theme.font(14))  # a spin box's follows one change late
            field.setTextMargins(theme.px(4), 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.px(10))
        self._grid.setVerticalSpacing(theme.px(1))
        self._layout.setSpacing(theme.px(6))

    def settings(self) -> DecodingSettings:
        """What is shown."""
        return self._settings

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these settings, and say nothing."""
        if settings != self._settings:
            self._settings = settings
            self._complaint.hide()
            self._show()

    def summary(self) -> str:
        """The settings in one line."""
        settings = self._settings
        if settings.greedy:
            return self.tr("greedy, at most {tokens}").format(tokens=token_count(settings.max_tokens))
        return self.tr("sampling at {temperature:g}, at most {tokens}").format(
            temperature=round(settings.temperature, 2), tokens=token_count(settings.max_tokens)
        )

    def _place(self, name: str, control: QWidget, row: int, column: int, *, sampling: bool) -> None:
        label = QLabel(name)
        label.setProperty("look", "secondary")
        label.setBuddy(control)
        control.setAccessibleName(name)
        control.setMinimumWidth(40)
        self._grid.addWidget(label, row, column)
        self._grid.addWidget(control, row + 1, column)
        self._grid.setColumnStretch(column, 1)
        if sampling:
            self._sampling += [label, control]

    def _number(self, least: float, most: float, step: float) -> QDoubleSpinBox:
        spin = QDoubleSpinBox()
        spin.setRange(least, most)
        spin.setSingleStep(step)
        spin.setDecimals(2)
        return spin

    def _count(self, least: int) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(least, _LARGEST)
        return spin

    def _show(self) -> None:
        settings = self._settings
        controls = (self._temperature, self._top_p, self._top_k, self._max_tokens, self._seed)
        for control in controls:
            control.blockSignals(True)
        self._way.choose(0 if settings.greedy else 1)
        self._temperature.setValue(self._temperature_before if settings.greedy else settings.temperature)
        self._top_k.setValue(settings.top_k)
        self._top_p.setValue(settings.top_p)
        self._max_tokens.setValue(settings.max_tokens)
        if self._seed_value() != settings.seed:
            self._seed.setText(str(settings.seed))
        for control in controls:
            control.blockSignals(False)
        for widget in self._sampling:
            widget.setVisible(not settings.greedy)

    def _seed_value(self) -> int:
        return min(int(self._seed.text() or 0), MAX_SEED)

    @Slot(int)
    def _on_way_chosen(self, way: int) -> None:
        if not self._settings.greedy:
            self._temperature_before = self._settings.temperature
        self._edit(temperature=self._temperature_before if way == 1 else 0.0)
        self._show()

    @Slot(float)
    def _on_temperature_edited(self, temperature: float) -> None:
        self._edit(temperature=round(temperature, 2))

    @Slot(float)
    def _on_top_p_edited(self, top_p: float) -> None:
        self._edit(top_p=round(top_p, 2))

    @Slot(int)
    def _on_top_k_edited(self, top_k: int) -> None:
        self._edit(top_k=top_k)

    @Slot(int)
    def _on_max_tokens_edited(self, max_tokens: int) -> None:
        self._edit(max_tokens=max_tokens)

    @Slot(str)
    def _on_seed_edited(self, text: str) -> None:
        self._edit(seed=self._seed_value())

    def _edit(self, **changes: Any) -> None:
        """Other settings, where they hold together with those that are not shown here."""
        try:
            settings = replace(self._settings, **changes)
        except SettingsError as error:
            self._complaint.setText(self._words.of_error(error).text)
            self._complaint.show()
            return
        self._complaint.hide()
        if settings != self._settings:
            self._settings = settings
            self.settings_changed.emit(settings)

"""A number that is moved by a slider and typed in a field."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QLabel, QSlider

from canopy_ui.theme import Theme

TICKS = 200  # places of a slider


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One setting: its key, its name, what it does, and its ranges."""

    key: str
    name: str
    tip: str
    range: tuple[float, float]  # of the field
    slide: tuple[float, float]  # of the slider, which stands at an end beyond it
    step: float
    decimals: int
    special: str = ""  # what the field's least value is called
    logarithmic: bool = False  # the slider's upper part


class SliderField(QObject):
    """Label, slider and field in step, to be laid out by whoever has several. Says only what a person did."""

    value_changed = Signal(str, float)  # key, value

    def __init__(self, spec: FieldSpec, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._spec = spec
        self.label = QLabel(spec.name)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, TICKS)
        self.slider.setPageStep(TICKS // 10)
        self.field = QDoubleSpinBox()
        self.field.setDecimals(spec.decimals)
        self.field.setRange(*spec.range)
        self.field.setSingleStep(spec.step)
        self.field.setSpecialValueText(spec.special)
        self.label.setBuddy(self.field)
        for control, name in ((self.slider, self.tr("{name}, slider").format(name=spec.name)), (self.field, spec.name)):
            control.setAccessibleName(name)
        for widget in (self.label, self.slider, self.field):
            widget.setToolTip(spec.tip)
        self.slider.valueChanged.connect(self._on_slid)
        self.field.valueChanged.connect(self._on_typed)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self.label.setFont(theme.font(13))
        for control in (self.field, self.field.lineEdit()):  # a spin box's field follows late
            control.setFont(theme.font(13))
        self.field.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self.field.setFixedWidth(theme.px(76))
        self.slider.setMinimumWidth(theme.px(40))

    def set_value(self, value: float) -> None:
        """Show a value, and say nothing."""
        self._show(self.field, value)
        self._slide_to(value)

    def set_enabled(self, enabled: bool) -> None:
        """Whether it plays a part."""
        for widget in (self.label, self.slider, self.field):
            widget.setEnabled(enabled)

    @Slot(int)
    def _on_slid(self, tick: int) -> None:
        value = self._value_at(tick)
        self._show(self.field, value)
        self.value_changed.emit(self._spec.key, value)

    @Slot(float)
    def _on_typed(self, value: float) -> None:
        self._slide_to(value)
        self.value_changed.emit(self._spec.key, round(value, self._spec.decimals))

    def _slide_to(self, value: float) -> None:
        """Several places of the slider may stand for one value: it stays on its own."""
        if self._value_at(self.slider.value()) != round(value, self._spec.decimals):
            self._show(self.slider, self._tick_of(value))

    def _show(self, control: QSlider | QDoubleSpinBox, value: float) -> None:
        control.blockSignals(True)
        if isinstance(control, QSlider):
            control.setValue(round(value))
        elif round(value, self._spec.decimals) != control.value():  # else what is being typed would be written anew
            control.setValue(value)
        control.blockSignals(False)

    def _value_at(self, tick: int) -> float:
        low, high = self._spec.slide
        share = tick / TICKS
        value = low + share * (high - low)
        if self._spec.logarithmic:
            value = low if tick == 0 else (low + 1) * ((high / (low + 1)) ** ((tick - 1) / (TICKS - 1)))
        return round(max(value, self._spec.range[0]), self._spec.decimals)

    def _tick_of(self, value: float) -> float:
        low, high = self._spec.slide
        value = min(max(value, low), high)
        if not self._spec.logarithmic:
            return TICKS * (value - low) / (high - low)
        return 0 if value <= low else 1 + (TICKS - 1) * math.log(value / (low + 1)) / math.log(high / (low + 1))

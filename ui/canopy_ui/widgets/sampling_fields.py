"""The settings that are numbers, each with a slider."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QGridLayout, QWidget

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_ui.theme import Theme
from canopy_ui.widgets.slider_field import FieldSpec, SliderField

_SAMPLING = ("top_k", "top_p", "min_p", "typical_p")  # play no part in a greedy choice


class SamplingFields(QWidget):
    """Temperature, cuts and penalties. Says which one a person moved."""

    edited = Signal(str, object)  # key, value

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields = {spec.key: SliderField(spec, self) for spec in self._specs()}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        for row, field in enumerate(self._fields.values()):
            for column, widget in enumerate((field.label, field.slider, field.field)):
                self._grid.addWidget(widget, row, column)
            field.value_changed.connect(self._on_value_changed)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for field in self._fields.values():
            field.set_theme(theme)
        self._grid.setHorizontalSpacing(theme.px(8))
        self._grid.setVerticalSpacing(theme.px(3))

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these, and say nothing."""
        for key, field in self._fields.items():
            field.set_value(getattr(settings, key))
            field.set_enabled(not settings.greedy or key not in _SAMPLING)

    @Slot(str, float)
    def _on_value_changed(self, key: str, value: float) -> None:
        self.edited.emit(key, round(value) if key == "top_k" else value)

    def _specs(self) -> tuple[FieldSpec, ...]:
        off = self.tr("off")
        return (
            FieldSpec(
                "temperature",
                self.tr("Temperature"),
                self.tr("Below 1 the likely tokens gain, above 1 the unlikely ones; 0 always takes the likeliest"),
                (0.0, 100.0), (0.0, 2.0), 0.1, 2, self.tr("greedy"),
            ),
            FieldSpec(
                "top_k",
                self.tr("Top-k"),
                self.tr("Keeps so many of the likeliest tokens"),
                (0, 1_000_000), (0, 1000), 1, 0, off, logarithmic=True,
            ),
            FieldSpec(
                "top_p",
                self.tr("Top-p"),
                self.tr("Keeps the likeliest tokens that together have this probability; 1 cuts nothing"),
                (0.01, 1.0), (0.0, 1.0), 0.05, 2,
            ),
            FieldSpec(
                "min_p",
                self.tr("Min-p"),
                self.tr("Keeps the tokens that have at least this share of the likeliest one's probability"),
                (0.0, 1.0), (0.0, 0.5), 0.01, 2, off,
            ),
            FieldSpec(
                "typical_p",
                self.tr("Typical-p"),
                self.tr("Keeps the tokens whose surprisal is nearest the entropy; 1 cuts nothing"),
                (0.01, 1.0), (0.0, 1.0), 0.05, 2,
            ),
            FieldSpec(
                "repetition_penalty",
                self.tr("Repetition"),
                self.tr("Divides the logits of all tokens of the text, the prompt's included; 1 changes nothing"),
                (0.01, 100.0), (0.5, 2.0), 0.05, 2,
            ),
            FieldSpec(
                "presence_penalty",
                self.tr("Presence"),
                self.tr("Is subtracted from the logits of tokens that were generated before"),
                (-1000.0, 1000.0), (-2.0, 2.0), 0.1, 2,
            ),
            FieldSpec(
                "frequency_penalty",
                self.tr("Frequency"),
                self.tr("Is subtracted once for every time that a token was generated before"),
                (-1000.0, 1000.0), (-2.0, 2.0), 0.1, 2,
            ),
        )  # fmt: skip

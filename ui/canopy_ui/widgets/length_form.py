"""How long a text may be, and what ends it."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QPlainTextEdit, QSpinBox, QWidget

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_ui.theme import Theme

_LARGEST = 1_000_000
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"))


class LengthForm(QWidget):
    """Minimum, maximum and stop texts. Says which one a person edited."""

    edited = Signal(str, object)  # key, value

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._least = self._count(0, self.tr("at least, tokens"), self.tr("Before, the model's end tokens are removed"))
        self._most = self._count(1, self.tr("at most, tokens"), self.tr("Generation stops after so many tokens"))
        self._stops = QPlainTextEdit()
        self._stops.setProperty("look", "editor")
        self._stops.setTabChangesFocus(True)
        self._stops.setAccessibleName(self.tr("Stop texts, one a line"))
        self._stops.setPlaceholderText(self.tr("stop texts, one a line; \\n is a new line"))
        self._stops.setToolTip(self.tr("Generation stops where one of them is complete, also across tokens"))
        self._keep = QCheckBox(self.tr("keep the stop text in the answer"))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        for column, spin in enumerate((self._least, self._most)):
            label = QLabel(spin.accessibleName())
            label.setProperty("look", "secondary")
            label.setBuddy(spin)
            self._grid.addWidget(label, 0, column)
            self._grid.addWidget(spin, 1, column)
            self._grid.setColumnStretch(column, 1)
        self._grid.addWidget(self._stops, 2, 0, 1, 2)
        self._grid.addWidget(self._keep, 3, 0, 1, 2)
        self._least.valueChanged.connect(self._on_least_changed)
        self._most.valueChanged.connect(self._on_most_changed)
        self._stops.textChanged.connect(self._on_stops_changed)
        self._keep.toggled.connect(self._on_keep_toggled)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        for spin in (self._least, self._most):
            for control in (spin, spin.lineEdit()):  # a spin box's field follows late
                control.setFont(theme.font(13))
            spin.lineEdit().setTextMargins(theme.px(4), 0, 0, 0)
        self._stops.setFont(theme.token_font(13))
        self._stops.setFixedHeight(theme.px(64))
        self._keep.setFont(theme.font(13))
        self._grid.setHorizontalSpacing(theme.px(10))
        self._grid.setVerticalSpacing(theme.px(3))

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these, and say nothing."""
        for control in (self._least, self._most, self._stops, self._keep):
            control.blockSignals(True)
        self._least.setValue(settings.min_tokens)
        self._most.setValue(settings.max_tokens)
        if stops_of(self._stops.toPlainText()) != settings.stop:
            self._stops.setPlainText(stop_lines(settings.stop))
        self._keep.setChecked(settings.keep_stop)
        for control in (self._least, self._most, self._stops, self._keep):
            control.blockSignals(False)

    def _count(self, least: int, name: str, tip: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(least, _LARGEST)
        spin.setMinimumWidth(40)
        spin.setAccessibleName(name)
        spin.setToolTip(tip)
        return spin

    @Slot(int)
    def _on_least_changed(self, count: int) -> None:
        self.edited.emit("min_tokens", count)

    @Slot(int)
    def _on_most_changed(self, count: int) -> None:
        self.edited.emit("max_tokens", count)

    @Slot()
    def _on_stops_changed(self) -> None:
        self.edited.emit("stop", stops_of(self._stops.toPlainText()))

    @Slot(bool)
    def _on_keep_toggled(self, keep: bool) -> None:
        self.edited.emit("keep_stop", keep)


def stop_lines(stops: tuple[str, ...]) -> str:
    """Stop texts, one a line; what would break a line is written with a backslash."""
    lines = []
    for stop in stops:
        for character, written in _ESCAPES:
            stop = stop.replace(character, written)
        lines.append(stop)
    return "\n".join(lines)


def stops_of(lines: str) -> tuple[str, ...]:
    """What `stop_lines` wrote; empty lines are none."""
    return tuple(_unescaped(line) for line in lines.split("\n") if line)


def _unescaped(line: str) -> str:
    meant = {written[1]: character for character, written in _ESCAPES}
    text, pending = "", False
    for character in line:
        if pending:
            text += meant.get(character, "\\" + character)
            pending = False
        elif character == "\\":
            pending = True
        else:
            text += character
    return text + "\\" if pending else text

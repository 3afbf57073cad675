"""A line above the tool bar: an exploration that was not saved, and what can be done with it."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from canopy_ui.files import Files
from canopy_ui.theme import Theme


class OfferBar(QFrame):
    """Hidden while nothing is offered; several come one after the other."""

    def __init__(self, files: Files, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._files = files
        self.setProperty("look", "notice")
        self.setAccessibleName(self.tr("Not saved"))
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._open = self._button(self.tr("Open it"), self.tr("Show the exploration that was not saved"))
        self._discard = self._button(self.tr("Discard it"), self.tr("Remove it for good"))
        self._later = self._button(self.tr("Later"), self.tr("Ask again at the next start"))
        self._row = QHBoxLayout(self)
        self._row.addWidget(self._text, 1)
        for button in (self._open, self._discard, self._later):
            self._row.addWidget(button)
        self._open.clicked.connect(self._on_open_clicked)
        self._discard.clicked.connect(self._on_discard_clicked)
        self._later.clicked.connect(files.put_off)
        files.changed.connect(self._on_files_changed)
        self.set_theme(theme)
        self._on_files_changed()

    def set_theme(self, theme: Theme) -> None:
        """Change the zoom."""
        self._row.setContentsMargins(theme.px(14), theme.px(4), theme.px(8), theme.px(4))
        self._row.setSpacing(theme.px(8))

    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        return button

    @Slot()
    def _on_files_changed(self) -> None:
        offers = self._files.offers
        self.setVisible(bool(offers))
        if offers:
            self._text.setText(self._words(datetime.fromtimestamp(offers[0].written), len(offers)))

    def _words(self, when: datetime, count: int) -> str:
        today = when.date() == datetime.now().date()
        time = self.tr("{time:%H:%M}") if today else self.tr("{time:%Y-%m-%d, %H:%M}")
        text = self.tr("An exploration from {time} was not saved.").format(time=time.format(time=when))
        return text if count == 1 else self.tr("{text} There are {more} more.").format(text=text, more=count - 1)

    @Slot()
    def _on_open_clicked(self) -> None:
        self._files.recover(self._files.offers[0])

    @Slot()
    def _on_discard_clicked(self) -> None:
        self._files.discard(self._files.offers[0])

"""What A and B run: prompts, settings, and the model of B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError, SettingsError
from canopy_desktop.exploration.compare_view import PAIRS, ModelOffer, Pair, SideChoice, SideWish
from canopy_desktop.exploration.compared import differing_settings
from canopy_desktop.model.card import WeightForm
from canopy_ui.messages import Wording
from canopy_ui.theme import Theme
from canopy_ui.widgets.elided_label import ElidedLabel
from canopy_ui.widgets.fold import Fold
from canopy_ui.widgets.notice import Notice
from canopy_ui.widgets.numbers import byte_size
from canopy_ui.widgets.other_settings import OtherSettings
from canopy_ui.widgets.panel import Shrinkable
from canopy_ui.widgets.prompt_edit import PromptEdit
from canopy_ui.widgets.stage_words import settings_difference, settings_words
from canopy_ui.widgets.tall_scroll import TallScroll


class CompareForm(Shrinkable):
    """A follows the window and B follows A, but for what is chosen here."""

    compare_wished = Signal(object, object)  # SideWish of A, and of B
    stop_clicked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._window: SideWish | None = None
        self._choices = SideChoice(), SideChoice()
        self._offers: tuple[ModelOffer, ...] = ()
        self._free_bytes = 0
        self._weights: WeightForm | None = None  # of the window's model
        self._busy = False
        self._contradicted = False  # the notice says so
        self._words = Wording(self)
        self._make_head()
        self._make_sides(theme)
        self._settings = OtherSettings(theme)
        self._fold = Fold(self.tr("Settings of B"), self._settings, theme)
        self._notice = Notice()
        self._memory = QLabel()
        self._memory.setProperty("look", "secondary")
        self._memory.setWordWrap(True)
        self._memory.hide()
        self._compare = QPushButton(self.tr("Compare"))
        self._compare.setProperty("look", "primary")
        self._compare.setToolTip(self.tr("Runs A and B side by side, beside the window's own text"))
        self._stop = QPushButton(self.tr("Stop"))
        self._stop.setToolTip(self.tr("Ends both where they are"))
        self._stop.setAccessibleName(self.tr("Stop the comparison"))
        self._arrange()
        self._connect()
        self.set_theme(theme)
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (*self._texts, self._settings, self._fold):
            widget.set_theme(theme)
        for button in (self._pairs, self._anew, self._model):
            button.setFont(theme.font(13))
        for box in (self._history, self._facts):
            box.setFont(theme.font(13))
        for label in self._names:
            label.setFont(theme.font(15, strong=True))
        margin = theme.px(12)
        self._inner.setContentsMargins(margin, theme.px(8), margin, theme.px(4))
        self._inner.setSpacing(theme.px(6))
        self._foot.setContentsMargins(margin, theme.px(6), margin, margin)

    def set_window(self, wish: SideWish) -> None:
        """What the window would run now."""
        if wish != self._window:
            self._window = wish
            self._show()

    def set_models(self, offers: Sequence[ModelOffer], free_bytes: int, weights: WeightForm) -> None:
        """The models that B may have beside that of the window, the memory that is free, and the window's weights."""
        self._free_bytes, self._weights = free_bytes, weights
        if tuple(offers) == self._offers:
            self._show()
            return
        self._offers = tuple(offers)
        if self._choices[1].model not in [offer.folder for offer in offers]:
            self._choices = self._choices[0], replace(self._choices[1], model=None)
        self._model.clear()
        self._model.addItem(self.tr("as A"), None)
        for offer in offers:
            self._model.addItem(offer.id, offer.folder)
        self._model.setEnabled(bool(offers))
        self._show()

    def set_busy(self, busy: bool) -> None:
        """Whether a comparison runs."""
        self._busy = busy
        self._enable()

    def wishes(self) -> tuple[SideWish, SideWish] | None:
        """What A and B are to run; None where it is not known, or cannot be."""
        if self._window is None:
            return None
        try:
            a = self._choices[0].over(self._window)
            return a, self._choices[1].over(a)
        except SettingsError:
            return None

    def take_pair(self, pair: Pair) -> None:
        """Put both sides to this."""
        self._choices = pair.a, pair.b
        self._notice.set_text("")
        self._show()

    @Slot()
    def compare(self) -> None:
        """Run both as they are, if they can be."""
        found = self.wishes()
        if found is not None and self._compare.isEnabled():
            self.compare_wished.emit(*found)

    def _make_head(self) -> None:
        self._pairs = QPushButton(self.tr("Pairs ▾"))
        self._pairs.setAccessibleName(self.tr("Pairs"))
        self._pairs.setToolTip(self.tr("Two prompts or two settings that are worth comparing"))
        self._anew = QPushButton(self.tr("As the window"))
        self._anew.setToolTip(self.tr("Both take up the window's prompt and settings again"))
        menu = QMenu(self._pairs)
        for pair in PAIRS:
            action = QAction(self.tr(pair.name), menu)
            action.setData(pair)
            menu.addAction(action)
        menu.addSeparator()
        self._precisions = menu.addAction(self.tr("8 bit and fp32"))
        self._no_history = menu.addAction(self.tr("With and without the history"))
        menu.triggered.connect(self._on_pair_triggered)
        self._pairs.setMenu(menu)

    def _make_sides(self, theme: Theme) -> None:
        self._names = QLabel("A"), QLabel("B")
        self._settings_words = ElidedLabel(), ElidedLabel()
        for label in self._settings_words:
            label.setProperty("look", "secondary")
        self._texts = PromptEdit(theme, 3), PromptEdit(theme, 3)
        for name, text in zip("AB", self._texts, strict=True):
            text.setAccessibleName(self.tr("Prompt of {side}").format(side=name))
        self._history = QCheckBox(self.tr("B without the history"))
        self._facts = QCheckBox(self.tr("B without the facts"))
        self._model = QComboBox()
        self._model.addItem(self.tr("as A"), None)
        self._model.setAccessibleName(self.tr("Model of B"))
        self._model.setMinimumContentsLength(8)
        self._model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._model.setEnabled(False)

    def _arrange(self) -> None:
        content = Shrinkable()
        self._inner = QVBoxLayout(content)
        head = QHBoxLayout()
        head.addWidget(self._pairs, 1)
        head.addWidget(self._anew, 1)
        self._inner.addLayout(head)
        for number, text in enumerate(self._texts):
            row = QHBoxLayout()
            row.addWidget(self._names[number])
            row.addWidget(self._settings_words[number], 1)
            self._inner.addLayout(row)
            self._inner.addWidget(text)
        self._inner.addWidget(self._history)
        self._inner.addWidget(self._facts)
        self._inner.addWidget(self._fold)
        model = QGridLayout()
        self._model_name = QLabel(self.tr("Model of B"))
        self._model_name.setBuddy(self._model)
        model.addWidget(self._model_name, 0, 0)
        model.addWidget(self._model, 0, 1)
        model.setColumnStretch(1, 1)
        self._inner.addLayout(model)
        self._inner.addWidget(self._memory)
        self._inner.addStretch(1)
        self._foot = QVBoxLayout()
        self._foot.addWidget(self._notice)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._compare, 2)
        buttons.addWidget(self._stop, 1)
        self._foot.addLayout(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(TallScroll(content), 1)
        layout.addLayout(self._foot)

    def _connect(self) -> None:
        for text in self._texts:
            text.textChanged.connect(self._on_text_changed)
            text.submitted.connect(self.compare)
        self._history.toggled.connect(self._on_parts_toggled)
        self._facts.toggled.connect(self._on_parts_toggled)
        self._settings.edited.connect(self._on_setting_edited)
        self._settings.taken.connect(self._on_settings_taken)
        self._settings.refused.connect(self._complain)
        self._model.activated.connect(self._on_model_activated)
        self._anew.clicked.connect(self._on_anew_clicked)
        self._compare.clicked.connect(self.compare)
        self._stop.clicked.connect(self.stop_clicked)

    def _show(self) -> None:
        """Show what both sides would run."""
        found = self.wishes()
        self._enable()
        self._say_what_contradicts()
        if found is None:
            return
        for wish, text, words in zip(found, self._texts, self._settings_words, strict=True):
            text.blockSignals(True)
            text.set_text(wish.request.text)
            text.blockSignals(False)
            words.set_text(self._worded(wish))
        a, b = found
        request = a.request
        self._history.setVisible(request.chat and bool(request.history) and request.with_history)
        self._facts.setVisible(bool(request.facts))
        for box, checked in ((self._history, not self._choices[1].history), (self._facts, not self._choices[1].facts)):
            box.blockSignals(True)
            box.setChecked(checked)
            box.blockSignals(False)
        self._settings.set_settings(b.settings)
        as_a = b.settings == a.settings
        self._fold.set_summary(self.tr("as A") if as_a else settings_difference(b.settings, a.settings))
        self._model.setCurrentIndex(max(0, self._model.findData(self._choices[1].model)))
        self._show_memory()
        self._precisions.setEnabled(self._other_precision() is not None)
        self._no_history.setEnabled(request.chat and bool(request.history))

    def _say_what_contradicts(self) -> None:
        """The window's settings may have come to contradict those that B has of its own."""
        try:
            if self._window is not None:
                self._choices[1].over(self._choices[0].over(self._window))
        except SettingsError as error:
            self._contradicted = True
            self._complain(error)
        else:
            if self._contradicted:
                self._notice.set_text("")
            self._contradicted = False

    def _show_memory(self) -> None:
        offer = self._offer()
        self._memory.setVisible(offer is not None)
        if offer is not None:
            told = self.tr("Opening it takes at least {needed} more memory, while it is compared; {free} are free.")
            if offer.bytes > self._free_bytes:
                told = self.tr("It needs at least {needed} of memory, but {free} are free: close other programs.")
            self._memory.setText(told.format(needed=byte_size(offer.bytes), free=byte_size(self._free_bytes)))

    def _other_precision(self) -> ModelOffer | None:
        """A model whose weights are kept otherwise than the window's."""
        return next((offer for offer in self._offers if offer.weights is not self._weights), None)

    def _offer(self) -> ModelOffer | None:
        return next((offer for offer in self._offers if offer.folder == self._choices[1].model), None)

    def _enable(self) -> None:
        offer = self._offer()
        fits = offer is None or offer.bytes <= self._free_bytes
        found = self.wishes()
        texts = found is not None and all(wish.request.text for wish in found)
        self._compare.setEnabled(not self._busy and fits and texts)
        self._stop.setEnabled(self._busy)

    def _worded(self, wish: SideWish) -> str:
        mode = self.tr("chat") if wish.request.chat else self.tr("completion")
        return self.tr("{mode}, {settings}").format(mode=mode, settings=settings_words(wish.settings))

    def _change_b(self, choice: SideChoice) -> None:
        """Take this up for B, unless its settings contradict one another."""
        before, self._choices = self._choices, (self._choices[0], choice)
        try:
            if self._window is not None:
                choice.over(self._choices[0].over(self._window))
        except SettingsError as error:
            self._choices = before
            self._complain(error)
        else:
            self._notice.set_text("")
        self._show()

    @Slot(object)
    def _complain(self, error: CanopyError) -> None:
        self._notice.set_text(self._words.of_error(error).text)

    @Slot()
    def _on_text_changed(self) -> None:
        if self._window is None:
            return
        texts = [text.text() for text in self._texts]
        a, b = self._choices
        followed = b.text is None or b.text == texts[0]
        if self.sender() is self._texts[0]:
            a = replace(a, text=None if texts[0] == self._window.request.text else texts[0])
            b = replace(b, text=None if followed else b.text)
        else:
            b = replace(b, text=None if texts[1] == texts[0] else texts[1])
        self._choices = a, b
        self._show()

    @Slot()
    def _on_parts_toggled(self) -> None:
        history, facts = not self._history.isChecked(), not self._facts.isChecked()
        self._change_b(replace(self._choices[1], history=history, facts=facts))

    @Slot(str, object)
    def _on_setting_edited(self, key: str, value: object) -> None:
        """Take it up for B; what is as with A is followed again."""
        found = self.wishes()
        if found is not None:
            changes = dict(self._choices[1].changes) | {key: value}
            kept = {name: held for name, held in changes.items() if held != getattr(found[0].settings, name)}
            self._change_b(replace(self._choices[1], changes=MappingProxyType(kept)))

    @Slot(object)
    def _on_settings_taken(self, settings: DecodingSettings) -> None:
        found = self.wishes()
        if found is not None:
            differences = differing_settings(found[0].settings, settings)
            changes = MappingProxyType({one.name: one.b for one in differences})
            self._change_b(replace(self._choices[1], changes=changes))

    @Slot(int)
    def _on_model_activated(self, index: int) -> None:
        self._change_b(replace(self._choices[1], model=self._model.itemData(index)))

    @Slot()
    def _on_anew_clicked(self) -> None:
        self._choices = SideChoice(), SideChoice()
        self._notice.set_text("")
        self._show()

    @Slot(QAction)
    def _on_pair_triggered(self, action: QAction) -> None:
        if action is self._precisions:
            if (offer := self._other_precision()) is not None:
                self.take_pair(Pair(action.text(), self._choices[0], SideChoice(model=offer.folder)))
        elif action is self._no_history:
            self.take_pair(Pair(action.text(), SideChoice(), SideChoice(history=False)))
        else:
            self.take_pair(action.data())

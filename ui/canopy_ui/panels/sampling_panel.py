"""All settings that decide for a token, with what they do to the selected step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.presets import PRESETS, Preset
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import CanopyError, SettingsError
from canopy_desktop.exploration.decision_view import DistributionView
from canopy_desktop.model.tokenizer import Tokenizer
from canopy_ui.filter_choice import FilterChoice
from canopy_ui.messages import Wording
from canopy_ui.theme import Theme
from canopy_ui.widgets.filter_form import FilterForm
from canopy_ui.widgets.fold import Fold
from canopy_ui.widgets.length_form import LengthForm
from canopy_ui.widgets.notice import Notice
from canopy_ui.widgets.panel import Panel, Shrinkable
from canopy_ui.widgets.sampling_fields import SamplingFields
from canopy_ui.widgets.seed_form import SeedForm
from canopy_ui.widgets.tall_scroll import TallScroll
from canopy_ui.widgets.token_rules import TokenRules


class SamplingPanel(Panel):
    """Shows the settings, and emits the next valid ones; a contradiction is told and kept until it is solved."""

    settings_changed = Signal(object)  # DecodingSettings
    new_seeds_wanted = Signal(bool)
    filter_chosen = Signal(object)  # FilterChoice
    from_here_requested = Signal(int)  # the parent node of the selected step

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = DecodingSettings()
        self._pending: dict[str, Any] = {}  # edits that contradict the others
        self._contradiction = ""  # and why
        self._view: DistributionView | None = None
        self._words = Wording(self)
        self._make_head()
        self._fields, self._seed = SamplingFields(theme), SeedForm(theme)
        self._length, self._rules, self._filter = LengthForm(theme), TokenRules(theme), FilterForm(theme)
        self._folds = (
            Fold(self.tr("Length and stop texts"), self._length, theme),
            Fold(self.tr("Bans and boosts"), self._rules, theme),
            Fold(self.tr("Output filter"), self._filter, theme),
        )
        self._notice = Notice()
        self._from_here = QPushButton(self.tr("From here on"))
        self._from_here.setProperty("look", "primary")
        self._from_here.setToolTip(self.tr("Generates a new branch from the selected step with these settings"))
        self._as_used = QPushButton(self.tr("What it used"))
        self._as_used.setToolTip(self.tr("Puts the settings back to those that the selected step really used"))
        self._arrange()
        self._connect()
        self.set_theme(theme)
        self._show()
        self.set_distribution(None)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (self._fields, self._seed, self._length, self._rules, self._filter, *self._folds):
            widget.set_theme(theme)
        for button in (self._presets, self._copy, self._apply):
            button.setFont(theme.font(13))
        margin = theme.px(12)
        self._inner.setContentsMargins(margin, theme.px(8), margin, theme.px(4))
        self._inner.setSpacing(theme.px(6))
        self._foot.setContentsMargins(margin, theme.px(6), margin, margin)
        self._foot.setSpacing(theme.px(6))
        self._buttons.setSpacing(theme.px(8))

    def settings(self) -> DecodingSettings:
        """What holds; edits that contradict one another are not in it."""
        return self._settings

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these settings, and say nothing."""
        if settings != self._settings:
            self._settings = settings
            self._settle()
            self._show()

    def set_new_seeds(self, wanted: bool) -> None:
        """Show whether every prompt that is begun anew has another seed."""
        self._seed.set_new_seeds(wanted)

    def set_filter(self, choice: FilterChoice) -> None:
        """Take up the filter that was remembered."""
        self._filter.take(choice)
        self._summarise()

    def set_tokenizer(self, tokenizer: Tokenizer) -> None:
        """What names tokens."""
        self._rules.set_tokenizer(tokenizer)

    def set_distribution(self, view: DistributionView | None) -> None:
        """The step that the settings are shown on."""
        self._view = view
        branches = view is not None and view.parent is not None
        self._from_here.setEnabled(branches)
        self._as_used.setEnabled(view is not None and view.used is not None and view.used != self._settings)
        if view is None:
            self._set_title("")
        elif view.step is None:
            self._set_title(self.tr("position {position}").format(position=view.position))
        else:
            self._set_title(self.tr("step {step}").format(step=view.step))

    def _make_head(self) -> None:
        self._presets = QPushButton(self.tr("Presets ▾"))
        self._presets.setAccessibleName(self.tr("Presets"))
        menu = QMenu(self._presets)
        for preset in PRESETS:
            action = QAction(self.tr(preset.name), menu)
            action.setData(preset)
            menu.addAction(action)
        menu.triggered.connect(self._on_preset_triggered)
        self._presets.setMenu(menu)
        self._copy = QPushButton(self.tr("Copy"))
        self._copy.setToolTip(self.tr("Copies all settings as JSON"))
        self._apply = QPushButton(self.tr("Apply"))
        self._apply.setToolTip(self.tr("Takes the settings from JSON that was copied"))

    def _arrange(self) -> None:
        head = QHBoxLayout()
        for button in (self._presets, self._copy, self._apply):
            head.addWidget(button)
        content = Shrinkable()
        self._inner = QVBoxLayout(content)
        self._inner.addLayout(head)
        for widget in (self._fields, self._seed, *self._folds):
            self._inner.addWidget(widget)
        self._inner.addStretch(1)
        self._buttons = QHBoxLayout()
        self._buttons.addWidget(self._from_here, 1)
        self._buttons.addWidget(self._as_used, 1)
        self._foot = QVBoxLayout()
        self._foot.addWidget(self._notice)
        self._foot.addLayout(self._buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(TallScroll(content), 1)
        layout.addLayout(self._foot)

    def _connect(self) -> None:
        self._fields.edited.connect(self._on_edited)
        self._length.edited.connect(self._on_edited)
        self._rules.edited.connect(self._edit)
        self._rules.refused.connect(self._notice.set_text)
        self._seed.seed_changed.connect(self._on_seed_changed)
        self._seed.new_seeds_wanted.connect(self.new_seeds_wanted)
        self._filter.filter_chosen.connect(self._on_filter_chosen)
        self._filter.refused.connect(self._on_filter_refused)
        self._copy.clicked.connect(self._on_copy_clicked)
        self._apply.clicked.connect(self._on_apply_clicked)
        self._from_here.clicked.connect(self._on_from_here_clicked)
        self._as_used.clicked.connect(self._on_as_used_clicked)

    def _show(self) -> None:
        settings = self._settings
        for form in (self._fields, self._length, self._rules):
            form.set_settings(settings)
        self._seed.set_seed(settings.seed)
        self._summarise()

    def _summarise(self) -> None:
        settings = self._settings
        length = self.tr("at most {most}").format(most=settings.max_tokens)
        if settings.min_tokens:
            length = self.tr("{least} to {most}").format(least=settings.min_tokens, most=settings.max_tokens)
        if settings.stop:
            length += self.tr(", {count} stop texts").format(count=len(settings.stop))
        rules = len(settings.banned_tokens) + len(settings.logit_bias)
        choice = self._filter.choice()
        filtering = choice.output_filter.entries.name if choice.output_filter is not None else self.tr("off")
        for fold, summary in zip(
            self._folds, (length, str(rules) if rules else self.tr("none"), filtering), strict=True
        ):
            fold.set_summary(summary)

    def _take(self, settings: DecodingSettings) -> None:
        """Settings that hold together: they are the ones from now on."""
        self._settle()
        if settings != self._settings:
            self._settings = settings
            self._show()
            self.settings_changed.emit(settings)

    def _settle(self) -> None:
        self._pending.clear()
        self._contradiction = ""
        self._notice.set_text("")

    def _complain(self, error: CanopyError) -> None:
        self._notice.set_text(self._words.of_error(error).text)

    @Slot(object)
    def _edit(self, changes: dict[str, Any]) -> None:
        self._pending.update(changes)
        try:
            settings = replace(self._settings, **self._pending)
        except SettingsError as error:
            self._complain(error)
            self._contradiction = self._notice.text()
        else:
            self._take(settings)

    @Slot(str, object)
    def _on_edited(self, key: str, value: object) -> None:
        self._edit({key: value})

    @Slot(object)
    def _on_seed_changed(self, seed: int) -> None:
        self._edit({"seed": seed})

    @Slot(object)
    def _on_filter_chosen(self, choice: FilterChoice) -> None:
        self._summarise()
        self.filter_chosen.emit(choice)

    @Slot(object)
    def _on_filter_refused(self, error: CanopyError | None) -> None:
        if error is None:
            self._notice.set_text(self._contradiction)
        else:
            self._complain(error)

    @Slot(QAction)
    def _on_preset_triggered(self, action: QAction) -> None:
        preset: Preset = action.data()
        try:
            self._take(preset.over(self._settings))
        except SettingsError as error:
            self._complain(error)

    @Slot()
    def _on_copy_clicked(self) -> None:
        QGuiApplication.clipboard().setText(settings_json.dumps(self._settings))

    @Slot()
    def _on_apply_clicked(self) -> None:
        try:
            self._take(settings_json.loads(QGuiApplication.clipboard().text()))
        except SettingsError as error:
            self._complain(error)

    @Slot()
    def _on_from_here_clicked(self) -> None:
        if self._view is not None and self._view.parent is not None:
            self.from_here_requested.emit(self._view.parent)

    @Slot()
    def _on_as_used_clicked(self) -> None:
        if self._view is not None and self._view.used is not None:
            self._take(self._view.used)

"""What goes into the model, and how its tokens are chosen."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.ruler import ContextRuler
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import Token
from canopy_desktop.paths import resources
from canopy_ui.facts_desk import FactsChoice
from canopy_ui.theme import Theme
from canopy_ui.widgets.context_ruler import ContextRulerBar
from canopy_ui.widgets.decoding_form import DecodingForm
from canopy_ui.widgets.examples import Example, load_examples
from canopy_ui.widgets.examples_button import ExamplesButton
from canopy_ui.widgets.examples_list import ExamplesList
from canopy_ui.widgets.facts_form import FactsForm
from canopy_ui.widgets.fold import Fold
from canopy_ui.widgets.history_form import HistoryForm
from canopy_ui.widgets.numbers import grouped, hexadecimal, token_count
from canopy_ui.widgets.panel import Panel, Shrinkable
from canopy_ui.widgets.prompt_edit import PromptEdit
from canopy_ui.widgets.prompt_preview import PromptPreview
from canopy_ui.widgets.segmented import Segmented
from canopy_ui.widgets.system_form import SystemForm
from canopy_ui.widgets.tall_scroll import TallScroll
from canopy_ui.widgets.token_preview import lost_at_end
from canopy_ui.widgets.window_form import WindowForm

COMPLETE, CHAT = 0, 1


class PromptPanel(Panel):
    """Text, mode, tokens while typing, and the two buttons that begin."""

    run_clicked = Signal()
    step_clicked = Signal()
    submitted = Signal(object)  # (PromptRequest, DecodingSettings, play): begin anew, asked for with Ctrl+Return
    changed = Signal()
    settings_changed = Signal(object)  # DecodingSettings
    window_changed = Signal(object)  # ContextWindow
    position_hovered = Signal(object)  # int, or None
    continue_clicked = Signal()  # the answer into the chat's history
    example_chosen = Signal(object)  # PromptRequest with its text, right before it stands in the fields
    facts_file_wanted = Signal(str)
    facts_off_wanted = Signal()
    best_facts_wanted = Signal(int)  # so many that fit best; 0: all

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self._startable = False
        self._continuable = False
        self._mode = Segmented((self.tr("Complete"), self.tr("Chat")), self.tr("Kind of prompt"))
        self._plain = QLabel()
        self._plain.setWordWrap(True)
        self._plain.setProperty("look", "secondary")
        self._text = PromptEdit(theme, 3, least=3)
        self._text.setAccessibleName(self.tr("Prompt"))
        self._text.setPlaceholderText(self.tr("Type the beginning of a text"))
        self._system, self._history, self._facts = SystemForm(theme), HistoryForm(theme), FactsForm(theme)
        self._folds: dict[SystemForm | HistoryForm | FactsForm, Fold] = {
            self._history: Fold(self.tr("History"), self._history, theme),
            self._system: Fold(self.tr("System message"), self._system, theme),
            self._facts: Fold(self.tr("Facts"), self._facts, theme),
        }
        self._continue = QPushButton(self.tr("Continue the chat"))
        self._continue.setToolTip(self.tr("Puts your words and the answer into the history, for what you say next"))
        self._count = QLabel()
        self._count.setAccessibleName(self.tr("Number of tokens"))
        self._count.setWordWrap(True)
        examples = load_examples(resources() / "examples.toml")
        self._examples = ExamplesButton(examples)
        self._first_examples = ExamplesList([example for example in examples if example.first])
        self._ruler = ContextRulerBar(theme)
        self._preview = PromptPreview(theme)
        self._preview.position_hovered.connect(self.position_hovered)
        self._fold = QPushButton()
        self._fold.setProperty("look", "quiet")
        self._fold.setCheckable(True)
        self._fold.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._decoding = DecodingForm(theme)
        self._window = WindowForm(theme)
        self._run = QPushButton(self.tr("Run"))
        self._run.setProperty("look", "primary")
        self._step = QPushButton(self.tr("Step"))
        self.setFocusProxy(self._text)
        self._arrange()
        self._connect()
        self.set_theme(theme)
        self._on_folded()
        self._show_mode()
        self._name_folds()
        self._show_below()
        self.set_counted(None, 0, ())

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (self._text, *self._folds, *self._folds.values(), self._ruler, self._preview):
            widget.set_theme(theme)
        self._decoding.set_theme(theme)
        self._window.set_theme(theme)
        margin = theme.px(12)
        self._inner.setContentsMargins(margin, theme.px(10), margin, theme.px(4))
        self._inner.setSpacing(theme.px(6))
        self._folded.setSpacing(theme.px(2))
        self._buttons.setContentsMargins(margin, theme.px(6), margin, margin)
        self._buttons.setSpacing(theme.px(8))
        self._fold.setFont(theme.font(13))
        self._examples.setFont(theme.font(13))

    def request(self) -> PromptRequest:
        """What is typed now."""
        return PromptRequest(
            text=self._text.text(),
            chat=self._mode.choice() == CHAT,
            system=self._system.choice(),
            system_text=self._system.text(),
            history=self._history.turns(),
            with_history=self._history.seen(),
        )

    def settings(self) -> DecodingSettings:
        """How tokens are to be chosen."""
        return self._decoding.settings()

    def set_prompt(self, request: PromptRequest) -> None:
        """Show this prompt; says `changed` once where it is another."""
        if replace(request, facts=()) == self.request():
            return
        self.blockSignals(True)
        self._mode.choose(CHAT if request.chat else COMPLETE)
        self._system.set_message(request.system, request.system_text)
        self._history.set_history(request.history, request.with_history)
        self._text.set_text(request.text)
        self.blockSignals(False)
        self._show_mode()
        self._name_folds()
        self.changed.emit()

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these settings, and say nothing."""
        self._decoding.set_settings(settings)
        self._name_fold()

    def set_lit(self, position: int | None) -> None:
        """Mark the token that is under the mouse, here or elsewhere."""
        self._preview.set_lit(position)

    def set_in_text(self, in_text: bool) -> None:
        """Whether the text begins with this prompt, so that its tokens are lit with those of the text."""
        self._preview.set_in_text(in_text)

    def set_window(self, window: ContextWindow, context: int) -> None:
        """Show this context window of a model with `context` positions, and say nothing; 0: no model yet."""
        self._window.set_window(window, context)
        self._name_fold()

    def set_default_system(self, text: str | None) -> None:
        """The system message that the template adds by itself."""
        self._system.set_default(text)

    def set_has_template(self, has_template: bool) -> None:
        """Whether the model has a chat template that can be used; without one a chat is plain text, which is said."""
        self._plain.setText("" if has_template else self.tr("No chat template: a chat goes in as plain text."))
        self._system.set_has_template(has_template)
        self._show_mode()
        self._name_folds()

    def set_running(self, running: bool) -> None:
        """Whether the model is at work."""
        self._running = running
        self._enable_buttons()

    def set_facts(self, choice: FactsChoice) -> None:
        """The facts that are put before the text."""
        self._facts.set_choice(choice)
        self._name_folds()

    def set_facts_told(self, text: str) -> None:
        """Say why a file of facts cannot be used."""
        self._facts.set_told(text)
        self._folds[self._facts].open()

    def set_continuable(self, continuable: bool) -> None:
        """Whether there is an answer that can go into the history."""
        self._continuable = continuable
        self._continue.setVisible(continuable and self._mode.choice() == CHAT)

    def set_counted(
        self,
        prompt: TemplatedPrompt | None,
        context: int,
        tokens: tuple[Token, ...],
        ruler: ContextRuler | None = None,
    ) -> None:
        """Show the tokens of what is typed, and how they lie in the window; None: they are not known."""
        count = len(tokens)
        overlong = prompt is not None and count > context
        self._startable = prompt is not None and 0 < count <= context
        self._preview.set_prompt(prompt, tokens, ruler)
        self._ruler.set_ruler(ruler)
        self._text.set_overlong(overlong)
        look = "warning" if overlong or (prompt is not None and prompt.lost) else "secondary"
        if self._count.property("look") != look:
            self._count.setProperty("look", look)
            self._count.style().unpolish(self._count)
            self._count.style().polish(self._count)
        self._count.setText(self._counted(prompt, context, tokens))
        self._enable_buttons()
        self._set_title(token_count(count) if prompt is not None else "")

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self._count, 1)
        row.addWidget(self._examples)
        content = Shrinkable()
        self._inner = QVBoxLayout(content)
        self._inner.addWidget(self._mode)
        self._inner.addWidget(self._plain)
        self._inner.addWidget(self._text, 1)
        self._inner.addWidget(self._continue)
        self._folded = QVBoxLayout()
        for fold in self._folds.values():
            self._folded.addWidget(fold)
        self._inner.addLayout(self._folded)
        self._inner.addLayout(row)
        self._inner.addWidget(self._ruler)
        self._inner.addWidget(self._preview, 3)
        self._inner.addWidget(self._first_examples, 3)
        self._inner.addWidget(self._fold)
        self._inner.addWidget(self._decoding)
        self._inner.addWidget(self._window)
        self._buttons = QHBoxLayout()
        self._buttons.addWidget(self._run, 3)
        self._buttons.addWidget(self._step, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(TallScroll(content), 1)
        layout.addLayout(self._buttons)

    def _connect(self) -> None:
        self._mode.chosen.connect(self._on_mode_chosen)
        self._text.textChanged.connect(self._on_text_changed)
        self._text.submitted.connect(self._on_text_submitted)
        self._system.changed.connect(self._on_form_changed)
        self._history.changed.connect(self._on_form_changed)
        self._continue.clicked.connect(self.continue_clicked)
        self._facts.file_wanted.connect(self.facts_file_wanted)
        self._facts.off_wanted.connect(self.facts_off_wanted)
        self._facts.best_wanted.connect(self.best_facts_wanted)
        self._examples.example_chosen.connect(self._on_example_chosen)
        self._first_examples.example_chosen.connect(self._on_example_chosen)
        self._fold.toggled.connect(self._on_folded)
        self._decoding.settings_changed.connect(self._on_settings_changed)
        self._window.window_changed.connect(self._on_window_changed)
        self._run.clicked.connect(self.run_clicked)
        self._step.clicked.connect(self.step_clicked)

    def _counted(self, prompt: TemplatedPrompt | None, context: int, tokens: tuple[Token, ...]) -> str:
        if prompt is None:
            return ""
        count = len(tokens)
        if count > context:
            return self.tr("{count} tokens: {more} more than the context holds").format(
                count=grouped(count), more=grouped(count - context)
            )
        text = self.tr("{count} of {context} positions").format(count=grouped(count), context=grouped(context))
        if not prompt.lost:
            return text
        end = lost_at_end(prompt, tokens)
        lost = self.tr("{count} bytes without a token").format(count=len(prompt.lost))
        if len(prompt.lost) == 1:
            lost = self.tr("1 byte without a token")
        return f"{text}, {lost}" + (f" ({hexadecimal(end)})" if end else "")

    def _enable_buttons(self) -> None:
        for button in (self._run, self._step):
            button.setEnabled(self._startable and not self._running)

    def _show_mode(self) -> None:
        chat = self._mode.choice() == CHAT
        self._plain.setVisible(chat and bool(self._plain.text()))
        for form in (self._system, self._history):
            self._folds[form].setVisible(chat)
        self._continue.setVisible(chat and self._continuable)
        self._text.setPlaceholderText(self.tr("Ask something") if chat else self.tr("Type the beginning of a text"))

    def _name_fold(self) -> None:
        arrow = "▾" if self._fold.isChecked() else "▸"
        decoding, window = self._decoding.summary(), self._window.summary()
        self._fold.setText(f"{arrow} {decoding}\n{window}" if window else f"{arrow} {decoding}")
        self._fold.setToolTip(
            self.tr("How the next token is chosen: {summary}").format(
                summary=f"{decoding}; {window}" if window else decoding
            )
        )

    def _on_text_changed(self) -> None:
        self._show_below()
        self.changed.emit()

    def _show_below(self) -> None:
        """The tokens; examples where nothing is typed."""
        typed = bool(self._text.text())
        self._preview.setVisible(typed)
        self._first_examples.setVisible(not typed)

    def _name_folds(self) -> None:
        for form, fold in self._folds.items():
            fold.set_summary(form.summary())

    def _on_form_changed(self) -> None:
        self._name_folds()
        self.changed.emit()

    def _on_mode_chosen(self) -> None:
        self._show_mode()
        self.changed.emit()

    def _on_folded(self) -> None:
        self._decoding.setVisible(self._fold.isChecked())
        self._window.setVisible(self._fold.isChecked())
        self._name_fold()

    def _on_settings_changed(self, settings: object) -> None:
        self._name_fold()
        self.settings_changed.emit(settings)

    def _on_window_changed(self, window: object) -> None:
        self._name_fold()
        self.window_changed.emit(window)

    def _on_text_submitted(self, play: bool) -> None:
        if self._startable and not self._running:
            self.submitted.emit((self.request(), self.settings(), play))

    def _on_example_chosen(self, example: Example) -> None:
        request = replace(self.request(), text=example.prompt, chat=example.chat)
        self.example_chosen.emit(request)
        self.set_prompt(request)

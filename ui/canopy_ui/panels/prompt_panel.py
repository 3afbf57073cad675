"""What goes into the model, and how its tokens are chosen."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.tokenizer import Token
from canopy_desktop.paths import resources
from canopy_ui.theme import Theme
from canopy_ui.widgets.decoding_form import DecodingForm
from canopy_ui.widgets.examples import Example, load_examples
from canopy_ui.widgets.examples_button import ExamplesButton
from canopy_ui.widgets.examples_list import ExamplesList
from canopy_ui.widgets.numbers import grouped, hexadecimal
from canopy_ui.widgets.panel import Panel, Shrinkable
from canopy_ui.widgets.prompt_edit import PromptEdit
from canopy_ui.widgets.segmented import Segmented
from canopy_ui.widgets.system_form import SystemForm
from canopy_ui.widgets.tall_scroll import TallScroll
from canopy_ui.widgets.token_preview import TokenPreview, lost_at_end
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

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self._startable = False
        self._mode = Segmented((self.tr("Complete"), self.tr("Chat")), self.tr("Kind of prompt"))
        self._text = PromptEdit(theme, 4)
        self._text.setAccessibleName(self.tr("Prompt"))
        self._text.setPlaceholderText(self.tr("Type the beginning of a text"))
        self._system = SystemForm(theme)
        self._count = QLabel()
        self._count.setAccessibleName(self.tr("Number of tokens"))
        self._count.setWordWrap(True)
        examples = load_examples(resources() / "examples.toml")
        self._examples = ExamplesButton(examples)
        self._first_examples = ExamplesList([example for example in examples if example.first])
        self._preview = TokenPreview(theme)
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
        self._show_below()
        self.set_counted(None, 0, ())

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        for widget in (self._text, self._system, self._preview, self._decoding, self._window):
            widget.set_theme(theme)
        margin = theme.px(12)
        self._inner.setContentsMargins(margin, theme.px(10), margin, theme.px(4))
        self._inner.setSpacing(theme.px(7))
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
        )

    def settings(self) -> DecodingSettings:
        """How tokens are to be chosen."""
        return self._decoding.settings()

    def set_prompt(self, request: PromptRequest) -> None:
        """Show this prompt; says `changed` once where it is another."""
        if request == self.request():
            return
        self.blockSignals(True)
        self._mode.choose(CHAT if request.chat else COMPLETE)
        self._system.set_message(request.system, request.system_text)
        self._text.set_text(request.text)
        self.blockSignals(False)
        self._show_mode()
        self.changed.emit()

    def set_settings(self, settings: DecodingSettings) -> None:
        """Show these settings, and say nothing."""
        self._decoding.set_settings(settings)
        self._name_fold()

    def set_window(self, window: ContextWindow, context: int) -> None:
        """Show this context window of a model with `context` positions, and say nothing; 0: no model yet."""
        self._window.set_window(window, context)
        self._name_fold()

    def set_default_system(self, text: str | None) -> None:
        """The system message that the template adds by itself."""
        self._system.set_default(text)

    def set_chat_available(self, available: bool) -> None:
        """Whether the model has a chat template."""
        self._mode.set_possible(CHAT, available, "" if available else self.tr("This model has no chat template"))
        if not available and self._mode.choice() == CHAT:
            self._mode.choose(COMPLETE)
            self._on_mode_chosen()

    def set_running(self, running: bool) -> None:
        """Whether the model is at work."""
        self._running = running
        self._enable_buttons()

    def set_counted(self, prompt: TemplatedPrompt | None, context: int, tokens: tuple[Token, ...]) -> None:
        """Show the tokens of what is typed; None: they are not known."""
        count = len(tokens)
        overlong = prompt is not None and count > context
        self._startable = prompt is not None and 0 < count <= context
        self._preview.set_prompt(prompt, tokens)
        self._text.set_overlong(overlong)
        look = "warning" if overlong or (prompt is not None and prompt.lost) else "secondary"
        if self._count.property("look") != look:
            self._count.setProperty("look", look)
            self._count.style().unpolish(self._count)
            self._count.style().polish(self._count)
        self._count.setText(self._counted(prompt, context, tokens))
        self._enable_buttons()
        self._set_title(self._tokens(count) if prompt is not None else "")

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self._count, 1)
        row.addWidget(self._examples)
        content = Shrinkable()
        self._inner = QVBoxLayout(content)
        self._inner.addWidget(self._mode)
        self._inner.addWidget(self._text, 1)
        self._inner.addWidget(self._system)
        self._inner.addLayout(row)
        self._inner.addWidget(self._preview, 2)
        self._inner.addWidget(self._first_examples, 2)
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
        self._system.changed.connect(self.changed)
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

    def _tokens(self, count: int) -> str:
        return self.tr("1 token") if count == 1 else self.tr("{count} tokens").format(count=grouped(count))

    def _enable_buttons(self) -> None:
        for button in (self._run, self._step):
            button.setEnabled(self._startable and not self._running)

    def _show_mode(self) -> None:
        chat = self._mode.choice() == CHAT
        self._system.setVisible(chat)
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
        request = self.request()
        self.set_prompt(
            PromptRequest(
                text=example.prompt, chat=example.chat, system=request.system, system_text=request.system_text
            )
        )

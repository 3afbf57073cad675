"""What is typed goes to the controller, and what is known about it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.ruler import ruler_of
from canopy_desktop.exploration.trail import Standing
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_ui.controller import Controller
from canopy_ui.messages import Wording
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.state import RunState

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession


class PromptLink(QObject):
    """Belongs to the panel."""

    def __init__(self, panel: PromptPanel, controller: Controller) -> None:
        super().__init__(panel)
        self._panel = panel
        self._controller = controller
        self._words = Wording(self)
        controller.model_opened.connect(self._on_model_opened)
        controller.draft.encoded.connect(self._on_draft_encoded)
        controller.draft.refused.connect(self._on_draft_refused)
        controller.state_changed.connect(self._on_state_changed)
        controller.draft.filled.connect(self._on_reopened)
        controller.wishes.window_changed.connect(self._on_window_set)
        controller.undoing.brought_back.connect(self._on_brought_back)
        panel.changed.connect(self._on_prompt_changed)
        panel.settings_changed.connect(controller.wishes.set_decoding)
        controller.wishes.decoding_changed.connect(panel.set_settings)
        panel.window_changed.connect(self._on_window_changed)
        panel.run_clicked.connect(controller.run)
        panel.step_clicked.connect(controller.step)
        panel.submitted.connect(self._on_prompt_submitted)
        panel.continue_clicked.connect(self._on_continue_clicked)
        panel.example_chosen.connect(controller.draft.replace)
        panel.facts_file_wanted.connect(controller.facts.read)
        panel.facts_off_wanted.connect(controller.facts.leave)
        panel.best_facts_wanted.connect(controller.facts.take_best)
        controller.facts.changed.connect(panel.set_facts)
        controller.facts.refused.connect(self._on_facts_refused)
        panel.position_hovered.connect(controller.lighting.light)
        controller.lighting.position_lit.connect(panel.set_lit)
        panel.set_facts(controller.facts.choice)
        panel.set_prompt(controller.draft.request)
        panel.set_settings(controller.wishes.decoding)
        panel.set_window(controller.wishes.window, 0)
        panel.set_running(controller.state.busy)

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self._panel.set_has_template(session.template is not None)
        self._panel.set_default_system(session.template.default_system if session.template else None)
        self._panel.set_window(self._controller.wishes.window, session.card.architecture.context)

    @Slot(object)
    def _on_reopened(self, request: PromptRequest) -> None:
        session = self._controller.session
        self._panel.set_prompt(request)
        self._panel.set_window(self._controller.wishes.window, session.card.architecture.context if session else 0)

    @Slot(object)
    def _on_window_set(self, window: ContextWindow) -> None:
        session = self._controller.session
        self._panel.set_window(window, session.card.architecture.context if session else 0)

    @Slot(object)
    def _on_brought_back(self, standing: Standing) -> None:
        session = self._controller.session
        if standing.window is not None:
            self._panel.set_window(standing.window, session.card.architecture.context if session else 0)
            self._controller.draft.encode()  # what fits has changed

    @Slot(object)
    def _on_draft_encoded(self, prompt: TemplatedPrompt) -> None:
        session = self._controller.session
        if session is not None:
            size = self._controller.wishes.window.tokens(session.card.architecture.context)
            window = self._controller.wishes.window
            kept = self._controller.draft.system_tokens() if window.keeps_system else 0
            ruler = ruler_of(prompt, window, size, kept)
            self._panel.set_counted(prompt, size, session.tokenizer.tokens(prompt.ids), ruler)

    @Slot(object)
    def _on_draft_refused(self, error: Exception) -> None:
        self._panel.set_counted(None, 0, ())

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        self._panel.set_running(state.busy)
        self._panel.set_in_text(state.prompt_tokens > 0 and not state.edited)
        self._show_continuable()

    @Slot()
    def _on_continue_clicked(self) -> None:
        request = self._controller.answers.continued()
        if request is not None:
            self._controller.draft.replace(request)
            self._panel.setFocus()

    @Slot(object)
    def _on_facts_refused(self, error: Exception) -> None:
        self._panel.set_facts_told(self._words.of_error(error).text)

    @Slot()
    def _on_prompt_changed(self) -> None:
        self._controller.draft.take(self._panel.request())
        self._show_continuable()

    def _show_continuable(self) -> None:
        """An answer that is in the history already cannot go there again."""
        request = self._controller.answers.continued()
        here = self._panel.request().history
        self._panel.set_continuable(request is not None and here[: len(request.history)] != request.history)

    @Slot(object)
    def _on_window_changed(self, window: ContextWindow) -> None:
        self._controller.wishes.set_window(window)
        self._controller.draft.encode()  # what fits has changed

    @Slot(object)
    def _on_prompt_submitted(self, wish: tuple[PromptRequest, DecodingSettings, bool]) -> None:
        request, settings, play = wish
        self._controller.draft.edit(request)
        self._controller.wishes.set_decoding(settings)
        if play:
            self._controller.run()
        else:
            self._controller.step()

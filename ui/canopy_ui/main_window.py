"""The window: five docks and the transport around one controller."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QMainWindow

from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.prompt import PromptRequest
from canopy_desktop.exploration.view import MetricsView, WindowView
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.settings import Preferences
from canopy_ui import layout
from canopy_ui.actions import Command, make_actions
from canopy_ui.controller import Controller
from canopy_ui.dock import Dock
from canopy_ui.messages import Wording
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.shell_style import shell_style
from canopy_ui.shortcuts import ShortcutsDialog
from canopy_ui.state import RunPhase, RunState
from canopy_ui.theme import apply_theme, theme_named
from canopy_ui.transport import Transport
from canopy_ui.view_menu import ViewMenu, zoomed

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

SETTLE_MS = 100  # layouts follow fonts, and docks follow layouts, each in a turn of the event loop
logger = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """Shows what the controller tells, and tells it what the person wishes. Owns neither threads nor facts."""

    def __init__(
        self,
        controller: Controller,
        preferences: Preferences,
        remember: Callable[[Preferences], None],
        provider: str = "auto",
    ) -> None:
        """`remember` keeps the preferences when the window closes; `provider` is the one that was asked for."""
        super().__init__()
        self._asked_provider = provider
        self._controller = controller
        self._preferences = preferences
        self._remember = remember
        self._words = Wording(self)
        self._theme = theme_named(preferences.theme, preferences.zoom / 100)
        self._shortcuts: ShortcutsDialog | None = None
        self.setWindowTitle("Canopy")
        self.setDockNestingEnabled(True)
        self.prompt = PromptPanel(self._theme)
        self.tokens = TokenPanel(self._theme)
        self.probabilities = ProbabilityPanel(self._theme)
        self.attention = AttentionPanel(self._theme)
        self.metrics = MetricsPanel(self._theme)
        self.docks = self._make_docks()
        self.commands = make_actions(self)
        self._view_menu = ViewMenu(self.docks.values(), self.commands, self)
        self.transport = Transport(self.commands, self._view_menu, self._theme)
        self.addToolBar(self.transport)
        self._connect_commands()
        self._connect_controller()
        self._connect_panels()
        self._apply_look()
        self.resize(layout.DEFAULT_SIZE)
        layout.arrange(self, self.docks)
        layout.restore(self, preferences.geometry, preferences.docks)
        self._show_preferences()
        self._on_state_changed(controller.state)
        self.prompt.setFocus()  # a first start begins with typing

    def _make_docks(self) -> dict[str, Dock]:
        docks = {
            layout.PROMPT: Dock(layout.PROMPT, self.tr("Prompt"), self.prompt, self._theme),
            layout.TOKENS: Dock(layout.TOKENS, self.tr("Text"), self.tokens, self._theme),
            layout.PROBABILITIES: Dock(
                layout.PROBABILITIES, self.tr("Next-token probabilities"), self.probabilities, self._theme
            ),
            layout.ATTENTION: Dock(layout.ATTENTION, self.tr("Attention"), self.attention, self._theme),
            layout.METRICS: Dock(layout.METRICS, self.tr("Metrics"), self.metrics, self._theme),
        }
        for panel, key in (
            (self.prompt, layout.PROMPT),
            (self.tokens, layout.TOKENS),
            (self.probabilities, layout.PROBABILITIES),
            (self.attention, layout.ATTENTION),
            (self.metrics, layout.METRICS),
        ):
            docks[key].set_subtitle(panel.title())
            panel.title_changed.connect(docks[key].set_subtitle)
        return docks

    def _connect_commands(self) -> None:
        controller, commands = self._controller, self.commands
        for command, slot in (
            (Command.RUN, controller.toggle),
            (Command.STEP, controller.step),
            (Command.BACK, controller.back),
            (Command.STOP, controller.stop),
            (Command.RESET, controller.reset),
            (Command.ZOOM_IN, self._on_zoom_in),
            (Command.ZOOM_OUT, self._on_zoom_out),
            (Command.ZOOM_RESET, self._on_zoom_reset),
            (Command.RESET_LAYOUT, self.reset_layout),
            (Command.SHORTCUTS, self._on_shortcuts_requested),
            (Command.QUIT, self.close),
        ):
            commands[command].triggered.connect(slot)
        self._view_menu.theme_chosen.connect(self._on_theme_chosen)
        self.transport.speed_changed.connect(controller.set_interval)

    def _connect_controller(self) -> None:
        controller = self._controller
        controller.load_progressed.connect(self._on_load_progressed)
        controller.model_opened.connect(self._on_model_opened)
        controller.draft.encoded.connect(self._on_draft_encoded)
        controller.draft.refused.connect(self._on_draft_refused)
        controller.view_changed.connect(self._on_view_changed)
        controller.metrics_changed.connect(self._on_metrics_changed)
        controller.state_changed.connect(self._on_state_changed)
        controller.failed.connect(self.report)
        controller.begun.connect(self._on_run_begun)

    def _connect_panels(self) -> None:
        controller = self._controller
        self.prompt.changed.connect(self._on_prompt_changed)
        self.prompt.settings_changed.connect(controller.set_decoding)
        self.prompt.window_changed.connect(self._on_window_changed)
        self.prompt.run_clicked.connect(controller.run)
        self.prompt.step_clicked.connect(controller.step)
        self.prompt.submitted.connect(self._on_prompt_submitted)
        self.tokens.position_selected.connect(controller.select)
        self.probabilities.branch_requested.connect(self._on_branch_requested)
        self.probabilities.shown_changed.connect(controller.show_bars)
        self.attention.head_selected.connect(controller.select_head)
        self.attention.hide_first_toggled.connect(controller.hide_first)
        self.attention.position_selected.connect(controller.select)
        self.attention.compute_again_requested.connect(controller.compute_again)

    def _show_preferences(self) -> None:
        selection = self._controller.selection
        self.prompt.set_prompt(self._controller.draft.request)
        self.prompt.set_settings(self._controller.decoding)
        self.prompt.set_window(self._controller.window, 0)
        self.probabilities.set_shown(selection.shown)
        self.attention.set_selected(selection.layer, selection.head, selection.hide_first)
        self.transport.set_speed(self._controller.interval_ms)
        self._view_menu.show_theme(self._preferences.theme)

    @Slot(object)
    def report(self, error: Exception) -> None:
        """Say in the window what went wrong and what to do."""
        self.tokens.set_message(self._words.of_error(error).text)
        self.docks[layout.TOKENS].show()

    def closeEvent(self, event: QCloseEvent) -> None:
        geometry, docks = layout.remembered(self)
        selection = self._controller.selection
        self._remember(
            replace(
                self._preferences,
                prompt=self._controller.draft.request,
                decoding=self._controller.decoding,
                window=self._controller.window,
                layer=selection.layer,
                head=selection.head,
                hide_first=selection.hide_first,
                shown=selection.shown,
                speed_ms=self._controller.interval_ms,
                geometry=geometry,
                docks=docks,
            )
        )
        self.hide()  # a thread that is slow to end is nothing to look at
        self._controller.shutdown()
        event.accept()

    @Slot(float)
    def _on_load_progressed(self, share: float) -> None:
        self.tokens.set_message(self.tr("The model is loading: {percent} %").format(percent=round(100 * share)))

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        size = session.card.architecture
        selection = self._controller.selection
        missed = self._asked_provider == "cuda" and session.provider.name != "cuda"
        self.tokens.set_message(session.provider.reason if missed else "")
        self.transport.set_model(session)
        self.prompt.set_chat_available(session.template is not None)
        self.prompt.set_default_system(session.template.default_system if session.template else None)
        self.prompt.set_window(self._controller.window, size.context)
        self.attention.set_model(size.layers, size.heads)
        self.attention.set_selected(selection.layer, selection.head, selection.hide_first)

    @Slot(object)
    def _on_draft_encoded(self, prompt: TemplatedPrompt) -> None:
        session = self._controller.session
        if session is not None:
            size = self._controller.window.tokens(session.card.architecture.context)
            self.prompt.set_counted(prompt, size, session.tokenizer.tokens(prompt.ids))

    @Slot(object)
    def _on_draft_refused(self, error: Exception) -> None:
        self.prompt.set_counted(None, 0, ())

    @Slot(object)
    def _on_window_changed(self, window: ContextWindow) -> None:
        self._controller.set_window(window)
        self._controller.draft.encode()  # what fits has changed

    @Slot()
    def _on_prompt_changed(self) -> None:
        self._controller.draft.edit(self.prompt.request())

    @Slot(object)
    def _on_prompt_submitted(self, wish: tuple[PromptRequest, DecodingSettings, bool]) -> None:
        request, settings, play = wish
        self._controller.draft.edit(request)
        self._controller.set_decoding(settings)
        if play:
            self._controller.run()
        else:
            self._controller.step()

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self.tokens.set_view(view)
        self.probabilities.set_distribution(view.distribution, first=view.selected == 0)
        self.attention.set_attention(
            view.attention, pending=bool(view.chips) and view.attention is None, gone=view.attention_gone
        )

    @Slot(object)
    def _on_metrics_changed(self, metrics: MetricsView) -> None:
        self.metrics.set_metrics(metrics)

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        for command, possible in (
            (Command.RUN, state.can_run),
            (Command.STEP, state.can_run),
            (Command.BACK, state.can_go_back),
            (Command.STOP, state.can_stop),
            (Command.RESET, state.can_reset),
        ):
            self.commands[command].setEnabled(possible)
        self.transport.set_state(state, self._words.of_state(state))
        prefilling = state.phase is RunPhase.PREFILLING
        if state.to_slide:
            self.tokens.set_busy(state.slid, state.to_slide, sliding=True)
        else:
            self.tokens.set_busy(state.processed, state.prompt_tokens if prefilling else 0)
        self.prompt.set_running(state.busy)
        self.setWindowTitle(self._titled(state))

    def _titled(self, state: RunState) -> str:
        if state.phase is RunPhase.LOADING:
            return self.tr("Canopy – loading")
        if not state.prompt_tokens:
            return "Canopy"
        return self.tr("Canopy – {prompt} + {generated} tokens").format(
            prompt=state.prompt_tokens, generated=state.generated
        )

    @Slot()
    def _on_run_begun(self) -> None:
        self.tokens.set_message("")

    @Slot(object)
    def _on_branch_requested(self, choice: tuple[int, int]) -> None:
        self._controller.choose(*choice)

    @Slot(str)
    def _on_theme_chosen(self, name: str) -> None:
        self._preferences = replace(self._preferences, theme=name)
        self._apply_look()

    @Slot()
    def _on_zoom_in(self) -> None:
        self._zoom(zoomed(self._preferences.zoom, 1))

    @Slot()
    def _on_zoom_out(self) -> None:
        self._zoom(zoomed(self._preferences.zoom, -1))

    @Slot()
    def _on_zoom_reset(self) -> None:
        self._zoom(100)

    def _zoom(self, percent: int) -> None:
        self._preferences = replace(self._preferences, zoom=percent)
        self._apply_look()
        QTimer.singleShot(SETTLE_MS, self._on_zoomed)

    @Slot()
    def _on_zoomed(self) -> None:
        layout.lower_metrics(self, self.docks)  # it has grown with larger text, and would stay so with smaller

    def _apply_look(self) -> None:
        theme = self._theme = theme_named(self._preferences.theme, self._preferences.zoom / 100)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            apply_theme(app, theme)
        self.setStyleSheet(shell_style(theme))
        for panel in (self.prompt, self.tokens, self.probabilities, self.attention, self.metrics):
            panel.set_theme(theme)
        for dock in self.docks.values():
            dock.set_theme(theme)
        self.transport.set_theme(theme)

    @Slot()
    def reset_layout(self) -> None:
        """Put all docks back in their places."""
        layout.arrange(self, self.docks)

    @Slot()
    def _on_shortcuts_requested(self) -> None:
        if self._shortcuts is None:
            self._shortcuts = ShortcutsDialog(self)
        self._shortcuts.show()
        self._shortcuts.raise_()

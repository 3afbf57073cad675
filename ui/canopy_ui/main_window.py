"""The window: the docks, the workspaces and the transport around one controller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import Slot
from PySide6.QtGui import QCloseEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QMainWindow

from canopy_desktop.exploration.stages import StepStage
from canopy_desktop.settings import Preferences
from canopy_ui import layout, opening
from canopy_ui.actions import Command, make_actions
from canopy_ui.controller import Controller
from canopy_ui.deed_words import redo_words, undo_words
from canopy_ui.dock import Dock
from canopy_ui.docks import DOCKS
from canopy_ui.entries import Entry, entries_of
from canopy_ui.export import Exporter
from canopy_ui.file_menu import FileDrop, FileMenu
from canopy_ui.files import Files
from canopy_ui.kept_keys import KeptKeys
from canopy_ui.links.stage_link import StageLink
from canopy_ui.links.table_link import link_tables
from canopy_ui.messages import Wording
from canopy_ui.models_desk import ModelsDesk, OpenerOf
from canopy_ui.models_window import ModelsWindow
from canopy_ui.offer_bar import OfferBar
from canopy_ui.palette import CommandPalette
from canopy_ui.panel_focus import focused, neighbour
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.shell_style import shell_style
from canopy_ui.shortcuts import ShortcutsDialog
from canopy_ui.stage_strip import StageStrip
from canopy_ui.stage_walk import StageWalk
from canopy_ui.state import RunPhase, RunState
from canopy_ui.switcher import Switcher
from canopy_ui.system_look import SystemLook, motion_wanted
from canopy_ui.theme import apply_theme, theme_named
from canopy_ui.transport import Transport
from canopy_ui.view_menu import ViewMenu, zoomed
from canopy_ui.widgets.numbers import byte_size
from canopy_ui.widgets.panel import Panel
from canopy_ui.workspaces import PANELS_OF_STAGE, TOKENS

if TYPE_CHECKING:
    from canopy_desktop.exploration.session import ModelSession

_Kind = TypeVar("_Kind", bound=Panel)


class MainWindow(QMainWindow):
    """Shows what the controller tells, and tells it what the person wishes. Owns neither threads nor facts."""

    def __init__(
        self,
        controller: Controller,
        preferences: Preferences,
        remember: Callable[[Preferences], None],
        provider: str = "auto",
        files: Files | None = None,
        opener_of: OpenerOf | None = None,
    ) -> None:
        """`remember` keeps the preferences when the window closes; `provider` is the one that was asked for.

        `files` None: nothing is kept but what a person saves. `opener_of`: how another model is opened.
        """
        super().__init__()
        budget = preferences.memory_budget_mb
        self.models = ModelsDesk(
            controller,
            partial(opening.opener_of, provider=provider, memory_budget_mb=budget) if opener_of is None else opener_of,
            memory_budget_mb=budget,
            parent=self,
        )
        self.files = Files(controller, recent=preferences.recent_files) if files is None else files
        self.files.setParent(self)
        self._asked_provider = provider
        self._controller = controller
        self._preferences = preferences
        self._remember = remember
        self._words = Wording(self)
        self._system = SystemLook(self)
        self._theme = theme_named(self._system.theme_name(preferences.theme), preferences.zoom / 100)
        self._palette: CommandPalette | None = None
        self._shortcuts: ShortcutsDialog | None = None
        self._models: ModelsWindow | None = None
        self._awaited = preferences.model  # the default that a person chose, until a model is there
        self.setWindowTitle("Canopy")
        self.setDockNestingEnabled(True)
        self._panels = tuple(spec.panel(self._theme) for spec in DOCKS)
        self.docks = {
            spec.key: Dock(spec, panel, self._theme, self) for spec, panel in zip(DOCKS, self._panels, strict=True)
        }
        self.workspaces = Switcher(self, self.docks)
        self._exporter = Exporter(controller, self)
        self.commands = make_actions(self)
        self._view_menu = ViewMenu(self.docks.values(), self.workspaces.actions, self.commands, self)
        self._file_menu = FileMenu(self.files, self.commands, self)
        self.transport = Transport(
            self.commands, self.workspaces.actions, self._file_menu, self._view_menu, self._theme
        )
        self._offers = OfferBar(self.files, self._theme)
        self.setMenuWidget(self._offers)
        self.addToolBar(self.transport)
        self.stages = StageStrip(self.commands, self._theme)
        self.addToolBarBreak()
        self.addToolBar(self.stages)
        self.transport.model_left_out.connect(self.stages.set_model)
        self._stage_link, self._walk = StageLink(self.stages, controller), StageWalk(controller, self)
        for spec, panel in zip(DOCKS, self._panels, strict=True):
            spec.link(panel, controller)
            link_tables(panel, controller.lighting)
        self._connect_commands()
        self._connect_controller()
        self._apply_look()
        self.resize(layout.DEFAULT_SIZE)
        layout.restore_geometry(self, preferences.geometry)
        self.workspaces.restore(preferences.docks)
        KeptKeys(self.commands[Command.PALETTE], self)  # the panels' fields are the window's from here on
        FileDrop(self.files, self).model_dropped.connect(self._on_model_dropped)
        self.transport.set_speed(controller.interval_ms)
        self._view_menu.show_theme(preferences.theme)
        self._view_menu.still.setChecked(preferences.still)
        self._on_state_changed(controller.state)
        self._panels[0].setFocus()  # a first start begins with typing

    def panel(self, kind: type[_Kind]) -> _Kind:
        """The panel of this kind. Raises `LookupError` where the window has none."""
        for panel in self._panels:
            if isinstance(panel, kind):
                return panel
        raise LookupError(kind.__name__)

    def _connect_commands(self) -> None:
        controller, commands = self._controller, self.commands
        for command, slot in (
            (Command.RUN, controller.toggle),
            (Command.STEP, controller.step),
            (Command.BACK, controller.back),
            (Command.NEXT_STAGE, self._walk.forward),
            (Command.PREVIOUS_STAGE, self._walk.back),
            (Command.SLOW_MOTION, self._walk.play),
            (Command.STOP, controller.stop),
            (Command.UNDO, controller.undo),
            (Command.REDO, controller.redo),
            (Command.RESET, controller.reset),
            (Command.ZOOM_IN, self._on_zoom_in),
            (Command.ZOOM_OUT, self._on_zoom_out),
            (Command.ZOOM_RESET, self._on_zoom_reset),
            (Command.RESET_WORKSPACE, self.workspaces.reset),
            (Command.RESET_WORKSPACES, self.workspaces.reset_all),
            (Command.MODELS, self.show_models),
            (Command.PALETTE, self._on_palette_requested),
            (Command.NEXT_PANEL, self._on_next_panel_requested),
            (Command.PREVIOUS_PANEL, self._on_previous_panel_requested),
            (Command.PANEL_HELP, self._on_panel_help_requested),
            (Command.SHORTCUTS, self._on_shortcuts_requested),
            (Command.QUIT, self.close),
        ):
            commands[command].triggered.connect(slot)
        self._view_menu.theme_chosen.connect(self._on_theme_chosen)
        self._view_menu.still.toggled.connect(self._on_still_toggled)
        self._system.changed.connect(self._on_system_look_changed)
        self._exporter.failed.connect(self.report)
        for dock in self.docks.values():
            dock.export_wanted.connect(self._exporter.export)
        app = QGuiApplication.instance()
        if isinstance(app, QGuiApplication):
            app.screenRemoved.connect(self._on_screen_removed)
        self.transport.speed_changed.connect(controller.set_interval)
        self.transport.speed_changed.connect(self._walk.set_pace)
        self._walk.slow_changed.connect(commands[Command.SLOW_MOTION].setChecked)
        self._stage_link.stage_meant.connect(self._on_stage_meant)

    def _connect_controller(self) -> None:
        controller = self._controller
        controller.model_opened.connect(self._on_model_opened)
        controller.state_changed.connect(self._on_state_changed)
        controller.failed.connect(self.report)
        self.files.failed.connect(self.report)
        self.files.changed.connect(self._on_files_changed)
        self.files.copied.connect(self._on_copied)

    @Slot(object)
    def report(self, error: Exception) -> None:
        """Say in the window what went wrong and what to do."""
        self.panel(TokenPanel).set_message(self._words.of_error(error).text)
        self.docks[TOKENS].show()

    def closeEvent(self, event: QCloseEvent) -> None:
        selection = self._controller.sight.selection
        self._remember(
            replace(
                self._preferences,
                prompt=self._controller.draft.request,
                decoding=self._controller.wishes.decoding,
                new_seeds=self._controller.wishes.new_seeds,
                filter_file=self._controller.wishes.filter.file,
                filter_action=self._controller.wishes.filter.action,
                facts_file=self._controller.facts.choice.file,
                facts_best=self._controller.facts.choice.best,
                window=self._controller.wishes.window,
                layer=selection.layer,
                head=selection.head,
                hide_first=selection.hide_first,
                shown=selection.shown,
                kitchen_words=self._controller.sight.kitchen_words,
                speed_ms=self._controller.interval_ms,
                geometry=layout.remembered_geometry(self),
                docks=self.workspaces.remembered(),
                recent_files=tuple(str(path) for path in self.files.recent),
                file=str(self.files.file or ""),
                file_saved=not self.files.modified,
            )
        )
        self.files.close()
        self.models.close()
        self._exporter.finish()
        self.hide()  # a thread that is slow to end is nothing to look at
        self._controller.shutdown()
        event.accept()

    @Slot(object)
    def _on_model_opened(self, session: ModelSession) -> None:
        self.transport.set_model(session)
        chosen, self._awaited = self._awaited, ""
        if chosen and session.bundle.folder.name != chosen:
            text = self.tr("The default model {chosen} is not there any more, so {found} was opened.")
            self.panel(TokenPanel).set_message(text.format(chosen=chosen, found=session.card.title))
        if self._asked_provider == "cuda" and session.provider.name != "cuda":
            self.panel(TokenPanel).set_message(session.provider.reason)

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        for command, possible in (
            (Command.RUN, state.can_run),
            (Command.STEP, state.can_run),
            (Command.BACK, state.can_go_back),
            (Command.NEXT_STAGE, state.can_run),
            (Command.PREVIOUS_STAGE, state.can_go_back),
            (Command.SLOW_MOTION, state.can_run),
            (Command.STOP, state.can_stop),
            (Command.UNDO, state.can_undo),
            (Command.REDO, state.can_redo),
            (Command.RESET, state.can_reset),
        ):
            self.commands[command].setEnabled(possible)
        self.commands[Command.UNDO].setText(undo_words(state.undoes))
        self.commands[Command.REDO].setText(redo_words(state.redoes))
        self.transport.set_state(state, self._words.of_state(state))
        if state.busy:
            self._mark(None)
        self._file_menu.refresh(busy=state.busy)
        self._show_title()

    @Slot()
    def _on_files_changed(self) -> None:
        self._show_title()

    @Slot(object, int)
    def _on_copied(self, file: Path, size: int) -> None:
        text = self.tr("{name} is saved, with attention: {size}.")
        self.panel(TokenPanel).set_message(text.format(name=file.name, size=byte_size(size, digits=3)), calm=True)

    def _show_title(self) -> None:
        """The file first, with the system's mark where something is not saved."""
        title, file = self._titled(self._controller.state), self.files.file
        self.setWindowTitle(title if file is None else f"{file.name.replace('[*]', '[*][*]')}[*] – {title}")
        if file is not None:
            self.setWindowModified(self.files.modified)

    @Slot(object)
    def _on_stage_meant(self, stage: StepStage) -> None:
        """Bring the stage's panel forward where the workspace shows it, and mark it; the keyboard stays."""
        shown = [self.docks[key] for key in PANELS_OF_STAGE[stage] if not self.docks[key].isHidden()]
        if shown:
            shown[0].raise_()
        self._mark(shown[0] if shown else None)

    def _mark(self, meant: Dock | None) -> None:
        for dock in self.docks.values():
            dock.set_meant(dock is meant)

    def _titled(self, state: RunState) -> str:
        if state.phase is RunPhase.LOADING:
            return self.tr("Canopy – loading")
        if not state.prompt_tokens:
            return "Canopy"
        return self.tr("Canopy – {prompt} + {generated} tokens").format(
            prompt=state.prompt_tokens, generated=state.generated
        )

    @Slot(str)
    def _on_theme_chosen(self, name: str) -> None:
        self._preferences = replace(self._preferences, theme=name)
        self._apply_look()

    @Slot(bool)
    def _on_still_toggled(self, still: bool) -> None:
        self._preferences = replace(self._preferences, still=still)
        self._apply_look()

    @Slot()
    def _on_system_look_changed(self) -> None:
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
        self.workspaces.settle_later()

    def _apply_look(self) -> None:
        name = self._system.theme_name(self._preferences.theme)
        theme = self._theme = theme_named(name, self._preferences.zoom / 100)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            apply_theme(app, theme)
        self.setStyleSheet(shell_style(theme))
        self._system.allow_motion(not self._preferences.still)
        self.setAnimated(motion_wanted())
        for panel in self._panels:
            panel.set_theme(theme)
        for dock in self.docks.values():
            dock.set_theme(theme)
        self.transport.set_theme(theme)
        self._offers.set_theme(theme)
        self.stages.set_theme(theme)
        if self._models is not None:
            self._models.set_theme(theme)

    @Slot()
    def _on_screen_removed(self) -> None:
        layout.bring_on_screen(self)

    def entries(self) -> tuple[Entry, ...]:
        """Everything that can be done."""
        self._file_menu.show_offer()
        docks = self.docks.values()
        in_sight = [dock for dock in docks if dock.isVisible()]
        for dock in in_sight:
            dock.export_menu.refresh()
        return (
            *entries_of(self.tr("Command"), list(self.commands.values())),
            *entries_of(self.tr("Recent file"), self._file_menu.recent_actions()),
            *entries_of(self.tr("Workspace"), self.workspaces.actions.actions()),
            *entries_of(self.tr("Panel"), [dock.reveal_action for dock in docks]),
            *entries_of(self.tr("Help"), [dock.help_action for dock in docks]),
            *(entry for dock in in_sight for entry in entries_of(dock.windowTitle(), dock.export_menu.entries())),
            *entries_of(self.tr("Colours"), (*self._view_menu.themes(), self._view_menu.still)),
        )

    @Slot()
    def show_models(self) -> None:
        """Show the place where models are."""
        if self._models is None:
            self._models = ModelsWindow(self.models, self._theme, self)
            FileDrop(self.files, self._models).model_dropped.connect(self._models.import_source)
        self._models.show_with(self._theme)

    @Slot(object)
    def _on_model_dropped(self, path: Path) -> None:
        self.show_models()
        if self._models is not None:
            self._models.import_source(path)

    @Slot()
    def _on_palette_requested(self) -> None:
        if self._palette is None:
            self._palette = CommandPalette(self)
        self._palette.ask(self.entries(), self._theme)

    @Slot()
    def _on_next_panel_requested(self) -> None:
        self._go_to_neighbour(1)

    @Slot()
    def _on_previous_panel_requested(self) -> None:
        self._go_to_neighbour(-1)

    def _go_to_neighbour(self, steps: int) -> None:
        dock = neighbour(self._in_reading_order(), steps)
        if dock is not None:
            dock.reveal()

    @Slot()
    def _on_panel_help_requested(self) -> None:
        docks = self._in_reading_order()
        dock = focused(docks) or neighbour(docks, 1)
        if dock is not None:
            dock.show_help()

    def _in_reading_order(self) -> list[Dock]:
        """The docks of the open workspace, then the others."""
        first = self.workspaces.workspace.docks
        return [self.docks[key] for key in (*first, *(key for key in self.docks if key not in first))]

    @Slot()
    def _on_shortcuts_requested(self) -> None:
        if self._shortcuts is None:
            self._shortcuts = ShortcutsDialog(self.entries(), self)
        self._shortcuts.show_with(self._theme)

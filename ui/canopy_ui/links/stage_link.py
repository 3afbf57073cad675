"""The stages of the selected step on the strip, and the stage that is chosen there."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.stages import StepStage, stages_of
from canopy_desktop.exploration.view import WindowView
from canopy_ui.controller import Controller
from canopy_ui.stage_strip import StageStrip
from canopy_ui.state import RunPhase, RunState
from canopy_ui.widgets.numbers import grouped

LEGIBLE_MS = 250  # from one token to the next: whoever is faster is not read


class StageLink(QObject):
    """Belongs to the strip."""

    stage_meant = Signal(object)  # StepStage: somebody went there

    def __init__(self, strip: StageStrip, controller: Controller) -> None:
        super().__init__(strip)
        self._strip = strip
        self._controller = controller
        self._view = WindowView()
        self._shown: tuple[object, ...] = ()  # what the strip shows follows from
        strip.stage_chosen.connect(controller.sight.look_at_stage)
        controller.view_changed.connect(self._on_view_changed)
        controller.state_changed.connect(self._on_state_changed)
        self._show(controller.state)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        moved = view.stage is not self._view.stage
        self._view = view
        self._show(self._controller.state)
        if moved:
            self.stage_meant.emit(view.stage)

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        self._show(state)

    def _show(self, state: RunState) -> None:
        view, step, session = self._view, self._view.step, self._controller.session
        if state.phase is RunPhase.PREFILLING:
            self._shown = ()
            done, total = grouped(state.processed), grouped(state.prompt_tokens)
            line = self.tr("Reading the prompt: {done} of {total} tokens have passed through the blocks")
            if state.to_remake:
                done, total = grouped(state.remade), grouped(state.to_remake)
                line = self.tr("Computing again: {done} of {total} tokens have passed through the blocks")
            self._strip.set_busy(
                StepStage.LAYERS,
                {StepStage.LAYERS: self.tr("{done} of {total}").format(done=done, total=total)},
                line.format(done=done, total=total),
            )
        elif state.busy and self._controller.interval_ms < LEGIBLE_MS:
            self._shown = ()
            self._strip.set_busy(view.stage)
        elif step is None or session is None or state.alone:
            self._shown = ()
            self._strip.set_stages(None, view.stage, self._invitation(state))
        elif self._shown != (step, view.stage, view.distribution):
            self._shown = (step, view.stage, view.distribution)
            tokens = [chip.token for chip in view.chips]
            architecture, token_of = session.card.architecture, session.tokenizer.token
            self._strip.set_stages(stages_of(step, tokens, view.distribution, architecture, token_of), view.stage)

    def _invitation(self, state: RunState) -> str:
        if state.alone:
            return self.tr("The stages need the model that made this exploration")
        if self._view.chips and state.generated:
            return self.tr("This token stands in the prompt: select one that was generated to see its stages")
        if not state.can_run:
            return self.tr("Type a prompt, and press Stage: its first token is made stage by stage")
        return self.tr("Press Stage: the next token is made stage by stage")

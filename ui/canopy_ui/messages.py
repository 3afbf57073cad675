"""Words for errors and states, as a person reads them in the window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QObject

from canopy_desktop import errors
from canopy_desktop.decoding.stopping import StopReason
from canopy_ui.state import RunPhase, RunState
from canopy_ui.widgets.numbers import byte_size


class Tone(Enum):
    """How much a message matters."""

    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Message:
    """One clear sentence."""

    text: str
    tone: Tone = Tone.NOTE


class Wording(QObject):
    """Turns facts into sentences of the person's language."""

    def of_error(self, error: Exception) -> Message:
        """What happened and what to do about it."""
        text = self._of_model(error) or self._of_prompt(error) or self._of_engine(error) or self._of_other(error)
        return Message(text or self.unexpected(), Tone.WARNING)

    def unexpected(self) -> str:
        """For a mistake of the program itself."""
        return self.tr("Something unexpected went wrong. The log has the details; you can go on.")

    def of_state(self, state: RunState) -> str:
        """A few words on where the run stands."""
        match state.phase:
            case RunPhase.LOADING:
                return self.tr("The model is loading")
            case RunPhase.EMPTY:
                return self.tr("Type a prompt to begin")
            case RunPhase.READY:
                return self.tr("Ready")
            case RunPhase.PREFILLING | RunPhase.RUNNING if state.to_remake:
                return self.tr("Computing again: {done:,} of {total:,} tokens").format(
                    done=state.remade, total=state.to_remake
                )
            case RunPhase.PREFILLING:
                return self.tr("Reading the prompt: {done:,} of {total:,} tokens").format(
                    done=state.processed, total=state.prompt_tokens
                )
            case RunPhase.RUNNING if state.to_slide:
                return self.tr("The window slides: {done:,} of {total:,} tokens").format(
                    done=state.slid, total=state.to_slide
                )
            case RunPhase.RUNNING:
                return self.tr("Replaying what is recorded") if state.alone else self.tr("Generating")
            case RunPhase.PAUSED:
                return self.tr("Paused")
            case RunPhase.FINISHED:
                return self._of_end(state.reason)
            case RunPhase.FAILED:
                return self.tr("Stopped by an error") if state.loaded else self.tr("No model")

    def _of_end(self, reason: StopReason | None) -> str:
        match reason:
            case StopReason.MAX_TOKENS:
                return self.tr("Finished: as many tokens as asked for")
            case StopReason.END_TOKEN:
                return self.tr("Finished: the model ended its text")
            case StopReason.STOP_SEQUENCE:
                return self.tr("Finished: the stop text came")
            case StopReason.FILTERED:
                return self.tr("Finished: the output filter stopped it")
            case StopReason.CONTEXT_FULL:
                return self.tr("Finished: the context window is full")
            case StopReason.CANCELLED | None:
                return self.tr("Stopped")

    def _of_model(self, error: Exception) -> str:
        match error:
            case errors.SourceError(path=path, reason=reason):
                return self.tr("{name} cannot be used as a source: {reason}.").format(name=path.name, reason=reason)
            case errors.BundleError(path=path, reason=reason):
                return self.tr("The model in {name} cannot be opened: {reason}. Build or copy it again.").format(
                    name=path.name, reason=reason
                )
            case errors.ModelNotFoundError(name=name):
                return self.tr(
                    "No model called {name} is installed: build it with “canopy-desktop models build”."
                ).format(name=name)
            case errors.BuildError(reason=reason, remedy=remedy):
                return self.tr("The model could not be built: {reason}. {remedy}").format(reason=reason, remedy=remedy)
            case errors.ExportSetupError(reason=reason, remedy=remedy):
                return self.tr("The environment for exports was not made: {reason}. {remedy}").format(
                    reason=reason, remedy=remedy
                )
            case errors.ModelKeptError(name=name, reason=reason):
                return self.tr("The model {name} stays as it is: {reason}.").format(name=name, reason=reason)
            case errors.MemoryNeededError():
                return self._of_memory(error)
            case _:
                return ""

    def _of_memory(self, error: errors.MemoryNeededError) -> str:
        text = self.tr("{name} with a context of {context:,} tokens needs {needed} of memory, and {free} are free: ")
        if error.fitting and error.is_fp32:
            text += self.tr("choose a context of {fitting:,} tokens or fewer, or its 8-bit form (File, Models).")
        elif error.fitting:
            text += self.tr("choose a context of {fitting:,} tokens or fewer (File, Models), or close other programs.")
        elif error.is_fp32:
            text += self.tr("choose its 8-bit form (File, Models), or close other programs.")
        else:
            text += self.tr("close other programs, or choose a smaller model (File, Models).")
        return text.format(
            name=error.name,
            context=error.context,
            needed=byte_size(error.needed),
            free=byte_size(error.free),
            fitting=error.fitting,
        )

    def _of_prompt(self, error: Exception) -> str:
        match error:
            case errors.EmptyPromptError():
                return self.tr("The prompt is empty: type at least one character.")
            case errors.PromptTooLongError():
                return self._too_long(error)
            case errors.TemplateError(reason=reason):
                return self.tr("The chat template cannot be filled in: {reason}. Use plain completion.").format(
                    reason=reason
                )
            case _:
                return ""

    def _too_long(self, error: errors.PromptTooLongError) -> str:
        text = self.tr("The prompt has {length:,} tokens, but the context holds {context:,}: shorten it by {over:,}.")
        if error.history and error.facts:
            text += self.tr(" {history:,} of them are the chat's history, {facts:,} are facts.")
        elif error.history:
            text += self.tr(" {history:,} of them are the chat's history.")
        elif error.facts:
            text += self.tr(" {facts:,} of them are facts.")
        return text.format(
            length=error.length,
            context=error.context,
            over=error.length - error.context,
            history=error.history,
            facts=error.facts,
        )

    def _of_engine(self, error: Exception) -> str:
        match error:
            case errors.ContextFullError(context=context):
                return self.tr("The context is full: all {context:,} positions are taken. Go back, or reset.").format(
                    context=context
                )
            case errors.InterruptedStepError():
                return self.tr("The step was interrupted: press Run to go on.")
            case errors.OutOfMemoryError(length=length):
                return self.tr(
                    "There is not enough memory to go on after {length:,} tokens: close other programs, or shorten the "
                    "prompt."
                ).format(length=length)
            case errors.ColumnsGoneError(what=what, tokens=tokens):
                return self.tr("The {what} of {tokens:,} tokens made room for newer ones: compute them again.").format(
                    what=self.tr(what), tokens=tokens
                )
            case errors.NotGivenError(what=what):
                return self.tr(
                    "This model’s own graph gives probabilities and a cache, and no {what}: to see this, choose a "
                    "model that was built here (File, Models)."
                ).format(what=self.tr(what))
            case errors.CardMemoryError():
                return self.tr("The card's memory is full: choose a smaller context, or the CPU.")
            case errors.ProviderError(provider=provider, reason=reason):
                return self.tr("The {provider} provider failed: {reason}. Run again, or choose the CPU.").format(
                    provider=provider.upper(), reason=reason
                )
            case _:
                return ""

    def _of_other(self, error: Exception) -> str:
        match error:
            case errors.SettingsError(name=name, reason=reason):
                return self.tr("{name} {reason}.").format(name=self.tr(name), reason=reason)
            case errors.NothingLeftError(what=what):
                return self.tr("No token is left to choose from, because of {what}: allow at least one.").format(
                    what=self.tr(what)
                )
            case errors.OtherModelError(model=model):
                return self.tr(
                    "{model} made this exploration: it can be read and replayed. To go on, open that model (File, "
                    "Models); at its end, Run begins the prompt anew with the model that is open."
                ).format(model=model)
            case errors.StorageError(path=path, reason=reason):
                return self.tr("{name}: {reason}.").format(name=path.name, reason=reason)
            case errors.UsageError():
                return str(error)
            case _:
                return ""

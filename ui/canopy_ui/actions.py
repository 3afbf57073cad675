"""What a person can do with the whole window, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QAction, QKeySequence

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget


class Command(Enum):
    """One thing to do."""

    NEW = "new"
    OPEN = "open"
    SAVE = "save"
    SAVE_AS = "save_as"
    SAVE_COPY = "save_copy"
    MODELS = "models"
    RESET = "reset"
    BACK = "back"
    STEP = "step"
    NEXT_STAGE = "next_stage"
    PREVIOUS_STAGE = "previous_stage"
    SLOW_MOTION = "slow_motion"
    RUN = "run"
    STOP = "stop"
    UNDO = "undo"
    REDO = "redo"
    ZOOM_IN = "zoom_in"
    ZOOM_OUT = "zoom_out"
    ZOOM_RESET = "zoom_reset"
    RESET_WORKSPACE = "reset_workspace"
    RESET_WORKSPACES = "reset_workspaces"
    PALETTE = "palette"
    NEXT_PANEL = "next_panel"
    PREVIOUS_PANEL = "previous_panel"
    PANEL_HELP = "panel_help"
    SHORTCUTS = "shortcuts"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A command's name, explanation and keys; the first key is shown."""

    command: Command
    text: str
    tip: str
    keys: tuple[str, ...] = ()


# The texts are translated in the context "Actions".
SPECS = (
    ActionSpec(Command.RUN, "Run", "Run or pause", ("Ctrl+Return", "Ctrl+Enter")),
    ActionSpec(Command.STEP, "Step", "Generate one token", ("F10", "Ctrl+Right")),
    ActionSpec(Command.BACK, "Back", "Go back one token; nothing is lost", ("F9", "Ctrl+Left")),
    ActionSpec(
        Command.NEXT_STAGE,
        "Stage",
        "Go to the next stage of this step, from the last to another token",
        ("F8",),
    ),
    ActionSpec(Command.PREVIOUS_STAGE, "Stage back", "Go back one stage; nothing is lost", ("F7",)),
    ActionSpec(Command.SLOW_MOTION, "Slow motion", "Go from stage to stage, at the pace of the speed", ("Ctrl+F8",)),
    ActionSpec(Command.STOP, "Stop", "End the run; its text stays", ("Esc",)),
    ActionSpec(Command.UNDO, "Undo", "Take back the last deed; no text is lost", ("Ctrl+Z",)),
    ActionSpec(Command.REDO, "Redo", "Do once more what was undone", ("Ctrl+Shift+Z", "Ctrl+Y")),
    ActionSpec(Command.RESET, "Reset", "Clear the text; the prompt stays", ("Ctrl+R",)),
    ActionSpec(Command.NEW, "New", "Begin with an empty text; what was not saved can be had again", ("Ctrl+N",)),
    ActionSpec(Command.OPEN, "Open …", "Open an exploration that was saved", ("Ctrl+O",)),
    ActionSpec(Command.SAVE, "Save", "Save the exploration, with all its branches", ("Ctrl+S",)),
    ActionSpec(Command.SAVE_AS, "Save as …", "Save the exploration in another file", ("Ctrl+Shift+S",)),
    ActionSpec(
        Command.SAVE_COPY,
        "Save a copy with attention …",
        "Save another file with what attention is computed from, to be looked at where the model is not",
    ),
    ActionSpec(Command.MODELS, "Models …", "The models that are here: open, import, rename, remove", ("Ctrl+M",)),
    ActionSpec(Command.ZOOM_IN, "Larger text", "Larger text", ("Ctrl++", "Ctrl+=")),
    ActionSpec(Command.ZOOM_OUT, "Smaller text", "Smaller text", ("Ctrl+-",)),
    ActionSpec(Command.ZOOM_RESET, "Normal text", "Text at 100 %", ("Ctrl+0",)),
    ActionSpec(Command.RESET_WORKSPACE, "Reset workspace", "The panels of this workspace back in their places"),
    ActionSpec(Command.RESET_WORKSPACES, "Reset all workspaces", "The panels of every workspace back in their places"),
    ActionSpec(
        Command.PALETTE, "Find a command", "Everything that can be done, by a few letters", ("Ctrl+K", "Ctrl+Shift+P")
    ),
    ActionSpec(Command.NEXT_PANEL, "Next panel", "The keyboard to the next panel", ("F6",)),
    ActionSpec(Command.PREVIOUS_PANEL, "Previous panel", "The keyboard to the panel before", ("Shift+F6",)),
    ActionSpec(Command.PANEL_HELP, "What this panel shows", "What the panel with the keyboard shows", ("Shift+F1",)),
    ActionSpec(Command.SHORTCUTS, "Keyboard shortcuts", "The keyboard shortcuts", ("F1",)),
    ActionSpec(Command.QUIT, "Quit", "Close the window", ("Ctrl+Q",)),
)


def translated(text: str) -> str:
    """A text of `SPECS` in the person's language."""
    return QCoreApplication.translate("Actions", text)


def make_actions(window: QWidget) -> dict[Command, QAction]:
    """One action a command, with its shortcuts, owned by the window."""
    return {spec.command: _made(spec, window) for spec in SPECS}


def _made(spec: ActionSpec, window: QWidget) -> QAction:
    action = QAction(translated(spec.text), window)
    action.setShortcuts([QKeySequence(key) for key in spec.keys])
    key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    tip = translated(spec.tip)
    action.setToolTip(f"{tip} ({key})" if key else tip)
    action.setWhatsThis(tip)
    action.setObjectName(spec.command.value)
    action.setCheckable(spec.command is Command.SLOW_MOTION)
    window.addAction(action)
    return action

"""What is undone and redone, as the menu says it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from canopy_desktop.exploration.trail import Change, Deed
from canopy_ui.widgets.stage_words import settings_change

LONGEST_NAME = 40  # letters


def undo_words(change: Change | None) -> str:
    """What undoing takes back; without a deed, what the command is called."""
    return _tr("Undo") if change is None else _tr("Undo {deed}").format(deed=deed_words(change))


def redo_words(change: Change | None) -> str:
    """What redoing does once more; without a deed, what the command is called."""
    return _tr("Redo") if change is None else _tr("Redo {deed}").format(deed=deed_words(change))


def deed_words(change: Change) -> str:
    """A deed; of a setting, the value that it was given."""
    before, after = change.before, change.after
    if change.deed is Deed.SETTINGS and before is not None and after is not None:
        return settings_change(before, after)
    return {
        Deed.RUN: _tr("run"),
        Deed.GO: _tr("going to another token"),
        Deed.CHOOSE: _tr("another token"),
        Deed.BRANCH: _tr("new branch"),
        Deed.RENAME: _tr("name"),
        Deed.DELETE: _tr("deletion"),
        Deed.FOLD: _tr("folding"),
        Deed.SEARCH: _tr("search"),
        Deed.PROMPT: _tr("prompt"),
        Deed.SETTINGS: _tr("settings"),
        Deed.SEEDS: _tr("choice of seeds"),
        Deed.WINDOW: _tr("context window"),
        Deed.FILTER: _tr("output filter"),
        Deed.FACTS: _tr("facts"),
        Deed.BLOCK: _tr("forbidden look"),
        Deed.BEGIN: _tr("new text"),
        Deed.RESET: _tr("reset"),
        Deed.NEW: _tr("new exploration"),
        Deed.OPEN: _tr("opening {name}").format(name=_named(change.what)),
    }[change.deed]


def _named(file: str) -> str:
    """A file's name in a menu: not too long, and without a letter that would be underlined."""
    if not file:
        return _tr("what was not saved")
    short = file if len(file) <= LONGEST_NAME else f"{file[: LONGEST_NAME // 2]}…{file[-(LONGEST_NAME // 2) :]}"
    return short.replace("&", "&&")


def _tr(text: str) -> str:
    return QCoreApplication.translate("Deeds", text)

"""The facts file that a person chose: read, searched for a prompt, and compared with an answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from canopy_desktop.exploration.fact_check import CheckedClaim
from canopy_desktop.exploration.facts import Facts
from canopy_desktop.exploration.trail import Deed
from canopy_ui.background import Background

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FactsChoice:
    """What is remembered, and what it made."""

    file: str = ""
    best: int = 3  # facts that are put into a prompt, those that fit it best; 0: all
    facts: Facts | None = None  # None: there are none, or the file is not read yet

    def for_text(self, text: str) -> tuple[str, ...]:
        """The facts that go in before a text."""
        if self.facts is None:
            return ()
        if not self.best:
            return tuple(fact.text for fact in self.facts.facts)
        return tuple(found.fact.text for found in self.facts.search(text, self.best))


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer's sentences, compared with the facts of a file."""

    name: str
    claims: tuple[CheckedClaim, ...]


class FactsDesk(QObject):
    """Lives on the GUI thread; what takes long is done beside it."""

    changed = Signal(object)  # FactsChoice
    deed_coming = Signal(object)  # Deed, right before it is done
    refused = Signal(object)  # Exception: the file cannot be used, and the choice stays
    checked = Signal(object)  # CheckedAnswer, or None: there is nothing to compare

    def __init__(self, choice: FactsChoice, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.choice = choice
        self._reading, self._checking = Background(self), Background(self)
        self._told: CheckedAnswer | None = None
        self._reading.answered.connect(self._on_read)
        self._checking.answered.connect(self._on_checked)

    def close(self) -> None:
        """End what is under way."""
        self._reading.close()
        self._checking.close()

    @Slot()
    def open(self) -> None:
        """Read the file that was remembered."""
        if self.choice.file and self.choice.facts is None:
            self.read(self.choice.file)

    @Slot(str)
    def read(self, file: str) -> None:
        """Take the facts of this file; `changed` or `refused` follows."""
        self._reading.ask(partial(_read, file))

    @Slot()
    def leave(self) -> None:
        """Take no facts."""
        self._reading.forget()
        self._choose(FactsChoice(best=self.choice.best))

    @Slot(int)
    def take_best(self, count: int) -> None:
        """Put so many facts into a prompt; 0: all."""
        self._choose(replace(self.choice, best=count))

    def bring_back(self, choice: FactsChoice) -> None:
        """Take what was chosen before; no deed of its own."""
        self._reading.forget()
        if choice != self.choice:
            self._take(choice)

    def check(self, answer: str) -> None:
        """Compare an answer with the facts; `checked` follows."""
        facts = self.choice.facts
        if facts is None or not answer.strip():
            self.uncheck()
        else:
            self._checking.ask(partial(_checked, facts, answer))

    def uncheck(self) -> None:
        """There is no answer to compare."""
        self._checking.forget()
        self._tell(None)

    def _tell(self, checked: CheckedAnswer | None) -> None:
        if checked != self._told:
            self._told = checked
            self.checked.emit(checked)

    def _choose(self, choice: FactsChoice) -> None:
        if choice != self.choice:
            self.deed_coming.emit(Deed.FACTS)
            self._take(choice)

    def _take(self, choice: FactsChoice) -> None:
        self.choice = choice
        self.changed.emit(choice)

    @Slot(object)
    def _on_read(self, answer: tuple[str, Facts] | Exception) -> None:
        if isinstance(answer, Exception):
            logger.warning("The facts cannot be read: %s", answer)
            self.refused.emit(answer)
        else:
            file, facts = answer
            choice = replace(self.choice, file=file, facts=facts)
            if file == self.choice.file and self.choice.facts is None:  # it was remembered
                self._take(choice)
            else:
                self._choose(choice)

    @Slot(object)
    def _on_checked(self, answer: CheckedAnswer | Exception) -> None:
        if isinstance(answer, Exception):
            logger.error("The answer could not be checked", exc_info=answer)
            self._tell(None)
        else:
            self._tell(answer)


def _read(file: str) -> tuple[str, Facts]:
    return file, Facts.read(Path(file))


def _checked(facts: Facts, answer: str) -> CheckedAnswer:
    return CheckedAnswer(facts.name, facts.check(answer))

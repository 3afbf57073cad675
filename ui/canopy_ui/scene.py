"""The scene of the pictures: a run, and what a person would make of it. Everything in it is the model's own work."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Protocol

from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.compare_view import Pair, SideChoice
from canopy_desktop.exploration.kept import KeptExploration
from canopy_desktop.exploration.records import ChosenBy, StepRecord
from canopy_desktop.exploration.searching import SearchAsk, SearchKind
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.panels.attention_panel import AttentionPanel, Link
from canopy_ui.panels.cache_panel import CachePanel
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.widgets.race_card import STEPS as RACE_STEPS

BARS = 8
PARTED_AT = 3  # the generated token, from 1, in whose place another one is chosen
BEAMS, BEAM_LENGTH = 3, 5
COOLER = Pair("", SideChoice(), SideChoice(changes={"temperature": 0.3}))
SUBJECT = 2  # position of the prompt's token that nobody may look at


class Patience(Protocol):
    """Returns when no run is in hand, everything is painted, and `done` holds."""

    def __call__(self, done: Callable[[], bool] = ...) -> None: ...


class Scene:
    """What is done with a window after its first run. The same model gives the same scene, but for its times."""

    def __init__(self, window: MainWindow, controller: Controller, wait: Patience) -> None:
        self._window = window
        self._controller = controller
        self._wait = wait
        self._parted = 0  # position of the branch's first token

    def play(self, workspaces: Container[str]) -> None:
        """Everything that these workspaces show, one after the other; what is but in others costs nothing."""
        self.explore()
        if "cache" in workspaces:
            self._race()
        if "compare" in workspaces:
            self._compare()

    def explore(self) -> None:
        """A branch, beams beside it, and a forbidden look, where the model's graph has a place for that."""
        steps = self._way()
        parted = steps[min(PARTED_AT, len(steps)) - 1]
        self._parted = parted.position
        self._branch(parted)
        self._search(parted)
        session = self._controller.session
        if session is not None and not session.card.architecture.is_given:
            self._forbid()

    def turn_to(self, workspace: str) -> None:
        """Open a workspace, and select what there is most to see of in it."""
        self._window.workspaces.show(workspace)
        position = None
        if workspace == "search":
            position = self._parted
        elif workspace == "choose":
            position = max(self._way(), key=self._seen_at_a_glance).position
        elif workspace == "attend":
            position = len(self._prompt()) - 1
        self._controller.sight.select(position)

    def _branch(self, parted: StepRecord) -> None:
        """The likeliest token that was not taken, and what the model writes after it."""
        ends = () if self._controller.session is None else self._controller.session.card.end_ids
        taken = (parted.chosen.token_id, *ends)
        other = next(one.token_id for one in parted.candidates if one.token_id not in taken)
        self._controller.choose(parted.parent, other)
        self._wait()

    def _search(self, parted: StepRecord) -> None:
        ask = SearchAsk(node=parted.parent, kind=SearchKind.BEAMS, count=BEAMS, length=BEAM_LENGTH)
        self._controller.search(ask)
        self._wait()

    def _forbid(self) -> None:
        """No token of the prompt may look at its subject."""
        prompt = self._prompt()
        tokens = self._controller.keeping.token_table
        query, key = ((at, tokens.token(prompt[at]).text) for at in (len(prompt) - 1, SUBJECT))
        tried: list[object] = []
        self._window.workspaces.show("attend")
        self._wait()  # the panel has its room
        self._controller.blocks.tried.connect(tried.append)
        wish = BlockWish(query=query[0], key=key[0], column=True, layer=None, head=None)
        self._window.panel(AttentionPanel).forbid(Link(query, key), wish)
        self._wait(lambda: bool(tried))
        self._controller.blocks.tried.disconnect(tried.append)

    def _race(self) -> None:
        race = self._window.panel(CachePanel).race
        race.start_wished.emit(RACE_STEPS)
        self._wait(lambda: not race.running())

    def _compare(self) -> None:
        self._window.panel(ComparePanel).compare(COOLER)
        self._wait(lambda: self._controller.comparison.idle)

    def _way(self) -> tuple[StepRecord, ...]:
        """The steps from the prompt to where we stand."""
        tree = self._kept().tree()
        return tuple(tree.path(tree.cursor))

    def _prompt(self) -> tuple[int, ...]:
        return self._kept().beginning.prompt.ids

    def _kept(self) -> KeptExploration:
        kept = self._controller.keeping.snapshot()
        assert kept is not None, "a run was made before"
        return kept

    def _seen_at_a_glance(self, step: StepRecord) -> tuple[bool, bool, float]:
        """Best where the draw fell on a word that was not the likeliest, and all that could come have a bar."""
        seen = step.chosen_by is ChosenBy.SAMPLED and step.rank > 1 and step.kept <= BARS
        word = self._controller.keeping.token_table.token(step.chosen.token_id).text.strip().isalpha()
        return seen, word, -max(one.probability for one in step.candidates)

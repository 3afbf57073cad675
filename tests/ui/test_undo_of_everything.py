"""Every action of the window: what it changes of the exploration is undone, or it is said why it changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QApplication, QFileDialog

from canopy_desktop.exploration.attention_view import Looking
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.branches import RECORDED, PrunedShown, Ref
from canopy_desktop.exploration.searching import SearchAsk, SearchKind
from canopy_desktop.exploration.view import Colouring
from canopy_desktop.exploration.window import ContextWindow, WhenFull
from canopy_ui.actions import Command
from canopy_ui.docks import DOCKS
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.branch_panel import BranchPanel
from canopy_ui.panels.cache_panel import CachePanel
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.panels.inside_panel import InsidePanel
from canopy_ui.panels.lens_panel import LensPanel
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.sampling_panel import SamplingPanel
from canopy_ui.panels.token_panel import TokenPanel
from tests.support.driving import PREFERENCES
from tests.support.keeping import facts
from tests.support.whole_window import WholeWindow, whole_window

LOOKS = "it is looked at in another way"
LAYOUT = "panels have other places, sizes or colours"
ASIDE = "it is worked out beside the text"
MODELS = "models have their own undo; a text stays as it is when another model is opened"

WARM = replace(PREFERENCES.decoding, temperature=0.7)
FIRST = (Ref(RECORDED, 0),)
LOOK = BlockWish(query=5, key=2, column=False, layer=1, head=2)
SMALL = ContextWindow(size=64, when_full=WhenFull.SLIDE)
BEAMS = SearchAsk(node=1, kind=SearchKind.BEAMS, count=2, length=2)
CHAT = replace(PREFERENCES.prompt, chat=True)


@dataclass(frozen=True)
class Table:
    """What the actions work on."""

    whole: WholeWindow
    folder: Path  # with a file of an exploration, one of words, and one of facts

    def whole_text(self) -> tuple[object, ...]:
        """All of the exploration that is shown, and whether its file has it."""
        kept = self.whole.controller.keeping.snapshot()
        return None if kept is None else facts(kept), self.whole.window.files.modified

    def fingerprint(self) -> tuple[object, ...]:
        """Where one stands, what was made of the tree, and all that the next exploration begins with."""
        controller, files = self.whole.controller, self.whole.window.files
        panels, kept = self.whole.window.panel, controller.keeping.snapshot()
        return (
            None if kept is None else kept.tree().token_ids(kept.stand.cursor),
            controller.keeping.revision.marks,
            controller.branches.searches,
            controller.branches.folding,
            replace(controller.draft.request, facts=()),
            controller.wishes.decoding,
            controller.wishes.new_seeds,
            controller.wishes.window,
            controller.wishes.filter,
            controller.facts.choice,
            panels(AttentionPanel)._wish,
            panels(PromptPanel).request(),
            panels(PromptPanel).settings(),
            panels(SamplingPanel).settings(),
            panels(SamplingPanel)._seed._way.choice(),
            panels(SamplingPanel)._filter.choice(),
            files.file,
        )

    def rest(self) -> None:
        """Until nothing runs, and nothing is searched."""
        controller = self.whole.controller
        self.whole.wait_until(lambda: not controller.state.busy and controller.branches.idle)

    @property
    def deeds(self) -> int:
        """That can be undone."""
        return len(self.whole.controller.undoing.trail._trail.past)

    def until(self, holds: Callable[[], bool]) -> None:
        """Until it holds, and still does when all is at rest."""
        self.whole.wait_until(holds)
        self.rest()
        assert holds()

    def choose_file(self, name: str) -> None:
        """In the dialog that is open."""
        (dialog,) = self.whole.window.findChildren(QFileDialog)
        dialog.fileSelected.emit(str(self.folder / name))
        dialog.close()
        dialog.deleteLater()


Do = Callable[[Table], None]


def command(command: Command) -> Do:
    return lambda table: table.whole.window.commands[command].trigger()


def signal(panel: type, name: str, *args: object) -> Do:
    return lambda table: getattr(table.whole.window.panel(panel), name).emit(*args)


def opened(table: Table) -> None:
    table.whole.window.commands[Command.OPEN].trigger()
    table.choose_file("waves.canopy")


def typed(table: Table, text: str = "other") -> None:
    table.whole.window.panel(PromptPanel)._text.set_text(text)


def submitted(table: Table) -> None:
    panel = table.whole.window.panel(PromptPanel)
    table.whole.wait_until(lambda: panel._startable)
    panel._text.submitted.emit(True)
    count = len(panel._text.text())
    table.whole.wait_until(lambda: table.whole.controller.state.prompt_tokens == count)


def words_chosen(table: Table) -> None:
    table.whole.window.panel(SamplingPanel)._filter.read(table.folder / "words.txt")


def facts_chosen(table: Table) -> None:
    table.whole.window.panel(PromptPanel).facts_file_wanted.emit(str(table.folder / "facts.txt"))


def facts_there(table: Table) -> None:
    facts_chosen(table)
    table.whole.wait_until(lambda: table.whole.controller.facts.choice.facts is not None)


def new_seeds_wanted(table: Table) -> None:
    table.whole.window.panel(SamplingPanel)._seed._way._group.button(1).click()


def chat_chosen(table: Table) -> None:
    """By its button, as `changed` tells it."""
    table.whole.window.panel(PromptPanel)._mode._group.button(1).click()


def chatted(table: Table) -> None:
    chat_chosen(table)
    typed(table)
    submitted(table)


def recent_chosen(table: Table) -> None:
    (action,) = [one for one in table.whole.window._file_menu.recent_actions() if one.text() == "waves.canopy"]
    action.trigger()


def blocked(table: Table) -> None:
    table.whole.window.panel(AttentionPanel).try_block(LOOK)


def unblocked(table: Table) -> None:
    table.whole.window.panel(AttentionPanel)._before_after._undo.click()


@dataclass(frozen=True)
class Case:
    """A deed: the action, what undoing it is called, how it is done, and what comes before."""

    name: str
    words: str
    do: Do
    first: Do = lambda table: None
    grows: bool = False  # the tree, which keeps what was generated, or where one went, when it is undone


# An action of which nothing is to be undone has a reason here. Signals of what is hovered are not named: they light.
COMMANDS: dict[str, str | None] = {
    "RUN": None,
    "STEP": None,
    "BACK": None,
    "RESET": None,
    "NEW": None,
    "OPEN": None,
    "NEXT_STAGE": "a stage is looked at; after the last one it is Step",
    "PREVIOUS_STAGE": "a stage is looked at; before the first one it is Back",
    "SLOW_MOTION": "it goes from stage to stage by itself",
    "STOP": "it ends a run, which is the deed",
    "UNDO": "it is undo",
    "REDO": "it is redo",
    "SAVE": "a file is written of what is shown",
    "SAVE_AS": "a file is written of what is shown",
    "SAVE_COPY": "a file is written of what is shown",
    "MODELS": MODELS,
    "ZOOM_IN": LAYOUT,
    "ZOOM_OUT": LAYOUT,
    "ZOOM_RESET": LAYOUT,
    "RESET_WORKSPACE": LAYOUT,
    "RESET_WORKSPACES": LAYOUT,
    "PALETTE": "it lists the others",
    "NEXT_PANEL": LAYOUT,
    "PREVIOUS_PANEL": LAYOUT,
    "PANEL_HELP": "help is shown",
    "SHORTCUTS": "help is shown",
    "QUIT": "the next start shows the same",
}
GROUPS = {  # of the palette
    "Command": "each is in COMMANDS",
    "Recent file": "it is Open",
    "Workspace": LAYOUT,
    "Panel": LAYOUT,
    "Help": "help is shown",
    "Colours": LAYOUT,
}
SIGNALS: dict[str, str | None] = {
    "PromptPanel.run_clicked": "it is Run",
    "PromptPanel.step_clicked": "it is Step",
    "PromptPanel.submitted": None,
    "PromptPanel.changed": None,
    "PromptPanel.settings_changed": None,
    "PromptPanel.window_changed": None,
    "PromptPanel.continue_clicked": None,
    "PromptPanel.example_chosen": None,
    "PromptPanel.facts_file_wanted": None,
    "PromptPanel.facts_off_wanted": None,
    "PromptPanel.best_facts_wanted": None,
    "TokenPanel.position_selected": LOOKS,
    "TokenPanel.colouring_chosen": LOOKS,
    "SamplingPanel.settings_changed": None,
    "SamplingPanel.new_seeds_wanted": None,
    "SamplingPanel.filter_chosen": None,
    "SamplingPanel.from_here_requested": None,
    "ProbabilityPanel.branch_requested": None,
    "ProbabilityPanel.shown_changed": LOOKS,
    "ProbabilityPanel.found_changed": LOOKS,
    "ProbabilityPanel.draws_wished": ASIDE,
    "ProbabilityPanel.from_here_requested": None,
    "ProbabilityPanel.settings_wished": None,
    "AttentionPanel.head_selected": LOOKS,
    "AttentionPanel.looking_chosen": LOOKS,
    "AttentionPanel.hide_first_toggled": LOOKS,
    "AttentionPanel.position_selected": LOOKS,
    "AttentionPanel.part_changed": LOOKS,
    "AttentionPanel.row_shown": LOOKS,
    "AttentionPanel.block_requested": None,
    "AttentionPanel.block_closed": None,
    "AttentionPanel.compute_again_requested": "columns that had made room are there again, bit for bit",
    "LensPanel.cell_picked": LOOKS,
    "LensPanel.sight_changed": LOOKS,
    "LensPanel.compute_again_requested": "columns that had made room are there again, bit for bit",
    "InsidePanel.head_selected": LOOKS,
    "InsidePanel.position_selected": LOOKS,
    "InsidePanel.shown_changed": LOOKS,
    "InsidePanel.kitchen_toggled": LOOKS,
    "CachePanel.position_selected": LOOKS,
    "CachePanel.shown_changed": LOOKS,
    "BranchPanel.go_requested": None,
    "BranchPanel.walk_requested": None,
    "BranchPanel.node_selected": LOOKS,
    "BranchPanel.search_requested": None,
    "BranchPanel.search_stop_requested": "it ends a search, which is the deed",
    "BranchPanel.renamed": None,
    "BranchPanel.delete_requested": None,
    "BranchPanel.fold_requested": None,
    "BranchPanel.open_requested": None,
    "BranchPanel.pruned_chosen": LOOKS,
    "BranchPanel.room_changed": LAYOUT,
    "BranchPanel.shown_changed": LOOKS,
    "ComparePanel.compare_wished": ASIDE,
    "ComparePanel.stop_wished": ASIDE,
    "ComparePanel.step_selected": LOOKS,
    "ComparePanel.shown_changed": LOOKS,
}


DEEDS = (  # each is done from the start
    Case("RUN", "run", command(Command.RUN), grows=True),
    Case("STEP", "run", command(Command.STEP), grows=True),
    Case("BACK", "going to another token", command(Command.BACK), grows=True),
    Case("RESET", "reset", command(Command.RESET)),
    Case("NEW", "new exploration", command(Command.NEW)),
    Case("OPEN", "opening waves.canopy", opened),
    Case("a recent file", "opening waves.canopy", recent_chosen),
    Case("PromptPanel.submitted", "new text", submitted, typed),
    Case("PromptPanel.changed", "prompt", chat_chosen),
    Case("PromptPanel.settings_changed", "temperature 0.7", signal(PromptPanel, "settings_changed", WARM)),
    Case("PromptPanel.window_changed", "context window", signal(PromptPanel, "window_changed", SMALL)),
    Case("PromptPanel.continue_clicked", "prompt", signal(PromptPanel, "continue_clicked"), chatted),
    Case("PromptPanel.example_chosen", "prompt", signal(PromptPanel, "example_chosen", CHAT)),
    Case("PromptPanel.facts_file_wanted", "facts", facts_chosen),
    Case("PromptPanel.facts_off_wanted", "facts", signal(PromptPanel, "facts_off_wanted"), facts_there),
    Case("PromptPanel.best_facts_wanted", "facts", signal(PromptPanel, "best_facts_wanted", 7)),
    Case("SamplingPanel.settings_changed", "temperature 0.7", signal(SamplingPanel, "settings_changed", WARM)),
    Case("SamplingPanel.new_seeds_wanted", "choice of seeds", new_seeds_wanted),
    Case("SamplingPanel.filter_chosen", "output filter", words_chosen),
    Case(
        "SamplingPanel.from_here_requested", "new branch", signal(SamplingPanel, "from_here_requested", 1), grows=True
    ),
    Case(
        "ProbabilityPanel.branch_requested",
        "another token",
        signal(ProbabilityPanel, "branch_requested", (1, 5)),
        grows=True,
    ),
    Case(
        "ProbabilityPanel.from_here_requested",
        "new branch",
        signal(ProbabilityPanel, "from_here_requested", 1),
        grows=True,
    ),
    Case("ProbabilityPanel.settings_wished", "temperature 0.7", signal(ProbabilityPanel, "settings_wished", WARM)),
    Case("AttentionPanel.block_requested", "forbidden look", blocked),
    Case("AttentionPanel.block_closed", "forbidden look", unblocked, blocked),
    Case("BranchPanel.go_requested", "going to another token", signal(BranchPanel, "go_requested", 1), grows=True),
    Case("BranchPanel.walk_requested", "another token", signal(BranchPanel, "walk_requested", 1, (5, 6)), grows=True),
    Case("BranchPanel.search_requested", "search", signal(BranchPanel, "search_requested", BEAMS)),
    Case("BranchPanel.renamed", "name", signal(BranchPanel, "renamed", FIRST, "mine")),
    Case(
        "BranchPanel.delete_requested",
        "deletion",
        signal(BranchPanel, "delete_requested", (Ref(RECORDED, 2),)),
        grows=True,
    ),
    Case("BranchPanel.fold_requested", "folding", signal(BranchPanel, "fold_requested", FIRST)),
    Case("BranchPanel.open_requested", "folding", signal(BranchPanel, "open_requested", FIRST)),
    Case("the context of the models' table", "context window", lambda table: table.whole.window.models.count_for(64)),
)
LOOKED: list[tuple[type, str, tuple[object, ...]]] = [  # what is said to change nothing, tried
    (TokenPanel, "position_selected", (4,)),
    (TokenPanel, "colouring_chosen", (Colouring.ATTENTION,)),
    (ProbabilityPanel, "shown_changed", (20,)),
    (ProbabilityPanel, "found_changed", (5,)),
    (ProbabilityPanel, "draws_wished", (100,)),
    (AttentionPanel, "head_selected", (2, 3)),
    (AttentionPanel, "looking_chosen", (Looking.MEAN,)),
    (AttentionPanel, "hide_first_toggled", (True,)),
    (AttentionPanel, "position_selected", (4,)),
    (AttentionPanel, "compute_again_requested", ()),
    (LensPanel, "cell_picked", (2, 4)),
    (LensPanel, "compute_again_requested", ()),
    (InsidePanel, "head_selected", (0, 0)),
    (InsidePanel, "position_selected", (5,)),
    (InsidePanel, "kitchen_toggled", (True,)),
    (CachePanel, "position_selected", (4,)),
    (BranchPanel, "node_selected", (1,)),
    (BranchPanel, "search_stop_requested", ()),
    (BranchPanel, "pruned_chosen", (PrunedShown.NONE,)),
    (BranchPanel, "room_changed", (80,)),
    (ComparePanel, "stop_wished", ()),
    (ComparePanel, "step_selected", (1,)),
]


@pytest.fixture(scope="module")
def table(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """Of "xycdef", which is saved; another text is in another file."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "words.txt").write_text("def\n")
    (folder / "facts.txt").write_text("The sea has waves.\nA tree has leaves.\n")
    with whole_window() as whole:
        table, files = Table(whole, folder), whole.window.files
        whole.show("attend")
        for name in ("sea.canopy", "waves.canopy"):
            files.save(folder / name)
            whole.wait_until(lambda name=name: files.file == folder / name)
        typed(table, "xy")
        submitted(table)
        table.rest()
        whole.settle()
        files.save(folder / "sea.canopy")
        whole.wait_until(lambda: not files.modified)
        yield table


def own_signals(panel: type) -> set[str]:
    named = (name for name, value in vars(panel).items() if isinstance(value, Signal))
    return {f"{panel.__name__}.{name}" for name in named if not name.endswith("_hovered")}


def test_every_command_is_known() -> None:
    assert {command.name for command in Command} <= set(COMMANDS)


def test_every_kind_of_entry_in_the_palette_is_known(table: Table) -> None:
    kinds = {entry.kind for entry in table.whole.window.entries()}
    exports = {dock.windowTitle() for dock in table.whole.window.docks.values()}  # what is copied stays as it is
    assert kinds - exports == set(GROUPS)


def test_every_signal_of_a_panel_is_known() -> None:
    assert set(SIGNALS) == set().union(*(own_signals(spec.panel) for spec in DOCKS))


def test_whatever_has_no_reason_against_it_is_done_here() -> None:
    undone = {name for name, why in (COMMANDS | SIGNALS).items() if why is None}
    assert undone <= {case.name for case in DEEDS}
    assert {f"{panel.__name__}.{name}" for panel, name, _ in LOOKED} <= {name for name, why in SIGNALS.items() if why}


@pytest.mark.parametrize("case", DEEDS, ids=[case.name for case in DEEDS])
def test_it_is_undone_and_redone(table: Table, case: Case) -> None:
    start, deeds = table.fingerprint(), table.deeds
    case.first(table)
    table.whole.settle()
    undo, redo = (table.whole.window.commands[command] for command in (Command.UNDO, Command.REDO))
    before, text_before, undone = table.fingerprint(), table.whole_text(), undo.text()
    case.do(table)
    table.until(lambda: table.fingerprint() != before and undo.text() == f"Undo {case.words}")
    after, text_after = table.fingerprint(), table.whole_text()
    undo.trigger()
    table.until(lambda: table.fingerprint() == before)
    assert table.whole_text() == text_before or case.grows
    assert (undo.text(), redo.text()) == (undone, f"Redo {case.words}")
    redo.trigger()
    table.until(lambda: table.fingerprint() == after)
    assert table.whole_text() == text_after or case.grows
    while table.deeds > deeds:
        undo.trigger()
        table.rest()
    typed(table, "xy")
    table.until(lambda: table.fingerprint() == start)


def test_what_only_looks_changes_nothing_and_is_not_undone(table: Table) -> None:
    before, undone = table.fingerprint(), table.whole.controller.state.undoes
    for panel, name, values in LOOKED:
        signal(panel, name, *values)(table)
        table.rest()
        assert table.fingerprint() == before, name
        assert table.whole.controller.state.undoes == undone, name

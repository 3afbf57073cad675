"""Every dock of the window, as data: to add a panel, write its link and a record here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, Qt

from canopy_ui.controller import Controller
from canopy_ui.links.attention_link import AttentionLink
from canopy_ui.links.branch_link import BranchLink
from canopy_ui.links.cache_link import CacheLink
from canopy_ui.links.compare_link import CompareLink
from canopy_ui.links.inside_link import InsideLink
from canopy_ui.links.lens_link import LensLink
from canopy_ui.links.metrics_link import MetricsLink
from canopy_ui.links.probability_link import ProbabilityLink
from canopy_ui.links.prompt_link import PromptLink
from canopy_ui.links.sampling_link import SamplingLink
from canopy_ui.links.token_link import TokenLink
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.branch_panel import BranchPanel
from canopy_ui.panels.cache_panel import CachePanel
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.panels.inside_panel import InsidePanel
from canopy_ui.panels.lens_panel import LensPanel
from canopy_ui.panels.metrics_panel import MetricsPanel
from canopy_ui.panels.probability_panel import ProbabilityPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.sampling_panel import SamplingPanel
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.theme import Theme
from canopy_ui.widgets.panel import Panel
from canopy_ui.workspaces import (
    ATTENTION,
    BRANCHES,
    CACHE,
    COMPARE,
    INSIDE,
    LENS,
    METRICS,
    PROBABILITIES,
    PROMPT,
    SAMPLING,
    TOKENS,
)

Area = Qt.DockWidgetArea


@dataclass(frozen=True, slots=True, kw_only=True)
class DockSpec:
    """A panel, what it is called, and how it is told what the controller knows."""

    key: str  # the dock's object name, under which its place is remembered
    title: str
    panel: Callable[[Theme], Panel]
    link: Callable[[Any, Controller], QObject]  # takes what `panel` makes, and belongs to it
    area: Area  # where it comes in a workspace that has no place for it
    help: tuple[str, str, str]  # a sentence each
    keys: tuple[tuple[str, str], ...] = ()  # what the keyboard does in it alone: keys, and what for


# The texts are translated in the context "Docks".
DOCKS = (
    DockSpec(
        key=PROMPT,
        title="Prompt",
        panel=PromptPanel,
        link=PromptLink,
        area=Area.LeftDockWidgetArea,
        help=(
            "What you type is cut into tokens, the pieces that the model reads, each shown with its number.",
            "A chat adds its template, its history and facts from a file; each source has its colour and its name.",
            "The ruler shows how much of the context window they take, and what leaves it first.",
        ),
        keys=(
            ("Ctrl+Return", "Begin anew with this prompt, and run"),
            ("Ctrl+Shift+Return", "Begin anew with this prompt, one token"),
        ),
    ),
    DockSpec(
        key=TOKENS,
        title="Text",
        panel=TokenPanel,
        link=TokenLink,
        area=Area.TopDockWidgetArea,
        help=(
            "Each box is one token; those with a line below were generated.",
            "The stronger the colour, the lower the probability that the model had assigned to the token.",
            "Click a token, and the other panels show what belongs to it.",
        ),
        keys=(
            ("Arrow keys", "Select a token"),
            ("Home", "Select the first token"),
            ("End or Esc", "Follow the newest token"),
        ),
    ),
    DockSpec(
        key=PROBABILITIES,
        title="Next-token probabilities",
        panel=ProbabilityPanel,
        link=ProbabilityLink,
        area=Area.RightDockWidgetArea,
        help=(
            "The first column is what the model assigned, the next ones what each setting made of it.",
            "13 % is not “13 % correct”: the model shares out 100 % among all tokens that could come next.",
            "Below, the draw falls on one of them; click a bar to take that token instead.",
        ),
        keys=(
            ("Up, Down", "Go from bar to bar"),
            ("Return", "Take that token"),
            ("Ctrl+C", "Copy the table"),
        ),
    ),
    DockSpec(
        key=SAMPLING,
        title="Sampling",
        panel=SamplingPanel,
        link=SamplingLink,
        area=Area.LeftDockWidgetArea,
        help=(
            "Settings come between the model's probabilities and the draw: they move them, or cut tokens off.",
            "Move one, and the probabilities of the selected step show at once what it does to them.",
            "From here on generates a new branch from that step; the old text is kept.",
        ),
    ),
    DockSpec(
        key=ATTENTION,
        title="Attention",
        panel=AttentionPanel,
        link=AttentionLink,
        area=Area.RightDockWidgetArea,
        help=(
            "A row is a token, and shows how one head shares out 100 % among this token and those before it.",
            "It is where the head looks, not why the model answers as it does: forbid a look, and see what changes.",
            "Many heads rest on the first token, the sink: hidden, it leaves the rest rescaled to 100 %.",
        ),
        keys=(
            ("Up, Down", "Select the token of another row; in the grid, another layer"),
            ("Left, Right", "Mean another column; in the grid, another head"),
            ("+, −, 0", "Zoom in, zoom out, the whole context"),
            ("Shift+arrows", "Move what is in sight"),
            ("Menu", "Forbid the look that is meant"),
            ("Ctrl+C", "Copy the strongest links"),
        ),
    ),
    DockSpec(
        key=LENS,
        title="Lens",
        panel=LensPanel,
        link=LensLink,
        area=Area.RightDockWidgetArea,
        help=(
            "A column is a token that was read, a row a layer: the cell is what the model would say after it.",
            "Only the last layer was trained to be read like this; the rows below are a look on the way.",
            "Click a cell for its whole list, and for the rank of the token that really came next.",
        ),
        keys=(
            ("Up, Down", "Look at another layer"),
            ("Left, Right", "Look at another token"),
            ("Page Up, Page Down", "The model's own answer, the embedding"),
            ("Home", "The first token"),
            ("End", "Follow the newest token"),
            ("Ctrl+C", "Copy the grid"),
        ),
    ),
    DockSpec(
        key=INSIDE,
        title="Inside the model",
        panel=InsidePanel,
        link=InsideLink,
        area=Area.BottomDockWidgetArea,
        help=(
            "The selected token passes through one block and head, from its embedding at the left to the next token.",
            "Each cell is a number that the model computed, and a ribbon of values is as wide as its share.",
            "Click anything to see its numbers, a block below to open it, or a token to follow that one.",
        ),
        keys=(
            ("Up, Down", "Open another block"),
            ("Left, Right", "Look at another head"),
            ("Page Down, Page Up", "Go from operation to operation"),
            ("Return", "See the operation's numbers"),
            ("Esc", "Close the numbers"),
            ("Ctrl+C", "Copy the numbers"),
        ),
    ),
    DockSpec(
        key=CACHE,
        title="Cache and context",
        panel=CachePanel,
        link=CacheLink,
        area=Area.RightDockWidgetArea,
        help=(
            "Each token that was read leaves a key and a value in every layer: a column of blocks.",
            "Later tokens look at them again, instead of passing the whole text through the model once more.",
            "The race shows what that saves; with the cache a step still grows with the length, but slowly.",
        ),
        keys=(
            ("Left, Right", "Select the token before, or after"),
            ("Home", "Select the first token"),
            ("End", "Follow the newest token"),
        ),
    ),
    DockSpec(
        key=BRANCHES,
        title="Branches and beams",
        panel=BranchPanel,
        link=BranchLink,
        area=Area.RightDockWidgetArea,
        help=(
            "Every text that followed the prompt is a way from left to right; texts that begin alike share it.",
            "On a line stands the probability of the next token, at the end Σ, the sum of all their logarithms.",
            "Dashed texts were only searched or drawn: click one, and it becomes a branch.",
        ),
        keys=(
            ("Arrow keys", "Walk along the tree"),
            ("Return", "Go there"),
            ("Space", "Fold, or show a long text whole"),
            ("F2", "Name a branch"),
            ("Delete", "Delete a branch; Ctrl+Z brings it back"),
            ("+, −, 0", "Zoom in, zoom out, the whole tree"),
            ("Shift+arrows", "Move what is in sight"),
            ("Menu", "What can be done with a token"),
        ),
    ),
    DockSpec(
        key=COMPARE,
        title="Compare",
        panel=ComparePanel,
        link=CompareLink,
        area=Area.RightDockWidgetArea,
        help=(
            "A runs what the window would run, B the same but for what you change: prompt, settings or model.",
            "Step n of A stands above step n of B; a line marks where the texts part.",
            "The stronger the colour, the further apart both distributions were; click a step to see them.",
        ),
        keys=(
            ("Left, Right", "Select a step in both texts"),
            ("Up, Down", "Select a step of another line"),
            ("Home, End", "The first step, the last"),
            ("Esc", "The first step that differs"),
            ("Ctrl+Return", "In a prompt: compare"),
            ("Ctrl+C", "In a table: copy it"),
        ),
    ),
    DockSpec(
        key=METRICS,
        title="Metrics",
        panel=MetricsPanel,
        link=MetricsLink,
        area=Area.BottomDockWidgetArea,
        help=(
            "All times and sizes were measured on this machine, with this text.",
            "TTFT is the time from Run to the first token, TPOT the time for each one after it.",
            "The cache holds the keys and values of the tokens that were read, and grows evenly with them.",
        ),
    ),
)


def translated(text: str) -> str:
    """A text of `DOCKS` in the person's language."""
    return QCoreApplication.translate("Docks", text)

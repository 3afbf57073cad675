"""A model that runs as its own graph, in the window: what it gives is there, and what it does not is said."""

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from canopy_desktop.errors import NotGivenError
from canopy_desktop.exploration.models_view import ModelRow
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.view import WindowView
from canopy_desktop.model.bundle import Bundle
from canopy_desktop.model.given_pass import INSIDE
from canopy_desktop.model.provider import ProviderChoice
from canopy_desktop.settings import Preferences
from canopy_ui.controller import Controller
from canopy_ui.main_window import MainWindow
from canopy_ui.messages import Wording
from canopy_ui.models_desk import ModelsView
from canopy_ui.models_words import ModelsWords
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.inside_panel import InsidePanel
from canopy_ui.panels.lens_panel import LensPanel
from canopy_ui.program import make_application
from canopy_ui.qt_models.models_table import ModelColumn
from canopy_ui.state import RunPhase
from canopy_ui.theme import theme_named
from canopy_ui.widgets.forbid_menu import ForbidMenu
from tests.core.given import closed, imported, write_given
from tests.support.driving import PREFERENCES

SHOWN = {"attend": (AttentionPanel, "queries"), "lens": (LensPanel, "residuals"), "inside": (InsidePanel, INSIDE)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("given")
    return imported(write_given("opt", folder / "source", closed("opt")), folder / "models")


@pytest.fixture
def driven(qtbot: QtBot, bundle: Bundle) -> Iterator[tuple[MainWindow, Controller]]:
    """After a run of four tokens."""
    make_application()
    controller = Controller(lambda progress: ModelSession.open(bundle, ProviderChoice.CPU), PREFERENCES)
    window = MainWindow(controller, PREFERENCES, forget)
    window.show()
    controller.open()
    qtbot.waitUntil(lambda: controller.state.phase is RunPhase.READY)
    controller.run()
    qtbot.waitUntil(lambda: controller.state.phase is RunPhase.FINISHED)
    yield window, controller
    window.close()
    window.deleteLater()


def test_a_look_cannot_be_forbidden_and_the_menu_says_so(qtbot: QtBot) -> None:
    panel = AttentionPanel(theme_named("light"))
    qtbot.addWidget(panel)
    panel.set_not_given("", can_forbid=False)
    menu = panel.findChild(ForbidMenu)
    menu.aboutToShow.emit()
    assert [(action.text(), action.isEnabled()) for action in menu.actions()] == [
        ("This model’s own graph has no place to forbid a look", False)
    ]


def test_the_catalogue_says_what_the_graph_gives(bundle: Bundle, qtbot: QtBot) -> None:
    row = ModelRow(id="mine", folder=bundle.folder, card=bundle.card, needed=None, own=True, default=False)
    assert "Runs as its own graph, which gives logits, cache" in ModelsWords().about(ModelsView(), row).splitlines()
    assert ModelsWords().cell(ModelsView(), row, ModelColumn.NAME).endswith(" · own graph")


def forget(preferences: Preferences) -> None:
    pass


def said(panel: QWidget) -> list[str]:
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def test_panels_say_what_the_graph_does_not_give_and_probabilities_of_any_token_are_there(
    driven: tuple[MainWindow, Controller], qtbot: QtBot
) -> None:
    window, controller = driven
    for workspace, (kind, what) in SHOWN.items():
        window.workspaces.show(workspace)
        sentence = Wording().of_error(NotGivenError(what)).text
        qtbot.waitUntil(lambda kind=kind, sentence=sentence: sentence in said(window.panel(kind)))
    views: list[WindowView] = []
    controller.view_changed.connect(views.append)
    controller.sight.select(len("abc"))
    qtbot.waitUntil(lambda: bool(views) and views[-1].distribution is not None)
    assert len(views[-1].distribution.bars) >= 10

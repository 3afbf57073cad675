"""Every panel can be taken along: as text, as a table, as a picture with a caption."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor, QGuiApplication, QImage, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from canopy_desktop.decoding import settings_json
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration.compare_view import CompareStage, Pair, SideChoice
from canopy_ui.actions import Command
from canopy_ui.captions import LONGEST_PROMPT, RunFacts, caption, compared_caption, shortened
from canopy_ui.controller import Controller
from canopy_ui.dock import Dock
from canopy_ui.entries import found
from canopy_ui.export_menu import Export, ExportMenu
from canopy_ui.main_window import MainWindow
from canopy_ui.panel_content import PICTURE_SCALE, csv_of, image_of, svg_of, table_of, text_of
from canopy_ui.panels.compare_panel import ComparePanel
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.photographer import Photographer
from canopy_ui.program import make_application
from canopy_ui.theme import theme_named
from canopy_ui.widgets.panel import Panel
from canopy_ui.workspaces import NAMES
from tests.support import scripted
from tests.support.driving import PATIENCE_MS, PREFERENCES
from tests.support.scripted import ScriptedSession

RUN = RunFacts(
    prompt="Once upon\na time",
    model="smollm2-135m-instruct",
    weights="int8",
    provider="cpu",
    settings=DecodingSettings(temperature=0.7, top_k=40, seed=11),
    step=3,
)


@pytest.fixture(scope="module")
def shared(qapp: QApplication) -> Iterator[MainWindow]:
    """After a run of "abc" and four tokens."""
    make_application()
    preferences = replace(PREFERENCES, theme="light")
    controller = Controller(scripted.opener_of(ScriptedSession()), preferences)
    made = MainWindow(controller, preferences, lambda preferences: None)
    photographer = Photographer(controller, PATIENCE_MS)
    made.show()
    controller.open()
    photographer.wait()
    yield made
    made.close()
    controller.shutdown()


@pytest.fixture
def window(shared: MainWindow) -> MainWindow:
    """In its first workspace, with the newest token selected."""
    shared.workspaces.show(NAMES[0])
    return shared


def chosen(dock: Dock, wanted: Export) -> None:
    """As the person does it."""
    dock.export_menu.refresh()
    next(action for action in dock.export_menu.entries() if action.data() is wanted).trigger()


def answer(window: MainWindow, path: Path) -> None:
    """Choose a name in the dialog that was opened last."""
    dialog = window.findChildren(QFileDialog)[-1]
    dialog.fileSelected.emit(str(path))
    dialog.reject()


def saved_as(window: MainWindow, qtbot: QtBot, dock: Dock, wanted: Export, path: Path) -> Path:
    with qtbot.waitSignal(window._exporter.written, timeout=PATIENCE_MS) as written:
        chosen(dock, wanted)
        answer(window, path)
    return Path(written.args[0])


def test_a_caption_says_all_that_makes_the_picture_again() -> None:
    what, prompt, model = caption("Attention", "layer 12, head 7", RUN)
    assert what == "Attention · layer 12, head 7 · step 3"
    assert prompt == "Prompt: “Once upon ↵ a time”"
    assert model.startswith("smollm2-135m-instruct (int8, CPU) · ")
    assert settings_json.loads(model.partition(" · ")[2]) == RUN.settings


def test_a_caption_of_the_prompt_names_no_step() -> None:
    assert caption("Text", "", replace(RUN, step=None))[0] == "Text"


def test_a_step_that_the_title_names_is_not_named_twice() -> None:
    assert caption("Sampling", "step 3", RUN)[0] == "Sampling · step 3"


def test_a_caption_of_two_runs_says_all_that_makes_both_again() -> None:
    cooler = replace(RUN, settings=replace(RUN.settings, temperature=0.3))
    what, prompt, a, b = compared_caption("Compare", "Temperature 0.7 / 0.3", RUN, cooler)
    assert what == "Compare · Temperature 0.7 / 0.3"
    assert prompt == "Prompt: “Once upon ↵ a time”"
    for line, name, run in ((a, "A", RUN), (b, "B", cooler)):
        assert line.startswith(f"{name}: smollm2-135m-instruct (int8, CPU) · ")
        assert settings_json.loads(line.partition(" · ")[2]) == run.settings


def test_a_caption_of_two_prompts_has_both() -> None:
    lines = compared_caption("Compare", "two prompts", RUN, replace(RUN, prompt="Once more"))
    assert [line for line in lines if "Prompt" in line] == [
        "A: Prompt: “Once upon ↵ a time”",
        "B: Prompt: “Once more”",
    ]


def test_the_picture_of_a_comparison_has_the_settings_of_both_sides(window: MainWindow, qtbot: QtBot) -> None:
    window.workspaces.show("compare")
    dock, comparison = window.docks["compare"], window._controller.comparison
    window.panel(ComparePanel).compare(Pair("", SideChoice(), SideChoice(changes={"temperature": 0.5})))
    qtbot.waitUntil(lambda: comparison.view().stage is CompareStage.DONE and comparison.idle, timeout=PATIENCE_MS)
    what, prompt, a, b = window._exporter.caption_of(dock)
    assert (what, prompt) == ("Compare · Temperature greedy / 0.5", "Prompt: “abc”")
    assert settings_json.loads(a.partition(" · ")[2]) == PREFERENCES.decoding
    assert settings_json.loads(b.partition(" · ")[2]) == replace(PREFERENCES.decoding, temperature=0.5)
    assert window._exporter._name(dock) == "compare"


def test_a_tree_is_a_table_in_reading_order(window: MainWindow) -> None:
    model = QStandardItemModel()
    model.setHorizontalHeaderLabels(["token", "share"])
    root = QStandardItem("a")
    root.appendRow([QStandardItem("b, c"), QStandardItem("2 %")])
    model.appendRow([root, QStandardItem("1 %")])
    model.appendRow([QStandardItem("d"), QStandardItem("3 %")])
    assert csv_of(model) == 'token,share\r\na,1 %\r\n"b, c",2 %\r\nd,3 %\r\n'


def test_before_a_run_a_caption_is_the_panels_name() -> None:
    assert caption("Prompt", "3 tokens", None) == ("Prompt · 3 tokens",)


def test_a_long_prompt_loses_its_middle() -> None:
    text = "".join(f"word{number} " for number in range(100)).strip()
    short = shortened(text)
    assert len(short) <= LONGEST_PROMPT
    head, tail = short.split(" … ")
    assert text.startswith(head)
    assert text.endswith(tail)


def test_a_prompt_that_fits_is_whole() -> None:
    assert shortened("x" * LONGEST_PROMPT) == "x" * LONGEST_PROMPT


@pytest.mark.parametrize(
    "settings", [DecodingSettings(), DecodingSettings(temperature=1.0, top_p=0.9, stop=("Ω",), seed=3, max_tokens=7)]
)
def test_settings_in_one_line_are_read_back(settings: DecodingSettings) -> None:
    line = settings_json.in_one_line(settings)
    assert "\n" not in line
    assert settings_json.loads(line) == settings
    assert {"temperature", "seed"} <= json.loads(line).keys()


@pytest.mark.parametrize("workspace", NAMES)
def test_every_panel_in_sight_is_a_text_and_a_picture(window: MainWindow, workspace: str) -> None:
    window.workspaces.show(workspace)
    for dock in (dock for dock in window.docks.values() if dock.isVisible()):
        lines = window._exporter.caption_of(dock)
        text = text_of(dock.panel, lines)
        assert text.endswith("\n".join(lines) + "\n")
        assert len(text) > len("\n".join(lines)) + 10, f"{dock.objectName()} says nothing"
        image = image_of(dock.panel, lines, dock.theme)
        assert image.width() == PICTURE_SCALE * dock.panel.width()
        ET.fromstring(svg_of(dock.panel, lines, dock.theme))


def test_the_text_is_copied_as_it_was_written(window: MainWindow) -> None:
    chosen(window.docks["tokens"], Export.COPY_TEXT)
    copied = QGuiApplication.clipboard().text()
    view = window._exporter._view
    assert copied.startswith("".join(chip.token.text for chip in view.chips))
    assert copied.splitlines()[-2].startswith("Prompt: “abc”")


def test_figures_are_copied_with_their_names(window: MainWindow) -> None:
    chosen(window.docks["metrics"], Export.COPY_TEXT)
    assert "context: 6 of" in QGuiApplication.clipboard().text()


def test_the_tree_is_a_table_although_the_picture_is_shown(window: MainWindow, qtbot: QtBot) -> None:
    window.workspaces.show("search")
    panel = window.docks["branches"].panel
    qtbot.waitUntil(lambda: table_of(panel) is not None, timeout=PATIENCE_MS)
    table = table_of(panel)
    assert table is not None
    assert len(csv_of(table).splitlines()) > 1


def test_a_table_is_copied_although_the_bars_are_shown(window: MainWindow) -> None:
    dock = window.docks["probabilities"]
    chosen(dock, Export.COPY_TABLE)
    data = QGuiApplication.clipboard().mimeData()
    assert bytes(data.data("text/csv").data()).decode() == data.text()
    rows = list(csv.reader(io.StringIO(data.text())))
    assert rows[0][:2] == ["token", "id"]
    assert len(rows) > 3
    assert {len(row) for row in rows} == {len(rows[0])}


def test_a_table_is_offered_where_there_is_one(window: MainWindow, qtbot: QtBot) -> None:
    bare = Panel()
    qtbot.addWidget(bare)
    for panel, there in ((bare, False), (window.docks["probabilities"].panel, True)):
        menu = ExportMenu(panel, window)
        menu.refresh()
        offered = {action.data(): action.isEnabled() for action in menu.entries()}
        assert offered[Export.COPY_TABLE] is there
        assert offered[Export.SAVE_TABLE] is there
        assert offered[Export.COPY_TEXT]


def test_a_copied_picture_is_sharp_and_has_a_caption_below(window: MainWindow) -> None:
    dock = window.docks["probabilities"]
    chosen(dock, Export.COPY_PICTURE)
    image = QGuiApplication.clipboard().image()
    assert image.width() == PICTURE_SCALE * dock.panel.width()
    below = image.copy(0, PICTURE_SCALE * dock.panel.height() + 4, image.width(), image.height())
    inks = {below.pixelColor(x, y).name() for x in range(0, below.width(), 2) for y in range(below.height())}
    assert QColor(dock.theme.text).name() in inks
    assert QColor(dock.theme.panel).name() in inks


def test_a_picture_is_saved_as_png(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    dock = window.docks["attention"]
    path = saved_as(window, qtbot, dock, Export.SAVE_PICTURE, tmp_path / "picture.png")
    image = QImage(str(path))
    assert image.width() == PICTURE_SCALE * dock.panel.width()
    assert "Prompt: “abc”" in image.text("Description")
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_is_saved_as_svg_with_its_caption(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    path = saved_as(window, qtbot, window.docks["metrics"], Export.SAVE_PICTURE, tmp_path / "picture.SVG")
    root = ET.fromstring(path.read_bytes())
    texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("Prompt: “abc”" in text for text in texts)
    assert "Metrics" in (root.findtext("{http://www.w3.org/2000/svg}title") or "")


def test_what_was_seen_at_the_press_is_saved(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    dock = window.docks["tokens"]
    before = png_size_of(dock)
    chosen(dock, Export.SAVE_PICTURE)
    window.resize(window.width() + 200, window.height())
    qtbot.waitUntil(lambda: dock.panel.width() * PICTURE_SCALE != before)
    with qtbot.waitSignal(window._exporter.written, timeout=PATIENCE_MS):
        answer(window, tmp_path / "picture.png")
    assert QImage(str(tmp_path / "picture.png")).width() == before


def png_size_of(dock: Dock) -> int:
    return dock.panel.width() * PICTURE_SCALE


def test_a_table_is_saved_for_spreadsheets(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    dock = window.docks["probabilities"]
    path = saved_as(window, qtbot, dock, Export.SAVE_TABLE, tmp_path / "table.csv")
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    table = table_of(dock.panel)
    assert table is not None
    assert data.decode("utf-8-sig") == csv_of(table)


def test_a_failure_is_told_in_one_sentence(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    with qtbot.waitSignal(window._exporter.failed, timeout=PATIENCE_MS) as failed:
        chosen(window.docks["probabilities"], Export.SAVE_TABLE)
        answer(window, tmp_path / "no folder" / "table.csv")
    assert isinstance(failed.args[0], StorageError)
    qtbot.waitUntil(
        lambda: any("table.csv" in label.text() for label in window.panel(TokenPanel).findChildren(QLabel)),
        timeout=PATIENCE_MS,
    )


def test_the_file_is_named_after_panel_and_step(window: MainWindow) -> None:
    chosen(window.docks["attention"], Export.SAVE_PICTURE)
    dialog = window.findChildren(QFileDialog)[-1]
    assert [Path(name).name for name in dialog.selectedFiles()] == ["attention-step-4.png"]
    assert dialog.testOption(QFileDialog.Option.DontConfirmOverwrite) is False
    dialog.reject()


def test_the_palette_finds_every_way_of_every_panel_in_sight(window: MainWindow) -> None:
    names = {(entry.kind, entry.text) for entry in found("copy picture", window.entries())}
    in_sight = {dock.windowTitle() for dock in window.docks.values() if dock.isVisible()}
    assert {kind for kind, text in names if text == "Copy picture"} == in_sight


def test_the_menu_opens_from_button_and_title(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    dock, places = window.docks["metrics"], []
    assert dock._title.menu_button.menu() is dock.export_menu
    assert dock._title.menu_button.accessibleName() == "Copy or save “Metrics”"
    monkeypatch.setattr(dock.export_menu, "popup", places.append)
    dock._title.customContextMenuRequested.emit(QPoint(3, 4))
    assert places == [dock._title.mapToGlobal(QPoint(3, 4))]


def test_control_characters_do_not_break_an_svg(qtbot: QtBot) -> None:
    label = QLabel("bell\x07")
    qtbot.addWidget(label)
    label.resize(100, 40)
    ET.fromstring(svg_of(label, ("a\x01caption",), theme_named("light")))


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_a_caption_has_the_themes_colours(qtbot: QtBot, theme: str) -> None:
    label = QLabel("x")
    qtbot.addWidget(label)
    label.resize(300, 20)
    look = theme_named(theme)
    image = image_of(label, ("MMMM MMMM",), look)
    below = {image.pixelColor(x, y).name() for x in range(600) for y in range(44, image.height())}
    assert {QColor(look.panel).name(), QColor(look.text).name()} <= below


def test_running_goes_on_while_a_picture_is_taken(window: MainWindow, qtbot: QtBot) -> None:
    before = window.windowTitle()
    window.commands[Command.STEP].trigger()
    chosen(window.docks["tokens"], Export.COPY_PICTURE)
    qtbot.waitUntil(lambda: window.windowTitle() == before.replace(" 4 ", " 5 "), timeout=PATIENCE_MS)

"""The place where models are: what it says of them, and what can be done to them there."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog, QLabel, QPushButton, QWidget

from canopy_desktop import paths, settings
from canopy_desktop.errors import BundleError
from canopy_desktop.exploration.memory_needed import memory_needed
from canopy_desktop.model.card import read_card
from canopy_desktop.model.device import HostMemory
from canopy_ui.actions import Command
from canopy_ui.controller import Controller
from canopy_ui.file_menu import dropped_file
from canopy_ui.import_process import ImportEnd, ImportProcess
from canopy_ui.main_window import MainWindow
from canopy_ui.models_window import ModelsWindow
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.program import make_application
from canopy_ui.qt_models.models_table import ModelColumn
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.prompt_edit import PromptEdit
from canopy_ui.widgets.window_form import WindowForm
from canopy_ui.worker import Opener
from tests.core import tiny
from tests.core.checkpoints import change, write_checkpoint
from tests.core.fake_environment import write_environment
from tests.reference import fixtures
from tests.support import scripted
from tests.support.driving import PATIENCE_MS, PREFERENCES
from tests.support.scripted import ScriptedSession
from tests.ui.test_screen_readers import name_of, stops

SOURCE = fixtures.tiny_model("qwen3").gguf


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("places")


@pytest.fixture
def folder(root: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's models "one" and "two", and the system's "shared"; nothing else."""
    monkeypatch.setenv("CANOPY_MODELS", str(root / "models"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(root / "site"))
    monkeypatch.setattr(paths, "checkout_models", lambda: None)
    shutil.rmtree(root)
    for place in ("models/one", "models/two", "site/canopy-desktop/models/shared"):
        shutil.copytree(bundle, root / place)
    return root / "models"


class Place:
    """The window with a scripted model that stands for "one", and the place where models are."""

    def __init__(self, folder: Path) -> None:
        make_application()
        self.folder = folder
        self.opened: list[tuple[Path, int | None]] = []
        self.controller = Controller(self.opener_of(str(folder / "one"), tokens=None), PREFERENCES)
        self.window = MainWindow(self.controller, PREFERENCES, lambda preferences: None, opener_of=self.opener_of)
        self.window.show()
        self.controller.open()
        self.until(lambda: self.controller.session)
        self.window.show_models()
        self.desk, self.models = self.window.models, self.window.findChild(ModelsWindow)

    def begin(self) -> None:
        """As at the first sight: "one" is open, and nothing was done yet."""
        self.desk.count_for(None)
        if self.desk.view.opened != self.folder / "one":
            self.controller.change_model(self.opener_of(str(self.folder / "one"), tokens=None))
            self.until(lambda: self.desk.view.opened == self.folder / "one")
        self.controller.reset()
        self.opened.clear()
        self.window.commands[Command.MODELS].trigger()
        self.models._tell("")
        self.until(lambda: self.desk.view.rows and not self.desk._jobs.waiting)
        self.select("one")

    def close(self) -> None:
        self.window.close()
        self.window.deleteLater()
        QApplication.sendPostedEvents(self.window, QEvent.Type.DeferredDelete)  # a zoom would style it too

    def opener_of(self, name: str, *, tokens: int | None) -> Opener:
        self.opened.append((Path(name), tokens))
        session = ScriptedSession(title=Path(name).name)
        session.bundle.folder = Path(name)
        return scripted.opener_of(session)

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_MS / 1000
        while not condition():
            QApplication.processEvents()
            time.sleep(0.001)
            assert time.monotonic() < end, "what was waited for did not come"

    def button(self, text: str) -> QPushButton:
        (found,) = (
            button
            for button in self.models.findChildren(QPushButton)
            if button.text() == text and button.window() is self.models
        )
        return found

    def select(self, name: str) -> None:
        rows = self.desk.view.rows or ()
        self.table.selectRow([row.id for row in rows].index(name))

    @property
    def table(self) -> CopyableTable:
        found = self.models.findChild(CopyableTable)
        assert found is not None
        return found

    def cells(self, column: ModelColumn) -> dict[str, str]:
        rows, model = self.desk.view.rows or (), self.table.model()
        return {row.id: model.index(number, column).data() for number, row in enumerate(rows)}

    def press(self, name: str, text: str) -> None:
        self.select(name)
        self.button(text).click()

    def told(self) -> str:
        """The sentence that stands above the buttons."""
        label = self.models._told
        assert isinstance(label, QLabel)
        return label.text() if label.isVisible() else ""


@pytest.fixture(scope="module")
def window(qapp: QApplication, root: Path) -> Iterator[Place]:
    made = Place(root / "models")
    yield made
    made.close()


@pytest.fixture
def place(window: Place, folder: Path) -> Place:
    window.begin()
    return window


@pytest.fixture
def own(qapp: QApplication, folder: Path) -> Iterator[Place]:
    """A window that may be closed."""
    made = Place(folder)
    made.begin()
    yield made
    made.close()


def test_every_model_is_listed_with_what_it_is_and_whose(place: Place) -> None:
    card = read_card(place.folder / "one")
    assert place.cells(ModelColumn.STATE) == {"one": "open", "two": "", "shared": ""}
    assert place.cells(ModelColumn.WHOSE) == {"one": "yours", "two": "yours", "shared": "the system’s"}
    assert place.cells(ModelColumn.LICENCE) == dict.fromkeys(("one", "two", "shared"), card.licence)
    place.select("two")
    for fact in (card.licence, card.source, str(place.folder / "two")):
        assert fact in place.models._about.text()


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("one", {"Make default", "Verify"}),
        ("two", {"Use", "Make default", "Rename …", "Verify", "Remove"}),
        ("shared", {"Use", "Make default", "Verify"}),
    ],
)
def test_only_what_is_possible_can_be_pressed(place: Place, name: str, possible: set[str]) -> None:
    place.select(name)
    texts = ("Use", "Make default", "Rename …", "Verify", "Remove")
    assert {text for text in texts if place.button(text).isEnabled()} == possible


def test_another_model_is_used_and_the_text_stays(place: Place) -> None:
    place.controller.run()
    place.until(lambda: place.controller.state.generated == PREFERENCES.decoding.max_tokens)
    place.select("two")
    QTest.keyClick(place.table, Qt.Key.Key_Return)
    place.until(lambda: place.cells(ModelColumn.STATE)["two"] == "open")
    assert place.opened[-1] == (place.folder / "two", None)
    assert place.cells(ModelColumn.STATE)["one"] == ""
    assert place.controller.state.alone


def test_a_model_without_room_is_refused_before_the_one_that_is_open_is_freed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = memory_needed(read_card(place.folder / "two"), 48, budget=0).total
    place.select("two")
    monkeypatch.setattr(HostMemory, "free", lambda self: needed // 2)  # after the list was made
    place.button("Use").click()
    place.until(place.told)
    assert "are free" in place.told()
    assert place.opened == []
    assert place.controller.session is not None
    assert place.cells(ModelColumn.STATE)["two"] == "no room"
    assert not place.button("Use").isEnabled()


def test_a_model_that_cannot_be_opened_is_said_there_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(progress: Callable[[float], None]) -> ScriptedSession:
        raise BundleError("two", "weights.bin was altered")

    monkeypatch.setattr(place.desk, "_opener_of", lambda name, tokens: fail)
    place.press("two", "Use")
    place.until(lambda: "weights.bin was altered" in place.told())
    assert place.cells(ModelColumn.STATE) == {"one": "", "two": "", "shared": ""}
    place.select("one")
    assert place.button("Use").isEnabled()


def test_a_shorter_text_takes_less_and_is_the_window_of_the_next_one(place: Place) -> None:
    before = place.cells(ModelColumn.MEMORY)["two"]
    place.desk.count_for(16)
    place.until(lambda: place.cells(ModelColumn.MEMORY)["two"] != before)
    assert place.controller.wishes.window.size == 16
    assert place.models._context.currentText() == "16 tokens"
    form = place.window.findChild(WindowForm)
    assert form is not None
    assert form._size.value() == 16
    place.press("two", "Use")
    place.until(lambda: place.opened)
    assert place.opened[-1][1] == 16


def test_a_default_is_kept_at_once(place: Place) -> None:
    place.press("two", "Make default")
    place.until(lambda: place.cells(ModelColumn.STATE)["two"] == "default")
    assert settings.load(paths.settings_file()).model == "two"
    assert "two" in place.told()


def test_a_model_is_renamed_and_stays_selected(place: Place) -> None:
    place.press("two", "Rename …")
    dialog = place.models.findChild(QInputDialog)
    assert dialog is not None
    dialog.setTextValue("ours")
    dialog.accept()
    place.until(lambda: "ours" in place.cells(ModelColumn.NAME))
    assert read_card(place.folder / "ours").id == "ours"
    row = place.models._selected()
    assert row is not None
    assert row.id == "ours"


def test_a_name_that_is_taken_is_one_sentence(place: Place) -> None:
    place.select("two")
    row = place.models._selected()
    assert row is not None
    place.desk.rename(row, "one")
    place.until(place.told)
    assert place.told() == "The model two stays as it is: there is another one called 'one'."


def test_a_damaged_model_is_found_out(place: Place) -> None:
    place.press("two", "Verify")
    place.until(place.told)
    assert "in order" in place.told()
    (place.folder / "two" / "weights.bin").write_bytes(b"")
    place.press("two", "Verify")
    place.until(lambda: "weights.bin" in place.told())
    (place.folder / "two" / "card.json").write_text("{")
    place.desk.refresh()
    place.until(lambda: place.cells(ModelColumn.STATE)["two"] == "broken")
    place.select("two")
    assert not place.button("Use").isEnabled()
    assert place.button("Remove").isEnabled()


def drop(target: QWidget, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    for kind in (QDragEnterEvent, QDropEvent):
        event = kind(
            QPoint(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(target, event)
        assert event.isAccepted()


def test_a_dropped_file_is_imported_and_selected(place: Place) -> None:
    place.models.close()
    drop(place.window.panel(PromptPanel).findChildren(PromptEdit)[0].viewport(), SOURCE)
    assert place.models.isVisible()
    seen: list[int] = []
    place.desk.changed.connect(lambda view: seen.append(view.importing.percent) if view.importing else None)
    place.until(lambda: "tiny_qwen3" in place.cells(ModelColumn.NAME))
    assert seen == sorted(seen)
    assert seen[-1] == 100
    place.until(lambda: place.told() == "tiny_qwen3 was imported.")
    row = place.models._selected()
    assert row is not None
    assert row.id == "tiny_qwen3"
    assert [path.name for path in place.folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.gguf", True), ("model_q4.ONNX", True), ("folder/config.json", False), ("folder", True), ("a.txt", False)],
)
def test_what_may_be_a_model_is_taken_where_it_is_dropped(tmp_path: Path, name: str, expected: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
        (path / "config.json").touch()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    assert (dropped_file(data) == path) is expected


def test_an_import_that_is_cancelled_leaves_nothing(place: Place) -> None:
    place.models.import_source(SOURCE)
    place.until(lambda: place.desk.view.importing is not None and place.desk.view.importing.percent)
    place.button("Cancel").click()
    place.until(place.told)
    came_too_late = "cancelled" not in place.told()  # on a machine that is busy with something else
    assert sorted(path.name for path in place.folder.iterdir()) == ["one", *(["tiny_qwen3"] * came_too_late), "two"]


def test_a_model_that_was_ready_before_the_cancel_came_is_told_of() -> None:
    process = ImportProcess()
    process._cancelled = True
    assert process._outcome(0, '{"id": "ready", "imported": true}') == ImportEnd(id="ready")
    assert process._outcome(130, "") == ImportEnd()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of a class that is not in the table."""
    folder = write_checkpoint("qwen2", tmp_path / "checkpoint")
    change(folder, "config.json", architectures=["SomethingElseForCausalLM"])
    return folder


def test_a_checkpoint_that_needs_an_export_says_how_it_is_made_possible(place: Place, checkpoint: Path) -> None:
    place.models.import_source(checkpoint)
    place.until(place.told)
    assert "SomethingElseForCausalLM" in place.told()
    assert "canopy-desktop models import --setup" in place.told()


def test_an_export_under_way_is_told_and_ends_with_its_import(
    place: Place, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_EXPORT", str(tmp_path / "environment"))
    write_environment(
        tmp_path / "environment",
        f"def run(name, arguments):\n    open({str(tmp_path / 'begun')!r}, 'w').close()\n    time.sleep(600)",
    )
    place.models.import_source(checkpoint)
    place.until((tmp_path / "begun").exists)
    place.until(lambda: any("exporting" in label.text() for label in place.models.findChildren(QLabel)))
    place.button("Cancel").click()
    place.until(place.told)
    assert "cancelled" in place.told()
    assert sorted(path.name for path in place.folder.iterdir()) == ["one", "two"]


def test_what_cannot_be_imported_is_one_sentence(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "text.gguf"
    file.write_text("no model")
    place.models.import_source(file)
    place.until(place.told)
    assert "text.gguf" in place.told()
    assert place.told().count(".") == place.told().count("text.gguf") + 1
    assert place.desk.view.importing is None


def test_the_palette_and_the_menu_have_it(place: Place) -> None:
    action = place.window.commands[Command.MODELS]
    assert action in place.window._file_menu.actions()
    assert action in [entry.action for entry in place.window.entries()]


def test_what_was_removed_comes_back_until_the_window_closes_and_an_import_ends_with_it(own: Place) -> None:
    own.select("two")
    QTest.keyClick(own.table, Qt.Key.Key_Delete)
    own.until(lambda: "two" not in own.cells(ModelColumn.NAME))
    own.button("Put two back").click()
    own.until(lambda: "two" in own.cells(ModelColumn.NAME))
    assert read_card(own.folder / "two")
    own.press("two", "Remove")
    own.until(lambda: "two" not in own.cells(ModelColumn.NAME))
    own.models.import_source(SOURCE)
    own.until(lambda: own.desk.view.importing is not None and own.desk.view.importing.percent)
    own.window.close()
    assert [path.name for path in own.folder.iterdir()] == ["one"]


def test_everything_has_a_name_and_finds_room_at_the_largest_zoom(place: Place) -> None:
    place.window._zoom(250)
    place.models.resize(1240, 690)
    QApplication.processEvents()
    found = stops(place.models)
    assert len(found) > 6
    assert [widget for widget in found if not name_of(widget)] == []
    assert place.models.minimumSizeHint().height() <= 690
    assert place.models.minimumSizeHint().width() <= 1240

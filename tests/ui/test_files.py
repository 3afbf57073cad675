"""Files in the window: saved, opened, dropped, named in the title; and what a crash or another exploration left."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from canopy_desktop.exploration import journal, storage
from canopy_desktop.exploration.blocking import BlockWish
from canopy_desktop.exploration.journal import Journal
from canopy_desktop.exploration.kept_attention import WhyNot
from canopy_desktop.exploration.view import Colouring, WindowView
from canopy_desktop.settings import Preferences
from canopy_ui.actions import Command
from canopy_ui.controller import Controller
from canopy_ui.file_menu import dropped_file
from canopy_ui.files import Files
from canopy_ui.main_window import MainWindow
from canopy_ui.offer_bar import OfferBar
from canopy_ui.panels.attention_panel import AttentionPanel
from canopy_ui.panels.inside_panel import InsidePanel
from canopy_ui.panels.lens_panel import LensPanel
from canopy_ui.panels.prompt_panel import PromptPanel
from canopy_ui.panels.token_panel import TokenPanel
from canopy_ui.state import RunPhase
from canopy_ui.widgets.attention_matrix import AttentionMatrix
from canopy_ui.widgets.forbid_menu import ForbidMenu
from canopy_ui.widgets.legend import Legend
from canopy_ui.widgets.message_page import MessagePage
from canopy_ui.widgets.notice import Notice
from canopy_ui.widgets.prompt_edit import PromptEdit
from tests.support.driving import PATIENCE_MS, PREFERENCES
from tests.support.scripted import ScriptedSession, opener_of


class Kept:
    """A controller with a scripted model, its files, and a folder of journals: a window without its panels."""

    def __init__(
        self, qtbot: QtBot, folder: Path, preferences: Preferences = PREFERENCES, title: str = "Scripted"
    ) -> None:
        self.qtbot = qtbot
        kept_in, session = Journal(folder), ScriptedSession()
        session.card = replace(session.card, title=title)
        self.session = session
        self.controller = Controller(opener_of(session), preferences, kept_in)
        self.files = Files(self.controller, recent=preferences.recent_files, journal=kept_in, folder=folder)
        self.said: list[str] = []
        self.files.failed.connect(lambda error: self.said.append(str(error)))

    def close(self) -> None:
        self.files.close()
        self.controller.shutdown()

    def start(self, file: Path | None = None, *, last: str = "", last_saved: bool = True) -> None:
        self.files.start(file, last=last, last_saved=last_saved)
        with self.qtbot.waitSignal(self.controller.model_opened, timeout=PATIENCE_MS):
            self.controller.open()

    def run(self) -> None:
        self.controller.run()
        self.wait(RunPhase.FINISHED)

    def wait(self, phase: RunPhase) -> None:
        self.qtbot.waitUntil(lambda: self.controller.state.phase is phase, timeout=PATIENCE_MS)
        with self.qtbot.waitSignal(self.controller.settled, timeout=PATIENCE_MS):
            self.controller.touch()

    def until(self, holds: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(holds()), timeout=PATIENCE_MS)

    def save(self, file: Path) -> None:
        self.files.save(file)
        self.until(lambda: self.files.file == file)


class Shown(Kept):
    """The whole window."""

    def __init__(
        self, qtbot: QtBot, folder: Path, preferences: Preferences = PREFERENCES, title: str = "Scripted"
    ) -> None:
        super().__init__(qtbot, folder, preferences, title)
        self.remembered: list[Preferences] = []
        self.window = MainWindow(self.controller, preferences, self.remembered.append, "auto", self.files)
        qtbot.addWidget(self.window)
        self.window.show()

    def close(self) -> None:
        self.window.close()

    def title(self) -> str:
        return self.window.windowTitle()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journals"


@pytest.fixture
def show(qtbot: QtBot, folder: Path) -> Iterator[Callable[..., Shown]]:
    shown: list[Shown] = []

    def make(preferences: Preferences = PREFERENCES, *, title: str = "Scripted") -> Shown:
        shown.append(Shown(qtbot, folder, preferences, title))
        return shown[-1]

    yield make
    for one in shown:
        one.close()


@pytest.fixture
def keep(qtbot: QtBot, folder: Path) -> Iterator[Callable[..., Kept]]:
    made: list[Kept] = []

    def make(title: str = "Scripted") -> Kept:
        made.append(Kept(qtbot, folder, title=title))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_title_names_the_file_and_marks_what_it_lacks(show: Callable[..., Shown], tmp_path: Path) -> None:
    shown = show()
    shown.start()
    assert not shown.window.commands[Command.SAVE].isEnabled()
    shown.run()
    assert shown.title() == "Canopy – 3 + 4 tokens"
    shown.save(tmp_path / "lesson.canopy")
    assert shown.title() == "lesson.canopy[*] – Canopy – 3 + 4 tokens"
    assert not shown.window.isWindowModified()
    shown.run()
    assert shown.window.isWindowModified()
    shown.window.commands[Command.SAVE].trigger()
    shown.until(lambda: not shown.window.isWindowModified())
    assert len(storage.load(tmp_path / "lesson.canopy").steps) == 8


def test_an_opened_file_is_shown_with_its_prompt_and_goes_on(show: Callable[..., Shown], tmp_path: Path) -> None:
    file = tmp_path / "lesson.canopy"
    first = show()
    first.start()
    first.run()
    first.save(file)
    first.window.close()
    assert first.remembered[0].recent_files == (str(file),)

    second = show()
    second.start(file)
    second.wait(RunPhase.FINISHED)
    second.until(lambda: second.files.file == file)
    assert second.window.panel(PromptPanel).request().text == "abc"
    assert second.controller.state.generated == 4
    assert not second.controller.state.edited
    second.run()
    assert second.controller.state.generated == 8


def test_another_models_exploration_says_what_needs_that_model(show: Callable[..., Shown], tmp_path: Path) -> None:
    file = tmp_path / "lesson.canopy"
    first = show()
    first.start()
    first.run()
    first.save(file)

    second = show(title="Another")
    second.start(file)
    second.until(lambda: second.controller.state.phase is RunPhase.PAUSED and second.controller.state.loaded)
    second.controller.touch()
    notice = second.window.panel(TokenPanel).findChild(Notice)
    assert notice is not None
    second.until(lambda: "scripted made this exploration" in notice.text())
    attention = second.window.panel(AttentionPanel).findChild(MessagePage)
    assert attention is not None
    assert "needs scripted" in attention.text()
    for panel in (LensPanel, InsidePanel):
        page = second.window.panel(panel).findChild(MessagePage)
        assert "needs scripted, the model that made this exploration" in page.text()
    second.window.entries()
    copy = second.window.commands[Command.SAVE_COPY]
    assert not copy.isEnabled()
    assert "model that made this exploration is not here" in copy.toolTip()
    second.controller.draft.edit(replace(second.controller.draft.request, text="xy"))
    second.run()
    second.until(lambda: notice.text() == "")


def test_an_edited_prompt_that_is_run_has_no_file_any_more(keep: Callable[[], Kept], tmp_path: Path) -> None:
    shown = keep()
    shown.start()
    shown.run()
    shown.save(tmp_path / "lesson.canopy")
    shown.controller.draft.edit(type(shown.controller.draft.request)(text="xy"))
    shown.run()
    assert shown.files.file is None


def test_what_a_window_showed_when_it_closed_the_next_one_shows(keep: Callable[[], Kept], tmp_path: Path) -> None:
    first = keep()
    first.start()
    first.run()
    first.save(tmp_path / "lesson.canopy")
    first.run()
    file, saved = first.files.file, not first.files.modified
    first.close()

    second = keep()
    second.start(last=str(file), last_saved=saved)
    second.wait(RunPhase.FINISHED)
    assert second.controller.state.generated == 8
    assert second.files.file == file
    assert second.files.modified
    assert second.files.offers == ()


def test_another_models_exploration_is_shown_again_too(keep: Callable[..., Kept], tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "lesson.canopy"
    first = keep()
    first.start()
    first.run()
    first.save(file)
    first.close()

    second = keep("Another")
    second.start(file)
    second.until(lambda: second.controller.keeping.alone and second.controller.state.loaded)
    second.files.close()
    second.close()
    for one in journal.find(folder):
        journal.discard(one.path)  # of the first window
    third = keep("Another")
    third.start(last=str(file))
    third.until(lambda: third.controller.keeping.alone and third.controller.state.generated == 4)
    third.controller.reset()
    third.until(lambda: third.controller.state.generated == 0)


def test_what_a_crash_left_is_offered_and_can_be_opened(show: Callable[..., Shown], folder: Path) -> None:
    first = show()
    first.start()
    first.run()
    (path,) = folder.iterdir()
    crashed = folder / "999999999-1000-1.open"
    crashed.write_bytes(path.read_bytes())
    noon = time.mktime((2026, 3, 4, 14, 3, 0, 0, 0, -1))
    os.utime(crashed, (noon, noon))
    first.controller.reset()
    first.window.close()

    second = show()
    second.start()
    bar = second.window.findChild(OfferBar)
    assert bar is not None
    second.until(bar.isVisible)
    assert "2026-03-04, 14:03" in bar.text()
    bar.findChildren(QPushButton)[0].click()
    second.wait(RunPhase.FINISHED)
    assert second.controller.state.generated == 4
    assert not bar.isVisible()
    second.until(lambda: not crashed.exists())


def test_an_offer_that_is_discarded_is_gone_for_good(show: Callable[..., Shown], folder: Path) -> None:
    folder.mkdir()
    (folder / "999999999-1000-1.open").write_bytes(b"{}\n")
    shown = show()
    shown.start()
    bar = shown.window.findChild(OfferBar)
    assert bar is not None
    shown.until(bar.isVisible)
    bar.findChildren(QPushButton)[1].click()
    assert not bar.isVisible()
    assert journal.find(folder) == []


def test_what_another_exploration_replaces_unsaved_is_offered(keep: Callable[[], Kept], tmp_path: Path) -> None:
    shown = keep()
    shown.start()
    shown.run()
    shown.save(tmp_path / "one.canopy")
    shown.run()  # the file lacks this
    shown.files.open(tmp_path / "one.canopy")
    shown.until(lambda: shown.files.offers)
    shown.wait(RunPhase.FINISHED)
    assert shown.controller.state.generated == 4
    shown.files.recover(shown.files.offers[0])
    shown.until(lambda: shown.controller.state.generated == 8)
    shown.wait(RunPhase.FINISHED)


def test_new_clears_the_text_and_what_was_saved_is_not_offered(keep: Callable[[], Kept], tmp_path: Path) -> None:
    shown = keep()
    shown.start()
    shown.run()
    shown.save(tmp_path / "one.canopy")
    shown.files.new()
    assert shown.controller.state.phase is RunPhase.READY
    assert shown.files.file is None
    shown.run()
    shown.files.new()
    shown.until(lambda: len(shown.files.offers) == 1)


def test_a_file_that_is_none_is_one_sentence_and_what_is_shown_stays(keep: Callable[[], Kept], tmp_path: Path) -> None:
    (tmp_path / "broken.canopy").write_bytes(b"PK\x03\x04 nothing of ours")
    shown = keep()
    shown.start()
    shown.run()
    shown.files.open(tmp_path / "broken.canopy")
    shown.until(lambda: shown.said and "no exploration file" in shown.said[-1])
    assert shown.controller.state.generated == 4
    shown.files.save(tmp_path / "missing" / "x.canopy")
    shown.until(lambda: "could not be saved" in shown.said[-1])
    assert shown.files.file is None


def test_a_file_can_be_dropped_also_on_the_prompt(show: Callable[..., Shown], tmp_path: Path) -> None:
    file = tmp_path / "lesson.canopy"
    shown = show()
    shown.start()
    shown.run()
    shown.save(file)
    shown.window.commands[Command.NEW].trigger()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    data.setText(str(file))
    field = shown.window.panel(PromptPanel).findChildren(PromptEdit)[0]
    for kind in (QDragEnterEvent, QDropEvent):
        event = kind(
            QPoint(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(field.viewport(), event)
        assert event.isAccepted()
    shown.until(lambda: shown.files.file == file)
    assert shown.window.panel(PromptPanel).request().text == "abc"


@pytest.mark.parametrize("names", [[], ["a.txt"], ["a.canopy", "b.canopy"], ["https://example.org/a.canopy"]])
def test_only_one_exploration_of_this_machine_is_taken_from_what_is_dragged(names: list[str]) -> None:
    data = QMimeData()
    data.setUrls([QUrl(name) if "://" in name else QUrl.fromLocalFile(name) for name in names])
    assert dropped_file(data) is None


def test_recent_files_are_remembered_newest_first(keep: Callable[[], Kept], tmp_path: Path) -> None:
    shown = keep()
    shown.start()
    shown.run()
    for name in ("one", "two", "one"):
        shown.save(tmp_path / f"{name}.canopy")
        shown.until(lambda name=name: shown.files.recent[0].stem == name)
    assert [path.stem for path in shown.files.recent] == ["one", "two"]
    (tmp_path / "two.canopy").unlink()
    shown.files.open(tmp_path / "two.canopy")
    shown.until(lambda: len(shown.files.recent) == 1)


def offered(shown: Shown) -> str:
    """What the menu says of a copy with attention."""
    shown.window.entries()
    return shown.window.commands[Command.SAVE_COPY].text()


def copied(shown: Shown, file: Path) -> Path:
    """A copy with attention."""
    with shown.qtbot.waitSignal(shown.files.copied, timeout=PATIENCE_MS) as told:
        shown.files.save_copy(file)
    assert told.args == [file, file.stat().st_size]
    return file


def test_a_copy_with_attention_takes_what_was_said_and_is_not_the_file_of_the_window(
    show: Callable[..., Shown], tmp_path: Path
) -> None:
    shown = show()
    shown.start()
    action = shown.window.commands[Command.SAVE_COPY]
    assert "no attention yet" in action.toolTip()
    assert not action.isEnabled()
    shown.run()
    assert offered(shown) == "Save a copy with attention (864 B more) …"  # 6 tokens have passed
    assert action.isEnabled()
    shown.save(tmp_path / "lesson.canopy")
    copy = copied(shown, tmp_path / "copy.canopy")
    assert shown.files.file == tmp_path / "lesson.canopy"
    assert shown.files.recent[0] == copy
    attention = storage.load(copy).attention
    assert attention is not None
    assert attention.bytes == 864
    assert storage.load(tmp_path / "lesson.canopy").attention is None
    notice = shown.window.panel(TokenPanel).findChild(Notice)
    assert notice is not None
    assert notice.text().startswith("copy.canopy is saved, with attention")


def test_without_its_model_the_attention_of_a_copy_is_shown_and_kept_on(
    show: Callable[..., Shown], tmp_path: Path
) -> None:
    first = show()
    first.start()
    first.run()
    first.controller.choose(0, 40)
    first.wait(RunPhase.FINISHED)
    file = copied(first, tmp_path / "copy.canopy")
    first.window.close()

    second = show(title="Another")
    second.start(file)
    second.until(lambda: second.controller.state.phase is RunPhase.PAUSED and second.controller.state.loaded)
    panel = second.window.panel(AttentionPanel)
    second.until(lambda: panel.findChild(AttentionMatrix).isVisible())
    views: list[WindowView] = []
    second.controller.view_changed.connect(views.append)
    second.controller.sight.look_at_row(True)
    second.wait(RunPhase.PAUSED)
    attention, row = views[-1].attention, views[-1].row
    assert attention is not None
    assert row is not None
    length = attention.reading.length
    assert length == attention_of(file)
    assert np.allclose(attention.reading.value_at(4, 3), 1 / 5)
    assert np.allclose(row.heads[..., : row.position + 1], 1 / (row.position + 1))
    assert "Read from the file, without its model" in [label.text() for label in panel.findChildren(QLabel)]
    assert second.session.asked == []  # the other model was asked nothing
    second.controller.go_to(1)  # another branch shares its beginning alone
    second.wait(RunPhase.PAUSED)
    assert views[-1].attention is not None
    assert views[-1].attention.reading.length == 4
    menu = panel.findChild(ForbidMenu)
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions()] == [
        "What another look would change needs scripted, the model that made this exploration"
    ]
    second.controller.blocks.block(BlockWish(query=3, key=1, column=False, layer=0, head=0))
    notice = second.window.panel(TokenPanel).findChild(Notice)
    second.until(lambda: "made this exploration" in notice.text())
    assert offered(second) == "Save a copy with attention (1.15 kB more) …"
    second.save(tmp_path / "again.canopy")
    assert attention_of(tmp_path / "again.canopy") == length


def attention_of(file: Path) -> int:
    """Of how many tokens a file has attention."""
    attention = storage.load(file).attention
    assert attention is not None
    return attention.note.tokens


def test_with_its_model_attention_is_computed_anew_and_the_file_keeps_what_it_had(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    first = keep()
    first.start()
    first.run()
    with first.qtbot.waitSignal(first.files.copied, timeout=PATIENCE_MS):
        first.files.save_copy(tmp_path / "copy.canopy")
    first.close()
    second = keep()
    second.start(tmp_path / "copy.canopy")
    second.wait(RunPhase.FINISHED)
    assert ("attention", 6) in {asked[:2] for asked in second.session.asked}
    second.run()
    second.save(tmp_path / "copy.canopy")
    assert attention_of(tmp_path / "copy.canopy") == 6
    second.run()
    second.close()
    third = keep("Another")  # its journal has none, so it is taken from the file from which it goes on
    third.start(last=str(tmp_path / "copy.canopy"), last_saved=False)
    third.until(lambda: third.controller.state.loaded and third.controller.keeping.attention_alone is not None)
    assert third.controller.state.generated == 12


def test_a_copy_that_was_asked_for_is_written_although_the_window_closes(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    kept = keep()
    kept.start()
    kept.run()
    kept.files.save_copy(tmp_path / "copy.canopy")
    kept.files.close()
    assert attention_of(tmp_path / "copy.canopy") == 6


def test_attention_that_cannot_be_copied_says_so_and_leaves_no_file(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep()
    kept.start()
    kept.run()
    kept.session.sequence.gone = {2, 3}
    kept.files.save_copy(tmp_path / "copy.canopy")
    kept.until(lambda: kept.said)
    assert "2 tokens made room" in kept.said[0]
    assert not (tmp_path / "copy.canopy").exists()
    assert kept.files.can_save
    kept.controller.session.attention_bytes_per_token = 0
    assert kept.files.attention_offer.why_not is WhyNot.NOT_GIVEN
    kept.controller.session.attention_bytes_per_token = 10**9
    assert kept.files.attention_offer.why_not is WhyNot.TOO_LONG


def test_colours_of_attention_say_what_they_need_and_are_there_where_the_file_keeps_it(
    show: Callable[..., Shown], tmp_path: Path
) -> None:
    first = show()
    first.start()
    first.run()
    copy = copied(first, tmp_path / "copy.canopy")
    first.save(tmp_path / "lesson.canopy")
    first.window.close()
    second = show(title="Another")
    second.controller.sight.colour_by(Colouring.ATTENTION)
    second.start(tmp_path / "lesson.canopy")
    legend = second.window.panel(TokenPanel).findChild(Legend)
    second.until(lambda: "needs scripted" in legend.accessibleDescription())
    second.files.open(copy)
    second.until(lambda: "0 – 16.7 %" in legend.accessibleDescription())  # a sixth for each of six tokens

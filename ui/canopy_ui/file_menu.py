"""The menu for files, the questions where they are, and what may be dropped on the window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, QStandardPaths, Signal, Slot
from PySide6.QtGui import QAction, QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QPlainTextEdit, QWidget

from canopy_desktop.exploration.kept_attention import MAX_ATTENTION, AttentionOffer, WhyNot
from canopy_ui.actions import Command
from canopy_ui.files import SUFFIX, Files
from canopy_ui.widgets.numbers import byte_size

MODEL_FILES = (".gguf", ".onnx")
MODEL_FOLDERS = ("card.json", "config.json")  # one of which the folder of a model has


class FileMenu(QMenu):
    """New, Open, Recent, Save, Save as, a copy with attention. Asks for names; `Files` does the rest."""

    def __init__(self, files: Files, commands: Mapping[Command, QAction], parent: QWidget) -> None:
        super().__init__(parent)
        self._files = files
        self._commands = commands
        self._window = parent
        self._copy_tip = commands[Command.SAVE_COPY].whatsThis()
        self.setToolTipsVisible(True)  # they say why something is not possible
        self._recent = QMenu(self.tr("Recent"), self)
        self._recent.triggered.connect(self._on_recent_triggered)
        self.addAction(commands[Command.NEW])
        self.addAction(commands[Command.OPEN])
        self.addMenu(self._recent)
        self.addSeparator()
        self.addAction(commands[Command.SAVE])
        self.addAction(commands[Command.SAVE_AS])
        self.addAction(commands[Command.SAVE_COPY])
        self.addSeparator()
        self.addAction(commands[Command.MODELS])
        for command, slot in (
            (Command.NEW, files.new),
            (Command.OPEN, self._on_open_requested),
            (Command.SAVE, self._on_save_requested),
            (Command.SAVE_AS, self._on_save_as_requested),
            (Command.SAVE_COPY, self._on_save_copy_requested),
        ):
            commands[command].triggered.connect(slot)
        files.changed.connect(self._on_files_changed)
        self.aboutToShow.connect(self.show_offer)
        self._on_files_changed()

    def recent_actions(self) -> tuple[QAction, ...]:
        """The recent files to choose from."""
        return tuple(self._recent.actions())

    @Slot()
    def _on_files_changed(self) -> None:
        self._recent.clear()
        for path in self._files.recent:
            action = self._recent.addAction(path.name.replace("&", "&&"))
            action.setData(str(path))
            action.setToolTip(str(path))
            action.setWhatsThis(self.tr("Open {path}").format(path=path))
        self._recent.setEnabled(bool(self._files.recent))
        self.refresh()

    def refresh(self, *, busy: bool = False) -> None:
        """Offer what is possible now; what a copy takes grows with every token, so while one is `busy` it waits."""
        for command in (Command.SAVE, Command.SAVE_AS):
            self._commands[command].setEnabled(self._files.can_save)
        if not busy:
            self.show_offer()

    @Slot()
    def show_offer(self) -> None:
        """Say what a copy with attention takes, or why there can be none."""
        action, offer = self._commands[Command.SAVE_COPY], self._files.attention_offer
        text = self.tr("Save a copy with attention …")
        if offer.why_not is None:
            size = byte_size(offer.bytes, digits=3)
            text = self.tr("Save a copy with attention ({size} more) …").format(size=size)
        action.setText(text)
        action.setEnabled(self._files.can_save and offer.why_not is None)
        said = self._why_not(offer) or self._copy_tip
        action.setToolTip(said)
        action.setWhatsThis(said)

    def _why_not(self, offer: AttentionOffer) -> str:
        match offer.why_not:
            case WhyNot.NO_TEXT:
                return self.tr("There is no attention yet: the model has read no text")
            case WhyNot.OTHER_MODEL:
                return self.tr("The model that made this exploration is not here, and its file keeps no attention")
            case WhyNot.NOT_GIVEN:
                return self.tr("This model's graph gives no queries, so its attention cannot be kept")
            case WhyNot.TOO_LONG:
                return self.tr("The attention of this text takes {size}, and a file holds {most}").format(
                    size=byte_size(offer.bytes), most=byte_size(MAX_ATTENTION)
                )
            case None:
                return ""

    @Slot(QAction)
    def _on_recent_triggered(self, action: QAction) -> None:
        self._files.open(Path(action.data()))

    @Slot()
    def _on_open_requested(self) -> None:
        dialog = self._dialog(self.tr("Open an exploration"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._on_opened_chosen)
        dialog.open()

    @Slot(str)
    def _on_opened_chosen(self, path: str) -> None:
        self._files.open(Path(path))

    @Slot(str)
    def _on_saved_chosen(self, path: str) -> None:
        self._files.save(Path(path))

    @Slot()
    def _on_save_requested(self) -> None:
        if self._files.file is None:
            self._on_save_as_requested()
        else:
            self._files.save(self._files.file)

    @Slot()
    def _on_save_as_requested(self) -> None:
        dialog = self._dialog(self.tr("Save the exploration"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        dialog.selectFile(self._files.file.name if self._files.file else self.tr("exploration") + SUFFIX)
        dialog.fileSelected.connect(self._on_saved_chosen)
        dialog.open()

    @Slot(str)
    def _on_copy_chosen(self, path: str) -> None:
        self._files.save_copy(Path(path))

    @Slot()
    def _on_save_copy_requested(self) -> None:
        name = self._files.file.stem if self._files.file else self.tr("exploration")
        dialog = self._dialog(self.tr("Save a copy with attention"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        dialog.selectFile(self.tr("{name} with attention").format(name=name) + SUFFIX)
        dialog.fileSelected.connect(self._on_copy_chosen)
        dialog.open()

    def _dialog(self, title: str) -> QFileDialog:
        dialog = QFileDialog(self._window, title, str(self._folder()))
        dialog.setNameFilters([self.tr("Explorations (*.canopy)"), self.tr("All files (*)")])
        dialog.finished.connect(dialog.deleteLater)
        return dialog

    def _folder(self) -> Path:
        if self._files.file is not None:
            return self._files.file.parent
        if self._files.recent:
            return self._files.recent[0].parent
        return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation))


class FileDrop(QObject):
    """Takes explorations and models that are dropped on the window, also on its text fields."""

    model_dropped = Signal(object)  # Path

    def __init__(self, files: Files, window: QWidget) -> None:
        super().__init__(window)
        self._files = files
        window.setAcceptDrops(True)
        for target in (window, *(field.viewport() for field in window.findChildren(QPlainTextEdit))):
            target.installEventFilter(self)

    def eventFilter(self, target: QObject, event: QEvent) -> bool:
        if not isinstance(event, QDragEnterEvent | QDragMoveEvent | QDropEvent):
            return False
        path = dropped_file(event.mimeData())
        if path is None:
            return False
        event.acceptProposedAction()
        if event.type() is QEvent.Type.Drop and path.suffix == SUFFIX:
            self._files.open(path)
        elif event.type() is QEvent.Type.Drop:
            self.model_dropped.emit(path)
        return True


def dropped_file(data: QMimeData) -> Path | None:
    """The one exploration, or model to be imported, in what is dragged; None where there is none, or more."""
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    return paths[0] if len(paths) == 1 and (paths[0].suffix == SUFFIX or _is_model(paths[0])) else None


def _is_model(path: Path) -> bool:
    return path.suffix.lower() in MODEL_FILES or any((path / name).is_file() for name in MODEL_FOLDERS)

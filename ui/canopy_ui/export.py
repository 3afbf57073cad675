"""Panels go to the clipboard and into files, with a caption that says what they are a part of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QIODevice, QMimeData, QObject, QStandardPaths, QThreadPool, Signal, Slot
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from canopy_desktop.atomic import replacing
from canopy_desktop.errors import StorageError
from canopy_desktop.exploration.view import WindowView
from canopy_ui.captions import RunFacts, caption, compared_caption, run_facts
from canopy_ui.export_menu import Export
from canopy_ui.panel_content import csv_of, image_of, svg_of, table_of, text_of
from canopy_ui.workspaces import COMPARE

if TYPE_CHECKING:
    from canopy_ui.controller import Controller
    from canopy_ui.dock import Dock

logger = logging.getLogger(__name__)
SVG, PNG, CSV = ".svg", ".png", ".csv"


class Exporter(QObject):
    """Takes a picture when it is asked for; encodes and writes it on a thread of its own."""

    failed = Signal(object)  # StorageError
    written = Signal(object)  # Path

    def __init__(self, controller: Controller, window: QWidget) -> None:
        super().__init__(window)
        self._controller = controller
        self._window = window
        self._view = WindowView()
        self._writers = QThreadPool(self)
        self._writers.setMaxThreadCount(1)
        controller.view_changed.connect(self._on_view_changed)

    @Slot(object, object)
    def export(self, dock: Dock, wanted: Export) -> None:
        """Copy at once, or ask where to save."""
        match wanted:
            case Export.COPY_TEXT:
                QGuiApplication.clipboard().setText(text_of(dock.panel, self.caption_of(dock)))
            case Export.COPY_TABLE:
                self._copy_table(dock)
            case Export.COPY_PICTURE:
                QGuiApplication.clipboard().setImage(image_of(dock.panel, self.caption_of(dock), dock.theme))
            case Export.SAVE_PICTURE:
                self._save_picture(dock)
            case Export.SAVE_TABLE:
                self._save_table(dock)

    def caption_of(self, dock: Dock) -> tuple[str, ...]:
        """The lines below a picture of this dock."""
        compared = self._compared() if dock.objectName() == COMPARE else None
        if compared is not None:
            return compared_caption(dock.windowTitle(), dock.subtitle(), *compared)
        return caption(dock.windowTitle(), dock.subtitle(), self._run())

    def finish(self) -> None:
        """Return when everything is written."""
        self._writers.waitForDone()

    def _run(self) -> RunFacts | None:
        session = self._controller.session
        if session is None:
            return None
        card, settings = session.card, self._controller.wishes.decoding
        return run_facts(self._view, settings, card.id, card.weights.value, session.provider.name)

    def _compared(self) -> tuple[RunFacts, RunFacts] | None:
        """The two runs that Compare shows; None before there are any."""
        session, comparison = self._controller.session, self._controller.comparison
        wishes, view = comparison.wishes, comparison.view()
        if session is None or wishes is None or view.a is None or view.b is None:
            return None
        a, b = (
            RunFacts(
                prompt=wish.request.text,
                model=side.model,
                weights=side.weights.value,
                provider=session.provider.name,
                settings=wish.settings,
                step=None,
            )
            for wish, side in zip(wishes, (view.a, view.b), strict=True)
        )
        return a, b

    def _copy_table(self, dock: Dock) -> None:
        table = table_of(dock.panel)
        if table is None:
            return
        text, data = csv_of(table), QMimeData()
        data.setText(text)
        data.setData("text/csv", text.encode())
        QGuiApplication.clipboard().setMimeData(data)

    def _save_picture(self, dock: Dock) -> None:
        """What is seen now is saved, whatever changes until a name is found."""
        lines = self.caption_of(dock)
        image, svg = image_of(dock.panel, lines, dock.theme), svg_of(dock.panel, lines, dock.theme)

        def save(path: Path) -> None:
            self._write(path, (lambda: svg) if path.suffix.lower() == SVG else (lambda: png_of(image)))

        self._ask(self.tr("Save a picture"), f"{self._name(dock)}{PNG}", {PNG: "PNG", SVG: "SVG"}, save)

    def _save_table(self, dock: Dock) -> None:
        table = table_of(dock.panel)
        if table is None:
            return
        data = csv_of(table).encode("utf-8-sig")  # the mark without which spreadsheets take it for Latin 1

        def save(path: Path) -> None:
            self._write(path, lambda: data)

        self._ask(self.tr("Save a table"), f"{self._name(dock)}{CSV}", {CSV: "CSV"}, save)

    def _name(self, dock: Dock) -> str:
        run = None if dock.objectName() == COMPARE else self._run()
        return dock.objectName() if run is None or run.step is None else f"{dock.objectName()}-step-{run.step}"

    def _ask(self, title: str, name: str, kinds: dict[str, str], save: Callable[[Path], None]) -> None:
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        dialog = QFileDialog(self._window, title, folder)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        filters = {f"{kind} (*{suffix})": suffix for suffix, kind in kinds.items()}
        dialog.setNameFilters(list(filters))
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(filters[chosen]))
        dialog.setDefaultSuffix(next(iter(kinds)))
        dialog.selectFile(name)
        dialog.fileSelected.connect(lambda path: save(Path(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _write(self, path: Path, content: Callable[[], bytes]) -> None:
        self._writers.start(lambda: self._on_writer_thread(path, content))

    def _on_writer_thread(self, path: Path, content: Callable[[], bytes]) -> None:
        try:
            with replacing(path) as file:
                file.write(content())
        except OSError as error:
            reason = f"it cannot be written ({error.strerror or error}); choose another folder, or free some disk space"
            self.failed.emit(StorageError(path, reason))
        else:
            self.written.emit(path)

    @Slot(object)
    def _on_view_changed(self, view: WindowView) -> None:
        self._view = view


def png_of(image: QImage) -> bytes:
    """The picture as a file's content. Safe on any thread."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs know no format beside a device
    return bytes(buffer.data().data())

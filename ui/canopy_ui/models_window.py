"""The place where models are: what is there, what it takes, and everything that can be done to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QSize, Qt, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from canopy_ui.messages import Wording
from canopy_ui.models_desk import DoneDeed, ModelDeed, ModelsDesk, ModelsView
from canopy_ui.models_words import ModelsWords, fits
from canopy_ui.qt_models.models_table import ModelColumn, ModelsTable
from canopy_ui.theme import Theme
from canopy_ui.widgets.copyable_table import CopyableTable
from canopy_ui.widgets.flow_layout import FlowLayout

if TYPE_CHECKING:
    from canopy_desktop.exploration.models_view import ModelRow

WIDTH, HEIGHT, WIDEST = 900, 560, 340  # pixels at 100 %, of the window and of a name
CONTEXTS = (512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)  # tokens to choose from


class ModelsWindow(QDialog):
    """A window beside the main one; nothing waits for it."""

    def __init__(self, desk: ModelsDesk, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Models"))
        self._desk = desk
        self._words, self._wording = ModelsWords(self), Wording(self)
        self._view = desk.view
        self._looked_for = ""  # the id of a model that comes with the next list, to be selected
        self._rows = ModelsTable(self._words.header(), self._cell, self)
        self._table = CopyableTable(theme)
        self._table.setModel(self._rows)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(ModelColumn.NAME, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self._table.setAccessibleName(self.tr("Models that are here"))
        self._context = QComboBox()
        self._context.setAccessibleName(self.tr("Length of the text that memory is counted for"))
        self._context.setToolTip(self.tr("It is also the context window of the next text"))
        self._free = self._label("secondary")
        self._about = self._label("secondary")
        self._about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setAccessibleName(self.tr("About the selected model"))
        self._note = QFrame()
        self._note.setAccessibleName(self.tr("What was done"))
        self._told = self._label("")
        self._undo = self._button("", self.tr("Undo the removal"))
        self._progress = QFrame()
        self._bar = QProgressBar()
        self._bar.setAccessibleName(self.tr("Progress of the import"))
        self._bar.setTextVisible(False)
        self._doing = self._label("secondary")
        self._cancel = self._button(self.tr("Cancel"), self.tr("End the import; nothing of it is left"))
        self._use = self._button(self.tr("Use"), self.tr("Open this model; what is shown can still be read (Enter)"))
        self._use.setProperty("look", "primary")
        self._default = self._button(self.tr("Make default"), self.tr("Open it when the program starts"))
        self._rename = self._button(self.tr("Rename …"), self.tr("Give it another id (F2)"))
        self._verify = self._button(self.tr("Verify"), self.tr("Check that every file is as it was built"))
        self._remove = self._button(self.tr("Remove"), self.tr("Take it off the disk when the window closes (Del)"))
        self._file = self._button(self.tr("Import file …"), self.tr("Make a model of a GGUF or ONNX file"))
        self._folder = self._button(self.tr("Import folder …"), self.tr("Bring in a model that is a folder"))
        self._arrange()
        self._connect()
        self.set_theme(theme)
        self._on_changed(desk.view)
        self._tell("")

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self._table.set_theme(theme)
        self._outer.setContentsMargins(theme.px(14), theme.px(12), theme.px(14), theme.px(12))
        self._outer.setSpacing(theme.px(8))
        self._top.set_gaps(theme.px(12), theme.px(4))
        self._actions.set_gaps(theme.px(8), theme.px(8))
        self._bar.setFixedHeight(theme.px(10))
        self._table.horizontalHeader().setMaximumSectionSize(theme.px(WIDEST))
        self._table.setMinimumHeight(theme.px(80))
        self._scroll.setMinimumHeight(theme.px(24))
        for button in self.findChildren(QPushButton):
            button.setFont(theme.font(14))

    def show_with(self, theme: Theme) -> None:
        """Come to the front, with what is there now."""
        self.set_theme(theme)
        self._desk.refresh()
        if not self.isVisible():
            self._tell("")
            room = self.screen().availableGeometry().size()
            self.resize(QSize(theme.px(WIDTH), theme.px(HEIGHT)).boundedTo(room * 0.95))
            self._table.setFocus()
        self.show()
        self.raise_()
        self.activateWindow()

    def import_source(self, source: Path) -> None:
        """Make a model of a file or folder that was dropped or chosen."""
        self._tell("")
        self._desk.import_source(source)

    def _label(self, look: str) -> QLabel:
        label = QLabel()
        label.setWordWrap(True)
        label.setProperty("look", look)
        return label

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.setAutoDefault(False)
        return button

    def _arrange(self) -> None:
        counted = QLabel(self.tr("Memory for a text of"))
        counted.setBuddy(self._context)
        self._top = FlowLayout()
        for widget in (counted, self._context, self._free, self._file, self._folder):
            self._top.addWidget(widget)
        noted = QHBoxLayout(self._note)
        noted.addWidget(self._told, 1)
        noted.addWidget(self._undo)
        importing = QHBoxLayout(self._progress)
        importing.setContentsMargins(0, 0, 0, 0)
        importing.addWidget(self._doing, 2)
        importing.addWidget(self._bar, 1)
        importing.addWidget(self._cancel)
        self._actions = FlowLayout()
        for button in (self._use, self._default, self._rename, self._verify, self._remove):
            self._actions.addWidget(button)
        self._free.setWordWrap(False)
        self._about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._scroll.setWidget(self._about)
        self._outer = QVBoxLayout(self)
        self._outer.addLayout(self._top)
        self._outer.addWidget(self._table, 3)
        self._outer.addWidget(self._scroll, 2)
        self._outer.addWidget(self._note)
        self._outer.addWidget(self._progress)
        self._outer.addLayout(self._actions)

    def _connect(self) -> None:
        desk = self._desk
        desk.changed.connect(self._on_changed)
        desk.done.connect(self._on_done)
        desk.failed.connect(self._on_failed)
        self._table.selectionModel().selectionChanged.connect(self._show_selected)
        self._table.doubleClicked.connect(self._on_use_clicked)
        self._context.activated.connect(self._on_context_chosen)
        self._use.clicked.connect(self._on_use_clicked)
        self._default.clicked.connect(partial(self._on_clicked, desk.make_default))
        self._verify.clicked.connect(partial(self._on_clicked, desk.verify))
        self._remove.clicked.connect(partial(self._on_clicked, desk.remove))
        self._rename.clicked.connect(self._on_rename_clicked)
        self._undo.clicked.connect(desk.bring_back)
        self._cancel.clicked.connect(desk.cancel_import)
        self._file.clicked.connect(self._on_file_clicked)
        self._folder.clicked.connect(self._on_folder_clicked)
        for key, button in (("Return", self._use), ("Enter", self._use), ("F2", self._rename), ("Del", self._remove)):
            shortcut = QShortcut(QKeySequence(key), self._table, context=Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(button.click)

    @Slot(object)
    def _on_changed(self, view: ModelsView) -> None:
        selected = self._selected()
        self._view = view
        looked_for, self._looked_for = self._looked_for, ""
        rows = view.rows or ()
        self._rows.set_rows(rows)
        self._rows.refresh()
        wanted = [row.folder for row in rows]
        default = next((row.folder for row in rows if row.default), None)
        folder = selected.folder if selected is not None else view.opened or default
        if self._selected() is None and rows:
            self._table.selectRow(wanted.index(folder) if folder in wanted else 0)
        if looked_for and not self._select(looked_for):
            self._looked_for = looked_for
        self._free.setText(self._words.free(view) if view.rows is not None else self.tr("Looking for models …"))
        self._show_contexts(view.tokens)
        self._progress.setVisible(view.importing is not None)
        if view.importing is not None:
            self._bar.setValue(view.importing.percent)
            self._doing.setText(self._words.importing(view.importing))
            self._bar.setAccessibleDescription(self._doing.text())
        self._undo.setVisible(bool(view.removed))
        self._undo.setText(self.tr("Put {id} back").format(id=view.removed))
        self._undo.setEnabled(not view.busy)
        self._show_selected()

    @Slot()
    def _show_selected(self) -> None:
        view, row = self._view, self._selected()
        free = not view.busy and row is not None
        other = free and row is not None and row.folder not in (view.opened, view.opening)
        whole = row is not None and row.card is not None
        self._use.setEnabled(other and whole and row is not None and fits(view, row))
        self._default.setEnabled(free and whole and row is not None and not row.default)
        self._verify.setEnabled(free)
        own = other and row is not None and row.own
        self._rename.setEnabled(own and whole)
        self._remove.setEnabled(own)
        for button in (self._file, self._folder):
            button.setEnabled(view.importing is None)
        self._about.setText(self.tr("No model is here yet: import one.") if row is None else self._said_of(row))

    def _said_of(self, row: ModelRow) -> str:
        text = self._words.about(self._view, row)
        if not row.own:
            return "\n".join((text, self.tr("It cannot be renamed or removed here: it is the system’s, or read-only.")))
        if row.folder == self._view.opened:
            return "\n".join((text, self.tr("It is open: use another one before you rename or remove it.")))
        return text

    def _selected(self) -> ModelRow | None:
        index = self._table.currentIndex()
        return self._rows.row(index.row()) if 0 <= index.row() < self._rows.rowCount() else None

    def _show_contexts(self, tokens: int | None) -> None:
        found = sorted({*CONTEXTS, *([] if tokens is None else [tokens])})
        if [self._context.itemData(number) for number in range(self._context.count())] != [None, *found]:
            self._context.clear()
            for one in (None, *found):
                self._context.addItem(self._words.context(one), one)
        self._context.setCurrentIndex(self._context.findData(tokens) if tokens is not None else 0)

    def _cell(self, row: ModelRow, column: ModelColumn) -> str:
        return self._words.cell(self._view, row, column)

    def _tell(self, text: str, *, warning: bool = False) -> None:
        self._told.setText(text)
        self._note.setAccessibleDescription(text)
        self._note.setProperty("look", "notice" if warning else "told")
        self._note.style().unpolish(self._note)
        self._note.style().polish(self._note)
        self._note.setVisible(bool(text) or bool(self._view.removed))

    @Slot(object)
    def _on_done(self, done: DoneDeed) -> None:
        self._tell(self._words.done(done), warning=done.deed is ModelDeed.IMPORT_FAILED)
        if done.deed in (ModelDeed.IMPORTED, ModelDeed.THERE_ALREADY, ModelDeed.RENAMED, ModelDeed.BROUGHT_BACK):
            self._looked_for = "" if self._select(done.id) else done.id

    def _select(self, name: str) -> bool:
        """Whether there is a model with this id, which is selected then."""
        for number in range(self._rows.rowCount()):
            if self._rows.row(number).id == name:
                self._table.selectRow(number)
                return True
        return False

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._tell(self._wording.of_error(error).text, warning=True)

    @Slot(int)
    def _on_context_chosen(self, number: int) -> None:
        self._desk.count_for(self._context.itemData(number))

    @Slot()
    def _on_use_clicked(self, index: QModelIndex | None = None) -> None:
        row = self._selected()
        if row is not None and self._use.isEnabled():
            self._tell("")
            self._desk.use(row)

    def _on_clicked(self, deed: Callable[[ModelRow], None]) -> None:
        row = self._selected()
        if row is not None:
            self._tell("")
            deed(row)

    @Slot()
    def _on_rename_clicked(self) -> None:
        row = self._selected()
        if row is None:
            return
        dialog = QInputDialog(self)
        dialog.setWindowTitle(self.tr("Rename {id}").format(id=row.id))
        dialog.setLabelText(self.tr("Another id: letters, digits, dots, lines"))
        dialog.setTextValue(row.id)
        dialog.textValueSelected.connect(partial(self._on_renamed, row))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _on_renamed(self, row: ModelRow, name: str) -> None:
        if name != row.id:
            self._tell("")
            self._desk.rename(row, name)

    @Slot()
    def _on_file_clicked(self) -> None:
        dialog = QFileDialog(self, self.tr("Import a model"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([self.tr("Model files (*.gguf *.onnx)"), self.tr("All files (*)")])
        self._ask_for_source(dialog)

    @Slot()
    def _on_folder_clicked(self) -> None:
        dialog = QFileDialog(self, self.tr("Import a model’s folder"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._ask_for_source(dialog)

    def _ask_for_source(self, dialog: QFileDialog) -> None:
        dialog.fileSelected.connect(self._on_source_chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def _on_source_chosen(self, path: str) -> None:
        self.import_source(Path(path))

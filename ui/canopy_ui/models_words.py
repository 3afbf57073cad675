"""The catalogue in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from canopy_ui.models_desk import DoneDeed, Importing, ModelDeed, ModelsView
from canopy_ui.qt_models.models_table import ModelColumn
from canopy_ui.widgets.model_words import model_name
from canopy_ui.widgets.numbers import UNKNOWN, byte_size, grouped

if TYPE_CHECKING:
    from canopy_desktop.exploration.models_view import ModelRow


class ModelsWords(QObject):
    """Turns what is known of models into the person's language."""

    def header(self) -> tuple[str, ...]:
        """The columns' names, in the order of `ModelColumn`."""
        return (
            self.tr("Model"), self.tr("State"), self.tr("On disk"), self.tr("Memory"), self.tr("Whose"),
            self.tr("Licence"),
        )  # fmt: skip

    def cell(self, view: ModelsView, row: ModelRow, column: ModelColumn) -> str:
        """What stands in the table."""
        match column:
            case ModelColumn.NAME:
                return model_name(row.card) if row.card else row.id
            case ModelColumn.STATE:
                return self.state(view, row)
            case ModelColumn.DISK:
                return byte_size(row.card.bytes) if row.card else UNKNOWN
            case ModelColumn.MEMORY:
                return byte_size(row.needed.total) if row.needed else UNKNOWN
            case ModelColumn.LICENCE:
                return row.card.licence if row.card else UNKNOWN
            case ModelColumn.WHOSE:
                return self.tr("yours") if row.own else self.tr("the system’s")

    def state(self, view: ModelsView, row: ModelRow) -> str:
        """Whether it is open, the default, or too large."""
        found = []
        if row.card is None:
            found.append(self.tr("broken"))
        elif row.folder == view.opening:
            found.append(self.tr("loading"))
        elif row.folder == view.opened:
            found.append(self.tr("open"))
        elif not fits(view, row):
            found.append(self.tr("no room"))
        if row.default:
            found.append(self.tr("default"))
        return ", ".join(found)

    def about(self, view: ModelsView, row: ModelRow) -> str:
        """Everything about one model, a line each."""
        if row.card is None:
            return "\n".join((row.problem or "", self.tr("Folder: {folder}").format(folder=row.folder)))
        lines = [
            self.tr("Id: {id}").format(id=row.id),
            self.tr("Licence: {licence}").format(licence=row.card.licence),
            self.tr("Source: {source}").format(source=row.card.source),
            self.tr("Folder: {folder}").format(folder=row.folder),
        ]
        if row.card.architecture.is_given:
            gives = ", ".join(self.tr(what) for what in row.card.architecture.gives)
            lines.append(self.tr("Runs as its own graph, which gives {gives}").format(gives=gives))
        if row.needed is not None:
            lines.append(
                self.tr(
                    "Memory for a text of {tokens} tokens: {weights} weights, {cache} cache, {columns} columns, "
                    "{runtime} libraries and passes"
                ).format(
                    tokens=grouped(row.needed.context),
                    weights=byte_size(row.needed.weights),
                    cache=byte_size(row.needed.cache),
                    columns=byte_size(row.needed.columns),
                    runtime=byte_size(row.needed.runtime),
                )
            )
        return "\n".join(lines)

    def free(self, view: ModelsView) -> str:
        """How much memory there is for a model."""
        return self.tr("{free} are free").format(free=byte_size(view.free))

    def context(self, tokens: int | None) -> str:
        """A length of text that can be chosen."""
        return self.tr("any length") if tokens is None else self.tr("{count} tokens").format(count=grouped(tokens))

    def importing(self, importing: Importing) -> str:
        """How far an import is."""
        doing = {
            "reading": self.tr("reading"),
            "fetching": self.tr("fetching"),
            "exporting": self.tr("exporting (this takes minutes)"),
            "converting": self.tr("converting"),
            "checking": self.tr("checking"),
            "done": self.tr("done"),
        }.get(importing.doing, importing.doing)
        return self.tr("Importing {name}: {doing}, {percent} %").format(
            name=importing.name, doing=doing, percent=importing.percent
        )

    def done(self, done: DoneDeed) -> str:
        """What was done, in one sentence."""
        match done.deed:
            case ModelDeed.MADE_DEFAULT:
                text = self.tr("{id} opens from now on when the program starts.")
            case ModelDeed.RENAMED:
                text = self.tr("{detail} is called {id} now; explorations still know it.")
            case ModelDeed.REMOVED:
                text = self.tr("{id} was removed.")
            case ModelDeed.BROUGHT_BACK:
                text = self.tr("{id} is there again.")
            case ModelDeed.VERIFIED:
                text = self.tr("{id} is in order: every file is as it was built.")
            case ModelDeed.IMPORTED:
                text = self.tr("{id} was imported.")
            case ModelDeed.THERE_ALREADY:
                text = self.tr("The same file is there already, as {id}.")
            case ModelDeed.IMPORT_CANCELLED:
                text = self.tr("The import was cancelled; nothing of it is left.")
            case ModelDeed.IMPORT_FAILED:
                return done.detail
        return text.format(id=done.id, detail=done.detail)


def fits(view: ModelsView, row: ModelRow) -> bool:
    """Whether there is room for it, once the model that is open has gone."""
    return row.needed is None or row.needed.total <= view.free
